"""Labelled faces as people have them: a FER2013 CSV, FERPlus votes beside it, a folder per class, a Parquet table.

    FER2013 CSV     emotion (0..6 or a name), pixels, Usage; the FERPlus file fer2013new.csv beside it brings votes
    folder          happy/1.jpg ..., or train/happy/1.jpg with val/ and test/; pictures of any size
    Parquet         image (encoded), label; as it is there: split, label_exact, subject, and the votes of people
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from crowdmood.errors import CrowdmoodError
from crowdmood.expression_net import SIDE
from crowdmood.labels import EXPRESSIONS

# FERPlus' names of the seven, in the order of EXPRESSIONS, and what else people could say.
VOTES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
OTHER_VOTES = ("contempt", "unknown", "NF")
PLUS = "fer2013new.csv"
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".jp2")
SPLITS = {
    "train": ("train", "training"),
    "public_test": ("public_test", "publictest", "val", "valid", "validation", "dev"),
    "private_test": ("private_test", "privatetest", "test", "testing"),
}
SPLIT_OF = {word: name for name, words in SPLITS.items() for word in words}


@dataclass(frozen=True)
class Pictures:
    """n labelled pictures.

    images: uint8 (n, 48, 48); label: str (n,), of EXPRESSIONS; split: str (n,), of SPLITS, '' where nothing says;
    votes: int64 (n, 10), counts in the order of VOTES and OTHER_VOTES, None where nobody voted;
    sure: bool (n,), False: identical pictures carry other labels; subject: object (n,), who is on them, None: unknown.
    """

    images: np.ndarray
    label: np.ndarray
    split: np.ndarray
    votes: np.ndarray | None
    sure: np.ndarray
    subject: np.ndarray | None


def read_pictures(path: Path) -> Pictures:
    """Read what is at a path. Raises CrowdmoodError where it cannot be read, or has labels beyond the seven."""
    if path.is_dir():
        return _folder(path)
    return _csv(path) if path.suffix.lower() == ".csv" else _parquet(path)


def known_labels(names: Sequence[str], path: Path | str) -> np.ndarray:
    """Labels in lower case, str (n,). Raises one CrowdmoodError that names all that are not of the seven."""
    lower = [str(name).strip().lower() for name in names]
    unknown = sorted({str(name) for name, low in zip(names, lower, strict=True) if low not in EXPRESSIONS})
    if unknown:
        told = f"label{'s' if len(unknown) > 1 else ''} {', '.join(map(repr, unknown[:10]))}"
        raise CrowdmoodError(f"{path}: unknown {told}; known: {', '.join(EXPRESSIONS)}; rename or remove the others")
    return np.array(lower, dtype=str)


def _splits(names: Sequence[object], path: Path) -> np.ndarray:
    unknown = {str(name) for name in names if name is not None and str(name).strip().lower() not in SPLIT_OF}
    if unknown:
        raise CrowdmoodError(f"{path}: unknown split {min(unknown)!r}; known: {', '.join(SPLIT_OF)}")
    return np.array(["" if name is None else SPLIT_OF[str(name).strip().lower()] for name in names], dtype=str)


def fit(image: np.ndarray) -> np.ndarray:
    """The middle square of a grey picture at the size that the net takes, uint8 (48, 48)."""
    height, width = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return cv2.resize(image[top : top + side, left : left + side], (SIDE, SIDE), interpolation=how)


def _decode(data: bytes | None) -> np.ndarray | None:
    """A picture from its file's content, turned as its EXIF data say; None where it is none."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    return None if image is None else fit(image)


def _parquet(path: Path) -> Pictures:
    votes, plain = (*VOTES, *OTHER_VOTES), ("image", "label")
    try:
        there = pq.read_schema(path).names
        asked = [name for name in (*plain, "split", "label_exact", "subject", *votes) if name in there]
        table = pq.read_table(path, columns=asked)
    except (OSError, pa.ArrowInvalid) as error:
        raise CrowdmoodError(f"{path}: cannot be read as a table of faces ({error})") from error
    voted = any(name in there for name in votes)
    missing = [name for name in (*plain, *(votes if voted else ())) if name not in there]
    if missing:
        raise CrowdmoodError(f"{path}: lacks the columns {', '.join(missing)}")
    images = [_decode(data) for data in table["image"].to_pylist()]
    _all_decoded(images, [f"row {row}" for row in range(len(images))], path)
    return Pictures(
        np.stack(images) if images else np.zeros((0, SIDE, SIDE), np.uint8),
        known_labels(table["label"].to_pylist(), path),
        _splits(table["split"].to_pylist() if "split" in asked else [None] * len(images), path),
        _counts(table) if voted else None,
        np.array(table["label_exact"].to_pylist() if "label_exact" in asked else [True] * len(images), dtype=bool),
        np.array(table["subject"].to_pylist(), dtype=object) if "subject" in asked else None,
    )


