"""Film strips: a row of small tiles above the speaker, or a column right of a speaker or shared screen, or on it."""

from __future__ import annotations

from itertools import product
from operator import itemgetter

import cv2
import numpy as np

from crowdmood.layout.edges import LEAST_SUPPORT, Edges, mean_support, worth_of
from crowdmood.layout.grids import (
    ASPECT,
    EVERY_GAP,
    Pieces,
    find_peaks,
    find_rows,
    may_have_pieces,
    refined,
)

THICKNESS = (0.07, 0.36)   # of a strip, shares of the picture
MARGIN = 0.04              # a strip is no further than this from the border
LEAST_WORTH = 0.05
LOOKED_AT = 24
CLEARLY = 0.2              # more support than the likeliest shape has
DARK = 64                  # a background is not brighter than this
FLAT = 10                  # grey levels within which it is one colour


def find_strip(edges: Edges) -> np.ndarray:
    """Return the boxes int64 (k, 4) of the tiles of the best strip at the top or right; no boxes without any."""
    turned = Edges(edges.horizontal, edges.vertical)
    top = _strips(edges, ASPECT, False)
    right = [boxes[:, [1, 0, 3, 2]] for boxes in _strips(turned, 1 / ASPECT, True)]
    strips = [boxes.clip(0, [edges.width, edges.height] * 2) for boxes in [*top, *right]]
    if not strips:
        return np.zeros((0, 4), np.int64)
    worth = worth_of(np.concatenate(strips), edges)
    each = np.array([part.sum() for part in np.split(worth, np.cumsum([len(boxes) for boxes in strips])[:-1])])
    each -= [_shared(boxes, edges) for boxes in strips]
    best = int(each.argmax())
    return refined(strips[best], edges) if each[best] >= LEAST_WORTH else strips[best][:0]


def _shared(boxes: np.ndarray, edges: Edges) -> float:
    """Half of what the sides between tiles without gutter are worth: such a line is one, not two."""
    row = len(boxes) > 1 and boxes[0, 2] == boxes[1, 0]
    if not row and not (len(boxes) > 1 and boxes[0, 3] == boxes[1, 1]):
        return 0.0
    side, length = (2, boxes[0, 3] - boxes[0, 1]) if row else (3, boxes[0, 2] - boxes[0, 0])
    return float((edges.sides(boxes[:-1])[:, side] - LEAST_SUPPORT).sum() * length / edges.width)


def _strips(edges: Edges, ratio: float, far: bool) -> list[np.ndarray]:
    """The most promising rows of tiles at the top (far: at the bottom); ratio: a tile's width by its height."""
    height = edges.height
    found = []
    for outer, inner in _bands(edges, far):
        top, bottom = sorted((outer, inner))
        margin = height - bottom if far else top
        profile = edges.vertical.profile(top, bottom)
        if not may_have_pieces(profile, round((bottom - top) * ratio)):
            continue
        rows = find_rows(profile, Pieces((bottom - top) * ratio, EVERY_GAP, margin))
        worth = rows.count * (rows.score - LEAST_SUPPORT) * (bottom - top)
        found += [(worth[row], top, bottom, rows.ends[row, :, :rows.count[row]]) for row in np.flatnonzero(worth > 0)]
    found.sort(key=itemgetter(0), reverse=True)
    return [np.stack([left, np.full(len(left), top), right, np.full(len(left), bottom)], axis=1)
            for _, top, bottom, (left, right) in found[:LOOKED_AT]]


def _bands(edges: Edges, far: bool) -> list[tuple[int, int]]:
    """Where a strip may lie: its outer and its inner side."""
    height, width = edges.height, edges.width
    parts = [(0, 1), (0, 0.2), (0.4, 0.6), (0.8, 1)]
    profile = np.max([edges.horizontal.profile(low * width, high * width) for low, high in parts], axis=0)
    profile = profile[::-1] if far else profile
    outer = find_peaks(profile[: int(MARGIN * height)], 2)
    low, high = (int(share * height) for share in THICKNESS)
    inner = find_peaks(profile[low:high], 6)[1:] + low
    bands = [(a, b) for a, b in product(outer.tolist(), inner.tolist()) if b - a >= low]
    return [(height - a, height - b) for a, b in bands] if far else bands


