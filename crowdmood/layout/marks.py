"""Marks of a gallery tile: fingerprints of its name bar and of its appearance, and the coloured frame of who speaks.

A fingerprint tells the same from another one and nothing more: it keeps too little to be read back as a name
or to be seen as a picture. (Whoever has both a fingerprint and a name can still test whether they fit.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

LABEL_BYTES = 32  # a length and 248 signs of projections of the name's picture
LOOK_BYTES = 54   # colours (Y, Cr, Cb) of 18 cells of 6 x 4: the middle, where the face is, and the name bar are left out
LABEL_SAME = 0.22  # nearer than this is the same name: of the same ones over busy pictures 6 in 10 are, of other names 6 in 10000
LOOK_SAME = 0.1   # farther is another room; nearer proves nothing alone: one camera keeps to 0.02, others begin at 0.03
BAR_HEIGHT, BAR_WIDTH = 0.26, 0.8   # shares of a tile, from its lower left corner, where a name is looked for
BAR_REACH = 0.24                   # ... and the most of the picture's width
CHANGED = 0.15                     # share of a name's ink that may change while it is the same
BAR_PIXELS = (14, 64)              # ... and the least and most pixels of height
INK = 45                           # grey levels by which letters are brighter than what is around them
WHITE = 125                        # grey level that letters have at least
SPACE = 0.9                        # a gap wider than this, in heights of letters, ends a name
SPECK = 0.5                        # ink of a letter, in pixels by its height, at least
DARK_BAR = 150                     # ... and so does one without a dark column
INKED = (0.1, 0.72)                # share of ink in a line of letters
BRIGHT_INK = 160                   # ink above this counts no more: bars differ in how dark they are
LETTERS = (4, 34)                  # pixels of height
STRIP = (64, 4)                    # columns and rows of the name's picture
CELLS = (6, 4)
RIM = 2                            # pixels of the small picture at a tile's sides that the speaker frame may cover
ALIKE = 50                         # levels of each channel within which a frame has one colour, after coding
BESIDE = 4            # pixels outside of a box in which its speaker frame is looked for too


def label_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compare label fingerprints, uint8 (m, LABEL_BYTES) and (n, LABEL_BYTES): float32 (m, n), 0 the same .. 1.

    An empty label (all zero) is at distance 1 of every label, also of another empty one.
    """
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)), np.float32)
    bits = POPULATION[a[:, None, 1:] ^ b[None, :, 1:]].sum(axis=2) / (8.0 * (LABEL_BYTES - 1))
    length = np.abs(a[:, None, 0].astype(np.float32) - b[None, :, 0]) / 64.0
    empty = (~a.any(axis=1))[:, None] | (~b.any(axis=1))[None]
    return np.where(empty, 1.0, np.clip(np.maximum(bits, length), 0.0, 1.0)).astype(np.float32)


