"""Where faces are at any instant, though they were looked for at a few only: straight pieces between sightings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood.labels import EXPRESSIONS, UNCERTAIN
from crowdmood.results import Run

NAMES = (*EXPRESSIONS, UNCERTAIN)
MISSED_S = 1.0     # a box is drawn on across sightings that were missed for up to so long; a cover always is
SHOWN_S = 0.25     # a box is drawn for at most so long before a track's first and after its last sighting ...
COVERED_S = 0.5    # ... and a face is covered for at least so long, and for COVERED_STEPS of the analyzed frames
COVERED_STEPS = 1.5
TOP_SPEED = 3.0    # faces per second: an end of a track is followed no faster than this
SPREAD = 0.5       # faces per second by which a cover grows while nothing is known, up to one face
ANY, BEFORE, AFTER = 0, 1, 2  # a piece that is true at any time, until a cut that is near, from a cut that was near
FACES = """
SELECT frame, time_s, x1, y1, x2, y2, expression, confidence, coalesce(track, -1) AS track, coalesce(person, -1) AS person
FROM faces ORDER BY frame, face
"""
FRAMES = "SELECT frame, time_s, shown_s, cut FROM frames ORDER BY frame"


@dataclass(frozen=True)
class Sightings:
    """Every face of a run (m) and every analyzed frame (n), in order.

    time float64 (m,) seconds; box float64 (m, 4); name int8 (m,) into NAMES; confidence float32 (m,); track, person
    int32 (m,), -1 where a face has none; at int64 (m,) row of its frame. frame int64 (n,) number in the recording;
    frame_time float64 (n,) seconds; cut bool (n,), True where a scene begins.
    """

    time: np.ndarray
    box: np.ndarray
    name: np.ndarray
    confidence: np.ndarray
    track: np.ndarray
    person: np.ndarray
    at: np.ndarray
    frame: np.ndarray
    frame_time: np.ndarray
    cut: np.ndarray


@dataclass(frozen=True)
class Pieces:
    """k straight pieces of the ways of faces, by start.

    start, end float64 (k,) seconds: from start up to, not including, end. first, last float64 (k, 4): the box at both.
    row int64 (k,): the sighting that the piece begins with, or belongs to. side int8 (k,): ANY, BEFORE or AFTER.
    """

    start: np.ndarray
    end: np.ndarray
    first: np.ndarray
    last: np.ndarray
    row: np.ndarray
    side: np.ndarray

    def at(self, time: float, after_cut: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (j, 4) and rows (j,) of the faces at an instant. after_cut: whether a cut that was near has come."""
        longest = (self.end - self.start).max(initial=0.0)
        low, high = np.searchsorted(self.start, (time - longest, time), side="right")
        here = low + np.flatnonzero((self.end[low:high] > time) & (self.side[low:high] != (BEFORE if after_cut else AFTER)))
        share = ((time - self.start[here]) / (self.end[here] - self.start[here]))[:, None]
        return self.first[here] + share * (self.last[here] - self.first[here]), self.row[here]


def sightings(run: Run) -> Sightings:
    """Everything a run has seen, from its tables."""
    faces, frames = run.sql(FACES), run.sql(FRAMES)
    column = {name: faces[name].to_numpy() for name in faces.column_names if name != "expression"}
    index = {name: number for number, name in enumerate(NAMES)}
    names = faces["expression"].combine_chunks().dictionary_encode()
    code = np.array([index[name] for name in names.dictionary.to_pylist()], np.int8)
    frame = frames["frame"].to_numpy()
    return Sightings(
        time=column["time_s"], box=np.stack([column[side] for side in ("x1", "y1", "x2", "y2")], axis=1).astype(np.float64),
        name=code[names.indices.to_numpy()], confidence=column["confidence"], track=column["track"],
        person=column["person"], at=np.searchsorted(frame, column["frame"]), frame=frame,
        frame_time=frames["time_s"].to_numpy(), cut=frames["cut"].to_numpy(zero_copy_only=False).astype(bool))


@dataclass(frozen=True)
class _Chains:
    """Sightings in the order of their chains. order int64 (m,): rows. inner, first, last: places in `order` of those that
    the next one continues, that begin a chain, that end one. time, box, speed: as in `order`."""

    order: np.ndarray
    inner: np.ndarray
    first: np.ndarray
    last: np.ndarray
    time: np.ndarray
    box: np.ndarray
    speed: np.ndarray


def shown(seen: Sightings) -> Pieces:
    """The pieces along which boxes are drawn: between two sightings of a track, and a moment around its ends."""
    way = _chains(seen, seen.track, MISSED_S)
    inner, first, last, row, time, box = way.inner, way.first, way.last, way.order, way.time, way.box
    # Half of the gap belongs to the neighbouring frame; but up to a cut, whose instant is found in the film, all of it.
    step = np.concatenate([[np.inf], np.diff(seen.frame_time), [np.inf]])
    cut_after, cut_before = np.append(seen.cut, False)[1:][seen.at[row]], seen.cut[seen.at[row]]
    tail = np.minimum(step[1:][seen.at[row]] / np.where(cut_after, 1, 2), SHOWN_S)
    head = np.minimum(step[:-1][seen.at[row]] / np.where(cut_before, 1, 2), SHOWN_S)
    ahead, back = way.speed * tail[:, None], way.speed * head[:, None]
    return _sorted([
        (time[inner], time[inner + 1], box[inner], box[inner + 1], row[inner], np.full(len(inner), ANY)),
        (time[last], (time + tail)[last], box[last], (box + ahead)[last], row[last], np.where(cut_after, BEFORE, ANY)[last]),
        ((time - head)[first], time[first], (box - back)[first], box[first], row[first],
         np.where(cut_before, AFTER, ANY)[first]),
    ])


