"""How good a face detector is: average precision and recall by size of face, with intervals, side by side
with others.

Protocol: a detection is right when its overlap (IoU) with a face not yet found is at least 0.5, best scores
first. A band (smallest size <= size < largest, size being the height of the box) counts only faces of these
sizes: detections that hit other faces are neither right nor wrong, and neither are detections that hit
nothing and are smaller than 12 px (faces of that size are incompletely labelled) or outside the band. Every
other detection that hits nothing is wrong. Intervals are 95 % of a bootstrap over pictures; two detectors are
compared on the same resampled pictures.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.faces import DetectSettings, detect
from crowdmood.runtimes import Network

IOU = 0.5
NOT_PUNISHED = 12.0  # px; wrong detections smaller than this do not count
SETS = {"human": ("facecount", "fmd853"), "teacher": ("scut_head", "shanghaitech")}
BANDS = {
    "8-16": (8.0, 16.0),  # incompletely labelled below 12 px
    "16-24": (16.0, 24.0),
    "24-48": (24.0, 48.0),
    "48-96": (48.0, 96.0),
    "96+": (96.0, np.inf),
    "12-24": (12.0, 24.0),
    "24+": (24.0, np.inf),
}
PRECISION = 0.9  # at which recall is given
LOWEST_SCORE = 0.01
SCORES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)  # thresholds to choose among
RESAMPLED = 200

Boxes = tuple[np.ndarray, np.ndarray]  # box float32 (m, 4) x1 y1 x2 y2, score float32 (m,)
Detector = Callable[[np.ndarray], Boxes]  # of one picture, uint8 (h, w, 3) RGB


@dataclass(frozen=True)
class Outcome:
    """Detections of many pictures against the faces of one band, best score first, ignored ones left out.

    score: float (m,); right: bool (m,); picture: int (m,), whose detection it is; faces: int (pictures,), how
    many faces there are to find.
    """

    score: np.ndarray
    right: np.ndarray
    picture: np.ndarray
    faces: np.ndarray


def read_pictures(path: Path) -> list[dict]:
    """Rows of a Parquet file of pictures: ``image`` (decoded, uint8 (h, w, 3) RGB), ``source``, ``boxes``
    float32 (m, 4).
    """
    import pyarrow.parquet as pq
    from PIL import Image

    try:
        rows = pq.read_table(path, columns=["image", "source", "boxes"]).to_pylist()
    except (OSError, ValueError) as error:
        raise CrowdmoodError(f"{path} cannot be read: {error}") from error
    for row in rows:
        row["image"] = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
        row["boxes"] = np.array(row["boxes"], np.float32).reshape(-1, 4)
    return rows


def network_detector(
    network: Network, imgsz: int, nms_iou: float = 0.5, score: float = LOWEST_SCORE, tiles: str = "off"
) -> Detector:
    """The product's own detector, by default without tiling and keeping even the poorest scores."""
    settings = DetectSettings(imgsz=imgsz, tiles=tiles, min_face=0.0, score=score, nms_iou=nms_iou)

    def find(picture: np.ndarray) -> Boxes:
        found = detect(picture[None], network, settings)
        return found.box, found.score

    return find


def sizes(boxes: np.ndarray) -> np.ndarray:
    """Heights of boxes (m, 4), float (m,): what bands of size are about."""
    return boxes[:, 3] - boxes[:, 1]


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union (m, n) of every box of ``first`` (m, 4) with every one of ``second`` (n, 4)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(2)
    area = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(1) for b in (first, second)]
    return both / np.maximum(area[0][:, None] + area[1][None] - both, 1e-9)


