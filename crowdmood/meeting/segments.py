"""Segments: the time of a meeting cut into stretches of constant layout, told from the tiles of all frames.

Tiles flicker: some are missed in some frames, some frames show no grid at all. So the boxes of the whole recording
are first gathered to places; each place is there or not by a vote of the frames around; and where places come or
go, a segment ends. A median keeps the edge of a step where it is: boundaries stay exact to a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from crowdmood.cuts import FrameRows

SAME_PLACE = 0.8     # boxes with this intersection over union are the same place in the picture
GRID = 2.0           # px to which boxes are rounded before they are gathered: keeps the number of different ones small
MOST_PLACES = 2000
FEWEST_ROWS = 3      # a place seen less often is a mistake
VOTE_S = 0.6         # a place is there if it is in most frames from so long before to so long after
FILL_S = 3.0         # a place may be missing this long, if nothing else takes it
CHANGE_S = 0.6       # what changes within this time is one change of layout
RIVAL_IOU, RIVAL_PART = 0.4, 0.2  # boxes that overlap more than this cannot both be tiles


@dataclass(frozen=True)
class TileRows:
    """All tiles of a recording, sorted by frame.

    frame: int64 (k,) as in `FrameRows.frame`. time: float64 (k,) seconds. box: float32 (k, 4) x1 y1 x2 y2 pixels.
    role: int8 (k,), places in `layout.ROLES`. motion: float32 (k,) 0..255, NaN where unknown.
    active: float32 (k,) 0..1, how surely the speaker frame is on it.
    label: uint8 (k, LABEL_BYTES), zeros where no name bar is seen. look: uint8 (k, LOOK_BYTES).
    """

    frame: np.ndarray
    time: np.ndarray
    box: np.ndarray
    role: np.ndarray
    motion: np.ndarray
    active: np.ndarray
    label: np.ndarray
    look: np.ndarray


@dataclass(frozen=True)
class Segments:
    """s segments of constant layout and the t tiles in them.

    start: int64 (s,), the rows of the analyzed frames at which they begin; the first is 0.
    segment: int64 (t,) 0.., not decreasing; within a segment tiles are row by row. place: int64 (t,), equal for tiles
    in the same place. box: float32 (t, 4). role: int8 (t,).
    tile_of: int64 (k,), the tile that each tile row belongs to, -1 for mistakes. frame_of: int64 (k,), its frame's row.
    """

    start: np.ndarray
    segment: np.ndarray
    place: np.ndarray
    box: np.ndarray
    role: np.ndarray
    tile_of: np.ndarray
    frame_of: np.ndarray

    def rows(self) -> Iterator[tuple[int, np.ndarray]]:
        """Each tile that has any, with its rows in time."""
        order = np.argsort(self.tile_of, kind="stable")
        order = order[np.searchsorted(self.tile_of[order], 0):]
        tiles, first = np.unique(self.tile_of[order], return_index=True)
        yield from zip(tiles.tolist(), np.split(order, first[1:]) if len(order) else [], strict=True)


def find_segments(tiles: TileRows, frames: FrameRows) -> Segments:
    """Cut the recording where tiles come, go or move. Every analyzed frame is in one segment."""
    frame_of = np.searchsorted(frames.frame, tiles.frame)
    place, box, role = _places(tiles, min(FEWEST_ROWS, len(frames.time)))
    if not len(box):
        return _segments(np.zeros(1, np.int64), np.zeros((0, 1), bool), tiles, place, frame_of)
    rival = _rivals(box, role)
    spans = _filled(_voted(place, frame_of, frames, len(box)), rival, frames)
    start = _boundaries(spans, place, frame_of, frames)
    there = _members(spans, start, len(frames.time), len(box))
    seen = np.zeros_like(there, np.int64)
    known = place >= 0
    np.add.at(seen, (place[known], np.searchsorted(start, frame_of[known], side="right") - 1), 1)
    there = _without_rivals(there & (seen > 0), seen, rival)
    start, there = _with_passing(start, there, _shown(place, frame_of, len(frames.time), len(box)))
    new = np.append(True, (there[:, 1:] != there[:, :-1]).any(axis=0))
    return _segments(start[new], there[:, new], tiles, place, frame_of)


def split(found: Segments, at: np.ndarray, tiles: TileRows) -> Segments:
    """Return the segments with further boundaries at the frame rows `at`; the tiles in both halves stay the same."""
    start = np.union1d(found.start, at)
    old = np.searchsorted(found.start, start, side="right") - 1
    there = np.zeros((int(found.place.max(initial=-1)) + 1, len(found.start)), bool)
    there[found.place, found.segment] = True
    place = np.append(found.place, -1)[found.tile_of]
    return _segments(start, there[:, old], tiles, place, found.frame_of)


def _places(tiles: TileRows, fewest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return int64 (k,) the place of each row or -1, and box float32 (q, 4) and role int8 (q,) of the places.

    fewest: rows of a place.
    """
    rounded = np.clip(np.rint(tiles.box / GRID), 0, 16383).astype(np.int64)
    key = tiles.role.astype(np.int64)
    for side in range(4):
        key = key << 14 | rounded[:, side]
    _, first, inverse, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    box, role = tiles.box[first], tiles.role[first]
    place, leaders = np.full(len(first), -1, np.int64), []
    left = np.argsort(-count, kind="stable")
    while len(left) and len(leaders) < MOST_PLACES:
        leader = left[0]
        same = (overlap(box[leader], box[left]) >= SAME_PLACE) & (role[left] == role[leader])
        same[0] = True
        if count[left[same]].sum() >= fewest:
            place[left[same]] = len(leaders)
            leaders.append(leader)
        left = left[~same]
    return place[inverse.ravel()], box[leaders], role[leaders]


