"""A real `crowdmood serve`, and programs and browsers that ask it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ADDRESS = re.compile(r"crowdmood serves (https?://\S+)/")


@dataclass
class Server:
    """A running server. address: without a slash at its end. token: None where none is needed, or one was made. said: what it
    printed when it started. log: the file of what it writes to stderr."""

    process: subprocess.Popen
    address: str
    token: str | None
    said: str
    log: Path

    def program(self, **options) -> httpx.Client:
        """A client as a program is: with the token, if there is one."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(base_url=self.address, timeout=60, headers=headers, **options)

    def visitor(self, **options) -> httpx.Client:
        """A client as a browser is: signed in, with cookie, Origin and the proof that pages send (X-CSRF-Token)."""
        headers = {"Origin": self.address, "Sec-Fetch-Site": "same-origin"}
        with httpx.Client(base_url=self.address, timeout=60, headers=headers) as first:
            if self.token:
                first.post("/login", data={"csrf": proof(first), "token": self.token})
            headers["X-CSRF-Token"] = proof(first)
        return httpx.Client(base_url=self.address, timeout=60, headers=headers, cookies=first.cookies, **options)


def proof(client: httpx.Client) -> str:
    """What the pages of this client's session send along."""
    return client.get("/login/session").json()["csrf"]


@contextmanager
def serving(results: Path, *options: str, token: str | None = None) -> Iterator[Server]:
    """`crowdmood serve --port 0` on a results folder, until the block ends."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CROWDMOOD_TOKEN", "CROWDMOOD_RESULTS")}
    environment |= {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"} | ({"CROWDMOOD_TOKEN": token} if token else {})
    with tempfile.TemporaryDirectory(prefix="crowdmood-serve-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as written:
            process = subprocess.Popen([sys.executable, "-m", "crowdmood", "serve", "--port", "0", "--results", str(results), *options],
                                       stdout=subprocess.PIPE, stderr=written, text=True, env=environment,
                                       preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # what runs the tests may ignore it
        try:
            said = _said(process, log)
            yield Server(process, ADDRESS.search(said)[1], token, said, log)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _said(process: subprocess.Popen, log: Path) -> str:
    """What a server says when it starts. It takes connections from then on, and answers once it has started."""
    said = ""
    for line in process.stdout:
        said += line
        if line == "Ctrl-C ends it.\n":
            return said
    raise AssertionError(f"crowdmood serve has ended: {log.read_text()}")
