"""Precision against recall of several face detectors, one panel for each band of size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from crowdmood.files import write_aside
from crowdmood.canvas import FONT, INK, LINE, MUTED, PAPER
from crowdmood.training.detector_evaluation import (
    BANDS,
    PRECISION,
    SETS,
    Boxes,
    curve,
    outcome,
)

SHOWN = ("12-24", "24-48", "48-96", "96+")
# Okabe and Ito's colours, told apart with any kind of colour vision; lines differ in their strokes as well.
STROKES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#666666", (0, (6, 2))),
           ("#E69F00", (0, (1, 1))), ("#56B4E9", (0, (3, 1, 1, 1))))
COLOURS = 64  # of the file: half its size, and no difference to be seen
POINTS = 300  # of a curve


def curves_png(path: Path, found: dict[str, list[Boxes]], pictures: list[dict], scores: dict[str, float]) -> None:
    """Write the curves on human-drawn boxes. A dot: the threshold a detector is run with (``scores``)."""
    rows = [at for at, row in enumerate(pictures) if row["source"] in SETS["human"]]
    truth = [pictures[at]["boxes"] for at in rows]
    figure = Figure((9.6, 6.6), dpi=90, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex=True, sharey=True, gridspec_kw={
        "left": 0.075, "right": 0.985, "top": 0.885, "bottom": 0.16, "hspace": 0.16, "wspace": 0.06})
    for axes, band in zip(panels.flat, SHOWN, strict=True):
        faces = _panel(axes, band, {name: [each[at] for at in rows] for name, each in found.items()}, truth, scores)
        axes.set_title(f"{band} px, {faces:,} faces", fontsize=10, color=INK, family=FONT, loc="left")
    _words(figure, panels)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    with write_aside(path) as aside:
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(aside, format="png", optimize=True)


def _panel(axes: Axes, band: str, found: dict[str, list[Boxes]], truth: Sequence[np.ndarray], scores: dict) -> int:
    faces = 0
    for nth, (name, each) in enumerate(found.items()):
        result = outcome(each, truth, BANDS[band])
        faces = int(result.faces.sum())
        precision, recall = curve(result)
        if not len(recall):
            continue
        colour, stroke = STROKES[nth % len(STROKES)]
        kept = np.unique(np.searchsorted(recall, np.linspace(0, recall[-1], POINTS)).clip(0, len(recall) - 1))
        axes.plot(recall[kept], precision[kept], color=colour, linestyle=stroke, linewidth=2.2 if nth == 0 else 1.4,
                  label=name, zorder=10 - nth)
        shown = int((result.score >= scores[name]).sum()) - 1
        if shown >= 0:
            axes.plot(recall[shown], precision[shown], "o", color=colour, markersize=5, zorder=11)
    axes.axhline(PRECISION, color=LINE, linewidth=1, zorder=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0.4, 1.01)
    axes.tick_params(colors=MUTED, labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return faces


def _words(figure: Figure, panels: np.ndarray) -> None:
    figure.text(0.075, 0.95, "Precision and recall by height of the face", fontsize=13, fontweight="bold",
                color=INK, family=FONT)
    figure.text(0.53, 0.95, "boxes drawn by people; dot: threshold in use", fontsize=9, color=MUTED, family=FONT)
    for axes in panels[1]:
        axes.set_xlabel("recall", color=MUTED, fontsize=9, family=FONT)
    for axes in panels[:, 0]:
        axes.set_ylabel("precision", color=MUTED, fontsize=9, family=FONT)
    lines, names = panels.flat[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="lower center", ncols=min(5, len(names)), frameon=False, fontsize=9,
                  handlelength=3.2)
