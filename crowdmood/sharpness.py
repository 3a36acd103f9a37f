"""How sharp a face crop is: one number that both the classifier's thresholds and their choice use."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 48  # pixels


def sharpness(crops: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian of each crop. uint8 (m, side, side[, 1 or 3]) -> float32 (m,), 0 (flat) upwards,
    usually 10 to 3000.

    Measured on the grey crop at 48 x 48, not on the original: a face enlarged from 16 px is as blurred as an
    unfocused one.
    """
    found = np.empty(len(crops), np.float32)
    for row, crop in enumerate(crops):
        found[row] = cv2.Laplacian(_grey(crop), cv2.CV_32F).var()
    return found


def _grey(crop: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if crop.shape[2:] == (3,) else crop.reshape(crop.shape[:2])
    return grey if grey.shape[0] == SIDE else cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
