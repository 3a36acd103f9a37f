"""SQL over a results folder: views of its tables, for our own queries and for any DuckDB client.

A view shows each run's rows once: from its finished file where there is one, else from its parts.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory, gettempdir

import duckdb
import pyarrow as pa

from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.schemas import PARTS, TABLES
from crowdmood.tables import table_path, write_table

CATALOG = "crowdmood.duckdb"
# Views of this release can be read by every DuckDB since 1.0.
STORAGE_VERSION = "v1.0.0"
LOOKS = 5  # how often a query is tried when files vanish under it
ONLY_READS = (
    "only one query that reads is allowed: SELECT (also WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, PIVOT); "
    "nothing can be written, loaded or set"
)
SQL_TYPES = {
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.string(): "VARCHAR",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}


def ask(
    results: Path, query: str, run: str | None = None, values: dict | None = None
) -> pa.RecordBatchReader:
    """Answer a query over the views faces, frames, persons, timeline and runs; `run`: over that run alone.

    values: what $name stands for in the query; bound, not pasted. The query can neither write nor read
    anything outside the results folder. The answer is made while it is read. Raises ResultsError, in one
    sentence, when the query is wrong or does anything but read.
    """
    for _ in range(LOOKS):
        try:
            database = connect(results, run, comments="duckdb_columns" in query)
            answer = pa.RecordBatchReader.from_stream(_only_reading(database, query, values))
            return pa.RecordBatchReader.from_batches(answer.schema, _batches(answer, database))
        except duckdb.IOException as error:  # parts were removed after we looked: a run was just finished
            failure = error
        except (duckdb.Error, pa.ArrowException) as error:
            failure = error
            break
    raise ResultsError(_sentence(failure)) from failure


def fetch(results: Path, query: str, run: str | None = None, values: dict | None = None) -> pa.Table:
    """The whole answer of `ask` as a table."""
    return ask(results, query, run, values).read_all()


def connect(
    results: Path, run: str | None = None, comments: bool = False, **settings: str
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in memory with the views, locked: only files in the results folder can be read.

    comments: with what columns mean, as the catalog has it; that takes time. settings: DuckDB's, such as
    memory_limit. Raises ResultsError when there is no such folder.
    """
    results = Path(results).absolute()
    if not results.is_dir():
        raise ResultsError(f"there is no results folder {results}; `crowdmood analyze VIDEO` makes one")
    database = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
        | settings
    )
    for table in TABLES:
        sources = map(_listed, _files(results, table, run or "*"))
        database.execute(f"CREATE VIEW {table} AS {_view(table, *sources)}")
    for statement in (one for table in TABLES for one in _comments(table)) if comments else ():
        database.execute(statement)
    database.execute("SET TimeZone = 'UTC'")
    database.execute(f"SET temp_directory = {_quoted(f'{gettempdir()}/crowdmood-{os.getpid()}')}")
    database.execute(f"SET allowed_directories = [{_quoted(f'{results}/')}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database


def refresh(results: Path) -> Path:
    """Make sure that crowdmood.duckdb is there and fits this folder and version; returns its path.

    It holds views only, and sees new runs and parts by itself; it is made anew when the folder has moved.
    Readers that have it open keep what they have. Raises ResultsError when the folder cannot be written.
    """
    path = Path(results).absolute() / CATALOG
    statements = _statements(path.parent)
    stamp = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    if _stamp(path) in (stamp, "in use"):
        return path
    try:
        for table, schema in TABLES.items():
            for empty in _empties(path.parent, table):
                with write_aside(empty) as aside:
                    write_table(aside, schema, [])
        with write_aside(path) as aside:
            _build(aside, [*statements, f"CREATE MACRO crowdmood_stamp() AS {_quoted(stamp)}"])
    except OSError as error:
        raise ResultsError(
            f"results folder {results} cannot be written: {error.strerror or error}"
        ) from error
    return path


def _batches(answer: pa.RecordBatchReader, database: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
    try:
        with database:  # the answer is made as long as the database is open
            yield from answer
    except (
        duckdb.Error,
        pa.ArrowException,
        OSError,
    ) as error:  # Arrow passes on what DuckDB says in its own errors
        raise ResultsError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """DuckDB's message and hints as one line, without the part that points into the query."""
    text = str(error).split("\n\nLINE ")[0].split("\nLINE ")[0]
    if "must be at the top level" in text:  # a WITH that writes; the message is about how we looked at it
        return ONLY_READS
    if "disabled by configuration" in text or "disabled through configuration" in text:
        text += "; only files in the results folder can be read"
    if "IO Error" in text and ".parquet" in text:
        text += "; if a run was just being finished, ask again"
    return re.sub(r"\s*\n\s*", " ", text.strip())


def _only_reading(
    database: duckdb.DuckDBPyConnection, query: str, values: dict | None = None
) -> duckdb.DuckDBPyRelation:
    kinds = [statement.type for statement in database.extract_statements(query)]
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


def _files(results: Path, table: str, run: str) -> tuple[list[str], list[str]]:
    """The finished files of a table, and the parts of runs that have none. run: an id, or '*'."""
    pattern = table_path(Path(), table, run).relative_to(table)
    folder = results / table
    # Parts first: a run that is finished between the two looks then has its file in the second.
    parts = sorted(folder.glob(f"run={run}/part-*.parquet")) if table in PARTS else []
    whole = sorted(folder.glob(str(pattern)))
    finished = set(whole)
    open_parts = [part for part in parts if _finished_path(table, part) not in finished]
    return [str(path) for path in whole], [str(path) for path in open_parts]


def _finished_path(table: str, part: Path) -> Path:
    return (
        part.with_name("faces.parquet")
        if table == "faces"
        else part.parent.with_name(part.parent.name + ".parquet")
    )


def _view(table: str, whole: str | None, parts: str | None) -> str:
    """A SELECT over finished files and parts (SQL after FROM, None: no files) with the table's columns.

    Parts come first: DuckDB looks for files from left to right, and a run that is just finished moves that
    way.
    """
    selects = []
    if parts:
        selects.append(f"SELECT {_columns(table, PARTS[table].names)} FROM {parts}")
    if whole:
        selects.append(f"SELECT {_columns(table, TABLES[table].names)} FROM {whole}")
    return " UNION ALL ".join(selects) or f"SELECT {_columns(table, ())} WHERE false"


def _columns(table: str, present: Sequence[str]) -> str:
    """The table's columns, each with its type; NULL where the files do not have it yet."""
    return ", ".join(
        f"CAST({field.name if field.name in present else 'NULL'} AS {sql_type(field)}) AS {field.name}"
        for field in TABLES[table]
    )


def sql_type(field: pa.Field) -> str:
    """The DuckDB type of a column."""
    return SQL_TYPES[pa.string() if pa.types.is_dictionary(field.type) else field.type]


def _listed(paths: Sequence[str]) -> str | None:
    return f"read_parquet([{', '.join(map(_quoted, paths))}], union_by_name = true)" if paths else None


def _statements(results: Path) -> list[str]:
    """What makes the catalog: views that look for files when they are asked, and comments on columns."""
    statements = []
    for table in TABLES:
        statements.append(f"CREATE VIEW {table} AS {_view(table, *_globbed(results, table))}")
        statements += _comments(table)
    return statements


def _comments(table: str) -> list[str]:
    """Statements that write beside a view and its columns what they mean."""
    schema = TABLES[table]
    words = _quoted(schema.metadata[b"description"].decode())
    columns = [f"COMMENT ON COLUMN {table}.{field.name} IS {_quoted(_comment(field))}" for field in schema]
    return [f"COMMENT ON VIEW {table} IS {words}", *columns]


def _globbed(results: Path, table: str) -> tuple[str, str | None]:
    """The FROM clauses of the catalog's view: finished files, and parts of runs that have none."""
    folder = _literal(f"{results}/{table}")
    whole = _quoted(f"{folder}/*/faces.parquet" if table == "faces" else f"{folder}/*.parquet")
    source = f"read_parquet({whole}, union_by_name = true)"
    if table not in PARTS:
        return source, None
    ending, finished = ("part-[^/]*$", "faces.parquet") if table == "faces" else ("/part-[^/]*$", ".parquet")
    parts = f"read_parquet({_quoted(f'{folder}/*/part-*.parquet')}, union_by_name = true, filename = true)"
    return source, (
        f"{parts} WHERE regexp_replace(filename, '{ending}', '{finished}') "
        f"NOT IN (SELECT file FROM glob({whole}))"
    )


def _empties(results: Path, table: str) -> list[Path]:
    """Files without rows for the catalog's patterns: DuckDB refuses a pattern that matches nothing."""
    folder = results / table
    if table == "faces":
        return [folder / "empty" / "faces.parquet", folder / "empty" / "part-000000.parquet"]
    parts = [folder / "empty" / "part-000000.parquet"] if table in PARTS else []
    return [folder / "empty.parquet", *parts]


def _build(path: Path, statements: Sequence[str]) -> None:
    # Made elsewhere and copied: DuckDB cannot create a database whose path has a question mark.
    with TemporaryDirectory() as folder:
        with duckdb.connect() as database:
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


def _comment(field: pa.Field) -> str:
    unit, description = field.metadata[b"unit"].decode(), field.metadata[b"description"].decode()
    return f"{description} [{unit}]" if unit else description


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(path: str) -> str:
    """The path as a pattern that matches only itself."""
    return re.sub(r"([*?\[])", r"[\1]", path)