def _counts(table: pa.Table) -> np.ndarray:
    columns = [table[name].fill_null(0).to_numpy() for name in (*VOTES, *OTHER_VOTES)]
    return np.stack(columns, axis=1).astype(np.int64)


def _all_decoded(images: list, names: list[str], path: Path) -> None:
    broken = [name for image, name in zip(images, names, strict=True) if image is None]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise CrowdmoodError(f"{path}: {broken[0]}{more} cannot be read as a picture; remove or replace what is broken")


def _csv(path: Path) -> Pictures:
    table = _read_csv(path, ("emotion", "pixels"))
    names = [EXPRESSIONS[int(name)] if name.isdecimal() and int(name) < 7 else name for name in table["emotion"].to_pylist()]
    label = known_labels(names, path)
    rows = len(label)
    there = table.column_names
    beside = path.with_name(PLUS)
    votes = _plus(beside, table["Usage"].to_pylist() if "Usage" in there else None, rows) if beside.is_file() else None
    return Pictures(
        np.stack([_pixels(text, row, path) for row, text in enumerate(table["pixels"].to_pylist(), 1)]),
        label,
        _splits(table["Usage"].to_pylist() if "Usage" in there else [None] * rows, path),
        votes,
        np.ones(rows, bool),
        np.array(table["subject"].to_pylist(), dtype=object) if "subject" in there else None,
    )


def _read_csv(path: Path, needed: tuple[str, ...]) -> pa.Table:
    """A CSV file as text columns, their names stripped. Raises CrowdmoodError where one that is needed is missing."""
    try:
        with pc.open_csv(path) as file:
            names = file.schema.names
        table = pc.read_csv(path, convert_options=pc.ConvertOptions(column_types=dict.fromkeys(names, pa.string())))
    except (OSError, pa.ArrowInvalid) as error:
        raise CrowdmoodError(f"{path}: cannot be read as CSV ({error})") from error
    table = table.rename_columns([name.strip() for name in names])
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        said = f"; give fer2013.csv, {PLUS} is read beside it" if path.name == PLUS else ""
        raise CrowdmoodError(f"{path}: lacks the columns {', '.join(missing)}{said}")
    if not table.num_rows:
        raise CrowdmoodError(f"{path}: has no rows")
    return table


def _pixels(text: str, row: int, path: Path) -> np.ndarray:
    try:
        values = np.array(text.split(), np.int64)
    except ValueError:
        values = np.zeros(0, np.int64)
    side = isqrt(len(values))
    if not side or side * side != len(values) or values.min() < 0 or values.max() > 255:
        raise CrowdmoodError(f"{path}: the pixels of row {row} are no square picture of grey values 0 to 255")
    return fit(values.astype(np.uint8).reshape(side, side))


def _plus(path: Path, usage: list | None, rows: int) -> np.ndarray:
    """The votes of FERPlus, int64 (n, 10). Raises CrowdmoodError where its rows are not those of the CSV beside it."""
    table = _read_csv(path, (*VOTES, *OTHER_VOTES))
    if table.num_rows != rows or (usage and "Usage" in table.column_names and table["Usage"].to_pylist() != usage):
        raise CrowdmoodError(f"{path}: its rows are not those of the file beside it; move it away to train without votes")
    try:
        return np.stack([table[name].to_numpy(zero_copy_only=False).astype(np.int64) for name in (*VOTES, *OTHER_VOTES)], axis=1)
    except (TypeError, ValueError) as error:
        raise CrowdmoodError(f"{path}: a count of votes is no whole number ({error})") from error


def _folder(path: Path) -> Pictures:
    below = _folders(path)
    split = [one for one in below if one.name.lower() in SPLIT_OF]
    if split and len(split) < len(below):
        other = next(one for one in below if one not in split)
        raise CrowdmoodError(f"{path}: has folders of splits ({split[0].name}) and others ({other.name}) side by side; sort them")
    classes = [(kind, SPLIT_OF[one.name.lower()]) for one in split for kind in _folders(one)] or [(kind, "") for kind in below]
    found = [(file, kind.name, name) for kind, name in classes
             for file in sorted(kind.rglob("*")) if file.suffix.lower() in ENDINGS]  # fmt: skip
    if classes:
        known_labels([kind.name for kind, _ in classes], path)
    if not found:
        raise CrowdmoodError(f"{path}: no pictures; needed: a folder for each of {', '.join(EXPRESSIONS)} with {', '.join(ENDINGS)}")
    images = [_decode(file.read_bytes()) for file, _, _ in found]
    _all_decoded(images, [str(file.relative_to(path)) for file, _, _ in found], path)
    return Pictures(
        np.stack(images),
        known_labels([kind for _, kind, _ in found], path),
        np.array([name for _, _, name in found], dtype=str),
        None,
        np.ones(len(found), bool),
        None,
    )


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith((".", "__")))
