"""Pictures for an expression net's README: confusion, reliability, course of the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from crowdmood.files import write_aside
from crowdmood.labels import EXPRESSIONS
from crowdmood.palette import DARK_INK, EXPRESSION_COLOURS, LIGHT_INK
from crowdmood.canvas import FONT, GAP, INK, LINE, MUTED, PAPER

BLUE, AMBER, GREEN = (EXPRESSION_COLOURS[name] for name in ("sad", "happy", "surprise"))
SHADES = LinearSegmentedColormap.from_list("shades", [PAPER, "#8FB8DF", BLUE, "#083765"])
DPI = 100


def draw(folder: Path, figures: dict) -> None:
    """Write the pictures that the figures allow."""
    if faces := figures.get("faces"):
        _save(folder / "confusion.png", confusion(faces))
        _save(folder / "reliability.png", reliability(faces))
    if course := figures.get("course"):
        _save(folder / "course.png", training_course(course))


def confusion(faces: dict) -> Figure:
    """Rows: what people saw, as shares of the row; columns: what the net says."""
    counts = np.array(faces["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _figure(6.4, 5.2, "Confusion", f"{faces['split']}, majority of votes; % of each row")
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1)
    for row, column in np.ndindex(shares.shape):
        ink = LIGHT_INK if shares[row, column] > 0.4 else DARK_INK
        text = f"{100 * shares[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9, family=FONT)
    names = [f"{name}  {count:,}" for name, count in zip(EXPRESSIONS, counts.sum(axis=1), strict=True)]
    axes.set_xticks(range(len(EXPRESSIONS)), EXPRESSIONS)
    axes.set_yticks(range(len(EXPRESSIONS)), names)
    axes.set_xlabel("net says", color=MUTED, fontsize=9, family=FONT)
    axes.set_ylabel("people say (number of faces)", color=MUTED, fontsize=9, family=FONT)
    axes.grid(False)
    return figure


def reliability(faces: dict) -> Figure:
    """How often the net is right where it says so, before and after temperature scaling."""
    note = f"{faces['split']}, majority of votes; area of a dot: number of faces"
    figure, axes = _figure(6.4, 4.6, "Reliability", note)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for key, colour, ece in (("before", AMBER, faces["ece_before"]), ("after", BLUE, faces["ece"])):
        sure, right, count = np.array(faces["reliability"][key]).T
        axes.plot(sure, right, color=colour, linewidth=1.6, label=f"{key} scaling: error {ece:.3f}")
        axes.scatter(sure, right, s=6 + 160 * count / count.sum(), color=colour, zorder=3)
    axes.set_xlim(0.1, 1.02)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("largest probability", color=MUTED, fontsize=9, family=FONT)
    axes.set_ylabel("share of right answers", color=MUTED, fontsize=9, family=FONT)
    _legend(axes, "upper left")
    return figure


def training_course(course: list[dict]) -> Figure:
    """Accuracy on public_test after each epoch."""
    figure, axes = _figure(6.4, 4.2, "Course of the training", "averaged weights on public_test, % right")
    epochs = [line["epoch"] for line in course]
    names = (
        ("clear", "clear majority", BLUE),
        ("majority", "majority", GREEN),
        ("label", "FER2013 label", AMBER),
    )
    for key, name, colour in names:
        values = [100 * line[key] for line in course]
        axes.plot(epochs, values, color=colour, linewidth=1.8, label=f"{name}: {values[-1]:.1f}")
    axes.set_xlabel("epochs", color=MUTED, fontsize=9, family=FONT)
    _legend(axes, "lower right")
    return figure


def _figure(width: float, height: float, title: str, note: str) -> tuple[Figure, Axes]:
    """An empty picture, sizes in inches."""
    figure = Figure((width, height), dpi=DPI, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_facecolor(GAP)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, family=FONT, pad=22)
    axes.text(0, 1.025, note, transform=axes.transAxes, fontsize=8, color=MUTED, family=FONT)
    axes.spines[:].set_visible(False)
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=MUTED, labelsize=8, labelfontfamily=FONT)
    return figure, axes


def _legend(axes: Axes, place: str) -> None:
    axes.legend(loc=place, frameon=False, labelcolor=INK, prop={"family": FONT, "size": 9})


def _save(path: Path, figure: Figure) -> None:
    with write_aside(path) as aside:
        # No version of matplotlib inside: equal figures shall be equal files.
        figure.savefig(aside, format="png", dpi=DPI, metadata={"Software": None})
