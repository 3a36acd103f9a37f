"""The SQL of the views over a results folder's files, and the words about their columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from crowdmood.schemas import PARTS, TABLES

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


# Columns that came later than the first files of the present schema version.
LATER = {"runs": ("erased", "layout", "context"), "faces": ("tile",)}


def catalog_statements(results: str) -> list[str]:
    """What makes the catalog of a folder (a path or an s3 address): views that look for files when they are asked."""
    statements = []
    for table in TABLES:
        statements.append(f"CREATE VIEW {table} AS {view(table, *_globbed(results, table))}")
        statements += comments(table)
    return statements


def view(table: str, whole: str | None, parts: str | None) -> str:
    """A SELECT over finished files and parts (SQL after FROM, None: no files) with the table's columns.

    Parts come first: DuckDB looks for files from left to right, and a run that is just finished moves that
    way.
    """
    selects = []
    if parts:
        selects.append(f"SELECT {_columns(table, PARTS[table].names)} FROM {parts}")
    if whole:
        selects.append(f"SELECT {_columns(table, TABLES[table].names)} FROM {_filled(table, whole)}")
    return " UNION ALL ".join(selects) or f"SELECT {_columns(table, ())} WHERE false"


def unread(table: str) -> str:
    """A SELECT with the table's columns that fails when it is asked for rows: for a table that a query does not name."""
    return f"SELECT {_columns(table, ())} WHERE error('write the name {table} into the query to read it') IS NULL"


def listed(paths: Sequence[str]) -> str | None:
    """The FROM clause of given files."""
    return f"read_parquet([{', '.join(map(quoted, paths))}], union_by_name = true)" if paths else None


def comments(table: str) -> list[str]:
    """Statements that write beside a view and its columns what they mean."""
    schema = TABLES[table]
    words = quoted(schema.metadata[b"description"].decode())
    columns = [f"COMMENT ON COLUMN {table}.{field.name} IS {quoted(_comment(field))}" for field in schema]
    return [f"COMMENT ON VIEW {table} IS {words}", *columns]


def sql_type(field: pa.Field) -> str:
    """The DuckDB type of a column."""
    return SQL_TYPES[pa.string() if pa.types.is_dictionary(field.type) else field.type]


def quoted(text: str) -> str:
    """The text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _columns(table: str, present: Sequence[str]) -> str:
    """The table's columns, each with its type; NULL where the files do not have it yet."""
    return ", ".join(
        f"CAST({field.name if field.name in present else 'NULL'} AS {sql_type(field)}) AS {field.name}"
        for field in TABLES[table]
    )


def _filled(table: str, source: str) -> str:
    """The source with NULL in columns that its files may lack, also when all of them do."""
    lacking = ", ".join(f"CAST(NULL AS {sql_type(TABLES[table].field(name))}) AS {name}" for name in LATER.get(table, ()))
    return f"(FROM {source} UNION ALL BY NAME SELECT {lacking} WHERE false)" if lacking else source


def _globbed(results: str, table: str) -> tuple[str, str | None]:
    """The FROM clauses of the catalog's view: finished files, and parts of runs that have none."""
    folder = _literal(f"{results}/{table}")
    whole = quoted(f"{folder}/*/faces.parquet" if table == "faces" else f"{folder}/*.parquet")
    source = f"read_parquet({whole}, union_by_name = true)"
    if table not in PARTS:
        return source, None
    ending, finished = ("part-[^/]*$", "faces.parquet") if table == "faces" else ("/part-[^/]*$", ".parquet")
    parts = f"read_parquet({quoted(f'{folder}/*/part-*.parquet')}, union_by_name = true, filename = true)"
    return source, (
        f"{parts} WHERE regexp_replace(filename, '{ending}', '{finished}') "
        f"NOT IN (SELECT file FROM glob({whole}))"
    )


def _comment(field: pa.Field) -> str:
    unit, description = field.metadata[b"unit"].decode(), field.metadata[b"description"].decode()
    return f"{description} [{unit}]" if unit else description


def _literal(path: str) -> str:
    """The path as a pattern that matches only itself."""
    return re.sub(r"([*?\[])", r"[\1]", path)
