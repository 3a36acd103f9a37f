"""Link: face rows in time order become tracks, and tracks become persons. No pixels, no files.

A track is a face followed without a longer break. A person is one track, or several that one face must have
left behind when it was hidden for a moment. Nobody is recognised: a person who leaves the picture and
returns later, or who is seen again after a cut, is a new person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood.cuts import FrameRows, find_cuts
from crowdmood.joins import successors
from crowdmood.tracks import LONGEST_STEP_S, FaceRows, LinkSettings, associate

__all__ = ["FaceRows", "FrameRows", "LinkSettings", "Links", "find_cuts", "link"]


@dataclass(frozen=True)
class Links:
    """What linking found.

    track: int32 (m,), 1.. by first appearance, -1 where a face flickered too briefly to be believed.
    person: int32 (m,), 1.. by first appearance, -1 in the same rows.
    cut: bool (n,), where a new scene starts.
    tile, live: in a meeting, int16 (m,), the gallery tile that a face is in, -1 for none, and bool (m,), False where it is a picture.
    """

    track: np.ndarray
    person: np.ndarray
    cut: np.ndarray
    tile: np.ndarray | None = None
    live: np.ndarray | None = None


def link(faces: FaceRows, frames: FrameRows, settings: LinkSettings = LinkSettings()) -> Links:
    """Give every face its track and its person.

    faces: m faces sorted by frame, all of frames in `frames`; frames: all n analyzed frames in order.
    No two faces of a frame share a track or a person. The same rows give the same numbers, however they were
    scanned; the order of the faces within a frame decides only who is numbered first.
    Raises ValueError where faces are out of order or belong to no frame of `frames`.
    """
    at = _frame_of(faces, frames)
    cut = find_cuts(frames)
    track, scene = associate(faces, frames, cut, settings)
    believed = _believed(track, faces, frames, scene, settings)
    track = _renumbered(np.where((track >= 0) & np.append(believed, False)[track], track, -1))
    count = int(track.max(initial=-1)) + 1
    first_row = np.unique(track[track >= 0], return_index=True)[1]
    rows = np.flatnonzero(track >= 0)[first_row]
    follower = successors(faces, track, scene[at[rows]], settings) if count else np.zeros(0, np.int64)
    person = np.arange(count)
    for earlier in np.flatnonzero(follower >= 0):  # a successor begins later, so its number is larger
        person[follower[earlier]] = person[earlier]
    person = _renumbered(np.where(track >= 0, person[track], -1)) if count else track
    return Links(_numbers(track), _numbers(person), cut)


def _frame_of(faces: FaceRows, frames: FrameRows) -> np.ndarray:
    """Return int64 (m,): the row of `frames` that each face belongs to."""
    at = np.searchsorted(frames.frame, faces.frame)
    known = at < len(frames.frame)
    known[known] = frames.frame[at[known]] == faces.frame[known]
    if not known.all() or (np.diff(at) < 0).any():
        raise ValueError("faces must be sorted by frame, and their frames must be among the analyzed frames")
    return at


def _believed(track: np.ndarray, faces: FaceRows, frames: FrameRows, scene: np.ndarray,
              settings: LinkSettings) -> np.ndarray:
    """Return bool (k,): which tracks are faces of persons, and which are a detector's flicker."""
    count = int(track.max(initial=-1)) + 1
    rows = np.flatnonzero(track >= 0)
    seen = np.bincount(track[rows], minlength=count)
    best, first, last = np.zeros(count), np.full(count, np.inf), np.full(count, -np.inf)
    np.maximum.at(best, track[rows], faces.score[rows])
    np.minimum.at(first, track[rows], faces.time[rows])
    np.maximum.at(last, track[rows], faces.time[rows])
    high = best >= settings.high
    lasting = (seen >= settings.min_seen) & (last - first >= settings.min_seen_s - 1e-9)
    lasting &= high | (last - first >= settings.low_seen_s - 1e-9)
    return lasting | (best >= settings.sure) | (high & _only_chance(first, frames, scene))


def _only_chance(first: np.ndarray, frames: FrameRows, scene: np.ndarray) -> np.ndarray:
    """Return bool (k,): True where no other frame of the scene is near enough to see the face again."""
    at = np.searchsorted(frames.time, first)
    apart = (np.diff(frames.time) > LONGEST_STEP_S) | (np.diff(scene) != 0)
    return np.append(True, apart)[at] & np.append(apart, True)[at]


def _renumbered(label: np.ndarray) -> np.ndarray:
    """Return the labels as 0.. by first appearance; -1 stays."""
    names, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    first = np.where(names < 0, -1, first)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(names))
    return rank[inverse] - int((names < 0).any())


def _numbers(label: np.ndarray) -> np.ndarray:
    return np.where(label >= 0, label + 1, -1).astype(np.int32)
