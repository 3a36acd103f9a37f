"""What a column of a table is made of: its type, unit and meaning."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 2

INT, LONG, SMALL = pa.int32(), pa.int64(), pa.int16()
FLOAT, DOUBLE, BOOL, STRING = pa.float32(), pa.float64(), pa.bool_(), pa.string()
TEXT = pa.dictionary(pa.int32(), pa.string())
TIMESTAMP = pa.timestamp("us", tz="UTC")


def field(name: str, kind: pa.DataType, unit: str, description: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable, metadata={"unit": unit, "description": description})


def schema(description: str, *fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={"description": description, "schema_version": str(SCHEMA_VERSION)})


RUN = field("run", TEXT, "", "id of the run: a digest of the recording's content, options, models and schema")
PERSON = field("person", INT, "", "the person within this run, from 1 in order of first appearance")