def look_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compare look fingerprints, uint8 (m, LOOK_BYTES) and (n, LOOK_BYTES): float32 (m, n), 0 the same .. 1."""
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)), np.float32)
    return (np.abs(a[:, None].astype(np.float32) - b[None]).mean(axis=2) / 255.0).astype(np.float32)


POPULATION = np.array([value.bit_count() for value in range(256)], np.uint8)


@dataclass(frozen=True)
class Names:
    """The name bars of k tiles of one size. inked: bool (k, h, w), where letters may be, in the tiles' lower left corners;
    end: int (k,), the column where a name ends, w without one; label: uint8 (k, LABEL_BYTES)."""

    inked: np.ndarray
    end: np.ndarray
    label: np.ndarray


def read_names(image: np.ndarray, boxes: np.ndarray, before: Names | None = None) -> Names:
    """Fingerprint the names in the lower left corners of boxes of one size, int (k, 4), of an RGB picture.

    before: the names of the same tiles a frame ago; where the letters are still the same, so is the fingerprint.
    """
    white, ink = _ink(image, boxes)
    inked = (ink >= INK) & (white >= WHITE)
    end, label = np.full(len(boxes), inked.shape[2]), np.zeros((len(boxes), LABEL_BYTES), np.uint8)
    same = np.zeros(len(boxes), bool)
    if before is not None and before.inked.shape == inked.shape:
        name = before.inked & (np.arange(inked.shape[2]) < before.end[:, None])[:, None]
        changed = (inked ^ before.inked) & (np.arange(inked.shape[2]) < before.end[:, None])[:, None]
        same = changed.sum(axis=(1, 2)) <= CHANGED * name.sum(axis=(1, 2))
        end[same], label[same] = before.end[same], before.label[same]
        inked[same] = before.inked[same]  # so that many small changes add up to one
    for tile in np.flatnonzero(~same):
        found = find_name(_within(inked[tile]), white[tile])
        if found is not None:
            left, top, bottom, end[tile] = found
            label[tile] = _fingerprint(ink[tile, top:bottom, left:end[tile]])
    return Names(inked, end, label)


def _ink(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least channel, and how much brighter it is than around it, uint8 (k, h, w), of the corners with the names."""
    if not len(boxes):
        return (np.zeros((0, 1, 1), np.uint8),) * 2
    wide, tall = (boxes[:, 2:] - boxes[:, :2]).min(axis=0)
    high = int(min(np.clip(tall * BAR_HEIGHT, *BAR_PIXELS), tall))
    wide = int(min(wide * BAR_WIDTH, max(BAR_REACH * image.shape[1], wide * 0.3)))
    corners = np.concatenate([image[y2 - high:y2, x1:x1 + wide] for x1, _, _, y2 in boxes.tolist()])
    red, green, blue = cv2.split(corners)
    white = cv2.min(cv2.min(red, green), blue)  # coloured signs beside the name are none of it
    ink = cv2.morphologyEx(white, cv2.MORPH_TOPHAT, np.ones((7, 7), np.uint8))
    return white.reshape(-1, high, wide), ink.reshape(-1, high, wide)


def _within(inked: np.ndarray) -> np.ndarray:
    """Ink, bool (h, w), less what touches the left or lower border: what is seen beside a name bar is no letter."""
    if not inked[:, 0].any() and not inked[-1].any():
        return inked
    _, part = cv2.connectedComponents(inked.view(np.uint8), connectivity=8)
    return inked & ~np.isin(part, np.union1d(part[:, 0], part[-1]))


def find_name(inked: np.ndarray, white: np.ndarray) -> tuple[int, int, int, int] | None:
    """Find a line of letters on a dark bar near the left end: x1 y1 y2 x2, or None.

    inked: bool (h, w), True where there is ink; white: uint8 (h, w), the least channel.
    """
    # The first letters tell the height: further right there may be anything beside the name bar.
    band = _lowest_band(inked[:, : len(inked) + 6].sum(axis=1) >= 2)
    if band is None:
        return None
    top, bottom = band
    high = bottom - top
    columns = _without_specks(inked[top:bottom].sum(axis=0), high)
    gaps = np.flatnonzero(np.diff(columns) > 1)
    after = columns[gaps + 1]
    far = after - columns[gaps] > SPACE * high + 3
    # What reaches higher above them than any letter, or has no dark bar before it, is beside the bar.
    reach = max(2, high // 4)
    above = inked[max(top - round(0.45 * high), 0):max(top - max(2, round(0.2 * high)), 0)].any(axis=0)
    above = np.array([above[column:column + reach + 1].any() for column in after], bool)
    level = white[top:bottom].min(axis=0)
    bright = np.array([level[start + 1:end].min() for start, end in zip(columns[gaps], after, strict=True)]) > DARK_BAR
    ends = gaps[far | above & (after - columns[gaps] > 2) | bright]
    start, end = int(columns[0]), int(columns[ends[0] if len(ends) else -1]) + 1
    share = inked[top:bottom, start:end].mean()
    fits = start <= 2.5 * high + 4 and end - start >= max(0.7 * high, 5) and INKED[0] <= share <= INKED[1]
    return (start, *_whole_letters(inked[:, start:end], top, bottom), end) if fits else None


def _without_specks(ink: np.ndarray, high: int) -> np.ndarray:
    """Columns with ink, of int (w,) pixels in each, but not what stands before the first letter and is smaller than any: the
    codec leaves such specks at the inner edge of a speaker frame."""
    columns = np.flatnonzero(ink)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(columns) > 1) + 1])
    large = np.flatnonzero(np.add.reduceat(ink[columns], starts) >= SPECK * high)
    return columns[starts[large[0]]:] if len(large) else columns


