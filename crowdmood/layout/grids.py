"""Grids of equal tiles, found from straight lines alone.

A tile's side is a line along which brightness steps at the same place from end to end; pictures have few of those,
and a regular, centred grid of them has nothing but tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

import cv2
import numpy as np

from crowdmood.layout.edges import LEAST_SUPPORT, Edges, mean_support, worth_of

ASPECT = 16 / 9
ASPECT_SLACK = 0.006
MOST = 7              # tiles in a row, rows in a grid
STRONG = 0.3          # support of the best line, or else there are no tiles at these heights
FILLED = 0.78         # share of the picture's width or height that a gallery fills at least
GAPS = (0, 2, 4, 6, 8, 11, 14, 17, 20, 24)  # pixels between tiles; beside these a pixel is allowed
EVERY_GAP = np.array([*range(11), 12, 14, 17, 20, 24])
SEEDS, PER_COUNT = 12, 4  # lines that a row may begin at; rows kept of each count
PROMISING, LOOKED_AT, CLOSELY = 10, 24, 5  # heights of rows that grids are built on; grids that are measured, and closely
REACH = 4             # pixels by which a line found roughly may be off
WIDEST_GUTTER, AS_GOOD = 12, 0.85  # pixels of gutter looked for where tiles touch; share of the support it takes
NEAR, GAP_NEAR = 4, 6  # pixels of size, and of gap, within which two rulers are the same
PART_OF_A_GRID, ROOM = 0.8, 0.9  # what a grid is worth beside which there are more tiles; of a tile's size, what one needs
BORDER = 0.65          # how well the picture's border serves as the outer side of a tile


class Pieces(NamedTuple):
    """What is known of a row's pieces: about their size in pixels, the gaps between them, and how far from the border
    a row begins or ends that is not in the middle (None: it is)."""

    size: float
    gaps: np.ndarray
    margin: int | None = None


class Rulers(NamedTuple):
    """Centred rows of equal pieces, m of them. count, size, gap: int64 (m,). score: float (m,).

    ends: int64 (m, 2, MOST) where pieces begin and end; those beyond the count mean nothing.
    """

    count: np.ndarray
    size: np.ndarray
    gap: np.ndarray
    ends: np.ndarray
    score: np.ndarray


def find_grid(edges: Edges) -> tuple[np.ndarray, float]:
    """Return the boxes int64 (k, 4) of the best centred grid, row by row, and its score (mean support of the sides
    inside the picture, 0..1); no boxes and 0 without any."""
    tried = sorted(_grids(edges), key=itemgetter(0), reverse=True)[:LOOKED_AT]
    best, found = 0.0, np.zeros((0, 4), np.int64)
    for number in np.argsort(-_worth_of_grids(tried, edges), kind="stable")[:CLOSELY]:
        _, down, across = tried[number]
        boxes, worth = _cells(across, down, edges)
        worth *= PART_OF_A_GRID if _is_part(across, down, edges) else 1.0
        if worth > best:
            best, found = worth, boxes
    found = refined(found, edges)
    return found, mean_support(found, edges)


def _is_part(across: np.ndarray, down: np.ndarray, edges: Edges) -> bool:
    """Whether there is room for another column, or row, on both sides of a grid, and something in it: names of dark tiles."""
    (left, right), (top, bottom) = across[:, [0, -1]].diagonal().tolist(), down[:, [0, -1]].diagonal().tolist()
    beside = np.array([[0, top, left - 2, bottom], [right + 2, top, edges.width, bottom],
                       [left, 0, right, top - 2], [left, bottom + 2, right, edges.height]])
    wide, high = (int(ends[1, 0] - ends[0, 0]) for ends in (across, down))
    room = min(left, edges.width - right) >= ROOM * wide, min(top, edges.height - bottom) >= ROOM * high
    return any(fits and not edges.empty(part).any() for fits, part in zip(room, (beside[:2], beside[2:]), strict=True))


def refined(boxes: np.ndarray, edges: Edges) -> np.ndarray:
    """Move each line of a grid by up to REACH pixels to where its sides have most support together."""
    if not len(boxes):
        return boxes
    boxes = _with_gutters(boxes, edges)
    shifts = np.arange(-REACH, REACH + 1)
    support = edges.sides((boxes + shifts[:, None, None]).reshape(-1, 4), slack=0).reshape(len(shifts), -1, 4)
    refined = boxes.copy()
    for side in range(4):
        opposite = np.unique(boxes[:, side - 2])
        for at in np.unique(boxes[:, side]):
            on = boxes[:, side] == at
            along = support[:, on, side].mean(axis=1)
            taken = (np.abs(at + shifts[:, None] - opposite) <= 1).any(axis=1) & (shifts != 0)
            along[taken] = 0  # that is the next tile's side
            if along.max() > along[REACH] + 0.1:
                refined[on, side] = at + shifts[along.argmax()]
    return refined.clip(0, [edges.width, edges.height] * 2)


def _with_gutters(boxes: np.ndarray, edges: Edges) -> np.ndarray:
    """Draw sides inwards where tiles touch, if there is as good a line at the same distance inside: the gutter is theirs.

    Of two rows that touch, the line may be the lower side of the one or the upper side of the other; so only the
    better supported of both is drawn inwards if the line itself is there.
    """
    found, drawn = {}, boxes.copy()
    for side in range(4):
        touching = np.flatnonzero(np.isin(boxes[:, side], boxes[:, side - 2]))
        for at, gutter in _gutters(boxes[touching], side, edges) if len(touching) else ():
            found[at, side] = gutter
    for (at, side), (support, on_line, shift) in found.items():
        rival = found.get((at, (side + 2) % 4), (0.0, 0.0, 0))[0]
        if support > rival or support == rival and side < 2 or on_line <= LEAST_SUPPORT:
            drawn[boxes[:, side] == at, side] += shift
    return drawn


def _gutters(boxes: np.ndarray, side: int, edges: Edges) -> Iterator[tuple[int, tuple[float, float, int]]]:
    """For each line that sides of boxes lie on, if there is one further inside: support of that, of the line, and how far."""
    shifts = np.arange(WIDEST_GUTTER + 1) * (1 if side < 2 else -1)
    moved = np.repeat(boxes[None], len(shifts), axis=0)
    moved[..., side] += shifts[:, None]
    each = edges.sides(moved.reshape(-1, 4))[:, side].reshape(len(shifts), -1)
    for at in np.unique(boxes[:, side]).tolist():
        support = np.quantile(each[:, boxes[:, side] == at], 0.25, axis=1)  # a speaker frame is on one tile, a gutter beside all
        best, on_line = 2 + int(support[2:].argmax()), float(support[:2].max())
        if support[best] > max(LEAST_SUPPORT, AS_GOOD * on_line):
            yield at, (float(support[best]), on_line, int(shifts[best]))


def _worth_of_grids(grids: list[tuple[float, np.ndarray, np.ndarray]], edges: Edges) -> np.ndarray:
    """What grids are worth, float (n,), whatever there is in their last rows."""
    if not grids:
        return np.zeros(0)
    boxes = [np.stack([*np.meshgrid(across[0], down[0]), *np.meshgrid(across[1], down[1])]).reshape(4, -1).T
             for _, down, across in grids]
    worth = worth_of(np.concatenate(boxes), edges)
    each = np.split(worth, np.cumsum([len(part) for part in boxes])[:-1])
    return np.array([part.sum() if down.shape[1] == 1 else part[:-across.shape[1]].sum() + max(part[-across.shape[1]:].sum(), 0)
                     for part, (_, down, across) in zip(each, grids, strict=True)])


def _grids(edges: Edges) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Grids worth a closer look: an estimate of what they are worth, tops and bottoms (2, r), lefts and rights (2, c)."""
    down = _rulers(edges.horizontal.profile(0, edges.width), edges.height)
    promising = np.argsort(-(down.score - 0.15) * np.sqrt(down.count), kind="stable")[:PROMISING]
    for rows, height, gap, ends, score in zip(*(column[promising] for column in down), strict=True):
        full = max(rows - 1, 1) * (height + gap)
        profile = edges.vertical.profile(int(ends[0, 0]), int(ends[0, 0] + full))
        if not may_have_pieces(profile, round(height * ASPECT)):
            continue
        gaps = np.arange(max(gap - 2, 0), gap + 3) if rows > 1 else EVERY_GAP
        across = find_rows(profile, Pieces(int(height) * ASPECT, gaps))
        filled = rows * height >= FILLED * edges.height
        for columns, width, _, sides, support in zip(*across, strict=True):
            if columns * rows > 1 and (filled or columns * width >= FILLED * edges.width):
                worth = columns * (support - LEAST_SUPPORT) * full * 2 + rows * (score - LEAST_SUPPORT) * edges.width * 2
                yield float(worth), ends[:, :rows], sides[:, :columns]


