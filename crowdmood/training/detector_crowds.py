"""Made-up training pictures: crowds in rows, galleries of video calls, dark stages, and pictures without a face.

Heads are cut from pictures whose boxes people drew and put into scenes; a made-up crowd holds faces down to 8 px,
of which photographs of groups have few. The other half of the lesson is what is no face: drawn scenes, and
windows of real pictures that hold no box.
"""

from __future__ import annotations

import cv2
import numpy as np

from crowdmood.training.detector_data import HUMAN_SOURCES, SMALLEST, Pictures
from crowdmood.training.scenes import heads_from_behind, scene

SOURCES = 4  # pictures whose heads make one crowd: each costs the time to decode it
LEAST_FACE = 26.0  # px, of a face that is cut out: what is pasted is made smaller, hardly ever larger
LARGEST_SCALE = 1.3
# What is pasted is often no face: else whatever has the outline of a pasted patch would be learned as one.
DECOYS = 0.35
AROUND = (0.45, 0.55, 0.45, 0.35)  # of the face's size: how much more of the head left, above, right, below
NO_BOX = np.zeros((0, 4), np.float32)

Head = tuple[np.ndarray, np.ndarray]  # patch uint8 (h, w, 3), the face's box in it (4,); a decoy has a box, too


def made_up(pictures: Pictures, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One made-up picture uint8 (size, size, 3) RGB and its boxes float32 (m, 4)."""
    kind = rng.random()
    if kind < 0.25:
        return face_free(pictures, size, rng), NO_BOX
    if kind < 0.5:
        return gallery(pictures, size, rng)
    return crowd(pictures, size, rng)


def crowd(pictures: Pictures, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of heads, the farther the smaller, before a scene; sometimes dark, with coloured light."""
    canvas, boxes = scene(rng, size, size), []
    if rng.random() < 0.3:
        heads_from_behind(canvas, rng, int(rng.integers(1, 15)), size / 8)
    heads, decoys = cut_heads(pictures, SOURCES, rng), cut_decoys(pictures, rng)
    far, near = np.sort(np.exp(rng.uniform(np.log(8), np.log(90), 2)))
    y = size * rng.uniform(0.1, 0.6)
    while heads and y < size * 1.05:
        side = far + (near - far) * y / size
        for x in np.arange(rng.uniform(-side, side), size, side * rng.uniform(1.2, 2.6)):
            if rng.random() < 0.75:
                place = np.array([x, y]) + rng.normal(0, side / 5, 2)
                boxes.append(_paste_any(canvas, heads, decoys, place, side, rng))
        y += side * rng.uniform(0.9, 1.8)
    if rng.random() < 0.4:
        canvas = _darken(canvas, rng)
    return canvas, _kept(boxes, size)


def gallery(pictures: Pictures, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of a video call: one person in each, some tiles empty, with edges and name bars."""
    canvas, boxes = np.full((size, size, 3), rng.integers(0, 60), np.uint8), []
    across = int(rng.integers(2, 8))
    wide, high = size // across, int(size / across * rng.uniform(0.56, 1.0))
    gap = int(rng.integers(0, max(2, wide // 20)))
    heads, decoys = cut_heads(pictures, SOURCES, rng), cut_decoys(pictures, rng)
    for top in range(int(rng.integers(0, high)) - high, size, high):
        for left in range(0, across * wide, wide):
            y1, x1, y2, x2 = max(0, top + gap), left + gap, min(size, top + high - gap), left + wide - gap
            if y2 - y1 < 8 or x2 - x1 < 8:
                continue
            tile = scene(rng, x2 - x1, y2 - y1) if rng.random() < 0.7 else np.full((y2 - y1, x2 - x1, 3), 40, np.uint8)
            if heads and rng.random() < 0.8:
                side = high * rng.uniform(0.25, 0.6)
                place = np.array([x2 - x1, y2 - y1]) * rng.uniform(0.35, 0.65, 2)
                box = _paste_any(tile, heads, decoys, place, side, rng)
                boxes.append(np.clip(box, 0, [x2 - x1, y2 - y1] * 2) + [x1, y1, x1, y1])
            canvas[y1:y2, x1:x2] = tile
            cv2.putText(canvas, "Ana B", (x1 + 2, y2 - 3), 0, max(0.25, high / 300), (240, 240, 240), 1, cv2.LINE_AA)
    return canvas, _kept(boxes, size)


def face_free(pictures: Pictures, size: int, rng: np.random.Generator) -> np.ndarray:
    """A drawn scene, or a window of a real picture in which no box lies, uint8 (size, size, 3)."""
    for _ in range(4 if rng.random() < 0.6 else 0):
        at = _human(pictures, rng)
        window = _window_without_box(pictures.read(at), pictures.boxes[at], rng.uniform(0.25, 0.7), rng)
        if window is not None:
            return cv2.resize(window, (size, size), interpolation=cv2.INTER_LINEAR)
    return scene(rng, size, size)


def cut_decoys(pictures: Pictures, rng: np.random.Generator) -> list[Head]:
    """Patches without a face, shaped as heads are: windows of a real picture and of a scene, and plain ones."""
    at = _human(pictures, rng)
    picture, boxes = pictures.read(at), pictures.boxes[at]
    nowhere, drawn = np.zeros((0, 4), np.float32), scene(rng, 160, 160)
    patches = [np.full((64, 56, 3), rng.integers(0, 256, 3), np.uint8)]
    for _ in range(3):
        patches.append(_window_without_box(picture, boxes, rng.uniform(0.05, 0.3), rng))
        patches.append(_window_without_box(drawn, nowhere, rng.uniform(0.2, 0.8), rng))
    return [(patch, np.array([0.25, 0.28, 0.75, 0.85], np.float32) * np.tile(patch.shape[1::-1], 2))
            for patch in patches if patch is not None]


def _window_without_box(
    picture: np.ndarray, boxes: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray | None:
    """A square window, its side a share of the picture's shorter one; None where a box lies in it."""
    side = max(8, int(min(picture.shape[:2]) * share))
    x, y = (int(rng.integers(0, edge - side + 1)) for edge in (picture.shape[1], picture.shape[0]))
    free = (boxes[:, 2] < x) | (boxes[:, 0] > x + side) | (boxes[:, 3] < y) | (boxes[:, 1] > y + side)
    return picture[y : y + side, x : x + side] if free.all() else None


def cut_heads(pictures: Pictures, sources: int, rng: np.random.Generator) -> list[Head]:
    """Heads from some pictures with human-drawn boxes: those large enough and apart from other faces."""
    heads = []
    for _ in range(sources):
        at = _human(pictures, rng)
        picture, boxes = pictures.read(at), pictures.boxes[at]
        for nth, box in enumerate(boxes):
            span = np.tile(box[2:] - box[:2], 2) * np.array(AROUND) * [-1, -1, 1, 1]
            x1, y1, x2, y2 = np.clip(box + span, 0, [picture.shape[1], picture.shape[0]] * 2).astype(int)
            others = np.delete(boxes, nth, 0)
            apart = (others[:, 2] < x1) | (others[:, 0] > x2) | (others[:, 3] < y1) | (others[:, 1] > y2)
            if box[3] - box[1] >= LEAST_FACE and apart.all():
                heads.append((picture[y1:y2, x1:x2], box - np.array([x1, y1, x1, y1], np.float32)))
    return heads


def _human(pictures: Pictures, rng: np.random.Generator) -> int:
    """A chance picture with boxes that people drew; any picture where there are none of these."""
    for _ in range(50):
        at = int(rng.integers(len(pictures)))
        if pictures.source[at] in HUMAN_SOURCES:
            break
    return at


def _paste_any(
    canvas: np.ndarray, heads: list[Head], decoys: list[Head], place: np.ndarray, side: float, rng: np.random.Generator
) -> np.ndarray:
    """Paste a head, or a decoy, whose box then is empty. Returns the box (4,)."""
    if rng.random() < DECOYS:
        _paste(canvas, decoys[rng.integers(len(decoys))], place, side, rng)
        return np.zeros(4, np.float32)
    return _paste(canvas, heads[rng.integers(len(heads))], place, side, rng)


def _paste(canvas: np.ndarray, head: Head, place: np.ndarray, side: float, rng: np.random.Generator) -> np.ndarray:
    """Put a head so that its face is about `side` px high and centred at `place`; its edge fades. Returns the box."""
    patch, box = head
    scale = min(side / (box[3] - box[1]), LARGEST_SCALE)
    if rng.random() < 0.5:
        patch, box = patch[:, ::-1], np.array([patch.shape[1] - box[2], box[1], patch.shape[1] - box[0], box[3]])
    wide, high = (max(2, round(edge * scale)) for edge in (patch.shape[1], patch.shape[0]))
    patch = cv2.resize(np.ascontiguousarray(patch), (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)
    patch *= np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.05, 3))
    box = box * scale
    left, top = np.round(place - (box[:2] + box[2:]) / 2).astype(int)
    x1, y1, x2, y2 = max(0, left), max(0, top), min(canvas.shape[1], left + wide), min(canvas.shape[0], top + high)
    if x2 > x1 and y2 > y1:
        here = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
        mask = _fade(wide, high)[here][..., None]
        ground = canvas[y1:y2, x1:x2]
        ground[...] = np.clip(ground * (1 - mask) + patch[here] * mask, 0, 255).astype(np.uint8)
    return (box + [left, top, left, top]).astype(np.float32)


def _fade(wide: int, high: int) -> np.ndarray:
    """1 within an ellipse that fills the patch, 0 at its corners, float32 (high, wide)."""
    x, y = np.linspace(-1, 1, wide)[None], np.linspace(-1, 1, high)[:, None]
    return np.clip((1.05 - np.sqrt(x * x + y * y)) / 0.2, 0, 1).astype(np.float32)


def _darken(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As on a stage: little light, coloured, from one place."""
    size = picture.shape[0]
    x, y = np.arange(size)[None] - rng.uniform(0, size), np.arange(size)[:, None] - rng.uniform(0, size)
    light = np.exp(-(x * x + y * y) / (2 * (size * rng.uniform(0.3, 0.9)) ** 2))[..., None]
    tint = np.clip(rng.normal(0.8, 0.35, 3), 0.15, 1.3)
    return np.clip(picture * (rng.uniform(0.05, 0.3) + light * rng.uniform(0.3, 1.0) * tint), 0, 255).astype(np.uint8)


def _kept(boxes: list[np.ndarray], size: int) -> np.ndarray:
    """Boxes clipped to the picture, without those mostly outside, too small, or mostly hidden by a later one."""
    every = np.array(boxes, np.float32).reshape(-1, 4)
    inside = np.clip(every, 0, size)
    area, visible = (np.maximum(0, b[:, 2:] - b[:, :2]).prod(1) for b in (every, inside))
    keep = (visible >= 0.4 * area) & (visible >= SMALLEST**2)
    for nth, box in enumerate(inside):
        later = inside[nth + 1 :]
        low, high = np.maximum(box[:2], later[:, :2]), np.minimum(box[2:], later[:, 2:])
        keep[nth] &= bool((np.clip(high - low, 0, None).prod(1) < 0.5 * max(visible[nth], 1)).all())
    return inside[keep]
