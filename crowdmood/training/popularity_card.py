"""The model folder of a popularity head: weights, card and README."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tomli_w
from safetensors.numpy import save_file

from crowdmood.errors import CrowdmoodError
from crowdmood.files import sha256_of, write_aside
from crowdmood.models import POPULARITY_HEAD
from crowdmood.photos.features import FEATURES
from crowdmood.photos.popularity import WEIGHTS, Head, verdict
from crowdmood.training.expression_tables import table, wrap
from crowdmood.training.popularity import Rated, data_digest, goes_with

LIMITS = ("Tells how much a picture is like those that were popular in its data, not what it or the person in it is worth. "
          "Followers, hour, place and the audience's taste decide most of popularity and are not in a picture; the audience's prejudices "
          "(age, sex, skin, weight, make-up) are in the data and so in the score. Not for decisions about persons.")
LICENCE = "that of the data it was learned from"


def write_model(folder: Path, head: Head, rated: Rated, figures: dict, command: str) -> None:
    """Write the model's files, the card last. Raises CrowdmoodError when the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"mean": head.mean, "deviation": head.deviation, "weights": head.weights, "bias": np.float32([head.bias])}
        with write_aside(folder / WEIGHTS) as aside:
            save_file(arrays, aside)
        card = _card(folder, rated, figures, command)
        with write_aside(folder / "README.md") as aside:
            aside.write_text(readme(card, goes_with(rated)), encoding="utf-8")
        with write_aside(folder / "card.toml") as aside:
            aside.write_text(tomli_w.dumps(card), encoding="utf-8")
    except OSError as error:
        raise CrowdmoodError(f"{folder} cannot be written: {error.strerror or error}") from error


def _card(folder: Path, rated: Rated, figures: dict, command: str) -> dict:
    training = {"command": command, "data_sha256": data_digest(rated), "pictures": len(rated), "lacking": rated.lacking}
    return {"kind": POPULARITY_HEAD, "name": folder.resolve().name, "version": 1,
            "architecture": f"logistic regression on {len(FEATURES)} features of a photo and their squares", "licence": LICENCE,
            "provenance": "learned by `crowdmood train popularity`", "limits": LIMITS, "input": {"features": list(FEATURES)},
            "training": training, "metrics": {"split": "held-out folds"} | figures, "files": {WEIGHTS: sha256_of(folder / WEIGHTS)}}


def readme(card: dict, features: list[tuple[str, float]]) -> str:
    """The model folder's README.md."""
    figures, facts = card["metrics"], card["training"]
    rows = [[name, f"{agreement:+.2f}"] for name, agreement in features]
    parts = [f"# {card['name']}", wrap(f"{card['architecture'].capitalize()}; gives how likely a photo is among the more popular half of those it "
                                       "was learned from, 0 to 1."),
             "## Figures", wrap(f"{verdict(figures)[0].upper()}{verdict(figures)[1:]}. Scores and popularity of held-out pictures agree in rank by "
                                f"{figures['rank_correlation']:.2f} (Spearman; 0: not at all, 1: fully). The interval is Nadeau and Bengio's, for folds "
                                "that share most of what is learned from; identical pictures are in one fold."),
             "## What goes with popularity in these data", wrap("How a feature by itself agrees in rank with popularity (Spearman). It is no cause."),
             table(["feature", "agreement"], rows),
             "## Training", f"`{facts['command']}`", wrap(f"{facts['pictures']:,} pictures" + (
                 f"; {facts['lacking']:,} more lines of the table have no picture that can be read" if facts["lacking"] else "")
                 + f". Data: sha256 `{facts['data_sha256']}` over the table and the pictures."),
             "## Limits", wrap(card["limits"])]
    return "\n\n".join(parts) + "\n"
