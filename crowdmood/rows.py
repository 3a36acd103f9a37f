"""Rows of an answer as CSV, JSON, Parquet or a table for a terminal, written as they come."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.cells import cell_len, set_cell_size

from crowdmood.files import write_aside

WIDEST_CELL = 60
PIECE = 1000  # rows that are written together


def names(schema: pa.Schema) -> list[str]:
    """The columns' names; of equal ones the later get _1, _2 ..."""
    seen: dict[str, int] = {}
    result = []
    for name in schema.names:
        count = seen[name] = seen.get(name, -1) + 1
        result.append(f"{name}_{count}" if count else name)
    return result


def values(answer: pa.RecordBatchReader) -> Iterator[tuple]:
    """Rows of plain Python values. A float32 is as short as it can be: 0.1, not 0.10000000149."""
    for batch in answer:
        yield from zip(*(_short(column).to_pylist() for column in batch.columns), strict=True)


def write_json(answer: pa.RecordBatchReader, out: TextIO) -> None:
    """An array of objects, one a line. NULL, NaN and infinities are null; times are ISO 8601, UTC as Z."""
    out.writelines(json_pieces(answer))


def json_pieces(answer: pa.RecordBatchReader) -> Iterator[str]:
    """What `write_json` writes, piece by piece."""
    columns = names(answer.schema)
    lines = (
        json.dumps(dict(zip(columns, map(jsonable, row), strict=True)), ensure_ascii=False, allow_nan=False)
        for row in values(answer)
    )
    start = "["
    while some := list(islice(lines, PIECE)):
        yield start + ",\n ".join(some)
        start = ",\n "
    yield "[]\n" if start == "[" else "]\n"


def write_csv(answer: pa.RecordBatchReader, out: TextIO) -> None:
    """A header and rows, RFC 4180 with \\n. NULL is empty; NaN is nan; lists and structs are JSON."""
    out.writelines(csv_pieces(answer))


def csv_pieces(answer: pa.RecordBatchReader) -> Iterator[str]:
    """What `write_csv` writes, piece by piece."""
    rest = chain([names(answer.schema)], ([_text(value) for value in row] for row in values(answer)))
    while some := list(islice(rest, PIECE)):
        held = io.StringIO()
        csv.writer(held, lineterminator="\n").writerows(some)
        yield held.getvalue()


def write_parquet(answer: pa.RecordBatchReader, path: Path) -> int:
    """A Parquet file, there in full or not at all; returns the number of rows."""
    schema = pa.schema(
        [field.with_name(name) for field, name in zip(answer.schema, names(answer.schema), strict=True)]
    )
    rows = 0
    with write_aside(path) as aside, pq.ParquetWriter(aside, schema, compression="zstd") as writer:
        for batch in answer:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            rows += len(batch)
    return rows


def write_table(answer: pa.RecordBatchReader, out: TextIO, width: int | None, most: int) -> str | None:
    """Aligned columns. width: columns that do not fit are left out (None: none are); most: rows shown.

    Returns what was left out, in words, or None.
    """
    rows = values(answer)
    shown = [[_cell(value) for value in row] for row in islice(rows, most)]
    left_out = []
    if next(rows, None) is not None:
        left_out.append(f"only the first {most} rows are shown (--rows N for more, --csv for all)")
    header = names(answer.schema)
    count = _fitting([max(map(cell_len, column)) for column in zip(header, *shown, strict=True)], width)
    if count < len(header):
        left_out.append(f"not shown: {', '.join(header[count:])}")
    numbers = {name for name, kind in zip(header, answer.schema.types, strict=True) if _is_number(kind)}
    write_aligned(header[:count], [row[:count] for row in shown], numbers, out)
    return "; ".join(left_out) or None


def write_aligned(
    header: Sequence[str], cells: Sequence[Sequence[str]], right: Collection[str], out: TextIO
) -> None:
    """Columns of text side by side under a header; the columns named in `right` end at the right."""
    widths = [max(map(cell_len, column)) for column in zip(header, *cells, strict=True)]
    for row in chain([header, ["─" * size for size in widths]], cells):
        padded = [
            _padded(text, size, name in right) for text, size, name in zip(row, widths, header, strict=True)
        ]
        out.write("  ".join(padded).rstrip() + "\n")


def cut(text: str, width: int = WIDEST_CELL) -> str:
    """The text on one line of at most `width` cells, with … where something is missing."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _short(column: pa.Array) -> pa.Array:
    if pa.types.is_float32(column.type):
        return pc.cast(pc.cast(column, pa.string()), pa.float64())
    return column


def jsonable(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, dict):
        return {str(name): jsonable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(inner) for inner in value]
    return _scalar(value)


def _scalar(value: Any) -> int | float | str:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.hex() if isinstance(value, bytes) else str(value)


def _text(value: Any) -> str:
    """The value in a CSV field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (float, str)):
        return str(value)
    plain = jsonable(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, (dict, list)) else str(plain)


def _cell(value: Any) -> str:
    """The value in a table's cell: four decimals, no line breaks, not too wide."""
    if value is None:
        return "NULL"
    if isinstance(value, float) and (value == 0 or 1e-4 <= abs(value) < 1e15):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return cut(f"{value:.4g}" if isinstance(value, float) else _text(value))


def _fitting(widths: list[int], width: int | None) -> int:
    """How many columns fit side by side, at least one."""
    used, count = -2, 0
    for size in widths:
        used += size + 2
        if width is not None and used > width and count:
            break
        count += 1
    return count


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _padded(text: str, width: int, right: bool) -> str:
    gap = " " * (width - cell_len(text))
    return gap + text if right else text + gap
