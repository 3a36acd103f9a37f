"""What a run of photos holds of its photos: where the files are now, and the faces in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from crowdmood import catalog
from crowdmood.errors import VideoError
from crowdmood.files import identity, sha256_of
from crowdmood.labels import EXPRESSIONS
from crowdmood.results import Run

FACES = f"""
SELECT frame, face, x1, y1, x2, y2, score, size_px, usable, CASE WHEN usable THEN expression ELSE 'uncertain' END AS expression, confidence,
    {', '.join(EXPRESSIONS)}
FROM faces WHERE list_contains($frames, frame) ORDER BY frame, face
"""
FILES = "SELECT frame, file, page, digest FROM photos WHERE list_contains($frames, frame)"


def faces_of(run: Run, frames: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """The faces in photos by frame number, from left to right: columns of the table faces, expression 'uncertain' where it cannot be read."""
    found: dict[int, list[dict[str, Any]]] = {}
    for face in catalog.fetch(run.results, FACES, run.id, {"frames": list(frames)}).to_pylist():
        found.setdefault(face["frame"], []).append(face)
    return found


def files_of(run: Run, frames: Sequence[int], folder: str | Path | None = None) -> dict[int, tuple[Path, int]]:
    """File and page of photos by frame number: of those that are there and are what was looked at, byte for byte.

    folder: where the photos are now, None: where they were. Of a run from which persons were erased no photo is shown any more.
    """
    if run.info["erased"]:
        return {}
    place = Path(folder or run.info["path"])
    rows = catalog.fetch(run.results, FILES, run.id, {"frames": list(frames)}).to_pylist()
    return {row["frame"]: (place / row["file"], row["page"]) for row in rows if is_same(place / row["file"], row["digest"])}


def photo_run(run: Run) -> Run:
    """The run, if it is a complete one of photos. Raises VideoError, ResultsError."""
    info = run.require_complete()
    if info["layout"] != "photos":
        raise VideoError(f"run {run.id} is of a recording, not of photos; `crowdmood report {run.id}` shows it")
    return run


def is_same(path: Path, digest: str | None) -> bool:
    """Whether a file has this content; it is read once for each time that it was written."""
    try:
        return path.is_file() and digest is not None and _digest(os.fspath(path), identity(path)) == digest
    except OSError:
        return False


@lru_cache(maxsize=20_000)
def _digest(path: str, written: tuple[int, ...]) -> str:
    return sha256_of(path)
