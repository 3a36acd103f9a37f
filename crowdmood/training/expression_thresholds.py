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

KEPT = 0.95  # accepted faces shall reach this share of the accuracy on clean faces
SMALLEST = (10, 12, 14, 16, 18, 20, 24, 28, 32)  # sides of the crop that are tried, pixels
SIDE_KEPT = 0.88  # ... and sides at which all faces together fall below this share are given up
BLURS = (0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 4.0)  # deviations, pixels of the 48 x 48 crop
MIN_SCORE = 0.5  # of face-1: below it lie most of its false faces; where linking calls a face sure, too


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
    clean = float((logits(faces.images).argmax(axis=1) == faces.majority).mean())
    side = _smallest_side(faces, logits, SIDE_KEPT * clean)
    found = logits(shrink(faces.images, side))
    limit = _largest_entropy(found, faces.majority, temperature, KEPT * clean)
    return {
        "min_size_px": math.floor(10 * side * size_ratio) / 10,
        "min_sharpness": _least_sharpness(faces, logits, temperature, limit, KEPT * clean),
        "min_score": MIN_SCORE,
        "max_entropy": limit,
    }


def _smallest_side(faces: LabelledFaces, logits: Logits, wanted: float) -> int:
    for side in SMALLEST:
        if (logits(shrink(faces.images, side)).argmax(axis=1) == faces.majority).mean() >= wanted:
            return side
    return SMALLEST[-1]


def _largest_entropy(found: np.ndarray, truth: np.ndarray, temperature: float, wanted: float) -> float:
    """The largest entropy up to which faces of the smallest accepted side are right often enough."""
    unsure, right = entropy(probabilities(found, temperature)), found.argmax(axis=1) == truth
    for limit in np.arange(1.95, 0.4, -0.05):
        taken = unsure <= limit
        if taken.any() and right[taken].mean() >= wanted:
            return round(float(limit), 2)
    return 0.4


def _least_sharpness(
    faces: LabelledFaces, logits: Logits, temperature: float, limit: float, wanted: float
) -> float:
    """The sharpness from which on blurred faces, as far as their entropy lets them through, are right
    often enough.
    """
    images = np.concatenate(
        [np.stack([cv2.GaussianBlur(image, (0, 0), blur) for image in faces.images]) for blur in BLURS]
    )
    found, truth = logits(images), np.tile(faces.majority, len(BLURS))
    taken = entropy(probabilities(found, temperature)) <= limit
    sharp, right = sharpness(images)[taken], (found.argmax(axis=1) == truth)[taken]
    order = np.argsort(sharp)
    for rows in np.array_split(order, min(40, max(1, len(order)))):
        if len(rows) and right[rows].mean() >= wanted:
            return round(float(sharp[rows[0]]), 1)
    return 0.0
