"""The gallery tiles of a frame as bytes, for the column `tiles` of a chunk's frames; and back again, for the link."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crowdmood.layout.finding import Tiles
from crowdmood.layout.marks import LABEL_BYTES, LOOK_BYTES
from crowdmood.meeting.segments import TileRows

TILE = np.dtype([("box", "<f4", 4), ("role", "i1"), ("motion", "<f4"), ("active", "<f4"), ("label", "u1", LABEL_BYTES),
                 ("look", "u1", LOOK_BYTES)])


def packed(tiles: Tiles) -> bytes:
    """The tiles of one frame as bytes; none are b''."""
    rows = np.empty(len(tiles), TILE)
    for name in TILE.names:
        rows[name] = getattr(tiles, name)
    return rows.tobytes()


def unpacked(column: Sequence[bytes], frame: np.ndarray, time: np.ndarray) -> TileRows:
    """The tiles of all frames. column: what `packed` gave for each of n frames; frame int64 (n,), time float64 (n,)."""
    rows = np.frombuffer(b"".join(column), TILE)
    count = np.fromiter(map(len, column), np.int64, len(column)) // TILE.itemsize
    return TileRows(np.repeat(frame, count), np.repeat(time, count), *(rows[name] for name in TILE.names))
