"""What all pictures share: size, type, heading, time axis, and how they are saved (PNG and SVG)."""

from __future__ import annotations

import io
import os
from pathlib import Path

from crowdmood.files import cache_folder, write_aside

# Matplotlib writes a font cache; it belongs where our other caches are.
os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from crowdmood.clock import format_time
from crowdmood.curves import ticks

INK, MUTED, LINE, PAPER, GAP, ACCENT = "#1B2029", "#667085", "#D9DCE2", "#FFFFFF", "#F4F5F7", "#245EA8"
READ, UNCERTAIN = "#7C8AA0", "#C3CAD6"  # faces
SIZE_PX, DPI = (1600, 900), 160
FONT = "DejaVu Sans"  # comes with matplotlib: the picture is the same everywhere
LEFT, TOP = 0.075, 0.84  # where what is drawn begins
# Text stays text (it can be edited on a slide), and nothing in the file depends on the day or on chance.
SVG, UNDATED = {"svg.fonttype": "none", "svg.hashsalt": "crowdmood"}, {"Date": None, "Creator": None}


def new_figure() -> Figure:
    """An empty picture of 1600 x 900."""
    figure = Figure((SIZE_PX[0] / DPI, SIZE_PX[1] / DPI), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the picture as PNG or SVG, as the path ends; the same picture gives the same bytes."""
    form = path.suffix.lower().removeprefix(".")
    with write_aside(path) as aside, rc_context(SVG):
        figure.savefig(aside, format=form, dpi=DPI, metadata=UNDATED if form == "svg" else None)


def svg_text(figure: Figure) -> str:
    """The picture as the text of an SVG file."""
    held = io.StringIO()
    with rc_context(SVG):
        figure.savefig(held, format="svg", metadata=UNDATED)
    return held.getvalue()


def heading(figure: Figure, title: str, facts: str) -> None:
    """Title and a line of facts at the top left. title: any text; what the font does not have becomes a box."""
    name = writable(title if len(title) <= 60 else title[:38] + "\u2026" + title[-20:])
    figure.text(LEFT, 0.935, name, fontsize=15, fontweight="bold", color=INK, family=FONT, parse_math=False)
    figure.text(LEFT, 0.885, writable(facts), fontsize=9, color=MUTED, family=FONT, parse_math=False)


def writable(text: str) -> str:
    """The text with a box for each character that the font does not have."""
    known = get_font(findfont(FONT)).get_charmap()
    return "".join(char if ord(char) in known or char == "\n" else "\u25a1" for char in text)


def note(axes: Axes, x: float, y: float, text: str, **look) -> None:
    """Text in an axes' own coordinates (0..1)."""
    look = {"fontsize": 9, "color": INK, "va": "center"} | look
    axes.text(x, y, writable(text), transform=axes.transAxes, family=FONT, parse_math=False, **look)


def key(axes: Axes, x: float, y: float, colour: str, text: str, **look) -> None:
    """A small square of a colour and what it stands for."""
    axes.plot([x], [y], "s", transform=axes.transAxes, color=colour, markersize=6, clip_on=False)
    note(axes, x + 0.015, y, text, **({"fontsize": 8, "color": MUTED} | look))


def plain(axes: Axes, background: str = GAP) -> None:
    """No frame, no tick marks, quiet labels."""
    axes.spines[:].set_visible(False)
    axes.set_facecolor(background)
    axes.tick_params(length=0, colors=MUTED, labelsize=8, labelfontfamily=FONT, pad=5)
    axes.margins(0)


def time_axis(axes: Axes, span: tuple[float, float]) -> None:
    """Minutes and seconds along the bottom. span: first and last second."""
    axes.set_xlim(*span)
    places = ticks(*span, 11)
    axes.set_xticks(places, [format_time(place) for place in places])


def spread(wanted: np.ndarray, apart: float, low: float, high: float) -> np.ndarray:
    """Places near `wanted` (rising, (n,)), at least `apart` from each other, within low..high if there is room."""
    steps = np.arange(len(wanted)) * apart
    places = np.maximum.accumulate(np.maximum(wanted, low) - steps) + steps
    limits = high - steps[::-1]
    return np.minimum(places, limits)
