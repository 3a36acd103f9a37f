"""Words as small pictures, each made once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SMALLEST = 9  # pixels: smaller letters cannot be read in a compressed film
FONTS = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}


def letter_size(width: int, height: int) -> int:
    """Pixels of the letters that suit a picture of this size: 9 for 160 x 120, 19 for 720p, 50 for 4K."""
    return max(SMALLEST, round(4 + 0.016 * (width * height) ** 0.5))


@lru_cache(maxsize=16)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / FONTS[bold]), size)


@lru_cache(maxsize=4096)
def words(text: str, size: int, ink: str, paper: str, bold: bool = False) -> np.ndarray:
    """uint8 (h, w, 3) RGB: the text on its paper, with a little room around it; of one height for one size."""
    font = _font(size, bold)
    ascent, descent = font.getmetrics()
    room = max(2, size // 3)
    width = round(font.getlength(text)) + 2 * room
    image = Image.new("RGB", (width, ascent + descent), paper)
    ImageDraw.Draw(image).text((room, 0), text, font=font, fill=ink)
    return np.asarray(image)


def paste(image: np.ndarray, part: np.ndarray, x: int, y: int) -> None:
    """Put a small picture with its left upper corner at (x, y), as far as it lies within the image."""
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + part.shape[1], image.shape[1]), min(y + part.shape[0], image.shape[0])
    if right > left and bottom > top:
        image[top:bottom, left:right] = part[top - y:bottom - y, left - x:right - x]


def rgb(colour: str) -> tuple[int, int, int]:
    """(red, green, blue) of '#RRGGBB'."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
