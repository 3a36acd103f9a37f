"""Pictures with a popularity in the layout of the UCF Selfie data set; what decides it is chosen, and known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from crowdmood.photos.features import FEATURES
from crowdmood.photos.popularity import Head
from crowdmood.training.popularity import Rated
from crowdmood.training.popularity_card import write_model
from tests.photo_files import photograph

ATTRIBUTES = 36


def write_rated(folder: Path, count: int = 96, decides: float = 1.0, seed: int = 5) -> np.ndarray:
    """Write the table and the pictures; returns how bright each is, 0..1. decides: the part of popularity that brightness decides;
    the rest is chance."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    faces = [np.asarray(photograph("hopper", 160), np.float32), np.asarray(photograph("hopper", 160).transpose(Image.Transpose.FLIP_LEFT_RIGHT), np.float32)]
    bright, lines = rng.uniform(0.35, 1, count), []
    popularity = 2 + 4 * (decides * bright + (1 - decides) * rng.uniform(0.35, 1, count))
    for at in range(count):
        image = faces[at % 2] * bright[at] + rng.normal(0, 4, faces[0].shape)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"selfie_{at:04}.jpg", quality=85)
        attributes = " ".join(str(value) for value in rng.integers(-1, 2, ATTRIBUTES))
        lines.append(f"selfie_{at:04} {popularity[at]:.4f} {attributes}")
    (folder / "selfie_dataset.txt").write_text("\n".join(lines) + "\n")
    return bright


def write_brightness_model(folder: Path) -> None:
    """A popularity model, untrained, that goes by brightness alone."""
    head = Head(np.zeros(len(FEATURES), np.float32), np.ones(len(FEATURES), np.float32), np.zeros(2 * len(FEATURES), np.float32), -2.0)
    head.mean[0], head.deviation[0], head.weights[0] = 30, 10, 2
    figures = {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "base_rate": 0.5, "rank_correlation": 0.0, "pictures": 0, "folds": 2, "repeats": 1}
    write_model(folder, head, Rated(np.zeros((0, len(FEATURES)), np.float32), np.zeros(0), np.zeros(0, object), 0, ""), figures, "none")
