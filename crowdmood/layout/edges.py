"""Straight lines in a picture: where brightness steps at the same place along a whole side.

Lines are looked for across every sixth row or column at full sharpness, so a gutter of two pixels is seen at
little cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

STEP = 5             # grey levels: the least step that can be an edge; a dark tile on black has ten
COLOURED = 3         # ... and so many times that in a channel: a grey tile on a slide may have the same brightness
SAMPLED = 180        # about how many rows (and columns, per 16:9) lines are looked for across
TRIM = 0.08          # share of a side left out at either end: corners may be round
LEAST_SUPPORT = 0.45  # a side with this share of edges speaks neither for nor against a tile
EMPTY = 3             # edges that may be inside where there is no tile


@dataclass(frozen=True)
class Lines:
    """Edges across sampled rows (or columns).

    count: int32 (samples + 1, length + 1), running sums of edges at each boundary between pixels; total: int32
    (samples + 1, length), summed across, too; step: pixels from sample to sample; length: pixels across.
    """

    count: np.ndarray
    total: np.ndarray
    step: float
    length: int

    def support(self, at: np.ndarray, low: np.ndarray, high: np.ndarray, slack: int = 1) -> np.ndarray:
        """Share 0..1 of samples from `low` to `high` pixels with an edge at `at` or up to `slack` pixels beside it
        (the best of these); arrays of one shape. At the picture's border nothing is known: LEAST_SUPPORT."""
        trim = (high - low) * TRIM
        last_row = len(self.count) - 1
        first = np.minimum(((low + trim) / self.step).astype(np.int64) + 1, last_row - 1)
        last = np.minimum(np.maximum(((high - trim) / self.step).astype(np.int64) + 1, first + 1), last_row)
        inside = np.minimum(np.maximum(at, 1 + slack), self.length - 1 - slack)
        steps = (self.count[last, inside + shift] - self.count[first, inside + shift] for shift in range(-slack, slack + 1))
        share = reduce(np.maximum, steps) / (last - first)
        return np.where((at <= slack) | (at >= self.length - slack), LEAST_SUPPORT, share)

    def profile(self, low: float, high: float) -> np.ndarray:
        """Share of samples with an edge, float32 (length + 1,), between `low` and `high` pixels; 0 at the borders."""
        first, last = int(np.ceil(low / self.step)), min(int(high / self.step) + 1, len(self.count) - 1)
        return (self.count[last] - self.count[first]).astype(np.float32) / max(last - first, 1)

    def inside(self, start: np.ndarray, end: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Number of edges well inside of rectangles: from `start` to `end` across, from `low` to `high` along."""
        across, along = (end - start) // 12 + 3, (high - low) // 12 + 3
        first, last = (((side) / self.step).astype(np.int64).clip(0, len(self.total) - 1) for side in (low + along, high - along))
        left, right = (side.clip(0, self.length - 1) for side in (start + across, end - across))
        total = self.total
        return total[last, right] - total[first, right] - total[last, left] + total[first, left]


@dataclass(frozen=True)
class Edges:
    """vertical: lines between left and right; horizontal: lines between above and below."""

    vertical: Lines
    horizontal: Lines

    @property
    def width(self) -> int:
        return self.vertical.length

    @property
    def height(self) -> int:
        return self.horizontal.length

    def sides(self, boxes: np.ndarray, slack: int = 1) -> np.ndarray:
        """Support of the left, top, right and bottom side of boxes, int (k, 4): float (k, 4)."""
        x1, y1, x2, y2 = boxes.T
        across = self.vertical.support(np.stack([x1, x2]), np.stack([y1, y1]), np.stack([y2, y2]), slack)
        down = self.horizontal.support(np.stack([y1, y2]), np.stack([x1, x1]), np.stack([x2, x2]), slack)
        return np.stack([across[0], down[0], across[1], down[1]], axis=1)

    def empty(self, boxes: np.ndarray) -> np.ndarray:
        """Where nothing is inside of boxes, int (k, 4), not even a name: bool (k,)."""
        x1, y1, x2, y2 = boxes.T
        return self.vertical.inside(x1, x2, y1, y2) + self.horizontal.inside(y1, y2, x1, x2) <= EMPTY


def find_edges(image: np.ndarray) -> Edges:
    """Find the edges of an RGB picture, uint8 (h, w, 3)."""
    height, width = image.shape[:2]
    rows, columns = max(1, height // SAMPLED), max(1, width // (SAMPLED * 16 // 9))
    across = np.ascontiguousarray(image[::rows])
    thin = cv2.resize(image, (len(range(0, width, columns)), height), interpolation=cv2.INTER_NEAREST)
    return Edges(_lines(across, height), _lines(cv2.transpose(thin), width))


def _lines(image: np.ndarray, extent: int) -> Lines:
    grey, red, blue = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.extractChannel(image, 0), cv2.extractChannel(image, 2)
    step = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    coloured = reduce(cv2.max, (cv2.absdiff(channel[:, 3:], channel[:, :-3]) for channel in (red, blue)))  # colours are blurred
    step[:, 1:-1] = cv2.max(step[:, 1:-1], cv2.min(cv2.convertScaleAbs(coloured, alpha=1 / COLOURED), STEP))
    edge = ((step == cv2.dilate(step, np.ones((1, 3), np.uint8))) & (step >= STEP)).view(np.uint8)
    count = np.zeros((len(grey) + 1, grey.shape[1] + 1), np.int32)
    total = cv2.integral(edge)
    np.subtract(total[:, 1:], total[:, :-1], out=count[:, 1:-1])
    return Lines(count, total, extent / len(grey), grey.shape[1])


def worth_of(boxes: np.ndarray, edges: Edges) -> np.ndarray:
    """How much speaks for each tile: its sides' length, in picture widths, times the support above the least."""
    length = boxes[:, 2:] - boxes[:, :2]
    worth = ((edges.sides(boxes) - LEAST_SUPPORT) * length[:, [1, 0, 1, 0]]).sum(axis=1) / edges.width
    return np.where(edges.empty(boxes), -1.0, worth)


def mean_support(boxes: np.ndarray, edges: Edges) -> float:
    """Mean support 0..1 of the sides inside the picture."""
    if not len(boxes):
        return 0.0
    inside = np.abs(boxes - [edges.width / 2, edges.height / 2] * 2) < [edges.width / 2 - 1, edges.height / 2 - 1] * 2
    return float(edges.sides(boxes)[inside].mean()) if inside.any() else 0.0
