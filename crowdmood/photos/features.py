"""What a photo is told by to a head that scores whole photos: its light and colours, and its largest face, as a row of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from crowdmood import catalog
from crowdmood.errors import VideoError
from crowdmood.labels import EXPRESSIONS
from crowdmood.results import Run
from crowdmood.video import read_photo

SIDE, GRID = 256, 4  # pixels to which a photo is shrunk; cells a side in which light and colours are told
DARK, BRIGHT = 20, 90  # of CIELAB's lightness, 0..100
PICTURE = ("light", "contrast", "dark share", "bright share", "chroma", "chroma contrast", "green to red", "blue to yellow", "sharpness", "width per height")
CELLS = tuple(f"{what} in row {row}, column {column}" for row in range(1, GRID + 1) for column in range(1, GRID + 1)
              for what in ("light", "green to red", "blue to yellow"))
FACE = ("number of faces", "face size", "face left to right", "face top to bottom", "face score", "face sharpness")
FEATURES = (*PICTURE, *CELLS, *FACE, *(f"shows {name}" for name in EXPRESSIONS))
"""The names of the numbers, in their order."""
NO_FACE = (0.0, -4.0, 0.5, 0.5, 0.0, 0.0, *(0.0 for _ in EXPRESSIONS))
LARGEST_FACES = f"""
SELECT frame, count(*) AS faces, arg_max({{
    'size_px': size_px, 'x': (x1 + x2) / 2, 'y': (y1 + y2) / 2, 'score': score, 'sharpness': sharpness,
    {', '.join(f"'{name}': {name}" for name in EXPRESSIONS)}
}}, size_px) AS largest
FROM faces GROUP BY frame
"""


def features(image: np.ndarray, size: tuple[int, int], face: Mapping[str, float] | None) -> np.ndarray:
    """The numbers of one photo, float32 (len(FEATURES),).

    image: uint8 (h, w, 3) RGB; size: width and height of the photo in pixels; face: of its largest face size_px, x and y (centre,
    pixels of the photo), score, sharpness and a probability of each expression, and `faces`, how many there are; None: no face.
    """
    seen = np.float32(NO_FACE) if face is None else np.float32([
        np.log1p(face["faces"]), np.log(max(face["size_px"], 1) / (size[0] * size[1]) ** 0.5), face["x"] / size[0], face["y"] / size[1],
        face["score"], np.log1p(face["sharpness"]), *(face[name] for name in EXPRESSIONS)])
    return np.concatenate([_picture(image), seen])


def _picture(image: np.ndarray) -> np.ndarray:
    """Light, colours and sharpness, float32 (len(PICTURE) + len(CELLS),)."""
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    small = cv2.resize(image, (max(GRID, round(width * scale)), max(GRID, round(height * scale))), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    light, chroma = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])
    sharp = cv2.Laplacian(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()
    whole = [light.mean(), light.std(), (light < DARK).mean(), (light > BRIGHT).mean(), chroma.mean(), chroma.std(),
             lab[..., 1].mean(), lab[..., 2].mean(), np.log1p(sharp), np.log(width / height)]
    cells = cv2.resize(lab, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.concatenate([np.float32(whole), cells.ravel()])


def features_of(run: Run, files: Mapping[int, tuple[Path, int]], threads: int, progress: Callable[[int, int], None] = lambda *_: None
                ) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of photos of a complete run: frame numbers int64 (n,), and float32 (n, len(FEATURES)) of those that can be read.

    files: frame number -> file and page. progress: photos done, of all. Raises ResultsError.
    """
    sizes = {row["frame"]: (row["width"], row["height"]) for row in run.sql("SELECT frame, width, height FROM photos WHERE error IS NULL").to_pylist()}
    faces = {row["frame"]: row["largest"] | {"faces": row["faces"]} for row in catalog.fetch(run.results, LARGEST_FACES, run.id).to_pylist()}
    wanted, found = sorted(set(files) & set(sizes)), {}
    with ThreadPoolExecutor(threads, "features") as pool:
        rows = pool.map(lambda frame: _of_file(files[frame], sizes[frame], faces.get(frame)), wanted)
        for done, (frame, row) in enumerate(zip(wanted, _ended(rows, pool), strict=True), 1):
            if row is not None:
                found[frame] = row
            progress(done, len(wanted))
    nothing = np.zeros((0, len(FEATURES)), np.float32)
    return np.array(list(found), np.int64), np.concatenate([nothing, *(row[None] for row in found.values())])


def _of_file(file: tuple[Path, int], size: tuple[int, int], face: dict[str, Any] | None) -> np.ndarray | None:
    try:
        return features(read_photo(*file), size, face)
    except VideoError:
        return None


def _ended(rows: Iterator, pool: ThreadPoolExecutor) -> Iterator:
    """The rows; when nobody wants more of them, the pool begins no further photo."""
    try:
        yield from rows
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
