"""Which row belongs to which column: the matching with the largest sum."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def assign(benefit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the matching with the largest sum; pairs with benefit 0 stay apart."""
    allowed = benefit > 0.0
    # A track and a face that have only each other need no weighing; in a seated crowd that is nearly all.
    lone = allowed & (allowed.sum(axis=1) == 1)[:, None] & (allowed.sum(axis=0) == 1)
    rows, columns = np.nonzero(lone)
    open_rows, open_columns = allowed.any(axis=1), allowed.any(axis=0)
    open_rows[rows], open_columns[columns] = False, False
    left_rows, left_columns = np.flatnonzero(open_rows), np.flatnonzero(open_columns)
    if len(left_rows) and len(left_columns):
        rest = benefit[np.ix_(left_rows, left_columns)]
        r, c = linear_sum_assignment(rest, maximize=True)
        real = rest[r, c] > 0.0
        rows = np.concatenate([rows, left_rows[r[real]]])
        columns = np.concatenate([columns, left_columns[c[real]]])
    return rows, columns
