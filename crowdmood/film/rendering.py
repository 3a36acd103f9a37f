"""A recording with what was read in it: boxes, expressions and the mood's course, or with all faces covered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import av
import numpy as np

from crowdmood.errors import ResultsError, VideoError
from crowdmood.files import write_aside
from crowdmood.film.covering import coverable
from crowdmood.film.painting import Look, Painter
from crowdmood.film.paths import sightings
from crowdmood.film.writing import FilmWriter
from crowdmood.results import Run
from crowdmood.stills import recording_of
from crowdmood.video import DecodeCount, Recording, Sampling, decode, read_ahead, select

ENDINGS = (".mp4", ".m4v", ".mov")
BATCH_BYTES = 16_000_000   # decoded pictures that are handed on together
PLAIN = Look()
SMALLEST, LARGEST = 16, 8192  # pixels: heights that H.264 players take


@dataclass(frozen=True)
class Rendered:
    """frames: written; missing: could not be decoded; recorded_s: seconds of recording; seconds: how long it took."""

    path: Path
    frames: int
    missing: int
    recorded_s: float
    seconds: float


def render(run: Run, target: Path, look: Look = PLAIN, video: Path | None = None,
           progress: Callable[[int, int, float], None] = lambda *_: None) -> Rendered:
    """Write the run's recording, with what was found in it, as an MP4 film. video: where the recording is now.

    progress is called with frames done, frames in all and seconds of recording done. The film appears under its name when
    it is complete; whatever was there is replaced. Raises ResultsError or VideoError.
    """
    began, info = monotonic(), run.require_complete()
    run.require_persons("a film")
    recording = recording_of(info, video)
    seen = sightings(run)
    numbers = _wanted(recording, look, info)
    small = _scaled(recording, look.height)
    count = DecodeCount()
    painter = Painter(run, seen, look, recording, small)
    try:
        with write_aside(_free(target, recording)) as aside, FilmWriter(aside, small, painter.size, numbers, look.crf) as film:
            for done, until_s in _filled(film, small, numbers, painter, count):
                progress(done, len(numbers), until_s)
    except (OSError, av.FFmpegError) as error:
        raise ResultsError(f"{target} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    if not count.decoded:
        raise VideoError(f"{recording.path.name}: none of its frames could be decoded")
    start, end = film.ends
    return Rendered(target, count.decoded, count.missing, float((end - start) * recording.time_base), monotonic() - began)


def _free(target: Path, recording: Recording) -> Path:
    if target.suffix.lower() not in ENDINGS:
        raise ResultsError(f"{target.name}: a film is written as {', '.join(ENDINGS)}")
    if target.exists() and any(target.samefile(file.path) for file in recording.files):
        raise ResultsError(f"{target} is the recording itself; give the film another name")
    return target


def _wanted(recording: Recording, look: Look, info: dict) -> np.ndarray:
    """The frames of the film. Raises VideoError where there are none, ResultsError where faces could stay uncovered."""
    numbers = select(recording, Sampling(None), look.start_s, look.end_s)
    if not len(numbers):
        raise VideoError(f"{recording.path.name}: no frame between {look.start_s:g} s and the end asked for; "
                         f"the recording is {recording.duration_s or recording.time[-1]:.1f} s long")
    return numbers if look.anonymize is None else coverable(recording, numbers, info)


def _scaled(recording: Recording, height: int | None) -> Recording:
    """The recording as if its picture had that height: the decoder scales it."""
    if height is None:
        return recording
    if not SMALLEST <= height <= LARGEST:
        raise ResultsError(f"a height of {height} pixels makes no film; give one from {SMALLEST} to {LARGEST}")
    width = max(2, round(recording.width * height / recording.height))
    return replace(recording, width=width, height=height)


def _filled(film: FilmWriter, recording: Recording, numbers: np.ndarray, painter: Painter,
            count: DecodeCount) -> Iterator[tuple[int, float]]:
    """Decode, draw and encode; yields after each batch how many frames are done and seconds of recording."""
    batch = max(1, min(8, BATCH_BYTES // (3 * recording.width * recording.height)))
    ends = np.append(recording.pts[1:], film.ends[1])
    with read_ahead(decode(recording, numbers, batch=batch, count=count)) as batches:
        for images in batches:
            for image, number, pts, time in zip(images.images, images.frame, images.pts, images.time, strict=True):
                frame, canvas = film.canvas()
                painter.paint(canvas, image, int(number), float(time))
                film.add(frame, int(pts), int(ends[number] - pts))
            yield count.decoded + count.missing, float(images.time[-1] - recording.time[numbers[0]])
