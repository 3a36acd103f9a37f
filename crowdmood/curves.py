"""A run's course as a chart needs it: steps of time, unbroken stretches of them, and round ticks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crowdmood.palette import STACK_ORDER

TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)


@dataclass(frozen=True)
class Curves:
    """n steps of time in order, all arrays float64. NaN where a step has no usable face.

    start, end (n,): seconds. mix (7, n): shares in STACK_ORDER, 0..1. positivity (n,): -1..1.
    faces, most_faces, usable_faces, persons (n,): faces in the picture (mean, largest), usable ones, persons.
    """

    start: np.ndarray
    end: np.ndarray
    mix: np.ndarray
    positivity: np.ndarray
    faces: np.ndarray
    most_faces: np.ndarray
    usable_faces: np.ndarray
    persons: np.ndarray

    @property
    def span(self) -> tuple[float, float]:
        """First and last second; a span of at least 0.1 s."""
        if not len(self.start):
            return 0.0, 1.0
        return float(self.start[0]), float(max(self.end[-1], self.start[0] + 0.1))


def curves_of(bins: pa.Table) -> Curves:
    """Curves from the answer of reports/bins.sql."""
    columns = {name: bins[name].to_numpy().astype(np.float64) for name in bins.column_names if name != "run"}
    mix = np.stack([columns[name] for name in STACK_ORDER])
    return Curves(columns["start_s"], columns["end_s"], mix, columns["positivity"], columns["faces"],
                  columns["most_faces"], columns["usable_faces"], columns["persons"])


def stretches(curves: Curves, values: np.ndarray) -> list[slice]:
    """The unbroken stretches of steps whose value is there. values: float64 (n,)."""
    there = np.flatnonzero(~np.isnan(values))
    if not len(there):
        return []
    later = curves.start[there[1:]] - curves.end[there[:-1]]
    breaks = np.flatnonzero((np.diff(there) > 1) | (later > 1e-6)) + 1
    return [slice(int(part[0]), int(part[-1]) + 1) for part in np.split(there, breaks)]


def outline(curves: Curves, part: slice, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of a line through the middles of a stretch's steps, level out to its two ends. values: float64 (n,).

    A stretch of one step so is as wide as the step, and not a line without width.
    """
    start, end = curves.start[part], curves.end[part]
    x = np.concatenate([start[:1], (start + end) / 2, end[-1:]])
    y = np.concatenate([values[part][:1], values[part], values[part][-1:]])
    return x, y


def ticks(start: float, end: float, most: int) -> np.ndarray:
    """Round times from start to end (seconds), at most `most` of them and an even distance apart."""
    step = next((step for step in TICK_STEPS if (end - start) / step <= most - 1), TICK_STEPS[-1])
    return np.arange(np.ceil(start / step - 1e-6), np.floor(end / step + 1e-6) + 1) * step


@dataclass(frozen=True)
class Windows:
    """w windows of reports/synchrony.sql in order, float64 arrays (w,) but significant (bool).

    start, end: seconds; they overlap. value: synchrony; usual: what chance stays below in 95 of 100 windows.
    """

    start: np.ndarray
    end: np.ndarray
    value: np.ndarray
    usual: np.ndarray
    persons: np.ndarray
    p: np.ndarray
    q: np.ndarray
    significant: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """The windows' middles, seconds (w,)."""
        return (self.start + self.end) / 2

    def stretches(self) -> list[slice]:
        """Unbroken sequences of windows: none is left out in between."""
        if not len(self.start):
            return []
        apart = np.diff(self.start)
        breaks = np.flatnonzero(apart > 1.5 * np.min(apart, initial=np.inf)) + 1
        return [slice(int(part[0]), int(part[-1]) + 1) for part in np.split(np.arange(len(self.start)), breaks)]


def windows_of(answer: pa.Table | None) -> Windows:
    """Windows from the answer of reports/synchrony.sql; none from None."""
    names = ("start_s", "end_s", "synchrony", "usual", "persons", "p", "q", "significant")
    columns = [np.array(answer[name].to_pylist() if answer is not None else [], np.float64) for name in names]
    return Windows(*columns[:-1], columns[-1] > 0)
