"""Invented meetings as rows, without pixels: what a perfect or a poor eye would see of tiles and faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood.cuts import FrameRows
from crowdmood.layout.finding import ROLES
from crowdmood.layout.marks import LABEL_BYTES, LOOK_BYTES
from crowdmood.meeting.linking import TileRows
from crowdmood.signature import SIGNATURE_BYTES
from crowdmood.tracks import FaceRows

TILE, STAGE, SHARE = map(ROLES.index, ("tile", "stage", "share"))
FULL = (0.0, 0.0, 1280.0, 720.0)
FACE = ((0.5, 0.45, 0.3),)


def grid(count: int, width: float = 1280, height: float = 720, top: float = 0) -> list[tuple[float, ...]]:
    """The boxes of a gallery, row by row, the last row in the middle."""
    columns = int(np.ceil(np.sqrt(count)))
    lines = int(np.ceil(count / columns))
    w, h = width / columns, height / lines
    boxes = []
    for line in range(lines):
        here = min(columns, count - line * columns)
        boxes += [((width - here * w) / 2 + i * w + 2, top + line * h + 2, (width - here * w) / 2 + (i + 1) * w - 2,
                   top + (line + 1) * h - 2) for i in range(here)]
    return boxes


@dataclass
class Show:
    """One tile from `start` to `end` seconds. who: whose it is; camera: on or off; faces: places and sizes in the tile."""

    start: float
    end: float
    box: tuple[float, ...]
    who: int
    role: int = TILE
    camera: bool = True
    faces: tuple[tuple[float, float, float], ...] = FACE
    active: bool = False
    still: bool = False  # faces in it are of a photo
    frozen: bool = False  # the camera is on, but nothing moves


def gallery(start: float, end: float, people: list[int], off: tuple[int, ...] = ()) -> list[Show]:
    """The tiles of a gallery; off: people whose camera is off."""
    return [Show(start, end, box, who, camera=who not in off) for box, who in zip(grid(len(people)), people, strict=True)]


@dataclass
class Rows:
    """What an eye saw, and of each face who it truly is (-1: none)."""

    frames: FrameRows
    tiles: TileRows
    faces: FaceRows
    who: np.ndarray


def see(shows: list[Show], seconds: float, seed: int = 0, fps: float = 5.0, named: bool = True, missed: float = 0.0,
        blind: tuple[float, float] = (0.0, 0.0), jitter: float = 0.6, lost: float = 0.1) -> Rows:
    """Look at the shows `fps` times a second. missed: share of tiles not seen; blind: from .. to seconds without any tile;
    jitter: px by which edges wander; lost: share of faces not found."""
    rng = np.random.default_rng(seed)
    people = max(show.who for show in shows) + 1
    label = rng.integers(0, 256, (people, LABEL_BYTES), np.uint8)
    label[:, 0] = rng.integers(20, 60, people)
    look = rng.integers(40, 216, (people, 2, LOOK_BYTES), np.uint8)  # with the camera off, and on
    times = np.arange(0, seconds - 1e-9, 1 / fps)
    tiles, faces, before = [], [], {}
    for frame, time in enumerate(times):
        now = [show for show in shows if show.start <= time + 1e-9 < show.end]
        shown = {}
        for show in sorted(now, key=lambda s: (s.box[1], s.box[0])):
            box = np.array(show.box) + rng.normal(0, jitter, 4)
            off = show.role == SHARE
            picture = (show.who, show.camera)
            if frame % 150 == 0 or tuple(show.box) not in before:
                motion = np.nan
            elif before[tuple(show.box)] != picture:
                motion = rng.uniform(12, 40)
            else:
                motion = rng.gamma(2.0, 1.0) if show.camera and not (show.still or show.frozen or off) else rng.uniform(0, 0.1)
            shown[tuple(show.box)] = picture
            mark = label[show.who].copy()
            if rng.random() < 0.3:
                mark[rng.integers(1, LABEL_BYTES)] ^= np.uint8(1 << rng.integers(8))
            noise = rng.normal(0, 4, LOOK_BYTES) if show.camera else 0
            colours = np.clip(look[show.who, int(show.camera)] + noise, 0, 255).astype(np.uint8)
            if rng.random() >= missed and not blind[0] <= time < blind[1]:
                tiles.append((frame, time, box, show.role, motion, float(show.active), mark * (named and not off), colours))
            for number, (x, y, size) in enumerate(show.faces if show.camera else ()):
                if rng.random() >= lost:
                    w, h = show.box[2] - show.box[0], show.box[3] - show.box[1]
                    s = size * h * (1 + rng.normal(0, 0.02))
                    cx, cy = show.box[0] + x * w + rng.normal(0, 0.04) * s, show.box[1] + y * h + rng.normal(0, 0.04) * s
                    real = -1 if show.still or off else show.who * 100 + number
                    faces.append((frame, time, (cx - s / 2, cy - s / 2, cx + s / 2, cy + s / 2), rng.uniform(0.6, 0.95), real))
        before = shown
    return Rows(FrameRows(np.arange(len(times)) * 6, times, np.zeros((len(times), SIGNATURE_BYTES), np.uint8)),
                _tiles(tiles), *_faces(faces))


def _tiles(rows: list[tuple]) -> TileRows:
    frame, time, box, role, motion, active, label, look = zip(*rows, strict=True) if rows else [()] * 8
    return TileRows(np.array(frame, np.int64) * 6, np.array(time, float), np.array(box, np.float32).reshape(-1, 4),
                    np.array(role, np.int8), np.array(motion, np.float32), np.array(active, np.float32),
                    np.array(label, np.uint8).reshape(-1, LABEL_BYTES), np.array(look, np.uint8).reshape(-1, LOOK_BYTES))


def _faces(rows: list[tuple]) -> tuple[FaceRows, np.ndarray]:
    frame, time, box, score, who = zip(*rows, strict=True) if rows else [()] * 5
    return FaceRows(np.array(frame, np.int64) * 6, np.array(time, float), np.array(box, np.float32).reshape(-1, 4),
                    np.array(score, np.float32)), np.array(who, np.int64)
