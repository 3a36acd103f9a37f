"""How good an expression net is, on labelled faces it did not learn from: one dictionary of figures, ready
for JSON.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.expressions import UsableSettings, entropy
from crowdmood.labels import EXPRESSIONS
from crowdmood.models import Model
from crowdmood.sharpness import sharpness
from crowdmood.training.expression_data import LabelledFaces, also_in_train

SIDES = (32, 24, 16)
ECE_BINS = 15

Logits = Callable[[np.ndarray], np.ndarray]  # uint8 (n, 48, 48) -> float32 (n, 7)


def shipped_logits(model: Model, threads: int = 1) -> Logits:
    """The net as it ships: its ONNX file, its sha256 checked."""
    from crowdmood.runtimes import Device, load_network

    network = load_network(model, Device("cpu", "onnx", threads))

    def logits(images: np.ndarray) -> np.ndarray:
        return np.concatenate([network(images[k : k + 256, ..., None]) for k in range(0, len(images), 256)])

    return logits


def evaluate(faces: LabelledFaces, model: Model, split: str = "private_test", threads: int = 1) -> dict:
    """All figures of a model on one split. Raises CrowdmoodError where the split has no face with a
    majority.
    """
    return measure(faces, shipped_logits(model, threads), model.card, split)


def measure(faces: LabelledFaces, logits: Logits, card: dict, split: str) -> dict:
    """Figures of any net on one split; of the card, `temperature` and the tables `usable` and `input` are
    used.
    """
    again = also_in_train(faces)[faces.split == split]
    faces = faces.where(faces.split == split)
    known = faces.majority >= 0
    if not known.any():
        raise CrowdmoodError(f"no faces to measure on: no row of the split '{split}' has a majority of votes")
    found, truth = logits(faces.images), faces.majority
    best = found.argmax(axis=1)
    sets = {
        "majority": (known, truth),
        "clear": (faces.clear, truth),
        "label": (np.ones(len(faces), bool), faces.label),
    }
    figures = {"split": split}
    for name, (rows, wanted) in sets.items():
        figures[name] = share(best[rows] == wanted[rows])
        figures[f"{name}_not_in_train"] = share((best == wanted)[rows & ~again])
    confusion = confusion_matrix(truth[known], best[known])
    scores = class_scores(confusion)
    raw, calm = probabilities(found[known]), probabilities(found[known], card["temperature"])
    return figures | {
        "macro_f1": round(float(np.mean([score["f1"] for score in scores.values()])), 4),
        "ece_before": calibration_error(raw, truth[known]),
        "ece": calibration_error(calm, truth[known]),
        "sides": {
            str(side): share(logits(shrink(faces.images[known], side)).argmax(1) == truth[known])
            for side in SIDES
        },
        "accepted": accepted(faces.where(known), logits, card),
        "classes": scores,
        "confusion": confusion.tolist(),
    }


def accepted(faces: LabelledFaces, logits: Logits, card: dict) -> dict:
    """What the thresholds in the card's `usable` let through, by side of the crop: the share and its
    accuracy.
    """
    usable = UsableSettings(**card["usable"])
    table = {}
    for side in (48, *SIDES, 12):
        images = shrink(faces.images, side)
        found = logits(images)
        taken = entropy(probabilities(found, card["temperature"])) <= usable.max_entropy
        taken &= (sharpness(images) >= usable.min_sharpness) & (
            side * card["input"]["size_ratio"] >= usable.min_size_px
        )
        right = found.argmax(axis=1) == faces.majority
        table[str(side)] = {"accepted": round(float(taken.mean()), 4), **share(right[taken])}
    return table


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of logits / temperature, float64 (n, 7)."""
    power = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64) / temperature)
    return power / power.sum(axis=1, keepdims=True)


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Faces as if they had been `side` pixels wide in the frame: uint8 (n, 48, 48) -> the same, resized as
    the product does.
    """
    if side == images.shape[1]:
        return images
    small = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack([cv2.resize(image, images.shape[1:], interpolation=cv2.INTER_CUBIC) for image in small])


def share(right: np.ndarray) -> dict:
    """Accuracy with Wilson's 95 % interval (E. B. Wilson, 1927). All zero where n is 0."""
    n = len(right)
    if not n:
        return {"accuracy": 0.0, "low": 0.0, "high": 0.0, "n": 0}
    z, p = 1.959964, float(right.mean())
    centre, reach = p + z * z / (2 * n), z * ((p * (1 - p) + z * z / (4 * n)) / n) ** 0.5
    low, high = ((centre + side * reach) / (1 + z * z / n) for side in (-1, 1))
    return {"accuracy": round(p, 4), "low": round(low, 4), "high": round(high, 4), "n": n}


def confusion_matrix(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """int64 (7, 7): rows are what people saw, columns what the net said."""
    counts = np.zeros((len(EXPRESSIONS),) * 2, np.int64)
    np.add.at(counts, (truth, found), 1)
    return counts


def class_scores(confusion: np.ndarray) -> dict:
    """Precision, recall, F1 and n of each class; 0 where there is nothing to divide by."""
    table = {}
    for index, name in enumerate(EXPRESSIONS):
        right, said, there = confusion[index, index], confusion[:, index].sum(), confusion[index].sum()
        table[name] = {
            "precision": round(float(right / max(said, 1)), 4),
            "recall": round(float(right / max(there, 1)), 4),
            "f1": round(float(2 * right / max(said + there, 1)), 4),
            "n": int(there),
        }
    return table


def calibration_error(probability: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins of the largest probability (Guo et al., 2017)."""
    sure, right = probability.max(axis=1), probability.argmax(axis=1) == truth
    place = np.minimum((sure * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [abs(sure[place == k].sum() - right[place == k].sum()) for k in range(ECE_BINS)]
    return round(float(sum(gaps) / len(truth)), 4)