def _whole_letters(inked: np.ndarray, top: int, bottom: int) -> tuple[int, int]:
    """Top and bottom rows of a line of letters, with what hangs below those that it was found by, or stands out above."""
    reach = (bottom - top) // 3
    there = inked.any(axis=1)
    up = next((row for row in range(top, max(top - reach, 0), -1) if not there[row - 1]), top)
    down = next((row for row in range(bottom, min(bottom + reach, len(there))) if not there[row]), bottom)
    return up, down


def _lowest_band(there: np.ndarray) -> tuple[int, int] | None:
    """The lowest run of True that is as high as letters are and ends below the top: first and behind the last, or None."""
    padded = np.concatenate([[False], there, [False]])
    starts, ends = np.flatnonzero(padded[1:] & ~padded[:-1]), np.flatnonzero(~padded[1:] & padded[:-1])
    for top, bottom in zip(starts[::-1].tolist(), ends[::-1].tolist(), strict=True):
        if LETTERS[0] <= bottom - top <= LETTERS[1] and top:
            return top, bottom
    return None


def _fingerprint(ink: np.ndarray) -> np.ndarray:
    """Length and signs of projections of a name's picture, uint8 (LABEL_BYTES,), first byte never 0.

    Above and below, the picture ends where its ink becomes rare (two deviations from its middle): a faint row more
    or less, which the size of the letters decides, changes nothing.
    """
    ink = np.minimum(ink, BRIGHT_INK)
    rows, place = ink.sum(axis=1, dtype=np.float64), np.arange(len(ink))
    middle = rows @ place / rows.sum()
    half = 2 * max(float(np.sqrt(rows @ (place - middle) ** 2 / rows.sum())), 0.5)
    wide, (columns, lines) = ink.shape[1], STRIP
    smooth = cv2.GaussianBlur(ink, (0, 0), max(0.3, 1.2 * wide / columns), sigmaY=max(0.3, half / lines))
    corners = np.float32([[0, middle - half], [wide, middle - half], [0, middle + half]])
    turn = cv2.getAffineTransform(corners, np.float32([[0, 0], [2 * columns, 0], [0, 4 * lines]]) - 0.5)
    strip = cv2.warpAffine(smooth, turn, (2 * columns, 4 * lines)).astype(np.float32)
    strip = cv2.resize(strip, STRIP, interpolation=cv2.INTER_AREA)
    strip -= strip.mean(axis=1, keepdims=True)
    length = np.clip(round(32 * np.log2(1 + wide / half)), 1, 255)
    return np.concatenate([[np.uint8(length)], np.packbits(_projections() @ strip.ravel() > 0)])


@lru_cache(maxsize=1)
def _projections() -> np.ndarray:
    return np.random.default_rng(20).standard_normal((8 * (LABEL_BYTES - 1), STRIP[0] * STRIP[1])).astype(np.float32)


