"""Makes clean face crops look as faces in crowds do: small, blurred, compressed, dark, turned, half hidden,
off centre.

Everything works on whole batches; only JPEG goes picture by picture, for few of them. All chance comes from
the given generator.
"""

from __future__ import annotations

import math
from fractions import Fraction

import av
import cv2
import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

# Shares of the schedule, and the side at which crops are learned from there on: a crop of 32 px costs 2.25
# times less than one of 48 px and shows nearly as much (Tan and Le, 2021: progressive learning).
SIDES = ((0.7, 48), (0.45, 40), (0.0, 32))
ONE_SIDE = ((0.0, 48),)  # where each epoch is judged by what it would be worth as the last one
LAST_HARD = 0.95  # of the schedule; from there on every other crop is only mirrored, as clean faces are met, too
SMALL_SIDES = (16, 18, 20, 22, 24, 28, 32, 36, 40)


def training_crops(
    images: np.ndarray, share: float, rng: Generator, changed: float = 1.0, sides: tuple[tuple[float, int], ...] = SIDES
) -> Tensor:
    """What is learned from faces uint8 (n, 48, 48) after a share of the schedule: float32 (n, 1, side, side).

    changed: share of the faces that are made to look as in crowds; the others are only mirrored.
    """
    clean = torch.from_numpy(images).float()[:, None]
    if changed >= 1:
        crops = augment(clean, rng)
    else:
        crops, rows = _mirrored(clean, rng), _chance(len(clean), changed, rng)
        if rows.any():
            crops[rows] = augment(clean[rows], rng)
    if share >= LAST_HARD:
        crops[::2] = _mirrored(clean, rng)[::2]
    side = next(side for begin, side in sides if share >= begin)
    return functional.interpolate(crops, size=(side, side), mode="bilinear", antialias=True)


def _mirrored(crops: Tensor, rng: Generator) -> Tensor:
    """Half of the crops as in a mirror."""
    return torch.where(torch.rand(len(crops), 1, 1, 1, generator=rng) < 0.5, crops.flip(3), crops)


def augment(crops: Tensor, rng: Generator) -> Tensor:
    """float32 (n, 1, 48, 48), grey 0..255 -> the same shape and range, changed at random."""
    crops = _light(_move(crops, rng), rng)
    crops = _occlude(crops, rng)
    crops = _blur(crops, rng)
    chosen = _chance(len(crops), 0.35, rng)
    order = torch.nonzero(chosen).flatten()
    for rows in order.tensor_split(4):
        if len(rows):
            crops[rows] = _shrink(crops[rows], rng)
    rows = torch.nonzero(~chosen & _chance(len(crops), 0.15, rng)).flatten()
    crops[rows] = _compress(_noise(crops[rows], rng), rng)
    return crops.clamp(0, 255).round()


def _chance(count: int, share: float, rng: Generator) -> Tensor:
    return torch.rand(count, generator=rng) < share


def _between(count: int, low: float, high: float, rng: Generator) -> Tensor:
    return torch.rand(count, generator=rng) * (high - low) + low


def _mostly_small(count: int, usual: float, most: float, rng: Generator) -> Tensor:
    """Normal with deviation `usual` for four in five, uniform up to `most` for the others; never beyond
    `most`.
    """
    small = (torch.randn(count, generator=rng) * usual).clamp(-most, most)
    return torch.where(_chance(count, 0.2, rng), _between(count, -most, most, rng), small)