def may_have_pieces(profile: np.ndarray, size: int) -> bool:
    """Whether there are two strong lines (or one and a border) about `size` apart: a quick look before a long one."""
    strong = (profile >= STRONG).view(np.uint8)
    strong[[0, -1]] = True
    apart = cv2.dilate(strong[None], np.ones((1, 2 * max(3, size // 60) + 1), np.uint8))[0]
    return size < len(strong) and bool((strong[:-size] & apart[size:]).any())


def _rulers(profile: np.ndarray, length: int) -> Rulers:
    """Find centred rows of pieces whose ends lie on lines of the profile, whatever the pieces' size."""
    wide = _widened(profile)
    seeds = find_peaks((wide + wide[::-1])[: length // 2 + 1], SEEDS)
    count, piece, lever, gap = _hypotheses(max(6, round(length / 60)))
    size = np.rint((seeds[:, None] - length / 2 + (count - 1) * gap / 2 - piece * gap) / lever).astype(np.int64)
    extent = count * size + (count - 1) * gap
    seed, which = np.nonzero((size >= length / 16) & (extent <= length + 1) & (extent >= 0.4 * length))
    key = np.unique((count[which] * 4096 + size[seed, which]) * 64 + gap[which])
    count, size, gap = key >> 18, key >> 6 & 4095, key & 63
    return _best(count, size, gap, np.maximum((length - count * size - (count - 1) * gap) // 2, 0), wide)


def find_rows(profile: np.ndarray, pieces: Pieces) -> Rulers:
    """Find rows of pieces of a known size on a profile: the best few of each count."""
    spread = max(2, round(pieces.size * ASPECT_SLACK))
    sizes = np.arange(round(pieces.size) - spread, round(pieces.size) + spread + 1)
    count, size, gap = (part.ravel() for part in np.meshgrid(np.arange(1, MOST + 1), sizes, pieces.gaps, indexing="ij"))
    fits = (count * size + (count - 1) * gap <= len(profile) - (pieces.margin or 0)) & ((count > 1) | (gap == pieces.gaps[0]))
    count, size, gap = count[fits], size[fits], gap[fits]
    room = len(profile) - 1 - count * size - (count - 1) * gap
    starts = [room // 2]
    if pieces.margin is not None:
        starts += [np.full(len(room), pieces.margin), room - pieces.margin]
        count, size, gap = (np.tile(part, 3) for part in (count, size, gap))
    return _best(count, size, gap, np.maximum(np.concatenate(starts), 0), _widened(profile))


def _widened(profile: np.ndarray) -> np.ndarray:
    """A profile in which a pixel beside a line counts half as much, and the borders count as lines."""
    wide = np.maximum(profile, cv2.dilate(profile[None], np.ones((1, 3), np.uint8))[0] * 0.7)
    wide[[0, 1, -2, -1]] = BORDER
    return wide


def _best(count: np.ndarray, size: np.ndarray, gap: np.ndarray, start: np.ndarray, wide: np.ndarray) -> Rulers:
    """Measure rulers and keep the best few of each count."""
    length = len(wide) - 1
    piece = np.arange(MOST)
    left = start[:, None] + piece * (size + gap)[:, None]
    right = np.minimum(left + size[:, None], length)
    left = np.minimum(left, length)
    there = piece < count[:, None]
    score = np.einsum("mp,mp->m", wide.take(left) + wide.take(right), there) / (2 * count)
    alike = (count * length + size // NEAR) * length + gap // GAP_NEAR * (count > 1)  # of rulers nearly alike only the best is kept
    order = np.lexsort((-score, alike))
    order = order[np.diff(alike[order], prepend=-1) > 0]
    order = order[np.lexsort((-score[order], count[order]))]
    rank = np.arange(len(order)) - np.searchsorted(count[order], count[order])
    top = order[rank < PER_COUNT]
    return Rulers(count[top], size[top], gap[top], _snapped(np.stack([left[top], right[top]], axis=1), wide), score[top])


def _snapped(ends: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """Move each end by a pixel if the line is there."""
    beside = np.stack([ends, np.maximum(ends - 1, 0), np.minimum(ends + 1, len(wide) - 1)])
    return np.take_along_axis(beside, wide[beside].argmax(axis=0)[None], axis=0)[0]


@lru_cache(maxsize=16)
def _hypotheses(widest: int) -> tuple[np.ndarray, ...]:
    """count, piece, lever, gap (k,): an end of a piece left of the middle lies lever * size off it, gaps apart."""
    rows = [(count, end // 2, end // 2 + end % 2 - count / 2, gap) for count in range(1, MOST + 1)
            for end in range(count) for gap in GAPS if gap <= widest and end // 2 + end % 2 != count / 2]
    count, piece, lever, gap = np.array(rows).T
    return count.astype(np.int64), piece, lever, gap.astype(np.int64)


def find_peaks(profile: np.ndarray, most: int) -> np.ndarray:
    """The positions of the `most` highest local maxima, and 0, in order."""
    high = np.flatnonzero(profile == cv2.dilate(profile[None], np.ones((1, 3), np.uint8))[0])
    return np.unique(np.append(high[np.argsort(-profile[high], kind="stable")[:most]], 0))


def _cells(across: np.ndarray, down: np.ndarray, edges: Edges) -> tuple[np.ndarray, float]:
    """The boxes of a grid, its last row as long as speaks for it best, and what they are worth."""
    columns, rows = across.shape[1], down.shape[1]
    width = across[1, 0] - across[0, 0]
    pitch = (across[0, -1] - across[0, 0]) / (columns - 1) if columns > 1 else float(width)

    def row(left: np.ndarray, number: int) -> np.ndarray:
        top, bottom = (np.full(len(left), end) for end in down[:, number])
        return np.stack([left, top, left + width, bottom], axis=1).clip(0, [edges.width, edges.height] * 2)

    above = [row(across[0], number) for number in range(rows - 1)]
    full = row(across[0], rows - 1)
    last = [row(np.rint((edges.width - (count - 1) * pitch - width) / 2 + np.arange(count) * pitch).astype(np.int64), rows - 1)
            for count in range(1, columns if rows > 1 else 0)] + [full]
    worth = worth_of(np.concatenate([*above, *last]), edges)
    first = len(above) * columns
    each = np.array([part.sum() for part in np.split(worth[first:], np.cumsum([len(boxes) for boxes in last])[:-1])])
    best = int(np.argmax(each - _left_over(full, last, edges)))
    return np.concatenate([*above, last[best]]), worth[:first].sum() + each[best]


def _left_over(full: np.ndarray, last: list[np.ndarray], edges: Edges) -> np.ndarray:
    """1.0 for each last row, (n,), that leaves something out on both sides (on one there may be a clock)."""
    if len(last) == 1:
        return np.zeros(1)
    start, end = full[0], full[-1]
    left = np.array([[start[0], start[1], boxes[0, 0] - 2, start[3]] for boxes in last[:-1]])
    right = np.array([[boxes[-1, 2] + 2, end[1], end[2], end[3]] for boxes in last[:-1]])
    return np.append(~(edges.empty(left) | edges.empty(right)), 0.0).astype(float)
