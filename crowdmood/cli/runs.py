"""`crowdmood runs`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from crowdmood.cli import Lazy
from crowdmood.cli.settings import results_option

REMOVING = {
    "rm": ("runs_removal", "Remove runs."),
    "prune": ("runs_removal", "Remove old, failed or unfinished runs."),
    "forget-names": ("names_removal", "Forget what persons and speakers of a run are called."),
    "erase-person": ("runs_removal", "Erase persons from a run: from every table, and from its report."),
}
COLUMNS = ("run", "recording", "started", "length", "frames", "faces", "persons", "status")


@click.group(cls=Lazy, table=REMOVING, invoke_without_command=True, short_help="List what has been analyzed, or remove it.",
             subcommand_metavar="[COMMAND [ARGS]...]")
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
@click.pass_context
def runs(context: click.Context, results: str | None, as_json: bool) -> None:
    """List what has been analyzed, oldest first; or remove runs, or persons from them.

    \b
      crowdmood runs
      crowdmood runs --results /data/shows --json
      crowdmood runs rm concert.mp4
      crowdmood runs prune --older-than 90d
    """
    if context.invoked_subcommand is None:
        list_all(results, as_json)


def list_all(results: str | None, as_json: bool) -> None:
    """Print all runs, and on stderr what interrupted removals have left."""
    from crowdmood.removal import interrupted
    from crowdmood.results import list_runs, results_folder

    folder = results_folder(results)
    found = list_runs(folder) if folder.is_dir() else []
    if as_json:
        click.echo(json.dumps([as_object(row) for row in found], ensure_ascii=False, indent=1))
    elif found:
        show(found)
    else:
        click.echo(f"no runs in {folder} yet; `crowdmood analyze VIDEO` makes one", err=True)
    for row in interrupted(folder) if folder.is_dir() else ():
        click.echo(f"run {row['run']} of {row['recording']} is half removed; `crowdmood runs rm {row['run']}` removes the rest", err=True)


def as_object(row: dict[str, Any]) -> dict[str, Any]:
    """A run for programs: times as ISO 8601 in UTC."""
    times = {
        name: row[name].isoformat().replace("+00:00", "Z") for name in ("started", "finished") if row[name]
    }
    return row | times


def show(found: list[dict[str, Any]]) -> None:
    """Print the runs as a table."""
    from crowdmood.rows import write_aligned

    write_aligned(
        COLUMNS, [cells(row) for row in found], {"length", "frames", "faces", "persons"}, sys.stdout
    )


def cells(row: dict[str, Any]) -> list[str]:
    """A run as the cells of a table's row; the time in the local time zone."""
    from crowdmood.clock import format_time
    from crowdmood.rows import cut

    started = f"{row['started'].astimezone():%Y-%m-%d %H:%M}" if row["started"] else ""
    length = format_time(row["duration_s"]) if row["duration_s"] is not None else ""
    counts = ["" if row[name] is None else f"{row[name]:,}" for name in ("frames", "faces", "persons")]
    return [row["run"], cut(row["recording"], 40), started, length, *counts, cut(state(row), 100)]


def state(row: dict[str, Any]) -> str:
    """complete / unfinished, 12 of 40 chunks / failed: why"""
    if row["status"] == "unfinished":
        return f"unfinished, {row['chunks_done']} of {row['chunks']} chunks"
    return f"failed: {row['error']}" if row["status"] == "failed" else row["status"]
