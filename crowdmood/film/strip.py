"""The strip below the picture: the mix and the positivity of the whole recording, and where the film is in it.

What has been seen stands in full colour, what is to come is dim. Both are drawn once; a frame is put together from
the two, a line, and the time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from crowdmood.clock import format_time
from crowdmood.curves import Curves, outline, stretches, ticks
from crowdmood.film.lettering import SMALLEST, letter_size, paste, rgb, words
from crowdmood.palette import EXPRESSION_COLOURS, STACK_ORDER

PAPER, GROUND, INK, MUTED = "#12161D", "#1F252F", "#F2F4F7", "#98A2B3"
DIM = 0.36
FINER = 3  # drawn so many times as large and shrunk, which makes edges smooth
SMALL_PICTURE = 240  # pixels: on a lower picture there is no room for more than the mix


class Strip:
    """The strip of a film of so many pixels: `width` its own, `height` that of the picture above it.

    self.height: pixels, even.
    """

    def __init__(self, curves: Curves, width: int, height: int) -> None:
        self.curves, self.width, self.letters = curves, width, letter_size(width, height)
        self.small = max(SMALLEST, round(0.75 * self.letters))
        room = max(4, self.letters // 2)
        header, axis = words("0", self.letters, INK, PAPER).shape[0], words("0", self.small, INK, PAPER).shape[0]
        mix, positivity = max(14, round(0.085 * height)), round(0.06 * height) if height >= SMALL_PICTURE else 0
        gutter = words("positivity", self.small, INK, PAPER).shape[1] if positivity and width >= 480 else 0
        self.left, self.right = max(room, gutter + room // 2), width - room
        self.tops = [top := header + room, top + mix]
        if positivity:
            self.tops += [top := top + mix + max(2, room // 3), top + positivity]
        bottom = self.tops[-1] + (axis if positivity else room)
        self.height = bottom + bottom % 2
        self.room = room
        self.bright, self.dim = self._drawn()

    def draw(self, target: np.ndarray, time: float) -> None:
        """Draw the strip as it is at `time` seconds into target, uint8 (self.height, self.width, 3)."""
        start, end = self.curves.span
        now = self.left + round((self.right - self.left) * min(max((time - start) / (end - start), 0.0), 1.0))
        target[:, :now], target[:, now:] = self.bright[:, :now], self.dim[:, now:]
        half = max(1, self.letters // 16)
        target[self.tops[0] - 3 * half:self.tops[-1] + half, max(now - half, 0):now + half] = rgb(INK)
        tenths = int(time * 10 + 1e-6)
        clock = words(f"{format_time(tenths // 10)}.{tenths % 10}", self.letters, INK, PAPER, bold=True)
        paste(target, clock, self.left - self.letters // 3, self.room // 2)

    def _drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """The strip when all has been seen, and when nothing has: uint8 (h, w, 3) each."""
        image = np.empty((self.height, self.width, 3), np.uint8)
        image[:] = rgb(PAPER)
        plots = [_shrunk(self._mix), _shrunk(self._positivity)][:len(self.tops) // 2]
        size = self.right - self.left
        for plot, top, bottom in zip(plots, self.tops[::2], self.tops[1::2], strict=True):
            image[top:bottom, self.left:self.right] = plot(size, bottom - top)
        dim = image.copy()
        plotted = slice(self.tops[0], self.tops[-1]), slice(self.left, self.right)
        dim[plotted] = np.rint(DIM * image[plotted] + (1 - DIM) * np.array(rgb(PAPER))).astype(np.uint8)
        for one in (image, dim):
            self._legend(one)
            self._words(one)
        return image, dim

    def _across(self, seconds: np.ndarray, width: int) -> np.ndarray:
        start, end = self.curves.span
        return width * (seconds - start) / (end - start)

    def _mix(self, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
        tops = np.cumsum(self.curves.mix, axis=0)
        for name, top in reversed(list(zip(STACK_ORDER, tops, strict=True))):
            for part in stretches(self.curves, top):
                x, y = outline(self.curves, part, top)
                self._area(draw, x, 1 - y, (1.0, width, height), EXPRESSION_COLOURS[name])

    def _positivity(self, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
        middle = height / 2
        for part in stretches(self.curves, self.curves.positivity):
            x, y = outline(self.curves, part, self.curves.positivity)
            fine = np.linspace(x[0], x[-1], max(2, len(x) * 8))  # so that an area ends where the line crosses zero
            y = np.interp(fine, x, y)
            for sign, name in ((1, "happy"), (-1, "angry")):
                self._area(draw, fine, 0.5 - sign * np.maximum(sign * y, 0) / 2, (0.5, width, height), EXPRESSION_COLOURS[name])
            points = list(zip(self._across(fine, width), middle * (1 - y), strict=True))
            draw.line(points, fill=INK, width=max(2, height // 20), joint="curve")
        draw.line([(0, middle), (width, middle)], fill=MUTED, width=max(1, height // 50))

    def _area(self, draw: ImageDraw.ImageDraw, x: np.ndarray, y: np.ndarray, shape: tuple[float, int, int], colour: str) -> None:
        """Fill between a line and a level floor. y: 0 the top, 1 the bottom. shape: floor, width, height."""
        floor, width, height = shape
        across = self._across(x, width)
        points = [(across[0], floor * height), *zip(across, y * height, strict=True), (across[-1], floor * height)]
        draw.polygon(points, fill=colour)

    def _legend(self, image: np.ndarray) -> None:
        """The expressions' colours and names at the right of the header, as many as there is room for."""
        least = words("0:00:00.0", self.letters, INK, PAPER, bold=True).shape[1] + self.left
        shares = np.nan_to_num(np.nanmean(self.curves.mix, axis=1) if self.curves.mix.size and not np.isnan(self.curves.mix).all()
                               else np.zeros(len(STACK_ORDER)))
        by_share = [STACK_ORDER[row] for row in np.argsort(-shares, kind="stable")]
        for count in range(len(by_share), 0, -1):
            names = [name for name in STACK_ORDER if name in by_share[:count]]
            parts = [words(name, self.small, MUTED, PAPER) for name in names]
            side = self.small
            total = sum(part.shape[1] + side for part in parts) + self.room * (count - 1)
            if total <= self.right - least:
                return self._keys(image, names, parts, self.right - total)
        return None

    def _keys(self, image: np.ndarray, names: Sequence[str], parts: Sequence[np.ndarray], x: int) -> None:
        middle = self.room // 2 + words("0", self.letters, INK, PAPER).shape[0] // 2
        for name, part in zip(names, parts, strict=True):
            half = self.small * 5 // 12
            image[middle - half:middle + half, x:x + 2 * half] = rgb(EXPRESSION_COLOURS[name])
            paste(image, part, x + 2 * half, middle - part.shape[0] // 2)
            x += part.shape[1] + self.small + self.room

    def _words(self, image: np.ndarray) -> None:
        """What the two plots are, and times below them."""
        if len(self.tops) < 4:
            return
        for name, top, bottom in zip(("mix", "positivity"), self.tops[::2], self.tops[1::2], strict=True):
            part = words(name, self.small, MUTED, PAPER)
            if self.left >= part.shape[1]:
                paste(image, part, self.left - part.shape[1], (top + bottom - part.shape[0]) // 2)
        start, end = self.curves.span
        for place in ticks(start, end, max(2, (self.right - self.left) // (5 * self.small))):
            part = words(format_time(place), self.small, MUTED, PAPER)
            x = self.left + round(self._across(np.float64(place), self.right - self.left))
            paste(image, part, min(max(x - part.shape[1] // 2, 0), self.width - part.shape[1]), self.tops[-1])


def _shrunk(draw):
    """A function (width, height) -> uint8 (height, width, 3) from one that draws on a larger canvas."""
    def plot(width: int, height: int) -> np.ndarray:
        large = Image.new("RGB", (width * FINER, height * FINER), GROUND)
        draw(ImageDraw.Draw(large), width * FINER, height * FINER)
        return np.asarray(large.resize((width, height), Image.Resampling.BOX))
    return plot
