"""A frame's signature: 180 bytes that tell one scene from another, and nothing about a face.

The first 144 bytes are the picture's brightness at 16 x 9 places, row by row; the other 36 are three
histograms of 12 bins (red, green, blue), each scaled to a sum of 255.
"""

from __future__ import annotations

import cv2
import numpy as np

COLUMNS, ROWS, BINS = 16, 9, 12
THUMBNAIL_BYTES = COLUMNS * ROWS
SIGNATURE_BYTES = THUMBNAIL_BYTES + 3 * BINS
# Every cell is averaged from about 10 x 10 sampled pixels: enough to silence noise, few enough to be quick.
SAMPLED_WIDTH, SAMPLED_HEIGHT = COLUMNS * 10, ROWS * 10


def signature(image: np.ndarray) -> np.ndarray:
    """Return the signature, uint8 (180,), of an RGB picture, uint8 (h, w, 3), of any size from 1 x 1."""
    sampled = cv2.resize(image, (SAMPLED_WIDTH, SAMPLED_HEIGHT), interpolation=cv2.INTER_NEAREST)
    luma = cv2.cvtColor(sampled, cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(luma, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    histograms = [_histogram(sampled, channel) for channel in range(3)]
    return np.concatenate([thumbnail.reshape(-1), *histograms])


def _histogram(image: np.ndarray, channel: int) -> np.ndarray:
    """Return the 12 bins, uint8 summing to 255, of one channel: rounded cumulatively, so the sum is exact."""
    counts = cv2.calcHist([image], [channel], None, [BINS], [0, 256]).reshape(-1).astype(np.float64)
    steps = np.rint(np.cumsum(counts) * (255.0 / counts.sum()))
    return np.diff(steps, prepend=0.0).astype(np.uint8)
