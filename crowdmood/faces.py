"""Faces in pictures: a YOLO face network, run over batches of frames, tiled where faces are small.

    images uint8 (n, h, w, 3) -> Faces: frame (m,), box (m, 4), score (m,)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crowdmood.runtimes import Network

STRIDE = 32  # sides of the network's input are multiples of this
GREY = 114  # what YOLO is trained to see as 'outside the picture'
MAX_ENLARGE = 1.25  # more finds few faces more in small pictures, and costs much: docs/decisions.md has the figures
TILE_OVERLAP = 0.2
CROWD = 3  # 'auto' looks again in tiles when at least this many faces were found ...
SMALL_FACE = 20.0  # ... and half of them are smaller than this, in pixels of the network's input
SHARP_TILE = 1.2  # 2 x 2 tiles, or 3 x 3 where a tile of 2 x 2 were longer than this many times the network's input


@dataclass(frozen=True)
class Faces:
    """Faces found in a batch of frames, as aligned arrays.

    frame: int32 (m,), row of the batch, increasing; box: float32 (m, 4), x1 y1 x2 y2 in pixels of the displayed
    picture; score: float32 (m,), 0..1. Within a frame, faces go from left to right. No faces is m = 0.
    """

    frame: np.ndarray
    box: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows) -> Faces:
        return Faces(self.frame[rows], self.box[rows], self.score[rows])

    @property
    def size(self) -> np.ndarray:
        """float32 (m,), side of a square of the box's area, pixels."""
        return np.sqrt((self.box[:, 2] - self.box[:, 0]) * (self.box[:, 3] - self.box[:, 1]))


NO_FACES = Faces(np.zeros(0, np.int32), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def joined(parts: Sequence[Faces]) -> Faces:
    """The rows of several Faces, one after the other."""
    return Faces(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("frame", "box", "score")))


@dataclass(frozen=True)
class DetectSettings:
    """How faces are looked for.

    imgsz: the longer side of the network's input, pixels, at most (small pictures are hardly enlarged); tiles: 'auto',
    'off' or 'RxC'; min_face: smallest face kept, pixels; roi: x1 y1 x2 y2, look only there; ignore: rectangles whose faces are dropped (by the face's centre);
    score, nms_iou: lowest score kept, and the overlap (IoU) above which two boxes are one face.
    """

    imgsz: int = 640
    tiles: str = "auto"
    min_face: float = 12.0
    roi: tuple[int, int, int, int] | None = None
    ignore: tuple[tuple[int, int, int, int], ...] = ()
    score: float = 0.3
    nms_iou: float = 0.5


def detect(images: np.ndarray, network: Network, settings: DetectSettings) -> Faces:
    """Find the faces in a batch of frames. images: uint8 (n, h, w, 3) RGB of one size."""
    window = _window(images.shape[1:3], settings.roi)
    found = _detect_windows(images, [window], network, settings)
    grid = _grid(settings.tiles)
    again = np.arange(len(images))
    if settings.tiles == "auto":
        grid, again = _auto_grid(window, settings.imgsz), _crowded(found, len(images), window, settings.imgsz)
    if grid is not None and len(again):
        tiled = _detect_windows(images[again], tile_windows(window, grid), network, settings)
        found = joined([found, Faces(again[tiled.frame].astype(np.int32), tiled.box, tiled.score)])
        found = found[suppress(found, settings.nms_iou)]
    return in_order(found[_wanted(found, settings)])


def in_order(faces: Faces) -> Faces:
    """The same faces by frame and, within a frame, from left to right."""
    return faces[np.lexsort((faces.box[:, 1], faces.box[:, 0], faces.frame))]


def _detect_windows(images: np.ndarray, windows: list[tuple], network: Network, settings: DetectSettings) -> Faces:
    """Faces in windows (x1 y1 x2 y2) of every image, in the coordinates of the image, doubles removed."""
    height, width = images.shape[1:3]
    parts = []
    for window in windows:
        x1, y1, x2, y2 = window
        pictures, scale = letterbox(images[:, y1:y2, x1:x2], settings.imgsz)
        part = decode_boxes(network(pictures), settings.score)
        box = part.box / scale + np.array([x1, y1, x1, y1], np.float32)
        part = Faces(part.frame, np.clip(box, [x1, y1, x1, y1], [x2, y2, x2, y2]).astype(np.float32), part.score)
        parts.append(part[_whole(part.box, window, (width, height))])
    found = joined(parts)
    return found[suppress(found, settings.nms_iou)]


