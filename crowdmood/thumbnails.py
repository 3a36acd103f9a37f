"""Small pictures of moments for the report, faces made unrecognisable."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crowdmood import catalog
from crowdmood.blur import pixelate
from crowdmood.errors import VideoError
from crowdmood.results import Run
from crowdmood.stills import recording_of, stills
from crowdmood.video import Recording

MOST = 12
WIDTH, QUALITY = 352, 72  # pixels, JPEG
GONE = "the recording is no longer where it was, or has changed; --video PATH says where it is now"
NO_PERSONS = "the run keeps no persons, and no pictures of any are made"
ERASED = "persons were erased from this run, so their faces could not be covered"
NEAR_S = 0.6  # faces found this near in time are covered too: one that was missed in this very frame is there
FRAMES = """
SELECT peak_s, arg_min(frame, (abs(time_s - peak_s), frame)) AS frame
FROM frames, (SELECT unnest($peaks::DOUBLE[]) AS peak_s) GROUP BY peak_s
"""
BOXES = f"""
SELECT peak_s, x1, y1, x2, y2 FROM faces, (SELECT unnest($peaks::DOUBLE[]) AS peak_s)
WHERE time_s BETWEEN peak_s - {NEAR_S} AND peak_s + {NEAR_S}
"""


def thumbnails(run: Run, moments: Sequence[dict[str, Any]], show_faces: bool = False, video: str | Path | None = None
               ) -> tuple[dict[float, str], str]:
    """Data addresses of what `moment_pictures` gives."""
    pictures, why_none = moment_pictures(run, moments, show_faces, video)
    return {peak: "data:image/jpeg;base64," + base64.b64encode(picture).decode() for peak, picture in pictures.items()}, why_none


def moment_pictures(run: Run, moments: Sequence[dict[str, Any]], show_faces: bool = False, video: str | Path | None = None
                    ) -> tuple[dict[float, bytes], str]:
    """JPEG pictures by peak_s, for the first MOST moments; and, where there are none, why.

    Every face that was found in the frame or near it in time is pixelated, unless show_faces. video: where the recording
    is, None: where it was when it was analyzed.
    """
    peaks = sorted({float(moment["peak_s"]) for moment in moments[:MOST]})
    if not peaks:
        return {}, ""
    if not run.keeps_persons:
        return {}, NO_PERSONS
    if run.info.get("erased"):
        return {}, ERASED
    values = {"peaks": peaks}
    wanted = {row["frame"]: row["peak_s"] for row in catalog.fetch(run.results, FRAMES, run.id, values).to_pylist()}
    rows = [] if show_faces else catalog.fetch(run.results, BOXES, run.id, values).to_pylist()
    boxes = {peak: np.array([[row[edge] for edge in ("x1", "y1", "x2", "y2")] for row in rows if row["peak_s"] == peak],
                            np.float64).reshape(-1, 4) for peak in peaks}
    try:
        return dict(_pictures(recording_of(run.info, video), wanted, boxes)), ""
    except VideoError:  # also one that has changed: faces would be uncovered in it
        if video is not None:
            raise
        return {}, GONE


def _pictures(recording: Recording, wanted: dict[int, float], boxes: dict[float, np.ndarray]) -> Iterator[tuple[float, bytes]]:
    for frame, image in stills(recording, sorted(wanted)):
        peak, image = wanted[frame], np.array(image)
        pixelate(image, boxes[peak])
        picture = Image.fromarray(image)
        picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
        held = io.BytesIO()
        picture.save(held, "JPEG", quality=QUALITY, optimize=True)
        yield peak, held.getvalue()