def judge(found: Boxes, truth: np.ndarray, band: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Detections of one picture against its faces: two bool arrays (m,), right and ignored (neither is:
    wrong).
    """
    boxes, score = found
    shared = overlaps(boxes, truth)
    counted = (sizes(truth) >= band[0]) & (sizes(truth) < band[1])
    free = counted.copy()
    own = sizes(boxes)
    right, ignored = np.zeros(len(boxes), bool), (own < max(NOT_PUNISHED, band[0])) | (own >= band[1])
    for at in np.argsort(-score, kind="stable"):
        open_faces = np.where(free, shared[at], 0.0)
        if len(truth) and open_faces.max() >= IOU:
            right[at], ignored[at] = True, False
            free[open_faces.argmax()] = False
        elif (shared[at][~counted] >= IOU).any():
            ignored[at] = True
    return right, ignored


def outcome(found: Sequence[Boxes], truth: Sequence[np.ndarray], band: tuple[float, float]) -> Outcome:
    """Judge many pictures; one entry of ``found`` and ``truth`` each."""
    parts = []
    for at, (boxes, faces) in enumerate(zip(found, truth, strict=True)):
        right, ignored = judge(boxes, faces, band)
        parts.append((boxes[1][~ignored], right[~ignored], np.full(int((~ignored).sum()), at)))
    score, right, picture = (np.concatenate(column) for column in zip(*parts, strict=True))
    faces = np.array([((sizes(one) >= band[0]) & (sizes(one) < band[1])).sum() for one in truth])
    order = np.argsort(-score, kind="stable")
    return Outcome(score[order], right[order], picture[order], faces)


def curve(result: Outcome, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each detection. times: how often each picture counts (for the bootstrap)."""
    times = np.ones(len(result.faces)) if times is None else times
    weight = times[result.picture]
    hits, shown = np.cumsum(weight * result.right), np.cumsum(weight)
    return hits / np.maximum(shown, 1e-9), hits / max(1e-9, float((times * result.faces).sum()))


def average_precision(precision: np.ndarray, recall: np.ndarray) -> float:
    """Area under the curve, precision being the best at this recall or a higher one."""
    if not len(recall):
        return 0.0
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def recall_at(precision: np.ndarray, recall: np.ndarray, wanted: float) -> float:
    """The highest recall at which precision is still ``wanted``; 0 when it never is."""
    enough = precision >= wanted - 1e-12
    return float(recall[enough].max()) if enough.any() else 0.0


def score_at(result: Outcome, wanted: float) -> tuple[float, float]:
    """The lowest score down to which precision is ``wanted`` and the precision there.

    Where ``wanted`` is never reached it is that of the most precise point; (1, 0) when nothing at all was
    found.
    """
    precision = curve(result)[0]
    if not len(precision):
        return 1.0, 0.0
    enough = np.flatnonzero(precision >= min(wanted, precision.max()))
    return float(result.score[enough[-1]]), float(precision[enough[-1]])


def measures(result: Outcome, times: np.ndarray | None = None) -> np.ndarray:
    """AP and recall at PRECISION."""
    precision, recall = curve(result, times)
    return np.array([average_precision(precision, recall), recall_at(precision, recall, PRECISION)])


def resampled(result: Outcome, seed: int = 0) -> np.ndarray:
    """``measures`` (RESAMPLED, 2) of pictures drawn with replacement; of the same seed: of the same pictures."""
    rng = np.random.default_rng(seed)
    count = len(result.faces)
    share = np.full(count, 1 / count)
    return np.array([measures(result, rng.multinomial(count, share).astype(float)) for _ in range(RESAMPLED)])


def summarize(result: Outcome, score: float, first: np.ndarray | None = None) -> tuple[dict, np.ndarray]:
    """Figures of one band, and the resampled measures they are from.

    ``faces``; ``ap`` and ``recall`` (at PRECISION), each with an interval [low, high]; recall and precision at the
    threshold ``score``. With ``first``, the resampled measures of another detector: by how much that one is ahead;
    without it, recall and precision at each of SCORES.
    """
    again = resampled(result)
    table: dict = {"faces": int(result.faces.sum())}
    for nth, (name, value) in enumerate(zip(("ap", "recall"), measures(result), strict=True)):
        table[name], table[f"{name}_interval"] = round(float(value), 4), interval(again[:, nth])
        if first is not None:
            table[f"{name}_behind"] = interval(first[:, nth] - again[:, nth])
    table["recall_shown"], table["precision_shown"] = at_score(result, score)
    if first is None:
        table["recall_at"], table["precision_at"] = map(list, zip(*(at_score(result, one) for one in SCORES), strict=True))
    return table, again


def at_score(result: Outcome, score: float) -> tuple[float, float]:
    """Recall and precision of what is shown from this score on."""
    shown = result.score >= score
    hits = float((shown & result.right).sum())
    return round(hits / max(1.0, float(result.faces.sum())), 4), round(hits / max(1.0, float(shown.sum())), 4)


def interval(values: np.ndarray) -> list[float]:
    """The middle 95 % of values, [low, high]."""
    return [round(float(value), 4) for value in np.percentile(values, [2.5, 97.5])]


def evaluate(found: dict[str, list[Boxes]], pictures: list[dict], score: dict[str, float]) -> dict:
    """{detector: {set: {band: summarize(...)}}} for the sets of which there are pictures.

    found: what each detector found in each picture, the first being the one others are compared with; pictures: as
    ``read_pictures`` gives them; score: each detector's threshold.
    """
    table: dict = {name: {} for name in found}
    for one_set, sources in SETS.items():
        rows = [at for at, row in enumerate(pictures) if row["source"] in sources]
        truth = [pictures[at]["boxes"] for at in rows]
        for label, band in BANDS.items() if rows else ():
            first = None
            for name, boxes in found.items():
                result = outcome([boxes[at] for at in rows], truth, band)
                figures, again = summarize(result, score[name], first)
                table[name].setdefault(one_set, {})[label] = figures
                first = again if first is None else first
    return table
