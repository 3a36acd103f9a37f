"""The Parquet tables of a results folder: parts while a run is scanned, one file per table at its end.

    runs/run=<id>.parquet                  the run's row
    frames/run=<id>/part-000123.parquet    frames of a chunk
    faces/run=<id>/part-000123.parquet     faces of a chunk; written last: a chunk that has it is finished
    faces/run=<id>/faces.parquet           frames|persons|timeline/run=<id>.parquet: the complete run

The same rows give the same bytes: text is encoded anew, row groups are cut anew, nothing of the time of
writing or of the parts' boundaries goes into a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crowdmood.errors import ResultsError
from crowdmood.files import why, write_aside
from crowdmood.parts import DamagedParts, part_counts, part_numbers, part_path, parts
from crowdmood.row_groups import plain, write_table
from crowdmood.schemas import (
    FACES,
    FRAMES,
    PARTS,
    PERSONS,
    RUNS,
    SCHEMA_VERSION,
    TABLES,
    TIMELINE,
    part_table,
)
from crowdmood.staging import committed

if TYPE_CHECKING:
    from crowdmood.persons import Links

__all__ = ["SCHEMA_VERSION", "DamagedParts", "complete", "drop_parts", "is_whole", "part_counts", "part_numbers", "part_path", "part_table", "parts_done",
           "read_parts", "read_run", "remove_parts", "table_path", "write_part", "write_rows", "write_run", "write_summaries"]


def table_path(results: Path, table: str, run: str) -> Path:
    """Where the finished file of `table` ('faces', 'frames', 'persons', 'timeline', 'runs') of a run lies."""
    folder = Path(results) / table
    return folder / f"run={run}" / "faces.parquet" if table == "faces" else folder / f"run={run}.parquet"


def write_part(results: Path, run: str, chunk: int, frames: pa.Table, faces: pa.Table, **counts: int) -> None:
    """Write the rows of a finished chunk: frames first, faces last, each aside and then renamed.

    frames, faces: made by `part_table`. Chunks are in time order: all of chunk 3 comes before chunk 4.
    counts: columns of the run's row that add up over chunks, such as damaged_packets; `part_counts` adds them up.
    Raises ResultsError when the folder cannot be written.
    """
    with writing(results):
        for table, rows in (("frames", frames), ("faces", faces)):
            noted = PARTS[table].with_metadata({**PARTS[table].metadata, "counts": json.dumps(counts, sort_keys=True)})
            with write_aside(part_path(results, table, run, chunk)) as aside:
                write_table(aside, noted, [rows], checksums=True)


def parts_done(results: Path, run: str) -> set[int]:
    """Chunks whose parts are whole. A part that is empty, cut short or lacks its sister is removed."""
    known = {number for table in PARTS for number in part_numbers(results, table, run)}
    done = {chunk for chunk in known if all(is_whole(part_path(results, table, run, chunk)) for table in PARTS)}
    drop_parts(results, run, known - done)
    return done


def drop_parts(results: Path, run: str, chunks: Iterable[int]) -> None:
    """Remove the parts of some chunks, which are then to be done again. Raises ResultsError."""
    with writing(results):
        for part in [part_path(results, table, run, chunk) for chunk in chunks for table in PARTS]:
            part.unlink(missing_ok=True)


def read_parts(results: Path, run: str, table: str, columns: list[str]) -> dict[str, np.ndarray]:
    """Some columns over all parts of a run in time order, each an array (n,); `signature` uint8 (n, 180), `tiles` bytes objects.

    Raises DamagedParts.
    """
    read = [PARTS[table].empty_table(), *parts(results, run, table, columns)]
    return {name: np.concatenate([_numpy(part[name]) for part in read]) for name in columns}


def write_run(results: Path, row: Mapping[str, Any]) -> None:
    """Write a run's row. row: `run` and any of RUNS' columns (others NULL); schema_version is filled in.

    options and models may be dicts (stored as JSON), started and finished datetimes with a time zone.
    """
    values = dict.fromkeys(RUNS.names) | dict(row) | {"schema_version": SCHEMA_VERSION}
    for name in ("options", "models"):
        if isinstance(values[name], dict):
            values[name] = json.dumps(values[name], sort_keys=True)
    if unknown := set(values) - set(RUNS.names):
        raise ValueError(f"not columns of runs: {sorted(unknown)}")
    write_rows(results, "runs", values["run"], pa.Table.from_pylist([values], schema=plain(RUNS)))


def write_rows(results: Path, table: str, run: str, rows: pa.Table, **facts: str) -> None:
    """Write a run's rows of a table, aside and then renamed. facts: kept in the file's metadata. Raises ResultsError."""
    form = TABLES[table].with_metadata({**TABLES[table].metadata, **facts})
    with writing(results), write_aside(table_path(results, table, run)) as aside:
        write_table(aside, form, [rows])


def read_run(results: Path, run: str) -> dict[str, Any] | None:
    """A run's row as written (options and models as dicts), or None."""
    for folder in (committed(results, run), results):
        path = table_path(folder, "runs", run)
        if is_whole(path):
            with suppress(FileNotFoundError):  # moved or removed since
                return decode_row(path)
    return None


