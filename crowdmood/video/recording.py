"""The facts about a recording that everything else is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

NO_PTS = np.iinfo(np.int64).min
"""Stands for 'this packet carries no time' in ``PacketTable``."""
LARGEST_PICTURE = 100_000_000
"""Pixels. A frame of this size takes 300 MB as RGB."""


@dataclass(frozen=True, eq=False)
class PacketTable:
    """Every packet of the chosen stream in the order of the file; a packet's position here is its ordinal."""

    pts: np.ndarray
    """int64 (p,), ``NO_PTS`` where the packet has none."""
    dts: np.ndarray
    """int64 (p,), ``NO_PTS`` where the packet has none."""
    keyframe: np.ndarray
    """bool (p,), as the container says; the reader checks it before it relies on it."""
    shown: np.ndarray
    """bool (p,), False where an edit list or the codec hides the frame."""
    duration: np.ndarray
    """int64 (p,), 0 where unknown."""

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording as found by ``probe``: where its frames are and how to show them."""

    path: Path
    digest: str
    """sha256 of the content, 64 hexadecimal digits."""
    size_bytes: int
    container: str
    codec: str
    pixel_format: str
    stream: int
    """Index of the video stream that is read."""
    streams: tuple[str, ...]
    """One short description per stream of the file, such as '0 video h264 1280x720'."""
    width: int
    """Pixels as displayed: square, after rotation."""
    height: int
    rotation: int
    """Clockwise degrees to turn the stored picture by: 0, 90, 180 or 270."""
    time_base: Fraction
    pts: np.ndarray
    """int64 (n,), pts of every displayed frame in presentation order, strictly increasing."""
    keyframe: np.ndarray
    """bool (n,)."""
    packet: np.ndarray
    """int64 (n,), the ordinal of the packet that carries each frame."""
    packets: PacketTable
    frames_promised: int | None
    """What the header says; None where it says nothing."""
    last_ticks: int
    """For how long the last frame is displayed, in the time base; 0 where nothing tells it."""
    seekable: bool
    """False where the reader has to walk through the packets from the start (slower, same frames)."""
    pts_trusted: bool
    """False where the decoder's times are unusable: frames are known by their packets, pts are settled."""

    @cached_property
    def time(self) -> np.ndarray:
        """float64 (n,), seconds from the first displayed frame; integers until the one division."""
        return (self.pts - self.pts[0]) * self.time_base.numerator / self.time_base.denominator

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def files(self) -> tuple[Recording, ...]:
        """The recordings of single files that it is made of: itself; see ``crowdmood.video.joined``."""
        return (self,)

    @property
    def shown_ticks(self) -> int:
        """From the beginning of the first frame to the end of the last one, in the time base; at least 1."""
        return int(self.pts[-1] - self.pts[0]) + max(self.last_ticks, 1)

    @property
    def duration_s(self) -> float | None:
        """The same in seconds; None where the end of the last frame is unknown."""
        return float(self.shown_ticks * self.time_base) if self.last_ticks else None
