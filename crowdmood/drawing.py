"""SVG paths for the report's charts: x 0..1000 over the run's time, y 0..100 downwards."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from crowdmood.curves import Curves, outline, stretches
from crowdmood.palette import STACK_ORDER


def mix_paths(curves: Curves) -> dict[str, str]:
    """Expression -> path of the area from the floor to its band's upper edge, the topmost band first.

    Drawn in this order each area covers the ones behind it, so that no seam shows between bands.
    """
    tops = np.cumsum(curves.mix, axis=0)
    return {name: _area(curves, tops[row], floor=0.0, low=0.0, high=1.0)
            for row, name in reversed(list(enumerate(STACK_ORDER)))}


def area_paths(curves: Curves, values: np.ndarray) -> dict[str, str]:
    """'line' and 'area' (to zero) of values in -1..1, (n,)."""
    return {"line": _line(curves, values, -1.0, 1.0), "area": _area(curves, values, floor=0.0, low=-1.0, high=1.0)}


def faces_paths(curves: Curves) -> dict[str, str]:
    """'faces' and 'usable': areas from the floor, the highest possible being the largest number of faces."""
    most = max(1.0, float(np.max(curves.most_faces, initial=0)))
    return {"faces": _area(curves, curves.faces, 0.0, 0.0, most),
            "usable": _area(curves, curves.usable_faces, 0.0, 0.0, most)}


def person_paths(spans: Iterable[dict[str, Any]], span: tuple[float, float]) -> dict[int, dict[str, str]]:
    """Person -> expression -> path of bars (y 0..10). spans: rows of reports/spans.sql; span: first and last second."""
    scale = 1000 / (span[1] - span[0])
    paths: dict[int, dict[str, str]] = defaultdict(lambda: defaultdict(str))
    for row in spans:
        left = scale * (row["start_s"] - span[0])
        width = max(scale * (row["end_s"] - row["start_s"]), 1.0)  # a glimpse must still be seen
        paths[row["person"]][row["expression"]] += f"M{left:.1f} 0h{width:.1f}v10h-{width:.1f}z"
    return {person: dict(parts) for person, parts in paths.items()}


def script_hash(script: str) -> str:
    """What a Content-Security-Policy calls this script: only it may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _line(curves: Curves, values: np.ndarray, low: float, high: float) -> str:
    return "".join("M" + _points(curves, *outline(curves, part, values), low, high)
                   for part in stretches(curves, values))


def _area(curves: Curves, values: np.ndarray, floor: float, low: float, high: float) -> str:
    base = 100 * (high - floor) / (high - low)
    pieces = []
    for part in stretches(curves, values):
        x, y = outline(curves, part, values)
        left, right = _across(curves, x[[0, -1]])
        pieces.append(f"M{left:.1f} {base:.4g}L{_points(curves, x, y, low, high)}L{right:.1f} {base:.4g}z")
    return "".join(pieces)


def _points(curves: Curves, x: np.ndarray, y: np.ndarray, low: float, high: float) -> str:
    down = 100 * (high - np.clip(y, low, high)) / (high - low)
    return "L".join(f"{left:.1f} {top:.1f}" for left, top in zip(_across(curves, x), down, strict=True))


def _across(curves: Curves, seconds: np.ndarray) -> np.ndarray:
    start, end = curves.span
    return 1000 * (seconds - start) / (end - start)
