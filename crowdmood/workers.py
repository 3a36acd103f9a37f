"""Worker processes: each does the work it is given, piece by piece, and tells every outcome as soon as it is there.

They end with this process, however it ends, and leave SIGINT, SIGTERM and SIGHUP to it: Ctrl-C and systemd send these
to the whole group, and one process has to say what they mean.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from crowdmood.allocator import steady_memory

OUTCOME, DONE, ERROR, DIED = "outcome", "done", "error", "died"
TO_END_S = 5.0  # a killed process is gone long before, unless the kernel holds it


class Worker:
    """A process that waits for work. ``todo``: the numbers of its tasks without an outcome, in order; busy: it has some, or is about to say DONE."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), name="crowdmood worker")
        self.process.start()
        theirs.close()
        self.todo: deque[int] = deque()
        self.busy = False
        self._work: Callable | None = None

    def give(self, work: Callable, tasks: Sequence, numbers: Sequence[int]) -> None:
        """Let it do some of the tasks. If it died meanwhile, its messages say so."""
        self.todo, self.busy = deque(numbers), True
        known = None if work is self._work else work  # a recording's list of frames can be large
        with suppress(OSError):
            self.pipe.send((known, [tasks[number] for number in numbers]))
        self._work = work

    def messages(self) -> list[tuple[str, Any]]:
        """What it has told since the last look: (OUTCOME, outcome), (DONE, None), (ERROR, exception), (DIED, exit code)."""
        told: list[tuple[str, Any]] = []
        try:
            while self.pipe.poll():
                told.append(self.pipe.recv())
        except (EOFError, OSError):
            self.process.join(TO_END_S)
            told.append((DIED, self.end()))
        self.busy = self.busy and not any(kind != OUTCOME for kind, _ in told)
        return told

    def end(self) -> int | None:
        """End it at once, whatever it is doing; returns what it ended with: -9 for SIGKILL."""
        self.process.kill()
        self.process.join(TO_END_S)
        self.pipe.close()
        return self.process.exitcode


def tell(workers: Sequence[Worker]) -> list[Worker]:
    """Wait until some of the workers have something to tell, or have died; returns those."""
    ready = set(wait([worker.pipe for worker in workers]))
    return [worker for worker in workers if worker.pipe in ready]


_idle: list[Worker] = []
_keepers = 0
_guard = threading.Lock()


@contextmanager
def keep_workers() -> Iterator[None]:
    """Let workers outlive one recording and do the next: each needs seconds to load libraries. They end with the block."""
    global _keepers
    with _guard:
        _keepers += 1
    try:
        yield
    finally:
        with _guard:
            _keepers -= 1
            leaving = [] if _keepers else _idle.copy()
            del _idle[:len(leaving)]
        _end(leaving)


def hire() -> Worker:
    """A worker: one that is idle, or a new one."""
    with _guard:
        while _idle:
            worker = _idle.pop()
            if worker.process.is_alive():
                return worker
            worker.end()
    return Worker()


def dismiss(workers: Sequence[Worker]) -> None:
    """Let the workers go. Those that are busy are ended; idle ones too, unless they are kept."""
    with _guard:
        staying = [worker for worker in workers if _keepers and not worker.busy]
        _idle.extend(staying)
    _end([worker for worker in workers if worker not in staying])


def _end(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.end()


# multiprocessing waits at exit for children that are not daemons, and daemons could have no decoders of their own.
atexit.register(lambda: _end(_idle))


def _serve(pipe: Connection) -> None:
    """What a worker process does."""
    _prepare()
    work = None
    with suppress(EOFError):
        while True:
            given, tasks = pipe.recv()
            work = given or work
            try:
                for outcome in work(tasks):
                    pipe.send((OUTCOME, outcome))
                pipe.send((DONE, None))
            except Exception as error:  # noqa: BLE001 whatever it is, it is raised where the work was given
                pipe.send((ERROR, _portable(error)))


def begin_process() -> None:
    """Prepare a process that works for the one that started it: it ends with it, and leaves Ctrl-C to it."""
    steady_memory()
    parent = multiprocessing.parent_process()

    def watch() -> None:  # a parent killed by SIGKILL cannot end its workers
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _prepare() -> None:
    begin_process()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN: programs that a worker starts would inherit that


def _portable(error: Exception) -> Exception:
    """The error with its traceback as a note, for a pipe does not carry tracebacks."""
    text = "".join(traceback.format_exception(error)).rstrip()
    error.add_note(f"\nIn a worker process:\n{text}")
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:  # noqa: BLE001 anything can go wrong in foreign errors
        return RuntimeError(text)
