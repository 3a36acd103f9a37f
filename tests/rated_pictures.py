"""Pictures with a popularity in the layout of the UCF Selfie data set; what decides it is chosen, and known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

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
