"""Worker processes: each does one task after the other and keeps what it has loaded. What it does to itself (a crash, a
hang, all memory taken) is an outcome of the task, and nothing else happens.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from crowdmood.errors import CrowdmoodError, RunBusy
from crowdmood.scheduling.log import begin_log, say
from crowdmood.workers import begin_process, keep_workers

GRACE_S = 1.5  # to drop what is being done, before SIGKILL
IDLE_S = 120.0  # a worker holds the models in memory; after so long without work it ends
Task = Callable[[Callable[[Any], None]], Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a task: 'done' with its value, 'failed', 'busy' or 'crashed' with one sentence."""

    name: str
    value: Any = None
    error: str | None = None


class Worker:
    """A process that does tasks. kind: workers of one kind can stand in for each other; form: of its log."""

    def __init__(self, kind: str = "", form: str = "text") -> None:
        context = multiprocessing.get_context("spawn")
        self.kind = kind
        self._pipe, other = context.Pipe()
        lines, errors = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(other, errors, form), name="crowdmood-worker")
        self._process.start()
        other.close()
        errors.close()
        threading.Thread(target=_pass_on, args=(lines, form), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def give(self, task: Task) -> None:
        """Hand it a task, a picklable function of a report of progress."""
        with suppress(OSError):  # it died; `outcome` says so
            self._pipe.send(task)

    def outcome(self, patience_s: float, progress: Callable[[Any], None] = lambda _: None) -> Outcome | None:
        """What became of the task, once it is done; None when that takes longer."""
        until = time.monotonic() + patience_s
        while wait([self._pipe, self._process.sentinel], max(0.0, until - time.monotonic())):
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                self._process.join()
                return Outcome("crashed", error=_why(self._process.exitcode))
            if isinstance(message, Outcome):
                return message
            progress(message)
        return None

    def end(self, grace_s: float = GRACE_S) -> None:
        """End it, whatever it is doing; it may drop its work properly first."""
        self._process.terminate()
        self._process.join(grace_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()


class Pool:
    """Workers that are waiting for work. They are made when they are needed and stay for a while."""

    def __init__(self, form: str = "text") -> None:
        self._form = form
        self._idle: list[tuple[float, Worker]] = []
        self._lock = threading.Lock()

    def borrow(self, kind: str) -> Worker:
        """A worker of this kind, one that has done something already if there is one."""
        with self._lock:
            for entry in self._idle:
                if entry[1].kind == kind and entry[1].is_alive():
                    self._idle.remove(entry)
                    return entry[1]
        return Worker(kind, self._form)

    def give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append((time.monotonic(), worker))

    def rest(self, idle_s: float = IDLE_S) -> None:
        """End workers that have been idle for so long."""
        with self._lock:
            old = [entry for entry in self._idle if time.monotonic() - entry[0] >= idle_s]
            self._idle = [entry for entry in self._idle if entry not in old]
        for _, worker in old:
            worker.end()


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        reason = ", most likely for lack of memory" if name == "SIGKILL" else ""
        return f"the worker process at it was ended by {name}{reason}"
    return f"the worker process at it ended with code {code}"


def _pass_on(lines: Connection, form: str) -> None:
    """Put what a worker writes to stderr into the log: its own lines as they are, those of libraries as an event each."""
    with open(os.dup(lines.fileno()), errors="backslashreplace") as file:
        for line in file:
            if form == "json" and not line.startswith("{"):
                say("worker says", "warning", text=line.rstrip())
            else:
                sys.stderr.write(line)


def _serve(pipe: Connection, errors: Connection, form: str) -> None:
    os.dup2(errors.fileno(), sys.stderr.fileno())
    errors.close()
    _begin(form)
    with keep_workers(), suppress(EOFError):  # processes that scan for it stay with it
        while True:
            task = pipe.recv()
            pipe.send(_done(task, pipe.send))


def _done(task: Task, progress: Callable[[Any], None]) -> Outcome:
    try:
        return Outcome("done", task(progress))
    except RunBusy as error:
        return Outcome("busy", error=str(error))
    except CrowdmoodError as error:
        return Outcome("failed", error=str(error))
    except MemoryError:
        return Outcome("crashed", error="there was not enough memory")
    except Exception as error:
        logging.getLogger("crowdmood.jobs").exception("a bug in crowdmood")
        return Outcome("crashed", error=f"a bug in crowdmood ({type(error).__name__}: {error}); the log has the traceback")


def _begin(form: str) -> None:
    """Prepare the process, which drops its work at SIGTERM."""
    begin_process()
    signal.signal(signal.SIGTERM, _leave)
    begin_log(form)


def _leave(signum: int, frame: Any) -> None:
    raise SystemExit(128 + signum)
