"""Face crops with people's votes and labels, as the expression net learns them and is measured on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.files import sha256_of
from crowdmood.labels import EXPRESSIONS
from crowdmood.training.expression_sources import (
    OTHER_VOTES,
    VOTES,
    Pictures,
    known_labels,
    read_pictures,
)
from crowdmood.training.expression_splits import fill_splits, groups, places

__all__ = ["OTHER_VOTES", "VOTES", "LabelledFaces", "also_in_train", "data_digest", "of_labels", "read_faces",
           "said_labels", "training_rows"]  # fmt: skip


@dataclass(frozen=True)
class LabelledFaces:
    """n faces, one row each; k labels, the seven or some of them."""

    images: np.ndarray  # uint8 (n, 48, 48)
    split: np.ndarray  # str (n,): train, public_test, private_test
    label: np.ndarray  # int64 (n,), index into labels
    label_sure: np.ndarray  # bool (n,), False: identical images carry other labels
    votes: np.ndarray  # float32 (n, k), sums to 1, or to 0 where nobody voted for one of the labels
    vote_share: np.ndarray  # float32 (n,), share of all votes that fell on the labels
    majority: np.ndarray  # int64 (n,), -1: no votes, a tie, or a majority outside the labels
    clear: np.ndarray  # bool (n,), more than half of all votes agree with the majority
    no_face: np.ndarray  # bool (n,), most votes said: not a face
    digest: np.ndarray  # bytes (n,), of the picture's pixels
    row: np.ndarray | None = None  # int64 (n,), of the file
    group: np.ndarray | None = None  # int64 (n,), identical pictures and those of one person have one number
    labels: tuple[str, ...] = EXPRESSIONS
    voted: bool = True  # False: each label counts as one vote

    def __len__(self) -> int:
        return len(self.images)

    def where(self, rows: np.ndarray) -> LabelledFaces:
        """The rows chosen by a boolean or index array."""
        arrays = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: value[rows] for name, value in arrays.items() if isinstance(value, np.ndarray)})


def read_faces(path: Path | str, labels: Sequence[str] = EXPRESSIONS, split_seed: int = 0) -> LabelledFaces:
    """Read all faces of a Parquet table, a FER2013 CSV or a folder per class (see `expression_sources`).

    labels: the faces of others are left out. A split that is not there is drawn from `train` by the seed.
    Raises CrowdmoodError where the data cannot be read, or there is a label beyond the seven.
    """
    found = read_pictures(Path(path))
    label = np.array([EXPRESSIONS.index(name) for name in found.label], np.int64)
    digest = np.array([blake2b(image.tobytes(), digest_size=16).digest() for image in found.images], dtype=object)
    group = groups(digest, found.subject)
    faces = LabelledFaces(
        images=found.images,
        split=fill_splits(found.split, places(label, group, digest, split_seed)),
        label=label,
        label_sure=found.sure,
        digest=digest,
        row=np.arange(len(label)),
        group=group,
        voted=found.votes is not None,
        **_votes(found, label),
    )
    return faces if tuple(labels) == EXPRESSIONS else of_labels(faces, labels)


def said_labels(text: str) -> tuple[str, ...]:
    """'happy,sad' -> ('happy', 'sad'). Raises CrowdmoodError for fewer than two, twice the same, or unknown ones."""
    names = tuple(str(name) for name in known_labels([word for word in text.split(",") if word.strip()], "--labels"))
    if len(names) < 2 or len(set(names)) < len(names):
        raise CrowdmoodError(f"--labels {text}: give two or more different ones of {', '.join(EXPRESSIONS)}")
    return names


def of_labels(faces: LabelledFaces, labels: Sequence[str]) -> LabelledFaces:
    """The faces that have one of the labels, as somebody sees them who knows no other: votes for others are left out,
    and a face whose majority is another has none.
    """
    chosen = np.array([faces.labels.index(name) for name in labels])
    faces = faces.where(np.isin(faces.label, chosen))
    number = np.full(len(faces.labels) + 1, -1)  # the last: no majority
    number[chosen] = np.arange(len(chosen))
    votes = faces.votes[:, chosen]
    share = votes.sum(axis=1)
    majority = number[faces.majority]
    return replace(
        faces,
        label=number[faces.label],
        votes=votes / np.where(share > 0, share, 1)[:, None],
        vote_share=faces.vote_share * share,
        majority=majority,
        clear=faces.clear & (majority >= 0),
        labels=tuple(labels),
    )


def _votes(found: Pictures, label: np.ndarray) -> dict[str, np.ndarray]:
    count = found.votes
    if count is None:
        count = np.eye(len(VOTES) + len(OTHER_VOTES), dtype=np.int64)[label]
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


def data_digest(path: Path, faces: LabelledFaces) -> str:
    """sha256 of a table of faces; of other data: of its pictures as they are learned, with label, split and votes."""
    if path.suffix == ".parquet":
        return sha256_of(path)
    rows = zip(faces.digest, faces.label, faces.split, faces.votes, strict=True)
    return sha256(b"".join(sorted(data + f"{label}{split}".encode() + votes.tobytes() for data, label, split, votes in rows))).hexdigest()
