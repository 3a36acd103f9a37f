"""Remove runs from a results folder, here or on S3: all that belongs to them, and nothing of others.

    its row becomes runs/.run=<id>.removed  ->  parts, tables, reports, local copies  ->  that file, and the lock

After the first step the run is gone for whoever lists runs. Killed after it, the same command finds that file and goes on.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from glob import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from crowdmood import catalog
from crowdmood.errors import ResultsError
from crowdmood.files import flush
from crowdmood.locks import lock, lock_path
from crowdmood.results import find_run, is_called, local_folder, status_of
from crowdmood.s3 import S3Folder
from crowdmood.schemas import TABLES
from crowdmood.staging import COMMITTED, STAGED, settle
from crowdmood.tables import decode_row, read_run, table_path
from crowdmood.uploads import read_row, uploading

REMOVED = "runs/.run={run}.removed"
OWNER = re.compile(rf"(?:(?:{'|'.join(TABLES)})/\.?run=|reports/[^/]+/"
                   rf"|(?:{re.escape(STAGED)}|{re.escape(COMMITTED)})/run=)([^/.]+)[./]")
COMPARISONS = "reports/comparisons"
KNOWN = "SELECT run, recording, path, digest, status, started, finished FROM runs ORDER BY started, run"


@dataclass(frozen=True)
class Target:
    """A run that may be removed.

    status: complete, unfinished, failed, or 'half removed' when a removal was interrupted. last: when it was worked on last
    (None: unknown). size_bytes: of its files in the results folder.
    """

    run: str
    recording: str
    status: str
    last: datetime | None
    size_bytes: int


def named(results: Path | S3Folder, names: Sequence[str]) -> list[Target]:
    """The runs of these names (as `find_run` takes them), each once, also half removed ones. Raises ResultsError."""
    half = interrupted(results) if results.is_dir() else []
    rows = {row["run"]: row for row in (_find(results, name, half) for name in names)}
    return _targets(results, list(rows.values()))


def outdated(results: Path | S3Folder, age: timedelta | None, statuses: Collection[str] = (), keep: int | None = None
             ) -> list[Target]:
    """The runs that nothing was done to for `age`, of these statuses (none: any), and what earlier removals left.

    keep: the newest complete runs of each recording (its content, not its name) that stay whatever else is said; with nothing
    else said, only complete runs go.
    """
    rows = catalog.fetch(results, KNOWN).to_pylist()
    stay = _newest(rows, keep or 0)
    if keep and not age and not statuses:
        statuses = ["complete"]
    found = [row for row in rows if row["run"] not in stay and _is_older(row, age) and (not statuses or status_of(row) in statuses)]
    return _targets(results, found + interrupted(results))


def interrupted(results: Path | S3Folder) -> list[dict[str, Any]]:
    """The rows of runs whose removal was begun and has not ended."""
    if isinstance(results, S3Folder):
        there = [name for name in results.files("runs/.run=") if name.endswith(".removed")]
        rows = [decode_row(pa.BufferReader(results.read(name))) for name in there]
        rows = [row for row in rows if read_row(results, row["run"]) is None]
    else:
        rows = [decode_row(path) for path in sorted(results.glob(REMOVED.format(run="*")))]
        rows = [row for row in rows if read_run(results, row["run"]) is None]
    return [row | {"status": "half removed"} for row in rows]


def remove(results: Path | S3Folder, run: str) -> None:
    """Remove a run (its id). Raises RunBusy when it is being analyzed, ResultsError when something cannot be removed."""
    local = local_folder(results)
    with lock(local, run), alone(results, run), removing(results):
        if isinstance(results, S3Folder):
            _remove_on_s3(results, run)
        settle(local, run)
        row, mark = table_path(local, "runs", run), local / REMOVED.format(run=run)
        if row.exists():
            os.replace(row, mark)
            flush(mark.parent)
        _remove_here(local, run, keep={mark, lock_path(local, run)})
        for path in (lock_path(local, run), mark):  # the mark last: by it the same command finds what is left
            path.unlink(missing_ok=True)
    if isinstance(results, S3Folder):  # at last: the lease beside it is gone
        results.remove([REMOVED.format(run=run)])


def alone(results: Path | S3Folder, run: str) -> AbstractContextManager:
    """On S3, keep a run to this machine; see `lock` for this machine's processes."""
    return uploading(results, run) if isinstance(results, S3Folder) else nullcontext()


@contextmanager
def removing(results: Path | S3Folder) -> Iterator[None]:
    """Turn what the operating system refuses into a ResultsError."""
    try:
        yield
    except OSError as error:
        raise ResultsError(f"{error.filename or results} cannot be removed or replaced: {error.strerror or error}; once it can be, "
                           "the same command goes on") from error


