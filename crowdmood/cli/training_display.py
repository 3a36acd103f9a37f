"""What a training shows: on a terminal the last epochs and a bar, elsewhere plain lines. All on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

SHOWN = 8  # epochs on a terminal
SILENT_S = 20.0  # elsewhere


@contextmanager
def reporter() -> Iterator[Callable]:
    """Yield `report(progress, title="")`, to be called after each batch and each epoch; title: which of several trainings."""
    if not sys.stderr.isatty():
        yield _plain_reporter()
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.fields[speed]}"))
    bars = Progress(*columns, console=console)
    task, epochs, shown = bars.add_task("", total=1.0, speed=""), [], ""
    with Live(bars, console=console, refresh_per_second=4) as live:

        def report(progress, title: str = "") -> None:
            nonlocal shown
            if title != shown:
                shown = title
                epochs.clear()
                bars.reset(task)
            if progress.measured:
                epochs.append(progress.measured)
                live.update(Group(_table(epochs), bars))
            else:
                bars.update(task, completed=progress.share, description=title or f"epoch {progress.epoch + 1}", speed=_loss(progress))

        yield report


def _table(epochs: list[dict]):
    """The last epochs, the best accuracy in bold, how the accuracy went as a row of bars above."""
    from rich.table import Table
    from rich.text import Text

    best = max(line["majority"] for line in epochs)
    table = Table(box=None, pad_edge=False, title=f"accuracy {sparks([line['majority'] for line in epochs])} best {best:.1%}", title_justify="left")
    for name in ("epoch", "train loss", "val loss", "accuracy", "clear", "label", "macro F1", "time"):
        table.add_column(name, justify="right")
    for line in epochs[-SHOWN:]:
        shares = [Text(f"{line[key]:.1%}", "bold green" if key == "majority" and line[key] == best else "")
                  for key in ("majority", "clear", "label")]  # fmt: skip
        table.add_row(str(line["epoch"]), f"{line['learned']:.3f}", f"{line['loss']:.3f}", *shares, f"{line['macro_f1']:.3f}",
                      f"{line['seconds']:.0f} s")  # fmt: skip
    return table


def sparks(values: list[float], most: int = 40) -> str:
    """Values as a row of bars from the least to the largest; of many, so many of them."""
    values = values[:: max(1, -(-len(values) // most))]
    low, high = min(values), max(values)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (value - low) / max(high - low, 1e-9))] for value in values)


def _plain_reporter() -> Callable:
    told = 0.0

    def report(progress, title: str = "") -> None:
        nonlocal told
        now, words = time.monotonic(), f"{title}  " if title else ""
        if progress.measured:
            click.echo(words + _figures(progress), err=True)
        elif now - told > SILENT_S:
            told = now
            click.echo(f"{words}{progress.share:6.1%}  epoch {progress.epoch}  {_loss(progress)}", err=True)

    return report


def _loss(progress) -> str:
    return f"loss {progress.loss:.3f}  rate {progress.rate:.4f}  {progress.crops_per_s:.0f} faces/s  {progress.seconds:.0f} s"


def _figures(progress) -> str:
    found = progress.measured
    sets = {"majority": "majority", "clear": "clear majority", "label": "label"} if found["voted"] else {"majority": "accuracy"}
    right = ", ".join(f"{words} {found[key]:.2%}" for key, words in sets.items())
    return (
        f"{progress.share:6.1%}  after epoch {found['epoch']}: public_test {right}, macro F1 {found['macro_f1']:.3f}, "
        f"loss {found['loss']:.3f}  ({found['seconds']:.0f} s)"
    )
