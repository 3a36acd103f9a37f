"""The people of generated meetings: drawn ones, and real ones from face clips and portraits where those are there.

An actor is somebody in a tile: a few looks (RGBA cut-outs, or frames of a face clip) and where the face is in each.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

SIDE = 400  # pixels of a look's longer side: more than a tile of a 2 x 2 gallery at 720p needs
SKINS = ((255, 224, 200), (245, 205, 172), (230, 180, 140), (205, 148, 106), (170, 112, 76))
HAIRS = ((30, 24, 20), (58, 38, 26), (95, 62, 36), (200, 165, 105), (165, 165, 165), (105, 40, 26))
CONTRAST = 60  # grey levels between skin and hair: detectors have never seen a bald-looking egg
CLIPS = ("c02_man_neutral_to_smile.mp4", "c12_lp_d18_man_shout_sad.mp4", "c16_clm_cap13.webm",
         "c01_woman_cry_then_laugh_pexels.mp4")


@dataclass(frozen=True)
class Actor:
    """looks: RGBA uint8 pictures (h, w, 4); faces: float (4,) x1 y1 x2 y2 in each; whole: they fill a tile by themselves."""

    looks: tuple[np.ndarray, ...]
    faces: tuple[np.ndarray, ...]
    whole: bool = False


def drawn_actor(rng: np.random.Generator) -> Actor:
    """Somebody drawn: neutral, smiling and with an open mouth."""
    skin = np.array(SKINS[rng.integers(len(SKINS))]) * rng.uniform(0.94, 1.0)
    hairs = [hair for hair in HAIRS if skin.mean() - np.mean(hair) > CONTRAST]
    style = {"skin": skin, "hair": hairs[rng.integers(len(hairs))],
             "long": rng.random() < 0.5, "wide": rng.uniform(0.7, 0.82), "glasses": rng.random() < 0.25,
             "beard": rng.random() < 0.2, "shirt": rng.integers(20, 235, 3), "eyes": rng.uniform(0.36, 0.42)}
    looks = tuple(_drawn_head(style, mouth) for mouth in ("neutral", "smile", "open"))
    half = 86 * style["wide"]
    box = np.array([200 - half, 120, 200 + half, 266], float)  # brows' upper end to chin: what face detectors call a face
    return Actor(looks, (box,) * 3)


def _drawn_head(style: dict, mouth: str) -> np.ndarray:
    scale = 4  # drawn larger, then reduced: smooth edges
    canvas = np.zeros((SIDE * scale, SIDE * scale, 4), np.uint8)

    def colour(value) -> tuple:
        return (*(int(c) for c in value), 255)

    def oval(x: float, y: float, rx: float, ry: float, value, start: int = 0, end: int = 360, width: int = -1) -> None:
        cv2.ellipse(canvas, (round(x * scale), round(y * scale)), (round(rx * scale), round(ry * scale)), 0, start, end,
                    colour(value), width if width < 0 else width * scale, cv2.LINE_AA)

    skin, hair = np.asarray(style["skin"]), np.asarray(style["hair"])
    dark = skin * 0.72
    half = 86 * style["wide"]
    oval(200, 165, half + 16, 112 if not style["long"] else 118, hair)
    if style["long"]:
        oval(200, 240, half + 22, 80, hair)
    oval(200, 420, 150, 120, style["shirt"])
    oval(200, 270, 38, 62, dark)  # neck
    oval(200 - half, 178, 10, 18, dark)
    oval(200 + half, 178, 10, 18, dark)
    oval(200, 166, half, 96, skin)
    oval(200, 110, half * 0.98, 62, hair, 185, 355)
    eye_y = 84 + style["eyes"] * 200
    for side in (-1, 1):
        x = 200 + side * half * 0.44
        oval(x, eye_y, 15, 12, skin * 0.85)
        oval(x, eye_y + 1, 13, 6, (245, 245, 245))
        oval(x, eye_y + 1, 6, 6, (60, 40, 30))
        oval(x, eye_y + 1, 3, 3, (5, 5, 5))
        oval(x, eye_y - 1, 14, 7, (40, 28, 22), 190, 350, 2)
        oval(x, eye_y - 12, 18, 7, hair * 0.8, 200, 340, 4)
        if style["glasses"]:
            oval(x, eye_y, 22, 17, (30, 30, 30), 0, 360, 3)
    oval(200, eye_y + 24, 9, 26, skin * 0.93)
    oval(200, eye_y + 44, 14, 7, skin * 0.8)
    for side in (-1, 1):
        oval(200 + side * 7, eye_y + 47, 3, 2, skin * 0.45)
    if style["beard"]:
        oval(200, 225, half * 0.7, 34, hair * 0.9 + skin * 0.1)
    _mouth(oval, mouth, skin)
    return _shaded(cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def _mouth(oval, mouth: str, skin: np.ndarray) -> None:
    lip = skin * (0.78, 0.5, 0.5)
    if mouth == "open":
        oval(200, 226, 20, 15, lip)
        oval(200, 226, 15, 10, (60, 20, 20))
    elif mouth == "smile":
        oval(200, 214, 33, 20, lip, 0, 180)
        oval(200, 215, 27, 12, (245, 240, 235), 0, 180)
    else:
        oval(200, 222, 25, 7, lip)
        oval(200, 222, 23, 2, skin * 0.4)


def _shaded(picture: np.ndarray) -> np.ndarray:
    """Light from the left, soft edges inside: flat drawings are no faces to a detector."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    light = 1.08 - 0.42 * np.clip(((x - 175) / 130) ** 2 + ((y - 150) / 190) ** 2, 0, 1)
    rgb = cv2.GaussianBlur(picture[..., :3], (0, 0), 1.6).astype(np.float32) * light[..., None]
    return np.dstack([np.clip(rgb, 0, 255).astype(np.uint8), picture[..., 3]])


