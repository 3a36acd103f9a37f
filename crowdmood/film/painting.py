"""One frame of the film from one frame of the recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood.blur import COVERS
from crowdmood.curves import curves_of
from crowdmood.film.overlay import Overlay
from crowdmood.film.paths import Sightings, covered, shown
from crowdmood.film.scenes import Scenes
from crowdmood.film.strip import Strip
from crowdmood.results import Run
from crowdmood.sql_reports import report_sql
from crowdmood.video import Recording

LEAST_SIDE = 16  # pixels: H.264 has no smaller pictures


@dataclass(frozen=True)
class Look:
    """What a film shows.

    start_s, end_s: the part of the recording. boxes: faces framed and labelled. curve: the strip below the picture.
    anonymize: 'pixelate' or 'blur' covers faces, None does not. height: of the picture, pixels; None: as it is.
    crf: H.264's quality, 0 (best) to 51.
    """

    start_s: float = 0.0
    end_s: float | None = None
    boxes: bool = True
    curve: bool = True
    anonymize: str | None = None
    height: int | None = None
    crf: int = 20


class Painter:
    """Draws frames. shown: the recording as its picture is drawn, which may be smaller than it was analyzed.

    self.size: width and height of the film, even; the strip included.
    """

    def __init__(self, run: Run, seen: Sightings, look: Look, recording: Recording, drawn: Recording) -> None:
        self.scale = drawn.height / recording.height
        width = max(drawn.width + drawn.width % 2, LEAST_SIDE)
        self.picture = max(drawn.height + drawn.height % 2, LEAST_SIDE)
        self.strip = Strip(curves_of(run.sql(report_sql("bins"))), width, drawn.height) if look.curve else None
        self.size = width, self.picture + (self.strip.height if self.strip else 0)
        self.overlay = Overlay(seen, drawn.width, drawn.height, self.scale) if look.boxes else None
        self.boxes = shown(seen) if look.boxes else None
        self.cover = COVERS[look.anonymize] if look.anonymize else None
        self.covered = covered(seen) if look.anonymize else None
        self.scenes = Scenes(seen.frame, seen.cut)

    def paint(self, canvas: np.ndarray, image: np.ndarray, number: int, time: float) -> None:
        """Fill canvas, uint8 (height, width, 3), from frame `number`, uint8 (h, w, 3), at `time` seconds."""
        height, width = image.shape[:2]
        picture = canvas[:height, :width]
        picture[:] = image
        if self.cover:
            self.cover(picture, self.covered.at(time)[0] * self.scale)
        if self.overlay:
            come = self.scenes.cut_has_come(number, time, image)
            self.overlay.draw(picture, *self.boxes.at(time, come))
        # What makes the sides even repeats the edge.
        canvas[:height, width:] = canvas[:height, width - 1:width]
        canvas[height:self.picture] = canvas[height - 1:height]
        if self.strip:
            self.strip.draw(canvas[self.picture:], time)
