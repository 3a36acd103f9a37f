"""What jobs have done, and what has not been done yet, as rows for people and programs."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from crowdmood.scheduling.ledger import Ledger, restored

TIMES = ("due", "started", "finished", "next_try")
TURNS = """
SELECT turn, job, cause, due, state, started, finished, found, done, failed, error
FROM turns
WHERE (:job IS NULL OR job = :job) AND (NOT :failed OR state IN ('failed', 'some failed') OR turn IN (
    SELECT turn FROM attempts WHERE outcome IN ('failed', 'crashed', 'lost')))
ORDER BY due DESC, turn DESC
LIMIT :most
"""
ATTEMPTS = """
SELECT turn, path AS recording, run, started, finished, seconds, coalesce(outcome, 'running') AS outcome, error
FROM attempts
WHERE turn IN (SELECT value FROM json_each(:turns)) AND (NOT :failed OR outcome IN ('failed', 'crashed', 'lost'))
ORDER BY attempt
"""
LEFT = """
SELECT job, path AS recording, run, state, failures, next_try, error
FROM recordings
WHERE (:job IS NULL OR job = :job) AND state IN ('waiting', 'failed', 'set aside', 'cancelled')
ORDER BY job, state, path
"""


def turns_of(ledger: Ledger, job: str | None, failed: bool = False, most: int = 1000) -> list[dict[str, Any]]:
    """The newest turns of a job (None: of all), oldest first, each with its `attempts`. failed: only what went wrong.

    Times are aware and in UTC; those that are not known yet are None.
    """
    facts = {"job": job, "failed": failed, "most": most}
    with ledger.reading() as database:
        turns = [_row(row) for row in database.execute(TURNS, facts)][::-1]
        numbers = f"[{','.join(str(turn['turn']) for turn in turns)}]"
        attempts = _grouped(database.execute(ATTEMPTS, {"turns": numbers, "failed": failed}))
    return [turn | {"attempts": attempts[turn["turn"]]} for turn in turns]


def left(ledger: Ledger, job: str | None) -> list[dict[str, Any]]:
    """Recordings of a job (None: of all) that are not done: waiting, failed, set aside or cancelled."""
    with ledger.reading() as database:
        return [_row(row) for row in database.execute(LEFT, {"job": job})]


def _grouped(rows: Iterable[sqlite3.Row]) -> dict[int, list[dict[str, Any]]]:
    groups = defaultdict(list)
    for row in rows:
        facts = _row(row)
        groups[facts.pop("turn")].append(facts)
    return groups


def _row(row: sqlite3.Row) -> dict[str, Any]:
    facts = dict(row)
    for name in TIMES:
        if facts.get(name) is not None:
            facts[name] = datetime.fromtimestamp(facts[name], UTC)
    if "recording" in facts:
        facts["recording"] = restored(facts["recording"])
    return facts
