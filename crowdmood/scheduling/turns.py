"""Turns: each due time of a job, and each other occasion on which it is run, from being due to its end."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from crowdmood.scheduling.ledger import Ledger
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.times import due_times

GRACE_S = 600.0  # with catch_up = "skip": a due time that is seen later than this was missed
SINCE = """
INSERT INTO jobs (job, since) VALUES (:job, :now)
ON CONFLICT (job) DO UPDATE SET since = min(since, :now)   -- later than now: the clock was wrong
"""
LAST_DUE = """
SELECT max(since, coalesce((SELECT max(due) FROM turns WHERE job = :job AND cause = 'schedule' AND due <= :now), 0))
FROM jobs WHERE job = :job
"""
SUPERSEDE = """
UPDATE turns SET state = 'skipped', finished = :now, error = :why
WHERE job = :job AND cause = 'schedule' AND state = 'waiting' AND due < :due
"""


@dataclass(frozen=True)
class Turn:
    """A turn of a job. cause: 'schedule', 'watch', 'retry' or 'hand'; due: seconds since 1970."""

    id: int
    job: str
    cause: str
    due: float


def note_due(ledger: Ledger, spec: JobSpec) -> int:
    """Write down the due times that have come since the last look; returns how many are new.

    No time before the job was seen first counts. Of several that wait, catch_up says which are run: 'all', the newest
    ('once'), or the newest unless it was missed ('skip').
    """
    now = ledger.now()
    after = _last_due(ledger, spec.name, now)
    times = [time.timestamp() for time in due_times(spec, _moment(after), _moment(now))]
    if not times:
        return 0
    with ledger.writing() as database:
        new = database.executemany("INSERT OR IGNORE INTO turns (job, cause, due) VALUES (?, 'schedule', ?)",
                                   [(spec.name, due) for due in times]).rowcount
        if new and spec.catch_up != "all":
            _supersede(database, spec, times[-1], now)
    return new


def _supersede(database: sqlite3.Connection, spec: JobSpec, newest: float, now: float) -> None:
    facts = {"job": spec.name, "now": now}
    if spec.catch_up == "skip" and now - newest > GRACE_S:
        database.execute(SUPERSEDE, facts | {"due": newest + 1, "why": 'missed; the job has catch_up = "skip"'})
    else:
        database.execute(SUPERSEDE, facts | {"due": newest, "why": "caught up with the next one"})


def _last_due(ledger: Ledger, job: str, now: float) -> float:
    """The newest due time that is written down, else when the job was seen first. Those after `now` do not count: the clock
    was put back since.
    """
    facts = {"job": job, "now": now}
    with ledger.reading() as database:
        row = database.execute("SELECT since FROM jobs WHERE job = ?", (job,)).fetchone()
    if row is None or row["since"] > now:
        with ledger.writing() as database:
            database.execute(SINCE, facts)
    with ledger.reading() as database:
        return database.execute(LAST_DUE, facts).fetchone()[0]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def waiting(ledger: Ledger, job: str) -> Turn | None:
    """The oldest turn that waits to be run."""
    with ledger.reading() as database:
        row = database.execute("SELECT turn, job, cause, due FROM turns WHERE job = ? AND state = 'waiting' ORDER BY due LIMIT 1",
                               (job,)).fetchone()
    return Turn(*row) if row else None


def add(ledger: Ledger, job: str, cause: str) -> Turn:
    """A new turn that is due now."""
    now = ledger.now()
    with ledger.writing() as database:
        database.execute(SINCE, {"job": job, "now": now})
        number = database.execute("INSERT INTO turns (job, cause, due) VALUES (?, ?, ?)", (job, cause, now)).lastrowid
    return Turn(number, job, cause, now)


def begin(ledger: Ledger, turn: Turn) -> None:
    """Mark a turn as running; one that goes on keeps its start."""
    with ledger.writing() as database:
        database.execute("UPDATE turns SET state = 'running', started = coalesce(started, ?) WHERE turn = ?", (ledger.now(), turn.id))


def finish(ledger: Ledger, turn: Turn, state: str, error: str | None = None, **counts: int) -> None:
    """End a turn. counts: found, done, failed."""
    facts = {"found": None, "done": None, "failed": None} | counts
    with ledger.writing() as database:
        database.execute("UPDATE turns SET state = :state, finished = :now, error = :error, found = :found, done = :done, "
                         "failed = :failed WHERE turn = :turn",
                         facts | {"turn": turn.id, "state": state, "now": ledger.now(), "error": error})


def put_back(ledger: Ledger, turn: Turn) -> None:
    """Let a turn that was stopped wait, to be gone on with."""
    with ledger.writing() as database:
        database.execute("UPDATE turns SET state = 'waiting' WHERE turn = ? AND state = 'running'", (turn.id,))


def last_error(ledger: Ledger, job: str, cause: str) -> str | None:
    """The error of a job's last turn of this cause; None when it had none."""
    with ledger.reading() as database:
        row = database.execute("SELECT error FROM turns WHERE job = ? AND cause = ? ORDER BY turn DESC LIMIT 1", (job, cause)).fetchone()
    return row["error"] if row else None


def cancel(ledger: Ledger, job: str) -> int:
    """Ask for the end of a job's turns that run, and drop those that wait; returns how many there were."""
    with ledger.writing() as database:
        dropped = database.execute("UPDATE turns SET state = 'cancelled', finished = ? WHERE job = ? AND state = 'waiting'",
                                   (ledger.now(), job)).rowcount
        asked = database.execute("UPDATE turns SET cancel = 1 WHERE job = ? AND state = 'running'", (job,)).rowcount
    return dropped + asked


def is_running(ledger: Ledger, job: str) -> bool:
    """Whether a turn of a job runs, or did when its process was killed."""
    with ledger.reading() as database:
        return database.execute("SELECT 1 FROM turns WHERE job = ? AND state = 'running'", (job,)).fetchone() is not None


def is_cancelled(ledger: Ledger, turn: Turn) -> bool:
    """Whether somebody asked for the end of a turn."""
    with ledger.reading() as database:
        return bool(database.execute("SELECT cancel FROM turns WHERE turn = ?", (turn.id,)).fetchone()[0])


def look_again(ledger: Ledger, job: str, when: float | None) -> None:
    """Note when to look at a job's sources again because recordings were still growing; None: no need."""
    with ledger.writing() as database:
        database.execute("UPDATE jobs SET look_again = ? WHERE job = ?", (when, job))


def looks_again(ledger: Ledger, job: str) -> float | None:
    """What `look_again` noted."""
    with ledger.reading() as database:
        row = database.execute("SELECT look_again FROM jobs WHERE job = ?", (job,)).fetchone()
    return row["look_again"] if row else None
