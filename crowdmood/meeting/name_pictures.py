"""Pictures of names over a whole meeting: which are of one name, and which are surely of two people.

A fingerprint says little alone: signs beside a name, and what is behind it, make another of it. But two names seen
side by side in one frame are of two people, whatever their tiles look like at any other time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crowdmood.layout.finding import ROLES
from crowdmood.layout.marks import LABEL_BYTES, LABEL_SAME, label_distance
from crowdmood.meeting.segments import TileRows

TILE = ROLES.index("tile")
LABEL_OTHER = 0.3     # names that differ more are other people's, or else one of them was misread
FEWEST_ROWS = 2       # a picture of a name seen in fewer rows was misread
MOST_PICTURES, MOST_NAMES = 20_000, 400
FEWEST_TOGETHER = 3   # frames in which two names are side by side: in one that shows a change they may be by mistake


@dataclass(frozen=True)
class NamePictures:
    """picture: uint8 (v, LABEL_BYTES), the most usual of each name. apart: bool (v, v), names of two different people."""

    picture: np.ndarray
    apart: np.ndarray

    def number(self, label: np.ndarray) -> np.ndarray:
        """Return int64 (n,): which name each of n labels is, -1 where it is none of them."""
        kind, inverse = _kinds(label)
        number = np.full(len(kind), -1, np.int64)
        for begin in range(0, len(kind) if len(self.picture) else 0, 1024):
            far = label_distance(kind[begin:begin + 1024], self.picture)
            number[begin:begin + 1024] = np.where(far.min(axis=1) <= LABEL_SAME, far.argmin(axis=1), -1)
        return number[inverse]

    def strangers(self, label: np.ndarray, other: np.ndarray) -> bool:
        """Whether labels (m, LABEL_BYTES) and others (n, LABEL_BYTES), each of one participant, are of two people."""
        mine, theirs = (number[number >= 0] for number in (self.number(label), self.number(other)))
        return bool(self.apart[mine][:, theirs].any()) and not np.isin(mine, theirs).any()

    def agreed(self, labels: list[np.ndarray]) -> NamePictures:
        """Return the same, but what is read of one participant, n labels (v, LABEL_BYTES), is not apart: some of it was misread."""
        apart = self.apart.copy()
        for label in labels:
            number = self.number(label)
            apart[np.ix_(number[number >= 0], number[number >= 0])] = False
        return replace(self, apart=apart)


def gather_names(tiles: TileRows, frame_of: np.ndarray) -> NamePictures:
    """Gather the names of all tiles. frame_of: int64 (k,), the row of each tile's frame, not decreasing."""
    kind, inverse = _kinds(tiles.label)
    count = np.bincount(inverse, minlength=len(kind)) * kind.any(axis=1)
    left, kept = np.argsort(-count, kind="stable")[:min(MOST_PICTURES, int((count > 0).sum()))], []
    while len(left) and len(kept) < MOST_NAMES:
        same = label_distance(kind[left], kind[left[:1]])[:, 0] <= LABEL_SAME
        if count[left[same]].sum() >= FEWEST_ROWS:
            kept.append(left[0])
        left = left[~same]
    names = NamePictures(kind[kept].reshape(-1, LABEL_BYTES), np.zeros((len(kept),) * 2, bool))
    together = _together(names.number(tiles.label), frame_of, tiles.role == TILE, len(kept))
    apart = (together >= FEWEST_TOGETHER) & (label_distance(names.picture, names.picture) > LABEL_OTHER)
    return NamePictures(names.picture, apart)


def _kinds(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different labels, uint8 (u, LABEL_BYTES), and int64 (n,) which of them each is."""
    whole = np.ascontiguousarray(label).view(np.dtype((np.void, LABEL_BYTES))).ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    return label[first], inverse.ravel()


def _together(number: np.ndarray, frame_of: np.ndarray, small: np.ndarray, count: int) -> np.ndarray:
    """Return float32 (v, v): frames in which two names are in two small tiles. The stage may show somebody once more."""
    together, rows = np.zeros((count, count), np.float32), np.flatnonzero(small & (number >= 0))
    for part in np.split(rows, np.searchsorted(frame_of[rows], np.arange(4096, int(frame_of.max(initial=0)) + 1, 4096))):
        if len(part):
            there = np.zeros((int(frame_of[part[-1]] - frame_of[part[0]]) + 1, count), np.float32)
            there[frame_of[part] - frame_of[part[0]], number[part]] = 1
            together += there.T @ there
    return together
