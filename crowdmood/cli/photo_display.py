"""What `photos rank` shows while it works: progress on stderr, on a terminal only."""

from __future__ import annotations

import json
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

STEPS = {"look": "looking through", "scan": "reading faces", "features": "light and colours", "folds": "measuring, folds"}


class PhotoBar:
    """A progress bar over photos."""

    def __init__(self, quiet: bool) -> None:
        errors = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=errors, transient=True, disable=quiet or not errors.is_terminal)
        self.task = self.bar.add_task("opening", total=None)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        self.bar.stop()

    def progress(self, step: str, done: int, total: int) -> None:
        """Show how far a step is."""
        self.bar.update(self.task, description=STEPS[step], completed=done, total=total)


def write_progress(step: str, done: int, total: int) -> None:
    """A line on stderr for programs."""
    click.echo(json.dumps({"step": step, "done": done, "total": total}), err=True)
