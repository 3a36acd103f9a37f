"""Pictures as viewers send them: JPEG, within limits, and nothing of them is kept."""

from __future__ import annotations

import struct
from io import BytesIO

import cv2
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from crowdmood.errors import CrowdmoodError

MOST_BYTES = 3_000_000
MOST_PIXELS = 4_000_000  # the page sends 0.5 million


class BadPicture(CrowdmoodError):
    """What a viewer sent cannot be looked at."""


def decoded(content: bytes) -> np.ndarray:
    """uint8 (h, w, 3) RGB. Raises BadPicture; the size is looked at before anything is decoded."""
    if len(content) > MOST_BYTES:
        raise BadPicture(f"a live picture has {MOST_BYTES / 1e6:.0f} MB at most; send smaller ones")
    try:
        width, height = JpegImageFile(BytesIO(content)).size  # which reads the head only
    except (OSError, ValueError, SyntaxError, struct.error, IndexError):
        raise BadPicture("this is no JPEG; live pictures are sent as JPEG, each in a message of its own") from None
    if width * height > MOST_PIXELS:
        raise BadPicture(f"a live picture has {MOST_PIXELS / 1e6:.0f} million pixels at most, not {width} x {height}; send smaller ones")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise BadPicture("this JPEG is damaged")
    return image