def listing(results: Path | S3Folder) -> dict[str, int]:
    """All files of a results folder: name in it -> bytes."""
    if isinstance(results, S3Folder):
        return {name: entry["size"] for name, entry in results.files("").items()}
    found = {}
    for folder, _, names in os.walk(results):
        for path in (Path(folder) / name for name in names):
            with suppress(FileNotFoundError):
                found[path.relative_to(results).as_posix()] = path.lstat().st_size
    return found


def owner(name: str) -> str | None:
    """The run that a file of a results folder belongs to, by the file's name; None: no single one."""
    found = OWNER.match(name)
    return found[1] if found else None


def comparisons(names: Collection[str], read: Callable[[str], bytes], run: str) -> list[str]:
    """Those of the files' names that belong to a comparison in which the run is shown."""
    pages = [name for name in names if name.startswith(f"{COMPARISONS}/") and name.endswith("/index.html")]
    folders = {name.rpartition("/")[0] for name in pages if run.encode() in read(name)}
    # The pages last: by them the others are found.
    return sorted((name for name in names if name.rpartition("/")[0] in folders), key=lambda name: name in pages)


def local_comparisons(results: Path, run: str) -> list[Path]:
    """The files of comparisons in a local folder in which the run is shown."""
    names = [path.relative_to(results).as_posix() for path in results.glob(f"{COMPARISONS}/*/*")]
    return [results / name for name in comparisons(names, lambda name: (results / name).read_bytes(), run)]


def remove_files(paths: Collection[Path], root: Path) -> None:
    """Remove files, and the folders under `root` that are empty then."""
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in sorted({above for path in paths for above in path.parents if above.is_relative_to(root)}, reverse=True):
        if folder != root and folder.parent != root:
            with suppress(OSError):  # others' files are in it
                folder.rmdir()


def _remove_here(results: Path, run: str, keep: Collection[Path]) -> None:
    """Remove a run's files in a local folder."""
    for path in results.glob(f"faces/run={escape(run)}/part-*"):  # before faces.parquet: without it they would count again
        path.unlink()
    for table in TABLES:
        _remove_folder(results / table / f"run={run}")
        for path in [results / table / f"run={run}.parquet", *(results / table).glob(f".run={escape(run)}.*")]:
            if path not in keep:
                path.unlink(missing_ok=True)
    for folder in results.glob(f"reports/*/{escape(run)}"):
        _remove_folder(folder)
        with suppress(OSError):  # reports of other runs are in it
            folder.parent.rmdir()
    remove_files(local_comparisons(results, run), results)


def _remove_folder(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


def _remove_on_s3(results: S3Folder, run: str) -> None:
    """The same on S3, where the row's content is written anew under the other name: there is no renaming."""
    row, mark = table_path(Path(), "runs", run).as_posix(), REMOVED.format(run=run)
    with suppress(FileNotFoundError):
        results.write(mark, results.read(row))
        results.remove([row])
    starts = (f"run={run}.", f"run={run}/", f".run={run}.")
    found = results.files(*(f"{table}/{start}" for table in TABLES for start in starts), "reports/")
    mine = [name for name in found if owner(name) == run and not name.endswith((".lease", ".removed"))]
    parts = [name for name in mine if "/part-" in name]
    results.remove(parts)
    results.remove([*set(mine).difference(parts), *comparisons(list(found), results.read, run)])


def _find(results: Path | S3Folder, name: str, half: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of a run, also of one that is half removed: `half` are the rows of those."""
    meant = [row for row in half if is_called(row, name)]
    if not meant:
        return find_run(results, name).info
    others = [row for row in catalog.fetch(results, KNOWN).to_pylist() if is_called(row, name)]
    if len(meant) + len(others) > 1:
        texts = [f"{row['run']} ({row['recording']}, {status_of(row)})" for row in (*meant, *others)]
        raise ResultsError(f"{len(texts)} runs match '{name}': {', '.join(texts)}; give an id")
    return meant[0]


def _targets(results: Path | S3Folder, rows: Sequence[dict[str, Any]]) -> list[Target]:
    sizes: dict[str | None, int] = {}
    for name, size in listing(results).items() if rows else ():
        sizes[owner(name)] = sizes.get(owner(name), 0) + size
    return [Target(row["run"], row["recording"], status_of(row), row["finished"] or row["started"], sizes.get(row["run"], 0))
            for row in rows]


def _is_older(row: dict[str, Any], age: timedelta | None) -> bool:
    last = row["finished"] or row["started"]
    return age is None or (last is not None and datetime.now(UTC) - last > age)


def _newest(rows: Sequence[dict[str, Any]], keep: int) -> set[str]:
    """The ids of the newest complete runs of each recording. rows: oldest first."""
    kept: dict[str, list[str]] = {}
    for row in reversed(rows):
        runs = kept.setdefault(row["digest"], [])
        if row["status"] == "complete" and len(runs) < keep:
            runs.append(row["run"])
    return {run for runs in kept.values() for run in runs}
