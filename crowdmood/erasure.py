"""Erase persons from a complete run: their faces, and everything that was made of them, as if they had not been found.

    tables and report are made anew without them, aside  ->  old pictures are removed  ->  the new ones count, all at once

frames, persons and timeline are made by the SQL that makes them at the end of an analysis. The other persons keep their
numbers, the other faces theirs. runs.erased says how many persons are missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crowdmood import staging, tables
from crowdmood.errors import ResultsError
from crowdmood.locks import lock
from crowdmood.removal import (
    COMPARISONS,
    alone,
    comparisons,
    listing,
    local_comparisons,
    owner,
    remove_files,
    removing,
)
from crowdmood.report import build_report
from crowdmood.results import Run, local_folder, publish
from crowdmood.row_groups import write_table
from crowdmood.s3 import S3Folder
from crowdmood.schemas import ALWAYS, FACES, TABLES
from crowdmood.uploads import parts_on_s3

MADE = tuple(table for table in ALWAYS if table != "runs")
SHOWING = {".avif", ".csv", ".gif", ".html", ".ipynb", ".jpeg", ".jpg", ".json", ".m4v", ".mkv", ".mov", ".mp4", ".parquet",
           ".pdf", ".png", ".svg", ".txt", ".vtt", ".webm", ".webp", ".xlsx"}
# The parts' columns of frames, from finished tables: faces are counted again.
SCANNED = """
SELECT frames.run, frame, frames.pts, frames.time_s, coalesce(found, 0)::SMALLINT AS faces,
    coalesce(readable, 0)::SMALLINT AS usable_faces, cut
FROM frames LEFT JOIN (
    SELECT frame, count(*) AS found, count(*) FILTER (usable) AS readable FROM faces GROUP BY frame
) USING (frame)
ORDER BY frame
"""
# The tables of a meeting without the persons $gone: their tiles stay, as tiles of nobody; what they said goes.
SPEAKERS_GONE = "(SELECT speaker FROM speech WHERE list_contains($gone, person) AND speaker IS NOT NULL)"
WITHOUT = {
    "tiles": """
        SELECT * FROM (
            SELECT DISTINCT * REPLACE (
                CASE WHEN list_contains($gone, person) THEN NULL ELSE person END AS person,
                CASE WHEN list_contains($gone, person) THEN NULL ELSE joined_by END AS joined_by,
                CASE WHEN list_contains($gone, person) THEN NULL ELSE confidence END AS confidence)
            FROM tiles)
        QUALIFY person IS NOT NULL OR count(person) OVER (PARTITION BY segment, tile) = 0
        ORDER BY segment, tile, person""",
    "spotlights": "SELECT * FROM spotlights WHERE list_contains($gone, person) IS NOT TRUE ORDER BY start_s, segment, tile",
    "speech": f"SELECT * FROM speech WHERE list_contains($gone, person) IS NOT TRUE AND coalesce(speaker, -1) NOT IN {SPEAKERS_GONE} "
              "ORDER BY start_s, end_s, kind, speaker",
    "names": "SELECT * FROM names WHERE NOT (kind = 'person' AND list_contains($gone, number)) "
             f"AND NOT (kind = 'speaker' AND number IN {SPEAKERS_GONE}) ORDER BY kind, number",
    "photos": "SELECT * FROM photos WHERE $gone IS NOT NULL ORDER BY frame",  # all: they are files, not persons
}


@dataclass(frozen=True)
class Traces:
    """What a run and its results folder hold of persons.

    persons: their rows in persons; those erased before have none. faces: their rows in faces.
    pictures: files that go, or are made anew. unknown: files in the results folder that crowdmood cannot judge.
    """

    persons: list[dict[str, Any]]
    faces: int
    pictures: list[str]
    unknown: list[str]


def traces(run: Run, persons: Sequence[int]) -> Traces:
    """What there is of these persons. Raises ResultsError when the run is not complete or has never had one of them."""
    info = run.require_complete()
    if not run.keeps_persons:
        raise ResultsError(f"run {run.id} was analyzed with --aggregate-only and keeps no persons: there is nobody to erase")
    rows = {row["person"]: row for row in run.persons.to_pylist()}
    found = info["persons"] + (info.get("erased") or 0)  # numbered from 1: those that are missing were erased
    if wrong := [person for person in persons if not 1 <= person <= found]:
        raise ResultsError(f"run {run.id} has no person {wrong[0]}; `crowdmood report persons --run {run.id}` lists its persons")
    there = [rows[person] for person in sorted(set(persons)) if person in rows]
    names = listing(run.results)
    pictures = _pictures(run, list(names))
    unknown = [name for name in names if owner(name) is None and name not in pictures and PurePosixPath(name).suffix.lower() in SHOWING
               and name.split("/")[0] not in TABLES and not name.startswith((".", f"{COMPARISONS}/"))]
    return Traces(there, sum(row["frames"] for row in there), pictures, sorted(unknown))


def erase(run: Run, persons: Sequence[int]) -> None:
    """Erase persons, which `traces` has found. Killed at any step, all of them are there or none, and the same call ends it.

    On S3 files are replaced one after the other, so readers can see the run half erased until the last one is there.
    Raises RunBusy, ResultsError.
    """
    local, persons = local_folder(run.results), sorted(set(persons))
    with lock(local, run.id), alone(run.results, run.id), removing(run.results):
        if isinstance(run.results, S3Folder):
            _erase_on_s3(run.results, run, persons)
        else:
            _erase_here(run, persons, run.report is not None)


def _erase_here(run: Run, persons: list[int], with_report: bool) -> None:
    """Erase persons from a run in a local folder."""
    results, stage = run.results, staging.staged(run.results, run.id)
    with_report |= (stage / "reports").exists()  # an earlier try had removed it already
    staging.settle(results, run.id)
    tables.remove_parts(results, run.id)
    if not _are_in(tables.table_path(results, "persons", run.id), persons):
        return
    _stage_tables(run, stage, persons)
    if with_report:
        build_report(Run(run.id, stage))
    remove_files([results / name for name in _pictures(run, list(listing(results)))], results)
    staging.commit(results, run.id)
    staging.settle(results, run.id)


def _erase_on_s3(results: S3Folder, run: Run, persons: list[int]) -> None:
    """Bring the run's tables here, erase, and send them back: the row first, persons last, so that a killed one can be told."""
    local = results.local
    names = {table: name for table, name in _files(run.id).items() if table in ALWAYS or results.files(name)}
    for folder in (staging.staged(local, run.id), staging.committed(local, run.id)):
        staging.discard(folder)  # another machine may have done more since
    try:
        results.download({name: local / name for name in names.values()})
        if not _are_in(local / names["persons"], persons):  # only copies of what they were in can be left, on this machine
            return remove_files([local / name for name in _pictures(Run(run.id, local), list(listing(local)))], local)
        old = _pictures(run, list(results.files("reports/")))
        _erase_here(Run(run.id, local), persons, run.report is not None)
        results.remove(name for table in ("frames", "faces") for name in parts_on_s3(results, run.id, table))
        for step in (["runs"], [table for table in names if table not in ("runs", "persons")]):
            results.upload({names[table]: local / names[table] for table in step})
        index = Run(run.id, local).report
        if index is not None:
            publish(results, index)
        results.remove([name for name in old if not (index and (local / name).exists())])
        results.upload({names["persons"]: local / names["persons"]})
    finally:
        remove_files([local / name for name in names.values()], local)


