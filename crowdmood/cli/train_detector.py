"""`crowdmood train detector`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("detector")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with train*.parquet: pictures and boxes.",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    help="A model folder to go on from, or COCO weights of the architecture (.pt). The latter is a pickle, that is "
    "code: only a file you trust.  [default: random weights]",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the picture cache, the checkpoint and the finished model.",
)
@click.option(
    "--architecture",
    type=click.Choice(["yolov8n", "yolo11n", "yolo26n", "yolo11n-narrow"]),
    default="yolo11n",
    show_default=True,
)
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), default=12.0, show_default=True)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Cool down and end after so much training time, if that is before the epochs. [default: no limit]",
)
@click.option(
    "--imgsz",
    type=click.IntRange(min=96),
    default=416,
    show_default=True,
    help="Side of a training picture, a multiple of 32.",
)
@click.option(
    "--crowds",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Share of training pictures that are made up: crowds, galleries, dark stages, scenes without a face.",
)
@click.option("--batch", type=click.IntRange(min=2), default=16, show_default=True)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Highest learning rate.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--save-every",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Steps between checkpoints.",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option(
    "--resume/--restart",
    default=True,
    show_default=True,
    help="Go on from the checkpoint in --out, or begin again and overwrite it.",
)
@click.option("--export-only", is_flag=True, help="Write the model of the last checkpoint and do not train.")
@click.option("--note", default="", help="A sentence for the model's card.")
@click.option(
    "--model",
    "model_folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder the finished model is written to. [default: OUT/model]",
)
def detector(
    data: Path,
    start: Path | None,
    out: Path,
    threads: int,
    device: str,
    resume: bool,
    export_only: bool,
    model_folder: Path | None,
    note: str,
    **choices,
) -> None:
    """Train the face detector. Killed at any moment, the same command goes on from the last checkpoint.

    \b
      crowdmood train detector --data faces/ --start yolo11n.pt --out my-detector --minutes 60
    """
    import torch

    from crowdmood.training.detector import Places, Settings, train_detector
    from crowdmood.training.detector_export import export_detector

    torch.set_num_threads(threads)
    places = Places(data, start, out)
    if not export_only:
        if not resume:
            places.checkpoint.unlink(missing_ok=True)
        train_detector(places, Settings(**choices), device, say=click.echo)
    click.echo(export_detector(places, model_folder or out / "model", note, say=click.echo))
