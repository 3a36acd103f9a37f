"""What a decoder hands on: aligned arrays for a few frames, and a count of what went wrong on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """Some decoded frames, in presentation order. Row i of each array is about the i-th of them."""

    images: np.ndarray
    """uint8 (n, h, w, 3), RGB 0..255, turned and scaled as a player shows it."""
    frame: np.ndarray
    """int64 (n,), frame numbers: positions in ``Recording.pts``."""
    pts: np.ndarray
    """int64 (n,), in the recording's time base."""
    time: np.ndarray
    """float64 (n,), seconds from the first displayed frame."""

    def __len__(self) -> int:
        return len(self.frame)


@dataclass
class DecodeCount:
    """Filled while decoding; add up the counts of chunks to get those of a recording."""

    decoded: int = 0
    """Wanted frames that were delivered."""
    damaged_packets: int = 0
    """Packets of the asked span (first to last wanted frame) that the decoder refused."""
    missing: int = 0
    """Wanted frames that could not be decoded."""
