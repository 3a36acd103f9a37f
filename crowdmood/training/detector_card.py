"""The card and the page of a trained face detector."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from crowdmood.errors import ModelError
from crowdmood.files import sha256_of, write_aside
from crowdmood.models import FACE_DETECTOR

FILES = ("weights.safetensors", "model.onnx")
COMMAND = (
    "crowdmood train detector --data DIR --start yolo11n.pt --out OUT --epochs {epochs:g} "
    "--minutes {minutes:g} --imgsz {imgsz} --batch {batch} --rate {rate:g} --seed {seed}"
)
PROVENANCE = (
    "Trained from COCO weights on stock photographs of groups (facecount), people with masks (fmd853), "
    "pictures of classes and audiences (SCUT-HEAD) and of street crowds (ShanghaiTech); boxes of the "
    "first two drawn by people, of the others labelled by YuNet"
)
FIGURES = (
    "`crowdmood evaluate detector --data DIR --against yunet.onnx --write`, on `test.parquet`. Match at "
    "IoU 0.5; a band is about the height of the box; faces outside the band are ignored; in brackets 95 % "
    "of a bootstrap over pictures. Boxes of 'human' are drawn by people. Boxes of 'teacher' are YuNet's "
    "own: there YuNet is measured against itself, and no other detector can look better. YuNet sees the "
    "pictures at their own size."
)
LIMITS = (
    "Not for finding out who somebody is. Faces under 12 px are found by chance. Turned away by more than "
    "a profile, upside down, painted or heavily covered faces are often missed. No labels of skin tone, "
    "age or sex were available: whether it misses some people more often than others has not been "
    "measured."
)


@dataclass(frozen=True)
class CardFacts:
    """What a training run knows about its result. ``data``: file name -> sha256; ``held``: figures on
    held-out pictures.
    """

    step: int
    seconds: float
    settings: dict
    data: dict[str, str]
    start: str
    held: dict
    nms_iou: float
    imgsz: int
    device: str
    note: str = ""


def write_card(folder: Path, facts: CardFacts) -> None:
    """Write ``card.toml`` and ``README.md`` for the files in ``folder``; ``add_figures`` adds figures."""
    name, version = folder.name, folder.name.rpartition("-")[2]
    card = {
        "kind": FACE_DETECTOR,
        "name": name,
        "version": int(version) if version.isdigit() else 1,
        "architecture": "YOLO11n, one class",
        "parameters": 2_590_035,
        "labels": ["face"],
        "licence": "AGPL-3.0 (architecture and start weights by Ultralytics)",
        "provenance": PROVENANCE,
        "limits": LIMITS,
        "input": {
            "name": "images",
            "channels": "RGB",
            "layout": "NCHW",
            "scale": 255.0,
            "multiple_of": 32,
            "size": facts.imgsz,
        },
        "output": {"name": "output0", "rows": ["cx", "cy", "w", "h", "score"], "unit": "pixels of the input"},
        "detect": {"score": round(facts.held["score"], 3), "nms_iou": facts.nms_iou},
        "files": {one: sha256_of(folder / one) for one in FILES},
        "training": {
            "command": COMMAND.format(**facts.settings),
            "steps": facts.step,
            "seconds": round(facts.seconds),
            "device": facts.device,
            "note": facts.note,
            "start": facts.start,
            "data": facts.data,
            "settings": facts.settings,
        },
        "held_out": {key: round(value, 4) for key, value in facts.held.items()},
    }
    _write(folder, card)


def add_figures(folder: Path, figures: dict) -> None:
    """Put the result of an evaluation ({detector: {set: {band: {...}}}}) into the card and the page."""
    card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
    if card.get("kind") != FACE_DETECTOR:
        raise ModelError(f"{folder} holds: {card.get('kind')}; needed: {FACE_DETECTOR}")
    _write(folder, {**card, "metrics": figures})


def _write(folder: Path, card: dict) -> None:
    with write_aside(folder / "card.toml") as aside:
        aside.write_text(toml_text(card), encoding="utf-8")
    with write_aside(folder / "README.md") as aside:
        aside.write_text(page(card), encoding="utf-8")


def toml_text(table: dict, path: tuple[str, ...] = ()) -> str:
    """A dictionary of strings, numbers, lists and dictionaries as TOML."""
    plain = [
        f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in table.items()
        if not isinstance(value, dict)
    ]
    head = [f"[{'.'.join(map(_key, path))}]"] if path and plain else []
    inner = [toml_text(value, (*path, key)) for key, value in table.items() if isinstance(value, dict)]
    return (
        "\n".join(head + plain)
        + ("\n" if plain else "")
        + ("\n" if plain and inner else "")
        + "\n".join(inner)
    )


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def page(card: dict) -> str:
    """The page shown beside the weights, as Markdown."""
    parts = [
        f"# {card['name']}: {card['kind']}",
        f"{card['architecture']}, {card['parameters']:,} parameters. {card['provenance']}.",
        card["limits"],
        "## Training",
        f"    {card['training']['command']}",
        _training_text(card["training"]),
        _threshold_text(card["detect"], card["held_out"]),
        *_figures(card.get("metrics", {})),
        "## Licence",
        f"{card['licence']}.",
    ]
    return "\n\n".join(parts) + "\n"


def _training_text(training: dict) -> str:
    return (
        f"{training['steps']:,} steps of {training['settings']['batch']} pictures in "
        f"{training['seconds'] / 60:.0f} minutes ({training['device']}). `--minutes` ends a run by the "
        f"clock: another machine gets through more or fewer steps. {training['note']}"
    ).rstrip()


def _threshold_text(detect: dict, held: dict) -> str:
    return (
        f"The score threshold {detect['score']} is the lowest with precision {held['precision']:.2f} on "
        f"{held['pictures']} human-drawn training pictures that were held out ({held['faces']} faces of 24 "
        f"px and more: AP {held['ap']:.3f}, recall {held['recall']:.3f} there)."
    )


def _figures(metrics: dict) -> list[str]:
    """Heading, explanation and table of {detector: {set: {band: summary}}}; nothing without figures."""
    if not metrics:
        return []
    rows = [
        "| boxes | band, px | faces | detector | AP | recall at precision 0.85 | recall at precision 0.9 |",
        "|---|---|---|---|---|---|---|",
    ]
    first = next(iter(metrics.values()))
    for one_set, band in ((one_set, band) for one_set, bands in first.items() for band in bands):
        for detector, table in metrics.items():
            one = table[one_set][band]
            cells = " | ".join(
                f"{one[key]:.3f} [{one[f'{key}_interval'][0]:.3f}, {one[f'{key}_interval'][1]:.3f}]"
                for key in ("ap", "recall_at_85", "recall_at_90")
            )
            rows.append(f"| {one_set} | {band} | {one['faces']:,} | {detector} | {cells} |")
    return ["## Figures", FIGURES, "\n".join(rows)]
