"""`crowdmood evaluate detector`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("detector")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with test.parquet: pictures and boxes that were not trained on.",
)
@click.option(
    "--model",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="A model folder. [default: the shipped one]",
)
@click.option(
    "--imgsz",
    type=click.IntRange(min=32),
    default=640,
    show_default=True,
    help="Longer side of what the network sees.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YuNet's ONNX file, to be measured beside it on the same pictures.",
)
@click.option(
    "--runtime", type=click.Choice(["openvino", "onnx", "torch"]), default="openvino", show_default=True
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads. [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--write", is_flag=True, help="Put the figures into the model's card and README.")
def detector(
    data: Path,
    folder: Path | None,
    imgsz: int,
    against: Path | None,
    runtime: str,
    threads: int | None,
    as_json: bool,
    write: bool,
) -> None:
    """Average precision and recall by size of face, on pictures the detector has not seen.

    \b
      crowdmood evaluate detector --data faces/
      crowdmood evaluate detector --data faces/ --model my-detector --against yunet.onnx --json
    """
    import json

    from crowdmood.models import FACE_DETECTOR, find_model
    from crowdmood.runtimes import choose_device, load_network
    from crowdmood.training import detector_evaluation as evaluation
    from crowdmood.training.detector_card import add_figures

    model = find_model(FACE_DETECTOR, folder)
    network = load_network(model, choose_device("cpu", runtime, threads))
    nms_iou = model.card.get("detect", {}).get("nms_iou", 0.5)
    detectors = {model.name: evaluation.network_detector(network, imgsz, nms_iou)}
    if against is not None:
        detectors[against.stem] = evaluation.yunet_detector(against)
    pictures = evaluation.read_pictures(data / "test.parquet")
    figures = {name: evaluation.evaluate(one, pictures) for name, one in detectors.items()}
    click.echo(json.dumps(figures, indent=2) if as_json else evaluation.table(figures))
    if write:
        add_figures(model.folder, figures)
