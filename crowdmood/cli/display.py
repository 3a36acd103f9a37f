"""What `analyze` shows: progress on stderr (on a terminal), results on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from crowdmood.batch import Item
from crowdmood.clock import format_time
from crowdmood.labels import EXPRESSIONS
from crowdmood.results import Run

SUMMARY = """
SELECT count(*) AS faces, count(*) FILTER (usable) AS usable, {means} FROM faces
"""
HAPPIEST = """
SELECT second, happy, persons FROM timeline WHERE happy IS NOT NULL ORDER BY happy DESC, second LIMIT 1
"""


class Display:
    """A progress bar while recordings are analyzed, and a summary of each when it is done."""

    def __init__(self, quiet: bool, recordings: int) -> None:
        self.errors = Console(stderr=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                   TextColumn("{task.fields[faces]:,} faces"), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.errors, transient=True,
                            disable=quiet or not self.errors.is_terminal)
        self.task = self.bar.add_task("opening", total=None, faces=0)

    def __enter__(self) -> Display:
        self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        self.bar.stop()

    def progress(self, path: Path, done) -> None:
        """Show how far a recording is: chunks (30 s of recording each) of all chunks."""
        step = "" if done.step == "scan" else ": linking"
        self.bar.update(self.task, description=f"{path.name}{step}", completed=done.chunks_done, total=done.chunks,
                        faces=done.faces)

    def result(self, item: Item, as_json: bool) -> None:
        """Print one recording's outcome: JSON or a table on stdout, an error on stderr."""
        self.bar.update(self.task, description="opening", completed=0, total=None, faces=0)
        if as_json:
            click.echo(json.dumps(as_object(item), default=str))
        elif item.run is not None:
            print_summary(item)
        if item.error is not None:
            click.echo(f"crowdmood: {item.error}", err=True)


def figures(run: Run) -> dict:
    """A run in a few figures: faces, usable faces, persons, share of each expression, happiest second."""
    means = ", ".join(f"avg({name}) FILTER (usable) AS {name}" for name in EXPRESSIONS)
    mix = run.sql(SUMMARY.format(means=means)).to_pylist()[0]
    best = run.sql(HAPPIEST).to_pylist()
    return {
        "faces": mix.pop("faces"), "usable_faces": mix.pop("usable"), "persons": run.info["persons"],
        "frames": run.info["frames_analyzed"], "duration_s": run.info["duration_s"], "mix": mix,
        "happiest": best[0] if best else None,
    }


def as_object(item: Item) -> dict:
    """One recording's outcome for programs."""
    if item.run is None:
        return {"recording": str(item.path), "error": str(item.error)}
    return {"recording": str(item.path), "run": item.run.id, "results": str(item.run.results),
            "report": item.report and str(item.report), **figures(item.run)}


def print_summary(item: Item) -> None:
    """The small table at the end of an analysis."""
    seen = figures(item.run)
    info = item.run.info
    table = Table(title=None, show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    duration = format_time(seen["duration_s"]) if seen["duration_s"] is not None else "unknown length"
    table.add_row("recording", f"{info['recording']}  {duration}, {seen['frames']:,} frames analyzed")
    table.add_row("run", f"{item.run.id}  {info['decoder']}, {info['runtime']} on {info['device']}, "
                         f"{info['seconds']:.1f} s")
    table.add_row("persons", f"{seen['persons']:,}")
    table.add_row("faces", f"{seen['faces']:,}, of which {seen['usable_faces']:,} clear enough to be read")
    if seen["usable_faces"]:
        shares = sorted(seen["mix"].items(), key=lambda pair: -pair[1])
        table.add_row("shown", "  ".join(f"{name} {share:.0%}" for name, share in shares if share >= 0.005))
        best = seen["happiest"]
        table.add_row("happiest", f"{format_time(best['second'])}  happy {best['happy']:.0%}, "
                                  f"persons {best['persons']}")
    if item.report is not None:
        table.add_row("report", str(item.report))
    Console(soft_wrap=True, markup=False, highlight=False).print(table)
