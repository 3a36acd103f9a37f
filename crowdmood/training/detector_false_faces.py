"""False faces: what detectors find in frames that hold no face.

Material is named on the command line: recordings, pictures, folders of them, or a part of a recording as
``FILE@3.1-7`` (seconds) or ``FILE@73f-168f`` (frame numbers, both counted). Frames are taken as the product takes
them, FPS a second. Neighbouring frames of a film look alike, so its interval is narrower than it should be;
generated scenes are independent of each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import chi2

from crowdmood.errors import CrowdmoodError
from crowdmood.sources import VIDEO_EXTENSIONS
from crowdmood.training.detector_contestants import Contestant
from crowdmood.training.detector_evaluation import (
    LOWEST_SCORE,
    NOT_PUNISHED,
    SCORES,
    Boxes,
    sizes,
)
from crowdmood.training.scenes import scene
from crowdmood.video import Sampling, decode, probe, select

FPS = 5.0
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".tif", ".tiff")
SPAN = re.compile(r"(?P<path>.+)@(?P<start>[0-9.]+)(?P<frames>f?)-(?P<end>[0-9.]+)f?$")
SCENE_SEED = 640_000  # far from the numbers that training counts its samples with
SCENE_SIZES = ((960, 540), (640, 480), (540, 720))
CROP, ACROSS = 96, 12  # px, side of a false face in the sheet; how many beside each other


@dataclass(frozen=True)
class FalseFace:
    """One false face: ``crop`` uint8 (CROP, CROP, 3) RGB with its surroundings, ``score`` and whose it is."""

    crop: np.ndarray
    score: float
    detector: str
    where: str


def frames_of(source: str) -> Iterator[tuple[str, np.ndarray]]:
    """Names and frames uint8 (h, w, 3) RGB of a recording, a part of one, a picture, or a folder of these."""
    span = None if Path(source).exists() else SPAN.match(source)
    path = Path(span["path"] if span else source)
    if path.is_dir():
        for one in sorted(path.iterdir()):
            if one.suffix.lower() in (*PICTURES, *VIDEO_EXTENSIONS):
                yield from frames_of(str(one))
    elif not path.is_file():
        raise CrowdmoodError(f"{path}: there is no such file")
    elif path.suffix.lower() in PICTURES:
        yield path.name, _upright(path)
    else:
        recording = probe(path)
        for batch in decode(recording, _wanted(recording, span)):
            for number, image in zip(batch.frame, batch.images, strict=True):
                yield f"{path.name} {number}", image


def _wanted(recording, span: re.Match | None) -> np.ndarray:
    if span is None:
        return select(recording, Sampling(FPS))
    start, end = float(span["start"]), float(span["end"])
    if not span["frames"]:
        return select(recording, Sampling(FPS), start, end)
    numbers = select(recording, Sampling(FPS))
    return numbers[(numbers >= start) & (numbers <= end)]


def _upright(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    except OSError as error:
        raise CrowdmoodError(f"{path} cannot be read as a picture: {error}") from error


def scenes(count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Generated pictures without a face, the same in every run."""
    for nth in range(count):
        rng = np.random.default_rng([SCENE_SEED, nth])
        yield f"scene {nth}", scene(rng, *SCENE_SIZES[nth % len(SCENE_SIZES)])


def count_false_faces(
    contestants: Sequence[Contestant], frames: Iterator[tuple[str, np.ndarray]], kept: list[FalseFace]
) -> dict:
    """{detector: {frames, false_faces, per_200, per_200_interval, score, best, at}} over face-free frames.

    Each detector keeps boxes above its usual threshold ``score`` and of at least 12 px. ``best``: the highest score
    of any box, that is, the threshold without false faces; ``at``: how many there are at each of SCORES. False faces
    are added to ``kept``. Raises CrowdmoodError when there is no frame.
    """
    finders = {one.name: one.finder(min(LOWEST_SCORE * 5, one.score)) for one in contestants}
    scores: dict[str, list[float]] = {name: [0.0] for name in finders}
    seen = 0
    for where, picture in frames:
        seen += 1
        for one in contestants:
            box, score = _large(finders[one.name](picture))
            scores[one.name] += score.tolist()
            shown = score > one.score
            kept += [FalseFace(_crop(picture, b), float(s), one.name, where)
                     for b, s in zip(box[shown], score[shown], strict=True)]
    if not seen:
        raise CrowdmoodError("no frame was found among the face-free material")
    return {one.name: _summary(np.array(scores[one.name]), one.score, seen) for one in contestants}


def _summary(scores: np.ndarray, usual: float, frames: int) -> dict:
    count = int((scores > usual).sum())
    return {"frames": frames, "false_faces": count, **per_200(count, frames), "score": round(usual, 3),
            "best": round(float(scores.max()), 3), "at": [int((scores > one).sum()) for one in SCORES]}


def per_200(count: int, frames: int) -> dict:
    """False faces in 200 frames, and the exact 95 % interval of a Poisson rate."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(0.975, 2 * (count + 1)) / 2
    rates = [round(200 * float(value) / frames, 3) for value in (count, low, high)]
    return {"per_200": rates[0], "per_200_interval": rates[1:]}


def _large(found: Boxes) -> Boxes:
    kept = sizes(found[0]) >= NOT_PUNISHED
    return found[0][kept], found[1][kept]


def _crop(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A square twice as wide as the box, black beyond the picture."""
    side = max(4, round(2 * float(max(box[2] - box[0], box[3] - box[1]))))
    x, y = ((box[:2] + box[2:]) / 2 - side / 2).round().astype(int)
    padded = np.zeros((side, side, 3), np.uint8)
    part = picture[max(0, y):y + side, max(0, x):x + side]
    padded[max(0, -y):max(0, -y) + part.shape[0], max(0, -x):max(0, -x) + part.shape[1]] = part
    return cv2.resize(padded, (CROP, CROP), interpolation=cv2.INTER_AREA if side > CROP else cv2.INTER_LINEAR)


def draw_sheet(path: Path, faces: Sequence[FalseFace]) -> None:
    """Write false faces as one picture, the surest first, with score and detector under each."""
    cells = []
    for face in sorted(faces, key=lambda one: (one.detector, -one.score))[:400]:
        cell = np.zeros((CROP + 26, CROP, 3), np.uint8)
        cell[:CROP] = face.crop
        for line, text in enumerate((f"{face.score:.2f} {face.detector}"[:16], face.where[:16])):
            cv2.putText(cell, text, (1, CROP + 11 + 12 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.32, (255, 255, 0), 1)
        cells.append(cell)
    cells += [np.zeros((CROP + 26, CROP, 3), np.uint8)] * (-len(cells) % ACROSS or (0 if cells else ACROSS))
    rows = [np.hstack(cells[at:at + ACROSS]) for at in range(0, len(cells), ACROSS)]
    cv2.imwrite(str(path), np.vstack(rows)[:, :, ::-1])