def decode_row(source: Path | pa.NativeFile) -> dict[str, Any]:
    """The row in a file of runs, as `read_run` gives it."""
    row = pq.ParquetFile(source).read().to_pylist()[0]
    return row | {name: json.loads(row[name]) for name in ("options", "models") if row[name]}


def complete(results: Path, run: str, links: Links, **facts: Any) -> None:
    """Turn a run's parts into its final tables, mark its row complete (with `facts` in it), remove the parts.

    links: track and person int32 (m,) for all faces (-1: none, stored as NULL), cut bool (n,) for all frames, and in a meeting
    tile and live for all faces (those that are not live are left out), in the order of `read_parts`. Killed at any instant it can be called again with the same links and gives
    byte-equal files, as long as the row is not yet complete; after that only `remove_parts` is left to do.
    The facts faces, persons, frames_analyzed, chunks_done, status and error are set here; give finished,
    seconds, frames_decoded ... Raises ResultsError when the run has no row or the folder cannot be written,
    ValueError when links do not fit the parts.
    """
    row = read_run(results, run)
    if row is None:
        raise ResultsError(f"run {run} has no row in {Path(results) / 'runs'}; analyze the recording again")
    with writing(results), ExitStack() as renames:
        # Left in reverse: faces takes its place first. From then on its parts no longer count in the views.
        asides = {
            table: renames.enter_context(write_aside(table_path(results, table, run)))
            for table in ("timeline", "persons", "frames", "faces")
        }
        counts = {"faces": write_table(asides["faces"], FACES, _linked_faces(results, run, links))}
        counts |= write_summaries(results, run, _cut_frames(results, run, links), asides)
    done = {"chunks_done": len(part_numbers(results, "faces", run)), "status": "complete", "error": None}
    write_run(results, row | facts | counts | done)
    remove_parts(results, run)


def remove_parts(results: Path, run: str) -> None:
    """Remove the parts of a complete run and whatever a killed process left aside. Raises ResultsError."""
    with writing(results):
        for table in PARTS:
            folder = Path(results) / table / f"run={run}"
            for path in [*folder.glob("part-*.parquet"), *folder.glob(".*.tmp"), *Path(results).glob(f"*/.run={run}.parquet.*.tmp")]:
                path.unlink(missing_ok=True)
        if (folder := Path(results) / "frames" / f"run={run}").is_dir():
            folder.rmdir()


def write_summaries(results: Path, run: str, scanned: pa.Table, paths: Mapping[str, Path]) -> dict[str, int]:
    """Write frames, persons and timeline from the finished faces; returns counts for the run's row.

    scanned: FRAMES_PART's columns but signature, and cut. paths: where faces lie and where the others go.
    """
    with duckdb.connect() as database:
        # One thread: the order in which DuckDB adds floats, and so their last bits, is always the same.
        database.execute("SET threads = 1")
        database.execute("SET temp_directory = ?", [str(Path(results) / ".tmp")])
        database.register("scanned", scanned)
        database.register("recording", pq.ParquetFile(table_path(results, "runs", run)).read())
        database.from_parquet(str(paths["faces"])).create_view("faces")
        frames = _write_query(database, "frames", paths["frames"], FRAMES)
        database.from_parquet(str(paths["frames"])).create_view("frames")
        _write_query(database, "timeline", paths["timeline"], TIMELINE)
        return {"frames_analyzed": frames, "persons": _write_query(database, "persons", paths["persons"], PERSONS)}


