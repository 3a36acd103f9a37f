"""Persons in tiles: a participant is one person, or several where the camera shows a meeting room."""

from __future__ import annotations

import numpy as np

from crowdmood.cuts import FrameRows
from crowdmood.meeting.live import SHARE
from crowdmood.meeting.segments import Segments, overlap
from crowdmood.persons import link
from crowdmood.tracks import LONGEST_STEP_S, FaceRows, LinkSettings

BLOCK = 65536         # faces whose tiles are looked for at a time
ROOM_SHARE, ROOM_S = 0.15, 2.0  # several faces at once in so much of the time with faces: a room; at least so long
SEAT_SHARE = 0.1      # of that time a face must be there to be a person of the room
DOUBLE_PART = 0.8     # a face of which so much lies in another one of its tile is that one, found twice
PACE = 0.25           # who sits before a camera moves so much slower than who walks about in a film
TOUCHING_PART = 0.05  # of a face that lies in another one: people who sit side by side do not hide each other
SEAT_REACH = 1.5      # faces: a face that returns so near to where one was lost is the same person


def faces_in_tiles(faces: FaceRows, frames: FrameRows, found: Segments, live: np.ndarray,
                   participant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tile int64 (m,), -1 outside of all, and shown bool (m,): False for pictures of faces and second pictures.

    live: (k,) per tile row. participant: (t,) of each tile. Of two tiles that show one participant the larger counts.
    """
    at = np.searchsorted(frames.frame, faces.frame)
    tile = _tile_of_faces(faces.box, np.searchsorted(found.start, at, side="right") - 1, found)
    shown = np.append(found.role != SHARE, True)[tile]
    order = np.argsort(tile, kind="stable")
    bounds = np.searchsorted(tile[order], np.arange(len(found.segment) + 1))
    for one, rows in found.rows():
        here = order[bounds[one]:bounds[one + 1]]
        now = np.searchsorted(found.frame_of[rows], at[here], side="right") - 1
        shown[here] &= live[rows[np.maximum(now, 0)]] != 0
    area = np.append(np.prod(found.box[:, 2:] - found.box[:, :2], axis=1), 0)
    whose = np.append(participant, -1)[tile]
    known = np.flatnonzero(shown & (whose >= 0))
    known = known[np.lexsort((tile[known], -area[tile[known]], whose[known], at[known]))]
    new = np.append(True, (np.diff(at[known]) != 0) | (np.diff(whose[known]) != 0)) if len(known) else np.zeros(0, bool)
    largest = known[np.maximum.accumulate(np.where(new, np.arange(len(known)), 0))]
    shown[known] = tile[known] == tile[largest]
    shown[_doubles(faces, at, tile, shown)] = False
    return tile, shown


def _doubles(faces: FaceRows, at: np.ndarray, tile: np.ndarray, shown: np.ndarray) -> list[int]:
    """Return the rows of faces that lie in a surer one of the same tile and frame: detectors find some faces twice."""
    rows = np.flatnonzero(shown & (tile >= 0))
    rows = rows[np.lexsort((-faces.score[rows], tile[rows], at[rows]))]
    new = np.flatnonzero((np.diff(at[rows]) != 0) | (np.diff(tile[rows]) != 0)) + 1
    doubles = []
    for here in np.split(rows, new):
        for place in range(1, len(here)):
            part = overlap(faces.box[here[place]], faces.box[here[:place]], of_smaller=True)
            if part.max() >= DOUBLE_PART:
                doubles.append(int(here[place]))
    return doubles


def false_faces(faces: FaceRows, tile: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Return bool (m,): faces of nobody that touch somebody's of the same tile and frame: detectors take a neck for one.

    tile, person: (m,) of each face, below 0 and below 1 for none.
    """
    false, first = np.zeros(len(person), bool), np.searchsorted(faces.frame, faces.frame)
    for row in np.flatnonzero((tile >= 0) & (person < 1)).tolist():
        here = np.arange(first[row], np.searchsorted(faces.frame, faces.frame[row], side="right"))
        theirs = here[(tile[here] == tile[row]) & (person[here] > 0)]
        false[row] = len(theirs) > 0 and overlap(faces.box[row], faces.box[theirs], of_smaller=True).max() >= TOUCHING_PART
    return false


def _tile_of_faces(box: np.ndarray, segment: np.ndarray, found: Segments) -> np.ndarray:
    """Return int64 (m,): the smallest tile of the segment that has the face's centre, or -1."""
    tile = np.full(len(box), -1, np.int64)
    centre = (box[:, :2] + box[:, 2:]) / 2
    for begin in range(0, len(box), BLOCK):
        for one in np.unique(segment[begin:begin + BLOCK]):
            low, high = np.maximum(np.searchsorted(segment, (one, one + 1)), begin)
            rows, here = slice(low, min(high, begin + BLOCK)), np.flatnonzero(found.segment == one)
            if len(here):
                place, sides = centre[rows, None], found.box[here]
                inside = ((place >= sides[:, :2]) & (place < sides[:, 2:])).all(axis=2)
                area = np.where(inside, np.prod(sides[:, 2:] - sides[:, :2], axis=1), np.inf)
                tile[rows] = np.where(inside.any(axis=1), here[area.argmin(axis=1)], -1)
    return tile


def persons_in_tiles(faces: FaceRows, found: Segments, frames: FrameRows, whose: np.ndarray,
                     settings: LinkSettings) -> np.ndarray:
    """Return int64 (m,): 1.. for each person of each participant, -1 for faces that are not believed.

    whose: int64 (m, 2), the tile and the participant of each face, -1 for faces that are left out. All the time of a
    participant is taken together, in the coordinates of the tile, as if it had always been where it was largest.
    """
    person, count = np.full(len(whose), -1, np.int64), 0
    sparse = len(frames.time) < 2 or np.median(np.diff(frames.time)) > LONGEST_STEP_S  # each face has one chance only
    order = np.argsort(whose[:, 1], kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(whose[order, 1])) + 1):
        if len(rows) and whose[rows[0], 1] >= 0:
            seat = seats(_in_tile(faces, rows, found.box[whose[rows, 0]]), frames, settings)
            seat = seat if sparse else _believed(seat, faces, rows, settings)
            person[rows] = np.where(seat >= 0, seat + 1 + count, -1)
            count += int(seat.max(initial=-1)) + 1
    return person


