"""`crowdmood train expression`: trains the expression net and writes its model folder."""

from __future__ import annotations

from pathlib import Path

import click

from crowdmood.cli.training_options import DATA, FORMS, SPLIT_SEED, training_options


@click.command("expression")
@click.option("--data", required=True, type=DATA, help=FORMS)
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Model folder to write."
)
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Budget of time; the schedule follows it."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Budget of epochs, instead of --minutes.")
@training_options
@SPLIT_SEED
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the training is kept.  [default: OUT/checkpoint.pt]",
)
@click.option(
    "--resume/--fresh", default=True, show_default=True, help="Go on from the checkpoint, or begin anew."
)
@click.option(
    "--begin-with", metavar="FOLDER", help="A model of the same shape to go on from.  [default: weights by chance]"
)
@click.option("--export-only", is_flag=True, help="Write the model folder from the checkpoint as it is now.")
def expression(
    data: Path, out: Path, checkpoint: Path | None, resume: bool, export_only: bool, **options
) -> None:
    """Train the expression net on DATA; write weights, ONNX, card, README, recipe and curves (CSV; for TensorBoard too, where
    it is installed) to OUT.

    Killed in the middle, the same command goes on from its last checkpoint (at most two minutes are lost). Splits that DATA
    does not have are drawn: a tenth each to choose by and to measure on, identical pictures always on one side.

    \b
      crowdmood train expression --data fer2013.csv --out my-net --minutes 60
      crowdmood train expression --data faces/ --out my-net --epochs 40 --early-stopping --class-weights balanced
      crowdmood train expression --data faces/ --labels happy,sad --out my-net --epochs 40 --recipe tuned/recipe.toml
    """
    checkpoint = checkpoint or out / "checkpoint.pt"
    if export_only and not checkpoint.exists():
        raise click.UsageError(f"no checkpoint at {checkpoint}: train first")
    if not export_only:
        if (options["minutes"] is None) == (options["epochs"] is None):
            raise click.UsageError("give --minutes or --epochs, one of the two")
        _train(data, out, checkpoint, resume, options)
    from crowdmood.training.expression_export import write_model

    for line in write_model(checkpoint, data, out):
        click.echo(line)


def _train(data: Path, out: Path, checkpoint: Path, resume: bool, options: dict) -> None:
    from crowdmood.cli.training_display import reporter
    from crowdmood.cli.training_options import settings_of
    from crowdmood.training.expression import train
    from crowdmood.training.expression_data import read_faces

    settings = settings_of(**options)
    faces = read_faces(data, settings.labels, settings.split_seed)
    if not resume:
        checkpoint.unlink(missing_ok=True)
    with reporter() as report:
        train(faces, checkpoint, settings, report, out)
