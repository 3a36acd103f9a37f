"""Runs made of invented rows, for tests of tables and SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from crowdmood import tables
from crowdmood.labels import EXPRESSIONS
from crowdmood.persons import Links
from crowdmood.schemas import FLOAT, PARTS, STEPS

RUN = "ab12cd34ef56"
FRAMES, PERSONS = 40, 3  # every person is in every frame, but for the last ten frames, which are empty
EMPTY = 10
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def run_row(run: str = RUN, **changes) -> dict:
    """A run's row as it is while the run goes on."""
    return {
        "run": run,
        "recording": "concert.mp4",
        "path": "/films/concert.mp4",
        "digest": "d" * 64,
        "container": "mp4",
        "codec": "h264",
        "duration_s": 8.0,
        "time_base": "1/15360",
        "sample_fps": 5.0,
        "decoder": "av",
        "options": {"imgsz": 640},
        "models": {"face-1": "aa"},
        "status": "running",
        "started": STARTED,
        "chunks": 2,
    } | changes


def face_columns(
    seed: int = 0, frames: int = FRAMES - EMPTY, persons: int = PERSONS
) -> dict[str, np.ndarray]:
    """The columns of faces of frames 0, 6, 12 ... at 30 fps."""
    rng = np.random.default_rng(seed)
    rows = frames * persons
    frame = np.repeat(np.arange(frames) * 6, persons)
    probability = np.round(rng.dirichlet(np.ones(7), rows) * 4096) / 4096
    left = np.tile(np.arange(persons) * 100, frames) + rng.random(rows)
    usable = rng.random(rows) > 0.2
    return rounded({
        "frame": frame,
        "pts": frame * 512,
        "time_s": frame / 30,
        "face": np.tile(np.arange(persons), frames),
        "x1": left,
        "y1": left,
        "x2": left + 50,
        "y2": left + 60,
        "score": rng.random(rows),
        "size_px": np.full(rows, 54.77),
        "sharpness": rng.random(rows),
        "usable": usable,
        **dict(zip(EXPRESSIONS, probability.T, strict=True)),
        "expression": np.where(usable, np.array(EXPRESSIONS)[probability.argmax(axis=1)], "uncertain"),
        "confidence": probability.max(axis=1),
        "valence": probability[:, 3] - probability[:, [0, 1, 2, 4]].sum(axis=1),
    })


def rounded(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of faces in the steps in which they are stored."""
    steps = {field.name: STEPS[field.metadata[b"unit"].decode()] for field in PARTS["faces"] if field.type == FLOAT}
    return {name: np.round(values / steps[name]) * steps[name] if name in steps else values
            for name, values in columns.items()}


def frame_columns(faces: dict[str, np.ndarray], frames: int = FRAMES) -> dict[str, np.ndarray]:
    """The columns of frames that fit the faces, with empty frames at the end."""
    frame = np.arange(frames) * 6
    count = [
        np.bincount(faces["frame"][which] // 6, minlength=frames) for which in (slice(None), faces["usable"])
    ]
    return {
        "frame": frame,
        "pts": frame * 512,
        "time_s": frame / 30,
        "faces": count[0],
        "usable_faces": count[1],
        "signature": np.tile(np.arange(180, dtype=np.uint8), (frames, 1)),
        "tiles": [b""] * frames,
    }


def make_parts(results: Path, run: str = RUN, edges: Sequence[int] = (20,), seed: int = 0) -> None:
    """Write a run's row and its parts; a chunk begins at the frames (counted from 0) in `edges`."""
    faces = face_columns(seed)
    frames = frame_columns(faces)
    tables.write_run(results, run_row(run, chunks=len(edges) + 1))
    for chunk, (start, end) in enumerate(zip([0, *edges], [*edges, FRAMES], strict=True)):
        in_faces = (faces["frame"] >= start * 6) & (faces["frame"] < end * 6)
        tables.write_part(
            results,
            run,
            chunk,
            tables.part_table("frames", run, {name: column[start:end] for name, column in frames.items()}),
            tables.part_table("faces", run, {name: column[in_faces] for name, column in faces.items()}),
        )


def links() -> Links:
    """Persons 1, 2, 3 from left to right; the third's second half is another track; a cut at frame 15."""
    person = np.tile(np.arange(1, PERSONS + 1, dtype=np.int32), FRAMES - EMPTY)
    track = np.where((person == 3) & (np.arange(len(person)) > len(person) // 2), 4, person).astype(np.int32)
    return Links(track, person, np.arange(FRAMES) == 15)


def make_run(results: Path, run: str = RUN, seed: int = 0) -> None:
    """Write a complete run."""
    make_parts(results, run, seed=seed)
    tables.complete(results, run, links(), finished=STARTED, seconds=1.0)
