"""Pictures of a run for slides: the timeline, and synchrony over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crowdmood.canvas import (
    ACCENT,
    GAP,
    INK,
    LEFT,
    LINE,
    MUTED,
    PAPER,
    READ,
    TOP,
    UNCERTAIN,
    heading,
    key,
    new_figure,
    note,
    plain,
    spread,
    time_axis,
)
from crowdmood.clock import format_time
from crowdmood.curves import Curves, Windows, outline, stretches
from crowdmood.palette import DIVERGING, EXPRESSION_COLOURS, STACK_ORDER

UP, DOWN = DIVERGING[6], DIVERGING[1]  # positivity above and below zero
CHANCE = "#DDE2EA"


def facts_of(overview: dict[str, Any]) -> str:
    """How long, how many persons, how many faces: the line that stands on every picture. overview: overview.sql's row."""
    length = format_time(round(overview["end_s"] - overview["start_s"], 1))
    persons = "1 person" if overview["persons"] == 1 else f"{overview['persons']:,} persons"
    read = f"{persons} \u00b7 {overview['usable_faces']:,} of {overview['faces']:,} faces clear enough to be read"
    return f"{length} \u00b7 {read if overview['faces'] else 'no faces found'}"


def timeline(curves: Curves, windows: Windows, moments: Sequence[dict[str, Any]], overview: dict[str, Any], title: str
             ) -> Figure:
    """Mix, positivity, synchrony (if there is any) and number of faces over time, with the moments marked.

    moments: rows of moments.sql. overview: the row of overview.sql. title: the recording's name, any text.
    """
    figure = new_figure()
    heights = (5, 1.5, 1.3, 1.2) if len(windows.start) else (5, 1.7, 1.4)
    rows = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={
        "height_ratios": heights, "hspace": 0.16, "left": LEFT, "right": 0.842, "top": TOP, "bottom": 0.075})
    heading(figure, title, f"Expressions shown \u00b7 {facts_of(overview)}")
    for axes in rows:
        plain(axes)
    _mix(rows[0], curves, overview)
    _moments(rows[0], moments, curves.span)
    _positivity(rows[1], curves)
    if len(windows.start):
        _together(rows[2], windows)
        rows[2].set_yticks([0, round(float(rows[2].get_ylim()[1]), 2)])
        note(rows[2], 1.02, 0.7, "synchrony")
        key(rows[2], 1.028, 0.38, ACCENT, "more than by chance")
        key(rows[2], 1.028, 0.1, CHANCE, "as by chance")
    _faces(rows[-1], curves)
    time_axis(rows[-1], curves.span)
    return figure


def synchrony(windows: Windows, span: tuple[float, float], overview: dict[str, Any], title: str, few: int) -> Figure:
    """Synchrony of all windows against chance, and from how many persons. few: least persons in a window."""
    figure = new_figure()
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={
        "height_ratios": (5, 1.2), "hspace": 0.12, "left": LEFT, "right": 0.795, "top": TOP, "bottom": 0.075})
    heading(figure, title, f"Synchrony: mean correlation between persons' positivity curves \u00b7 {facts_of(overview)}")
    for axes in (upper, lower):
        plain(axes)
        time_axis(axes, span)
    if not len(windows.start):
        lower.set_facecolor(PAPER)
        note(upper, 0.5, 0.5, f"no stretch in which at least {few} persons can be read for long enough to compare them",
             ha="center", color=MUTED, fontsize=11)
        upper.set_yticks([])
        lower.set_yticks([])
        return figure
    _together(upper, windows)
    found = int(windows.significant.sum())
    note(upper, 1.02, 0.93, f"{found} of {len(windows.start)} windows", fontsize=11, fontweight="bold")
    note(upper, 1.02, 0.875, "more than by chance", fontsize=8, color=MUTED)
    note(upper, 1.02, 0.83, "(false discovery rate 5 %)", fontsize=8, color=MUTED)
    key(upper, 1.028, 0.74, ACCENT, "more than by chance")
    key(upper, 1.028, 0.685, MUTED, "not told from chance")
    key(upper, 1.028, 0.63, CHANCE, "usual for independent persons")
    _steps(lower, windows)
    note(lower, 1.02, 0.5, "persons compared")
    return figure


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
        note(axes, 0.5, 0.5, "no face clear enough to be read" if overview["faces"] else "no faces found", ha="center",
             color=MUTED, fontsize=13)


