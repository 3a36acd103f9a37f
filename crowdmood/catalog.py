"""SQL over a results folder: views of its tables, for our own queries and for any DuckDB client.

A view shows each run's rows once: from its finished file where there is one, else from its parts.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from threading import Timer
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from crowdmood import staging
from crowdmood.errors import ResultsError
from crowdmood.files import passing_folder, why, write_aside
from crowdmood.query_limits import database_limits, too_long
from crowdmood.row_groups import write_table
from crowdmood.s3 import S3Folder
from crowdmood.schemas import PARTS, TABLES
from crowdmood.tables import table_path
from crowdmood.views import catalog_statements, comments, listed, quoted, sql_type, unread, view

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["ask", "connect", "fetch", "refresh", "sql_type"]

CATALOG = "crowdmood.duckdb"
# Views of this release can be read by every DuckDB since 1.0.
STORAGE_VERSION = "v1.0.0"
LOOKS = 5  # how often a query is tried when files vanish under it
ONLY_READS = (
    "only one query that reads is allowed: SELECT (also WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, PIVOT); "
    "nothing can be written, loaded or set"
)


def ask(
    results: Path | S3Folder, query: str, run: str | None = None, values: dict | None = None, limit_s: float | None = None
) -> pa.RecordBatchReader:
    """Answer a query over the views faces, frames, persons, timeline and runs; `run`: over that run alone.

    values: what $name stands for in the query; bound, not pasted. limit_s: seconds it may take. The query can neither write nor read
    anything outside the results folder. The answer is made while it is read. Raises ResultsError, in one
    sentence, when the query is wrong or does anything but read.
    """
    for _ in range(LOOKS):
        try:
            database = connect(results, run, query)
            with _interrupted(database, limit_s):
                answer = pa.RecordBatchReader.from_stream(_only_reading(database, query, values))
            return pa.RecordBatchReader.from_batches(answer.schema, _batches(answer, database, limit_s))
        except (duckdb.Error, pa.ArrowException, FileNotFoundError) as error:
            failure = error
            if not _vanished(error):
                break
    raise ResultsError(_sentence(failure)) from failure


def fetch(results: Path | S3Folder, query: str, run: str | None = None, values: dict | None = None) -> pa.Table:
    """The whole answer of `ask` as a table."""
    return ask(results, query, run, values).read_all()


def connect(
    results: Path | S3Folder, run: str | None = None, query: str | None = None, **settings: str
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in memory with the views, locked: only files in the results folder can be read.

    query: what will be asked, None: anything. Files of tables that it does not name are not opened, and columns
    have comments, as in the catalog, only if it looks at duckdb_columns: both take time. settings: DuckDB's, such
    as memory_limit. Raises ResultsError when there is no such folder.
    """
    results = results if isinstance(results, S3Folder) else Path(results).absolute()
    if not results.is_dir():
        raise ResultsError(f"there is no results folder {results}; `crowdmood analyze VIDEO` makes one")
    database = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
        | database_limits()
        | settings
    )
    named = [table for table in TABLES if query is None or table in query.lower()]
    matching = _matching(results, database, named, run)
    for table in TABLES:
        select = view(table, *map(listed, _files(matching, table, run or "*"))) if table in named else unread(table)
        database.execute(f"CREATE VIEW {table} AS {select}")
    for statement in (one for table in TABLES for one in comments(table)) if "duckdb_columns" in (query or "") else ():
        database.execute(statement)
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET enable_progress_bar = false")  # it would come between the rows on stdout, after two seconds
    database.execute(f"SET allowed_directories = [{quoted(f'{results}/')}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database


def _matching(
    results: Path | S3Folder, database: duckdb.DuckDBPyConnection, tables: Sequence[str], run: str | None
) -> Callable[[str], list[str]]:
    """What finds the files of a pattern in the folder. Those on S3 are listed now, and DuckDB is given them to read."""
    if isinstance(results, Path):
        return lambda pattern: sorted(map(str, results.glob(pattern)))
    from crowdmood.snapshot import Snapshot

    seen = Snapshot(results, results.files(*(f"{table}/run={run or ''}" for table in tables)))
    database.register_filesystem(seen)
    return seen.matching


def refresh(results: Path | S3Folder) -> Path | str:
    """Make sure that crowdmood.duckdb is there and fits this folder and version; returns its path or address.

    It holds views only, and sees new runs and parts by itself; it is made anew when the folder has moved.
    Readers that have it open keep what they have. Raises ResultsError when the folder cannot be written.
    """
    if isinstance(results, S3Folder):
        return _refresh_on_s3(results)
    folder = Path(results).absolute()
    statements, stamp = _stamped(str(folder))
    if _stamp(folder / CATALOG) in (stamp, "in use"):
        return folder / CATALOG
    try:
        for name, table in _empties().items():
            with write_aside(folder / name) as aside:
                write_table(aside, TABLES[table], [])
        with write_aside(folder / CATALOG) as aside:
            _build(aside, statements)
    except (OSError, duckdb.IOException, duckdb.TransactionException) as error:
        raise ResultsError(f"results folder {results} cannot be written: {why(error)}") from error
    except duckdb.Error as error:  # a damaged table, which only the analysis of its recording can make again
        logging.getLogger("crowdmood").warning("%s is not made: %s", CATALOG, _sentence(error))
    return folder / CATALOG


def _refresh_on_s3(results: S3Folder) -> str:
    """The same on S3, where clients need DuckDB's httpfs (or s3fs) to follow the catalog's views."""
    from crowdmood.snapshot import Snapshot

    statements, stamp = _stamped(str(results))
    if (results.metadata(CATALOG) or {}).get("stamp") == stamp:
        return f"{results}/{CATALOG}"
    with TemporaryDirectory() as folder:
        made = {name: Path(folder) / name.replace("/", "-") for name in _empties()}
        for name, table in _empties().items():
            write_table(made[name], TABLES[table], [])
        results.upload(made)
        _build(Path(folder) / CATALOG, statements, Snapshot(results, results.files(*(f"{table}/empty" for table in TABLES))))
        results.upload({CATALOG: Path(folder) / CATALOG}, Metadata={"stamp": stamp})
    return f"{results}/{CATALOG}"


@contextmanager
def _interrupted(database: duckdb.DuckDBPyConnection, limit_s: float | None) -> Iterator[None]:
    """Ends what the database does in the block when it takes too long. Raises ResultsError."""
    if limit_s is None:
        yield
        return
    late, timer = [], Timer(limit_s, lambda: (late.append(True), database.interrupt()))
    timer.daemon = True
    timer.start()
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError):
        if late:
            raise too_long(limit_s) from None
        raise
    finally:
        timer.cancel()
        timer.join()  # it holds the database


