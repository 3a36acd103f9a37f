"""Pictures without a face, drawn by chance: landscapes, stages, halls, walls, texture.

They are the ground on which faces are put (training, measuring end to end) and, left empty, what a detector
should find nothing in. They hold what detectors like to take for faces: balls, lamps, letters, heads seen from
behind.
"""

from __future__ import annotations

import cv2
import numpy as np

SKIN = np.array([[255, 219, 172], [241, 194, 125], [224, 172, 105], [198, 134, 66], [141, 85, 36], [84, 52, 30]])
LETTERS = np.array(list("ABCDEGHKMNOPQRSTUWXYZ0369&@%?"))


def scene(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """One scene, uint8 (height, width, 3) RGB."""
    draw = (_landscape, _stage, _hall, _wall, _texture, _lights)[rng.integers(6)]
    picture = draw(rng, width, height)
    grain = rng.normal(0, rng.uniform(0, 6), (height, width, 1))
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def heads_from_behind(picture: np.ndarray, rng: np.random.Generator, count: int, largest: float) -> None:
    """Draws `count` heads with hair all around, on shoulders, into the picture. largest: px, height of a head."""
    height, width = picture.shape[:2]
    for _ in range(count):
        side = largest * rng.uniform(0.3, 1.0)
        x, y = rng.uniform(0, width), rng.uniform(0.3, 1.0) * height
        hair = _colour(rng, 10, 110) if rng.random() < 0.8 else _colour(rng, 120, 220)
        _ellipse(picture, (x, y + side * 1.2), (side * 1.1, side * 0.8), _colour(rng, 20, 220))
        if rng.random() < 0.6:
            _ellipse(picture, (x, y + side * 0.45), (side * 0.2, side * 0.25), SKIN[rng.integers(len(SKIN))])
        _ellipse(picture, (x, y), (side * 0.4, side * 0.5), hair)


def noise(rng: np.random.Generator, width: int, height: int, roughness: float = 0.5) -> np.ndarray:
    """Smooth noise of several scales, float32 (height, width), 0..1."""
    total, weight = np.zeros((height, width), np.float32), 1.0
    for cells in (2, 4, 8, 16, 32, 64):
        grid = rng.random((cells + 1, max(2, cells * width // height + 1)), np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight *= roughness
    return (total - total.min()) / max(1e-6, float(np.ptp(total)))


def _colour(rng: np.random.Generator, low: float = 0, high: float = 255) -> np.ndarray:
    return rng.uniform(low, high) * np.clip(rng.normal(1, 0.25, 3), 0.2, 1.8)


def _ellipse(picture: np.ndarray, centre: tuple, radii: tuple, colour: np.ndarray) -> None:
    """Filled and shaded from one side, as a round thing is. Radii and centre in pixels."""
    (x, y), (rx, ry) = centre, radii
    x1, y1 = max(0, int(x - rx)), max(0, int(y - ry))
    x2, y2 = min(picture.shape[1], int(x + rx) + 1), min(picture.shape[0], int(y + ry) + 1)
    if x2 <= x1 or y2 <= y1:
        return
    across, down = np.arange(x1, x2)[None, :, None] - x, np.arange(y1, y2)[:, None, None] - y
    inside = (across / max(rx, 1)) ** 2 + (down / max(ry, 1)) ** 2 < 1
    shade = 1 - 0.3 * (across / max(rx, 1)) - 0.2 * (down / max(ry, 1))
    part = picture[y1:y2, x1:x2]
    part[...] = np.where(inside, np.clip(colour * shade, 0, 255), part).astype(picture.dtype)


def _ramp(top: np.ndarray, bottom: np.ndarray, width: int, height: int) -> np.ndarray:
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return np.repeat(top * (1 - share) + bottom * share, width, axis=1).astype(np.float32)


def _landscape(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    light = rng.uniform(0.3, 1.0)
    sky = _ramp(np.array([110, 160, 230]) * light, np.array([230, 220, 210]) * light, width, height)
    cloud = np.clip(noise(rng, width, height) * 2 - rng.uniform(0.6, 1.4), 0, 1)[..., None]
    picture = sky * (1 - cloud) + 245 * light * cloud
    if rng.random() < 0.4:
        place = (rng.uniform(0, width), rng.uniform(0, height / 3))
        _ellipse(picture, place, (height / 20,) * 2, np.array([255, 240, 190]) * light)
    for depth in np.sort(rng.uniform(0.3, 0.9, rng.integers(1, 5))):
        line = (depth + 0.2 * (noise(rng, width, 8, 0.6)[0] - 0.5)) * height
        ground = np.arange(height)[:, None] > line[None]
        texture = 0.5 + noise(rng, width, height, 0.8)[..., None]
        picture = np.where(ground[..., None], _colour(rng, 40, 170) * light * texture, picture)
    return _clutter(picture, rng, rng.integers(0, 12), height / 8)


def _stage(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Dark, with cones of coloured light and lamps."""
    picture = np.full((height, width, 3), rng.uniform(2, 25), np.float32) * rng.uniform(0.5, 1.5, 3)
    haze = 0.4 + 0.6 * noise(rng, width, height)[..., None]
    for _ in range(rng.integers(1, 7)):
        top, foot, spread = rng.uniform(0, width), rng.uniform(0, width), rng.uniform(0.05, 0.3) * width
        corners = np.array([[top - 3, 0], [top + 3, 0], [foot + spread, height], [foot - spread, height]])
        cone = cv2.fillConvexPoly(np.zeros((height, width), np.float32), corners.astype(np.int32), 1.0)
        cone = cv2.GaussianBlur(cone, (0, 0), max(1.0, spread / 6))[..., None]
        picture += cone * haze * _colour(rng, 40, 160)
        _ellipse(picture, (top, height * 0.02), (height * 0.02,) * 2, np.array([255.0, 250, 240]))
    return _clutter(picture, rng, rng.integers(0, 8), height / 10)


def _hall(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Rows of seats before a wall."""
    light = rng.uniform(0.25, 1.0)
    wall = _ramp(_colour(rng, 80, 220), _colour(rng, 80, 200), width, height)
    picture = np.ascontiguousarray(wall * light * (0.9 + 0.2 * noise(rng, width, height)[..., None]))
    seat, side, y = _colour(rng, 30, 180) * light, height * rng.uniform(0.02, 0.05), height * rng.uniform(0.3, 0.6)
    while y < height:
        for x in np.arange(rng.uniform(-side, 0), width, side * 1.3):
            low, high = (int(x), int(y)), (int(x + side), int(y + side * 1.2))
            cv2.rectangle(picture, low, high, (seat * rng.uniform(0.8, 1.1)).tolist(), -1)
        y, side = y + side * rng.uniform(1.0, 1.4), side * 1.15
    if rng.random() < 0.6:
        heads_from_behind(picture, rng, int(rng.integers(1, 30)), height / 8)
    return picture


def _wall(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Bricks, stripes or plain paint, with pictures, letters and round things on it."""
    picture = _ramp(_colour(rng, 60, 240), _colour(rng, 60, 240), width, height).copy()
    step = int(rng.integers(8, 60))
    if rng.random() < 0.4:
        picture[::step] *= 0.6
        picture[:, :: 2 * step] *= 0.6
    elif rng.random() < 0.5:
        picture[:, (np.arange(width) // step) % 2 == 0] *= rng.uniform(0.5, 0.95)
    picture *= 0.85 + 0.3 * noise(rng, width, height, 0.7)[..., None]
    for _ in range(rng.integers(0, 5)):
        x, y, w, h = (rng.uniform(0, 1, 4) * [width, height, width / 3, height / 3]).astype(int)
        part = picture[y : y + h, x : x + w]
        part[...] = _colour(rng) * (0.4 + noise(rng, w + 2, h + 2)[: part.shape[0], : part.shape[1], None])
    return _clutter(picture, rng, rng.integers(3, 25), height / 6)


def _texture(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    share = noise(rng, width, height, rng.uniform(0.4, 1.0))[..., None]
    picture = _colour(rng) * share + _colour(rng) * (1 - share)
    return _clutter(picture, rng, rng.integers(0, 10), height / 5)


def _lights(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Lights out of focus, sequins, balls: many round things of one size, in rows or anywhere."""
    picture = _ramp(_colour(rng, 0, 120), _colour(rng, 0, 120), width, height)
    side = np.exp(rng.uniform(np.log(6), np.log(60)))
    step, blur = side * rng.uniform(0.7, 2.0), max(0.3, side * rng.uniform(0.01, 0.1))
    across, down = np.arange(0, width + step, step), np.arange(0, height + step, step)
    places = np.stack(np.meshgrid(across, down), -1).reshape(-1, 2)
    places = places[rng.random(len(places)) < rng.uniform(0.2, 1.0)][:800]
    if rng.random() < 0.5:
        places = places + rng.normal(0, step, places.shape)
    first, second = _colour(rng, 60, 255), _colour(rng, 60, 255)
    glow, tall = np.zeros_like(picture), rng.uniform(0.8, 1.3)
    for place in places:
        share = rng.random()
        _ellipse(glow, tuple(place), (side / 2, side / 2 * tall), first * share + second * (1 - share))
    return np.maximum(picture, cv2.GaussianBlur(glow, (0, 0), blur))


def _clutter(picture: np.ndarray, rng: np.random.Generator, count: int, largest: float) -> np.ndarray:
    """The picture as uint8 with round things (skin-coloured ones too) and letters: they look like faces and are
    none."""
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    height, width = picture.shape[:2]
    for _ in range(count):
        x, y, side = rng.uniform(0, width), rng.uniform(0, height), largest * rng.uniform(0.1, 1.0)
        if rng.random() < 0.6:
            colour = SKIN[rng.integers(len(SKIN))] if rng.random() < 0.4 else _colour(rng)
            radii = (side / 2, side / 2 * rng.uniform(0.5, 1.4))
            _ellipse(picture, (x, y), radii, colour * picture.mean() / 128)
        else:
            word = "".join(rng.choice(LETTERS, rng.integers(1, 6)))
            thick = max(1, int(side / 12))
            font = int(rng.integers(0, 8))
            cv2.putText(picture, word, (int(x), int(y)), font, side / 25, _colour(rng).tolist(), thick, cv2.LINE_AA)
    return picture
