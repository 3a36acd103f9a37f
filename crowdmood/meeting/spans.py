"""What a meeting's tables say: who was in which tile when, camera on or off, and whom the picture itself marked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from crowdmood.cuts import FrameRows
from crowdmood.layout.finding import ROLES
from crowdmood.meeting.joins import STAGE, Joined
from crowdmood.meeting.live import SHARE, stretches
from crowdmood.meeting.segments import Segments, TileRows

LAYOUTS = ("gallery", "speaker", "side by side", "share", "single", "none")
ACTIVE = 0.5          # a speaker frame at least so sure
SPOTLIGHT_S = 0.4     # a shorter spotlight is a flicker, and so is one of another tile within it
PAUSE_S = 1.5         # a break without any is a pause in speaking, or tiles were not seen for a moment
SINGLE_SHARE = 0.5    # without tiles: one face in so much of the time is one participant who fills the picture


@dataclass(frozen=True)
class TileSegments:
    """r rows by segment, tile, time, person: one for each tile of a segment; where a camera goes on or off within it one
    for each stretch; where a camera shows several persons one for each. Their times add up to a person's presence.

    segment: int32, 1.. in time. layout: str, one of `LAYOUTS`. start_s, end_s: float64, of this row.
    tile: int16, 1.. row by row; -1 in the one row of a segment without tiles. role: str of `layout.ROLES` or None there.
    box: float32 (r, 4) x1 y1 x2 y2 pixels, NaN there. live: bool, whether the camera was on.
    person: int32, whose tile it is, also while the camera is off; -1 if no face of theirs was ever seen.
    joined_by: str or None, how the person was known from earlier segments: 'label', 'look', 'order', or 'new';
        None in the first segment and where there is no person. confidence: float32 0..1 of that, NaN where it is None.
    """

    segment: np.ndarray
    layout: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    tile: np.ndarray
    role: np.ndarray
    box: np.ndarray
    live: np.ndarray
    person: np.ndarray
    joined_by: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Spotlights:
    """Spans in which the picture itself marks one tile (s rows, in time): start_s, end_s float64, segment int32,
    tile int16, person int32 (-1 where nobody is known)."""

    start_s: np.ndarray
    end_s: np.ndarray
    segment: np.ndarray
    tile: np.ndarray
    person: np.ndarray


class Seen(NamedTuple):
    """What is known of the faces, m each: row of the analyzed frame, tile or -1, person or -1."""

    at: np.ndarray
    tile: np.ndarray
    person: np.ndarray


class _Row(NamedTuple):
    segment: int
    layout: str
    start_s: float
    end_s: float
    tile: int
    role: str | None
    box: np.ndarray
    live: bool
    person: int
    joined_by: str | None
    confidence: float


DTYPES = {"segment": np.int32, "layout": object, "start_s": np.float64, "end_s": np.float64, "tile": np.int16, "role": object,
          "live": bool, "person": np.int32, "joined_by": object, "confidence": np.float32}


def tile_numbers(found: Segments) -> np.ndarray:
    """Return int16 (t + 1,): the number of each tile in its segment, 1.., and -1 at last."""
    first = np.searchsorted(found.segment, found.segment)
    return np.append(np.arange(len(found.segment)) - first + 1, -1).astype(np.int16)


def end_times(found: Segments, frames: FrameRows) -> np.ndarray:
    """Return float64 (s + 1,): when segments begin, and the last ends."""
    step = float(np.median(np.diff(frames.time))) if len(frames.time) > 1 else 0.0
    return np.append(frames.time[found.start], frames.time[-1] + step)


def list_segments(found: Segments, frames: FrameRows, live: np.ndarray, joined: Joined, seen: Seen) -> TileSegments:
    """Return the rows of the table `tiles`. live: (k,) per tile row."""
    edges, numbers, rows_of = end_times(found, frames), tile_numbers(found), dict(found.rows())
    persons, rows = _persons_of(joined.participant, seen), []
    for segment in range(len(found.start)):
        here = np.flatnonzero(found.segment == segment)
        if not len(here):
            rows += _without_tiles(segment, edges, seen, found, len(frames.time))
        layout = layout_of(found.role[here], found.box[here])
        for tile in here:
            for start, end, on in _camera(rows_of.get(tile), live, frames, found, edges[segment:segment + 2]):
                for person in persons[tile] if on else persons[tile][:1]:
                    known = person > 0
                    rows.append(_Row(segment + 1, layout, start, end, numbers[tile], ROLES[found.role[tile]], found.box[tile],
                                     on, person, joined.by[tile] if known else None,
                                     joined.confidence[tile] if known else np.nan))
    columns = {name: np.array([getattr(row, name) for row in rows], dtype) for name, dtype in DTYPES.items()}
    return TileSegments(box=np.array([row.box for row in rows], np.float32).reshape(-1, 4), **columns)


def layout_of(role: np.ndarray, box: np.ndarray) -> str:
    """Name the layout of one segment's tiles."""
    if (role == SHARE).any():
        share, rest = box[role == SHARE][0], box[role != SHARE]
        beside = (rest[:, 0] >= share[2] - 2) | (rest[:, 2] <= share[0] + 2)
        return "side by side" if beside.any() else "share"
    if len(role) == 1:
        return "single"
    if (role == STAGE).any():
        return "speaker"
    return "gallery" if len(role) else "none"


