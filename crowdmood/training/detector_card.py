"""The card and the page of a trained face detector."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from crowdmood.errors import ModelError
from crowdmood.files import sha256_of, write_aside
from crowdmood.models import FACE_DETECTOR
from crowdmood.training.detector_tables import figures_of

FILES = ("weights.safetensors", "model.onnx")
COMMAND = (
    "crowdmood train detector --data DIR --start START --out OUT --architecture {architecture} --epochs {epochs:g} "
    "--minutes {minutes:g} --imgsz {imgsz} --crowds {crowds:g} --batch {batch} --rate {rate:g} --seed {seed}"
)
PROVENANCE = (
    "Trained from COCO weights on stock photographs of groups (facecount), people with masks (fmd853), "
    "pictures of classes and audiences (SCUT-HEAD) and of street crowds (ShanghaiTech); boxes of the "
    "first two drawn by people, of the others labelled by YuNet; a share of the pictures was made up: faces "
    "cut from the first two, pasted into generated scenes as crowds and galleries, and scenes without a face"
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
        "architecture": f"{facts.settings['architecture'].replace('yolo', 'YOLO')}, one class",
        "parameters": _parameters(folder / "weights.safetensors"),
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


def _parameters(weights: Path) -> int:
    """How many numbers were learned; running means and variances are not."""
    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        names = [name for name in file.keys() if "running_" not in name]  # noqa: SIM118 (it is no dictionary)
        return sum(math.prod(file.get_slice(name).get_shape()) for name in names)


def add_figures(folder: Path, figures: dict) -> None:
    """Put what was measured into the card and the page; what was not measured this time stays as it was.

    figures: any of ``metrics``, ``speed``, ``false_faces``, ``tiles``, ``widerface``, as detector_tables describes.
    """
    card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
    if card.get("kind") != FACE_DETECTOR:
        raise ModelError(f"{folder} holds: {card.get('kind')}; needed: {FACE_DETECTOR}")
    _write(folder, {**card, **figures})


def _write(folder: Path, card: dict) -> None:
    with write_aside(folder / "card.toml") as aside:
        aside.write_text(toml_text(card), encoding="utf-8")
    with write_aside(folder / "README.md") as aside:
        aside.write_text(page(card), encoding="utf-8")


def toml_text(table: dict, path: tuple[str, ...] = ()) -> str:
    """A dictionary of strings, numbers, lists and dictionaries as TOML; a plain one of the third level or deeper is
    one line.
    """
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items()
             if not isinstance(value, dict) or _is_line(value, path)]
    head = [f"[{'.'.join(map(_key, path))}]"] if path and lines else []
    inner = [toml_text(value, (*path, key)) for key, value in table.items()
             if isinstance(value, dict) and not _is_line(value, path)]
    return "\n".join(head + lines) + ("\n" if lines else "") + ("\n" if lines and inner else "") + "\n".join(inner)


def _is_line(value: dict, path: tuple[str, ...]) -> bool:
    return len(path) >= 2 and bool(value) and not any(isinstance(one, dict) for one in value.values())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


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
        *figures_of(card),
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
        f"The score threshold {detect['score']} is the lowest with a precision of at least 0.93 on "
        f"{held['pictures']} human-drawn training pictures that were held out (which {held['precise_score']:.3f} "
        f"would do) and at most one false face in 200 of {held['scenes']} generated scenes. On the "
        f"{held['faces']} held-out faces of 24 px and more it gives precision {held['precision']:.3f}, recall "
        f"{held['recall']:.3f}; AP is {held['ap']:.3f}."
    )
