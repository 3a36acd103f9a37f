"""Several recordings, one after the other on one clock, as one recording: a meeting whose recording was stopped and begun again.

Frame numbers count through all parts. Times are those of the common clock: what was not recorded stays a gap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import lcm
from pathlib import Path

import numpy as np

from crowdmood.clock import format_time
from crowdmood.errors import VideoError
from crowdmood.video.recording import PacketTable, Recording

FINEST = 10**9  # ticks per second of a common clock; where the parts' clocks have nothing in common, times are rounded to that
LEAD_S = 10.0  # a part whose first frame comes later than that after the beginning of its file keeps another clock
OVERLAP_S = 5.0  # what is told of beginnings and ends is that inexact


@dataclass(frozen=True, eq=False)
class Joined(Recording):
    """Recordings as one. Its size and rotation are those of the first part, to whose size the others are scaled.

    Its packets are those of no file: it is decoded part by part.
    """

    parts: tuple[Recording, ...]
    first: np.ndarray
    """int64 (p,), the number of each part's first frame."""

    @property
    def files(self) -> tuple[Recording, ...]:
        return self.parts

    @cached_property
    def _fitted(self) -> tuple[Recording, ...]:
        """The parts as if their pictures had the common size: the decoder scales them."""
        size = self.width, self.height
        return tuple(part if (part.width, part.height) == size else replace(part, width=size[0], height=size[1]) for part in self.parts)

    def shares(self, frames: np.ndarray) -> Iterator[tuple[Recording, int, np.ndarray]]:
        """Of each part that holds some of the frames: the part, the number of its first frame, and its own numbers of the frames."""
        edges = np.searchsorted(frames, np.append(self.first, len(self)))
        for part, first, begin, end in zip(self._fitted, self.first.tolist(), edges, edges[1:], strict=False):
            if begin < end:
                yield part, first, frames[begin:end] - first


def join(path: Path, parts: Sequence[Recording], starts_s: Sequence[float], exact: bool = True) -> Joined:
    """Put recordings on one clock. path: what stands for all of them; starts_s: where each begins, in seconds.

    exact: whether the starts are known; if not, a part that would begin before the one before it has ended begins then.
    Raises VideoError where parts overlap.
    """
    base = _common([part.time_base for part in parts])
    begins, edges = [], [0]
    for part, start_s in zip(parts, starts_s, strict=True):
        told = round((start_s + _lead(part)) / base)
        if exact and (edges[-1] - told) * base > OVERLAP_S:
            before, at = parts[len(begins) - 1].path.name, format_time(start_s)
            raise VideoError(f"{part.path.name} begins at {at} of the meeting, before {before} has ended, so they are not parts of "
                             "one; --parts apart analyzes each by itself")
        begins.append(max(told, edges[-1]))
        edges.append(begins[-1] + _ticks(part.shown_ticks, part.time_base, base))
    pts = [begin + _ticks(part.pts - part.pts[0], part.time_base, base) for part, begin in zip(parts, begins, strict=True)]
    promised = [part.frames_promised for part in parts]
    lengths = [len(part) for part in parts]
    return Joined(
        **{name: getattr(parts[0], name) for name in ("container", "codec", "pixel_format", "stream", "streams", "width", "height",
                                                      "rotation")},
        path=path, digest=joined_digest([part.digest for part in parts], starts_s), size_bytes=sum(part.size_bytes for part in parts),
        time_base=base, pts=np.concatenate(pts), keyframe=np.concatenate([part.keyframe for part in parts]),
        packet=np.full(sum(lengths), -1, np.int64), packets=NO_PACKETS,
        frames_promised=None if None in promised else sum(promised), last_ticks=_ticks(parts[-1].last_ticks, parts[-1].time_base, base),
        seekable=all(part.seekable for part in parts), pts_trusted=all(part.pts_trusted for part in parts),
        parts=tuple(parts), first=np.cumsum([0, *lengths[:-1]]),
    )


def joined_digest(digests: Sequence[str], starts_s: Sequence[float]) -> str:
    """sha256 that stands for contents on one clock; for a single one its own."""
    if len(digests) == 1:
        return digests[0]
    facts = [[digest, round(start * 1000)] for digest, start in zip(digests, starts_s, strict=True)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


NO_PACKETS = PacketTable(*(np.zeros(0, kind) for kind in (np.int64, np.int64, bool, bool, np.int64)))


def _common(bases: Sequence[Fraction]) -> Fraction:
    return Fraction(1, min(lcm(1000, *(base.denominator for base in bases)), FINEST))


def _ticks(ticks: np.ndarray | int, base: Fraction, common: Fraction) -> np.ndarray | int:
    factor = base / common
    return ticks * factor.numerator // factor.denominator


def _lead(part: Recording) -> float:
    """Seconds from the beginning of a file, which its name tells and its transcript counts from, to its first frame."""
    lead = float(part.pts[0] * part.time_base)
    return lead if 0 <= lead <= LEAD_S else 0.0
