"""Pages read without a browser, and runs to make them of."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from crowdmood import tables
from crowdmood.palette import EXPRESSION_COLOURS
from crowdmood.persons import Links
from crowdmood.results import Run
from tests.made_runs import RUN, STARTED, face_columns, frame_columns, run_row

EVIL = "<img src=x onerror=alert(1)><script>alert(2) &amp; \"x\" 'y' $a_b$ 日本.mp4"
VOID = {"meta", "link", "br", "img"}


class Page(HTMLParser):
    """Elements (tag, attributes) and text of a page; notes tags that are not closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements, self.text, self.open, self.wrong = [], "", [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        self.text = re.sub(r"\s+", " ", self.text.replace("\u202f", " "))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += " " + data


def crowd_run(results: Path, persons: int, frames: int, recording: str = "crowd.mp4", usable: bool = True) -> Run:
    """A complete run with `persons` in every frame (6 frames of recording apart, 30 fps)."""
    faces = face_columns(1, frames, persons)
    if not usable:
        faces |= {"usable": np.zeros(len(faces["frame"]), bool), "expression": ["uncertain"] * len(faces["frame"])}
    tables.write_run(results, run_row(recording=recording, duration_s=frames / 5, chunks=1))
    tables.write_part(results, RUN, 0, tables.part_table("frames", RUN, frame_columns(faces, frames)),
                      tables.part_table("faces", RUN, faces))
    person = np.tile(np.arange(1, persons + 1, dtype=np.int32), frames)
    tables.complete(results, RUN, Links(person, person, np.zeros(frames, bool)), finished=STARTED, seconds=1.0)
    return Run(RUN, results)


def picture(path: Path) -> np.ndarray:
    """A picture's pixels, uint8 (h, w, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def coloured(pixels: np.ndarray, colour: str) -> int:
    """How many pixels have the colour of an expression, or the one given as #rrggbb."""
    colour = EXPRESSION_COLOURS.get(colour, colour)
    wanted = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(pixels.astype(int) - wanted).max(axis=2) <= 2).sum())