def _files(run: str) -> dict[str, str]:
    return {table: tables.table_path(Path(), table, run).as_posix() for table in TABLES}


def _stage_tables(run: Run, stage: Path, persons: list[int]) -> None:
    """Write the run's five tables without these persons."""
    row = tables.read_run(run.results, run.id)
    tables.write_run(stage, row)
    paths = {table: tables.table_path(stage, table, run.id) for table in MADE}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    faces = write_table(paths["faces"], FACES, _others(tables.table_path(run.results, "faces", run.id), persons))
    with duckdb.connect() as database:
        database.from_parquet(str(paths["faces"])).create_view("faces")
        database.from_parquet(str(tables.table_path(run.results, "frames", run.id))).create_view("frames")
        scanned = database.sql(SCANNED).to_arrow_table()
    counts = tables.write_summaries(stage, run.id, scanned, paths)
    _stage_meeting(run, stage, persons)
    found = row["persons"] + (row.get("erased") or 0)
    tables.write_run(stage, row | counts | {"faces": faces, "erased": found - counts["persons"]})


def _stage_meeting(run: Run, stage: Path, persons: list[int]) -> None:
    """Write the tables that only a meeting, or an album, has without these persons."""
    with duckdb.connect() as database:
        for table in WITHOUT:  # in this order: names asks for speech
            path = tables.table_path(run.results, table, run.id)
            there = path.exists()
            database.register(table, pq.ParquetFile(path).read() if there else TABLES[table].empty_table())
            if there:
                tables.write_rows(stage, table, run.id, database.sql(WITHOUT[table], params={"gone": persons}).to_arrow_table())


def _others(faces: Path, persons: list[int]) -> Iterator[pa.Table]:
    """The rows of faces that are not of these persons."""
    for batch in pq.ParquetFile(faces).iter_batches():
        yield pa.Table.from_batches([batch.filter(pc.invert(pc.is_in(batch["person"], pa.array(persons, pa.int32()))))])


def _are_in(path: Path, persons: list[int]) -> bool:
    return bool(set(persons) & set(pq.ParquetFile(path).read(columns=["person"])["person"].to_pylist()))


def _pictures(run: Run, names: Sequence[str]) -> list[str]:
    """The files that show persons of a run: its report, comparisons it is in, and moments saved in the results folder."""
    report = [name for name in names if name.startswith("reports/") and owner(name) == run.id]
    if isinstance(run.results, S3Folder):
        return [*report, *comparisons(names, run.results.read, run.id)]
    compared = [path.relative_to(run.results).as_posix() for path in local_comparisons(run.results, run.id)]
    moments = [one for name in names if PurePosixPath(name).name == "moments.json" for one in _saved(run.results / name, run)]
    return list(dict.fromkeys([*report, *compared, *(name for name in moments if name in set(names))]))


def _saved(index: Path, run: Run) -> list[str]:
    """The files that a moments.json speaks of, and itself, when they are of this run."""
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        if content["run"] != run.id:
            return []
        files = {Path(one[key]).name for one in content["moments"] for key in ("still", "clip") if one[key]}
    except (ValueError, KeyError, TypeError, OSError):
        return []  # somebody else's
    folder = index.parent.relative_to(run.results)
    return [(folder / name).as_posix() for name in (*sorted(files), index.name)]
