"""Expressions shown by faces: crops of many frames, classified in one batch.

    images + Faces -> crops uint8 (m, side, side, channels) -> probabilities float32 (m, 7), in the order of EXPRESSIONS
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crowdmood.faces import Faces
from crowdmood.labels import EXPRESSIONS, UNCERTAIN
from crowdmood.models import Model
from crowdmood.runtimes import Device, Network, load_network
from crowdmood.sharpness import sharpness

CROPS_PER_REQUEST = 16  # how many crops one CPU inference takes; fewer and more were slower


@dataclass(frozen=True)
class CropSettings:
    """How a face's square is cut: side = margin * the box's longer side, its centre moved down by shift_y sides.

    size: pixels a side of what the net takes; channels: 1 for grey, 3 for RGB.
    """

    margin: float = 1.2
    shift_y: float = 0.0
    size: int = 48
    channels: int = 1


@dataclass(frozen=True)
class UsableSettings:
    """What a face must have for its expression to be read; else it is 'uncertain'.

    min_size_px: side of the face, pixels; min_sharpness: see crowdmood.sharpness; min_score: the detector's score;
    max_entropy: of the seven probabilities, in nats (0 sure .. 1.95 no idea).
    """

    min_size_px: float = 16.0
    min_sharpness: float = 0.0
    min_score: float = 0.3
    max_entropy: float = 1.95


@dataclass(frozen=True)
class Expressions:
    """What faces show, aligned with the rows of Faces.

    probability: float32 (m, 7), calibrated, rows sum to 1; sharpness: float32 (m,); usable: bool (m,).
    """

    probability: np.ndarray
    sharpness: np.ndarray
    usable: np.ndarray


def load_classifier(model: Model, device: Device, labels: Sequence[str] = EXPRESSIONS, per_request: int = CROPS_PER_REQUEST) -> Network:
    """An expression net of any card: crops uint8 (m, size, size, channels) -> logits (m, k) in the order of the labels.

    The card must have all of them; others are left out. per_request: as `load_network` says. Raises ModelError.
    """
    network = load_network(model, device, per_request)
    order = [model.card["labels"].index(name) for name in labels]
    if model.card.get("output", {}).get("kind") == "probabilities":
        return lambda crops: np.log(np.maximum(network(crops)[:, order], 1e-9))
    return lambda crops: network(crops)[:, order]


def crop_faces(images: np.ndarray, faces: Faces, settings: CropSettings) -> np.ndarray:
    """Cut each face's square from the full-resolution frame. Returns uint8 (m, size, size, channels)."""
    crops = np.empty((len(faces), settings.size, settings.size, settings.channels), np.uint8)
    for row, (frame, box) in enumerate(zip(faces.frame, faces.box, strict=True)):
        crops[row] = crop(images[frame], box, settings).reshape(crops.shape[1:])
    return crops


def crop(image: np.ndarray, box: np.ndarray, settings: CropSettings) -> np.ndarray:
    """One face's square as uint8 (size, size), or (size, size, 3) for RGB, antialiased; beyond the picture its edge is repeated."""
    side = settings.margin * max(box[2] - box[0], box[3] - box[1], 1.0)
    x = (box[0] + box[2] - side) / 2
    y = (box[1] + box[3] - side) / 2 + settings.shift_y * side
    left, top, length = round(float(x)), round(float(y)), max(1, round(float(side)))
    square = _cut(image, left, top, length)
    if settings.channels == 1:
        square = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
    how = cv2.INTER_AREA if length > settings.size else cv2.INTER_CUBIC
    return cv2.resize(square, (settings.size, settings.size), interpolation=how)


def _cut(image: np.ndarray, left: int, top: int, length: int) -> np.ndarray:
    height, width = image.shape[:2]
    # At least one row and column stay inside, whatever the box says.
    x1, y1 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    x2, y2 = max(min(left + length, width), x1 + 1), max(min(top + length, height), y1 + 1)
    inside = image[y1:y2, x1:x2]
    around = (y1 - top, top + length - y2, x1 - left, left + length - x2)
    if not any(around):
        return inside
    return cv2.copyMakeBorder(inside, *(max(0, side) for side in around), cv2.BORDER_REPLICATE)


def classify(crops: np.ndarray, network: Network, temperature: float) -> np.ndarray:
    """Calibrated probabilities float32 (m, 7) of crops uint8 (m, size, size, channels): softmax(logits / temperature).

    Temperature scaling after Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """
    if not len(crops):
        return np.zeros((0, len(EXPRESSIONS)), np.float32)
    logits = network(crops).astype(np.float64) / temperature
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (power / power.sum(axis=1, keepdims=True)).astype(np.float32)


def judge(faces: Faces, crops: np.ndarray, probability: np.ndarray, settings: UsableSettings) -> Expressions:
    """Say which faces are good enough to be read."""
    sharp = sharpness(crops)
    usable = ((faces.size >= settings.min_size_px) & (sharp >= settings.min_sharpness)
              & (faces.score >= settings.min_score) & (entropy(probability) <= settings.max_entropy))
    return Expressions(probability, sharp, usable)


def entropy(probability: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats of each row of probabilities (m, k)."""
    return -(probability * np.log(np.maximum(probability, 1e-12))).sum(axis=1)


def names(probability: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """The largest expression's name per row, 'uncertain' where the face is not usable. str (m,)."""
    largest = np.array(EXPRESSIONS, object)[probability.argmax(axis=1)]
    return np.where(usable, largest, UNCERTAIN)
