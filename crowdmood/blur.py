"""Faces covered so that they cannot be recognised.

Each face, grown by a margin, is replaced by the means of a few large blocks that move along with the face. A soft
blur is the same few means joined smoothly: a true blur of the face keeps more of it, and can be sharpened again.
"""

from __future__ import annotations

import cv2
import numpy as np

GROW = (0.25, 0.35, 0.25, 0.25)  # left, top (hair), right, bottom: shares of the face's width and height
BLOCKS = 4                       # along each side of the grown box; with 5 a detector finds some softly blurred faces again


def pixelate(image: np.ndarray, boxes: np.ndarray) -> None:
    """Cover faces with blocks, in place. image: uint8 (h, w, 3). boxes: float (m, 4) x1 y1 x2 y2, pixels."""
    _cover(image, boxes, cv2.INTER_NEAREST)


def blur(image: np.ndarray, boxes: np.ndarray) -> None:
    """Cover faces softly, in place. image: uint8 (h, w, 3). boxes: float (m, 4) x1 y1 x2 y2, pixels."""
    _cover(image, boxes, cv2.INTER_LINEAR)


COVERS = {"pixelate": pixelate, "blur": blur}


def _cover(image: np.ndarray, boxes: np.ndarray, joining: int) -> None:
    height, width = image.shape[:2]
    for x1, y1, x2, y2 in _grown(boxes, width, height).tolist():
        if x2 > x1 and y2 > y1:
            part = image[y1:y2, x1:x2]
            few = cv2.resize(part, (min(BLOCKS, x2 - x1), min(BLOCKS, y2 - y1)), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(few, (x2 - x1, y2 - y1), interpolation=joining)


def _grown(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """int64 (m, 4): boxes with their margin, in whole pixels within the picture."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    low = np.floor(boxes[:, :2] - sides * GROW[:2])
    high = np.ceil(boxes[:, 2:] + sides * GROW[2:])
    return np.clip(np.hstack([low, high]), 0, [width, height, width, height]).astype(np.int64)
