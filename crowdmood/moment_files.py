"""Moments as files: a still and a short clip of each, and an index."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crowdmood import __version__, clips
from crowdmood.blur import COVERS
from crowdmood.clock import format_time
from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.film.covering import coverable
from crowdmood.film.paths import covered, sightings
from crowdmood.moments import Moments
from crowdmood.results import Run
from crowdmood.stills import recording_of, stills, write_still
from crowdmood.video import Recording

INDEX = "moments.json"
MEANING = ("Expressions are what faces showed, not what anybody felt. value: what the moments are ranked by, in the best frame "
           "(frame, peak_s); faces: readable faces in it; persons: who could be read during the moment; few: fewer than 5 persons.")


@dataclass(frozen=True)
class Wishes:
    """What is saved of each moment.

    still: 'jpg' or 'png'. clip_s: length of a clip in seconds, 0: none; its middle is the best frame. copy: clips are copied
    from the keyframe before, not encoded. anonymize: 'pixelate' or 'blur' covers faces. force: files that are there are
    replaced. video: where the recording is now, None: where it was.
    """

    still: str = "jpg"
    clip_s: float = 3.0
    copy: bool = False
    anonymize: str | None = None
    force: bool = False
    video: Path | None = None


def save_moments(run: Run, found: Moments, folder: Path, wishes: Wishes = Wishes(),
                 progress: Callable[[int, int], None] = lambda *_: None) -> list[dict[str, Any]]:
    """Write stills and clips, named by rank, time and expression, and moments.json into the folder, which is made.

    progress is called with files done and files in all. Returns the moments, each with still, clip (names, None where there
    is none), clip_start_s and clip_end_s. Raises ResultsError where files are there already, VideoError, and ResultsError
    where faces cannot be covered for sure.
    """
    if wishes.anonymize and wishes.copy and wishes.clip_s:
        raise ResultsError("a copied clip shows all faces as they are; leave out --copy, or make no clips (--clip 0)")
    recording = recording_of(run.info, wishes.video)
    treat = _covering(run, recording, wishes.anonymize) if wishes.anonymize else None
    moments = _named(found.table.to_pylist(), wishes, clips.copy_ending(recording) if wishes.copy else ".mp4")
    _make_room(folder, [name for one in moments for name in (one["still"], one["clip"]) if name], wishes.force)
    files, done = sum(2 if one["clip"] else 1 for one in moments), 0
    for one in (one for one in moments if one["clip"]):  # first, since they fail where the recording cannot be copied
        one |= _clip(run, recording, folder, one, (wishes, treat))
        done += 1
        progress(done, files)
    decoded = set()
    for frame, image in stills(recording, [one["frame"] for one in moments]):
        decoded.add(frame)
        if treat:
            treat(frame, image)
        for one in (one for one in moments if one["frame"] == frame):
            write_still(folder / one["still"], image)
            done += 1
            progress(done, files)
    for one in (one for one in moments if one["frame"] not in decoded):
        one["still"] = None
    _write_index(run, found, folder, (moments, wishes))
    return moments


def clip_span(recording: Recording, peak_s: float, length_s: float) -> tuple[float, float]:
    """Start and end of a clip of that length with the instant in its middle, moved to lie within the recording."""
    end = float(recording.shown_ticks * recording.time_base)
    start = max(0.0, min(peak_s - length_s / 2, end - length_s))
    return start, min(start + length_s, end)


def _clip(run: Run, recording: Recording, folder: Path, moment: dict[str, Any],
          how: tuple[Wishes, clips.Treatment | None]) -> dict[str, float]:
    wishes, treat = how
    span = clip_span(recording, moment["peak_s"], wishes.clip_s)
    path = folder / moment["clip"]
    if wishes.copy:
        start, end = clips.copy_clip(recording, path, span)
    else:
        if treat:
            frames = clips.frames_between(recording, *span)
            looked = coverable(recording, np.arange(frames.start, frames.stop), run.info)
            span = clips.times_of(recording, range(int(looked[0]), int(looked[-1]) + 1))
        start, end = clips.write_clip(recording, path, span, treat)
    return {"clip_start_s": start, "clip_end_s": end}


def _covering(run: Run, recording: Recording, way: str) -> clips.Treatment:
    """What covers the faces of a picture, also those missed between two sightings. Raises ResultsError where it cannot."""
    coverable(recording, np.arange(len(recording)), run.info)
    pieces, cover = covered(sightings(run)), COVERS[way]

    def treat(number: int, image: np.ndarray) -> None:
        cover(image, pieces.at(float(recording.time[number]))[0])

    return treat


def _named(rows: Sequence[dict[str, Any]], wishes: Wishes, clip_ending: str) -> list[dict[str, Any]]:
    """The moments with their file names: 01_0-12.4_happy.jpg."""
    digits = max(2, len(str(len(rows))))
    moments = []
    for row in rows:
        time = format_time(round(row["peak_s"], 1)).replace(":", "-")
        stem = f"{row['rank']:0{digits}}_{time}_{re.sub(r'[^a-z]+', '-', row['expression'])}"
        moments.append(row | {"still": f"{stem}.{wishes.still}", "clip": stem + clip_ending if wishes.clip_s else None,
                              "clip_start_s": None, "clip_end_s": None})
    return moments


def _make_room(folder: Path, names: Sequence[str], force: bool) -> None:
    """Make the folder. Raises ResultsError where that fails, or where a file is there and may not be replaced."""
    there = [name for name in (INDEX, *names) if (folder / name).exists()]
    if there and not force:
        raise ResultsError(f"{folder / there[0]} is there already; --force replaces such files, or save into another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"folder {folder} cannot be made: {error.strerror or error}") from error


def _write_index(run: Run, found: Moments, folder: Path, content: tuple[list[dict[str, Any]], Wishes]) -> None:
    moments, wishes = content
    info = run.info
    index = {
        **{name: info[name] for name in ("run", "recording", "digest", "sample_fps")}, "version": __version__,
        "condition": found.condition, "for_s": found.least_s, "ranked_by": found.ranked_by,
        "faces_covered": wishes.anonymize, "clips_copied": wishes.copy if wishes.clip_s else None, "meaning": MEANING,
        "moments": moments,
    }
    try:
        with write_aside(folder / INDEX) as aside:
            aside.write_text(json.dumps(index, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{folder / INDEX} cannot be written: {error.strerror or error}") from error
