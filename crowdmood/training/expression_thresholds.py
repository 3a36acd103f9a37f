"""What is chosen on public_test after training: the temperature, and the thresholds below which a face is
'uncertain'.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from scipy.optimize import minimize_scalar

from crowdmood.expressions import entropy
from crowdmood.sharpness import sharpness
from crowdmood.training.expression_data import LabelledFaces
from crowdmood.training.expression_evaluation import Logits, probabilities, shrink

KEPT = 0.95  # accepted faces of each size shall reach this share of the accuracy on clean faces
SIDES = (16, 18, 20, 24, 32, 48)  # of the crop, pixels, that are tried; the net learns none smaller
LIMITS = np.round(np.arange(1.95, 0.39, -0.05), 2)  # of the entropy, nats, that are tried
BLURS = (0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 4.0)  # deviations, pixels of the 48 x 48 crop
AT_MOST = 1200  # faces asked at each side; of blurred faces, a third of it at each deviation
MIN_SCORE = 0.4  # of face-2: faces of a lower score are read less well, and false ones are among them


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature with the smallest negative log likelihood (Guo et al., 2017). logits (n, 7), truth
    (n,).
    """

    def cost(temperature: float) -> float:
        return -float(np.log(probabilities(logits, temperature)[np.arange(len(truth)), truth] + 1e-12).mean())

    return round(float(minimize_scalar(cost, bounds=(0.2, 5.0), method="bounded").x), 4)


def choose_thresholds(faces: LabelledFaces, logits: Logits, temperature: float, size_ratio: float) -> dict:
    """The card's table `usable`, from faces that have a majority.

    size_ratio: a face's size_px (root of the box's area) for each pixel of its crop's side.
    """
    faces = faces.where(_some(len(faces), AT_MOST))
    unsure, right = [], []
    for side in SIDES:
        found = logits(shrink(faces.images, side))
        unsure.append(entropy(probabilities(found, temperature)))
        right.append(found.argmax(axis=1) == faces.majority)
    wanted = KEPT * float(right[-1].mean())
    least, limit = choose_side_and_limit(np.stack(unsure), np.stack(right), wanted)
    return {
        "min_size_px": math.floor(10 * SIDES[least] * size_ratio) / 10,
        "min_sharpness": _least_sharpness(faces, logits, temperature, limit, wanted),
        "min_score": MIN_SCORE,
        "max_entropy": limit,
    }


def _some(count: int, most: int) -> np.ndarray:
    """At most so many of the rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def choose_side_and_limit(unsure: np.ndarray, right: np.ndarray, wanted: float) -> tuple[int, float]:
    """The smallest side (as its row) and the largest entropy that together let most faces through, where the
    accepted faces of every side from there on are right often enough.

    unsure: entropy (sides, n), right: bool (sides, n), smallest side first. One entropy holds for all sides:
    giving up the smallest ones allows more of the others. Where nothing is right often enough: the largest
    side and the strictest entropy.
    """
    best = (0.0, len(unsure) - 1, float(LIMITS[-1]))
    for limit in LIMITS:
        taken = unsure <= limit
        count = np.maximum(taken.sum(axis=1), 1)
        accuracy = (right & taken).sum(axis=1) / count
        # By one standard error more than wanted: it shall hold on other faces, too.
        bad = np.flatnonzero(accuracy - np.sqrt(accuracy * (1 - accuracy) / count) < wanted)
        least = bad[-1] + 1 if len(bad) else 0
        if least < len(unsure):
            best = max(best, (float(taken[least:].sum()), int(least), float(limit)))
    return best[1:]


def _least_sharpness(
    faces: LabelledFaces, logits: Logits, temperature: float, limit: float, wanted: float
) -> float:
    """The sharpness from which on blurred faces, as far as their entropy lets them through, are right
    often enough.
    """
    faces = faces.where(_some(len(faces), AT_MOST // 3))
    images = np.concatenate(
        [np.stack([cv2.GaussianBlur(image, (0, 0), blur) for image in faces.images]) for blur in BLURS]
    )
    found, truth = logits(images), np.tile(faces.majority, len(BLURS))
    taken = entropy(probabilities(found, temperature)) <= limit
    sharp, right = sharpness(images)[taken], (found.argmax(axis=1) == truth)[taken]
    order = np.argsort(sharp)
    for rows in np.array_split(order, min(20, max(1, len(order)))):
        if len(rows) and right[rows].mean() >= wanted:
            return round(float(sharp[rows[0]]), 1)
    return 0.0
