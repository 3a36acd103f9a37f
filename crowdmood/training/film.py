"""A film in which it is known where every face is: labelled crops on drawn heads and shoulders in generated
scenes, slowly drifting, and compressed as a video call would be.

A tight crop that floats in a scene is not what a detector is made for: a bare square of 48 px is found in a
quarter of cases. So the crop has hair around it, a neck and shoulders, drawn so that the detector's boxes
lie around it as they lie around faces in photographs (`expression_margin` measures that).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from crowdmood.training.scenes import scene

SIDES = (96, 64, 48, 32, 24, 16)  # of the pasted crops, pixels; the largest are placed first
TINTS = np.array([[1.16, 0.95, 0.83], [1.1, 0.98, 0.9], [1.25, 0.92, 0.72]], np.float32)
FEATHER = 0.08  # of half the side: the soft edge of the crop
# In sides of the crop: how far a figure reaches beyond the crop to the left and right, above, and below.
BESIDE, ABOVE, BELOW = 0.45, 0.35, 0.75
DRIFT = 0.15  # sides, at most, along each axis in a scene
GRAIN = 2.0  # grey levels, of the camera's noise


@dataclass(frozen=True)
class FilmSettings:
    """How the film is made. seconds: of one scene; per_scene: crops of each side in it."""

    width: int = 1280
    height: int = 720
    fps: int = 25
    bit_rate: int = 1_000_000
    seconds: float = 2.0
    per_scene: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Pasted:
    """Crops in one scene, aligned (k,): rows of `faces`, side in pixels, left upper corner (k, 2) and its way
    per frame (k, 2).
    """

    face: np.ndarray
    side: np.ndarray
    corner: np.ndarray
    speed: np.ndarray

    def corners(self, frame: int) -> np.ndarray:
        """Left upper corners float (k, 2) in a frame, counted from the scene's first."""
        return self.corner + frame * self.speed


