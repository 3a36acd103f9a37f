"""The best photos on one sheet, as PNG; each with its place, score and name."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from crowdmood.canvas import INK, LINE, MUTED, PAPER, writable
from crowdmood.errors import ResultsError, one_line
from crowdmood.files import write_aside
from crowdmood.film.lettering import paste, words
from crowdmood.palette import DARK_INK, EXPRESSION_COLOURS

WIDTH, MARGIN, GAP = 1600, 48, 24  # pixels
MOST_COLUMNS, SHAPE = 4, 0.8  # a cell's height per width
CAPTION, HEAD = 78, 104
NAME, SMALL, TITLE = 20, 16, 34  # sizes of letters


def write_sheet(path: Path, title: str, facts: str, entries: Sequence[tuple[np.ndarray, str, str]]) -> None:
    """Write the sheet. entries: picture uint8 (h, w, 3), what is written under it, and a line of facts; the best first.

    Raises ResultsError when it cannot be written.
    """
    columns = min(len(entries), MOST_COLUMNS) or 1
    cell = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) // columns
    height = round(cell * SHAPE)
    rows = ceil(len(entries) / columns)
    sheet = np.array(Image.new("RGB", (WIDTH, MARGIN + HEAD + rows * (height + CAPTION + GAP) + MARGIN // 2), PAPER))
    _write(sheet, title, TITLE, INK, (MARGIN, MARGIN - 10), bold=True)
    _write(sheet, facts, NAME, MUTED, (MARGIN, MARGIN + 42))
    for at, (image, name, line) in enumerate(entries):
        x = MARGIN + at % columns * (cell + GAP)
        y = MARGIN + HEAD + at // columns * (height + CAPTION + GAP)
        _draw(sheet, _fitted(image, (cell, height)), (x, y, cell, height), at + 1)
        _write(sheet, _short(name, cell), NAME, INK, (x, y + height + 8), bold=True)
        _write(sheet, line, SMALL, MUTED, (x, y + height + 38))
    try:
        with write_aside(path) as aside:
            Image.fromarray(sheet).save(aside, "PNG", optimize=True)
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror or error}") from error


def _draw(sheet: np.ndarray, image: np.ndarray, cell: tuple[int, int, int, int], place: int) -> None:
    """A picture in the middle of its cell, with its place on it."""
    x, y, width, height = cell
    canvas = Image.fromarray(sheet[y:y + height, x:x + width])
    ImageDraw.Draw(canvas).rectangle((0, 0, width - 1, height - 1), fill="#F4F5F7", outline=LINE)
    sheet[y:y + height, x:x + width] = np.asarray(canvas)
    left, top = x + (width - image.shape[1]) // 2, y + (height - image.shape[0]) // 2
    paste(sheet, image, left, top)
    paste(sheet, words(f" {place} ", TITLE if place == 1 else NAME + 4, DARK_INK, EXPRESSION_COLOURS["happy"], bold=True), x, y)


def _fitted(image: np.ndarray, room: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(image)
    scale = min(room[0] / picture.width, room[1] / picture.height)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def _short(text: str, width: int) -> str:
    """The text cut to a width in pixels; of a name, the end says more."""
    text = writable(one_line(text))
    return text if len(text) * NAME * 0.64 <= width else "\u2026" + text[-max(1, int(width / (NAME * 0.64)) - 1):]


def _write(sheet: np.ndarray, text: str, size: int, ink: str, place: tuple[int, int], bold: bool = False) -> None:
    paste(sheet, words(writable(one_line(text)), size, ink, PAPER, bold), place[0] - size // 3, place[1])