def _persons_of(participant: np.ndarray, seen: Seen) -> list[list[int]]:
    """Return the persons of each tile: those seen in it, most seen first; else the first of its participant; else [-1]."""
    known = np.flatnonzero((seen.tile >= 0) & (seen.person > 0))
    pair, count = np.unique(np.column_stack([seen.tile[known], seen.person[known]]), axis=0, return_counts=True)
    persons, most = [[] for _ in participant], {}
    for (tile, person), number in sorted(zip(pair.tolist(), count.tolist(), strict=True), key=lambda p: (p[0][0], -p[1])):
        persons[tile].append(person)
        whose = participant[tile]
        most.setdefault(whose, {})[person] = most.get(whose, {}).get(person, 0) + number
    first = {whose: max(counts, key=counts.get) for whose, counts in most.items()}
    return [found or [first.get(whose, -1)] for found, whose in zip(persons, participant, strict=True)]


def _without_tiles(segment: int, edges: np.ndarray, seen: Seen, found: Segments, n: int) -> list[_Row]:
    """Return the row of a segment without tiles: one participant who fills the picture, or nobody."""
    first, after = np.append(found.start, n)[segment:segment + 2]
    here = seen.person[(seen.at >= first) & (seen.at < after)]
    person, count = np.unique(here[here > 0], return_counts=True)
    single = len(count) > 0 and count.max() >= SINGLE_SHARE * (after - first) and count.max() >= 0.8 * count.sum()
    return [_Row(segment + 1, "single" if single else "none", edges[segment], edges[segment + 1], -1, None,
                 np.full(4, np.nan), single, int(person[count.argmax()]) if single else -1, None, np.nan)]


def _camera(rows: np.ndarray | None, live: np.ndarray, frames: FrameRows, found: Segments,
            span: np.ndarray) -> list[tuple[float, float, bool]]:
    """Return the stretches of a tile with the camera on or off: start, end, on."""
    if rows is None:
        return [(span[0], span[1], True)]
    bounds = stretches(live[rows] != 0)
    times = [span[0], *frames.time[found.frame_of[rows[bounds[1:-1]]]], span[1]]
    return [(start, end, bool(live[rows[at]] != 0)) for (start, end), at in zip(pairwise(times), bounds, strict=False)]


def list_spotlights(found: Segments, frames: FrameRows, tiles: TileRows, table: TileSegments) -> Spotlights:
    """Return the spans in which a speaker frame, or the stage, marks a tile. table: says whose it is."""
    edges, numbers = end_times(found, frames), tile_numbers(found)
    marked = _marked(found, frames, tiles)
    bounds = np.union1d(stretches(marked), found.start)
    spans = [[marked[a], edges_at(frames, edges, a), edges_at(frames, edges, b)] for a, b in pairwise(bounds)]
    spans = _smooth(spans)
    whose = {(s, t): p for s, t, p in zip(table.segment[::-1].tolist(), table.tile[::-1].tolist(), table.person[::-1].tolist(),
                                          strict=True) if p > 0}
    tile = np.array([span[0] for span in spans], np.int64)
    segment, number = (found.segment[tile] + 1).astype(np.int32), numbers[tile]
    person = [whose.get(key, -1) for key in zip(segment.tolist(), number.tolist(), strict=True)]
    return Spotlights(np.array([span[1] for span in spans]), np.array([span[2] for span in spans]), segment, number,
                      np.array(person, np.int32))


def edges_at(frames: FrameRows, edges: np.ndarray, row: int) -> float:
    return float(frames.time[row]) if row < len(frames.time) else float(edges[-1])


def _marked(found: Segments, frames: FrameRows, tiles: TileRows) -> np.ndarray:
    """Return int64 (n,): the tile that each frame marks, or -1: a speaker frame goes before the stage."""
    marked = np.full(len(frames.time), -1, np.int64)
    end = np.append(found.start, len(frames.time))
    for segment in range(len(found.start)):
        here = np.flatnonzero(found.segment == segment)
        large, small = here[found.role[here] == STAGE], here[found.role[here] != SHARE]
        # Beside a shared screen a lone tile is the speaker's: Zoom records it so.
        alone = small[:len(small) == 1 and len(small) < len(here)]
        marked[end[segment]:end[segment + 1]] = next(iter([*large, *alone]), -1)
    rows = np.flatnonzero((tiles.active >= ACTIVE) & (found.tile_of >= 0))
    rows = rows[np.lexsort((tiles.active[rows], found.frame_of[rows]))]
    marked[found.frame_of[rows]] = found.tile_of[rows]  # of several in a frame the surest is written last
    return marked


def _smooth(spans: list[list]) -> list[list]:
    """Close short breaks within a segment, and leave out what marks nothing or only flickers."""
    closed: list[list] = []
    for span in spans:
        if len(closed) > 1 and closed[-2][0] == span[0] >= 0 and _is_break(*closed[-1]):
            closed.pop()
        if closed and closed[-1][0] == span[0] >= 0:
            closed[-1][2] = span[2]
        else:
            closed.append(list(span))
    return [span for span in closed if span[0] >= 0 and span[2] - span[1] >= SPOTLIGHT_S - 1e-9]


def _is_break(tile: int, start: float, end: float) -> bool:
    return end - start <= (PAUSE_S if tile < 0 else SPOTLIGHT_S - 1e-9)