def completed(image: np.ndarray, strip: np.ndarray) -> np.ndarray:
    """A strip with a dark tile more at its ends, if then nothing is left beside it but background."""
    if len(strip) < 2 or _is_background(_ground(image, strip)):
        return strip
    pitch = strip[1] - strip[0]
    before, after = strip[:1] - pitch, strip[-1:] + pitch
    for longer in ([before, strip], [strip, after], [before, strip, after]):
        boxes = np.concatenate(longer)
        inside = boxes.min() >= 0 and (boxes[-1, 2:] <= [image.shape[1], image.shape[0]]).all()
        if inside and _is_background(_ground(image, boxes)):
            return boxes
    return strip


def find_stage(edges: Edges, image: np.ndarray, strip: np.ndarray) -> np.ndarray:
    """Return the box int64 (4,) of what is shown large beside a strip, or under it where the strip lies on it."""
    ground = _ground(image, strip)
    if len(ground) and not _is_background(ground):
        return _fitted(edges, image, np.array([0, 0, edges.width, edges.height]), None)
    if _is_column(strip, edges.width):
        region = np.array([0, 0, strip[:, 0].min() - 1, edges.height])
    else:
        region = np.array([0, strip[:, 3].max() + 1, edges.width, edges.height])
    return _fitted(edges, image, region, float(np.median(ground)) if len(ground) else None)


def _is_column(strip: np.ndarray, width: int) -> bool:
    return bool(strip[0, 0] == strip[1, 0] if len(strip) > 1 else strip[0, 2] >= (1 - MARGIN) * width)


def _ground(image: np.ndarray, strip: np.ndarray) -> np.ndarray:
    """Pixels uint8 (n, 3) of what is before and behind a strip, in its row or column."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = strip[:, 0].min(), strip[:, 1].min(), strip[:, 2].max(), strip[:, 3].max()
    beside = [(x1, 0, x2, y1), (x1, y2, x2, height)] if _is_column(strip, width) else [(0, y1, x1, y2), (x2, y1, width, y2)]
    parts = [image[top + 4:max(bottom - 4, 0):6, left + 4:max(right - 4, 0):6].reshape(-1, 3)
             for left, top, right, bottom in beside]
    return np.concatenate(parts)


def _is_background(pixels: np.ndarray) -> bool:
    """Whether pixels, uint8 (n, 3), are one dark grey."""
    if not len(pixels):
        return True
    low, high = np.percentile(pixels, (5, 95))
    return bool(high - low <= FLAT and high <= DARK)


def _fitted(edges: Edges, image: np.ndarray, region: np.ndarray, level: float | None) -> np.ndarray:
    """The part of a region that is no background: 16:9 in its middle, or what is not flat if that has clearly better sides."""
    x1, y1, x2, y2 = region.tolist()
    wide = min(x2 - x1, round((y2 - y1) * ASPECT))
    high = min(y2 - y1, round(wide / ASPECT))
    left, top = (x1 + x2 - wide) // 2, (y1 + y2 - high) // 2
    middle = np.array([left, top, left + wide, top + high])
    trimmed = _trimmed(image, region, level)
    better = mean_support(trimmed[None], edges) - mean_support(middle[None], edges)
    return _snapped(edges, trimmed if better > CLEARLY else middle)


def _trimmed(image: np.ndarray, region: np.ndarray, level: float | None) -> np.ndarray:
    """A region less its dark flat margins."""
    x1, y1, x2, y2 = region.tolist()
    grey = cv2.cvtColor(np.ascontiguousarray(image[y1:y2:4, x1:x2:4]), cv2.COLOR_RGB2GRAY).astype(np.int16)
    ground = level if level is not None else float(min(grey[[0, 0, -1, -1], [0, -1, 0, -1]].max(), DARK))
    shown = np.abs(grey - ground) > FLAT / 2
    rows, columns = np.flatnonzero(shown.mean(axis=1) > 0.02), np.flatnonzero(shown.mean(axis=0) > 0.02)
    if not len(rows) or not len(columns):
        return region
    return np.array([x1 + 4 * columns[0], y1 + 4 * rows[0], min(x1 + 4 * columns[-1] + 4, x2), min(y1 + 4 * rows[-1] + 4, y2)])


def _snapped(edges: Edges, box: np.ndarray) -> np.ndarray:
    """Move each side to the best line within a percent, if there is one."""
    reach = max(3, edges.width // 100)
    shifts = np.arange(-reach, reach + 1)
    moved = box.copy()
    for side in range(4):
        lines, low, high = (edges.vertical, box[1], box[3]) if side % 2 == 0 else (edges.horizontal, box[0], box[2])
        at = np.clip(box[side] + shifts, 0, lines.length)
        support = lines.support(at, np.full(len(at), low), np.full(len(at), high), slack=0)
        if support.max() > LEAST_SUPPORT:
            moved[side] = at[support.argmax()]
    return moved
