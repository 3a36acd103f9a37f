"""How good expressions are on whole photographs, which the product's own detector and cropper see first.

The file is a Parquet table with the columns `image` (an encoded photograph of one person) and `label`; people
with several photographs may be told by a column `subject`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import rankdata

from crowdmood.errors import CrowdmoodError
from crowdmood.expressions import classify, crop_faces, judge
from crowdmood.faces import detect
from crowdmood.labels import EXPRESSIONS
from crowdmood.options import Options
from crowdmood.runtimes import choose_device
from crowdmood.scan import Eyes, open_eyes
from crowdmood.training.expression_comparison import read_column
from crowdmood.training.expression_evaluation import share
from crowdmood.training.resampling import by_group


@dataclass(frozen=True)
class Readings:
    """What the product reads in n photographs, from the largest face of each."""

    label: np.ndarray  # int64 (n,), index into EXPRESSIONS
    found: np.ndarray  # bool (n,)
    probability: np.ndarray  # float32 (n, 7), zeros where no face was found
    usable: np.ndarray  # bool (n,)


def read_photos(path: Path, options: Options, threads: int = 1) -> Readings:
    """Look at all photographs of a table with the product's settings. Raises CrowdmoodError, ModelError."""
    try:
        table = pq.read_table(path, columns=["image", "label"])
        pictures, labels = table["image"].to_pylist(), table["label"].to_pylist()
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise CrowdmoodError(f"{path}: cannot be read as a table of photographs ({error})") from error
    unknown = set(labels) - set(EXPRESSIONS)
    if unknown or not labels:
        raise CrowdmoodError(
            f"{path}: unknown label '{next(iter(unknown), '')}'; known: {', '.join(EXPRESSIONS)}"
        )
    eyes = open_eyes(options, choose_device("cpu", threads=threads))
    seen = [_look(data, eyes, path) for data in pictures]
    return Readings(
        label=np.array([EXPRESSIONS.index(label) for label in labels]),
        found=np.array([one is not None for one in seen]),
        probability=np.stack([np.zeros(len(EXPRESSIONS)) if one is None else one[0] for one in seen]),
        usable=np.array([one is not None and one[1] for one in seen], bool),
    )


def _look(data: bytes, eyes: Eyes, path: Path) -> tuple[np.ndarray, bool] | None:
    """Probabilities (7,) of the largest face, and whether it is usable; None: no face was found."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # turned as its EXIF data say
    if picture is None:
        raise CrowdmoodError(f"{path}: holds a picture that cannot be decoded")
    images = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)[None]
    faces = detect(images, eyes.detector, eyes.detect)
    if not len(faces):
        return None
    faces = faces[faces.size.argmax() :][:1]
    crops = crop_faces(images, faces, eyes.crop)
    seen = judge(faces, crops, classify(crops, eyes.classifier, eyes.temperature), eyes.usable)
    return seen.probability[0], bool(seen.usable[0])


def measure_photos(seen: Readings) -> dict:
    """The figures; photographs without a face found count as wrong in `seven` and `among_labels`."""
    known = np.unique(seen.label)
    best = seen.probability.argmax(axis=1)
    chosen = known[seen.probability[:, known].argmax(axis=1)]
    right = {"seven": seen.found & (best == seen.label), "among_labels": seen.found & (chosen == seen.label)}
    confusion = np.zeros((len(EXPRESSIONS),) * 2, int)
    np.add.at(confusion, (seen.label[seen.found], best[seen.found]), 1)
    figures = {
        "labels": [EXPRESSIONS[k] for k in known],
        "photos": len(seen.label),
        "found": int(seen.found.sum()),
        "uncertain": int((seen.found & ~seen.usable).sum()),
        "among_labels": share(right["among_labels"]),
        "seven": share(right["seven"]),
        "accepted": share(right["seven"][seen.usable]),
        "confusion": confusion[known].tolist(),
    }
    return figures | ({"auc": _auc(seen, known)} if len(known) == 2 else {})


def _auc(seen: Readings, known: np.ndarray) -> float:
    """Area under the ROC curve of the second label's share of the probability of both (Mann and Whitney)."""
    pair = seen.probability[seen.found][:, known]
    rank = rankdata(pair[:, 1] / np.maximum(pair.sum(axis=1), 1e-12))
    positive = seen.label[seen.found] == known[1]
    n, m = int(positive.sum()), int((~positive).sum())
    return round(float((rank[positive].sum() - n * (n + 1) / 2) / max(n * m, 1)), 4)


def compare_photo_groups(seen: Readings, path: Path, column: str) -> dict | None:
    """Share of right decisions among the labels present, by the values of a column; resampled by `subject`
    where there is one. None where the table has no such column.
    """
    group, subject = read_column(path, column), read_column(path, "subject")
    if group is None:
        return None
    known = np.unique(seen.label)
    right = seen.found & (known[seen.probability[:, known].argmax(axis=1)] == seen.label)
    return by_group(right, group.astype(str), None if subject is None else subject.astype(str))
