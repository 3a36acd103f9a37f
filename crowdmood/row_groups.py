"""Parquet files whose bytes depend on their rows alone: text is encoded anew, row groups are cut anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 122_880  # rows; what DuckDB takes at once


def write_table(path: Path, schema: pa.Schema, tables: Iterable[pa.Table], checksums: bool = False) -> int:
    """Write tables one after the other as one Parquet file, in row groups of ROW_GROUP; returns its rows. checksums: of pages."""
    rows = 0
    text = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=text, write_page_checksum=checksums) as writer:
        for group in _regrouped(tables, plain(schema)):
            writer.write_table(group.cast(schema), row_group_size=ROW_GROUP)
            rows += len(group)
    return rows


def _regrouped(tables: Iterable[pa.Table], form: pa.Schema) -> Iterator[pa.Table]:
    held = form.empty_table()
    for table in tables:
        held = pa.concat_tables([held, table.cast(form)])
        while len(held) >= ROW_GROUP:
            yield held[:ROW_GROUP].combine_chunks()
            held = held[ROW_GROUP:]
    if len(held):
        yield held.combine_chunks()


def plain(schema: pa.Schema) -> pa.Schema:
    """The schema with text as it is, not dictionary-encoded: dictionaries differ from part to part."""
    return pa.schema(
        [field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field for field in schema],
        metadata=schema.metadata,
    )
