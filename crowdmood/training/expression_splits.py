"""Who is learned from and who is measured on: splits and folds that no picture, and no person, is in twice.

Everything is drawn by a seed and the pictures' content: the order of files does not matter, and the same data and seed
give the same split on every machine.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HELD_OUT = 0.1  # share of the training faces that becomes a split that is missing


def groups(digest: np.ndarray, subject: np.ndarray | None = None) -> np.ndarray:
    """Number of the group that a face belongs to, int64 (n,): identical pictures, and pictures of one person (None: unknown),
    are of one group.
    """
    n = len(digest)
    first, second = [np.arange(n)], [_first_of(digest)]
    if subject is not None:
        told = np.flatnonzero([one is not None for one in subject])
        first.append(told)
        second.append(told[_first_of(subject[told])])
    edges = (np.concatenate(first), np.concatenate(second))
    return connected_components(coo_array((np.ones(len(edges[0])), edges), shape=(n, n)), directed=False)[1]


def _first_of(values: np.ndarray) -> np.ndarray:
    """Row of the first equal value, int64 (n,)."""
    seen: dict = {}
    return np.array([seen.setdefault(value, row) for row, value in enumerate(values)], np.int64)


def fill_splits(split: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The splits with none missing: faces of no split are `train`, and where nothing is held out, a tenth of `train` is.

    split: str (n,), '' where nothing says; place: as `places` gives it.
    """
    split = np.where(split == "", "train", split).astype("U12")
    learn, begin = split == "train", 0.0
    for name in ("public_test", "private_test"):
        if not (split == name).any():
            split[learn & (place >= begin) & (place < begin + HELD_OUT)] = name
            begin += HELD_OUT
    return split


def folds(place: np.ndarray, count: int) -> np.ndarray:
    """Fold of each face, int64 (n,), 0..count - 1."""
    return np.minimum((place * count).astype(np.int64), count - 1)


def places(label: np.ndarray, group: np.ndarray, digest: np.ndarray, seed: int) -> np.ndarray:
    """Where each face stands when the groups of its class are drawn one after the other, 0..1, float64 (n,).

    A group is of the class of one of its faces, and as long as it has faces; all of them stand at its middle.
    """
    keys: dict[int, tuple[bytes, int]] = {}
    for row, (number, data) in enumerate(zip(group, digest, strict=True)):
        key = blake2b(b"%d %s" % (seed, data), digest_size=8).digest()
        keys[number] = min(keys.get(number, (key, label[row])), (key, label[row]))
    count = np.bincount(group) if len(group) else np.zeros(0, np.int64)
    found = np.zeros(len(count))
    for kind in np.unique(label):
        inside = np.array([number for _, number in sorted((key, number) for number, (key, own) in keys.items() if own == kind)], np.int64)
        end = np.cumsum(count[inside])
        found[inside] = (end - count[inside] / 2) / max(end[-1:].sum(), 1)
    return found[group]
