"""The two networks, asked for few faces at a time: what counts is how soon the answer is there.

    pictures uint8 (h, w, 3), any sizes -> Seen, one per picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crowdmood.expressions import classify, crop_faces, judge, load_classifier
from crowdmood.models import EXPRESSION_NET, find_model
from crowdmood.options import Execution, Options
from crowdmood.photos.eyes import detect_each
from crowdmood.runtimes import Device, choose_device
from crowdmood.scan import Eyes, open_eyes

CROPS_PER_REQUEST = 2  # one face then costs 9 ms of a core instead of 52 with the 16 that suit a recording
IMGSZ = 480  # 640 costs half as much again, and found no more in group photographs of 960 pixels; 320 misses one face in ten
USUAL, ANYWHERE = Options(imgsz=IMGSZ, tiles="off", meeting="off"), Execution()


@dataclass(frozen=True)
class Seen:
    """What is in one picture. box: float32 (m, 4), x1 y1 x2 y2 in its pixels; score: float32 (m,); probability: float32 (m, 7), in
    the order of EXPRESSIONS; usable: bool (m,), whether the face can be read. Faces go from left to right.
    """

    width: int
    height: int
    box: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    usable: np.ndarray


def open_sight(options: Options, execution: Execution) -> tuple[Eyes, Device]:
    """Load both networks, and let them look once, for that takes longest the first time. Raises ModelError, CrowdmoodError."""
    device = choose_device(execution.device, execution.runtime, execution.threads)
    classifier = load_classifier(find_model(EXPRESSION_NET, options.expression), device, per_request=CROPS_PER_REQUEST)
    eyes = replace(open_eyes(options, device), classifier=classifier)
    for height in (480, 360):
        detect_each([np.zeros((height, 640, 3), np.uint8)], eyes.detector, eyes.detect)
    classify(np.zeros((1, eyes.crop.size, eyes.crop.size, eyes.crop.channels), np.uint8), eyes.classifier, eyes.temperature)
    return eyes, device


def look_at(images: Sequence[np.ndarray], eyes: Eyes) -> list[Seen]:
    """Find and read the faces in pictures, each uint8 (h, w, 3) RGB of any size, all together."""
    faces = detect_each(images, eyes.detector, eyes.detect)
    crops = crop_faces(images, faces, eyes.crop)
    read = judge(faces, crops, classify(crops, eyes.classifier, eyes.temperature), eyes.usable)
    ends = np.searchsorted(faces.frame, np.arange(len(images) + 1))
    return [Seen(image.shape[1], image.shape[0], faces.box[part], faces.score[part], read.probability[part], read.usable[part])
            for image, part in zip(images, map(slice, ends, ends[1:]), strict=True)]
