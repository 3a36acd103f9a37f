"""Running a job: its sources are looked at, what is new or due again is analyzed, and its SQL reports are written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic

from crowdmood import sources
from crowdmood.analysis import run_id
from crowdmood.errors import CrowdmoodError
from crowdmood.s3 import is_on_s3
from crowdmood.scan import chosen_models
from crowdmood.scheduling import recordings, turns
from crowdmood.scheduling.alarms import alarm
from crowdmood.scheduling.attempts import LOOK_S, Desk, Work, attempt, lease_of, why_end
from crowdmood.scheduling.contents import identify
from crowdmood.scheduling.log import say
from crowdmood.scheduling.recordings import COUNTED, Recording
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.tasks import WriteReports
from crowdmood.scheduling.turns import Turn
from crowdmood.zoom.meetings import Meeting


class _End(Exception):
    """A turn is to end: args[0] is why, as `why_end` says it."""


@dataclass(frozen=True)
class Summary:
    """How a turn ended. found: recordings that the sources hold; new: of those tried in this turn, of which done and failed;
    growing: left out because they were changing; error: of the turn as a whole.
    """

    turn: Turn
    state: str
    found: int = 0
    new: int = 0
    done: int = 0
    failed: int = 0
    growing: int = 0
    error: str | None = None


@dataclass
class _Seen:
    """What the sources of a turn hold. runs: run -> source; wrong: what is the matter with sources."""

    runs: dict[str, sources.Source] = field(default_factory=dict)
    growing: list[Path | Meeting] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def run_waiting(desk: Desk, spec: JobSpec, watch: bool) -> list[Summary]:
    """Run what waits of a job: its due times, what failed and is due again, and, if asked for, new files.

    Nothing is run while another process runs the job. Raises CrowdmoodError when the ledger cannot be used.
    """
    summaries = []
    with leased(desk, spec) as ours:
        while ours and not desk.stop.is_set() and (turn := turns.waiting(desk.ledger, spec.name)):
            summaries.append(run_turn(desk, spec, turn.cause, turn))
        if ours and recordings.due_again(desk.ledger, spec):
            summaries.append(run_turn(desk, spec, "retry"))
        if ours and watch:
            summaries.append(run_turn(desk, spec, "watch"))
    return [summary for summary in summaries if summary]


@contextmanager
def leased(desk: Desk, spec: JobSpec) -> Iterator[bool]:
    """The job's lease, if no other process has it; what one that is gone left behind is settled first."""
    ours = desk.leases.take(lease_of(spec))
    try:
        if ours and (left := recordings.take_over(desk.ledger, spec)):
            say("going on with what another process left", "warning", job=spec.name, recordings=left)
        yield ours
    finally:
        if ours:
            desk.leases.give_up(lease_of(spec))


def run_turn(desk: Desk, spec: JobSpec, cause: str, turn: Turn | None = None, again: bool = False) -> Summary | None:
    """Run a job once. Without a turn, one is made if there is anything to do; else the answer is None.

    again: also what is done or set aside. Whoever calls has the job's lease.
    """
    if turn:
        turns.begin(desk.ledger, turn)
    try:
        seen = _look(desk, spec, cause, turn)
        if again:
            recordings.set_state(desk.ledger, spec.name, list(seen.runs), "waiting")
        chosen = recordings.choose(desk.ledger, spec, seen.runs, cause)
        if turn is None:
            if not chosen and "; ".join(seen.wrong) in ("", turns.last_error(desk.ledger, spec.name, cause)):
                return None
            turn = turns.add(desk.ledger, spec.name, cause)
            turns.begin(desk.ledger, turn)
        return _finished(desk, spec, turn, seen, chosen)
    except _End as end:
        return _ended(desk, turn, end.args[0]) if turn else None
    except CrowdmoodError as error:
        if turn is None and str(error) == turns.last_error(desk.ledger, spec.name, cause):
            return None  # it is known; a job that watches looks every few seconds
        turn = turn or turns.add(desk.ledger, spec.name, cause)
        return _failed(desk, spec, Summary(turn, "failed", error=str(error)))


def _finished(desk: Desk, spec: JobSpec, turn: Turn, seen: _Seen, chosen: Sequence[Recording]) -> Summary:
    say("started", job=spec.name, cause=turn.cause, found=len(seen.runs), new=len(chosen), growing=len(seen.growing) or None)
    outcomes = _tried(desk, spec, turn, seen, chosen)
    ends = [outcome for outcome in ("stopped", "lost", "cancelled") if outcome in outcomes]
    if ends:
        left = [one.run for one, outcome in zip(chosen, outcomes, strict=True) if outcome == "cancelled"]
        recordings.set_state(desk.ledger, spec.name, left, "cancelled")
        raise _End(ends[0])
    failed = sum(outcome in COUNTED for outcome in outcomes)
    wrong = [*seen.wrong, *_reports(desk, spec, outcomes.count("done"))]
    summary = Summary(turn, "some failed" if failed or wrong else "done", len(seen.runs), len(chosen), outcomes.count("done"),
                      failed, len(seen.growing), "; ".join(wrong) or None)
    if seen.wrong and not seen.runs and not seen.growing:
        return _failed(desk, spec, replace(summary, state="failed"))
    _write(desk, summary)
    say("finished", "warning" if failed or wrong else "info", job=spec.name, cause=turn.cause, state=summary.state,
        done=summary.done, failed=failed, error=summary.error)
    if wrong:
        alarm(spec, "job failed", error=summary.error)
    return summary


