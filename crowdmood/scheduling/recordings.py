"""The work of a job: which contents it has found, what became of each, and when one that failed is tried again.

Content decides, not the name: a recording is known by the id of its run, a digest of content, options and models.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crowdmood.scheduling.contents import Found
from crowdmood.scheduling.ledger import Ledger, restored, stored
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.turns import Turn

COUNTED = ("failed", "crashed", "lost")  # outcomes that are failures of the recording
REGISTER = """
INSERT INTO recordings (job, run, path, size, mtime, digest) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (job, run) DO UPDATE SET path = excluded.path, size = excluded.size, mtime = excluded.mtime,
    state = iif(state = 'gone' OR state = 'done' AND size <> excluded.size, 'waiting', state)
WHERE state = 'gone' OR (path, size, mtime) IS NOT (excluded.path, excluded.size, excluded.mtime)
"""
BEGIN = "INSERT INTO attempts (turn, job, run, path, started) VALUES (?, ?, ?, ?, ?)"
END = "UPDATE attempts SET outcome = ?, error = ?, finished = ?, seconds = ? WHERE attempt = ? AND outcome IS NULL"
SETTLE = """
UPDATE recordings SET state = :state, failures = :failures, next_try = :next_try,
    error = CASE WHEN :outcome = 'done' THEN NULL WHEN :counted THEN :error ELSE error END
WHERE (job, run) = (SELECT job, run FROM attempts WHERE attempt = :attempt)
"""
# A time that is further away than the longest pause was written by a clock that has been put back since.
DUE_AGAIN = "next_try IS NOT NULL AND (next_try <= :now OR next_try > :now + :longest)"


@dataclass(frozen=True)
class Recording:
    """A recording of a job as the ledger has it. failures: in a row; next_try: seconds since 1970."""

    run: str
    path: str
    state: str
    failures: int
    next_try: float | None
    error: str | None


@dataclass(frozen=True)
class End:
    """How an attempt ended. outcome: 'done', 'failed', 'crashed', 'lost', 'busy', 'stopped' or 'cancelled'."""

    outcome: str
    error: str | None = None
    seconds: float = 0.0


def register(ledger: Ledger, job: str, found: Iterable[Found]) -> None:
    """Write down what was found; what is known already keeps its state and gets its newest path.

    What is done waits again where its content is the same and its size is not: files were put beside the films of a meeting, or
    taken away, which changes its tables, though no frame is decoded again.
    """
    rows = [(job, one.run, stored(one.source), one.size, one.mtime, one.digest) for one in found]
    with ledger.writing() as database:
        database.executemany(REGISTER, rows)


def choose(ledger: Ledger, spec: JobSpec, runs: Iterable[str], cause: str) -> list[Recording]:
    """What is to be done of these runs in a turn, new ones first, then those with the fewest failures.

    What failed is due again after its pause, and at once in a turn by hand; what was cancelled is taken up by hand or at
    the next due time; what is done, set aside or gone stays so.
    """
    wanted = set(runs)
    states = ["waiting", "failed", *(["cancelled"] if cause in ("schedule", "hand") else [])]
    pause = "" if cause == "hand" else f"AND (next_try IS NULL OR {DUE_AGAIN})"
    rows = _recordings(ledger, spec, f"state IN ({', '.join(map(repr, states))}) {pause} ORDER BY failures, path")
    return [row for row in rows if row.run in wanted]


def due_again(ledger: Ledger, spec: JobSpec) -> list[Recording]:
    """Recordings that failed, or were busy, and whose pause is over."""
    return _recordings(ledger, spec, f"state IN ('waiting', 'failed') AND {DUE_AGAIN} ORDER BY failures, path")


def next_try(ledger: Ledger, job: str) -> float | None:
    """When the first pause of a job's recordings is over, seconds since 1970."""
    with ledger.reading() as database:
        return database.execute("SELECT min(next_try) FROM recordings WHERE job = ? AND state IN ('waiting', 'failed')",
                                (job,)).fetchone()[0]


def _recordings(ledger: Ledger, spec: JobSpec, condition: str) -> list[Recording]:
    query = f"SELECT run, path, state, failures, next_try, error FROM recordings WHERE job = :job AND {condition}"
    facts = {"job": spec.name, "now": ledger.now(), "longest": spec.longest_pause_s}
    with ledger.reading() as database:
        rows = database.execute(query, {name: facts[name] for name in facts if f":{name}" in query}).fetchall()
    return [Recording(row["run"], restored(row["path"]), *row[2:]) for row in rows]


