"""Persons by time as a grid: for the heat maps of the page and of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

# Positivity is shown in nine classes around 0; these are the borders between them.
BORDERS = np.array([-0.6, -0.35, -0.15, -0.05, 0.05, 0.15, 0.35, 0.6])
MIDDLE = len(BORDERS) // 2
UNREAD, ABSENT = -1, -2  # what else a cell can be


@dataclass(frozen=True)
class Heat:
    """p persons by n equal steps of time.

    persons (p,): numbers. step: seconds of a step. start: seconds at which the first begins. seen bool (p, n): whether the
    person's face is in the picture. positivity float64 (p, n): -1..1, NaN where it could not be read.
    """

    persons: np.ndarray
    step: float
    start: float
    seen: np.ndarray
    positivity: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """int8 (p, n): class of positivity from 0 (lowest) over MIDDLE (around zero) to 8, else UNREAD or ABSENT."""
        read = np.searchsorted(BORDERS, np.nan_to_num(self.positivity)).astype(np.int8)
        return np.where(np.isnan(self.positivity), np.where(self.seen, UNREAD, ABSENT), read).astype(np.int8)


def heat_of(cells: pa.Table, span: tuple[float, float], least_step: float, steps: int = 240) -> Heat:
    """The grid from the answer of reports/heat.sql.

    span: first and last second. least_step: seconds, the usual distance of frames. steps: as the query was asked.
    """
    step = max(span[1] / steps, 0.1, least_step)
    first = int(np.floor(span[0] / step + 1e-6))
    count = max(1, int(np.ceil(span[1] / step - 1e-6)) - first)
    persons, row = np.unique(cells["person"].to_numpy(), return_inverse=True)
    seen, values = np.zeros((len(persons), count), bool), np.full((len(persons), count), np.nan)
    start, end = cells["start_s"].to_numpy() / step, cells["end_s"].to_numpy() / step
    left = np.clip(np.floor(start + 1e-6).astype(int) - first, 0, count - 1)
    right = np.clip(np.ceil(end - 0.5).astype(int) - first, left + 1, count)  # later steps count when half of one is filled
    positivity = cells["positivity"].to_numpy().astype(np.float64)
    for person, begin, until, value in zip(row.tolist(), left.tolist(), right.tolist(), positivity.tolist(), strict=True):
        seen[person, begin:until] = True
        values[person, begin:until] = value
    return Heat(persons, step, first * step, seen, values)