def letterbox(images: np.ndarray, imgsz: int) -> tuple[np.ndarray, float]:
    """Scale images so that the longer side is ``imgsz``, and fill right and below with grey to multiples of 32.

    Small images are enlarged by MAX_ENLARGE at most.

    Returns uint8 (n, h', w', 3) and the scale (pixels of the result per pixel of the image).
    """
    count, height, width = images.shape[:3]
    scale = min(imgsz / max(height, width), MAX_ENLARGE)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    out = np.full((count, -(-h // STRIDE) * STRIDE, -(-w // STRIDE) * STRIDE, 3), GREY, np.uint8)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    for image, target in zip(images, out, strict=True):
        target[:h, :w] = cv2.resize(image, (w, h), interpolation=how)
    return out, scale


def decode_boxes(output: np.ndarray, score: float) -> Faces:
    """Read the network's float32 (n, 5, anchors) (cx cy w h score, input pixels) into boxes above a score."""
    frame, anchor = np.nonzero(output[:, 4] > score)
    cx, cy, w, h, found = output[frame, :, anchor].T
    box = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1)
    return Faces(frame.astype(np.int32), box.astype(np.float32), found.astype(np.float32))


def suppress(faces: Faces, iou: float) -> np.ndarray:
    """Non-maximum suppression within each frame: rows to keep, best score first (ties: first row)."""
    order = np.argsort(-faces.score, kind="stable")
    keep = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(best)
        same = (faces.frame[rest] == faces.frame[best]) & (overlap(faces.box[best], faces.box[rest]) > iou)
        order = rest[~same]
    return np.array(keep, np.int64)


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (4,) with boxes (m, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=1)
    area = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - both
    return both / np.maximum(area, 1e-9)


def tile_windows(window: tuple, grid: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Cut a window into rows x columns overlapping windows that cover it."""
    x1, y1, x2, y2 = window
    rows, columns = _spans(y1, y2, grid[0]), _spans(x1, x2, grid[1])
    return [(left, top, right, bottom) for top, bottom in rows for left, right in columns]


def _spans(start: int, stop: int, count: int) -> list[tuple[int, int]]:
    length = round((stop - start) / (count - (count - 1) * TILE_OVERLAP))
    starts = np.linspace(start, stop - length, count).round().astype(int)
    return [(int(at), int(at) + length) for at in starts]


def _whole(box: np.ndarray, window: tuple, size: tuple[int, int]) -> np.ndarray:
    """False for boxes cut by a window's edge that is not the picture's edge: a neighbour sees the whole face."""
    x1, y1, x2, y2 = window
    width, height = size
    cut_left, cut_top = (x1 > 0) & (box[:, 0] <= x1 + 1), (y1 > 0) & (box[:, 1] <= y1 + 1)
    cut_right, cut_bottom = (x2 < width) & (box[:, 2] >= x2 - 1), (y2 < height) & (box[:, 3] >= y2 - 1)
    return ~(cut_left | cut_top | cut_right | cut_bottom)


def _window(shape: tuple[int, int], roi: tuple | None) -> tuple[int, int, int, int]:
    height, width = shape
    if roi is None:
        return 0, 0, width, height
    x1, y1, x2, y2 = roi
    return min(x1, width - 1), min(y1, height - 1), min(x2, width), min(y2, height)


def _grid(tiles: str) -> tuple[int, int] | None:
    if tiles in ("auto", "off"):
        return None
    rows, columns = tiles.lower().split("x")
    return int(rows), int(columns)


def _auto_grid(window: tuple, imgsz: int) -> tuple[int, int]:
    longest = max(high - low for low, high in (*_spans(window[0], window[2], 2), *_spans(window[1], window[3], 2)))
    return (2, 2) if longest <= SHARP_TILE * imgsz else (3, 3)


def _crowded(found: Faces, count: int, window: tuple, imgsz: int) -> np.ndarray:
    """Rows of the batch that hold many small faces, and whose picture has more detail than the network saw."""
    scale = imgsz / max(window[2] - window[0], window[3] - window[1])
    if scale >= 1:
        return np.zeros(0, np.int64)
    sizes = found.size * scale
    return np.array([row for row in range(count) if (found.frame == row).sum() >= CROWD
                     and np.median(sizes[found.frame == row]) < SMALL_FACE], np.int64)


def _wanted(found: Faces, settings: DetectSettings) -> np.ndarray:
    keep = found.size >= settings.min_face
    x, y = (found.box[:, 0] + found.box[:, 2]) / 2, (found.box[:, 1] + found.box[:, 3]) / 2
    for x1, y1, x2, y2 in settings.ignore:
        keep &= ~((x >= x1) & (x < x2) & (y >= y1) & (y < y2))
    return keep
