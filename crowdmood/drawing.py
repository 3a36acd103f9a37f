"""SVG paths for the report's charts: x 0..1000 over the run's time, y 0..100 downwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crowdmood.curves import Curves, Windows, outline, stretches
from crowdmood.heat import ABSENT, Heat
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


def synchrony_paths(windows: Windows, span: tuple[float, float]) -> dict[str, Any]:
    """'low' and 'high' of the scale, and paths: 'usual' (area of chance), 'line', 'dots' and 'sure' (a point for each
    window, `sure` for the significant ones) and 'bands' (where in time those are)."""
    if not len(windows.start):
        return {}
    high = max(0.1, float(np.max(windows.value)), float(np.max(windows.usual))) * 1.12
    low = min(-0.02, float(np.min(windows.value)) * 1.12)
    x, start, end = (np.clip(1000 * (part - span[0]) / (span[1] - span[0]), 0, 1000)
                     for part in (windows.middle, windows.start, windows.end))
    y, usual = (100 * (high - values) / (high - low) for values in (windows.value, windows.usual))
    line, area = "", ""
    for part in windows.stretches():
        line += "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x[part], y[part], strict=True))
        edge = zip([start[part][0], *x[part], end[part][-1]], [usual[part][0], *usual[part], usual[part][-1]], strict=True)
        area += f"M{start[part][0]:.1f} 100L" + "L".join(f"{a:.1f} {b:.1f}" for a, b in edge) + f"L{end[part][-1]:.1f} 100z"
    points = [f"M{a:.1f} {b:.1f}h0" for a, b in zip(x, y, strict=True)]
    sure = windows.significant
    return {"low": low, "high": high, "zero": 100 * high / (high - low), "line": line, "usual": area,
            "dots": "".join(np.array(points, object)[~sure]), "sure": "".join(np.array(points, object)[sure]),
            "bands": "".join(f"M{a:.1f} 0h{b - a:.1f}v100H{a:.1f}z" for a, b in _joined(start[sure], end[sure]))}


def engagement_paths(stretches: Sequence[dict[str, Any]], span: tuple[float, float]) -> dict[str, Any]:
    """'high' (standard deviations; the scale is symmetrical) and paths: 'line' in steps, 'band' of the intervals."""
    if not stretches:
        return {}
    high = max(2.0, *(abs(row["engagement"]) for row in stretches))
    line, band = "", ""
    for row in stretches:
        left, right = (min(max(1000 * (row[side] - span[0]) / (span[1] - span[0]), 0), 1000) for side in ("start_s", "end_s"))
        line += f"M{left:.1f} {_down(row['engagement'], high):.1f}H{right:.1f}"
        if row["low"] is not None:
            band += f"M{left:.1f} {_down(row['high'], high):.1f}H{right:.1f}V{_down(row['low'], high):.1f}H{left:.1f}z"
    return {"high": high, "line": line, "band": band}


def _down(value: float, high: float) -> float:
    return 50 * (1 - min(max(value / high, -1), 1))


def heat_paths(heat: Heat) -> dict[int, dict[int, str]]:
    """Person -> class (see Heat.classes) -> path of strokes along y = 0, one unit of x for each step."""
    paths = {}
    for person, row in zip(heat.persons.tolist(), heat.classes, strict=True):
        edges = np.flatnonzero(np.diff(row)) + 1
        starts, ends = [0, *edges.tolist()], [*edges.tolist(), len(row)]
        parts: dict[int, str] = {}
        for start, end in zip(starts, ends, strict=True):
            if (kind := int(row[start])) != ABSENT:
                parts[kind] = parts.get(kind, "") + f"M{start} 0h{end - start}"
        paths[person] = parts
    return paths


def _joined(start: np.ndarray, end: np.ndarray) -> list[tuple[float, float]]:
    """Spans that overlap as one; in order of time."""
    joined: list[tuple[float, float]] = []
    for left, right in zip(start.tolist(), end.tolist(), strict=True):
        if joined and left <= joined[-1][1]:
            joined[-1] = (joined[-1][0], right)
        else:
            joined.append((left, right))
    return joined


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
