"""`crowdmood evaluate detector`."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
TIMED = 40  # pictures that times are taken on


def _tile_list(context: click.Context, option: click.Parameter, text: str | None) -> list[str]:
    settings = text.lower().split(",") if text else []
    for one in settings:
        if not re.fullmatch(r"auto|off|[1-9]x[1-9]", one):
            raise click.BadParameter(f"'{one}' is not auto, off, or rows x columns such as 2x3")
    return settings


@click.command("detector")
@click.option("--data", type=FOLDER, help="Folder with test.parquet: pictures and boxes that were not trained on.")
@click.option("--model", "folder", type=click.Path(path_type=Path),
              help="A model folder, or an ultralytics .pt (a pickle, that is code). [default: the shipped one]")
@click.option("--beside", type=click.Path(exists=True, path_type=Path), multiple=True,
              help="Another model, as for --model, measured on the same pictures. Repeatable.")
@click.option("--against", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True,
              help="ONNX file of YuNet, the ultra-light or a YOLOv8 face detector, measured on the same pictures. "
              "Repeatable.")
@click.option("--face-free", multiple=True, metavar="PATH",
              help="Film, picture or folder without a face, or a part of a film: FILE@3.1-7 (seconds), FILE@73f-168f "
              "(frames). Repeatable.")
@click.option("--scenes", type=click.IntRange(min=0), default=0, help="So many generated pictures without a face.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Draw all false faces into this PNG.")
@click.option("--tiles", metavar="LIST", callback=_tile_list,
              help="Recall and cost of tiles on crowds, for example off,2x2,3x3,auto.")
@click.option("--widerface", type=FOLDER,
              help="WIDER FACE: its validation pictures and ground_truth; official protocol.")
@click.option("--imgsz", type=click.IntRange(min=32), default=640, show_default=True,
              help="Longer side of what every detector sees.")
@click.option("--runtime", type=click.Choice(["openvino", "onnx", "torch"]), default="openvino", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--write", is_flag=True, help="Put the figures and their curves into the model's card and README.")
def detector(as_json: bool, write: bool, **wanted) -> None:
    """Average precision and recall by size of face, false faces, time, and what tiles bring; one CPU thread.

    \b
      crowdmood evaluate detector --data faces/
      crowdmood evaluate detector --data faces/ --against yunet.onnx --against rfb.onnx --beside former-model/
      crowdmood evaluate detector --face-free cartoon.mp4 --face-free film.mov@3.1-7 --scenes 600
      crowdmood evaluate detector --data faces/ --tiles off,2x2,3x3,auto --write
      crowdmood evaluate detector --widerface WIDER/
    """
    import json

    import cv2

    from crowdmood.own_detector import find_detector

    cv2.setNumThreads(1)
    if wanted["tiles"] and wanted["data"] is None:
        raise click.UsageError("--tiles is measured on the crowds of --data")
    model = find_detector(wanted.pop("folder"))
    figures = _measure(model, write=write, **wanted)
    if not figures:
        raise click.UsageError("nothing to measure: give --data, --face-free, --scenes or --widerface")
    click.echo(json.dumps(figures, indent=2) if as_json else _text(figures))
    if write:
        from crowdmood.training.detector_card import add_figures

        figures.pop("rules", None)  # shown, and too many for the card
        words = [word.rsplit("/", 1)[-1] for word in sys.argv[1:]]  # what lies where is nobody's business
        add_figures(model.folder, {**figures, "evaluation": {"command": shlex.join(["crowdmood", *words])}})


def _measure(model, data, beside, against, face_free, scenes, sheet, tiles, widerface, imgsz, runtime, write) -> dict:
    """Everything that was asked for, by section of the card."""
    from crowdmood.own_detector import find_detector
    from crowdmood.training.detector_contestants import own, references
    from crowdmood.training.detector_evaluation import read_pictures

    others = [find_detector(path) for path in beside]
    contestants = [own(one, runtime, imgsz) for one in (model, *others)]
    for path in against:
        contestants += references(path, runtime, imgsz)
    if len({one.name for one in contestants}) < len(contestants):
        raise click.UsageError("two of the detectors have the same name; give one of them another in its card")
    figures: dict = {}
    if data is not None:
        pictures = read_pictures(data / "test.parquet")
        if tiles:
            figures |= _tiles(model, data, pictures, tiles, imgsz, runtime)
        figures |= _pictures(contestants, pictures, model.folder if write else None)
    if face_free or scenes:
        figures["false_faces"] = _false_faces(contestants, face_free, scenes, sheet)
    if widerface is not None:
        figures["widerface"] = _widerface(contestants, widerface)
    return figures


def _pictures(contestants: list, pictures: list[dict], folder: Path | None) -> dict:
    """By size of face, and times; with a folder, the curves are drawn there."""
    from crowdmood.training import detector_contestants as side_by_side
    from crowdmood.training.detector_evaluation import evaluate
    from crowdmood.training.detector_plots import curves_png
    from crowdmood.training.detector_tables import CURVES

    images = [row["image"] for row in pictures]
    found = side_by_side.find_all(contestants, images, _say)
    scores = {one.name: one.score for one in contestants}
    timed = side_by_side.of_one_size(images, TIMED)
    ms = side_by_side.milliseconds(contestants, timed)
    if folder is not None:
        curves_png(folder / CURVES, found, pictures, scores)
    speed: dict = {"picture": f"{timed[0].shape[1]} x {timed[0].shape[0]}"}
    for one in contestants:
        wall, cpu = ms[one.name]
        speed[one.name] = {"ms": wall, "processor_ms": cpu, "runtime": one.runtime, "score": round(one.score, 3)}
    return {"metrics": evaluate(found, pictures, scores), "speed": speed}


def _false_faces(contestants: list, face_free: tuple[str, ...], scenes: int, sheet: Path | None) -> dict:
    from crowdmood.training import detector_false_faces as false_faces

    kept: list = []
    material = {
        "films": (frame for source in face_free for frame in false_faces.frames_of(source)),
        "scenes": false_faces.scenes(scenes),
    }
    figures = {}
    for kind, asked in (("films", face_free), ("scenes", scenes)):
        if asked:
            figures[kind] = false_faces.count_false_faces(contestants, material[kind], kept)
            _say(f"{kind}: {next(iter(figures[kind].values()))['frames']} frames")
    if sheet is not None:
        false_faces.draw_sheet(sheet, kept)
    return figures


def _tiles(model, data: Path, pictures: list[dict], settings: list[str], imgsz: int, runtime: str) -> dict:
    from crowdmood.training.detector_contestants import with_tiles
    from crowdmood.training.detector_tiles import frames, measure_tiles

    finders = with_tiles(model, runtime, imgsz, settings)
    tables, rules = measure_tiles(finders, frames(data / "test.parquet", pictures))
    return {"tiles": tables, "rules": rules} if rules else {"tiles": tables}


def _widerface(contestants: list, folder: Path) -> dict:
    from crowdmood.training.detector_evaluation import LOWEST_SCORE
    from crowdmood.training.detector_widerface import (
        find_in,
        read_widerface,
        widerface_ap,
    )

    pictures = read_widerface(folder)
    found = {one.name: find_in(pictures, one.finder(LOWEST_SCORE), _say) for one in contestants}
    return {name: widerface_ap(pictures, each) for name, each in found.items()}


def _text(figures: dict) -> str:
    from crowdmood.training import detector_tables as tables

    shown = []
    if metrics := figures.get("metrics"):
        shown += [tables.metrics_table(metrics), tables.speed_table(figures["speed"])]
    if false_faces := figures.get("false_faces"):
        shown.append(tables.false_faces_table(false_faces, metrics or {}))
        if metrics and "human" in next(iter(metrics.values())):
            shown.append(tables.thresholds_table(metrics, false_faces))
    if tiles := figures.get("tiles"):
        shown.append(tables.tiles_table(tiles))
    if rules := figures.get("rules"):
        shown.append(tables.rules_table(rules))
    if widerface := figures.get("widerface"):
        shown.append(tables.widerface_table(widerface))
    return "\n\n".join(shown)


def _say(line: str) -> None:
    click.echo(line, err=True)
