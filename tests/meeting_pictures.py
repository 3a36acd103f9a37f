"""Pictures for generated meetings: rooms, avatars, profile photos, name bars, shared slides."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from matplotlib import get_data_path
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont


def photographs(media: Path) -> list[np.ndarray]:
    """Square pictures of faces for profiles, uint8 (n, n, 3): from the photos, else from a dependency's sample."""
    paths = sorted((media / "photos").glob("e26_*.jpg"))
    paths = paths or [Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"]
    pictures = [np.array(Image.open(path).convert("RGB")) for path in paths]
    return [picture[: picture.shape[1]] for picture in pictures]


def room(rng: np.random.Generator, width: int = 960, height: int = 540) -> np.ndarray:
    """What is behind somebody: a wall with furniture, a flat colour, or a landscape as virtual background."""
    kind = rng.choice(["room", "room", "room", "flat", "landscape"])
    if kind == "landscape":
        coarse = np.clip(rng.normal((110, 140, 150), 14, (5, 8, 3)) + rng.normal(0, 45, (5, 8, 1)), 0, 255).astype(np.uint8)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    wall = rng.uniform(60, 225) * rng.uniform(0.8, 1.0, 3)
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = wall
    if kind == "room":
        picture *= np.linspace(rng.uniform(0.6, 1.0), rng.uniform(0.8, 1.15), width, dtype=np.float32)[None, :, None]
        for _ in range(rng.integers(2, 6)):
            _furniture(picture, rng)
    picture += cv2.GaussianBlur(rng.normal(0, 6, picture.shape).astype(np.float32), (0, 0), 1.5)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _furniture(picture: np.ndarray, rng: np.random.Generator) -> None:
    """A window, frame, door or shelf: something with straight edges, as rooms have, to mislead who looks for tiles."""
    height, width = picture.shape[:2]
    w, h = int(rng.uniform(0.08, 0.35) * width), int(rng.uniform(0.15, 0.9) * height)
    x, y = int(rng.uniform(-0.1, 0.9) * width), int(rng.uniform(-0.1, 0.7) * height)
    colour = rng.uniform(20, 235) + rng.normal(0, 22, 3).clip(-20, 20)
    cv2.rectangle(picture, (x, y), (x + w, y + h), tuple(map(float, colour)), -1)
    cv2.rectangle(picture, (x, y), (x + w, y + h), tuple(map(float, colour * 0.7)), max(2, width // 200))
    for shelf in range(rng.integers(0, 4)):
        level = y + h * (shelf + 1) // 4
        cv2.line(picture, (x, level), (x + w, level), tuple(map(float, colour * 0.6)), 3)


def slide(rng: np.random.Generator, size: tuple[int, int], poster: np.ndarray | None = None) -> np.ndarray:
    """A shared screen, uint8 (h, w, 3): a page of a talk, perhaps with a photograph of a face on it."""
    width, height = size
    picture = Image.new("RGB", size, tuple(int(c) for c in rng.choice([(255, 255, 255), (245, 240, 228), (24, 40, 72)])))
    pen = ImageDraw.Draw(picture)
    ink = (20, 20, 30) if picture.getpixel((0, 0))[0] > 100 else (235, 235, 245)
    pen.text((width * 0.07, height * 0.07), f"Figures of quarter {rng.integers(1, 5)}", fill=ink, font=_font(height // 14))
    for line in range(int(rng.integers(3, 7))):
        words = " ".join(rng.choice(["growth", "members", "plan", "costs", "next", "we", "answer", "2026"], 6))
        pen.text((width * 0.08, height * (0.22 + 0.09 * line)), f"- {words}", fill=ink, font=_font(height // 24))
    if rng.random() < 0.5 or poster is not None:
        side = int(height * 0.4)
        block = poster if poster is not None else np.full((8, 8, 3), rng.integers(40, 220, 3), np.uint8)
        picture.paste(Image.fromarray(block).resize((side, side)), (int(width * 0.65), int(height * 0.5)))
    return np.array(picture)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(findfont("DejaVu Sans"), max(6, size))


def switched_off(name: str, kind: str, size: tuple[int, int], photo: np.ndarray, hue: int) -> np.ndarray:
    """A tile whose camera is off, uint8 (h, w, 3). kind: 'name', 'initials' or 'photo'."""
    width, height = size
    picture = Image.new("RGB", size, (36, 36, 38) if kind != "photo" else (44, 44, 46))
    pen = ImageDraw.Draw(picture)
    middle, around = (width / 2, height / 2), photo_box(size)
    corner, side = (int(around[0]), int(around[1])), int(around[2] - around[0])
    if kind == "name":
        pen.text(middle, name, fill=(240, 240, 240), font=_font(height // 9), anchor="mm")
    elif kind == "initials":
        colour = tuple(int(c) for c in cv2.cvtColor(np.uint8([[[hue, 150, 170]]]), cv2.COLOR_HSV2RGB)[0, 0])
        pen.ellipse(tuple(around), fill=colour)
        initials = "".join(word[0] for word in name.split())[:2].upper()
        pen.text(middle, initials, fill=(255, 255, 255), font=_font(side // 2), anchor="mm")
    else:
        picture.paste(Image.fromarray(photo).resize((side, side), Image.Resampling.LANCZOS), corner)
    return np.array(picture)


def photo_box(size: tuple[int, int]) -> np.ndarray:
    """Where in a tile the photograph or circle is, (4,) x1 y1 x2 y2."""
    width, height = size
    side = int(height * 0.46)
    corner = np.array([(width - side) // 2, (height - side) // 2])
    return np.hstack([corner, corner + side])


@lru_cache(maxsize=4096)
def name_bar(name: str, height: int, muted: bool = False) -> np.ndarray:
    """A name on half-transparent black, RGBA uint8 (height, w, 4)."""
    font = _font(round(height * 0.66))
    start = round(height * (1.0 if muted else 0.3))
    picture = Image.new("RGBA", (round(font.getlength(name)) + start + round(height * 0.35), height), (0, 0, 0, 150))
    pen = ImageDraw.Draw(picture)
    pen.text((start, height / 2), name, fill=(255, 255, 255, 255), font=font, anchor="lm")
    if muted:
        pen.rounded_rectangle((height * 0.4, height * 0.2, height * 0.65, height * 0.6), height * 0.1, fill=(230, 50, 50, 255))
        pen.line((height * 0.25, height * 0.85, height * 0.85, height * 0.15), fill=(230, 50, 50, 255), width=max(1, height // 10))
    return np.array(picture)


def lay_over(canvas: np.ndarray, x: int, y: int, picture: np.ndarray) -> None:
    """Draw an RGBA picture over a canvas (changed), cut at the canvas' edges; x, y: its left upper corner."""
    height, width = canvas.shape[:2]
    left, top = max(0, -x), max(0, -y)
    part = picture[top:max(top, height - y), left:max(left, width - x)]
    if part.size:
        under = canvas[y + top:y + top + part.shape[0], x + left:x + left + part.shape[1]]
        alpha = part[..., 3:].astype(np.float32) / 255
        under[:] = (under * (1 - alpha) + part[..., :3] * alpha + 0.5).astype(np.uint8)
