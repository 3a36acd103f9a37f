"""WIDER FACE's validation protocol: average precision on its easy, medium and hard lists, as its own tool counts.

Folder: ``WIDER_val/images/<event>/<name>.jpg`` and, anywhere below, ``wider_face_val.mat`` (all boxes) with
``wider_easy_val.mat``, ``wider_medium_val.mat``, ``wider_hard_val.mat`` (which of them count), from the
evaluation tool's ``ground_truth``.

What differs from our own protocol: scores are spread over 0..1 for the whole set; boxes are whole pixels, both ends
counted; a detection counts as wrong when its best face is already taken or when it hits none, and not at all when its
best face is not on the list; precision and recall are read at 1000 scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.training.detector_evaluation import IOU, Boxes, Detector

LISTS = ("easy", "medium", "hard")
THRESHOLDS = 1000


@dataclass(frozen=True)
class WiderPicture:
    """One picture: ``boxes`` float (m, 4), x y width height; ``counted``: list name -> bool (m,), which count."""

    path: Path
    boxes: np.ndarray
    counted: dict[str, np.ndarray]


def read_widerface(folder: Path) -> list[WiderPicture]:
    """All validation pictures of a WIDER FACE folder. Raises CrowdmoodError saying what is missing."""
    facts = _mat(folder, "wider_face_val.mat")
    lists = {name: _mat(folder, f"wider_{name}_val.mat")["gt_list"] for name in LISTS}
    images = next(iter(sorted(folder.rglob("WIDER_val/images"))), None)
    if images is None:
        raise CrowdmoodError(f"{folder} has no WIDER_val/images; unpack WIDER_val.zip there")
    pictures = []
    for event, nth, name in _files(facts):
        boxes = np.asarray(facts["face_bbx_list"][event][0][nth][0], float).reshape(-1, 4)
        counted = {}
        for key, rows in lists.items():
            counted[key] = np.zeros(len(boxes), bool)
            counted[key][np.asarray(rows[event][0][nth][0], int).reshape(-1) - 1] = True  # counted from one
        folder_name = str(facts["event_list"][event][0][0])
        pictures.append(WiderPicture(images / folder_name / f"{name}.jpg", boxes, counted))
    return pictures


def _mat(folder: Path, name: str) -> dict:
    from scipy.io import loadmat

    found = next(iter(sorted(folder.rglob(name))), None)
    if found is None:
        raise CrowdmoodError(f"{folder} has no {name}; put the evaluation tool's ground_truth folder there")
    return loadmat(found)


def _files(facts: dict) -> Iterator[tuple[int, int, str]]:
    """Event number, picture number in the event, name without extension."""
    for event, files in enumerate(facts["file_list"]):
        for nth, name in enumerate(files[0]):
            yield event, nth, str(name[0][0])


def find_in(pictures: list[WiderPicture], detector: Detector, say=print) -> list[Boxes]:
    """Run a detector over the pictures' files."""
    import cv2

    found = []
    for nth, picture in enumerate(pictures):
        image = cv2.imread(str(picture.path), cv2.IMREAD_COLOR)
        if image is None:
            raise CrowdmoodError(f"{picture.path} is missing or cannot be read")
        found.append(detector(np.ascontiguousarray(image[:, :, ::-1])))
        if (nth + 1) % 500 == 0:
            say(f"{nth + 1} of {len(pictures)} pictures")
    return found


def widerface_ap(pictures: list[WiderPicture], found: list[Boxes]) -> dict[str, float]:
    """AP for each of LISTS. found: one entry for each picture, x1 y1 x2 y2 and any scores."""
    every = np.concatenate([score for _, score in found])
    low, spread = (every.min(), max(float(np.ptp(every)), 1e-12)) if len(every) else (0.0, 1.0)
    ranked = []
    for box, score in found:
        order = np.argsort(-score, kind="stable")
        ranked.append((box[order], (score[order] - low) / spread))
    return {name: _average_precision(pictures, ranked, name) for name in LISTS}


def _average_precision(pictures: list[WiderPicture], ranked: list[Boxes], name: str) -> float:
    counts, faces = np.zeros((THRESHOLDS, 2)), 0  # detections shown and faces found, at each threshold
    scores = 1 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
    for picture, (box, score) in zip(pictures, ranked, strict=True):
        faces += int(picture.counted[name].sum())
        if not len(picture.boxes) or not len(box):
            continue
        wrong_or_right, found = _judge(box, picture.boxes, picture.counted[name])
        shown = np.searchsorted(-score, -scores, side="right")  # how many detections reach each threshold
        counts[:, 0] += np.concatenate([[0], np.cumsum(wrong_or_right)])[shown]
        counts[:, 1] += np.concatenate([[0], found])[shown]
    precision = counts[:, 1] / np.maximum(counts[:, 0], 1e-12)
    recall = np.concatenate([[0.0], counts[:, 1] / max(1, faces), [1.0]])
    best = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    return round(float(np.sum(np.diff(recall) * best[1:])), 4)


def _judge(box: np.ndarray, faces: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Detections, best first, against x y width height: which are counted (bool) and the faces found so far (int)."""
    corners = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:]], 1)
    shared = overlaps_of_pixels(box, corners)
    best, whose = shared.max(1), shared.argmax(1)
    hit = best >= IOU
    taken = np.zeros(len(faces), bool)
    counts, found = np.ones(len(box), bool), np.zeros(len(box), int)
    for at in range(len(box)):
        if hit[at]:
            counts[at] = counted[whose[at]]
            taken[whose[at]] |= counted[whose[at]]
        found[at] = taken.sum()
    return counts, found


def overlaps_of_pixels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union (m, n), the last pixel of a box being part of it, as the official tool has it."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.clip(high - low + 1, 0, None).prod(2)
    area = [(boxes[:, 2:] - boxes[:, :2] + 1).prod(1) for boxes in (first, second)]
    return both / (area[0][:, None] + area[1][None] - both)
