"""Passing layouts: people who stand in other places for a frame or two only, too shortly for a change that lasts.

One name may be misread at any time, but not as somebody else's who is there; and hardly two at once.
"""

from __future__ import annotations

import numpy as np

from crowdmood.layout.finding import ROLES
from crowdmood.layout.marks import LABEL_SAME, label_distance
from crowdmood.meeting.joins import names_of
from crowdmood.meeting.name_pictures import LABEL_OTHER
from crowdmood.meeting.segments import Segments, TileRows

STAGE = ROLES.index("stage")
FEWEST_STRANGERS = 2  # tiles in a frame that show others than their segment says: then the layout is another
NEIGHBOURS = 1        # segments before and after whose names are known


def strangers(tiles: TileRows, found: Segments) -> np.ndarray:
    """Return bool (k,): rows with the name of another tile of these or the neighbouring segments, not that of their own."""
    rows, strange = dict(found.rows()), np.zeros(len(tiles.frame), bool)
    names = {tile: names_of(tiles.label[here]) for tile, here in rows.items()}
    for tile, here in rows.items():
        label = tiles.label[here]
        if len(names[tile]):
            other = here[label.any(axis=1) & (label_distance(label, names[tile]).min(axis=1) > LABEL_OTHER)]
            if len(other):
                strange[other] = _is_of(tiles.label[other], names, found, tile)
    return strange


def _is_of(label: np.ndarray, names: dict[int, np.ndarray], found: Segments, tile: int) -> np.ndarray:
    """Return bool (n,): whether the names are those of other tiles than this one, at about its time."""
    near = np.flatnonzero(np.abs(found.segment - found.segment[tile]) <= NEIGHBOURS)
    others = [names[one][:1] for one in near.tolist() if one != tile and one in names]  # what is read but at times may be a mistake
    return (label_distance(label, np.concatenate([label[:0], *others])) <= LABEL_SAME).any(axis=1)


def passing(tiles: TileRows, found: Segments, n: int) -> np.ndarray:
    """Return the frame rows (increasing) at which a layout begins that only a few frames show, or the one after it."""
    strange = strangers(tiles, found)
    staged = strange & (np.append(found.role, -1)[found.tile_of] == STAGE)
    votes = np.bincount(found.frame_of, strange + (FEWEST_STRANGERS - 1) * staged, minlength=n)
    other = votes >= FEWEST_STRANGERS
    return np.flatnonzero(np.diff(other, prepend=False))
