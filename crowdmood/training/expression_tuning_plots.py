"""The trials of a search as one picture: what was reached in their order, and against each part of the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crowdmood.canvas import FONT, LINE, MUTED, PAPER
from crowdmood.training.expression_plots import AMBER, BLUE, DPI, dress, legend, save

PLOT = "trials.png"
WORDS = {"width": "width (of the usual)", "dropout": "dropout", "units": "units before the heads", "rate": "learning rate",
         "augmentation": "share of faces changed"}  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """n finished trials in their order. value: figure on public_test, None where the trial was ended early; params: the recipe."""

    goal: str
    number: list[int]
    value: list[float | None]
    params: list[dict]

    @property
    def best(self) -> int | None:
        """Which trial is the best, None where none was trained to its end."""
        known = [k for k, value in enumerate(self.value) if value is not None]
        better = min if self.goal == "loss" else max
        return better(known, key=lambda k: self.value[k], default=None)


def draw(path: Path, found: Tried) -> None:
    """Write the picture."""
    figure = Figure((9.6, 6.4), dpi=DPI, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, len(WORDS), height_ratios=(1.2, 1.0))
    cut = sum(value is None for value in found.value)
    ended = f", {cut} of them ended early" if cut else ""
    above = figure.add_subplot(grid[0, :])
    _history(above, found, f"{len(found.number)} trials{ended}; {found.goal} on public_test")
    for column, name in enumerate(WORDS):
        axes = figure.add_subplot(grid[1, column], sharey=above)
        _against(axes, found, name)
        axes.tick_params(labelleft=column == 0)
    save(path, figure)


def _history(axes: Axes, found: Tried, note: str) -> None:
    dress(axes, "Trials", note)
    done = [k for k, value in enumerate(found.value) if value is not None]
    value = np.array([found.value[k] for k in done], float)
    number = np.array(found.number)[done] + 1
    if len(done):
        axes.plot(number, value, "o", color=BLUE, markersize=5, label="trial")
        best = (np.minimum if found.goal == "loss" else np.maximum).accumulate(value)
        axes.step(number, best, where="post", color=AMBER, linewidth=1.8, label=f"best so far: {best[-1]:.4f}")
    worst = (value.max() if found.goal == "loss" else value.min()) if len(done) else 0.0
    ended = [number + 1 for number, one in zip(found.number, found.value, strict=True) if one is None]
    if ended:
        axes.plot(ended, [worst] * len(ended), "x", color=MUTED, markersize=5, label="ended early (no figure)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("trial", color=MUTED, fontsize=9, family=FONT)
    axes.margins(x=0.03)
    legend(axes, "lower right", bbox_to_anchor=(1, 1), ncols=3)  # above: trials may lie anywhere below


def _against(axes: Axes, found: Tried, name: str) -> None:
    dress(axes, "", "")
    rows = [k for k, value in enumerate(found.value) if value is not None and name in found.params[k]]
    axes.plot([found.params[k][name] for k in rows], [found.value[k] for k in rows], "o", color=BLUE, markersize=4)
    if found.best in rows:
        axes.plot(found.params[found.best][name], found.value[found.best], "o", color=AMBER, markersize=8, markeredgecolor=LINE)
    if name == "rate":
        axes.set_xscale("log")
        axes.set_xlim(0.004, 0.7)
        axes.set_xticks([0.005, 0.05, 0.5], ["0.005", "0.05", "0.5"])
        axes.minorticks_off()
    axes.set_xlabel(WORDS[name], color=MUTED, fontsize=9, family=FONT)
