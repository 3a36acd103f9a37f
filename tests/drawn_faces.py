"""Drawn faces, as tables of labelled pictures: tests of training learn them in seconds."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from crowdmood.labels import EXPRESSIONS
from crowdmood.training.expression_data import OTHER_VOTES, VOTES

ALL_VOTES = (*VOTES, *OTHER_VOTES)


def draw(kind: int, rng: np.random.Generator) -> np.ndarray:
    """A picture that only `kind` decides: one bright disc, whose place and size differ between the seven."""
    picture = rng.integers(0, 60, (48, 48)).astype(np.uint8)
    cv2.circle(picture, (24, 8 + 5 * kind), 4 + kind, int(rng.integers(150, 256)), -1)
    return picture


def table_row(picture: np.ndarray, split: str, kind: int, **votes: int | None) -> dict:
    """One row of a table of faces; ten votes for `kind` unless others are given."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    given = votes or {VOTES[kind]: 10}
    missing = None if None in given.values() else 0
    return {
        "image": data.getvalue(), "split": split, "label": EXPRESSIONS[kind], "label_exact": True,
        **{name: given.get(name, missing) for name in ALL_VOTES},
    }  # fmt: skip


def write_table(path: Path, rows: list[dict]) -> Path:
    kinds = pa.schema([(name, pa.int8()) for name in ALL_VOTES])
    plain = [
        ("image", pa.binary()),
        ("split", pa.string()),
        ("label", pa.string()),
        ("label_exact", pa.bool_()),
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema([*plain, *kinds])), path)
    return path


def drawn_table(path: Path, **counts: int) -> Path:
    """A table of drawn faces, so many of each split, every label as often as any other."""
    rng, rows = np.random.default_rng(0), []
    for split, count in counts.items():
        rows += [table_row(draw(at % 7, rng), split, at % 7) for at in range(count)]
    return write_table(path, rows)