def _labels(axes: Axes, tops: np.ndarray, overview: dict[str, Any]) -> None:
    """Names beside the bands' right ends, spread so that none touch. tops: upper edges (7,)."""
    middles = (np.concatenate([[0], tops[:-1]]) + tops) / 2
    for name, at, y in zip(STACK_ORDER, middles, spread(middles, 0.088, 0.03, 0.97), strict=True):
        axes.plot([1.003, 1.018, 1.026], [at, y, y], transform=axes.transAxes, color=LINE, linewidth=0.9,
                  clip_on=False)
        key(axes, 1.038, y, EXPRESSION_COLOURS[name], name, fontsize=9, color=INK)
        note(axes, 1.185, y, f"{overview[name]:.0%}", ha="right", color=MUTED)
    note(axes, 1.185, 1.03, "overall", va="bottom", ha="right", fontsize=8, color=MUTED)


def _moments(axes: Axes, moments: Sequence[dict[str, Any]], span: tuple[float, float]) -> None:
    """A dot over each moment, in the colour of its expression."""
    for moment in moments:
        x = (moment["peak_s"] - span[0]) / (span[1] - span[0])
        axes.plot([x], [1.028], "v", transform=axes.transAxes, color=EXPRESSION_COLOURS[moment["expression"]],
                  markersize=6, markeredgecolor=PAPER, markeredgewidth=0.6, clip_on=False)


def _positivity(axes: Axes, curves: Curves) -> None:
    for part in stretches(curves, curves.positivity):
        x, y = outline(curves, part, curves.positivity)
        axes.fill_between(x, 0, y, where=y >= 0, interpolate=True, color=UP, alpha=0.6, linewidth=0)
        axes.fill_between(x, 0, y, where=y < 0, interpolate=True, color=DOWN, alpha=0.6, linewidth=0)
        axes.plot(x, y, color=INK, linewidth=1.1, solid_joinstyle="round")
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.set_ylim(-1, 1)
    axes.set_yticks([-1, 0, 1], ["\u22121", "0", "+1"])
    note(axes, 1.02, 0.68, "positivity")
    note(axes, 1.02, 0.3, "happy \u2212 largest of\nangry, disgust, fear, sad", fontsize=6.5, color=MUTED)


def _together(axes: Axes, windows: Windows) -> None:
    """Synchrony against what is usual by chance; windows that differ from it are dots in colour."""
    high = max(0.1, float(np.max(windows.value)), float(np.max(windows.usual))) * 1.12
    low = min(-0.02, float(np.min(windows.value)) * 1.12)
    for part in windows.stretches():
        x = windows.middle[part]
        wide = np.concatenate([windows.start[part][:1], x, windows.end[part][-1:]])
        axes.fill_between(wide, low, np.concatenate([windows.usual[part][:1], windows.usual[part], windows.usual[part][-1:]]),
                          color=CHANCE, linewidth=0)
        axes.plot(x, windows.value[part], color=MUTED, linewidth=1.2, zorder=2, solid_joinstyle="round")
    size = np.clip(900 / len(windows.start), 4, 24)
    sure = windows.significant
    axes.scatter(windows.middle[~sure], windows.value[~sure], s=size / 2, color=MUTED, linewidth=0, zorder=3)
    axes.scatter(windows.middle[sure], windows.value[sure], s=size, color=ACCENT, linewidth=0, zorder=4)
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.set_ylim(low, high)


def _steps(axes: Axes, windows: Windows) -> None:
    """How many persons each window compares."""
    for part in windows.stretches():
        axes.fill_between(windows.middle[part], 0, windows.persons[part], color=READ, linewidth=0)
    most = int(windows.persons.max())
    axes.set_facecolor(GAP)
    axes.set_ylim(0, most * 1.05)
    axes.set_yticks([0, most])


def _faces(axes: Axes, curves: Curves) -> None:
    most = max(1.0, float(np.max(curves.most_faces, initial=0)))
    for part in stretches(curves, curves.faces):
        x, y = outline(curves, part, curves.faces)
        axes.fill_between(x, 0, y, color=UNCERTAIN, linewidth=0)
        axes.fill_between(*outline(curves, part, curves.usable_faces), color=READ, linewidth=0)
    axes.set_ylim(0, most)
    axes.set_yticks([0, most], ["0", f"{most:.0f}"])
    note(axes, 1.02, 0.8, "faces in the picture")
    key(axes, 1.028, 0.45, READ, "read")
    key(axes, 1.028, 0.15, UNCERTAIN, "uncertain")
