"""Who persons are called by the name bars of their gallery tiles: pictures of the recording are looked at again, and read.

    names = read_labels(recording, rows of the table tiles, known=["Anna Berg", ...])     # {3: "Anna Berg", ...}

Texts are found and read by RapidOCR, whose networks come with its package (extra `ocr`); nothing is fetched.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.speech.name_lists import NO_READER, bare_name, likest
from crowdmood.stills import stills
from crowdmood.video import Recording

READINGS = 4  # so many pictures of each person are looked at, where there are as many
SETTLED = 2.6  # when equal readings add up to more than this, no more are made
INSTANTS = (1 / 2, 1 / 6, 5 / 6, 1 / 3, 2 / 3)  # of a segment of layout: not at its edges, where tiles move
STRIP, LEAST_STRIP = 0.16, 26  # the part of a tile's height, and the pixels, in which its name bar lies
WIDTH = 0.85
LEFT = 0.3  # a name bar begins in this part of the tile's width
SURE, MAYBE = 0.8, 0.5  # a reading counts from here on; and from there on, where it is like a name that is known
TIGHT = (0.1, 0.15)  # of its height the box of a found text is too large, above and below: thin letters are lost in it
TEXT_PX = 48  # a name is read at this height


def read_labels(recording: Recording, tiles: Sequence[Mapping[str, Any]], known: Sequence[str] = ()) -> dict[int, str]:
    """The names of the persons in these tiles, as far as they can be read.

    tiles: rows of the table of that name. known: names that are likely; one that is read nearly so is taken to be it.
    Raises CrowdmoodError where the extra is not installed, VideoError where the recording cannot be read.
    """
    read = reader()
    wanted = _wanted([row for row in tiles if row["person"] is not None], recording.time)
    votes: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for frame, image in stills(recording, sorted(wanted)):
        for row in wanted[frame]:
            person = row["person"]
            if max(votes[person].values(), default=0.0) > SETTLED:
                continue
            for text, sure in read(image, (row["x1"], row["y1"], row["x2"], row["y2"])):
                name = likest(text, known)
                if text and sure >= (MAYBE if name else SURE):
                    votes[person][name or text] += sure
    return {person: _elected(texts) for person, texts in sorted(votes.items()) if texts}


def _elected(votes: Mapping[str, float]) -> str:
    """The text with the most votes, those with other blanks and signs counted together; of these the one with most blanks,
    which are left out in reading more often than put in.
    """
    together: dict[str, float] = defaultdict(float)
    for text, sure in votes.items():
        together[bare_name(text)] += sure
    best = max(sorted(together), key=together.__getitem__)
    texts = sorted(text for text, sure in votes.items() if bare_name(text) == best and sure > together[best] / 5)
    return max(texts, key=lambda text: (text.count(" "), votes[text]))


@cache
def reader() -> Callable[[np.ndarray, Sequence[float]], list[tuple[str, float]]]:
    """What reads the name bar of a tile, as `_read_bar` says. Raises CrowdmoodError where the extra is not installed."""
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise CrowdmoodError(NO_READER) from error
    threads = min(4, len(os.sched_getaffinity(0)))
    engine = RapidOCR(params={
        "Global.log_level": "critical", "Det.limit_type": "max", "Det.limit_side_len": 2000,
        "EngineConfig.onnxruntime.intra_op_num_threads": threads, "EngineConfig.onnxruntime.inter_op_num_threads": 1})
    return lambda image, box: _read_bar(engine, image, box)


def _wanted(rows: Sequence[Mapping[str, Any]], time: np.ndarray) -> dict[int, list[Mapping[str, Any]]]:
    """Which frames to look at, and which tiles in each: of each person those that are largest, as many as are needed."""
    spans = {one: (min(row["start_s"] for row in rows if row["segment"] == one), max(row["end_s"] for row in rows if row["segment"] == one))
             for one in {row["segment"] for row in rows}}
    seen: dict[int, set[int]] = defaultdict(set)
    wanted: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["y1"] - row["y2"], row["start_s"] - row["end_s"])):
        for frame in _frames(row, spans[row["segment"]], time):
            if len(seen[row["person"]]) < READINGS and frame not in seen[row["person"]]:
                seen[row["person"]].add(frame)
                wanted[frame].append(row)
    return wanted


def _frames(row: Mapping[str, Any], span: tuple[float, float], time: np.ndarray) -> list[int]:
    """The frames at the instants of a segment of layout at which this row is true: the same ones for all of its tiles."""
    start, end = row["start_s"], row["end_s"]
    instants = [at for part in INSTANTS if start <= (at := span[0] + part * (span[1] - span[0])) < end] or [(start + end) / 2]
    return np.clip(np.searchsorted(time, instants), 0, len(time) - 1).tolist()


def _read_bar(engine: Callable, image: np.ndarray, box: Sequence[float]) -> list[tuple[str, float]]:
    """Readings of the text at the bottom left of a tile and how sure they are, 0..1. image: uint8 (h, w, 3) RGB; box: x1 y1 x2 y2 px."""
    x1, y1, x2, y2 = (round(side) for side in box)
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, image.shape[1]), min(y2, image.shape[0])
    high = min(max(round(STRIP * (y2 - y1)), LEAST_STRIP), y2 - y1)
    strip = image[y2 - high:y2, x1:x1 + round(WIDTH * (x2 - x1)), ::-1]
    if min(strip.shape[:2]) < 8:
        return []
    found = _leftmost_line(_texts(engine, strip), strip.shape[1])
    if found is None:
        return []
    reads = [engine(_around(strip, found, tight), use_det=False, use_cls=False, use_rec=True) for tight in TIGHT]
    return [(_clean(read.txts[0]), float(read.scores[0])) for read in reads if read.txts]


def _texts(engine: Callable, strip: np.ndarray) -> np.ndarray:
    """The boxes of texts in a strip (k, 4), x1 y1 x2 y2 px."""
    scale = 2.0 if strip.shape[0] < 80 else 1.0
    large = cv2.resize(strip, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    boxes = engine(large, use_det=True, use_cls=False, use_rec=False).boxes
    corners = np.zeros((0, 4, 2)) if boxes is None else np.asarray(boxes).reshape(-1, 4, 2)
    return np.hstack([corners.min(axis=1), corners.max(axis=1)]) / scale


def _leftmost_line(boxes: np.ndarray, width: int) -> np.ndarray | None:
    """The box of the lowest line of text that begins at the left, its words joined; None where there is none."""
    lines = [box for box in boxes if box[0] <= LEFT * width]
    if not lines:
        return None
    line = max(lines, key=lambda box: (round(box[3] / 6), -box[0]))
    for box in sorted(boxes, key=lambda box: box[0]):
        high = line[3] - line[1]
        level = abs(box[[1, 3]].mean() - line[[1, 3]].mean()) < high / 2
        if level and -high < box[0] - line[2] < 1.2 * high:
            line = np.concatenate([np.minimum(line[:2], box[:2]), np.maximum(line[2:], box[2:])])
    return line


def _around(strip: np.ndarray, box: np.ndarray, tight: float) -> np.ndarray:
    """The picture of a text, cut close, at the height at which it is read."""
    high = box[3] - box[1]
    x1, y1, y2 = int(box[0]), int(box[1] + tight * high), int(np.ceil(box[3] - tight * high))
    bar = strip[y1:y2, x1:int(np.ceil(box[2] + 0.1 * high))]
    scale = TEXT_PX / bar.shape[0]
    return cv2.resize(bar, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def _clean(text: str) -> str:
    """A name without what else the bar shows, such as the crossed-out microphone."""
    return re.sub(r"^[^\w(]+|[\s|_~-]+$", "", text.strip())