def _batches(answer: pa.RecordBatchReader, database: duckdb.DuckDBPyConnection, limit_s: float | None
             ) -> Iterator[pa.RecordBatch]:
    try:
        with database, _interrupted(database, limit_s):  # the answer is made as long as the database is open
            yield from answer
    except (
        duckdb.Error,
        pa.ArrowException,
        OSError,
    ) as error:  # Arrow passes on what DuckDB says in its own errors
        raise ResultsError(_sentence(error)) from error


def _vanished(error: Exception) -> bool:
    """Whether files that were there when we looked may have been removed: a run was just finished."""
    return isinstance(error, (duckdb.IOException, FileNotFoundError)) or "\nFileNotFoundError: " in str(error)


def _sentence(error: Exception) -> str:
    """DuckDB's message and hints as one line, without the part that points into the query."""
    text = str(error).split("\n\nLINE ")[0].split("\nLINE ")[0]
    if "Traceback (most" in text:  # of our file system for S3, with the error in its last line
        text = text.strip().rpartition("\n")[2].partition(": ")[2]
    text = text.split("\nPossible solutions")[0]  # settings, which are locked
    if "must be at the top level" in text:  # a WITH that writes; the message is about how we looked at it
        return ONLY_READS
    if "disabled by configuration" in text or "disabled through configuration" in text:
        text += "; only files in the results folder can be read"
    if _vanished(error) and ".parquet" in text:
        text += "; if a run was just being finished, ask again"
    return re.sub(r"\s*\n\s*", " ", text.strip())


