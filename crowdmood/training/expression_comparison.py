"""An expression net against another on the same faces, and on the groups that a table's column makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crowdmood.errors import CrowdmoodError
from crowdmood.labels import EXPRESSIONS
from crowdmood.training.expression_evaluation import (
    Answers,
    calibration_error,
    class_scores,
    confusion_matrix,
    macro_f1,
    probabilities,
)
from crowdmood.training.resampling import by_group, interval, resampled_shares


def read_column(path: Path, name: str) -> np.ndarray | None:
    """One column of a table as text, object (n,), '(none)' where it is empty; None where there is no such
    column, or no table.
    """
    if path.suffix != ".parquet" or name not in pq.read_schema(path).names:
        return None
    values = pq.read_table(path, columns=[name])[name].to_pylist()
    return np.array(["(none)" if value is None else str(value) for value in values], dtype=object)


def compare_groups(answers: Answers, group: np.ndarray) -> dict:
    """Accuracy of the head that ships on the majority of votes, by group; group: (n,)."""
    known = answers.known
    right = (answers.votes.argmax(axis=1) == answers.faces.majority)[known]
    return by_group(right, group[known].astype(str))


def compare(answers: Answers, row: np.ndarray, path: Path) -> dict:
    """The model beside the network whose predictions lie in `path`, on the faces that both have answered.

    row: str (n,), the column `row` of the faces of the split. Of the model, the label's head is compared on
    the FER2013 label, where the weights have it. Raises CrowdmoodError where no row is in both.
    """
    place, other = read_predictions(path, row)
    other = other[:, [EXPRESSIONS.index(name) for name in answers.faces.labels]]
    other /= np.maximum(other.sum(axis=1, keepdims=True), 1e-12)
    faces, again = answers.faces.where(place), answers.again[place]
    votes = answers.votes[place]
    label = votes if answers.label is None else answers.label[place]
    theirs = other.argmax(axis=1)
    sets = {
        "label": (np.ones(len(faces), bool), label.argmax(axis=1) == faces.label, theirs == faces.label),
        "majority": (faces.majority >= 0, votes.argmax(axis=1) == faces.majority, theirs == faces.majority),
    }
    sets["clear"] = (faces.clear, *sets["majority"][1:])
    figures = {"name": path.stem, "faces": len(faces), "label_head": answers.label is not None}
    for name, (rows, ours, them) in sets.items():
        figures[name] = beside(ours[rows], them[rows])
        fresh = rows & ~again
        figures[f"{name}_not_in_train"] = beside(ours[fresh], them[fresh])
    known = faces.majority >= 0
    nets = (probabilities(votes, answers.temperature), other)
    pairs = [_single(probability[known], faces.majority[known], faces.labels) for probability in nets]
    return figures | {name: [pair[name] for pair in pairs] for name in pairs[0]}


def beside(ours: np.ndarray, theirs: np.ndarray) -> dict:
    """Two accuracies on the same faces, their difference and its interval. bool (n,) each."""
    right = np.stack([ours, theirs], axis=1)
    drawn = resampled_shares(right, np.ones_like(right))
    shares = right.mean(axis=0) if len(right) else np.zeros(2)
    return {
        "accuracy": round(float(shares[0]), 4),
        "other": round(float(shares[1]), 4),
        "difference": round(float(shares[0] - shares[1]), 4),
        **interval(drawn[:, 0] - drawn[:, 1]),
        "n": len(right),
    }


def _single(probability: np.ndarray, truth: np.ndarray, labels: tuple[str, ...]) -> dict:
    scores = class_scores(confusion_matrix(truth, probability.argmax(axis=1), labels), labels)
    return {"macro_f1": macro_f1(scores), "ece": calibration_error(probability, truth)}


def read_predictions(path: Path, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Another network's probabilities: places in `row` (m,), and float64 (m, 7) in the order of EXPRESSIONS.

    Raises CrowdmoodError where the table cannot be read, lacks a column, or has none of the rows.
    """
    try:
        table = pq.read_table(path, columns=["row", *EXPRESSIONS])
    except (OSError, pa.ArrowInvalid) as error:
        raise CrowdmoodError(f"{path}: cannot be read as a table of predictions ({error})") from error
    missing = [name for name in ("row", *EXPRESSIONS) if name not in table.column_names]
    if missing:
        raise CrowdmoodError(f"{path}: lacks the columns {', '.join(missing)}")
    known = {str(name): k for k, name in enumerate(table["row"].to_pylist()) if name is not None}
    place = np.array([k for k, name in enumerate(row) if name in known], np.int64)
    if not len(place):
        raise CrowdmoodError(f"{path}: has none of the rows that are measured")
    probability = np.stack([table[name].to_numpy() for name in EXPRESSIONS], axis=1).astype(np.float64)
    return place, probability[[known[row[k]] for k in place]]
