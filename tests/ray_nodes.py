"""A real Ray cluster of several nodes on this machine, each a `ray start` of its own, with a folder of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

START_S = 120
STORE_BYTES = 80_000_000


@dataclass
class Nodes:
    """The cluster. The head has no CPUs: tasks run on the others, one CPU each. address: host:port."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cm", dir="/tmp")))  # sockets' paths are short
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    address: str = ""
    started: list[subprocess.Popen] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What leads a process to this cluster and no other."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_TMPDIR": str(self.folder), "RAY_ADDRESS": self.address}

    def start(self, nodes: int) -> None:
        """Start the head and nodes, and wait for them."""
        self._start("--head", "--port=0", "--num-cpus=0", f"--temp-dir={self.folder}", "--include-dashboard=false")
        note = self.folder / "ray_current_cluster"
        wait_for(lambda: note.exists() and note.read_text(), START_S)
        self.address = note.read_text().strip()
        for _ in range(nodes):
            self.add()

    def add(self) -> subprocess.Popen:
        """Start a node and wait until it runs: of two started at the same time, one sometimes hangs."""
        node = self._start(f"--address={self.address}", "--num-cpus=1")
        log = self.folder / f"{len(self.started) - 1}.log"
        wait_for(lambda: "Ray runtime started" in log.read_text() or node.poll() is not None, START_S)
        assert node.poll() is None, log.read_text()
        return node

    def kill(self, node: subprocess.Popen) -> None:
        """What a power cut does: the node and all its processes are gone at once."""
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def stop(self) -> None:
        for node in reversed(self.started):
            if node.poll() is None:
                self.kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, *how: str) -> subprocess.Popen:
        ray = Path(sys.executable).parent / "ray"
        log = open(self.folder / f"{len(self.started)}.log", "w")  # noqa: SIM115 the process holds it
        self.started.append(subprocess.Popen(
            [ray, "start", *how, f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats", "--block"],
            stdout=log, stderr=log, start_new_session=True, env=os.environ | self.environment | {"RAY_ADDRESS": ""}))
        return self.started[-1]


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.05)
