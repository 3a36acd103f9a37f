"""Boxes and labels upon a picture: the colour is that of the expression shown, dashed grey is an uncertain face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crowdmood.film.lettering import letter_size, paste, rgb, words
from crowdmood.film.paths import NAMES, Sightings
from crowdmood.labels import UNCERTAIN
from crowdmood.palette import DARK_INK, EXPRESSION_COLOURS, LABEL_INKS

EDGE = rgb(DARK_INK)


class Overlay:
    """Draws the faces of a run on pictures of one size. scale: pixels of the picture per pixel of the recording."""

    def __init__(self, seen: Sightings, width: int, height: int, scale: float) -> None:
        self.seen, self.width, self.height, self.scale = seen, width, height, scale
        self.letters = letter_size(width, height)
        self.line = max(2, 2 * round(self.letters / 14))  # even: a film stores colour for 2 x 2 pixels
        self._labels: dict[int, tuple[str, int]] = {}
        self._rows: bytes = b""

    def draw(self, image: np.ndarray, boxes: np.ndarray, rows: np.ndarray) -> None:
        """Draw boxes (m, 4), in the recording's pixels, of the sightings `rows` (m,), in place."""
        corners = 2 * np.rint(boxes * (self.scale / 2)).astype(np.int64)
        order = np.argsort(boxes[:, 3] - boxes[:, 1], kind="stable")  # the largest faces are the nearest: on top
        corners, rows = corners[order], rows[order]
        for corner, row in zip(corners.tolist(), rows.tolist(), strict=True):
            name = NAMES[self.seen.name[row]]
            self._box(image, corner, rgb(EXPRESSION_COLOURS[name]), dashed=name == UNCERTAIN)
        if rows.tobytes() != self._rows:  # labels stay where they are until something else is seen
            self._rows, self._labels = rows.tobytes(), self._arranged(corners, rows)
        for corner, row in zip(corners.tolist(), rows.tolist(), strict=True):
            if row in self._labels:
                text, place = self._labels[row]
                part = self._words(text, row)
                paste(image, part, *self._place(corner, part.shape, place))

    def _box(self, image: np.ndarray, corner: list[int], colour: tuple[int, int, int], dashed: bool) -> None:
        line, thin = self.line, max(1, self.line // 4)
        _frame(image, corner, line + thin, EDGE, None)
        inner = [corner[0] + thin, corner[1] + thin, corner[2] - thin, corner[3] - thin]
        _frame(image, inner, thin, EDGE, None)
        _frame(image, corner, line, colour, 2 * self.letters // 3 if dashed else None)

    def _words(self, text: str, row: int) -> np.ndarray:
        name = NAMES[self.seen.name[row]]
        return words(text, self.letters, LABEL_INKS[name], EXPRESSION_COLOURS[name])

    def _texts(self, row: int) -> list[str]:
        """What a label may say, the fullest first."""
        person, name = int(self.seen.person[row]), NAMES[self.seen.name[row]]
        number = f"{person} " if person > 0 else ""
        sure = [] if name == UNCERTAIN else [f"{number}{name} {100 * float(self.seen.confidence[row]):.0f}\u2009%"]
        return [*sure, f"{number}{name}", *([number.strip()] if number else [])]

    def _place(self, corner: Sequence[int], shape: Sequence[int], place: int) -> tuple[int, int]:
        """Left upper corner of a label: above (0), below (1), or within (2) the box; not over the picture's sides."""
        x1, y1, _, y2 = corner
        x = min(max(x1 - self.line, 0), self.width - shape[1])
        return x, (y1 - self.line - shape[0], y2 + self.line, y1)[place]

    def _arranged(self, corners: np.ndarray, rows: np.ndarray) -> dict[int, tuple[str, int]]:
        """For each row that has room for a label: its text and place. Larger faces choose first."""
        taken = np.zeros((0, 4), np.int64)
        labels = {}
        for own in reversed(range(len(rows))):
            others = np.delete(corners, own, axis=0)
            for text, place in ((text, place) for text in self._texts(int(rows[own])) for place in (0, 1, 2)):
                height, width = self._words(text, int(rows[own])).shape[:2]
                x, y = self._place(corners[own], (height, width), place)
                area = np.array([x, y, x + width, y + height])
                # Within its own box a label hides the face: only where the face is large.
                small = place == 2 and corners[own, 3] - corners[own, 1] < 5 * height
                if small or y < 0 or y + height > self.height or _meets(area, taken) or _meets(area, others):
                    continue
                labels[int(rows[own])] = text, place
                taken = np.vstack([taken, area])
                break
        return labels


def _meets(area: np.ndarray, others: np.ndarray) -> bool:
    return bool(((others[:, :2] < area[2:]) & (others[:, 2:] > area[:2])).all(axis=1).any())


def _frame(image: np.ndarray, corner: Sequence[int], line: int, colour: tuple[int, int, int], dash: int | None) -> None:
    """A rectangle's four sides around its area, `line` pixels wide, whole or in dashes."""
    x1, y1, x2, y2 = corner
    top, bottom, left, right = y1 - line, y2 + line, x1 - line, x2 + line
    height, width = image.shape[:2]
    for y in (top, y2):
        _fill(image[max(y, 0):max(y + line, 0), max(left, 0):max(min(right, width), 0)], colour, dash, 1, max(-left, 0))
    for x in (left, x2):
        _fill(image[max(top, 0):max(min(bottom, height), 0), max(x, 0):max(x + line, 0)], colour, dash, 0, max(-top, 0))


def _fill(part: np.ndarray, colour: tuple[int, int, int], dash: int | None, axis: int, begin: int) -> None:
    if dash is None:
        part[:] = colour
        return
    on = (np.arange(begin, begin + part.shape[axis]) // dash) % 2 == 0
    if axis:
        part[:, on] = colour
    else:
        part[on] = colour
