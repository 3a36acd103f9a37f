"""A run of photos: an album in, a complete run out; resumable, and with nothing read twice.

    open_album -> chunks of 64 photos, those that are not there yet -> every face a person of its own -> complete tables, and `photos`

A changed folder is a new run; what an earlier run of the same options and models has seen of it is taken from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import numpy as np
import pyarrow as pa

from crowdmood import __version__, catalog, tables
from crowdmood.albums import Album, open_album
from crowdmood.analysis import run_id
from crowdmood.errors import CrowdmoodError, ResultsError, VideoError, one_line
from crowdmood.files import as_text
from crowdmood.locks import lock
from crowdmood.models import Model
from crowdmood.options import Execution, Options
from crowdmood.persons import Links
from crowdmood.photo_schemas import PHOTOS
from crowdmood.photos.scan import (
    NOTHING_EARLIER,
    Earlier,
    Outcome,
    plan_album,
    scan_album,
)
from crowdmood.results import Run, find_run, results_folder
from crowdmood.runtimes import Device, choose_device
from crowdmood.s3 import S3Folder
from crowdmood.scan import Chunk, chosen_models, open_eyes
from crowdmood.schemas import ALWAYS, PARTS, part_table, table_of
from crowdmood.signature import SIGNATURE_BYTES
from crowdmood.tables import write_rows
from crowdmood.video import get_ready, read_photo

Progress = Callable[[str, int, int], None]
"""Called with a step ('look' or 'scan'), how many photos are done in it, and of how many."""
PHOTO_OPTIONS = {"sample_fps": None, "meeting": "off"}
"""What Options are for photos, whatever else is asked for."""
USUAL, ANYWHERE = Options(**PHOTO_OPTIONS), Execution()
SEEN_EARLIER = """
SELECT photos.run, photos.frame, photos.digest, photos.page
FROM photos JOIN frames USING (run, frame) JOIN runs USING (run)
WHERE runs.status = 'complete' AND runs.erased IS NULL AND runs.options = $options AND runs.models = $models
    AND runs.schema_version = $schema AND photos.run <> $run
ORDER BY runs.finished DESC
"""


@dataclass(frozen=True)
class PhotoJob:
    """Everything decided before the first photo is read."""

    album: Album
    options: Options
    models: list[Model]
    device: Device
    results: Path
    run: str
    progress: Progress


def analyze_photos(sources: Sequence[str | Path], options: Options = USUAL, execution: Execution = ANYWHERE,
                   results: str | Path | None = None, progress: Progress = lambda *_: None) -> tuple[Run, Album]:
    """Find and read the faces in all photos of folders and files; returns the complete run, and the album that it is about.

    The same files, options and models are the same run: running again goes on where a stopped one ended. Photos that cannot be
    read have their reason in the table `photos`, the others are done. options: imgsz, tiles, min_face and the models count.
    Raises CrowdmoodError.
    """
    folder = results_folder(results)
    if isinstance(folder, S3Folder):
        raise ResultsError("runs of photos are kept in a local results folder; give one with --results, and copy it to S3")
    get_ready()
    models = chosen_models(options)
    device = choose_device(execution.device, execution.runtime, execution.threads)
    album = open_album(sources, device.threads, lambda *counts: progress("look", *counts))
    if all(photo.error for photo in album.photos):
        raise VideoError(f"{album.name}: none of its {len(album.photos)} photos can be read; the first: {album.photos[0].error}")
    job = PhotoJob(album, options, models, device, folder, run_id(album.digest, options, models), progress)
    with lock(folder, job.run):
        catalog.refresh(folder)
        if not is_complete(folder, job.run):
            _make(job)
        tables.remove_parts(folder, job.run)
    return find_run(folder, job.run), album


def is_complete(results: Path, run: str) -> bool:
    """Whether the run's row says so, and its tables are there, each to its last byte."""
    complete = (tables.read_run(results, run) or {}).get("status") == "complete"
    return complete and all(tables.is_whole(tables.table_path(results, table, run)) for table in (*ALWAYS, "photos"))


def describe(job: PhotoJob) -> dict:
    """The run's row, as far as it is known before the scan. A photo is shown for a second."""
    album = job.album
    return {"run": job.run, "recording": album.name, "path": as_text(album.folder), "digest": album.digest, "size_bytes": album.size_bytes,
            "container": "photos", "duration_s": float(len(album.photos)), "time_base": "1", "frames_promised": len(album.photos),
            "frames_found": sum(photo.error is None for photo in album.photos), "device": job.device.name, "runtime": job.device.runtime,
            "options": job.options.rows(), "models": {model.name: model.weights for model in job.models}, "version": __version__,
            "status": "running", "chunks": len(plan_album(album)), "layout": "photos"}


def _make(job: PhotoJob) -> None:
    """Scan and link; parts that turn out to be damaged are made again, once."""
    try:
        _link(job, _scan(job))
    except tables.DamagedParts as damage:
        tables.drop_parts(job.results, job.run, damage.chunks)
        _link(job, _scan(job))


