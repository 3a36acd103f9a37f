"""Charts of SQL reports: a report's `-- plot:` line says how its answer is drawn.

    -- plot: line x y [y ...]     lines over x; columns called low and high become a band around the first y
    -- plot: bar x y              a bar for each row; with columns low and high in the answer, an interval
    -- plot: stack x y [y ...]    shares on top of each other, over time or one bar for each row
    -- plot: heat x y value       a coloured field for each x and y

Columns called *_s or second are times. Expressions have their fixed colours. Of several
runs the first is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from crowdmood.canvas import (
    ACCENT,
    GAP,
    INK,
    LEFT,
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
from crowdmood.crowd_plots import RUN_COLOURS
from crowdmood.errors import ResultsError
from crowdmood.palette import DIVERGING, EXPRESSION_COLOURS
from crowdmood.sql_reports import SqlReport

MOST_BARS = 24
Rows = dict[str, list[Any]]


@dataclass(frozen=True)
class Plot:
    """kind: line, bar, stack or heat. x: a column. y: one or more columns."""

    kind: str
    x: str
    y: tuple[str, ...]


def plot_of(report: SqlReport) -> Plot | None:
    """What the report's plot line asks for, None without one. Raises ResultsError when it makes no sense."""
    if not report.plot:
        return None
    kind, *columns = report.plot.split()
    least = {"line": 2, "bar": 2, "stack": 2, "heat": 3}
    if kind not in least or len(columns) < least[kind] or kind in ("bar", "heat") and len(columns) > least[kind]:
        raise ResultsError(f"report '{report.name}': 'plot: {report.plot}' is not of the form line|stack X Y..., bar X Y or heat X Y VALUE")
    return Plot(kind, columns[0], tuple(columns[1:]))


def chart(report: SqlReport, answer: pa.Table) -> Figure | None:
    """The picture of a report's answer; None when the report has no plot line or the answer no rows.

    Raises ResultsError when the plot line names a column that is not in the answer.
    """
    plot = plot_of(report)
    if plot is None or not len(answer):
        return None
    missing = [name for name in (plot.x, *plot.y) if name not in answer.column_names]
    if missing:
        raise ResultsError(f"report '{report.name}': the column '{missing[0]}' of its plot line is not in its answer")
    rows, which = _one_run(plot, answer)
    figure = new_figure()
    heading(figure, report.title, _first_sentence(report.description, 150 - len(which)) + which)
    left = LEFT if plot.kind == "line" or plot.kind == "stack" and _is_time(plot.x) else 0.2
    axes = figure.add_axes((left, 0.1, 0.84 - left, TOP - 0.1))
    plain(axes)
    {"line": _lines, "bar": _bars, "stack": _stack, "heat": _heat}[plot.kind](axes, plot, rows)
    return figure


def _one_run(plot: Plot, answer: pa.Table) -> tuple[Rows, str]:
    """The answer's columns, and which run they are of where there are several: the first one is drawn.

    All rows are, where it is runs that are compared.
    """
    runs = answer["run"].to_pylist() if "run" in answer.column_names else []
    if len(set(runs)) <= 1 or plot.x in ("run", "recording"):
        return answer.to_pydict(), ""
    mine = answer.filter(pa.array([run == runs[0] for run in runs]))
    return mine.to_pydict(), f" \u00b7 run {runs[0]}, the first of {len(set(runs))}; --run gives another"


def _first_sentence(text: str, most: int = 150) -> str:
    sentence = text.split(". ")[0].split(": ")[0]
    return sentence if len(sentence) <= most else sentence[: most - 1].rsplit(" ", 1)[0] + " \u2026"


def _is_time(name: str) -> bool:
    return name.endswith("_s") or name == "second"


def _label(name: str, value: Any) -> str:
    """A value on an axis: times as m:ss."""
    if _is_time(name) and isinstance(value, (int, float)):
        return format_time(round(value, 1))
    text = "none" if value is None else str(value).replace("_", " ") if isinstance(value, str) else str(value)
    return writable(text if len(text) <= 26 else text[:16] + "\u2026" + text[-8:])


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if value is None else float(value) for value in values])


