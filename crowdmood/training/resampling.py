"""Intervals by the bootstrap (Efron, 1979): what a share could have been with other faces of the kind."""

from __future__ import annotations

import numpy as np

DRAWS = 2000
FEWEST = 30  # groups of fewer faces are listed, but not compared: their share says little


def resampled_shares(
    right: np.ndarray, counted: np.ndarray, unit: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """Shares of right answers in DRAWS resamples: float64 (DRAWS, k).

    right, counted: bool (n, k), k shares over the same n rows; only counted rows matter. All k are drawn
    together, so that their differences are paired. unit: (n,), what is drawn (a person with several
    pictures); None: rows.
    """
    place = np.arange(len(right)) if unit is None else np.unique(unit, return_inverse=True)[1]
    sums = np.zeros((place.max(initial=0) + 1, 2, right.shape[1]))
    np.add.at(sums, place, np.stack([right * counted, counted], axis=1))
    drawn = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS)
    total = np.tensordot(drawn.astype(np.float64), sums, 1)
    return total[:, 0] / np.maximum(total[:, 1], 1)


def interval(values: np.ndarray) -> dict:
    """The middle 95 % of resampled values (draws,)."""
    low, high = np.percentile(values, (2.5, 97.5))
    return {"low": round(float(low), 4), "high": round(float(high), 4)}


def by_group(right: np.ndarray, group: np.ndarray, unit: np.ndarray | None = None) -> dict:
    """Accuracy in each group, and the largest difference between two of them.

    right: bool (n,); group: str (n,); unit: as in `resampled_shares`. `chance` is how often groups of the
    same sizes, drawn without regard to the group, differ at least as much: with many groups some always do.
    """
    names = np.unique(group)
    inside = group[:, None] == names[None, :]
    shares = _shares(right, inside)
    drawn = resampled_shares(np.repeat(right[:, None], len(names), 1), inside, unit)
    groups = {
        str(name): {
            "accuracy": round(float(shares[k]), 4),
            **interval(drawn[:, k]),
            "n": int(inside[:, k].sum()),
        }
        for k, name in enumerate(names)
    }
    large = np.flatnonzero(inside.sum(axis=0) >= FEWEST)
    if len(large) < 2:
        return {"groups": groups}
    best, worst = large[shares[large].argmax()], large[shares[large].argmin()]
    found = float(shares[best] - shares[worst])
    difference = {
        "best": str(names[best]),
        "worst": str(names[worst]),
        "difference": round(found, 4),
        **interval(drawn[:, best] - drawn[:, worst]),
        "chance": _chance(right, inside[:, large], found),
    }
    return {"groups": groups, "largest": difference}


def _shares(right: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return right.astype(float) @ inside / np.maximum(inside.sum(axis=0), 1)


def _chance(right: np.ndarray, inside: np.ndarray, found: float) -> float:
    rng = np.random.default_rng(0)
    ranges = [np.ptp(_shares(rng.permutation(right), inside)) for _ in range(DRAWS)]
    return round(float((np.array(ranges) >= found - 1e-12).mean()), 4)
