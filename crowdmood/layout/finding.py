"""Layout of a meeting's picture: where the participants' tiles are, told from one frame's pixels alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from crowdmood.layout.edges import Edges, find_edges, mean_support
from crowdmood.layout.grids import find_grid
from crowdmood.layout.marks import (
    LABEL_BYTES,
    LOOK_BYTES,
    Names,
    looks,
    read_names,
    speaker_frames,
)
from crowdmood.layout.strips import completed, find_stage, find_strip

ROLES = ("tile", "stage", "share")
"""Names of `Tiles.role`: a tile of a gallery or film strip, the large speaker, a shared screen."""
SMALL = (320, 180)  # width and height of the grey picture in which motion is measured

SMALLEST = (480, 270)  # pictures smaller than this are no recorded meetings
LEAST_SCORE = 0.5  # mean support of a grid's sides
LEAST_STRIP = 0.7  # ... of a film strip's
NAMELESS_SCORE, NAMELESS_STRIP = 0.7, 0.9  # ... where no name is seen but the picture is known to be a meeting's
NAMED = 0.4        # share of the tiles that must bear a name for a grid to be a meeting
SAME_PX, SAME_SHARE = 3, 0.015  # a tile whose sides moved by no more, or this share of its width, is the same: a speaker frame moves them
NEW_LINE = 0.15    # a line that grows by this share of the picture asks for another look at the layout
LOST_LINE = 0.35   # ... and a side that loses this share of its support
SEARCHED_EVERY, WITHOUT_EVERY = 12, 3  # ... and so do this many frames, fewer where no tiles were found
A_FILM = 10        # frames without tiles, after which tiles are no longer expected in each one


@dataclass(frozen=True)
class Tiles:
    """The tiles of one frame, k rows, row by row from the top left; none where the picture is no meeting.

    box: float32 (k, 4) x1 y1 x2 y2, pixels of the displayed picture, without gutters.
    role: int8 (k,) index into `ROLES`.
    motion: float32 (k,) 0..255, mean change of grey inside the tile since the frame before; NaN where unknown.
    active: float32 (k,) 0..1, how surely a coloured speaker frame is around it.
    label: uint8 (k, LABEL_BYTES), fingerprint of the name bar's picture; zeros where no name is seen.
    look: uint8 (k, LOOK_BYTES), fingerprint of the colours around the face.
    """

    box: np.ndarray
    role: np.ndarray
    motion: np.ndarray
    active: np.ndarray
    label: np.ndarray
    look: np.ndarray

    def __len__(self) -> int:
        return len(self.role)


@dataclass(frozen=True)
class Layout:
    """Where tiles are. box: int64 (k, 4), x1 y1 x2 y2 pixels; role: int8 (k,), the stage or shared screen first;
    support: float (k, 4), see `Edges.sides`; lines: how long each line of the picture is, see `Lines.profile`;
    age: frames since it was looked for."""

    box: np.ndarray
    role: np.ndarray
    support: np.ndarray
    lines: tuple[np.ndarray, np.ndarray]
    age: int


@dataclass(frozen=True)
class Look:
    """What the next frame is compared with. grey: uint8 (180, 320); its layout, and the names in its tiles; without: how many
    frames in a row had no tiles."""

    grey: np.ndarray
    layout: Layout | None = None
    names: Names | None = None
    without: int = 0


NO_TILES = Tiles(np.zeros((0, 4), np.float32), np.zeros(0, np.int8), np.zeros(0, np.float32),
                 np.zeros(0, np.float32), np.zeros((0, LABEL_BYTES), np.uint8), np.zeros((0, LOOK_BYTES), np.uint8))


def find_tiles(image: np.ndarray, before: Look | None, certain: bool = False) -> tuple[Tiles, Look]:
    """Find the tiles of a meeting in an RGB picture, uint8 (h, w, 3), and measure them.

    before: what the previous frame left, None at the first. certain: the picture is known to be a meeting's,
    so that a grid without any name in it is believed, too. Returns the tiles and what the next frame needs.
    Where it is not known and no tiles have been seen for a while, only one frame in three is looked at: it is a film.
    """
    if before is not None and before.without >= A_FILM and before.without % 3 and not certain:
        return NO_TILES, replace(before, without=before.without + 1)
    if image.shape[0] < SMALLEST[1] or image.shape[1] < SMALLEST[0]:
        return NO_TILES, Look(np.zeros(SMALL[::-1], np.uint8), without=_without(before))
    small = cv2.resize(image, SMALL, interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    layout, names = _layout(image, before, certain)
    look = Look(grey, layout, names)
    if not len(layout.box):
        return NO_TILES, replace(look, without=_without(before))
    large = layout.role > 0
    label = np.concatenate([read_names(image, layout.box[large]).label, names.label])
    inside = layout.box * (np.array(SMALL * 2) / ([image.shape[1], image.shape[0]] * 2))
    return Tiles(layout.box.astype(np.float32), layout.role, _motion(look, before, inside),
                 speaker_frames(image, layout.box), label, looks(small, inside)), look


def _without(before: Look | None) -> int:
    return 1 if before is None else before.without + 1


def _layout(image: np.ndarray, before: Look | None, certain: bool) -> tuple[Layout, Names]:
    """The layout of a picture, and the names in its small tiles: the one before where its lines are still there."""
    edges = find_edges(image)
    lines = edges.vertical.profile(0, edges.height), edges.horizontal.profile(0, edges.width)
    known = before.layout if before is not None else None
    longest = SEARCHED_EVERY if known is not None and len(known.box) else WITHOUT_EVERY
    if known is not None and known.age < longest and _still_there(known, lines, edges):
        kept = replace(known, age=known.age + 1)
        return kept, read_names(image, kept.box[kept.role == 0], before.names)
    box, role, names = _find(image, edges, certain)
    return Layout(box, role, edges.sides(box), lines, 0), names


def _still_there(known: Layout, lines: tuple[np.ndarray, np.ndarray], edges: Edges) -> bool:
    """Whether a layout's lines are as they were, and no new ones have come that go through the picture."""
    if any(len(line) != len(old) or (line - old).max() > NEW_LINE for line, old in zip(lines, known.lines, strict=True)):
        return False
    return bool((known.support - edges.sides(known.box) < LOST_LINE).all()) if len(known.box) else True


