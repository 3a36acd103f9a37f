"""How the training crops lie around our detector's boxes: the card's `margin`, `shift_y` and `size_ratio`.

Both are tied to the face by its landmarks, as YuNet sees them: eyes and mouth in the training crops, and in
photographs beside the boxes that our detector draws there.

    python -m crowdmood.training.expression_margin FACES.parquet PHOTOS.parquet YUNET.onnx [DETECTOR]

PHOTOS: a table with `image`, `boxes`, `landmarks` (five points as x y pairs) and `teacher_score` of each box.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from crowdmood.expression_net import SIDE
from crowdmood.faces import DetectSettings, detect, overlap
from crowdmood.models import FACE_DETECTOR, find_model
from crowdmood.runtimes import Network, choose_device, load_network
from crowdmood.training.expression_data import read_faces, training_rows

CROPS, PHOTOS = 1000, 200  # how many are looked at
ENLARGED, BORDER = (
    4,
    64,
)  # YuNet does not find faces of 48 px that fill the picture; pixels around the enlarged one
SURE = 0.8  # of YuNet, from which its landmarks count
TURNED = 0.6  # faces whose eyes are closer together than this share of the usual are seen from the side
BANDS = (12, 24, 48, 96, 1000)  # longer side of the box, pixels


@dataclass(frozen=True)
class Layout:
    """Where eyes and mouth are, in sides of the crop: their distance down the face, the distance of the eyes,
    and how far the middle between eyes and mouth lies below the crop's centre.
    """

    down: float
    eyes: float
    below: float


def eyes_and_mouth(points: np.ndarray) -> np.ndarray:
    """Landmarks (n, 5, 2) -> (n, 3): distance of eyes and mouth, distance of the eyes, y of the middle."""
    eyes, mouth = points[:, :2].mean(axis=1), points[:, 3:].mean(axis=1)
    apart = np.linalg.norm(points[:, 0] - points[:, 1], axis=1)
    return np.stack([np.linalg.norm(eyes - mouth, axis=1), apart, (eyes + mouth)[:, 1] / 2], axis=1)


def crop_layout(images: np.ndarray, yunet: Path | str) -> Layout:
    """Medians over crops uint8 (n, 48, 48)."""
    side, found = SIDE * ENLARGED, []
    finder = cv2.FaceDetectorYN.create(str(yunet), "", (side + 2 * BORDER,) * 2, SURE)
    for image in images:
        large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
        large = cv2.copyMakeBorder(large, *(BORDER,) * 4, cv2.BORDER_REPLICATE)
        _, faces = finder.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
        if faces is not None:
            found.append((faces[faces[:, 14].argmax(), 4:14].reshape(5, 2) - BORDER) / side)
    down, eyes, middle = np.median(eyes_and_mouth(np.array(found)), axis=0)
    return Layout(float(down), float(eyes), float(middle) - 0.5)


def measure_margin(rows: list[dict], network: Network, layout: Layout) -> np.ndarray:
    """For each face of photographs that our detector finds: margin, shift_y, size_ratio and the longer side of
    its box in pixels, float (n, 4).

    margin: side of the crop / longer side of the box; shift_y: how far the crop's centre lies below the
    box's, in sides of the crop; size_ratio: root of the box's area / side of the crop.
    """
    found = []
    for row in rows:
        picture = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
        boxes = detect(picture[None], network, DetectSettings()).box
        marks = zip(row["boxes"], row["landmarks"], row["teacher_score"], strict=True)
        for box, points, score in marks:
            if len(boxes) and score is not None and score >= SURE and points and not np.isnan(points).any():
                same = overlap(np.array(box), boxes)
                if same.max() >= 0.5:
                    found.append(_geometry(boxes[same.argmax()], np.reshape(points, (1, 5, 2)), layout))
    return np.array([one for one in found if one is not None])


def _geometry(box: np.ndarray, points: np.ndarray, layout: Layout) -> tuple | None:
    """One face's row; None where it is turned away."""
    down, eyes, middle = eyes_and_mouth(points)[0]
    if eyes / layout.eyes < TURNED * down / layout.down:
        return None
    side, (width, height) = down / layout.down, (box[2:] - box[:2])
    centre = middle - layout.below * side
    longer = max(width, height)
    return side / longer, (centre - (box[1] + box[3]) / 2) / side, np.sqrt(width * height) / side, longer


def main(faces: str, photos: str, yunet: str, detector: str | None = None) -> None:
    table = read_faces(faces)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(training_rows(table)))[:CROPS]
    layout = crop_layout(table.images[chosen], yunet)
    network = load_network(find_model(FACE_DETECTOR, detector), choose_device("cpu"))
    rows = pq.read_table(photos, columns=["image", "boxes", "landmarks", "teacher_score"]).slice(0, PHOTOS)
    found = measure_margin(rows.to_pylist(), network, layout)
    print("box, px     faces  margin  shift_y  size_ratio")
    for low, high in [*pairwise(BANDS), (24, BANDS[-1])]:
        inside = found[(found[:, 3] >= low) & (found[:, 3] < high), :3]
        if len(inside):
            print(
                f"{low:4} to {high:4} {len(inside):6}",
                *(f"{value:8.3f}" for value in np.median(inside, axis=0)),
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
