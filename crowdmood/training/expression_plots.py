"""Pictures for an expression net's README: confusion, reliability, course of the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from crowdmood.canvas import FONT, GAP, INK, LINE, MUTED, PAPER
from crowdmood.files import write_aside
from crowdmood.labels import EXPRESSIONS
from crowdmood.palette import DARK_INK, EXPRESSION_COLOURS, LIGHT_INK

BLUE, AMBER, GREEN = (EXPRESSION_COLOURS[name] for name in ("sad", "happy", "surprise"))
SHADES = LinearSegmentedColormap.from_list("shades", [PAPER, "#8FB8DF", BLUE, "#083765"])
DPI = 100


def draw(folder: Path, figures: dict) -> None:
    """Write the pictures that the figures allow."""
    if faces := figures.get("faces"):
        draw_faces(folder, faces)
    if course := figures.get("course"):
        save(folder / "course.png", training_course(course))


def draw_faces(folder: Path, faces: dict) -> None:
    """Write the pictures of what was measured on labelled faces."""
    for name, picture in (("confusion", confusion), ("reliability", reliability), ("sizes", sizes)):
        save(folder / f"{name}.png", picture(faces))


def confusion(faces: dict) -> Figure:
    """Rows: what people saw, as shares of the row; columns: what the net says."""
    counts, labels = np.array(faces["confusion"]), faces.get("labels", EXPRESSIONS)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = new_figure(6.4, 5.2, "Confusion", f"{_measured_on(faces)}; % of each row")
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1)
    for row, column in np.ndindex(shares.shape):
        ink = LIGHT_INK if shares[row, column] > 0.4 else DARK_INK
        text = f"{100 * shares[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9, family=FONT)
    names = [f"{name}  {count:,}" for name, count in zip(labels, counts.sum(axis=1), strict=True)]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), names)
    axes.set_xlabel("net says", color=MUTED, fontsize=9, family=FONT)
    axes.set_ylabel("people say (number of faces)", color=MUTED, fontsize=9, family=FONT)
    axes.grid(False)
    return figure


def reliability(faces: dict) -> Figure:
    """How often the net is right where it says so, before and after temperature scaling."""
    note = f"{_measured_on(faces)}; area of a dot: number of faces"
    figure, axes = new_figure(6.4, 4.6, "Reliability", note)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for key, colour, ece in (("before", AMBER, faces["ece_before"]), ("after", BLUE, faces["ece"])):
        sure, right, count = np.array(faces["reliability"][key]).T
        axes.plot(sure, right, color=colour, linewidth=1.6, label=f"{key} scaling: error {ece:.3f}")
        axes.scatter(sure, right, s=6 + 160 * count / count.sum(), color=colour, zorder=3)
    axes.set_xlim(0.1, 1.02)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("largest probability", color=MUTED, fontsize=9, family=FONT)
    axes.set_ylabel("share of right answers", color=MUTED, fontsize=9, family=FONT)
    legend(axes, "upper left")
    return figure


def training_course(course: list[dict]) -> Figure:
    """Accuracy on public_test after each epoch."""
    figure, axes = new_figure(6.4, 4.2, "Course of the training", "averaged weights on public_test, % right")
    epochs = [line["epoch"] for line in course]
    names = (
        ("clear", "clear majority", BLUE),
        ("majority", "majority", GREEN),
        ("label", "FER2013 label", AMBER),
    )
    if not course[-1].get("voted", True):
        names = (("majority", "accuracy", BLUE), ("label", "accuracy of the label's head", AMBER))
    for key, name, colour in names:
        values = [100 * line[key] for line in course]
        axes.plot(epochs, values, color=colour, linewidth=1.8, label=f"{name}: {values[-1]:.1f}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epochs", color=MUTED, fontsize=9, family=FONT)
    legend(axes, "best")
    return figure


def sizes(faces: dict) -> Figure:
    """Accuracy by the side of the crop, with 95 % intervals."""
    found = sorted((int(side), one) for side, one in faces["sides"].items())
    figure, axes = new_figure(6.4, 4.2, "By size of the face", f"{_measured_on(faces)}; % right, with 95 % intervals")
    side, middle = [side for side, _ in found], np.array([one["accuracy"] for _, one in found])
    low, high = (np.array([one[key] for _, one in found]) for key in ("low", "high"))
    axes.fill_between(side, 100 * low, 100 * high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(side, 100 * middle, color=BLUE, linewidth=1.8, marker="o", markersize=5)
    for x, y in zip(side, 100 * middle, strict=True):
        axes.annotate(f"{y:.1f}", (x, y), (0, 8), textcoords="offset points", ha="center", fontsize=8, color=INK, family=FONT)
    axes.set_xticks(side)
    axes.margins(0.06, 0.3)
    axes.set_xlabel("side of the crop, pixels", color=MUTED, fontsize=9, family=FONT)
    return figure


def _measured_on(faces: dict) -> str:
    return f"{faces['split']}, {'majority of votes' if faces.get('voted', True) else 'label'}"


def new_figure(width: float, height: float, title: str, note: str) -> tuple[Figure, Axes]:
    """An empty picture, sizes in inches."""
    figure = Figure((width, height), dpi=DPI, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    dress(axes, title, note)
    return figure, axes


def dress(axes: Axes, title: str, note: str) -> None:
    """Title, a line about what is shown, and a quiet grid."""
    axes.set_facecolor(GAP)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, family=FONT, pad=22)
    axes.text(0, 1.025, note, transform=axes.transAxes, fontsize=8, color=MUTED, family=FONT)
    axes.spines[:].set_visible(False)
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=MUTED, labelsize=8, labelfontfamily=FONT)


def legend(axes: Axes, place: str, **where) -> None:
    """What the lines are."""
    axes.legend(loc=place, frameon=False, labelcolor=INK, prop={"family": FONT, "size": 9}, **where)


def save(path: Path, figure: Figure) -> None:
    """Write a picture as PNG."""
    with write_aside(path) as aside:
        # No version of matplotlib inside: equal figures shall be equal files.
        figure.savefig(aside, format="png", dpi=DPI, metadata={"Software": None})
