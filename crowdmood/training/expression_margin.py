"""How the training crops lie around a tight face box: the card's `margin`, `shift_y` and `size_ratio`.

python -m crowdmood.training.expression_margin FACES.parquet YUNET.onnx
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from crowdmood.expression_net import SIDE
from crowdmood.training.expression_data import read_faces, training_rows

SAMPLE = 1500
ENLARGED = 4  # the detector does not find faces of 48 px that fill the picture
BORDER = 96  # pixels of grey around the enlarged crop


def measure_margin(images: np.ndarray, detector: Path | str) -> dict:
    """Medians over the crops in which the detector (an ONNX file of YuNet) finds a face.

    images: uint8 (n, 48, 48).

    margin: side of the crop / longer side of the box; shift_y: how far the crop's centre lies below the
    box's, in sides of the crop; size_ratio: root of the box's area / side of the crop; found: number of
    faces found.
    """
    side, whole = SIDE * ENLARGED, SIDE * ENLARGED + 2 * BORDER
    finder = cv2.FaceDetectorYN.create(str(detector), "", (whole, whole), 0.6)
    rows = []
    for image in images:
        large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
        large = cv2.copyMakeBorder(large, *(BORDER,) * 4, cv2.BORDER_CONSTANT, value=127)
        _, faces = finder.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
        if faces is not None:
            _, y, w, h = faces[faces[:, -1].argmax()][:4]
            rows.append((side / max(w, h), (whole / 2 - y - h / 2) / side, (w * h) ** 0.5 / side))
    margin, shift_y, size_ratio = (round(float(value), 3) for value in np.median(np.array(rows), axis=0))
    return {"margin": margin, "shift_y": shift_y, "size_ratio": size_ratio, "found": len(rows)}


if __name__ == "__main__":
    table = read_faces(sys.argv[1])
    chosen = np.random.default_rng(0).permutation(np.nonzero(training_rows(table))[0])[:SAMPLE]
    print(measure_margin(table.images[chosen], sys.argv[2]))
