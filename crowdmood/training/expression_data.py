"""Face crops with people's votes and labels, as the expression net learns them and is measured on them.

The file is a Parquet table with the columns `image` (encoded 48 x 48 grey picture), `split` (train,
public_test, private_test), `label`, `label_exact` and the vote counts `neutral happiness surprise sadness
anger disgust fear contempt unknown NF` (NULL: no votes).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import blake2b
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crowdmood.errors import CrowdmoodError
from crowdmood.expression_net import SIDE
from crowdmood.labels import EXPRESSIONS

VOTES = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
)  # in the order of EXPRESSIONS
OTHER_VOTES = ("contempt", "unknown", "NF")
COLUMNS = ("image", "split", "label", "label_exact", *VOTES, *OTHER_VOTES)


@dataclass(frozen=True)
class LabelledFaces:
    """n faces, one row each."""

    images: np.ndarray  # uint8 (n, 48, 48)
    split: np.ndarray  # str (n,)
    label: np.ndarray  # int64 (n,), index into EXPRESSIONS
    label_sure: np.ndarray  # bool (n,), False: identical images carry other labels
    votes: np.ndarray  # float32 (n, 7), sums to 1, or to 0 where nobody voted for one of the seven
    vote_share: np.ndarray  # float32 (n,), share of all votes that fell on the seven
    majority: np.ndarray  # int64 (n,), -1: no votes, a tie, or a majority outside the seven
    clear: np.ndarray  # bool (n,), more than half of all votes agree with the majority
    no_face: np.ndarray  # bool (n,), most votes said: not a face
    digest: np.ndarray  # bytes (n,), of the picture's pixels

    def __len__(self) -> int:
        return len(self.images)

    def where(self, rows: np.ndarray) -> LabelledFaces:
        """The rows chosen by a boolean or index array."""
        return LabelledFaces(*(getattr(self, field.name)[rows] for field in fields(self)))


def read_faces(path: Path | str) -> LabelledFaces:
    """Reads the whole table. Raises CrowdmoodError where it is missing, is not Parquet, or lacks a column."""
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
    except (OSError, pa.ArrowInvalid) as error:
        raise CrowdmoodError(f"{path}: cannot be read as a table of faces ({error})") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise CrowdmoodError(f"{path}: lacks the columns {', '.join(missing)}")
    images = np.stack([_decode(data, path) for data in table["image"].to_pylist()])
    label = np.array([_label(name, path) for name in table["label"].to_pylist()])
    return LabelledFaces(
        images=images,
        split=np.array(table["split"].to_pylist()),
        label=label,
        label_sure=np.array(table["label_exact"].to_pylist(), dtype=bool),
        digest=np.array(
            [blake2b(image.tobytes(), digest_size=16).digest() for image in images], dtype=object
        ),
        **_read_votes(table),
    )


def _decode(data: bytes, path: Path | str) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None or image.shape != (SIDE, SIDE):
        raise CrowdmoodError(f"{path}: holds a picture that is not {SIDE} x {SIDE}")
    return image


def _label(name: str, path: Path | str) -> int:
    if name not in EXPRESSIONS:
        raise CrowdmoodError(f"{path}: unknown label '{name}'; known: {', '.join(EXPRESSIONS)}")
    return EXPRESSIONS.index(name)


def _read_votes(table: pa.Table) -> dict[str, np.ndarray]:
    count = np.stack([table[name].fill_null(0).to_numpy() for name in (*VOTES, *OTHER_VOTES)], axis=1).astype(
        np.int64
    )
    seven, total = count[:, : len(VOTES)], count.sum(axis=1)
    best = seven.max(axis=1)
    unique = (seven == best[:, None]).sum(axis=1) == 1
    wins = unique & (best > 0) & (best >= count.max(axis=1))
    return {
        "votes": (seven / np.maximum(seven.sum(axis=1, keepdims=True), 1)).astype(np.float32),
        "vote_share": (seven.sum(axis=1) / np.maximum(total, 1)).astype(np.float32),
        "majority": np.where(wins, seven.argmax(axis=1), -1),
        "clear": wins & (2 * best > total),
        "no_face": (count[:, -1] > 0) & (count[:, -1] >= count.max(axis=1)),
    }


def training_rows(faces: LabelledFaces) -> np.ndarray:
    """bool (n,): rows of `train` to learn from: no pictures that the test splits hold too, none that are
    not a face.
    """
    held_out = set(faces.digest[faces.split != "train"])
    leaks = np.array([digest in held_out for digest in faces.digest], dtype=bool)
    return (faces.split == "train") & ~leaks & ~faces.no_face


def also_in_train(faces: LabelledFaces) -> np.ndarray:
    """bool (n,): test rows whose very picture `train` holds too (in the file, whether or not it was
    learned from).
    """
    train = set(faces.digest[faces.split == "train"])
    return (faces.split != "train") & np.array([digest in train for digest in faces.digest], dtype=bool)