def _scan(job: PhotoJob) -> dict[int, str]:
    """Scan the chunks that have no part yet; returns what was wrong with photos, by frame number."""
    results, run, chunks = job.results, job.run, plan_album(job.album)
    done = tables.parts_done(results, run)
    before = tables.read_run(results, run) or {}
    row = describe(job) | {"started": before.get("started") or datetime.now(UTC), "seconds": before.get("seconds") or 0.0}
    tables.write_run(results, row | {"chunks_done": len(done)})
    left, began, errors = [chunk for chunk in chunks if chunk.number not in done], monotonic(), {}
    photos, total = (sum(len(chunk.frames) for chunk in chunks if chunk.number in numbers)
                     for numbers in (done, {chunk.number for chunk in chunks}))
    job.progress("scan", photos, total)
    try:
        for outcome in _outcomes(job, left):
            done.add(outcome.chunk)
            errors |= outcome.errors
            photos += outcome.photos
            job.progress("scan", photos, total)
    except CrowdmoodError as error:
        row |= {"status": "failed", "error": str(error), "finished": datetime.now(UTC)}
        raise
    finally:
        tables.write_run(results, row | {"chunks_done": len(done), "seconds": row["seconds"] + monotonic() - began})
    return errors


def _outcomes(job: PhotoJob, chunks: Sequence[Chunk]) -> Iterator[Outcome]:
    if not chunks:
        return
    earlier = find_earlier(job, chunks)
    eyes = open_eyes(job.options, job.device)
    with closing(scan_album(job.album, chunks, eyes, job.device.threads, (job.results, job.run), earlier)) as outcomes:
        yield from outcomes


def find_earlier(job: PhotoJob, chunks: Sequence[Chunk]) -> Earlier:
    """Rows that complete runs of the same options and models have for photos of these chunks."""
    facts = describe(job)
    asked = {name: json.dumps(facts[name], sort_keys=True) for name in ("options", "models")} | {"schema": tables.SCHEMA_VERSION, "run": job.run}
    seen = {(found["digest"], found["page"]): (found["run"], found["frame"])
            for found in reversed(catalog.fetch(job.results, SEEN_EARLIER, None, asked).to_pylist())}
    places: dict[str, list[tuple[int, int]]] = {}
    for number in (number for chunk in chunks for number in chunk.frames.tolist()):
        if place := seen.get((job.album.photos[number].digest, job.album.photos[number].page)):
            places.setdefault(place[0], []).append((place[1], number))
    taken = [_taken_over(Run(run, job.results), job.run, pairs) for run, pairs in places.items()]
    return Earlier(*(pa.concat_tables(parts).unify_dictionaries() for parts in zip(*taken, strict=True))) if taken else NOTHING_EARLIER


def _taken_over(earlier: Run, run: str, pairs: Sequence[tuple[int, int]]) -> tuple[pa.Table, pa.Table]:
    """An earlier run's rows of frames and faces as parts of this one. pairs: its frame number and ours."""
    pairs = sorted(pairs)
    theirs, ours = (np.array(numbers, np.int64) for numbers in zip(*pairs, strict=True))
    parts = []
    for table, rows in (("frames", earlier.frames), ("faces", earlier.faces)):
        frame = rows["frame"].to_numpy()
        # A photo that is twice in the folder is twice in the pairs: its rows are taken for each.
        at = [(row, our) for their, our in zip(theirs, ours, strict=True) for row in range(*np.searchsorted(frame, [their, their + 1]))]
        number = np.array([our for _, our in at], np.int64)
        picked = rows.take(pa.array([row for row, _ in at], pa.int64()))
        columns = {name: picked[name].to_pylist() for name in picked.column_names if name != "run"}
        columns |= {"frame": number, "pts": number, "time_s": number.astype(np.float64)}
        columns |= {"signature": np.zeros((len(at), SIGNATURE_BYTES), np.uint8), "tiles": np.full(len(at), b"", object)}
        parts.append(part_table(table, run, {name: columns[name] for name in PARTS[table].names if name != "run"}))
    return tuple(parts)


def _link(job: PhotoJob, errors: dict[int, str]) -> None:
    """Write the final tables, and `photos`. Every face is a person and every photo a scene: nobody is followed."""
    began, results, run, album = monotonic(), job.results, job.run, job.album
    read = set(tables.read_parts(results, run, "frames", ["frame"])["frame"].tolist())
    faces = len(tables.read_parts(results, run, "faces", ["frame"])["frame"])
    if not read:
        raise VideoError(f"{album.name}: none of its {len(album.photos)} photos could be read; the first: {next(iter(errors.values()), '')}")
    unread = {number: photo.error or errors.get(number) or _reason(album, number)
              for number, photo in enumerate(album.photos) if number not in read}
    write_rows(results, "photos", run, table_of(PHOTOS, run, _columns(album, unread)))
    number = np.arange(1, faces + 1, dtype=np.int32)
    tables.complete(results, run, Links(number, number, np.ones(len(read), bool)), finished=datetime.now(UTC),
                    seconds=tables.read_run(results, run)["seconds"] + monotonic() - began, **tables.part_counts(results, run))


def _columns(album: Album, unread: dict[int, str]) -> dict[str, object]:
    photos = album.photos
    told = {name: [getattr(photo.facts, name, None) for photo in photos] for name in ("format", "width", "height", "taken")}
    own = {name: [getattr(photo, name) for photo in photos] for name in ("file", "page", "size_bytes", "digest")}
    return {"frame": np.arange(len(photos)), **told, **own, "error": [unread.get(number) for number in range(len(photos))]}


def _reason(album: Album, number: int) -> str:
    """Why a photo could not be read by a process that was killed since."""
    try:
        read_photo(album.photos[number].path, album.photos[number].page)
    except VideoError as error:
        return one_line(str(error))
    return "it could not be read at first; remove the run to have it read again"
