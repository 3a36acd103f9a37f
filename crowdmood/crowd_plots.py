"""Pictures of a crowd for slides: persons by time, the mix of parts side by side, positivity of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crowdmood.canvas import (
    GAP,
    INK,
    LEFT,
    LINE,
    MUTED,
    PAPER,
    TOP,
    heading,
    key,
    new_figure,
    note,
    plain,
    spread,
    time_axis,
    writable,
)
from crowdmood.clock import format_time
from crowdmood.curves import Curves, outline, stretches
from crowdmood.heat import ABSENT, BORDERS, UNREAD, Heat
from crowdmood.palette import (
    DIVERGING,
    EXPRESSION_COLOURS,
    LABEL_INKS,
    STACK_ORDER,
    UNREAD_COLOUR,
)
from crowdmood.plots import facts_of

MOST_PARTS = 16
# Lines of several runs: apart for every sight, dark enough for a white page.
RUN_COLOURS = ("#245EA8", "#C5690E", "#2E8B7A", "#8A4FA3", "#B02A37", "#5C6470", "#8C7A0B", "#1B2029")


def persons_heat(heat: Heat, span: tuple[float, float], overview: dict[str, Any], title: str) -> Figure:
    """Persons as rows, in order of first appearance, coloured by positivity; grey where they could not be read."""
    figure = new_figure()
    axes = figure.add_axes((LEFT, 0.155, 0.9, TOP - 0.155))
    shown = len(heat.persons)
    left_out = f" (the {shown} seen longest)" if shown < overview["persons"] else ""
    heading(figure, title, f"Persons and their positivity{left_out} \u00b7 {facts_of(overview)}")
    plain(axes, PAPER)
    if shown:
        _cells(axes, heat)
    else:
        note(axes, 0.5, 0.5, "no person was seen for long enough to be followed", ha="center", color=MUTED, fontsize=13)
        axes.set_yticks([])
    time_axis(axes, span)
    _scale(figure)
    return figure


def mix_bars(parts: Sequence[dict[str, Any]], overview: dict[str, Any], title: str, of: str) -> Figure:
    """Stacked bars, one per part of the recording: its mix, positivity (with interval, if it has one) and persons.

    parts: dicts with name, start_s, end_s, positivity, low, high, persons, faces, few and a share for each expression,
    None where nothing could be read; the first MOST_PARTS are drawn. of: what the parts are, such as 'segment'.
    """
    figure = new_figure()
    drawn = parts[:MOST_PARTS]
    left_out = f" (the first {MOST_PARTS} of {len(parts)})" if len(parts) > len(drawn) else ""
    heading(figure, title, f"Expressions shown, mix per {of}{left_out} \u00b7 {facts_of(overview)}")
    axes = figure.add_axes((0.2, 0.13, 0.5, TOP - 0.15))
    side = figure.add_axes((0.745, 0.13, 0.13, TOP - 0.15), sharey=axes)
    plain(axes, PAPER)
    plain(side, PAPER)
    for row, part in enumerate(drawn):
        _bar(axes, row, part)
        _whisker(side, row, part)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])
    axes.set_yticks(range(len(drawn)), [_part_name(part) for part in drawn], color=INK, parse_math=False)
    axes.set_ylim(max(len(drawn), 5) - 0.4, -0.6)
    side.set_xlim(-1, 1)
    side.set_xticks([-1, 0, 1], ["\u22121", "0", "+1"])
    side.tick_params(labelleft=False)
    side.axvline(0, color=LINE, linewidth=0.8, zorder=0)
    note(side, 0.5, 1.03, "positivity" + (", 95 %" if any(part["low"] is not None for part in drawn) else ""), ha="center",
         va="bottom", fontsize=8, color=MUTED)
    note(side, 1.75, 1.03, "persons", ha="right", va="bottom", fontsize=8, color=MUTED)
    left = 0.01
    for name in STACK_ORDER:
        key(axes, left, -0.115, EXPRESSION_COLOURS[name], name, color=INK)
        left += 0.075 + 0.0105 * len(name)
    return figure


def positivity_lines(runs: Sequence[tuple[str, Curves]]) -> Figure:
    """Positivity of several runs over the time from each one's start, named at the lines' ends. runs: (name, curves)."""
    figure = new_figure()
    axes = figure.add_axes((LEFT, 0.085, 0.72, TOP - 0.085))
    heading(figure, "Positivity compared", "happy minus the largest of angry, disgust, fear and sad, smoothed over a fortieth of each recording \u00b7 "
            "time from the start of each recording")
    plain(axes)
    length, ends = max(curves.span[1] for _, curves in runs), []
    for (_, curves), colour in zip(runs, _colours(len(runs)), strict=True):
        smooth = _smooth(curves)
        for part in stretches(curves, smooth):
            axes.plot(*outline(curves, part, smooth), color=colour, linewidth=1.6, solid_joinstyle="round")
        ends.append(smooth[~np.isnan(smooth)][-1] if (~np.isnan(smooth)).any() else 0.0)
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.set_ylim(-1, 1)
    axes.set_yticks([-1, -0.5, 0, 0.5, 1], ["\u22121", "\u22120.5", "0", "+0.5", "+1"])
    time_axis(axes, (0.0, length))
    order = np.argsort(ends, kind="stable")
    places = spread((np.array(ends)[order] + 1) / 2, min(0.05, 0.94 / len(runs)), 0.03, 0.97)
    for run, y in zip(order, places, strict=True):
        key(axes, 1.02, y, _colours(len(runs))[run], _short(runs[run][0], 24), color=INK)
    return figure


def _colours(count: int) -> list[str]:
    return [RUN_COLOURS[place % len(RUN_COLOURS)] for place in range(count)]


def _smooth(curves: Curves) -> np.ndarray:
    """Positivity as a mean over a fortieth of the recording, weighted by faces; NaN stays NaN."""
    width = max(1, len(curves.start) // 40)
    weight = np.where(np.isnan(curves.positivity), 0, curves.usable_faces)
    box = np.ones(2 * (width // 2) + 1)
    below = np.convolve(weight, box, "same")
    mean = np.convolve(np.nan_to_num(curves.positivity) * weight, box, "same") / np.where(below > 0, below, 1)
    return np.where(np.isnan(curves.positivity) | (below <= 0), np.nan, mean)


def _cells(axes: Axes, heat: Heat) -> None:
    colours = np.array([to_rgb(colour) for colour in (*DIVERGING, GAP, UNREAD_COLOUR)])  # [-1]: unread, [-2]: absent
    assert (UNREAD, ABSENT) == (-1, -2)
    rows, steps = heat.classes.shape
    extent = (heat.start, heat.start + steps * heat.step, rows - 0.5, -0.5)
    axes.imshow(colours[heat.classes], extent=extent, aspect="auto", interpolation="none")
    axes.set_ylim(max(rows, 12) - 0.5, -0.5)
    if rows <= 40:
        for edge in range(rows + 1):
            axes.axhline(edge - 0.5, color=PAPER, linewidth=1.6)
    every = max(1, -(-rows // 25))
    places = range(0, rows, every)
    axes.set_yticks(places, [str(heat.persons[place]) for place in places])
    note(axes, -0.012, 1.025, "person", ha="right", fontsize=8, color=MUTED)


def _scale(figure: Figure) -> None:
    """What the colours of the heat map stand for."""
    axes = figure.add_axes((LEFT, 0.035, 0.9, 0.045))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    note(axes, 0, 0.6, "positivity", fontsize=8, color=MUTED)
    for place, colour in enumerate(DIVERGING):
        axes.add_patch(_box(0.075 + 0.04 * place, colour))
    for place, border in enumerate(BORDERS):
        note(axes, 0.115 + 0.04 * place, 0.0, f"{border:+.2g}".replace("-", "\u2212"), ha="center", fontsize=6.5, color=MUTED)
    axes.add_patch(_box(0.48, UNREAD_COLOUR, 0.018))
    note(axes, 0.505, 0.6, "in the picture, not clear enough to be read", fontsize=8, color=MUTED)
    axes.add_patch(_box(0.775, GAP, 0.018))
    note(axes, 0.8, 0.6, "not in the picture", fontsize=8, color=MUTED)


def _box(left: float, colour: str, width: float = 0.04) -> Rectangle:
    return Rectangle((left, 0.35), width, 0.5, facecolor=colour, edgecolor=PAPER, linewidth=0.5)


def _bar(axes: Axes, row: int, part: dict[str, Any]) -> None:
    left = 0.0
    for name in STACK_ORDER:
        share = part[name] or 0.0
        axes.barh(row, share, 0.72, left, color=EXPRESSION_COLOURS[name], linewidth=0)
        if share >= 0.06:
            axes.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center", fontsize=7.5, color=LABEL_INKS[name])
        left += share
    if not left:
        axes.text(0.5, row, "no face could be read", ha="center", va="center", fontsize=8, color=MUTED)


def _whisker(axes: Axes, row: int, part: dict[str, Any]) -> None:
    if part["positivity"] is not None:
        if part["low"] is not None:
            axes.plot([part["low"], part["high"]], [row, row], color=INK, linewidth=1.4, solid_capstyle="butt")
        axes.plot([part["positivity"]], [row], "o", color=INK, markersize=5)
    persons = f"{part['persons']:,}" + (" (few)" if part["few"] else "")
    axes.text(1.75 * 2 - 1, row, persons, ha="right", va="center", fontsize=8, color=MUTED, clip_on=False)


def _part_name(part: dict[str, Any]) -> str:
    span = f"{format_time(round(part['start_s'], 1))}\u2013{format_time(round(part['end_s'], 1))}"
    return f"{writable(_short(part['name'], 26))}\n{span}" if part["name"] else span


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 9] + "\u2026" + text[-8:]