def _in_tile(faces: FaceRows, rows: np.ndarray, tile: np.ndarray) -> FaceRows:
    """Return the faces with boxes in pixels of the largest tile. tile: float32 (r, 4), where each was."""
    side = tile[:, 2:] - tile[:, :2]
    largest = side[np.argmax(np.prod(side, axis=1))]
    box = (faces.box[rows] - np.tile(tile[:, :2], 2)) * np.tile(largest / side, 2)
    return FaceRows(faces.frame[rows], faces.time[rows], box.astype(np.float32), faces.score[rows])


def _believed(seat: np.ndarray, faces: FaceRows, rows: np.ndarray, settings: LinkSettings) -> np.ndarray:
    """Return the seats without those that a detector's flicker made."""
    seat = seat.copy()
    for one in np.unique(seat[seat >= 0]):
        here = rows[seat == one]
        time, best = faces.time[here], faces.score[here].max()
        lasting = len(here) >= settings.min_seen and time[-1] - time[0] >= settings.min_seen_s - 1e-9
        if not (best >= settings.sure or (lasting and best >= settings.high)):
            seat[seat == one] = -1
    return seat


def tracks_of(faces: FaceRows, person: np.ndarray, tile: np.ndarray, frames: FrameRows, settings: LinkSettings) -> np.ndarray:
    """Return int32 (m,): a person's faces without a longer break, in one tile, are a track, 1.. by first appearance."""
    at = np.searchsorted(frames.frame, faces.frame)
    rows = np.flatnonzero(person > 0)
    rows = rows[np.lexsort((at[rows], person[rows]))]
    gap = np.diff(faces.time[rows])
    broken = (gap > settings.lost_s) & ((np.diff(at[rows]) > 1) | (gap > LONGEST_STEP_S))
    broken |= (np.diff(tile[rows]) != 0) | (np.diff(person[rows]) != 0)
    track = np.full(len(person), -1, np.int64)
    track[rows] = np.cumsum(np.append(True, broken)) if len(rows) else 0
    return numbered(track)


def numbered(label: np.ndarray) -> np.ndarray:
    """Return int32 (m,): the labels above 0 as 1.. by first appearance, -1 elsewhere."""
    known = np.flatnonzero(label > 0)
    _, first, inverse = np.unique(label[known], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first, kind="stable")] = np.arange(1, len(first) + 1)
    number = np.full(len(label), -1, np.int32)
    number[known] = rank[inverse]
    return number