def _write_query(database: duckdb.DuckDBPyConnection, table: str, path: Path, schema: pa.Schema) -> int:
    query = (files("crowdmood") / "sql" / f"{table}.sql").read_text()
    reader = pa.RecordBatchReader.from_stream(database.sql(query))
    return write_table(path, schema, (pa.Table.from_batches([batch]) for batch in reader))


def _linked_faces(results: Path, run: str, links: Links) -> Iterator[pa.Table]:
    """The parts of faces in time order, with track, person and expressiveness."""
    columns = read_parts(results, run, "faces", ["neutral", "usable"])
    if not len(links.track) == len(links.person) == len(columns["neutral"]):
        raise ValueError(f"{len(links.track)} tracks for {len(columns['neutral'])} faces")
    expressiveness = _expressiveness(np.asarray(links.person), **columns)
    tile = np.full(len(links.track), -1, np.int16) if links.tile is None else links.tile
    added = [
        pa.array(values, kind, mask=np.asarray(missing))
        for values, kind, missing in (
            (links.track, pa.int32(), links.track < 0),
            (links.person, pa.int32(), links.person < 0),
            (expressiveness, pa.float32(), np.isnan(expressiveness)),
            (tile, pa.int16(), tile < 0),
        )
    ]
    start = 0
    for part in parts(results, run, "faces"):
        rows = slice(start, start + len(part))
        start = rows.stop
        table = pa.Table.from_arrays(part.columns + [column[rows] for column in added], FACES.names)
        yield table if links.live is None else table.filter(pa.array(links.live[rows]))


def _expressiveness(person: np.ndarray, neutral: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """1 - neutral minus its median over the person's usable faces, float32 (m,); NaN on unusable faces."""
    counted = usable & ~np.isnan(neutral) & (person > 0)
    order = np.flatnonzero(counted)[np.lexsort((neutral[counted], person[counted]))]
    last = person.max(initial=0) + 1
    edges = np.searchsorted(person[order], np.arange(last + 1))
    first, end = edges[:-1], edges[1:]
    median = np.full(last, np.nan, np.float32)
    seen, values = end > first, neutral[order]
    median[seen] = (values[(first + end - 1)[seen] // 2] + values[(first + end)[seen] // 2]) / 2
    return np.where(counted, median[person] - neutral, np.nan).astype(np.float32)


def _cut_frames(results: Path, run: str, links: Links) -> pa.Table:
    names = [name for name in PARTS["frames"].names if name not in ("signature", "tiles")]
    rows = pa.concat_tables(parts(results, run, "frames", names))
    if len(rows) != len(links.cut):
        raise ValueError(f"{len(links.cut)} cuts for {len(rows)} frames")
    if links.live is not None:
        rows = _counted_anew(rows, links.live, **read_parts(results, run, "faces", ["frame", "usable"]))
    return rows.append_column("cut", pa.array(links.cut, pa.bool_()))


def _counted_anew(frames: pa.Table, live: np.ndarray, frame: np.ndarray, usable: np.ndarray) -> pa.Table:
    """The rows of frames with only those of their faces counted that are live. frame, usable: of all faces (m,)."""
    at = np.searchsorted(frames["frame"].to_numpy(), frame)
    for name, counted in (("faces", live), ("usable_faces", live & usable)):
        count = np.bincount(at[counted], minlength=len(frames)).astype(np.int16)
        frames = frames.set_column(frames.column_names.index(name), frames.schema.field(name), pa.array(count))
    return frames


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_fixed_size_binary(column.type):
        width = column.type.byte_width
        return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(-1, width)
    return column.to_numpy()


def is_whole(path: Path) -> bool:
    """Whether a Parquet file is there and reaches to its last byte, where its index is."""
    try:
        pq.read_metadata(path)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise ResultsError(f"{path} cannot be read: permission denied") from error
    except (pa.ArrowException, OSError, ValueError):
        return False
    return True


@contextmanager
def writing(results: Path) -> Iterator[None]:
    """Turn what the operating system refuses (no space, no permission) into a ResultsError."""
    try:
        yield
    except (OSError, duckdb.IOException, duckdb.TransactionException) as error:
        raise ResultsError(f"results folder {results} cannot be written: {why(error)}") from error
