"""Pictures with faces for the detector: decoded once into a cache, then cut, scaled and spoilt at random.

A data folder holds ``train*.parquet`` (and ``test.parquet``) with one row per picture: ``image`` (any format
Pillow reads), ``source``, ``name``, ``boxes`` (lists of x1 y1 x2 y2 in pixels) and ``kind`` (one word per
box).
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from crowdmood.errors import CrowdmoodError

HUMAN_SOURCES = ("facecount", "fmd853")  # boxes drawn by people
# How often a picture is shown in an epoch: the stock photographs that make up the set have few small faces.
TIMES_SHOWN = {"scut_head": 2, "shanghaitech": 2, "fmd853": 2}
HELD_OUT_PER_MILLE = 50  # of the human-drawn training pictures, to choose the score threshold on
SCALES = (0.4, 1.9)
CLOSE_UPS = 0.15  # share of pictures in which a face is made large
LARGEST_SCALE = 5.0  # more would be blur, and slow
SMALLEST = 6.0  # px after scaling; smaller faces are incompletely labelled and carry no label
VISIBLE = 0.4  # least share of a face's box inside the picture to keep its label


@dataclass(frozen=True)
class Pictures:
    """Pictures of a cache folder. ``file``, ``source``: (n,) str; ``boxes``: n arrays float32 (m, 4), x1 y1
    x2 y2.
    """

    folder: Path
    file: np.ndarray
    source: np.ndarray
    boxes: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.file)

    def take(self, which: np.ndarray) -> Pictures:
        """The pictures at these positions."""
        return Pictures(self.folder, self.file[which], self.source[which], [self.boxes[i] for i in which])

    def read(self, at: int) -> np.ndarray:
        """One picture, uint8 (h, w, 3) RGB."""
        picture = cv2.imread(str(self.folder / self.file[at]), cv2.IMREAD_COLOR)
        if picture is None:
            raise CrowdmoodError(
                f"{self.folder / self.file[at]} cannot be read; delete the folder to have it made again"
            )
        return picture[:, :, ::-1]


def training_files(data: Path) -> list[Path]:
    """The training files of a data folder, sorted. Raises CrowdmoodError when there is none."""
    files = sorted(Path(data).glob("train*.parquet"))
    if not files:
        raise CrowdmoodError(
            f"{data} has no train*.parquet; give the folder of the face pictures with --data"
        )
    return files


def cached_pictures(files: list[Path], cache: Path) -> Pictures:
    """Decode the pictures of Parquet files into JPEGs in ``cache`` unless that is done, and list them.

    The cache is complete or absent: it is made in a folder beside it, which is renamed at the end.
    """
    if not (cache / "index.npz").exists():
        making = cache.with_name(f".{cache.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        _decode(files, making)
        os.replace(making, cache)
    index = np.load(cache / "index.npz")
    boxes = np.split(index["boxes"], index["ends"][:-1]) if len(index["ends"]) else []
    return Pictures(cache, index["files"], index["source"], boxes)


def _decode(files: list[Path], folder: Path) -> None:
    import pyarrow.parquet as pq
    from PIL import Image

    names, sources, boxes = [], [], []
    for path in files:
        for batch in pq.ParquetFile(path).iter_batches(64, columns=["image", "source", "boxes"]):
            for row in batch.to_pylist():
                names.append(f"{len(names):06d}.jpg")
                sources.append(row["source"])
                picture = Image.open(io.BytesIO(row["image"])).convert("RGB")
                picture.save(folder / names[-1], quality=95, subsampling=0)
                boxes.append(np.array(row["boxes"], np.float32).reshape(-1, 4))
    ends = np.cumsum([len(one) for one in boxes], dtype=np.int64)
    together = np.concatenate(boxes) if boxes else np.zeros((0, 4), np.float32)
    np.savez(folder / "index.npz", files=np.array(names), source=np.array(sources), boxes=together, ends=ends)


def hold_out(pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Positions to train on and positions held out (human-drawn ones only), the same in every run."""
    chance = np.array(
        [int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 1000 for name in pictures.file]
    )
    held = (chance < HELD_OUT_PER_MILLE) & np.isin(pictures.source, HUMAN_SOURCES)
    return np.flatnonzero(~held), np.flatnonzero(held)


def epoch_order(pictures: Pictures, rng: np.random.Generator) -> np.ndarray:
    """One epoch's positions, shuffled; pictures of some sources come more than once."""
    times = np.array([TIMES_SHOWN.get(source, 1) for source in pictures.source])
    return rng.permutation(np.repeat(np.arange(len(pictures)), times))


def epoch_length(pictures: Pictures) -> int:
    """How many pictures an epoch shows."""
    return int(sum(TIMES_SHOWN.get(source, 1) for source in pictures.source))


