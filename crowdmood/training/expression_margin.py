"""How the training crops lie around our detector's boxes: the card's `margin`, `shift_y` and `size_ratio`.

python -m crowdmood.training.expression_margin FACES.parquet
"""

from __future__ import annotations

import sys

import cv2
import numpy as np

from crowdmood.expression_net import SIDE
from crowdmood.faces import DetectSettings, detect
from crowdmood.models import FACE_DETECTOR, find_model
from crowdmood.runtimes import Network, choose_device, load_network
from crowdmood.training.expression_data import read_faces, training_rows

SAMPLE = 1500
ENLARGED = 4  # the detector does not find faces of 48 px that fill the picture
BORDER = 96  # pixels of grey around the enlarged crop


def measure_margin(images: np.ndarray, network: Network) -> dict:
    """Medians over the crops in which the face network finds a face. images: uint8 (n, 48, 48).

    margin: side of the crop / longer side of the box; shift_y: how far the crop's centre lies below the
    box's, in sides of the crop; size_ratio: root of the box's area / side of the crop; found: number of
    faces found.
    """
    side, whole = SIDE * ENLARGED, SIDE * ENLARGED + 2 * BORDER
    rows = []
    for image in images:
        large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
        large = cv2.copyMakeBorder(large, *(BORDER,) * 4, cv2.BORDER_CONSTANT, value=127)
        faces = detect(np.repeat(large[None, ..., None], 3, axis=3), network, DetectSettings(whole, "off"))
        if len(faces):
            x1, y1, x2, y2 = faces.box[faces.score.argmax()]
            longer, size = max(x2 - x1, y2 - y1), np.sqrt((x2 - x1) * (y2 - y1))
            rows.append((side / longer, (whole - y1 - y2) / 2 / side, size / side))
    margin, shift_y, size_ratio = (round(float(value), 3) for value in np.median(np.array(rows), axis=0))
    return {"margin": margin, "shift_y": shift_y, "size_ratio": size_ratio, "found": len(rows)}


if __name__ == "__main__":
    table = read_faces(sys.argv[1])
    chosen = np.random.default_rng(0).permutation(np.nonzero(training_rows(table))[0])[:SAMPLE]
    print(measure_margin(table.images[chosen], load_network(find_model(FACE_DETECTOR), choose_device("cpu"))))