def _tried(desk: Desk, spec: JobSpec, turn: Turn, seen: _Seen, chosen: Sequence[Recording]) -> list[str]:
    """The outcomes of the recordings, of which `parallel` are tried at a time."""
    at_once = max(1, min(spec.parallel, len(chosen)))
    threads = max(1, (spec.execution.threads or len(os.sched_getaffinity(0))) // at_once)
    execution = replace(spec.execution, threads=threads) if at_once > 1 else spec.execution
    work = Work(spec, turn, run_id("", spec.options, chosen_models(spec.options)), execution)
    with ThreadPoolExecutor(at_once, thread_name_prefix=spec.name) as pool:
        return list(pool.map(lambda one: attempt(desk, work, one, seen.runs[one.run]), chosen))


def _look(desk: Desk, spec: JobSpec, cause: str, turn: Turn | None) -> _Seen:
    """Find and identify what a turn is about, and write it down."""
    again = recordings.due_again(desk.ledger, spec) if cause == "retry" else []
    go_on = _go_on(desk, spec, turn)
    how = spec.options.view, spec.options.parts
    find = partial(sources.look_again, [one.path for one in again], spec.sources, *how) if cause == "retry" else partial(
        sources.look, spec.sources, *how)
    seen = _seen(desk, spec, find, go_on)
    if cause == "hand" and seen.growing:
        say("waiting until recordings have been still", job=spec.name, recordings=len(seen.growing), seconds=spec.still_s)
        for _ in range(int(spec.still_s / LOOK_S) + 2):
            go_on()
            desk.stop.wait(LOOK_S)
        seen = _seen(desk, spec, find, go_on)
    if cause == "retry":
        seen.wrong.clear()  # what is no longer there is no longer tried
        _drop_gone(desk, spec, [one for one in again if one.run not in seen.runs], seen)
    else:
        turns.look_again(desk.ledger, spec.name, desk.ledger.now() + spec.still_s if seen.growing else None)
    return seen


def _seen(desk: Desk, spec: JobSpec, find: Callable[[], tuple[list, list]], go_on: Callable[[], None]) -> _Seen:
    listed, errors = find()
    found, growing = identify(desk.ledger, spec, listed, go_on)
    recordings.register(desk.ledger, spec.name, found)
    wrong = [str(error) for error in errors if not isinstance(error, sources.Nothing)]
    return _Seen({one.run: one.source for one in found}, growing, wrong)


def _drop_gone(desk: Desk, spec: JobSpec, missing: Sequence[Recording], seen: _Seen) -> None:
    """Settle recordings that are not found as they were: gone, of another content, growing, or out of reach."""
    there = {str(source) for source in seen.runs.values()}
    for one in missing:
        if one.path in there or not (is_on_s3(one.path) or os.path.lexists(one.path)):
            recordings.set_state(desk.ledger, spec.name, [one.run], "gone")
            say("recording gone", job=spec.name, recording=one.path)
        else:
            recordings.postpone(desk.ledger, spec, one.run)


def _go_on(desk: Desk, spec: JobSpec, turn: Turn | None) -> Callable[[], None]:
    """What raises _End as soon as the turn is to end. It may be called often: the ledger is asked from time to time."""
    asked = monotonic()

    def check() -> None:
        nonlocal asked
        if desk.stop.is_set():
            raise _End("stopped")
        if turn and monotonic() - asked > LOOK_S:
            asked = monotonic()
            if reason := why_end(desk, Work(spec, turn, "", spec.execution)):
                raise _End(reason)
    return check


def _reports(desk: Desk, spec: JobSpec, done: int) -> list[str]:
    """Write the job's SQL reports, if there is anything new to tell; returns what went wrong."""
    names = tuple(name for name in spec.reports if name != "html")
    if not names or not done:
        return []
    worker = desk.pool.borrow("reports")
    worker.give(WriteReports(spec.results, spec.name, names))
    while (outcome := worker.outcome(LOOK_S)) is None:
        if desk.stop.is_set():
            worker.end()
            return []
    if outcome.name == "crashed":
        worker.end()
    else:
        desk.pool.give_back(worker)
    return [f"SQL reports: {outcome.error}"] if outcome.error else []


def _write(desk: Desk, summary: Summary) -> None:
    turns.finish(desk.ledger, summary.turn, summary.state, summary.error, found=summary.found, done=summary.done, failed=summary.failed)


def _failed(desk: Desk, spec: JobSpec, summary: Summary) -> Summary:
    _write(desk, summary)
    say("failed", "error", job=spec.name, cause=summary.turn.cause, error=summary.error)
    alarm(spec, "job failed", error=summary.error)
    return summary


def _ended(desk: Desk, turn: Turn, reason: str) -> Summary:
    """End a turn before its time. One that was stopped waits to be gone on with; by hand, somebody wanted its end."""
    state = "cancelled" if reason == "cancelled" or (reason == "stopped" and turn.cause == "hand") else "waiting"
    if state == "cancelled":
        turns.finish(desk.ledger, turn, state)
    elif reason == "stopped":
        turns.put_back(desk.ledger, turn)
    say("cancelled" if state == "cancelled" else "stopped", job=turn.job, cause=turn.cause)
    return Summary(turn, state)
