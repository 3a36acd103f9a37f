"""Who does the work: this process, or a pool of processes.

An executor is a function (work, tasks, workers) -> Iterator[Outcome]. ``work`` takes a list of tasks and yields an
outcome for each; it must be picklable for ``processes``. The outcomes come in any order.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from crowdmood.allocator import steady_memory
from crowdmood.errors import CrowdmoodError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")
Work = Callable[[Sequence[Task]], Iterator[Outcome]]

SHARES = 4  # stretches of neighbouring tasks a worker gets one after the other; more would decode more twice


def serial(work: Work, tasks: Sequence[Task], workers: int = 1) -> Iterator[Outcome]:
    """Do all tasks in this process, in order."""
    yield from work(tasks)


def processes(work: Work, tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """Do the tasks in ``workers`` processes. Workers end with this process, however it ends, and at once on an error."""
    context = multiprocessing.get_context("spawn")
    stopped, stop = context.Pipe(duplex=False)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(stopped,)) as pool:
        try:
            running = [pool.submit(_all, work, share) for share in stretches(tasks, workers * SHARES)]
            for future in as_completed(running):
                yield from future.result()
        except BrokenProcessPool as error:
            raise CrowdmoodError("a worker process was killed, most likely for lack of memory; "
                                 "run the same command again to go on, with fewer --workers") from error
        finally:
            stop.send(None)  # nobody reads it: its being there is what the workers wait for
            pool.shutdown(wait=True, cancel_futures=True)


def stretches(tasks: Sequence[Task], count: int) -> list[Sequence[Task]]:
    """Cut a sequence into at most ``count`` neighbouring stretches whose lengths differ by at most one."""
    count = min(count, len(tasks))
    edges = [len(tasks) * i // count for i in range(count + 1)] if count else [0]
    return [tasks[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def _all(work: Work, tasks: Sequence[Task]) -> list:
    return list(work(tasks))


def _begin_worker(stopped: Connection) -> None:
    """Prepare a worker, and let it end with its parent.

    A parent killed by SIGKILL cannot end its workers; so they watch for its end, and for its word to stop.
    """
    steady_memory()
    parent = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel, stopped])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says what it means


EXECUTORS = {"serial": serial, "processes": processes}