def seats(faces: FaceRows, frames: FrameRows, settings: LinkSettings) -> np.ndarray:
    """Return int64 (m,): which person in front of one camera each face is, 0.., -1 for doubtful ones.

    A camera shows one person, also if the face is lost and comes back, unless several faces are at once before it for
    a good share of the time. frames: all of the recording.
    """
    _, first, count = np.unique(faces.frame, return_index=True, return_counts=True)
    sure = np.add.reduceat((faces.score >= settings.high).astype(np.int64), first)
    most = _at_once(sure, frames)
    if most < 2:
        return np.where(_usual(faces, first, count), 0, -1)
    return _room(faces, frames, most, settings)


def _at_once(count: np.ndarray, frames: FrameRows) -> int:
    """Return how many persons there are at once in a good share of the frames with faces."""
    step = float(np.median(np.diff(frames.time))) if len(frames.time) > 1 else 0.0
    least = max(ROOM_SHARE * len(count), min(ROOM_S / step if step else 1.0, len(count)))
    crowded = np.bincount(count)[::-1].cumsum()[::-1]  # frames with at least so many faces
    return int(np.flatnonzero(crowded >= least).max(initial=0))


def _usual(faces: FaceRows, first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return bool (m,): of each frame's faces the one that is most like the others in place and size, and clear."""
    box = faces.box.astype(np.float64)
    place = np.column_stack([box[:, 0] + box[:, 2], box[:, 1] + box[:, 3]]) / 2
    size = np.sqrt(np.maximum(np.prod(box[:, 2:] - box[:, :2], axis=1), 1e-6))
    alone = np.repeat(count == 1, count)
    alone = alone if alone.any() else np.ones(len(alone), bool)
    middle, usual = np.median(place[alone], axis=0), np.median(size[alone])
    doubt = np.hypot(*(place - middle).T) / usual + np.abs(np.log(size / usual)) - faces.score
    order = np.lexsort((doubt, np.repeat(np.arange(len(count)), count)))
    chosen = np.zeros(len(doubt), bool)
    chosen[order[first]] = True
    return chosen


def _room(faces: FaceRows, frames: FrameRows, most: int, settings: LinkSettings) -> np.ndarray:
    """Follow the faces, and give tracks that begin where one was lost the same seat. most: persons at once."""
    low, high = np.searchsorted(frames.frame, (faces.frame[0], faces.frame[-1] + 1))
    slow = FaceRows(faces.frame, faces.time * PACE, faces.box, faces.score)
    still = FrameRows(frames.frame[low:high], frames.time[low:high] * PACE,
                      np.zeros_like(frames.signature[low:high]))  # to a tile the cuts of the whole picture are nothing
    track = link(slow, still, settings).person.astype(np.int64) - 1
    track[track < 0] = -1
    seat = _seated(faces, track, most)
    label = np.append(seat, -1)[track]
    seen = np.bincount(label[label >= 0], minlength=1)
    believed = seen >= SEAT_SHARE * len(np.unique(faces.frame))
    label = np.where(np.append(believed, False)[label], label, -1)
    names, first = np.unique(label[label >= 0], return_index=True)
    number = np.full(len(seat) + 2, -1, np.int64)
    number[names[np.argsort(first, kind="stable")]] = np.arange(len(names))
    return number[label]


def _seated(faces: FaceRows, track: np.ndarray, most: int) -> np.ndarray:
    """Return int64 (t,), the seat of each track: the nearest that is free, a new one while there are fewer than `most`."""
    order = np.argsort(track, kind="stable")
    order = order[np.searchsorted(track[order], 0):]
    first = np.unique(track[order], return_index=True)[1]
    parts = np.split(order, first[1:]) if len(first) else []
    seat = np.zeros(len(parts), np.int64)
    last_time, last_place = [], []
    for number, rows in enumerate(parts):  # tracks are numbered in time
        box = faces.box[rows].astype(np.float64)
        place = np.column_stack([box[:, 0] + box[:, 2], box[:, 1] + box[:, 3]]) / 2
        size = float(np.sqrt(np.median(np.prod(box[:, 2:] - box[:, :2], axis=1))))
        way = [np.hypot(*(place[0] - there)) / size if time < faces.time[rows[0]] else np.inf
               for time, there in zip(last_time, last_place, strict=True)]
        free = bool(way) and min(way) < np.inf
        if free and (min(way) <= SEAT_REACH or len(way) >= most):
            seat[number] = int(np.argmin(way))
        else:
            seat[number] = len(way)
            last_time.append(0.0)
            last_place.append(place[0])
        last_time[seat[number]], last_place[seat[number]] = faces.time[rows[-1]], place[-1]
    return seat
