"""A camera that jerks moves all faces at once; the faces themselves tell by how much.

Every pair of a face expected and a face seen, alike in size, votes for the shift between them. Pairs of the
same person agree, all other pairs scatter.
"""

from __future__ import annotations

import numpy as np

FACES, SHARE = 4, 0.45  # so many faces, and this share of all, must agree that the camera moved ...
LEAD = 1.5              # ... and so many times as many as for any other shift
REACH = 60              # shifts are looked for up to so many half faces
ALIKE = 0.25            # largest difference of the logarithms of size
STAYED = 0.2            # a face this close (in faces) to where it was expected votes for no shift


def common_shift(expected: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return (2,) pixels by which the camera moved everybody; zeros where it did not or that is unclear.

    expected (k, 3), seen (m, 3): centre x, centre y (px) and logarithm of size, of tracks and of faces.
    """
    nothing, fewer = np.zeros(2), min(len(expected), len(seen))
    if fewer < FACES:
        return nothing
    dx, dy, ratio = (np.subtract.outer(seen[:, column], expected[:, column]) for column in range(3))
    alike, away = np.abs(ratio) < ALIKE, np.maximum(np.abs(dx), np.abs(dy))
    size = np.exp(np.median(expected[:, 2]))
    there = (alike & (away < STAYED * size)).any(axis=0).sum()
    if there >= SHARE * fewer:
        return nothing
    alike &= away < REACH * size / 2
    votes = np.stack([dx[alike], dy[alike]], axis=1)
    found = _densest(votes, size / 2, max(FACES, SHARE * fewer, LEAD * there))
    return nothing if found is None else found


def _densest(votes: np.ndarray, cell: float, needed: float) -> np.ndarray | None:
    """Return the median of the votes in the fullest square of 2 x 2 cells if it has `needed` and no rival."""
    place = np.floor(votes / cell).astype(np.int64) + REACH
    side = 2 * REACH + 1
    grid = np.bincount(place[:, 0] * side + place[:, 1], minlength=side * side).reshape(side, side)
    square = grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]
    x, y = np.unravel_index(square.argmax(), square.shape)
    full = square[x, y]
    square[max(0, x - 2):x + 3, max(0, y - 2):y + 3] = 0
    if full < needed or full < LEAD * square.max():
        return None
    inside = (np.abs(place - (x, y) - 0.5) < 1).all(axis=1)
    return np.median(votes[inside], axis=0)