def looks(small: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Fingerprint the colours around the middle of boxes, float (k, 4), of a small RGB picture: uint8 (k, LOOK_BYTES).

    A speaker frame that comes or goes changes nothing: a tile's rim is left out.
    """
    outer = np.ones((CELLS[1], CELLS[0]), bool)
    outer[1:3, 2:4] = False
    outer[3, :2] = False  # the name bar
    cells = np.zeros((len(boxes), CELLS[1], CELLS[0], 3), np.uint8)
    for tile, (x1, y1, x2, y2) in enumerate(np.rint(boxes + [RIM, RIM, -RIM, -RIM]).astype(int).tolist()):
        cells[tile] = cv2.resize(small[y1:max(y2, y1 + 1), x1:max(x2, x1 + 1)], CELLS, interpolation=cv2.INTER_AREA)
    if not len(boxes):
        return np.zeros((0, LOOK_BYTES), np.uint8)
    colours = cv2.cvtColor(cells.reshape(-1, CELLS[0] * CELLS[1], 3), cv2.COLOR_RGB2YCrCb)
    return colours[:, outer.ravel()].reshape(len(boxes), LOOK_BYTES)


def speaker_frames(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """How surely a green, yellow or blue frame is drawn along the inside of boxes, int (k, 4): float32 (k,) 0..1.

    One colour must be along all sides and end a little further inside: a green background does not. The box may have been
    drawn along the frame's inner edge, as it is the stronger line.
    """
    height = image.shape[0]
    inwards = np.append(np.arange(-BESIDE, max(3, height // 200) + 2), [max(8, height // 80), max(10, height // 64)])
    surely = np.zeros(len(boxes), np.float32)
    glance = _frame_coloured(_along_sides(image, boxes, inwards[:-2], 5)).mean(axis=2)
    likely = np.flatnonzero((glance.max(axis=2) >= 0.4).all(axis=0))  # hardly ever more than one of them
    pixels = _along_sides(image, boxes[likely], inwards, 21)
    outer = pixels[..., :-2, :]
    coloured = _frame_coloured(outer).mean(axis=2)
    vivid = coloured * np.ptp(outer, axis=-1).mean(axis=2)
    for tile in np.flatnonzero((coloured.max(axis=2) >= 0.5).all(axis=0)):
        line = np.take_along_axis(outer[:, tile], vivid[:, tile].argmax(axis=1)[:, None, None, None], axis=2)
        colour = np.median(line, axis=1, keepdims=True)  # of each side
        one = np.ptp(colour, axis=0).max() <= 2 * ALIKE and _frame_coloured(colour).all()
        there, inside = (_alike(part, colour).mean(axis=1).max(axis=1) for part in (line, pixels[:, tile, :, -2:]))
        surely[likely[tile]] = max((there - inside).min(), 0) if one else 0
    return surely


def _along_sides(image: np.ndarray, boxes: np.ndarray, inwards: np.ndarray, places: int) -> np.ndarray:
    """Pixels int16 (4 sides, k, places along the side, pixels inwards, 3)."""
    along = np.linspace(0.08, 0.92, places)
    x1, y1, x2, y2 = (side[:, None, None] for side in boxes.T)
    x, y = x1 + along[:, None] * (x2 - x1), y1 + along[:, None] * (y2 - y1)
    shape = (len(boxes), len(along), len(inwards))
    sides = [(x1 + inwards, y), (x2 - 1 - inwards, y), (x, y1 + inwards), (x, y2 - 1 - inwards)]
    columns, rows = (np.stack([np.broadcast_to(side[axis], shape) for side in sides]).astype(np.int64) for axis in (0, 1))
    height, width = image.shape[:2]
    return image[np.minimum(np.maximum(rows, 0), height - 1), np.minimum(np.maximum(columns, 0), width - 1)].astype(np.int16)


def _alike(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Where pixels (..., 3) have about a colour."""
    return np.abs(pixels - colour).max(axis=-1) <= ALIKE


def _frame_coloured(pixels: np.ndarray) -> np.ndarray:
    """True where pixels, int16 (..., 3), have a colour that speaker frames have."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    yellow_green = (green >= 110) & (green - blue >= 50) & (green >= red - 10)
    bluish = (blue >= 140) & (blue - red >= 60) & (blue - green >= 15)
    return yellow_green | bluish
