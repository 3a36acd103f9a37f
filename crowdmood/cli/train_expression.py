"""`crowdmood train expression`: trains the expression net and writes its model folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import click


@click.command("expression")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table of labelled faces (Parquet).",
)
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Model folder to write."
)
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Budget of time; the schedule follows it."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Budget of epochs, instead of --minutes.")
@click.option("--seed", default=0, show_default=True, help="Of weights, order and augmentation.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1), help="CPU threads.")
@click.option("--batch", default=128, show_default=True, type=click.IntRange(min=2), help="Faces per step.")
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the training is kept.  [default: OUT/checkpoint.pt]",
)
@click.option(
    "--resume/--fresh", default=True, show_default=True, help="Go on from the checkpoint, or begin anew."
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option(
    "--begin-with", metavar="FOLDER", help="A model of the same shape to go on from.  [default: weights by chance]"
)
@click.option("--export-only", is_flag=True, help="Write the model folder from the checkpoint as it is now.")
def expression(
    data: Path, out: Path, checkpoint: Path | None, resume: bool, export_only: bool, **options
) -> None:
    """Train the expression net on DATA; write weights, ONNX, card and README to OUT.

    Killed in the middle, the same command goes on from its last checkpoint (at most two minutes are lost).

    \b
    crowdmood train expression --data fer2013.parquet --out models/expression-2 --minutes 60
    """
    from crowdmood.training.expression import Settings, train
    from crowdmood.training.expression_data import read_faces

    checkpoint = checkpoint or out / "checkpoint.pt"
    if not export_only:
        if (options["minutes"] is None) == (options["epochs"] is None):
            raise click.UsageError("give --minutes or --epochs, one of the two")
        if not resume:
            checkpoint.unlink(missing_ok=True)
        with _reporter() as report:
            train(read_faces(data), checkpoint, Settings(**options), report)
    elif not checkpoint.exists():
        raise click.UsageError(f"no checkpoint at {checkpoint}: train first")
    from crowdmood.training.expression_export import write_model

    for line in write_model(checkpoint, data, out):
        click.echo(line)


@contextmanager
def _reporter() -> Callable:
    """A bar on a terminal; elsewhere a plain line every 20 seconds and at the end of each epoch."""
    if not sys.stderr.isatty():
        yield _plain_reporter()
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("training", total=1.0)

        def report(progress) -> None:
            bars.update(task, completed=progress.share, description=_speed(progress))
            if progress.measured:
                bars.console.print(_figures(progress))

        yield report


def _plain_reporter() -> Callable:
    told = 0.0

    def report(progress) -> None:
        nonlocal told
        now = time.monotonic()
        if progress.measured:
            click.echo(_figures(progress), err=True)
        elif now - told > 20:
            told = now
            click.echo(f"{progress.share:6.1%}  {_speed(progress)}", err=True)

    return report


def _speed(progress) -> str:
    return (
        f"epoch {progress.epoch}  loss {progress.loss:.3f}  rate {progress.rate:.4f}  "
        f"{progress.crops_per_s:.0f} faces/s  {progress.seconds:.0f} s"
    )


def _figures(progress) -> str:
    found = progress.measured
    return (
        f"{progress.share:6.1%}  after epoch {found['epoch']}: public_test majority {found['majority']:.2%}, "
        f"clear majority {found['clear']:.2%}, label {found['label']:.2%}  ({found['seconds']:.0f} s)"
    )
