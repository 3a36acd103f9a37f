"""One analysis as a process of its own, `crowdmood analyze`: whatever it does to itself, the server goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crowdmood.settings import typed
from crowdmood.web.settings import WebSettings

GRACE_S = 8.0  # to drop what is under way, before SIGKILL
NICE = 5  # pages and the camera come first
LAST_LINES = 40  # of what it says, for the log
SAYS_WHO = "crowdmood: "
STOPPED = {code for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM) for code in (-number, 128 + number)}  # also before it can say so


@dataclass(frozen=True)
class Outcome:
    """What became of an analysis: the run's id, or one sentence that says why there is none, or that somebody has stopped it by a
    signal. log: the last words of one that crashed."""

    run: str | None = None
    error: str | None = None
    stopped: bool = False
    log: str = ""


class AnalysisProcess:
    """A running `crowdmood analyze`. It ends with this process, even where that is killed."""

    def __init__(self, command: Sequence[str], kept: Sequence[int] = ()) -> None:
        """kept: descriptors that it holds open as long as it lives."""
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=kept, text=True,
            encoding="utf-8", errors="replace", env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True)  # Ctrl-C is for the server
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICE)

    def progress(self) -> Iterator[dict[str, Any]]:
        """How far it is, each time that it says so: step, chunks_done, chunks, faces. Ends when it does."""
        for line in self._process.stderr:
            with suppress(ValueError):
                if line.startswith("{"):
                    yield json.loads(line)
                    continue
            self._said.append(line.rstrip())

    def outcome(self) -> Outcome:
        """What became of it; to be asked after `progress` has ended."""
        answer = self._process.stdout.read()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                pipe.close()
        return _outcome(code, answer, list(self._said))

    def stop(self) -> None:
        """Let it drop what it is doing and end; what is finished of the run stays."""
        self._process.terminate()
        late = threading.Timer(GRACE_S, self._process.kill)
        late.daemon = True
        late.start()


def command_for(film: Path, settings: WebSettings, options: Any) -> list[str]:
    """What is run for a film. options: `Options`, the server's and what the visitor asked for."""
    execution, cores = settings.execution, len(os.sched_getaffinity(0))
    if execution.threads is None and settings.analyses > 1:
        execution = replace(execution, threads=max(1, cores // settings.analyses))
    return [sys.executable, "-P", "-m", "crowdmood", "analyze", *typed(options, execution), f"--results={settings.results}",
            "--json", "--progress=json", "--with-stdin", "--", str(film)]


def _outcome(code: int, answer: str, said: list[str]) -> Outcome:
    with suppress(ValueError, IndexError):
        told = json.loads(answer.splitlines()[-1])
        return Outcome(told.get("run"), told.get("error"))
    if code in STOPPED:
        return Outcome(stopped=True)
    log = "\n".join(said)
    if code < 0:
        name = signal.Signals(-code).name
        why = ", most likely for lack of memory" if name == "SIGKILL" else ""
        return Outcome(error=f"the analysis was ended by {name}{why}; what was finished is kept, and trying again goes on from there", log=log)
    ours = [line.removeprefix(SAYS_WHO) for line in said if line.startswith(SAYS_WHO)]
    last = ours[-1] if ours else f"the analysis ended with code {code} and did not say why; the server's log may"
    return Outcome(error=last, log=log)
