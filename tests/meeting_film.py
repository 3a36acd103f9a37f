"""The pictures of a generated meeting: cameras, tiles, speaker frames; written as a video with uneven frame times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tests.meeting_people import Actor
from tests.meeting_pictures import (
    lay_over,
    name_bar,
    photo_box,
    room,
    slide,
    switched_off,
)

BEGAN = datetime(2026, 1, 15, 14, 0, 3)


@dataclass
class Camera:
    """What a participant's camera sees: who sits there, in which room, and how they sway.

    persons: their numbers; share: of the tile's height that each face has; sway: amplitude and phase of the motion.
    """

    actors: tuple[Actor, ...]
    persons: tuple[int, ...]
    room: np.ndarray
    share: np.ndarray
    place: np.ndarray
    sway: np.ndarray
    photo: np.ndarray
    kept: dict = field(default_factory=dict)

    def shot(self, at: float, size: tuple[int, int], talking: bool) -> tuple[np.ndarray, list[np.ndarray]]:
        """The camera's picture uint8 (h, w, 3) at a moment, and the faces' boxes (4,) in it."""
        width, height = size
        picture = self._sized(("room", size), self.room, size).copy()
        boxes = []
        for number, actor in enumerate(self.actors):
            which = self._expression(actor, at, number, talking)
            look, face = actor.looks[which], actor.faces[which]
            if actor.whole:
                picture = self._sized((which, size), look, size)[..., :3].copy()
                boxes.append(face * np.tile((width / look.shape[1], height / look.shape[0]), 2))
                continue
            boxes.append(self._seat(picture, number, which, at))
        return picture, boxes

    def _expression(self, actor: Actor, at: float, number: int, talking: bool) -> int:
        if actor.whole:
            span = len(actor.looks) * 2 - 2  # there and back again
            step = int(at * 4 + self.sway[number, 2] * 10) % max(span, 1)
            return min(step, span - step)
        if talking and len(actor.looks) > 2:
            return 2 * (int(at * 6) % 2)
        return int(np.sin(at / 3 + self.sway[number, 2]) > 0.6)

    def _sized(self, key: tuple, picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        if key not in self.kept:
            self.kept[key] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return self.kept[key]

    def _seat(self, picture: np.ndarray, number: int, which: int, at: float) -> np.ndarray:
        """Draw somebody who sways a little into the picture; returns the face's box."""
        height, width = picture.shape[:2]
        look, face = self.actors[number].looks[which], self.actors[number].faces[which]
        scale = self.share[number] * height / (face[3] - face[1])
        size = (max(8, round(look.shape[1] * scale)), max(8, round(look.shape[0] * scale)))
        small = self._sized((number, which, size), look, size)
        amplitude, pace, phase = self.sway[number]
        moved = np.array([np.sin(at * pace + phase), 0.4 * np.sin(at * pace * 1.7 + phase)]) * amplitude * height
        x = self.place[number] * width - size[0] / 2 + moved[0]
        y = max(height - size[1] * 0.97, height * 0.02 - face[1] * scale * 0.5) + moved[1]
        whole = np.floor([x, y]).astype(int)
        rest = (x - whole[0], y - whole[1])
        shifted = cv2.warpAffine(small, np.float32([[1, 0, rest[0]], [0, 1, rest[1]]]), (size[0] + 1, size[1] + 1))
        lay_over(picture, int(whole[0]), int(whole[1]), shifted)
        return np.clip(face * scale + np.tile((x, y), 2), 0, np.tile((width, height), 2))


def cameras(actors: list[Actor], heads: list[int], far: bool, photos: list[np.ndarray], rng: np.random.Generator) -> list[Camera]:
    """A camera for each participant. heads: how many people sit before it; far: they sit far away."""
    made, seated = [], 0
    for count in heads:
        here = tuple(actors[seated:seated + count])
        here = tuple(actor for actor in here if not actor.whole)[:count] if count > 1 else here
        persons = tuple(range(seated, seated + len(here)))
        low, high = ((0.15, 0.19) if far else (0.26, 0.45)) if count == 1 else (0.2, 0.24)
        sway = np.column_stack([rng.uniform(0.004, 0.03, count), rng.uniform(0.5, 2, count), rng.uniform(0, 6.3, count)])
        place = np.linspace(0.5 / count, 1 - 0.5 / count, count) + rng.uniform(-0.02, 0.02, count) * (1 if count > 1 else 5)
        made.append(Camera(here, persons, room(rng), rng.uniform(low, high, count), place, sway,
                           photos[int(rng.integers(len(photos)))]))
        seated += count
    return made