def overlap(box: np.ndarray, others: np.ndarray, of_smaller: bool = False) -> np.ndarray:
    """Return the intersection (...) of boxes (..., 4), as a share of their union or of the smaller one."""
    side = np.minimum(box[..., 2:], others[..., 2:]) - np.maximum(box[..., :2], others[..., :2])
    common = np.prod(np.maximum(side, 0), axis=-1)
    area, other = (np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (box, others))
    return common / np.maximum(np.minimum(area, other) if of_smaller else area + other - common, 1e-6)


def _rivals(box: np.ndarray, role: np.ndarray) -> np.ndarray:
    """Return bool (q, q): places that cannot both be there. A tile may lie upon the stage or the shared screen."""
    rival = overlap(box[:, None], box[None]) >= RIVAL_IOU
    rival |= (overlap(box[:, None], box[None], of_smaller=True) >= RIVAL_PART) & (role[:, None] == role[None])
    np.fill_diagonal(rival, False)
    return rival


def _voted(place: np.ndarray, frame_of: np.ndarray, frames: FrameRows, count: int) -> np.ndarray:
    """Return int64 (v, 3): place, first frame row and the one after the last, by place and time."""
    n = len(frames.time)
    reach = _reach(frames)
    low, high = np.maximum(np.arange(n) - reach, 0), np.minimum(np.arange(n) + reach + 1, n)
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(count + 1))
    spans = []
    for number in range(count):
        seen = np.zeros(n, np.int64)
        seen[frame_of[order[bounds[number]:bounds[number + 1]]]] = 1
        total = np.append(0, np.cumsum(seen))
        edge = np.flatnonzero(np.diff(2 * (total[high] - total[low]) > high - low, prepend=False, append=False))
        spans.append(np.column_stack([np.full(len(edge) // 2, number), edge[::2], edge[1::2]]))
    return np.concatenate(spans).astype(np.int64)


def _reach(frames: FrameRows) -> int:
    """Return how many frames before and after one vote with it."""
    step = float(np.median(np.diff(frames.time))) if len(frames.time) > 1 else 1.0
    return round(VOTE_S / step) if step > 0 else 0


def _filled(spans: np.ndarray, rival: np.ndarray, frames: FrameRows) -> np.ndarray:
    """Join the spans of a place across a short gap in which no rival is there."""
    keep: list[np.ndarray] = []
    end_s = np.append(frames.time, np.inf)
    for span in spans:
        if keep and keep[-1][0] == span[0] and end_s[span[1]] - frames.time[keep[-1][2] - 1] <= FILL_S:
            others = spans[rival[span[0], spans[:, 0]]]
            if not ((others[:, 1] < span[1]) & (others[:, 2] > keep[-1][2])).any():
                keep[-1] = np.array([span[0], keep[-1][1], span[2]])
                continue
        keep.append(span)
    return np.array(keep, np.int64).reshape(-1, 3)


def _boundaries(spans: np.ndarray, place: np.ndarray, frame_of: np.ndarray, frames: FrameRows) -> np.ndarray:
    """Return the frame rows at which segments begin. The vote is rough to a few frames where tiles were missed; so of
    each group of changes that row counts which parts best the frames with the old places from those with the new."""
    n, reach = len(frames.time), _reach(frames)
    edges = np.concatenate([spans[:, [0, 1]], spans[:, [0, 2]] * [1, -1]])  # a place comes at row, or goes at -row
    edges = edges[np.argsort(np.abs(edges[:, 1]), kind="stable")]
    edges = edges[(np.abs(edges[:, 1]) > reach) & (np.abs(edges[:, 1]) < n - reach)]  # near the ends a vote is too weak
    start = [0]
    for group in groups(frames.time[np.abs(edges[:, 1])], CHANGE_S):
        row = np.abs(edges[group, 1])
        low, high = max(int(row.min()) - reach, start[-1]), min(int(row.max()) + reach, n)
        way = np.zeros(len(np.unique(place)) + 1)
        np.add.at(way, edges[group, 0], np.sign(edges[group, 1]))
        rows = slice(*np.searchsorted(frame_of, (low, high)))
        new = np.bincount(frame_of[rows] - low, np.where(place[rows] >= 0, way[place[rows]], 0), high - low)
        after = np.append(np.cumsum(new[::-1])[::-1], 0)
        best = np.flatnonzero(after == after.max())
        start.append(low + int(best[-1 if way.sum() > 0 else 0]))  # what nobody saw belongs to neither
    return np.unique(start)


def groups(time: np.ndarray, longest: float) -> list[np.ndarray]:
    """Return the indices of increasing times in groups, each no longer than `longest` from its first to its last."""
    found, begin = [], 0
    while begin < len(time):
        end = int(np.searchsorted(time, time[begin] + longest + 1e-9, side="right"))
        found.append(np.arange(begin, end))
        begin = end
    return found


def _members(spans: np.ndarray, start: np.ndarray, n: int, count: int) -> np.ndarray:
    """Return bool (q, s): places that are there for most of a segment."""
    end = np.append(start[1:], n)
    total = np.zeros((count, len(start)), np.int64)
    for place, first, after in spans:
        low, high = np.searchsorted(start, first, side="right") - 1, np.searchsorted(start, after)
        total[place, low:high] += np.minimum(end[low:high], after) - np.maximum(start[low:high], first)
    return 2 * total > end - start


def _without_rivals(there: np.ndarray, seen: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """Of rivals in a segment keep the one seen in more frames."""
    there = there.copy()
    for segment in range(there.shape[1]):
        places = np.flatnonzero(there[:, segment])
        for place in places[np.argsort(-seen[places, segment], kind="stable")]:
            if there[place, segment]:
                there[rival[place], segment] = False
    return there


def _shown(place: np.ndarray, frame_of: np.ndarray, n: int, count: int) -> list[np.ndarray]:
    """Return for each of n frames the places seen in it, int64 increasing; none where a tile is in no known place."""
    bounds = np.searchsorted(frame_of, np.arange(n + 1))
    shown = [np.unique(place[low:high]) for low, high in pairwise(bounds)]
    return [seen if len(seen) and seen[0] >= 0 else seen[:0] for seen in shown]


def _with_passing(start: np.ndarray, there: np.ndarray, shown: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Add the segments that are too short for the vote, and return start (s,) and there (q, s).

    A frame whose tiles are not those of its segment, but exactly those of a layout that is known from elsewhere, shows
    that layout: detectors do not err so.
    """
    n = len(shown)
    segment = np.searchsorted(start, np.arange(n), side="right") - 1
    members = {tuple(np.flatnonzero(column)): number for number, column in reversed(list(enumerate(there.T)))}
    for row, seen in enumerate(shown):
        fits = there[seen, segment[row]].sum()
        if 2 * fits < len(seen) and len(seen) > 1:
            segment[row] = members.get(tuple(seen), segment[row])
    begins = np.union1d(start, np.flatnonzero(np.diff(segment)) + 1)
    return begins, there[:, segment[begins]]


def misfits(found: Segments, n: int) -> np.ndarray:
    """Return bool (n,): frames in which tiles were seen, two or more, but hardly any of those of their segment."""
    rows = np.bincount(found.frame_of, minlength=n)
    fitting = np.bincount(found.frame_of[found.tile_of >= 0], minlength=n)
    return (rows > 1) & (2 * fitting < rows)


def _segments(start: np.ndarray, there: np.ndarray, tiles: TileRows, place: np.ndarray, frame_of: np.ndarray) -> Segments:
    """Number the tiles and give each its rows. there: bool (q, s), places in segments."""
    count, s = there.shape
    segment, member = np.nonzero(there.T)
    number = np.full((count + 1, s), -1, np.int64)
    number[member, segment] = np.arange(len(member))
    tile_of = number[place, np.searchsorted(start, frame_of, side="right") - 1]
    box, role = np.zeros((len(member), 4), np.float32), np.zeros(len(member), np.int8)
    found = Segments(start, segment, member, box, role, tile_of, frame_of)
    seen = dict(found.rows())
    for tile in range(len(member)):
        # A tile that was missed throughout a short segment is where its place is in others.
        rows = seen[tile] if tile in seen else np.flatnonzero(place == member[tile])
        box[tile] = np.median(tiles.box[rows[::max(1, len(rows) // 200)]], axis=0)
        role[tile] = tiles.role[rows[0]]
    rank = np.empty(len(member), np.int64)
    rank[_row_by_row(segment, box)] = np.arange(len(member))
    order = np.argsort(rank)
    return Segments(start, segment[order], member[order], box[order], role[order], np.append(rank, -1)[tile_of], frame_of)


def _row_by_row(segment: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the order by segment, then rows from the top, then from the left. A row is tiles at about one height."""
    middle, height = (box[:, 1] + box[:, 3]) / 2, box[:, 3] - box[:, 1]
    line = np.zeros(len(box), np.int64)
    order = np.lexsort((middle, segment))
    for before, now in pairwise(order):
        if segment[now] == segment[before]:
            line[now] = line[before] + (middle[now] - middle[before] > min(height[now], height[before]) / 2)
    return np.lexsort((box[:, 0], line, segment))
