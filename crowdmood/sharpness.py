"""How sharp a face crop is: one number that both the classifier's thresholds and their choice use."""

from __future__ import annotations

import cv2
import numpy as np


def sharpness(crops: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian of each crop. uint8 (m, 48, 48) grey -> float32 (m,), 0 (flat) upwards,
    usually 10 to 3000.

    Measured on the 48 x 48 crop, not on the original: a face enlarged from 16 px is as blurred as an
    unfocused one.
    """
    found = np.empty(len(crops), np.float32)
    for row, crop in enumerate(crops):
        found[row] = cv2.Laplacian(crop, cv2.CV_32F).var()
    return found