def _only_reading(
    database: duckdb.DuckDBPyConnection, query: str, values: dict | None = None
) -> duckdb.DuckDBPyRelation:
    try:
        kinds = [statement.type for statement in database.extract_statements(query)]
    except ValueError:  # a kind that DuckDB's Python does not know, such as UPDATE EXTENSIONS
        raise ResultsError(ONLY_READS) from None
    if not kinds:
        raise ResultsError("the query is empty")
    if kinds not in ([duckdb.StatementType.SELECT], [duckdb.StatementType.MULTI]):  # MULTI: a PIVOT
        raise ResultsError(ONLY_READS)
    # WITH may hold an INSERT or a COPY, but not inside another query. Binding it there runs nothing.
    text = query.encode()  # tokens are counted in bytes
    end = next((start for start, _ in duckdb.tokenize(query) if text[start : start + 1] == b";"), None)
    one = text[:end].decode()
    inside = f"SELECT * FROM (\n{one}\n)"
    if not values:
        database.sql(inside)
        return database.sql(one)
    # With values DuckDB answers at once instead of when it is read, so the look must not run the query.
    database.execute(f"EXPLAIN {inside}", values)
    return database.sql(one, params=values)


def _files(matching: Callable[[str], list[str]], table: str, run: str) -> tuple[list[str], list[str]]:
    """The finished files of a table, and the parts of runs that have none. run: an id, or '*'."""
    # Parts first: a run that is finished between the two looks then has its file in the second.
    parts = matching(f"{table}/run={run}/part-*.parquet") if table in PARTS else []
    whole = matching(table_path(Path(), table, run).as_posix())
    newer = {staging.place(path): path for path in matching(table_path(staging.committed(Path(), run), table, run).as_posix())}
    finished = set(whole)
    return [newer.get(path, path) for path in whole], [part for part in parts if _finished_path(table, part) not in finished]


def _finished_path(table: str, part: str) -> str:
    folder = part.rpartition("/")[0]
    return f"{folder}/faces.parquet" if table == "faces" else f"{folder}.parquet"


def _empties() -> dict[str, str]:
    """Files without rows for the catalog's patterns, and their tables: DuckDB refuses a pattern that matches nothing."""
    whole = {"faces/empty/faces.parquet" if table == "faces" else f"{table}/empty.parquet": table for table in TABLES}
    return whole | {f"{table}/empty/part-000000.parquet": table for table in PARTS}


def _stamped(results: str) -> tuple[list[str], str]:
    """The statements that make a folder's catalog, and the digest of them that they leave in it."""
    statements = catalog_statements(results)
    stamp = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    return [*statements, f"CREATE MACRO crowdmood_stamp() AS {quoted(stamp)}"], stamp


def _build(path: Path, statements: Sequence[str], files: AbstractFileSystem | None = None) -> None:
    # Made elsewhere and copied: DuckDB cannot create a database whose path has a question mark.
    with passing_folder() as folder:
        with duckdb.connect() as database:
            if files is not None:
                database.register_filesystem(files)
            database.execute(f"ATTACH '{folder}/built' AS built (STORAGE_VERSION '{STORAGE_VERSION}')")
            database.execute("USE built")
            for statement in statements:
                database.execute(statement)
            database.execute("USE memory")
            database.execute("DETACH built")
        copyfile(f"{folder}/built", path)


def _stamp(path: Path) -> str | None:
    """What a catalog was made from; None when none can be read, 'in use' when a client writes to it."""
    try:
        with duckdb.connect(str(path), read_only=True) as database:
            return database.execute("SELECT crowdmood_stamp()").fetchone()[0]
    except duckdb.IOException as error:
        return "in use" if "Could not set lock" in str(error) else None
    except duckdb.Error:
        return None
