"""What `crowdmood jobs history` prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from crowdmood.scheduling.spec import JobSpec

COLUMNS = ("time", "job", "what", "outcome", "seconds", "note")
CAUSES = {"schedule": "due", "watch": "new files", "retry": "tried again", "hand": "by hand"}
WIDEST = 60


def collected(specs: Sequence[JobSpec], name: str | None, failed: bool, most: int) -> dict[str, list[dict[str, Any]]]:
    """The turns of a job (None: of all that have used these results) with their attempts, oldest first, and the recordings
    that are not done; times as ISO 8601 in UTC.
    """
    from crowdmood.results import results_folder
    from crowdmood.scheduling import history
    from crowdmood.scheduling.ledger import Ledger, ledger_path

    folders = [spec.results for spec in specs] + ([] if name else [results_folder()])
    turns, left = [], []
    for folder in {str(folder): folder for folder in folders if ledger_path(folder).exists()}.values():
        ledger = Ledger(folder)
        turns += history.turns_of(ledger, name, failed, most)
        left += history.left(ledger, name)
    turns.sort(key=lambda turn: (turn["due"], turn["turn"]))
    return {"turns": [_plain(turn) for turn in turns], "left": [_plain(one) for one in left]}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """For programs: times as text, in UTC."""
    plain = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            value = value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        plain[name] = [_plain(one) for one in value] if isinstance(value, list) else value
    return plain


def show(found: dict[str, list[dict[str, Any]]], failed: bool) -> None:
    """Print the turns as a table, each with its attempts below it, and then what is to be tried again."""
    from crowdmood.rows import write_aligned

    if not found["turns"]:
        return click.echo("nothing has failed" if failed else "no job has been run yet; `crowdmood jobs run NAME` runs one", err=True)
    write_aligned(COLUMNS, [row for turn in found["turns"] for row in _lines(turn)], {"seconds"}, sys.stdout)
    for one in found["left"]:
        if one["state"] != "waiting":
            click.echo(_left(one))
    return None


def _lines(turn: dict[str, Any]) -> Iterator[list[str]]:
    counts = f"{turn['done']} done, {turn['failed']} failed, of {turn['found']} found" if turn["found"] is not None else ""
    note = "; ".join(filter(None, (counts, turn["error"])))
    yield [_local(turn["due"]), turn["job"], CAUSES[turn["cause"]], turn["state"], _seconds(turn["started"], turn["finished"]), _cut(note, 100)]
    for one in turn["attempts"]:
        seconds = "" if one["seconds"] is None else f"{one['seconds']:.1f}"
        name = one["recording"].rpartition("/")[2]
        yield [_local(one["started"]), "", f"  {_cut(name, WIDEST)}", one["outcome"], seconds, _cut(one["error"] or "", 100)]


def _left(one: dict[str, Any]) -> str:
    """How it stands with a recording that is not done."""
    from crowdmood.scheduling.log import printable

    name = printable(one["recording"].rpartition("/")[2])
    error = f": {printable(one['error']).removeprefix(f'{name}: ')}" if one["error"] else ""
    if one["state"] == "failed":
        return f"{name} failed {one['failures']} times and is tried again at {_local(one['next_try'])}{error}"
    if one["state"] == "cancelled":
        return f"{name} was cancelled; `crowdmood jobs run {one['job']}` goes on"
    return f"{name} is set aside after {one['failures']} failures{error}; `crowdmood jobs retry {one['job']}` tries it again"


def _seconds(started: str | None, finished: str | None) -> str:
    if not started or not finished:
        return ""
    return f"{(_moment(finished) - _moment(started)).total_seconds():.1f}"


def _local(text: str | None) -> str:
    return f"{_moment(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else "once"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _cut(text: str, width: int) -> str:
    from crowdmood.rows import cut
    from crowdmood.scheduling.log import printable

    return cut(printable(text), width)
