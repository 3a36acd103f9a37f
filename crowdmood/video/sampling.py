"""Which frames to look at: the one displayed at each sampling instant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from crowdmood.video.recording import Recording

PRECISION = 1_000_000
"""Times and rates given as floats are read as the fraction that was meant (0.1 is 1/10), this fine."""


@dataclass(frozen=True)
class Sampling:
    """How many instants per second are looked at; ``fps=None`` means every frame. Raises ValueError."""

    fps: float | None = 5.0

    def __post_init__(self) -> None:
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps >= 1 / PRECISION):
            raise ValueError(f"the rate must be a positive number of frames per second, not {self.fps}")


def select(
    recording: Recording, sampling: Sampling, start_s: float = 0.0, end_s: float | None = None
) -> np.ndarray:
    """Frame numbers int64, increasing, of the frames to analyze in [start_s, end_s).

    For each instant k / fps in the span (k = 0, 1, 2...; counted from the first displayed frame, so that
    neighbouring spans add up) the frame that is displayed then; a frame shown at several instants comes once.
    With ``fps=None`` every frame whose own time lies in the span. Empty where nothing is displayed.
    """
    start = max(_exact(start_s), Fraction(0))
    end = recording.shown_ticks * recording.time_base
    if end_s is not None:
        end = min(end, _exact(end_s))
    ticks = recording.pts - recording.pts[0]
    if sampling.fps is None:
        span = [math.ceil(moment / recording.time_base) for moment in (start, end)]
        first, last = np.searchsorted(ticks, span)
        return np.arange(first, last, dtype=np.int64)
    fps = _exact(sampling.fps)
    instant = _first_instants(ticks, fps * recording.time_base)
    instant = np.clip(np.append(instant, math.ceil(end * fps)), math.ceil(start * fps), math.ceil(end * fps))
    return np.flatnonzero(instant[:-1] < instant[1:])


def _first_instants(ticks: np.ndarray, per_tick: Fraction) -> np.ndarray:
    """For each time in ticks the number k of the first sampling instant that is not before it."""
    if int(ticks[-1]) * per_tick.numerator >= 2**62:
        ticks = ticks.astype(object)  # Python's integers: slower, and never too small
    return -(-ticks * per_tick.numerator // per_tick.denominator)


def _exact(value: float) -> Fraction:
    return Fraction(value).limit_denominator(PRECISION)