def make_sample(
    pictures: Pictures, at: int, size: int, rng: np.random.Generator, mosaic: float
) -> tuple[np.ndarray, np.ndarray]:
    """One training picture uint8 (size, size, 3) RGB and its boxes float32 (m, 4) in pixels.

    mosaic: the chance of four pictures side by side instead of one.
    """
    canvas = np.full((size, size, 3), 114, np.uint8)
    found = []
    if rng.random() < mosaic:
        x, y = rng.integers(int(size * 0.3), int(size * 0.7), 2)
        fields = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
    else:
        fields = [(0, 0, size, size)]
    for nth, (x1, y1, x2, y2) in enumerate(fields):
        which = at if nth == 0 else int(rng.integers(len(pictures)))
        part, boxes = cut(pictures.read(which), pictures.boxes[which], (x2 - x1, y2 - y1), rng)
        canvas[y1:y2, x1:x2] = part
        found.append(boxes + np.array([x1, y1, x1, y1], np.float32))
    return spoil(canvas, rng), np.concatenate(found)


def cut(
    picture: np.ndarray, boxes: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A window of ``size`` (width, height) at a random scale, slightly turned, perhaps mirrored; and the
    boxes in it.
    """
    scale = _scale(boxes, size, rng)
    interpolation = cv2.INTER_AREA if scale < 1 else int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    stretch = np.exp(rng.uniform(-0.08, 0.08))
    wide = max(8, round(picture.shape[1] * scale * stretch))
    high = max(8, round(picture.shape[0] * scale / stretch))
    boxes = boxes * np.array([wide / picture.shape[1], high / picture.shape[0]] * 2, np.float32)
    picture = cv2.resize(picture, (wide, high), interpolation=interpolation)
    centre = _window_centre(boxes, (wide, high), size, rng)
    turn = np.radians(rng.normal(0, 6)) if rng.random() < 0.5 else 0.0
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    matrix = np.array([[mirror * np.cos(turn), -np.sin(turn)], [mirror * np.sin(turn), np.cos(turn)]])
    shift = np.array(size) / 2 - matrix @ centre
    window = cv2.warpAffine(
        picture,
        np.column_stack([matrix, shift]),
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(114, 114, 114),
    )
    return window, _boxes_in(boxes, matrix, shift, size)


def _scale(boxes: np.ndarray, window: tuple[int, int], rng: np.random.Generator) -> float:
    """How much a picture is enlarged: mostly anything in SCALES, sometimes so much that a face fills the
    window.

    Group photographs hold no such faces, but webcams and concert films do.
    """
    if len(boxes) and rng.random() < CLOSE_UPS:
        face = boxes[rng.integers(len(boxes))]
        wanted = rng.uniform(0.4, 1.0) * min(window)
        return min(LARGEST_SCALE, wanted / max(face[2] - face[0], face[3] - face[1], 1.0))
    return float(np.exp(rng.uniform(*np.log(SCALES))))


def _window_centre(
    boxes: np.ndarray, picture: tuple[int, int], window: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Where to cut: mostly so that some face is inside, always with little beyond the picture's edge."""
    half, whole = np.array(window) / 2, np.array(picture, float)
    if len(boxes) and rng.random() < 0.85:
        face = boxes[rng.integers(len(boxes))]
        centre = (face[:2] + face[2:]) / 2 + rng.uniform(-0.45, 0.45, 2) * window
    else:
        centre = rng.uniform(0, 1, 2) * whole
    low, high = np.minimum(half, whole / 2), np.maximum(whole - half, whole / 2)
    spare = np.maximum(0, half - whole / 2) * rng.uniform(
        -1, 1, 2
    )  # a picture smaller than the window lies anywhere in it
    return np.clip(centre, low, high) + spare


def _boxes_in(boxes: np.ndarray, matrix: np.ndarray, shift: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes after the affine map, clipped; those mostly outside or too small are left out.

    A face fills its box about like an ellipse, so the turned box is the one around the turned ellipse.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix.T + shift
    half = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (matrix.T**2))
    whole = np.concatenate([centre - half, centre + half], 1)
    inside = np.clip(whole, 0, np.array(size * 2))
    area, visible = (np.maximum(0, b[:, 2:] - b[:, :2]).prod(1) for b in (whole, inside))
    return inside[(visible >= VISIBLE * area) & (visible >= SMALLEST**2)].astype(np.float32)


def spoil(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other light, other colours, and what cameras and encoders do: blur, noise, JPEG blocks, grey."""
    if rng.random() < 0.8:
        gain, gamma = np.exp(rng.uniform(-0.5, 0.4)), np.exp(rng.uniform(-0.35, 0.5))
        tint = np.exp(rng.normal(0, 0.06, 3))
        ramp = (np.arange(256)[:, None] / 255) ** gamma * gain * tint
        picture = cv2.LUT(picture, (np.clip(ramp, 0, 1) * 255).astype(np.uint8)[:, None, :])
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = 1.0 if rng.random() < 0.4 else rng.uniform(-0.4, 0.8)  # below 0: stronger colours
        picture = cv2.addWeighted(picture, 1 - share, grey, share, 0)
    if rng.random() < 0.12:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.1:
        noise = rng.normal(0, rng.uniform(2, 14), picture.shape[:2])[..., None]
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return picture
