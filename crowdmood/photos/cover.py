"""The best three photos as one square picture, as for the cover of an album: each cut to its place around the faces in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.photos.run_files import faces_of
from crowdmood.photos.show import check_picture_name
from crowdmood.results import Run
from crowdmood.stills import FORMATS
from crowdmood.video import read_photo

SIDE, GAP, LARGE = 1600, 12, 1056  # pixels; height of the first photo where there are several
PLACES = {  # of one, two and three photos: left, top, width, height
    1: ((0, 0, SIDE, SIDE),),
    2: ((0, 0, SIDE, (SIDE - GAP) // 2), (0, (SIDE + GAP) // 2, SIDE, (SIDE - GAP) // 2)),
    3: ((0, 0, SIDE, LARGE), (0, LARGE + GAP, (SIDE - GAP) // 2, SIDE - LARGE - GAP),
        ((SIDE + GAP) // 2, LARGE + GAP, (SIDE - GAP) // 2, SIDE - LARGE - GAP)),
}


def write_cover(run: Run, files: Mapping[int, tuple[Path, int]], ranked: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the cover as PNG or JPEG after the path's ending. ranked: one row or more; photos whose file is not in `files` are left out.

    Raises ResultsError when it cannot be written, or none of the photos is there.
    """
    check_picture_name(path)
    image = Image.fromarray(cover(run, files, ranked))
    form, options = FORMATS[path.suffix.lower()]
    try:
        with write_aside(path) as aside:
            image.save(aside, form, **options)
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror or error}") from error


def cover(run: Run, files: Mapping[int, tuple[Path, int]], ranked: Sequence[dict[str, Any]]) -> np.ndarray:
    """The cover, uint8 (SIDE, SIDE, 3) RGB. Raises ResultsError when none of the photos is there, VideoError when one cannot be read."""
    best = [row for row in ranked if row["frame"] in files][:3]
    if not best:
        raise ResultsError(f"none of the photos of run {run.id} is where it was, so there is nothing to make a cover of")
    faces = faces_of(run, [row["frame"] for row in best])
    sheet = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for row, (left, top, width, height) in zip(best, PLACES[len(best)], strict=True):
        image = read_photo(*files[row["frame"]])
        boxes = np.array([[face[side] for side in ("x1", "y1", "x2", "y2")] for face in faces[row["frame"]]]) * image.shape[1] / row["width"]
        sheet[top:top + height, left:left + width] = cut_to(image, boxes, (width, height))
    return sheet


def cut_to(image: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """As much of a picture as has the shape of a size (width, height), faces in its middle as far as it goes, uint8 (height, width, 3).

    boxes: float (m, 4), x1 y1 x2 y2 in pixels of the picture, at least one.
    """
    height, width = image.shape[:2]
    scale = min(width / size[0], height / size[1])
    cut = size[0] * scale, size[1] * scale
    middle = (boxes[:, :2].min(axis=0) + boxes[:, 2:].max(axis=0)) / 2
    left, top = (float(np.clip(at - side / 2, 0, whole - side)) for at, side, whole in zip(middle, cut, (width, height), strict=True))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, (left, top, left + cut[0], top + cut[1]), reducing_gap=2.0))