class Film:
    """Draws the frames of a meeting. spec: tests.meetings.Spec."""

    def __init__(self, spec, names: tuple[str, ...], seen: list[Camera], rng: np.random.Generator) -> None:
        self.spec, self.names, self.cameras = spec, names, seen
        self.persons = tuple(camera.persons for camera in seen)
        self.slides = [slide(rng, (960, 540), seen[0].photo if k == 1 else None) for k in range(4)]
        self.hues = rng.integers(0, 180, len(names))
        self.still: dict = {}

    def write(self, path: Path, times: np.ndarray, segments: tuple, speeches: tuple) -> tuple[np.ndarray, np.ndarray]:
        """Write the video; returns rows (frame, x1, y1, x2, y2, person) of live faces and (frame, x1..y2) of photographs."""
        faces, pictured = [], []
        ends = np.array([segment.end_s for segment in segments[:-1]])
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=1000, options={"preset": "ultrafast", "crf": str(self.spec.crf), "g": "60"})
            (stream.width, stream.height), stream.pix_fmt = self.spec.size, "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            for number, at in enumerate(times):
                segment = segments[int(np.searchsorted(ends, at, side="right"))]
                picture, live, flat = self.picture(float(at), segment, speeches)
                faces += [(number, *box, person) for box, person in live]
                pictured += [(number, *box) for box in flat]
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return np.array(faces, float).reshape(-1, 6), np.array(pictured, float).reshape(-1, 5)

    def picture(self, at: float, segment, speeches: tuple) -> tuple[np.ndarray, list, list]:
        """One frame uint8 (h, w, 3), its live faces (box, person) and its photographs' boxes."""
        spec = self.spec
        width, height = spec.size
        canvas = np.full((height, width, 3), spec.background, np.uint8)
        speaks = next((speech.who for speech in speeches if speech.start_s <= at < speech.end_s), None)
        live, flat = [], []
        for tile in segment.tiles:
            x1, y1, x2, y2 = tile.box
            inside, boxes = self._inside(tile, at, (x2 - x1, y2 - y1), tile.who == speaks)
            self._put(canvas, tile, inside, muted=spec.mute_marks and tile.who != speaks)
            found = [box + (x1, y1, x1, y1) for box in boxes]
            if tile.kind == "camera":
                live += list(zip(found, self.cameras[tile.who].persons, strict=True))
            else:
                flat += found
            if tile.who == speaks and tile.role == "tile" and segment.layout in ("gallery", "side by side"):
                thick = max(2, round(height / 270))
                cv2.rectangle(canvas, (x1 + thick // 2, y1 + thick // 2), (x2 - 1 - thick // 2, y2 - 1 - thick // 2),
                              spec.frame_colour, thick)
        if spec.clock:
            self._stamp(canvas, at)
        return canvas, _uncovered(live, segment), flat

    def _inside(self, tile, at: float, size: tuple[int, int], talking: bool) -> tuple[np.ndarray, list[np.ndarray]]:
        """A tile's picture, and the boxes in it of faces or, where the camera is off, of a photograph."""
        if tile.kind == "camera":
            return self.cameras[tile.who].shot(at, size, talking)
        photo = [photo_box(size)] if tile.kind == "photo" else []
        page = int(at / 7) % len(self.slides) if tile.kind == "share" else 0
        key = (tile.kind, tile.who, size, page)
        if key not in self.still:
            self.still[key] = (cv2.resize(self.slides[page], size, interpolation=cv2.INTER_AREA) if tile.kind == "share" else
                               switched_off(self.names[tile.who], tile.kind, size, self.cameras[tile.who].photo, int(self.hues[tile.who])))
        return self.still[key], photo

    def _put(self, canvas: np.ndarray, tile, inside: np.ndarray, muted: bool) -> None:
        """Lay a tile onto the canvas, with its name and, where asked, round corners."""
        x1, y1, x2, y2 = tile.box
        under = canvas[y1:y2, x1:x2].copy()
        canvas[y1:y2, x1:x2] = inside
        if self.spec.bars and tile.who >= 0:
            bar = name_bar(self.names[tile.who], round(0.05 * (y2 - y1) + 11 * self.spec.size[1] / 1080), muted)
            lay_over(canvas[:y2, :x2], x1, y2 - bar.shape[0], bar)
        if self.spec.rounded and tile.role != "share":
            corners = _round_corners((x2 - x1, y2 - y1), round(0.05 * (y2 - y1)))[..., None]
            canvas[y1:y2, x1:x2] = (canvas[y1:y2, x1:x2] * corners + under * (1 - corners)).astype(np.uint8)

    def _stamp(self, canvas: np.ndarray, at: float) -> None:
        height, width = canvas.shape[:2]
        bar = name_bar(str(BEGAN + timedelta(seconds=int(at))), round(height / 24))
        lay_over(canvas, width - bar.shape[1] - round(width / 80), height - bar.shape[0] - round(height / 45), bar)


def _round_corners(size: tuple[int, int], radius: int) -> np.ndarray:
    width, height = size
    mask = np.zeros((height, width), np.float32)
    cv2.rectangle(mask, (radius, 0), (width - radius - 1, height), 1, -1)
    cv2.rectangle(mask, (0, radius), (width, height - radius - 1), 1, -1)
    for x in (radius, width - radius - 1):
        for y in (radius, height - radius - 1):
            cv2.circle(mask, (x, y), radius, 1, -1, cv2.LINE_AA)
    return mask


def _uncovered(live: list, segment) -> list:
    """The live faces: a thumbnail lies over a shared screen, so nothing live is ever covered by another tile."""
    return [(box, person) for box, person in live if box[2] - box[0] > 4 and box[3] - box[1] > 4]
