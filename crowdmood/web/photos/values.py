"""What is shown of runs of photos: which there are, their order, and what the faces in them show."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import numpy as np
from fastapi import Query
from PIL import Image

from crowdmood import catalog
from crowdmood.errors import CrowdmoodError
from crowdmood.labels import EXPRESSIONS, UNCERTAIN
from crowdmood.photos.cover import cover
from crowdmood.photos.popularity import (
    find_popularity,
    has_scores,
    rank_by_popularity,
    there_is_popularity,
)
from crowdmood.photos.ranking import left_out, rank
from crowdmood.photos.run_files import faces_of, files_of
from crowdmood.photos.show import HARDLY
from crowdmood.results import Run
from crowdmood.tables import read_run
from crowdmood.video import read_photo
from crowdmood.web.refusals import Conflict, NotFound, Refusal

RUN = "^[0-9a-f]{12}$"
Measure = Literal["happy", "sad", "surprise", "positivity", "popularity"]
Expression = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
SCORED_AT_ONCE = 500  # photos whose popularity is told while a visitor waits
QUALITY = 86  # of JPEG
PHOTO_RUNS = """
SELECT run, recording AS name, path, frames_promised AS photos, frames_analyzed AS read, faces, finished,
    (SELECT frame FROM frames WHERE frames.run = runs.run AND usable_faces > 0 AND erased IS NULL ORDER BY happy DESC, frame LIMIT 1) AS best
FROM runs WHERE layout = 'photos' AND status = 'complete' ORDER BY finished DESC
"""


@dataclass(frozen=True)
class Asked:
    """by: what photos are ordered by; group: only those of two and more, scored over all faces; labels: the expressions that bars tell
    between, () for all seven."""

    by: str = "happy"
    group: bool = False
    labels: tuple[str, ...] = ()

    def query(self, **more: Any) -> str:
        """As the end of an address, '' where everything is as usual."""
        said = [("by", self.by)] * (self.by != "happy") + [("group", "true")] * self.group + [("labels", name) for name in self.labels]
        said += list(more.items())
        return "?" + urlencode(said) if said else ""


def asked(by: Annotated[Measure, Query(description="What photos are ordered by; popularity needs a model.")] = "happy",
          group: Annotated[bool, Query(description="Only photos of two and more, scored over all their faces.")] = False,
          labels: Annotated[list[Expression] | None, Query(description="Tell only between these expressions, two or more.")] = None) -> Asked:
    """What a visitor asks of a run, from the address."""
    chosen = tuple(name for name in EXPRESSIONS if name in (labels or ()))
    if len(chosen) == 1:
        raise Refusal(f"Choose two or more expressions to tell between, not {chosen[0]} alone.")
    return Asked(by, group and by != "popularity", () if len(chosen) == len(EXPRESSIONS) else chosen)


def photo_runs(results: Path) -> list[dict[str, Any]]:
    """Complete runs of photos, the newest first: run, name, path, photos, read, faces, finished, and the frame of the happiest."""
    try:
        return catalog.fetch(results, PHOTO_RUNS).to_pylist()
    except CrowdmoodError:
        if not (results / "runs").exists():
            return []
        raise


def runs_of(results: Path, folder: Path) -> list[str]:
    """The ids of all runs of the photos in a folder, also of unfinished ones."""
    rows = catalog.fetch(results, "SELECT run FROM runs WHERE path = $path", None, {"path": str(folder)}).to_pylist() if (results / "runs").exists() else []
    return [row["run"] for row in rows]


def run_of_photos(results: Path, run: str) -> Run:
    """The run. Raises NotFound unless it is a complete one of photos."""
    row = read_run(results, run) or {}
    if row.get("layout") != "photos" or row.get("status") != "complete":
        raise NotFound("There is no such album among the results.")
    return Run(run, results)


Order = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""The photos in order (see photo_ranking.rank), and those that are not."""


def ranking(run: Run, asked: Asked) -> Order:
    """A run's order. Raises Conflict where there is no popularity model, or scoring would take long."""
    return _order(run, asked, order_key(run, asked))


def order_key(run: Run, asked: Asked) -> tuple[Any, ...]:
    """What an order depends on beside the run's id: persons may be erased from it, and another model trained. Raises Conflict."""
    if asked.by == "popularity" and not there_is_popularity():
        raise Conflict("There is no popularity model on this server; whoever runs it can train one with `crowdmood train popularity --data FOLDER`.")
    return run.id, asked.by, asked.group, run.info["erased"], find_popularity().weights if asked.by == "popularity" else None


@lru_cache(maxsize=16)
def _order(run: Run, asked: Asked, key: tuple[Any, ...]) -> Order:
    ranked = _by_popularity(run) if asked.by == "popularity" else rank(run, asked.by, asked.group)
    return ranked, left_out(run, ranked)


def _by_popularity(run: Run) -> list[dict[str, Any]]:
    model, files = find_popularity(), {}
    if not has_scores(run, model):
        frames = [row["frame"] for row in rank(run)]
        if len(frames) > SCORED_AT_ONCE:
            raise Conflict(f"{len(frames):,} photos are too many to be scored while you wait; `crowdmood photos rank FOLDER --by popularity` "
                           "does it once, and then they are here.")
        files = files_of(run, frames)
    return rank_by_popularity(run, files, model, threads=2)


def with_faces(run: Run, rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a ranking, each with `boxes`, its faces: box, expression (of the labels, or 'uncertain') and bars, (label, share) each."""
    faces = faces_of(run, [row["frame"] for row in rows])
    return [row | {"boxes": [_told(face, labels) for face in faces.get(row["frame"], [])]} for row in rows]


def _told(face: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """A face told by some labels alone, as `photos show --labels` does; those of a face that cannot be read are told nevertheless."""
    names = labels or EXPRESSIONS
    whole = sum(face[name] for name in names)
    bars = [(name, face[name] / max(whole, 1e-12)) for name in names]
    sure = face["usable"] and whole >= HARDLY
    return face | {"bars": bars, "of_all": whole, "expression": max(bars, key=lambda bar: bar[1])[0] if sure else UNCERTAIN}


def picture_file(run: Run, frame: int) -> tuple[Path, int]:
    """Where a photo is. Raises NotFound unless it is there and is what was looked at."""
    files = files_of(run, [frame])
    if frame not in files:
        raise NotFound("This photo is no longer where it was, or was changed since.")
    return files[frame]


def picture(file: tuple[Path, int], side: int) -> bytes:
    """A photo as JPEG, at most `side` pixels wide and high."""
    return as_jpeg(read_photo(*file), side)


def cover_picture(run: Run, asked: Asked) -> bytes:
    """The best three as one picture, JPEG."""
    best = ranking(run, asked)[0][:3]
    return as_jpeg(cover(run, files_of(run, [row["frame"] for row in best]), best))


def as_jpeg(image: np.ndarray, side: int | None = None) -> bytes:
    """A picture uint8 (h, w, 3) as JPEG."""
    shrunk, held = Image.fromarray(image), io.BytesIO()
    if side:
        shrunk.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    shrunk.save(held, "JPEG", quality=QUALITY, progressive=True)
    return held.getvalue()