def covered(seen: Sightings) -> Pieces:
    """The pieces along which faces are covered: all faces, across everything missed, and longer around the ends.

    Where a cut lies between two analyzed frames, both scenes' faces are covered from the one frame to the other.
    """
    lone = np.arange(len(seen.time)) + seen.person.max(initial=0) + 1
    way = _chains(seen, np.where(seen.person >= 0, seen.person, lone), np.inf)
    inner, first, last, row, time, box = way.inner, way.first, way.last, way.order, way.time, way.box
    step = float(np.median(np.diff(seen.frame_time))) if len(seen.frame_time) > 1 else 0.0
    hold = max(COVERED_S, COVERED_STEPS * step)
    until, since = (values[row] for values in _scenes(seen))
    tail, head = np.minimum(hold, until - time), np.minimum(hold, time - since)
    after = _around(box, box + way.speed * tail[:, None], tail)
    before = _around(box, box - way.speed * head[:, None], head)
    gap = time[inner + 1] - time[inner]
    half = time[inner] + gap / 2
    # Half-way through a long gap least is known: the cover is largest there.
    middle = _grown((box[inner] + box[inner + 1]) / 2, np.maximum(gap - COVERED_STEPS * step, 0) / 2)
    return _sorted([(start, end, from_box, to_box, rows, np.full(len(rows), ANY)) for start, end, from_box, to_box, rows in (
        (time[inner], half, box[inner], middle, row[inner]),
        (half, time[inner + 1], middle, box[inner + 1], row[inner]),
        (time[last], (time + tail)[last], box[last], after[last], row[last]),
        ((time - head)[first], time[first], before[first], box[first], row[first]),
    )])


def _chains(seen: Sightings, key: np.ndarray, longest_s: float) -> _Chains:
    """Sightings by key and time: those of one key (none: below 0) follow each other, if at most so many seconds later."""
    order = np.lexsort((seen.time, key))
    time, box = seen.time[order], seen.box[order]
    follows = (np.diff(key[order]) == 0) & (key[order][1:] >= 0) & (np.diff(time) <= longest_s)
    continued, continues = np.append(follows, False)[:len(order)], np.append(False, follows)[:len(order)]
    inner = np.flatnonzero(continued)
    return _Chains(order, inner, np.flatnonzero(~continues), np.flatnonzero(~continued), time, box, _speeds(time, box, inner))


def _scenes(seen: Sightings) -> tuple[np.ndarray, np.ndarray]:
    """For each sighting: the time of the frame that begins the next scene (inf: none), and of the one before this scene."""
    begins = np.flatnonzero(seen.cut)
    next_scene = np.searchsorted(begins, seen.at, side="right")
    until = np.append(seen.frame_time[begins], np.inf)[next_scene]
    since = np.append(-np.inf, seen.frame_time[np.maximum(begins - 1, 0)])[next_scene]
    return until, since


def _speeds(time: np.ndarray, box: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """(m, 4) pixels per second of each box, as it came or, at a beginning, as it goes on; the same for both corners.

    inner: the sightings that are continued by the next one.
    """
    speed = np.zeros((len(time), 4))
    centre = (box[:, :2] + box[:, 2:]) / 2
    size = np.sqrt(np.maximum((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]), 1.0))
    moved = (centre[inner + 1] - centre[inner]) / np.maximum(time[inner + 1] - time[inner], 1e-3)[:, None]
    moved *= np.minimum(1.0, TOP_SPEED * size[inner] / np.maximum(np.hypot(*moved.T), 1e-6))[:, None]
    speed[inner] = np.hstack([moved, moved])
    speed[inner + 1] = np.hstack([moved, moved])
    return speed


def _grown(box: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Boxes grown on each side by SPREAD of their size per second that nothing is known, up to half their size."""
    by = (box[:, 2:] - box[:, :2]) * np.minimum(SPREAD * seconds, 0.5)[:, None]
    return np.hstack([box[:, :2] - by, box[:, 2:] + by])


def _around(first: np.ndarray, second: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Boxes around both: where a face was, and where it should be by then."""
    return _grown(np.hstack([np.minimum(first[:, :2], second[:, :2]), np.maximum(first[:, 2:], second[:, 2:])]), seconds)


def _sorted(parts: list[tuple[np.ndarray, ...]]) -> Pieces:
    start, end, first, last, row, side = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    real = end > start
    order = np.flatnonzero(real)[np.argsort(start[real], kind="stable")]
    return Pieces(start[order], end[order], first[order], last[order], row[order].astype(np.int64),
                  side[order].astype(np.int8))