def plan_scenes(faces: int, settings: FilmSettings) -> list[Pasted]:
    """Where all faces are: each once at every side, and once in a scene as far as there are enough."""
    rng = np.random.default_rng((settings.seed, 0))
    groups = np.array_split(np.arange(faces), -(-faces // settings.per_scene))
    return [
        _place(
            [(row, side) for k, side in enumerate(SIDES) for row in groups[(at + k) % len(groups)]],
            settings,
            rng,
        )
        for at in range(len(groups))
    ]


def _place(crops: list[tuple[int, int]], settings: FilmSettings, rng: np.random.Generator) -> Pasted:
    """Puts crops (row, side) where there is room for their figures; those for which there is none are left
    out.
    """
    low, high = np.array([BESIDE, ABOVE]) + DRIFT, np.array([1 + BESIDE, 1 + BELOW]) + DRIFT
    size = np.array([settings.width, settings.height])
    taken, placed = np.zeros((0, 4)), []
    for row, side in crops:
        for _ in range(300):
            corner = rng.uniform(low * side, size - high * side)
            begin, end = corner - low * side, corner + high * side
            if not ((taken[:, :2] < end) & (taken[:, 2:] > begin)).all(axis=1).any():
                placed.append((row, side, *corner))
                taken = np.vstack([taken, np.concatenate([begin, end])])
                break
    row, side, x, y = np.array(placed).T
    way = rng.uniform(-DRIFT, DRIFT, (len(side), 2)) * side[:, None]
    corner = np.stack([x, y], axis=1)
    return Pasted(row.astype(int), side.astype(int), corner, way / (settings.fps * settings.seconds))


def write_film(path: Path, images: np.ndarray, scenes: list[Pasted], settings: FilmSettings) -> None:
    """Write the film as H.264. images: uint8 (n, 48, 48), what `Pasted.face` counts."""
    with av.open(str(path), "w") as container:
        rate = str(settings.bit_rate)
        options = {"preset": "veryfast", "maxrate": rate, "bufsize": str(2 * settings.bit_rate)}
        stream = container.add_stream("libx264", rate=settings.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = settings.width, settings.height, "yuv420p"
        stream.bit_rate = settings.bit_rate
        stream.codec_context.thread_count = 1
        for picture in pictures(images, scenes, settings):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def pictures(images: np.ndarray, scenes: list[Pasted], settings: FilmSettings) -> Iterator[np.ndarray]:
    """The film's frames, uint8 (h, w, 3) RGB."""
    rng = np.random.default_rng((settings.seed, 1))
    shape = (settings.height, settings.width, 3)
    grain = [
        np.repeat(rng.normal(0, GRAIN, (*shape[:2], 1)), 3, axis=2).round().astype(np.int16) for _ in range(4)
    ]
    for pasted in scenes:
        ground = scene(rng, settings.width, settings.height)
        figures = [figure(images[row], side, _colours(rng)) for row, side in zip(pasted.face, pasted.side)]
        for frame in range(round(settings.fps * settings.seconds)):
            picture = ground.astype(np.int16)
            for (colour, cover, at), corner in zip(figures, pasted.corners(frame), strict=True):
                _paste(picture, colour, cover, corner - at)
            yield np.clip(picture + grain[rng.integers(len(grain))], 0, 255).astype(np.uint8)


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Skin's tint, clothes and hair, float (3, 3)."""
    hair = rng.uniform(15, 70) * np.array([1.1, 1.0, 0.85])
    return np.stack([TINTS[rng.integers(len(TINTS))], rng.uniform(20, 200, 3), hair])


def figure(image: np.ndarray, side: int, colours: np.ndarray) -> tuple:
    """A head with a crop as its face, on shoulders. colours: (3, 3), tint of skin, clothes, hair.

    Returns its colours float32 (h, w, 3), how much of it is seen float32 (h, w), 0..1, and where in it the
    crop's left upper corner is (x, y). The crop's grey values are as they were, in the colour of skin.
    """
    tint, clothes, hair = colours
    tint = tint / (tint @ np.array([0.299, 0.587, 0.114]))
    x, y = round(BESIDE * side), round(ABOVE * side)
    width, height, middle = side + 2 * x, y + round((1 + BELOW) * side), x + side // 2
    body, neck, head = (np.zeros((height, width), np.uint8) for _ in range(3))
    cv2.ellipse(body, (middle, height), (width // 2, round(0.6 * side)), 0, 180, 360, 255, -1, cv2.LINE_AA)
    cv2.rectangle(neck, (middle - side // 4, y), (middle + side // 4, y + round(1.25 * side)), 255, -1)
    radii = (round(0.6 * side), round(0.68 * side))
    cv2.ellipse(head, (middle, y + round(0.42 * side)), radii, 0, 0, 360, 255, -1, cv2.LINE_AA)
    how = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC
    grey = cv2.resize(image, (side, side), interpolation=how).astype(np.float32)
    colour, cover = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    for part, paint in ((body, clothes), (neck, 0.7 * np.median(grey) * tint), (head, hair)):
        seen = cv2.GaussianBlur(part, (0, 0), 0.4 + side / 40).astype(np.float32) / 255
        colour += (paint - colour) * seen[..., None]
        cover = np.maximum(cover, seen)
    colour /= np.maximum(cover, 1e-3)[..., None]  # its soft edges will be blended with the scene once more
    face, seen = (slice(y, y + side), slice(x, x + side)), _rounded(side)
    colour[face] += (grey[..., None] * tint - colour[face]) * seen[..., None]
    cover[face] = np.maximum(cover[face], seen)
    return colour, cover, np.array([x, y])


def _rounded(side: int) -> np.ndarray:
    """How much of a crop is seen, float32 (side, side): all but its corners and a soft edge."""
    at = np.abs((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1)
    inside = np.clip((1 - (at[:, None] ** 6 + at[None, :] ** 6) ** (1 / 6)) / FEATHER, 0, 1)
    return inside * inside * (3 - 2 * inside)


def _paste(picture: np.ndarray, colour: np.ndarray, cover: np.ndarray, corner: np.ndarray) -> None:
    """Blends a figure into the picture int16 (h, w, 3), its left upper corner at x, y, in fractions of a
    pixel.
    """
    left, top = (int(value) for value in np.floor(corner))
    height, width = cover.shape[0] + 1, cover.shape[1] + 1
    move = np.array([[1, 0, corner[0] - left], [0, 1, corner[1] - top]], np.float32)
    colour = cv2.warpAffine(
        colour, move, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    cover = cv2.warpAffine(cover, move, (width, height), flags=cv2.INTER_LINEAR)[..., None]
    part = picture[max(top, 0) : top + height, max(left, 0) : left + width]
    inside = (
        slice(max(-top, 0), max(-top, 0) + part.shape[0]),
        slice(max(-left, 0), max(-left, 0) + part.shape[1]),
    )
    part[...] = np.round(part * (1 - cover[inside]) + colour[inside] * cover[inside])
