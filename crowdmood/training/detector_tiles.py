"""What looking again in tiles finds and costs, and which automatic rule pays.

Frames: crowds of the test pictures as they are; four of them beside each other in a 1920 x 1080 frame, as a hall
looks; groups of people in such frames, where tiles should not be needed; generated crowds with faces of unseen
people.
Everything at the score threshold of the model and for faces of at least 12 px.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from crowdmood.training.detector_crowds import crowd
from crowdmood.training.detector_data import cached_pictures
from crowdmood.training.detector_evaluation import (
    NOT_PUNISHED,
    SETS,
    Boxes,
    Detector,
    judge,
    sizes,
)

FRAME = (1920, 1080)
SMALL, LARGE = (NOT_PUNISHED, 24.0), (24.0, np.inf)
GENERATED, REAL, COMPOSED = 10, 24, 16  # frames of each kind, at most
RULES = [(least, small, grid) for grid in ("2x2", "3x3") for least in (3, 6, 10) for small in (14.0, 20.0, 28.0)]


@dataclass(frozen=True)
class Seen:
    """What one setting found in one frame, and the processor's milliseconds (None: the first of its size)."""

    found: Boxes
    ms: float | None


def frames(test: Path, pictures: list[dict]) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """{kind: [(picture, boxes)]}. test: the Parquet file that ``pictures`` were read from."""
    crowds = [(row["image"], row["boxes"]) for row in pictures if row["source"] in SETS["teacher"]]
    shapes = Counter(picture.shape for picture, _ in crowds)
    common = [one for one in crowds if shapes[one[0].shape] >= 4]  # every other size costs more to compile than to run
    groups = [(row["image"], row["boxes"]) for row in pictures if row["source"] == "facecount"]
    made = {
        "crowds": common[:REAL],
        "crowds, 1920 x 1080": composed(crowds[:4 * COMPOSED]),
        "groups, 1920 x 1080": composed(groups[:4 * COMPOSED]),
        "generated, 1920 x 1080": _generated(test),
    }
    return {kind: each for kind, each in made.items() if each}


def composed(pictures: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Four pictures each, shrunk to fit and never enlarged, in a frame of 1920 x 1080."""
    together = []
    wide, high = FRAME[0] // 2, FRAME[1] // 2
    for first in range(0, len(pictures) - 3, 4):
        frame, boxes = np.full((FRAME[1], FRAME[0], 3), 40, np.uint8), []
        for nth, (picture, own) in enumerate(pictures[first:first + 4]):
            scale = min(1.0, wide / picture.shape[1], high / picture.shape[0])
            size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
            x, y = nth % 2 * wide, nth // 2 * high
            frame[y:y + size[1], x:x + size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            boxes.append(own * scale + np.array([x, y, x, y], np.float32))
        together.append((frame, np.concatenate(boxes)))
    return together


def _generated(test: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows of heads cut from the test pictures, before generated scenes."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = cached_pictures([test], Path(folder) / "pictures")
        made = [crowd(pictures, FRAME[0], np.random.default_rng([11, nth])) for nth in range(GENERATED)]
    top = (FRAME[0] - FRAME[1]) // 2
    together = []
    for picture, boxes in made:
        boxes = boxes - np.array([0, top, 0, top], np.float32)
        inside = (boxes[:, 1] >= 0) & (boxes[:, 3] <= FRAME[1])
        together.append((np.ascontiguousarray(picture[top:top + FRAME[1]]), boxes[inside]))
    return together


def look(finders: dict[str, Detector], pictures: Sequence[np.ndarray]) -> dict[str, list[Seen]]:
    """Every setting on every picture in turn. A picture's size is not timed the first time: it is compiled then."""
    seen: dict[str, list[Seen]] = {tiles: [] for tiles in finders}
    known = set()
    for picture in pictures:
        for tiles, find in finders.items():
            began = time.process_time()  # one thread: what an idle machine takes, whatever else this one does
            found = find(picture)
            ms = 1e3 * (time.process_time() - began)
            seen[tiles].append(Seen(found, ms if (tiles, picture.shape) in known else None))
            known.add((tiles, picture.shape))
    return seen


def cost_and_yield(seen: Sequence[Seen], truth: Sequence[np.ndarray], middle: Callable = np.median) -> dict:
    """Recall for faces of 12-24 px and above, wrong boxes per picture, and milliseconds (their ``middle``)."""
    hits, faces, wrong = np.zeros(2), np.zeros(2), 0
    for one, boxes in zip(seen, truth, strict=True):
        for nth, band in enumerate((SMALL, LARGE)):
            hits[nth] += judge(one.found, boxes, band)[0].sum()
            faces[nth] += ((sizes(boxes) >= band[0]) & (sizes(boxes) < band[1])).sum()
        right, ignored = judge(one.found, boxes, (NOT_PUNISHED, np.inf))
        wrong += int((~right & ~ignored).sum())
    recall = (hits / np.maximum(1, faces)).round(4)
    times = [one.ms for one in seen if one.ms is not None]
    return {"pictures": len(seen), "faces_small": int(faces[0]), "faces_large": int(faces[1]),
            "recall_small": float(recall[0]), "recall_large": float(recall[1]),
            "wrong": round(wrong / max(1, len(seen)), 3), "ms": round(float(middle(times)), 1) if times else 0.0}


def measure_tiles(finders: dict[str, Detector], kinds: dict) -> tuple[dict, list[dict]]:
    """{kind: {tiles: cost_and_yield(...)}}; and for each of RULES, where off, 2x2 and 3x3 are among the settings.

    finders: a detector for each value of ``--tiles``; kinds: see ``frames``.
    """
    table: dict = {}
    rules: list[dict] = []
    for kind, pictures in kinds.items():
        images, truth = [picture for picture, _ in pictures], [boxes for _, boxes in pictures]
        seen = look(finders, images)
        table[kind] = {tiles: cost_and_yield(each, truth) for tiles, each in seen.items()}
        if {"off", "2x2", "3x3"} <= finders.keys():
            rules += [{"kind": kind, **rule} for rule in _rules(seen, images, truth)]
    return table, rules


def _rules(seen: dict[str, list[Seen]], images: Sequence[np.ndarray], truth: Sequence[np.ndarray], imgsz: int = 640):
    """What each of RULES would have chosen; milliseconds are the mean over the frames."""
    for least, small, grid in RULES:
        again = [_crowded(one.found[0] * imgsz / max(image.shape[:2]), least, small)
                 for one, image in zip(seen["off"], images, strict=True)]
        chosen = [seen[grid][at] if yes else seen["off"][at] for at, yes in enumerate(again)]
        yield {"least": least, "small": small, "grid": grid, "again": round(float(np.mean(again)), 3),
               **cost_and_yield(chosen, truth, np.mean)}


def _crowded(box: np.ndarray, least: int, small: float) -> bool:
    """At least so many faces, half of them smaller than ``small`` pixels of the network's input."""
    side = np.sqrt((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]))
    return len(side) >= least and bool(np.median(side) < small)
