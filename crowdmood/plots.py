"""Pictures of a run for slides: timeline.png."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Matplotlib writes a font cache; it belongs where our other caches are.
os.environ.setdefault("MPLCONFIGDIR", str(
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crowdmood" / "matplotlib"))

import numpy as np  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.font_manager import findfont, get_font  # noqa: E402

from crowdmood.clock import format_time  # noqa: E402
from crowdmood.curves import Curves, outline, stretches, ticks  # noqa: E402
from crowdmood.palette import EXPRESSION_COLOURS, STACK_ORDER  # noqa: E402

INK, MUTED, LINE, PAPER, GAP = "#1B2029", "#667085", "#D9DCE2", "#FFFFFF", "#F4F5F7"
SIZE_PX, DPI = (1600, 900), 160
FONT = "DejaVu Sans"  # comes with matplotlib: the picture is the same everywhere


def timeline_png(path: Path, curves: Curves, overview: dict[str, Any], title: str) -> None:
    """Write timeline.png, 1600 x 900: mix, positivity and number of faces over time.

    overview: the row of reports/overview.sql. title: the recording's name, any text.
    """
    figure = Figure((SIZE_PX[0] / DPI, SIZE_PX[1] / DPI), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    rows = figure.subplots(3, 1, sharex=True, gridspec_kw={
        "height_ratios": (5, 1.7, 1.4), "hspace": 0.16, "left": 0.075, "right": 0.842, "top": 0.84, "bottom": 0.075})
    _heading(figure, overview, title)
    for axes in rows:
        _plain(axes)
    _mix(rows[0], curves, overview)
    _positivity(rows[1], curves)
    _faces(rows[2], curves)
    _time_axis(rows[2], curves)
    figure.savefig(path, format="png", dpi=DPI)


def _heading(figure: Figure, overview: dict[str, Any], title: str) -> None:
    name = _writable(title if len(title) <= 60 else title[:38] + "\u2026" + title[-20:])
    length = format_time(round(overview["end_s"] - overview["start_s"], 1))
    persons = "1 person" if overview["persons"] == 1 else f"{overview['persons']:,} persons"
    read = f"{persons} \u00b7 {overview['usable_faces']:,} of {overview['faces']:,} faces clear enough to be read"
    facts = f"Expressions shown \u00b7 {length} \u00b7 {read if overview['faces'] else 'no faces found'}"
    figure.text(0.075, 0.935, name, fontsize=15, fontweight="bold", color=INK, family=FONT, parse_math=False)
    figure.text(0.075, 0.885, facts, fontsize=9, color=MUTED, family=FONT)


def _writable(text: str) -> str:
    """The text with a box for each character that the font does not have."""
    known = get_font(findfont(FONT)).get_charmap()
    return "".join(char if ord(char) in known else "\u25a1" for char in text)


def _plain(axes: Axes) -> None:
    axes.spines[:].set_visible(False)
    axes.set_facecolor(GAP)
    axes.tick_params(length=0, colors=MUTED, labelsize=8, labelfontfamily=FONT, pad=5)
    axes.margins(0)


def _mix(axes: Axes, curves: Curves, overview: dict[str, Any]) -> None:
    tops = np.cumsum(curves.mix, axis=0)
    parts = stretches(curves, tops[-1])
    floors = np.vstack([np.zeros_like(tops[:1]), tops[:-1]])
    for name, floor, top in zip(STACK_ORDER, floors, tops, strict=True):
        for part in parts:
            x, y = outline(curves, part, top)
            # The thin edge closes the seam that antialiasing leaves between two bands.
            axes.fill_between(x, outline(curves, part, floor)[1], y, color=EXPRESSION_COLOURS[name], linewidth=0.3)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "50", "100 %"])
    if parts:
        _labels(axes, tops[:, parts[-1].stop - 1], overview)
    else:
        axes.text(0.5, 0.5, "no face clear enough to be read" if overview["faces"] else "no faces found",
                  transform=axes.transAxes, ha="center", va="center", color=MUTED, fontsize=13, family=FONT)


def _labels(axes: Axes, tops: np.ndarray, overview: dict[str, Any]) -> None:
    """Names beside the bands' right ends, spread so that none touch. tops: upper edges (7,)."""
    middles = (np.concatenate([[0], tops[:-1]]) + tops) / 2
    for name, at, y in zip(STACK_ORDER, middles, spread(middles, 0.088, 0.03, 0.97), strict=True):
        axes.plot([1.003, 1.018, 1.026], [at, y, y], transform=axes.transAxes, color=LINE, linewidth=0.9,
                  clip_on=False)
        axes.plot([1.038], [y], "s", transform=axes.transAxes, color=EXPRESSION_COLOURS[name], markersize=7,
                  clip_on=False)
        axes.text(1.051, y, name, transform=axes.transAxes, va="center", fontsize=9, color=INK, family=FONT)
        axes.text(1.185, y, f"{overview[name]:.0%}", transform=axes.transAxes, va="center", ha="right",
                  fontsize=9, color=MUTED, family=FONT)
    axes.text(1.185, 1.03, "overall", transform=axes.transAxes, va="bottom", ha="right", fontsize=8, color=MUTED,
              family=FONT)


