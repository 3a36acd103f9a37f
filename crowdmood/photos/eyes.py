"""Faces in photos, which are all of different sizes: put on a few canvases, so that many go through the networks together.

    pictures uint8 (h, w, 3), any sizes -> Faces and their crops, as of frames of a recording
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from crowdmood.expressions import classify, crop_faces, judge
from crowdmood.faces import (
    CROWD,
    GREY,
    NO_FACES,
    SMALL_FACE,
    STRIDE,
    DetectSettings,
    Faces,
    decode_boxes,
    detect,
    in_order,
    joined,
    letterbox,
    suppress,
)
from crowdmood.runtimes import Network
from crowdmood.scan import ChunkRows, Eyes
from crowdmood.signature import SIGNATURE_BYTES

SIDES = (0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 1.0)  # of a canvas, as parts of the network's largest: 16:9, 3:2 and 4:3 photos fill theirs nearly
BATCH_BYTES = 128_000_000  # of pictures that are looked at together ...
BATCH = 16  # ... and how many at most


def read_faces(numbered: Iterator[tuple[int, np.ndarray, float]], eyes: Eyes) -> ChunkRows:
    """Find and read all faces in photos: their rows as those of a chunk of a recording, a photo a second.

    numbered: frame number, picture uint8 (h, w, 3), and pixels of the photo per pixel of the picture; boxes are in the photo's.
    A face is judged as it is in the picture.
    """
    frames, faces, crops, scales = [], [NO_FACES], [np.zeros((0, eyes.crop.size, eyes.crop.size, eyes.crop.channels), np.uint8)], []
    for batch in _batches(numbered):
        found = detect_each([image for _, image, _ in batch], eyes.detector, eyes.detect)
        crops.append(crop_faces([image for _, image, _ in batch], found, eyes.crop))
        faces.append(replace(found, frame=found.frame + np.int32(len(frames))))
        frames += [number for number, _, _ in batch]
        scales += [scale for _, _, scale in batch]
        del batch
    found, stacked, frame = joined(faces), np.concatenate(crops), np.array(frames, np.int64)
    seen = judge(found, stacked, classify(stacked, eyes.classifier, eyes.temperature), eyes.usable)
    scale = np.array(scales, np.float32)[found.frame][:, None]
    nothing = np.zeros((len(frame), SIGNATURE_BYTES), np.uint8), np.full(len(frame), b"", object)  # no scenes, no gallery
    return ChunkRows(frame, frame, frame.astype(np.float64), *nothing, replace(found, box=found.box * scale), seen)


def _batches(numbered: Iterator[tuple[int, np.ndarray, float]]) -> Iterator[list[tuple[int, np.ndarray, float]]]:
    batch, size = [], 0
    for item in numbered:
        batch.append(item)
        size += item[1].nbytes
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def detect_each(images: Sequence[np.ndarray], network: Network, settings: DetectSettings) -> Faces:
    """Find the faces in pictures of any sizes, each uint8 (h, w, 3) RGB. What is found in one does not depend on the others."""
    few = _few_shapes(network, settings.imgsz)
    found = [NO_FACES]
    fitted = [_fitted(image, settings.imgsz) for image in images]
    for shape in dict.fromkeys(canvas.shape for canvas, _ in fitted):
        rows = np.array([row for row, (canvas, _) in enumerate(fitted) if canvas.shape == shape])
        part = decode_boxes(network(np.stack([fitted[row][0] for row in rows])), settings.score)
        row = rows[part.frame]
        limits = np.array([images[one].shape[1::-1] * 2 for one in row], np.float32).reshape(-1, 4)
        scale = np.array([fitted[one][1] for one in row], np.float32)[:, None]
        found.append(Faces(row.astype(np.int32), np.clip(part.box / scale, 0, limits), part.score))
    faces = joined(found)
    faces = faces[suppress(faces, settings.nms_iou)]
    crowds = _crowds(faces, images, settings)
    again = [_numbered(detect(images[row][None], few, settings), row) for row in crowds]
    faces = faces[(faces.size >= settings.min_face) & ~np.isin(faces.frame, crowds)]
    return in_order(joined([faces, *again]))


def _numbered(faces: Faces, row: int) -> Faces:
    return replace(faces, frame=np.full(len(faces), row, np.int32))


def _crowds(faces: Faces, images: Sequence[np.ndarray], settings: DetectSettings) -> list[int]:
    """Rows of pictures that are to be looked at in tiles, too: all where a grid is asked for, else those of many small faces."""
    if settings.tiles == "off":
        return []
    scale = np.array([settings.imgsz / max(image.shape[:2]) for image in images])
    sizes = faces.size * scale[faces.frame]
    return [row for row in range(len(images)) if settings.tiles != "auto" or scale[row] < 1
            and (faces.frame == row).sum() >= CROWD and np.median(sizes[faces.frame == row]) < SMALL_FACE]


def _fitted(image: np.ndarray, imgsz: int) -> tuple[np.ndarray, float]:
    """The picture as the network sees it, on its canvas, uint8 (h', w', 3), and pixels of that per pixel of the picture."""
    height, width = image.shape[:2]
    halves = max(height, width) >= 2 * imgsz and min(height, width) > 1
    if halves:  # half of it is had in a quarter of the time that any other part takes
        image = cv2.resize(image[:height // 2 * 2, :width // 2 * 2], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    pictures, scale = letterbox(image[None], imgsz)
    return _on_canvas(pictures, imgsz)[0], scale / 2 if halves else scale


def _few_shapes(network: Network, imgsz: int) -> Network:
    """The network, given pictures on canvases only: for each new shape it would have to be made anew."""
    return lambda pictures: network(_on_canvas(pictures, imgsz))


def _on_canvas(pictures: np.ndarray, imgsz: int) -> np.ndarray:
    """Pictures uint8 (n, h, w, 3) with grey on their right and below, up to the sides of the smallest canvas that holds them."""
    height, width = (next((side for part in SIDES if (side := round(imgsz * part / STRIDE) * STRIDE) >= given), given)
                     for given in pictures.shape[1:3])
    canvas = np.full((len(pictures), height, width, 3), GREY, np.uint8)
    canvas[:, :pictures.shape[1], :pictures.shape[2]] = pictures
    return canvas