@lru_cache(maxsize=4)
def real_actors(media: Path, data: Path, count: int) -> tuple[Actor, ...]:
    """At most so many people: those of the face clips, then portraits cut out; none where the folders are not there."""
    names = [name for name in CLIPS if (media / "faces" / name).is_file()][:count]
    clips = [_clip_actor(media / "faces" / name) for name in names]
    portraits = data / "london_faces.parquet"
    return (*clips, *(_portraits(portraits, count - len(clips)) if portraits.is_file() else ()))


def _clip_actor(path: Path) -> Actor:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))[:240]
    frames = [_camera_part(np.array(frame.to_image())) for frame in frames[:: max(1, len(frames) // 12)]]
    faces = [_face_of(frame) for frame in frames]
    seen = [(np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]), face)
            for frame, face in zip(frames, faces, strict=True) if face is not None]
    return Actor(*(tuple(column) for column in zip(*seen, strict=True)), whole=True)


def _camera_part(picture: np.ndarray) -> np.ndarray:
    """The 16:9 part of a frame that a webcam would show, 960 x 540; a square frame gets wider walls instead."""
    height, width = picture.shape[:2]
    if width < 1.2 * height:
        wall = round((height * 16 / 9 - width) / 2)
        return cv2.resize(cv2.copyMakeBorder(picture, 0, 0, wall, wall, cv2.BORDER_REPLICATE), (960, 540), interpolation=cv2.INTER_AREA)
    high = min(height, round(width * 9 / 16))
    wide = min(width, round(high * 16 / 9))
    top, left = (height - high) // 4, (width - wide) // 2
    return cv2.resize(picture[top:top + high, left:left + wide], (960, 540), interpolation=cv2.INTER_AREA)


def _portraits(path: Path, count: int) -> list[Actor]:
    import pyarrow.parquet as pq

    by_subject: dict[str, list] = {}
    for row in pq.read_table(path, columns=["subject", "image"]).to_pylist():
        by_subject.setdefault(row["subject"], []).append(np.array(Image.open(io.BytesIO(row["image"])).convert("RGB")))
    actors = []
    for number, (_, pictures) in enumerate(sorted(by_subject.items())[:count]):
        faces = [_face_of(picture, 256) for picture in pictures]
        shirt = np.random.default_rng(number).uniform(40, 235, 3)
        if all(face is not None for face in faces):
            actors.append(Actor(tuple(map(_cut_out, pictures, faces, [shirt] * len(faces))), tuple(faces)))
    return actors


def _cut_out(picture: np.ndarray, face: np.ndarray, shirt: np.ndarray) -> np.ndarray:
    """A portrait without its light grey background, in a shirt of another colour than white."""
    height, width = picture.shape[:2]
    x, y, half, tall = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2, (face[2] - face[0]) / 2, face[3] - face[1]
    body = np.zeros((height + 2, width + 2), np.uint8)  # the filling of the background must not leak into these
    cv2.ellipse(body, (int(x), int(y)), (int(half * 1.0), int(tall * 0.55)), 0, 0, 360, 1, -1)
    neck, shoulders = face[3] + 0.1 * tall, face[3] + 0.5 * tall
    outline = [(x - half * 0.6, neck - 0.2 * tall), (x + half * 0.6, neck - 0.2 * tall), (x + half * 0.7, neck),
               (x + half * 2.3, shoulders), (x + half * 2.5, height), (x - half * 2.5, height),
               (x - half * 2.3, shoulders), (x - half * 0.7, neck)]
    cv2.fillPoly(body, [np.array(outline, np.int32)], 1)
    soft = cv2.GaussianBlur(picture, (0, 0), 1.5)
    how = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (255 << 8)
    for seed in [(at, row) for row in range(3, int(shoulders), height // 9) for at in range(3, width - 3, width // 8)]:
        light = soft[seed[1], seed[0]]
        if not body[seed[1] + 1, seed[0] + 1] and light.min() > 120 and np.ptp(light) < 20:
            cv2.floodFill(soft, body, seed, 0, (26,) * 3, (30,) * 3, how)
    outside = cv2.dilate((body[1:-1, 1:-1] == 255).astype(np.uint8) * 255, np.ones((3, 3), np.uint8))
    white = (picture.min(axis=2) > 120) & (np.ptp(picture, axis=2) < 20) & (np.arange(height)[:, None] > face[3])
    tint = np.where(white[..., None], shirt / 255.0, 1.0)
    return np.dstack([(picture * tint).astype(np.uint8), 255 - cv2.GaussianBlur(outside, (0, 0), 1.2)])


@lru_cache(maxsize=1)
def _detector():
    from crowdmood.options import Options
    from crowdmood.runtimes import choose_device
    from crowdmood.scan import open_eyes

    return open_eyes(Options(), choose_device("cpu", "auto", 1))


def _face_of(picture: np.ndarray, imgsz: int = 640) -> np.ndarray | None:
    """The box of the one large face in a picture: a real face has no other truth than what is found at full size."""
    from crowdmood.faces import detect

    eyes = _detector()
    found = detect(picture[None], eyes.detector, replace(eyes.detect, imgsz=imgsz))
    return found.box[np.argmax(found.size)].astype(float) if len(found) else None
