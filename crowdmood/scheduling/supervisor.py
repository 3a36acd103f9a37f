"""The supervisor: runs jobs side by side, each in a thread of its own, and ends everything in time when it is told to."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from crowdmood.errors import CrowdmoodError
from crowdmood.scheduling.attempts import Desk
from crowdmood.scheduling.leases import LEASE_S, Leases
from crowdmood.scheduling.ledger import Ledger
from crowdmood.scheduling.log import say
from crowdmood.scheduling.runner import Summary
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.workers import Pool

STEP_S = 0.1  # between two looks at whether a signal has come
END_S = 4.0  # for workers to drop what they do; a process that is told to end does so within five seconds


@dataclass
class Caught:
    """The signal that asked for the end; None until then."""

    signal: int | None = None


@contextmanager
def catching() -> Iterator[Caught]:
    """Note SIGTERM and SIGINT instead of ending at once."""
    caught = Caught()

    def note(number: int, frame: FrameType | None) -> None:
        caught.signal = number

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Supervisor:
    """Threads that run jobs, and what they use. form: of the log; lease_s: after how long others take over when it is killed."""

    def __init__(self, form: str = "text", lease_s: float = LEASE_S) -> None:
        self.stop = threading.Event()
        self.summaries: list[Summary] = []
        self.errors: dict[str, Exception] = {}
        self._pool, self._lease_s = Pool(form), lease_s
        self._desks: dict[str, Desk] = {}
        self._threads: dict[str, threading.Thread] = {}

    def desk(self, spec: JobSpec) -> Desk:
        """The ledger of a job's results, and what goes with it. Raises CrowdmoodError when it cannot be opened."""
        name = str(spec.results)
        if name not in self._desks:
            ledger = Ledger(spec.results)
            self._desks[name] = Desk(ledger, Leases(ledger, self._lease_s), self._pool, self.stop)
        return self._desks[name]

    def forget(self, spec: JobSpec) -> None:
        """Open the ledger of a job's results anew the next time: something was wrong with it."""
        desk = self._desks.pop(str(spec.results), None)
        if desk:
            desk.leases.end()

    def start(self, job: str, work: Callable[[], list[Summary]]) -> None:
        """Do work for a job in a thread; what it gives is added to `summaries`, an error put into `errors`."""
        self.errors.pop(job, None)
        self._threads[job] = threading.Thread(target=self._guarded, args=(job, work), name=job, daemon=True)
        self._threads[job].start()

    def is_running(self, job: str) -> bool:
        return job in self._threads and self._threads[job].is_alive()

    def is_busy(self) -> bool:
        """Whether any job is being run."""
        return any(map(self.is_running, self._threads))

    def rest(self) -> None:
        """End workers that have had nothing to do for long."""
        self._pool.rest()

    def end(self) -> bool:
        """End everything; False when a thread hangs nevertheless, as one may that waits for a dead disk."""
        self.stop.set()
        until = time.monotonic() + END_S
        for thread in self._threads.values():
            thread.join(max(0.0, until - time.monotonic()))
        for desk in self._desks.values():
            desk.leases.end()
        self._pool.rest(0)
        return not self.is_busy()

    def _guarded(self, job: str, work: Callable[[], list[Summary]]) -> None:
        try:
            self.summaries += work()
        except CrowdmoodError as error:
            self.errors[job] = error
            say("failed", "error", job=job, error=str(error))
        except Exception as error:
            self.errors[job] = error
            logging.getLogger("crowdmood.jobs").exception("a bug in crowdmood", extra={"facts": {"job": job}})


def wait_while(busy: Callable[[], bool], caught: Caught, until: float = float("inf")) -> None:
    """Wait while something is busy, up to a moment of the steady clock, or until a signal has come."""
    while busy() and caught.signal is None and time.monotonic() < until:
        with suppress(InterruptedError):
            time.sleep(STEP_S)