def _find(image: np.ndarray, edges: Edges, certain: bool) -> tuple[np.ndarray, np.ndarray, Names]:
    """Return boxes int64 (k, 4) and roles int8 (k,) of the layout that is believed, and the names in its small tiles."""
    boxes, score = find_grid(edges)
    names = read_names(image, boxes)
    if score >= LEAST_SCORE and (_named(names) or certain and score >= NAMELESS_SCORE):
        return boxes, np.zeros(len(boxes), np.int8), names
    boxes = find_strip(edges)
    score = mean_support(boxes, edges)
    boxes = completed(image, boxes)
    names = read_names(image, boxes)
    if score < LEAST_STRIP or not (_named(names) or certain and len(boxes) > 1 and score >= NAMELESS_STRIP):
        return boxes[:0], np.zeros(0, np.int8), read_names(image, boxes[:0])
    stage = find_stage(edges, image, boxes)[None]
    role = ROLES.index("stage" if read_names(image, stage).label.any() else "share")
    return np.concatenate([stage, boxes]), np.array([role] + [0] * len(boxes), np.int8), names


def _named(names: Names) -> bool:
    """Whether enough tiles bear a name to take a picture for a meeting's."""
    return bool(names.label.any(axis=1).sum() >= max(1, NAMED * len(names.label)))


def _motion(look: Look, before: Look | None, boxes: np.ndarray) -> np.ndarray:
    """Mean change of grey in the inner part of each tile, float32 (k,); NaN where the tile was not there before.

    boxes: float (k, 4), in pixels of the grey pictures.
    """
    if before is None or before.layout is None or not len(before.layout.box):
        return np.full(len(boxes), np.nan, np.float32)
    now, then = look.layout.box, before.layout.box
    reach = np.maximum(SAME_PX, SAME_SHARE * (now[:, 2] - now[:, 0]))
    same = (np.abs(now[:, None] - then[None]).max(axis=2) <= reach[:, None]).any(axis=1)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    x1, x2 = (np.rint(side).astype(int) for side in (boxes[:, 0] + 0.08 * width, boxes[:, 2] - 0.08 * width))
    y1, y2 = (np.rint(side).astype(int) for side in (boxes[:, 1] + 0.08 * height, boxes[:, 3] - 0.2 * height))
    total = cv2.integral(cv2.absdiff(look.grey, before.grey))
    change = total[y2, x2] - total[y1, x2] - total[y2, x1] + total[y1, x1]
    return np.where(same, change / np.maximum((x2 - x1) * (y2 - y1), 1), np.nan).astype(np.float32)
