"""What `analyze` shows: progress on stderr (on a terminal), results on stdout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from crowdmood import analysis
from crowdmood.answers import MINUTES_FROM_S, overview_of
from crowdmood.batch import Item
from crowdmood.clock import format_time
from crowdmood.errors import one_line, told
from crowdmood.labels import EXPRESSIONS
from crowdmood.law import warning
from crowdmood.results import Run
from crowdmood.zoom.meetings import Meeting


class Display:
    """A progress bar while recordings are analyzed, and a summary of each when it is done."""

    def __init__(self, quiet: bool) -> None:
        self.errors = Console(stderr=True)
        self.under_way: dict[Path, analysis.Progress] = {}
        self.told: set[str] = set()
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
        self.under_way[path] = done
        self._show()

    def _show(self) -> None:
        if not (shown := list(self.under_way.items())):  # a copy: on a cluster recordings come from several threads
            return self.bar.update(self.task, description="opening", completed=0, total=None, faces=0)
        path, first = shown[0]
        step = "" if first.step == "scan" else ": linking"
        others = f" and {len(shown) - 1} more" if len(shown) > 1 else ""
        self.bar.update(self.task, description=f"{path.name}{step}{others}", completed=sum(one.chunks_done for _, one in shown),
                        total=sum(one.chunks for _, one in shown), faces=sum(one.faces for _, one in shown))

    def result(self, item: Item, as_json: bool) -> None:
        """Print one recording's outcome: JSON or a table on stdout, an error on stderr."""
        self.under_way.pop(item.path, None)
        self._show()
        if as_json:
            click.echo(json.dumps(as_object(item), default=str))
        elif item.run is not None:
            print_summary(item)
        if item.error is not None:
            click.echo(f"crowdmood: {told(item.error)}", err=True)
        if item.run is not None:
            self._say_law(item.run.info)

    def _say_law(self, info: dict) -> None:
        """What the law says of a meeting, on stderr: once, however many recordings are analyzed."""
        words = warning(info.get("layout"), info.get("context"))
        if words is not None and words not in self.told:
            self.told.add(words)
            click.echo(f"crowdmood: {words}", err=True)


def write_progress(path: Path, done: analysis.Progress) -> None:
    """A line on stderr for programs: how far a recording is."""
    click.echo(json.dumps({"recording": str(path), **asdict(done)}), err=True)


def figures(run: Run) -> dict:
    """A run in a few figures, asked with the queries of the report, so that both say the same."""
    seen, best = overview_of(run), run.ask("happiest").to_pylist()
    long = seen["end_s"] - seen["start_s"] >= MINUTES_FROM_S
    return {
        **{name: seen[name] for name in ("frames", "faces", "usable_faces", "persons", "coverage", "positivity")},
        "duration_s": run.info["duration_s"],
        "mix": {name: seen[name] for name in EXPRESSIONS},
        "happiest": next((row for row in best if row["span"] == ("minute" if long else "second")), None),
    }


def as_object(item: Item) -> dict:
    """One recording's outcome for programs."""
    if item.run is None:
        return {"recording": str(item.path), "error": str(item.error)}
    return {"recording": str(item.path), "run": item.run.id, "results": str(item.run.results),
            "report": item.report and str(item.report), **figures(item.run)}


def read_of(meeting: Meeting) -> str:
    """Which files of a meeting were read."""
    kinds = list(dict.fromkeys(side.kind for side in meeting.side if side.kind != "audio"))
    parts = f" in {len(meeting.parts)} parts" if len(meeting.parts) > 1 else ""
    return f"{meeting.view}{parts}" + (f"; with {', '.join(kinds)}" if kinds else "")


def print_summary(item: Item) -> None:
    """The small table at the end of an analysis."""
    for name, text in summary(item):
        click.echo(f"{name:<10} {one_line(text)}")


def summary(item: Item) -> Iterator[tuple[str, str]]:
    """Name and text of each line of the small table."""
    seen, info = figures(item.run), item.run.info
    duration = format_time(seen["duration_s"]) if seen["duration_s"] is not None else "unknown length"
    yield "recording", f"{info['recording']}, {duration}, {seen['frames']:,} frames analyzed"
    if isinstance(item.path, Meeting):
        yield "zoom", read_of(item.path)
    yield "run", f"{item.run.id}, {info['decoder']}, {info['runtime']} on {info['device']}, {info['seconds']:.1f} s"
    yield "persons", f"{seen['persons']:,}"
    yield "faces", f"{seen['faces']:,}, of which {seen['usable_faces']:,} clear enough to be read"
    if seen["usable_faces"]:
        shares = sorted(seen["mix"].items(), key=lambda pair: -pair[1])
        yield "shown", ", ".join(f"{name} {share:.0%}" for name, share in shares)
    if best := seen["happiest"]:  # none where a run keeps no figures of few persons
        yield "happiest", (f"{best['span']} {format_time(best['start_s'])}, happy {best['happy']:.0%}, "
                           f"{best['faces']} faces of {best['persons']} persons")
    if item.report is not None:
        yield "report", str(item.report)