def _places(axes: Axes, plot: Plot, rows: Rows) -> np.ndarray:
    """x of each row: numbers as they are (times on a time axis), other values one after the other."""
    values = rows[plot.x]
    if all(isinstance(value, (int, float)) for value in values):
        x = _numbers(values)
        if _is_time(plot.x):
            time_axis(axes, (float(x.min()), float(max(x.max(), x.min() + 0.1))))
        return x
    x = np.arange(len(values), dtype=float)
    every = max(1, -(-len(x) // 12))
    axes.set_xticks(x[::every], [_label(plot.x, value) for value in values[::every]], parse_math=False)
    return x


def _colour(name: str, place: int) -> str:
    return EXPRESSION_COLOURS.get(name, RUN_COLOURS[place % len(RUN_COLOURS)])


def _lines(axes: Axes, plot: Plot, rows: Rows) -> None:
    x = _places(axes, plot, rows)
    order = np.argsort(x, kind="stable")
    drawn = [name for name in plot.y if name not in ("low", "high")]
    if {"low", "high"} <= set(plot.y):
        axes.fill_between(x[order], _numbers(rows["low"])[order], _numbers(rows["high"])[order], color=_colour(drawn[0], 0),
                          alpha=0.15, linewidth=0)
    ends = []
    for place, name in enumerate(drawn):
        y = _numbers(rows[name])[order]
        axes.plot(x[order], y, color=_colour(name, place), linewidth=1.5, marker="o" if len(x) < 40 else None, markersize=3.5)
        ends.append(y[~np.isnan(y)][-1] if (~np.isnan(y)).any() else 0.0)
    low, high = axes.get_ylim()
    pad = 0.06 * (high - low or 1)
    axes.set_ylim(low - pad, high + pad)
    if low < 0 < high:
        axes.axhline(0, color=MUTED, linewidth=0.6)
    _names(axes, drawn, np.array(ends))


def _names(axes: Axes, names: Sequence[str], ends: np.ndarray) -> None:
    """Names beside the lines' right ends, none touching another."""
    low, high = axes.get_ylim()
    order = np.argsort(ends, kind="stable")
    apart = 0.03 / axes.get_position().height
    for at, y in zip(order, spread((ends[order] - low) / (high - low), apart, 0.03, 0.97), strict=True):
        key(axes, 1.015, y, _colour(names[at], int(at)), names[at].replace("_", " "), color=INK)


def _bars(axes: Axes, plot: Plot, rows: Rows) -> None:
    shown = slice(0, MOST_BARS)
    names, value = rows[plot.x][shown], _numbers(rows[plot.y[0]])[shown]
    kinds = rows.get("expression", names)[shown]
    for row, (kind, width) in enumerate(zip(kinds, value, strict=True)):
        axes.barh(row, width, 0.7, color=EXPRESSION_COLOURS.get(str(kind), ACCENT), linewidth=0)
    least, most = min(0.0, np.nanmin(value, initial=0)), max(0.0, np.nanmax(value, initial=0))
    if {"low", "high"} <= set(rows):
        low, high = _numbers(rows["low"])[shown], _numbers(rows["high"])[shown]
        axes.hlines(np.arange(len(low)), low, high, color=INK, linewidth=1.2)
        least, most = min(least, np.nanmin(low, initial=0)), max(most, np.nanmax(high, initial=0))
    room = (most - least or 1) * 0.1
    for row, width in enumerate(value):
        note(axes, 1.01, (len(value) - row - 0.5) / len(value), "\u2013" if np.isnan(width) else f"{width:.3g}", fontsize=8,
             color=MUTED)
    axes.set_xlim(least - (room if least < 0 else 0), most + room)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(names)), [_bar_name(plot, rows, row) for row in range(len(names))], color=INK, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    note(axes, 0, -0.05 / axes.get_position().height, plot.y[0].replace("_", " ") + (
        f" \u00b7 the first {MOST_BARS} of {len(rows[plot.x])} rows" if len(rows[plot.x]) > MOST_BARS else ""), color=MUTED,
        fontsize=8)


def _bar_name(plot: Plot, rows: Rows, row: int) -> str:
    """What stands beside a bar: its x, and what kind it is where that is not the x."""
    more = [str(rows[name][row]) for name in ("span", "direction", "expression") if name in rows and name != plot.x and rows[name][row]]
    return " ".join([_label(plot.x, rows[plot.x][row]), *more])


def _stack(axes: Axes, plot: Plot, rows: Rows) -> None:
    shares = np.nan_to_num(np.stack([_numbers(rows[name]) for name in plot.y]))
    if _is_time(plot.x):
        x = _numbers(rows[plot.x])
        step = float(np.min(np.diff(np.unique(x)), initial=np.inf))
        step = step if np.isfinite(step) else 1.0
        floors = np.cumsum(shares, axis=0) - shares
        for place, name in enumerate(plot.y):
            axes.bar(x, shares[place], step, floors[place], align="edge", color=_colour(name, place), linewidth=0)
        time_axis(axes, (float(x.min()), float(x.max() + step)))
        axes.set_ylim(0, max(1e-9, float(shares.sum(axis=0).max())))
        last = shares[:, -1]
        _names(axes, plot.y, np.cumsum(last) - last / 2)
        return
    shares, names = shares[:, :MOST_BARS], rows[plot.x][:MOST_BARS]
    floors = np.cumsum(shares, axis=0) - shares
    for place, name in enumerate(plot.y):
        axes.barh(np.arange(len(names)), shares[place], 0.72, floors[place], color=_colour(name, place), linewidth=0)
    axes.set_yticks(range(len(names)), [_label(plot.x, name) for name in names], color=INK, parse_math=False)
    axes.set_ylim(max(len(names), 5) - 0.5, -0.5)
    for place, name in enumerate(plot.y):
        key(axes, 1.015, 0.97 - 0.05 * place, _colour(name, place), name.replace("_", " "), color=INK)


def _heat(axes: Axes, plot: Plot, rows: Rows) -> None:
    across, x = _indexed(rows[plot.x])
    down, y = _indexed(rows[plot.y[0]])
    values = np.full((len(down), len(across)), np.nan)
    values[y, x] = _numbers(rows[plot.y[1]])
    signed = np.nanmin(values) < 0
    most = float(np.nanmax(np.abs(values))) or 1.0
    colours = LinearSegmentedColormap.from_list("crowdmood", DIVERGING if signed else (GAP, ACCENT))
    axes.imshow(values, aspect="auto", interpolation="none", cmap=colours, vmin=-most if signed else 0, vmax=most)
    for ticks, labels, name in ((axes.set_xticks, across, plot.x), (axes.set_yticks, down, plot.y[0])):
        every = max(1, -(-len(labels) // 12))
        ticks(range(0, len(labels), every), [_label(name, label) for label in labels[::every]], parse_math=False)
    bar = axes.inset_axes((1.02, 0.25, 0.015, 0.5))
    bar.imshow(np.linspace(1, 0, 64)[:, None], aspect="auto", cmap=colours, extent=(0, 1, -most if signed else 0, most))
    plain(bar, PAPER)
    bar.set_xticks([])
    bar.yaxis.tick_right()
    note(axes, 1.02, 0.8, plot.y[1].replace("_", " "), fontsize=8, color=MUTED)


def _indexed(values: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
    """Different values, numbers in order and texts as they come, and for each row which one it has."""
    numbers = all(isinstance(value, (int, float)) for value in values)
    known = sorted(set(values)) if numbers else list(dict.fromkeys(values))
    places = {value: place for place, value in enumerate(known)}
    return known, np.array([places[value] for value in values])