def set_state(ledger: Ledger, job: str, runs: Sequence[str], state: str) -> None:
    """Give recordings another state; those of a job that waits for nothing have no next try."""
    with ledger.writing() as database:
        database.executemany("UPDATE recordings SET state = ?, next_try = NULL WHERE job = ? AND run = ?",
                             [(state, job, run) for run in runs])


def revive(ledger: Ledger, spec: JobSpec, name: str | None = None) -> list[str]:
    """Let recordings that were set aside, failed or were cancelled be tried at once, as if they had never failed; all, or the
    one of a path, file name or run. Returns their paths.
    """
    bad = _recordings(ledger, spec, "state IN ('set aside', 'failed', 'cancelled') ORDER BY path")
    chosen = [one for one in bad if name is None or name in (one.path, one.path.rpartition("/")[2], one.run)]
    with ledger.writing() as database:
        database.executemany("UPDATE recordings SET state = 'waiting', failures = 0, next_try = ? WHERE job = ? AND run = ?",
                             [(ledger.now(), spec.name, one.run) for one in chosen])
    return [one.path for one in chosen]


def postpone(ledger: Ledger, spec: JobSpec, run: str) -> None:
    """Try a recording again after the first pause, without counting anything: another process is at it."""
    with ledger.writing() as database:
        database.execute("UPDATE recordings SET next_try = ? WHERE job = ? AND run = ?",
                         (ledger.now() + spec.pause_s, spec.name, run))


def begin_attempt(ledger: Ledger, turn: Turn, recording: Recording) -> int:
    """Write down that a recording is being tried; returns the attempt's number."""
    with ledger.writing() as database:
        return database.execute(BEGIN, (turn.id, turn.job, recording.run, stored(recording.path), ledger.now())).lastrowid


def end_attempt(ledger: Ledger, spec: JobSpec, attempt: int, end: End) -> Recording | None:
    """Write down how an attempt ended and what that means for its recording, which is returned.

    None, and nothing is written, when another process has taken the work over meanwhile.
    """
    with ledger.writing() as database:
        if not _end(database, spec, attempt, end, ledger.now()):
            return None
        run = database.execute("SELECT run FROM attempts WHERE attempt = ?", (attempt,)).fetchone()["run"]
    return next(one for one in _recordings(ledger, spec, "TRUE") if one.run == run)


def take_over(ledger: Ledger, spec: JobSpec) -> int:
    """Settle what a process that is gone has left running, once its lease is ours; returns how many attempts there were.

    Each counts as a failure, so that a recording which takes the machine down is set aside in the end, and is due at once.
    """
    with ledger.writing() as database:
        now = ledger.now()
        left = database.execute("SELECT attempt, started FROM attempts WHERE job = ? AND outcome IS NULL", (spec.name,)).fetchall()
        for attempt, started in left:
            _end(database, spec, attempt, End("lost", "the process that was at it ended without a word", max(0.0, now - started)), now)
        database.execute("UPDATE turns SET state = 'waiting' WHERE job = ? AND state = 'running'", (spec.name,))
    return len(left)


def after(spec: JobSpec, outcome: str, failures: int, now: float) -> tuple[str, int, float | None]:
    """State, failures in a row, and next try of a recording after an attempt; failures: those before it."""
    if outcome == "done":
        return "done", 0, None
    if outcome == "cancelled":
        return "cancelled", failures, None
    if outcome == "busy":
        return "waiting", failures, now + spec.pause_s
    if outcome == "stopped":
        return ("failed", failures, now) if failures else ("waiting", 0, None)
    if failures >= spec.retries:
        return "set aside", failures + 1, None
    pause = 0.0 if outcome == "lost" else min(spec.pause_s * 2.0 ** min(failures, 99), spec.longest_pause_s)
    return "failed", failures + 1, now + pause


def _end(database: sqlite3.Connection, spec: JobSpec, attempt: int, end: End, now: float) -> bool:
    if not database.execute(END, (end.outcome, end.error, now, end.seconds, attempt)).rowcount:
        return False
    failures = database.execute("SELECT failures FROM attempts JOIN recordings USING (job, run) WHERE attempt = ?",
                                (attempt,)).fetchone()["failures"]
    state, failures, again = after(spec, end.outcome, failures, now)
    database.execute(SETTLE, {"state": state, "failures": failures, "next_try": again, "outcome": end.outcome,
                              "error": end.error, "counted": end.outcome in COUNTED, "attempt": attempt})
    return True
