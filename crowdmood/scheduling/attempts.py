"""One attempt at a recording: a worker analyzes it, watched; how it ends is written down, and told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from time import monotonic

from crowdmood.analysis import Progress
from crowdmood.downloads import S3File
from crowdmood.options import Execution
from crowdmood.scheduling import turns
from crowdmood.scheduling.alarms import alarm
from crowdmood.scheduling.leases import Leases
from crowdmood.scheduling.ledger import Ledger
from crowdmood.scheduling.log import moment, say
from crowdmood.scheduling.recordings import (
    COUNTED,
    End,
    Recording,
    begin_attempt,
    end_attempt,
    postpone,
)
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.tasks import Analyze
from crowdmood.scheduling.turns import Turn
from crowdmood.scheduling.workers import Outcome, Pool, Worker
from crowdmood.sources import Source

LOOK_S = 0.25  # between two looks at whether an attempt is to end
PROGRESS_S = 60.0  # between two lines that say how far a recording is


@dataclass(frozen=True)
class Desk:
    """What the jobs of one results folder are run with. stop: set when this process is to end; told: what is said only once."""

    ledger: Ledger
    leases: Leases
    pool: Pool
    stop: threading.Event = field(default_factory=threading.Event)
    told: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Work:
    """What the attempts of a turn have in common. kind: of its workers; execution: the share of each."""

    spec: JobSpec
    turn: Turn
    kind: str
    execution: Execution


def attempt(desk: Desk, work: Work, recording: Recording, source: Source) -> str:
    """Try to analyze a recording; returns the outcome."""
    if reason := why_end(desk, work):
        return reason
    lease = f"recording {recording.run}"
    if not desk.leases.take(lease):
        postpone(desk.ledger, work.spec, recording.run)
        return "busy"
    try:
        number, began = begin_attempt(desk.ledger, work.turn, recording), monotonic()
        say("recording begun", job=work.spec.name, recording=recording.path, run=recording.run)
        outcome = _checked(_analyzed(desk, work, source), recording, source)
        seconds = monotonic() - began
        after = end_attempt(desk.ledger, work.spec, number, End(outcome.name, outcome.error, seconds))
    finally:
        desk.leases.give_up(lease)
    _tell(work, recording, outcome, seconds, after)
    _tell_law(desk, work, outcome)
    return outcome.name if after else "lost"


def why_end(desk: Desk, work: Work) -> str | None:
    """'stopped' when this process is to end, 'cancelled' when the turn is, 'lost' when another process has the job now."""
    if desk.stop.is_set():
        return "stopped"
    if turns.is_cancelled(desk.ledger, work.turn):
        return "cancelled"
    lease = lease_of(work.spec)
    return None if desk.leases.has(lease) or desk.leases.take(lease) else "lost"


def lease_of(spec: JobSpec) -> str:
    """The lease of a job: one process at a time runs it."""
    return f"job {spec.name}"


def _analyzed(desk: Desk, work: Work, source: Source) -> Outcome:
    spec, worker = work.spec, desk.pool.borrow(work.kind)
    worker.give(Analyze(source, spec.options, work.execution, spec.results, "html" in spec.reports))
    outcome = None
    try:
        outcome = _followed(desk, work, worker, _Progress(spec.name, str(source)))
    finally:
        if outcome and outcome.name in ("done", "failed", "busy"):
            desk.pool.give_back(worker)
        else:
            worker.end()
    return outcome


@dataclass
class _Progress:
    """Says from time to time how far a recording is."""

    job: str
    recording: str
    said: float = field(default_factory=monotonic)

    def __call__(self, done: Progress) -> None:
        if monotonic() - self.said >= PROGRESS_S:
            self.said = monotonic()
            say("recording goes on", job=self.job, recording=self.recording, step=done.step, chunks=done.chunks,
                chunks_done=done.chunks_done, faces=done.faces)


def _followed(desk: Desk, work: Work, worker: Worker, progress: _Progress) -> Outcome:
    """The outcome of what a worker does, or why it is not to go on."""
    limit = work.spec.time_limit_s
    began = monotonic()
    while (outcome := worker.outcome(LOOK_S, progress)) is None:
        if reason := why_end(desk, work):
            return Outcome(reason)
        if limit is not None and monotonic() - began > limit:
            return Outcome("crashed", error=f"it took longer than time_limit_s = {limit:g}; what is finished of it stays")
    if outcome.name == "crashed" and desk.stop.is_set():
        return Outcome("stopped")
    return outcome


def _checked(outcome: Outcome, recording: Recording, source: Source) -> Outcome:
    if outcome.name == "done" and not isinstance(source, S3File) and outcome.value["run"] != recording.run:
        return Outcome("failed", error="it changed while it was read")
    return outcome


def _tell_law(desk: Desk, work: Work, outcome: Outcome) -> None:
    """What the law says of a meeting: once, however many recordings a process analyzes."""
    words = outcome.value.get("law") if outcome.name == "done" else None
    if words and words not in desk.told:
        desk.told.add(words)
        say("law", "warning", job=work.spec.name, advice=words)


def _tell(work: Work, recording: Recording, outcome: Outcome, seconds: float, after: Recording | None) -> None:
    facts = {"job": work.spec.name, "recording": recording.path, "run": recording.run, "seconds": round(seconds, 1)}
    if after is None:
        return say("recording taken over by another process", "warning", **facts)
    if outcome.name not in COUNTED:
        return say(f"recording {outcome.name}", **facts, error=outcome.error)
    say("recording failed", "error", **facts, outcome=outcome.name, error=outcome.error, failures=after.failures,
        next_try=after.next_try and moment(after.next_try))
    if after.state == "set aside":
        say("recording set aside", "error", job=work.spec.name, recording=recording.path,
            advice=f"`crowdmood jobs retry {work.spec.name}` tries it again")
        alarm(work.spec, "recording set aside", recording=recording.path, run=recording.run, outcome=outcome.name,
              error=outcome.error, failures=after.failures)
    return None
