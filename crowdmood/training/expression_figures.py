"""What was measured of an expression net, kept beside it in `figures.json`: one part for each command that
measures. The card's `metrics`, the README and its pictures are made of it.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import tomli_w

from crowdmood.errors import CrowdmoodError
from crowdmood.files import write_aside
from crowdmood.training.expression_card import readme_text
from crowdmood.training.expression_plots import draw

FILE = "figures.json"


def read_figures(folder: Path) -> dict:
    """Everything that was measured so far; {} where nothing was."""
    path = folder / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def add_figures(folder: Path, **parts: dict | list) -> None:
    """Replace parts of what was measured (`faces`, `photos`, `end_to_end`, `course`) and write card, README
    and pictures anew. Raises CrowdmoodError for a model that `crowdmood train` did not make.
    """
    figures = read_figures(folder) | parts
    card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
    if "training" not in card:
        raise CrowdmoodError(
            f"{folder}: only models of `crowdmood train` get a page; use --json and write your own"
        )
    card["metrics"] = metrics(figures)
    texts = {
        FILE: json.dumps(figures, indent=1) + "\n",
        "card.toml": tomli_w.dumps(card),
        "README.md": readme_text(card, figures),
    }
    for name, text in texts.items():
        with write_aside(folder / name) as aside:
            aside.write_text(text, encoding="utf-8")
    draw(folder, figures)


def write_figures(folder: Path, figures: dict) -> None:
    """Write what was measured, with its pictures, into a folder that need not be a model's."""
    with write_aside(folder / FILE) as aside:
        aside.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    draw(folder, figures)


def metrics(figures: dict) -> dict:
    """The figures as the card's table `metrics`: single numbers, the rest is in figures.json."""
    table = {}
    if faces := figures.get("faces"):
        table |= {key: faces[key] for key in ("split", "ece_before", "ece", "macro_f1")}
        for name, value in faces.items():
            if isinstance(value, dict) and "accuracy" in value:
                table |= {name: value["accuracy"]} | {
                    f"{name}_{key}": value[key] for key in ("low", "high", "n")
                }
        for side, value in faces["sides"].items():
            table[f"majority_at_{side}px"] = value["accuracy"]
            table[f"accepted_at_{side}px"] = faces["accepted"][side]["accepted"]
    if photos := figures.get("photos"):
        table["photos_among_labels"] = photos["among_labels"]["accuracy"]
        table["photos_seven"] = photos["seven"]["accuracy"]
    if film := figures.get("end_to_end"):
        table |= {
            f"end_to_end_lost_{name.replace(' ', '_')}": one["lost"] for name, one in film["sides"].items()
        }
    return table