def spread(wanted: np.ndarray, apart: float, low: float, high: float) -> np.ndarray:
    """Places near `wanted` (rising, (n,)), at least `apart` from each other, within low..high if there is room."""
    steps = np.arange(len(wanted)) * apart
    places = np.maximum.accumulate(np.maximum(wanted, low) - steps) + steps
    limits = high - steps[::-1]
    return np.minimum(places, limits)


def _positivity(axes: Axes, curves: Curves) -> None:
    for part in stretches(curves, curves.positivity):
        x, y = outline(curves, part, curves.positivity)
        axes.fill_between(x, 0, y, where=y >= 0, interpolate=True, color=EXPRESSION_COLOURS["happy"], alpha=0.55,
                          linewidth=0)
        axes.fill_between(x, 0, y, where=y < 0, interpolate=True, color=EXPRESSION_COLOURS["angry"], alpha=0.55,
                          linewidth=0)
        axes.plot(x, y, color=INK, linewidth=1.1, solid_joinstyle="round")
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.set_ylim(-1, 1)
    axes.set_yticks([-1, 0, 1], ["\u22121", "0", "+1"])
    axes.text(1.02, 0.62, "positivity", transform=axes.transAxes, va="center", fontsize=9, color=INK, family=FONT)
    axes.text(1.02, 0.3, "happy \u2212 largest of\nangry, disgust, fear, sad", transform=axes.transAxes, va="center",
              fontsize=6.5, color=MUTED, family=FONT)


def _faces(axes: Axes, curves: Curves) -> None:
    most = max(1.0, float(np.max(curves.most_faces, initial=0)))
    for part in stretches(curves, curves.faces):
        x, y = outline(curves, part, curves.faces)
        axes.fill_between(x, 0, y, color="#C3CAD6", linewidth=0)
        axes.fill_between(*outline(curves, part, curves.usable_faces), color="#7C8AA0", linewidth=0)
    axes.set_ylim(0, most)
    axes.set_yticks([0, most], ["0", f"{most:.0f}"])
    axes.text(1.02, 0.78, "faces in the picture", transform=axes.transAxes, va="center", fontsize=9, color=INK,
              family=FONT)
    for y, colour, text in ((0.45, "#7C8AA0", "read"), (0.15, "#C3CAD6", "uncertain")):
        axes.plot([1.028], [y], "s", transform=axes.transAxes, color=colour, markersize=6, clip_on=False)
        axes.text(1.043, y, text, transform=axes.transAxes, va="center", fontsize=8, color=MUTED, family=FONT)


def _time_axis(axes: Axes, curves: Curves) -> None:
    start, end = curves.span
    axes.set_xlim(start, end)
    places = ticks(start, end, 11)
    axes.set_xticks(places, [format_time(place) for place in places])