def _move(crops: Tensor, rng: Generator) -> Tensor:
    """Mirrors, turns, scales, shears and shifts: boxes of a detector are off, heads are tilted."""
    n = len(crops)
    angle = _mostly_small(n, math.radians(6), math.radians(30), rng)
    # A detector's box is often the larger the more hair it takes in, hardly ever much too small.
    loose = _chance(n, 0.25, rng)
    scale = torch.where(loose, _between(n, -0.2, 0.35, rng), _mostly_small(n, 0.06, 0.15, rng)).exp()
    stretch = _mostly_small(n, 0.03, 0.1, rng).exp()
    mirror = torch.where(_chance(n, 0.5, rng), -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift_x, shift_y = (2 * _mostly_small(n, 0.04, 0.15, rng) for _ in range(2))
    rows = (cos * mirror * stretch, -sin, shift_x, sin * mirror * stretch, cos, shift_y)
    grid = functional.affine_grid(
        torch.stack(rows, dim=1).view(n, 2, 3), list(crops.shape), align_corners=False
    )
    edge = "border" if torch.rand(1, generator=rng) < 0.5 else "reflection"
    moved = functional.grid_sample(crops, grid, padding_mode=edge, align_corners=False)
    if torch.rand(1, generator=rng) < 0.5:
        return moved
    inside = functional.grid_sample(torch.ones_like(crops), grid, padding_mode="zeros", align_corners=False)
    return moved * inside + crops.roll(1, 0) * (1 - inside)  # beyond the crop lies another face, as in a crowd


def _light(crops: Tensor, rng: Generator) -> Tensor:
    """Gamma, contrast and brightness; one in ten is dark and noisy; one in ten is lit from a side."""
    n = len(crops)
    gamma = _mostly_small(n, 0.15, 0.7, rng).exp().view(n, 1, 1, 1)
    contrast = _mostly_small(n, 0.1, 0.5, rng).exp().view(n, 1, 1, 1)
    shift = _mostly_small(n, 12, 60, rng).view(n, 1, 1, 1)
    crops = (255 * (crops.clamp(0, 255) / 255).pow(gamma) - 128) * contrast + 128 + shift
    slope = torch.where(_chance(n, 0.1, rng), _between(n, -0.7, 0.7, rng), 0.0).view(n, 1, 1, 1)
    crops = crops.clamp(0, 255) * (1 + slope * torch.linspace(-1, 1, crops.shape[3]))
    dark = torch.where(_chance(n, 0.1, rng), _between(n, 0.08, 0.5, rng), 1.0).view(n, 1, 1, 1)
    grain = torch.where(dark < 1, 3.0, 0.0) * torch.randn(crops.shape, generator=rng)
    return (crops * dark + grain).clamp(0, 255).round()


def _occlude(crops: Tensor, rng: Generator) -> Tensor:
    """Hides a rectangle of a quarter of the faces: a hand, a microphone, another head."""
    n, _, height, width = crops.shape
    size_x, size_y = (_between(n, 6, 24, rng).view(n, 1, 1) for _ in range(2))
    centre_x, centre_y = (_between(n, 0, 48, rng).view(n, 1, 1) for _ in range(2))
    x, y = torch.arange(width).view(1, 1, width), torch.arange(height).view(1, height, 1)
    inside = ((x - centre_x).abs() * 2 < size_x) & ((y - centre_y).abs() * 2 < size_y)
    inside &= _chance(n, 0.25, rng).view(n, 1, 1)
    fill = _between(n, 0, 255, rng).view(n, 1, 1, 1)
    texture = torch.where(_chance(n, 0.3, rng).view(n, 1, 1, 1), 40.0, 4.0) * torch.randn(
        crops.shape, generator=rng
    )
    return torch.where(inside[:, None], (fill + texture).clamp(0, 255), crops)


def _blur(crops: Tensor, rng: Generator) -> Tensor:
    """Blurs one in eight evenly and one in sixteen along a line, as a hand-held camera does."""
    order = torch.randperm(len(crops), generator=rng)
    even, moved = order[: len(order) // 8], order[len(order) // 8 : len(order) * 3 // 16]
    offset = torch.arange(-4, 5, dtype=torch.float32)
    sigma = _between(1, 0.5, 2.0, rng)
    line = torch.exp(-(offset**2) / (2 * sigma**2))
    for rows, kernel in ((even, line[:, None] * line[None, :]), (moved, _line_kernel(offset, rng))):
        if len(rows):
            kernel = (kernel / kernel.sum()).view(1, 1, 9, 9)
            crops[rows] = functional.conv2d(functional.pad(crops[rows], (4,) * 4, mode="replicate"), kernel)
    return crops


def _line_kernel(offset: Tensor, rng: Generator) -> Tensor:
    angle, reach = float(_between(1, 0, math.pi, rng)), float(_between(1, 1, 4, rng))
    x, y = offset[None, :], offset[:, None]
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return torch.exp(-(across**2)) * (along.abs() <= reach)


def _shrink(crops: Tensor, rng: Generator) -> Tensor:
    """Down to a small face, spoiled there by noise and compression, and back up."""
    side = SMALL_SIDES[int(torch.randint(len(SMALL_SIDES), (1,), generator=rng))]
    small = functional.interpolate(crops, size=(side, side), mode="bilinear", antialias=True)
    if torch.rand(1, generator=rng) < 0.5:
        small = _compress(_noise(small, rng), rng)
    mode = "bilinear" if torch.rand(1, generator=rng) < 0.5 else "bicubic"
    return functional.interpolate(small.clamp(0, 255), size=crops.shape[2:], mode=mode)


def _noise(crops: Tensor, rng: Generator) -> Tensor:
    strength = _between(len(crops), 0, 8, rng).view(-1, 1, 1, 1)
    return crops + strength * torch.randn(crops.shape, generator=rng)


def _compress(crops: Tensor, rng: Generator) -> Tensor:
    """Half of the time as a photograph, half of the time as a video would be."""
    pictures = crops.clamp(0, 255).round().to(torch.uint8).numpy()[:, 0]
    if not len(crops):
        return crops
    spoil = _jpeg if torch.rand(1, generator=rng) < 0.5 else _h264
    return torch.from_numpy(spoil(pictures, rng)).float()[:, None]


def _h264(pictures: np.ndarray, rng: Generator) -> np.ndarray:
    """One frame of H.264 in which the pictures lie side by side, its quantizer 22 to 40. uint8 (n, side, side)."""
    n, side, _ = pictures.shape
    wide = math.ceil(math.sqrt(n))
    tiles = np.zeros((math.ceil(n / wide) * wide, side, side), np.uint8)
    tiles[:n] = pictures
    frame = tiles.reshape(-1, wide, side, side).swapaxes(1, 2).reshape(-1, wide * side)
    planes = np.concatenate([frame, np.full((len(frame) // 2, frame.shape[1]), 128, np.uint8)])
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = frame.shape[1], len(frame)
    encoder.pix_fmt, encoder.time_base, encoder.thread_count = "yuv420p", Fraction(1, 25), 1
    quantizer = int(torch.randint(22, 41, (1,), generator=rng))
    encoder.options = {"preset": "veryfast", "tune": "zerolatency", "qp": str(quantizer)}
    packets = encoder.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")) + encoder.encode(None)
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    shown = next(one for packet in (*packets, None) for one in decoder.decode(packet))
    grey = shown.to_ndarray(format="yuv420p")[: len(frame)]
    tiles = grey.reshape(-1, side, wide, side).swapaxes(1, 2).reshape(-1, side, side)
    return tiles[:n]


def _jpeg(pictures: np.ndarray, rng: Generator) -> np.ndarray:
    """JPEG of quality 15 to 80, picture by picture. uint8 (n, side, side)."""
    quality = _between(len(pictures), 15, 80, rng).int().tolist()
    spoiled = np.empty_like(pictures)
    for index, picture in enumerate(pictures):
        _, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality[index]))
        spoiled[index] = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    return spoiled
