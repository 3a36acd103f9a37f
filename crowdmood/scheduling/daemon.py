"""What runs jobs by itself: once over all that is due, or for good."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from crowdmood.errors import CrowdmoodError
from crowdmood.scheduling import recordings, turns
from crowdmood.scheduling.attempts import Desk
from crowdmood.scheduling.log import say
from crowdmood.scheduling.runner import run_waiting
from crowdmood.scheduling.spec import JobSpec, list_jobs
from crowdmood.scheduling.supervisor import Caught, Supervisor, wait_while
from crowdmood.scheduling.times import next_time

TICK_S = 2.0  # between two looks at the job files and at what is due
AFTER_ERROR_S = 30.0  # before a job is touched again whose ledger could not be used


@dataclass
class Jobs:
    """The jobs of a folder as they are now. A file that has become invalid stays in force as it was, and is reported once.

    announced: whether what is read is said.
    """

    folder: Path
    announced: bool = True
    known: dict[str, JobSpec] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def read(self) -> list[JobSpec]:
        """Look at the files again; says what has changed."""
        specs, errors = list_jobs(self.folder)
        found = {spec.name: spec for spec in specs}
        texts = {str(error) for error in errors}
        for text in sorted(texts - self.told):
            say("job file invalid", "error", error=text)
        self.told = texts
        stay = {name: spec for name, spec in self.known.items() if name not in found and spec.path.exists()}
        for name in sorted(self.known.keys() - found.keys() - stay.keys()):
            say("job file removed", job=name)
        for name, spec in found.items():
            if self.announced and spec != self.known.get(name):
                say("job read", job=name, schedule=spec.schedule, time_zone=spec.time_zone if spec.schedule else None,
                    watch=spec.watch or None, next=_next(spec), results=str(spec.results))
        self.known = found | stay
        return list(self.known.values())


@dataclass
class Clerk:
    """Decides what is to be run now. after: job -> moment of the steady clock before which it is left alone; polls: the same
    for looks at the sources of jobs that watch.
    """

    supervisor: Supervisor
    polls: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)

    def look(self, spec: JobSpec) -> None:
        """Write down what has become due of a job, and start it if there is anything to do."""
        name = spec.name
        if time.monotonic() < self.after.get(name, 0.0):
            return
        try:
            desk = self.supervisor.desk(spec)
            turns.note_due(desk.ledger, spec)
            if name in self.supervisor.errors:
                self._leave_alone(spec)
            elif not self.supervisor.is_running(name):
                self._start(desk, spec)
        except CrowdmoodError as error:
            say("failed", "error", job=name, error=str(error))
            self._leave_alone(spec)

    def _leave_alone(self, spec: JobSpec) -> None:
        """For a while: its ledger could not be used, or there is a bug."""
        self.supervisor.errors.pop(spec.name, None)
        self.supervisor.forget(spec)
        self.after[spec.name] = time.monotonic() + AFTER_ERROR_S

    def _start(self, desk: Desk, spec: JobSpec) -> None:
        watch = self._is_to_be_watched(desk, spec)
        if watch or turns.waiting(desk.ledger, spec.name) or recordings.due_again(desk.ledger, spec):
            self.supervisor.start(spec.name, lambda: run_waiting(desk, spec, watch))

    def _is_to_be_watched(self, desk: Desk, spec: JobSpec) -> bool:
        if spec.watch:
            if time.monotonic() < self.polls.get(spec.name, 0.0):
                return False
            self.polls[spec.name] = time.monotonic() + spec.poll_s
            return True
        again = turns.looks_again(desk.ledger, spec.name)
        return again is not None and not desk.ledger.now() < again <= desk.ledger.now() + spec.still_s


def run_due(folder: Path, supervisor: Supervisor, caught: Caught) -> int:
    """Run what is due now, and end: 0 all done, 3 some recordings failed, 1 a job could not be run at all."""
    jobs, clerk = Jobs(folder, announced=False), Clerk(supervisor)
    for spec in jobs.read():
        clerk.look(spec)
    wait_while(supervisor.is_busy, caught)
    states = {summary.state for summary in supervisor.summaries}
    if jobs.told or clerk.after or supervisor.errors or "failed" in states:
        return 1
    return 3 if "some failed" in states else 0


def serve(folder: Path, supervisor: Supervisor, caught: Caught) -> None:
    """Run what becomes due until a signal comes. Job files are read again all the time."""
    say("daemon started", folder=str(folder))
    jobs, clerk = Jobs(folder), Clerk(supervisor)
    while caught.signal is None:
        specs = jobs.read()
        for spec in specs:
            clerk.look(spec)
        supervisor.summaries.clear()
        supervisor.rest()
        wait_while(lambda: True, caught, time.monotonic() + min([TICK_S, *map(_to_next, specs)]))
    say("stopping", signal=caught.signal)


def _next(spec: JobSpec) -> str | None:
    moment = next_time(spec, datetime.now(UTC))
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _to_next(spec: JobSpec) -> float:
    """Seconds until a job is due by its schedule."""
    now = datetime.now(UTC)
    moment = next_time(spec, now)
    return (moment - now).total_seconds() + 0.01 if moment else TICK_S
