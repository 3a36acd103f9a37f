"""A process that has imported what is slow to import, and forks for each piece of code that is to run in a process of its own.

What runs there is a real process with its own files, environment, exit code and death; only its imports were made before.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CROWDMOOD = "from crowdmood.cli import main; main()"


class Forks:
    """Starts the parent at the first use; one child at a time. prepare: code to run before the imports."""

    def __init__(self, *imports: str, prepare: str = "") -> None:
        self.prepare, self.imports, self.parent, self.child = prepare, imports, None, None

    def start(self, code: str, arguments: Sequence[object], cwd: Path | str = ROOT, stdin: str = "", **environment: str) -> Child:
        """Run Python code in a child, with `sys.argv[1:]`, text to read and changes to this process's environment."""
        if self.parent is None:
            self.parent = subprocess.Popen([sys.executable, "-m", "tests.forks", self.prepare, *self.imports], cwd=ROOT, text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            atexit.register(self.stop)
        if self.child is not None and self.child.ended is None:  # a test failed before it waited
            os.kill(self.child.pid, signal.SIGKILL)
            self.child.wait()
        request = {"code": code, "arguments": [str(word) for word in arguments], "cwd": str(cwd), "environment": os.environ | environment}
        self.child = Child(self.parent, request, stdin)
        return self.child

    def run(self, code: str, *arguments: object, **more: str | Path) -> subprocess.CompletedProcess:
        """The same, to its end."""
        return self.start(code, arguments, **more).wait()

    def crowdmood(self, *arguments: object, **more: str | Path) -> subprocess.CompletedProcess:
        """Run the command line to its end."""
        return self.run(CROWDMOOD, *arguments, **more)

    def stop(self) -> None:
        """End the parent; the next use would start another."""
        if self.parent is not None:
            self.parent.stdin.close()
            self.parent.kill()
            self.parent.wait()
            self.parent = self.child = None


class Child:
    """A forked process. pid: its number, to send signals to."""

    def __init__(self, parent: subprocess.Popen, request: dict, stdin: str) -> None:
        self.parent, self.arguments, self.ended = parent, request["arguments"], None
        self.folder = tempfile.TemporaryDirectory(prefix="crowdmood-fork-")
        files = {name: f"{self.folder.name}/{name}" for name in ("stdin", "stdout", "stderr")}
        Path(files["stdin"]).write_text(stdin)
        parent.stdin.write(json.dumps(request | files) + "\n")
        parent.stdin.flush()
        self.pid = int(parent.stdout.readline())

    def says(self, name: str) -> str:
        """What it has written so far to 'stdout' or 'stderr'."""
        path = Path(self.folder.name, name)
        return path.read_text() if path.exists() else ""

    def wait(self) -> subprocess.CompletedProcess:
        """Wait for its end."""
        code = int(self.parent.stdout.readline())
        self.ended = subprocess.CompletedProcess(self.arguments, code, self.says("stdout"), self.says("stderr"))
        self.folder.cleanup()
        return self.ended


forked = Forks("crowdmood.cli.report", "crowdmood.cli.runs", "crowdmood.cli.moments", "crowdmood.cli.export", "crowdmood.cli.render", "crowdmood.film", "crowdmood.catalog",
               "crowdmood.report", "crowdmood.uploads", "crowdmood.moments", "crowdmood.video", "crowdmood.persons", "s3fs",
               "rich.table", "rich.progress", "tests.made_runs")  # for all but the networks


def serve(prepare: str, imports: Sequence[str]) -> dict:
    """Read one request after the other; tell each child's process number, and how it ended. Returns in children only: the request."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    exec(prepare)
    for name in imports:
        with suppress(ImportError):  # an extra that is not installed
            importlib.import_module(name)
    gc.freeze()  # a collection in a child would touch, and so copy, what is shared
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            told.close()
            return json.loads(line)
        print(child, file=told, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=told, flush=True)
    os._exit(0)


def become(request: dict) -> None:
    """Take the request's files, folder, environment and arguments."""
    os.dup2(os.open(request["stdin"], os.O_RDONLY), 0)
    for name, number in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["crowdmood", *request["arguments"]]


def exit_code(code: str) -> int:
    """Run Python code as the interpreter runs a script; its exit code."""
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return 1 if isinstance(end.code, str) else end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    wanted = serve(sys.argv[1], sys.argv[2:])
    become(wanted)
    ended = exit_code(wanted["code"])
    threading._shutdown()  # waits for threads, as at the end of any program ...
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended)  # ... but the modules are not taken apart one by one: that would take longer than the test
