"""Photos for tests: pictures whose corners tell how they are turned, broken files, and rows of invented runs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from crowdmood import tables
from crowdmood.demo import PHOTOGRAPHS, _photograph
from crowdmood.labels import EXPRESSIONS
from crowdmood.persons import Links
from crowdmood.photo_schemas import PHOTOS
from crowdmood.schemas import table_of
from crowdmood.tables import write_rows
from tests.made_runs import run_row

RUN = "00ff00ff00ff"
CORNERS = np.array([[[220, 30, 30], [30, 200, 30]], [[30, 30, 220], [230, 230, 40]]], np.uint8)


def cornered(width: int = 120, height: int = 80) -> Image.Image:
    """Red, green / blue, yellow: any turn or flip of it shows."""
    return Image.fromarray(np.repeat(np.repeat(CORNERS, height // 2, axis=0), width // 2, axis=1))


def corners_of(image: np.ndarray) -> np.ndarray:
    """The four colours (2, 2, 3) of a picture, from well within its quarters."""
    height, width = image.shape[:2]
    return image[[height // 4, height - height // 4]][:, [width // 4, width - width // 4]].astype(int)


def photograph(name: str, height: int = 480) -> Image.Image:
    """From the photographs that are installed: 'hopper' (a portrait, one face), 'zidane' (two men, one of them turned away), or 'pair'
    (both side by side: two faces)."""
    if name == "pair":
        both = [photograph(one, height) for one in ("hopper", "zidane")]
        return Image.fromarray(np.hstack([np.asarray(one) for one in both]))
    image = Image.fromarray(_photograph(*PHOTOGRAPHS[name]))
    if name == "hopper":
        image = image.crop((0, 92, 512, 440))  # without the emblem on her cap, in which a face is found
    return image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS)


def png_bomb(path: Path, side: int = 60_000) -> None:
    """A small file that says it is a picture of side x side."""
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b""))


def make_album(folder: Path) -> None:
    """Photos with and without faces, in folders within folders; one is cut short, one is empty."""
    (folder / "in" / "there").mkdir(parents=True)
    photograph("hopper").save(folder / "b hopper.jpg")
    photograph("pair").save(folder / "in" / "pair.png")
    photograph("hopper").resize((4096, 2784)).save(folder / "in" / "there" / "<b>large & é.jpg", quality=80)
    face = photograph("hopper", 300)
    cornered(*face.size).resize(face.size).save(folder / "plain.gif", save_all=True, append_images=[face])
    content = (folder / "b hopper.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(content[:len(content) // 2])
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("no photo")


def invented(results: Path, photos: Sequence[Sequence[dict]], **columns: Sequence) -> None:
    """A complete run of photos in which each photo has such faces. Of a face: happy, sad (the rest is neutral), score, sharpness,
    size_px and usable, each with a default. columns: of the table photos, such as file, page, digest."""
    faces = [{"frame": frame, "face": at, "happy": 0.0, "sad": 0.0, "score": 0.8, "sharpness": 900.0, "size_px": 100.0, "usable": True, **face}
             for frame, photo in enumerate(photos) for at, face in enumerate(photo)]
    made = {name: np.array([face[name] for face in faces]) for name in ("frame", "face", "happy", "sad", "score", "sharpness", "size_px", "usable")}
    made |= {name: np.zeros(len(faces)) for name in EXPRESSIONS if name not in made}
    made["neutral"] = 1 - made["happy"] - made["sad"]
    shown = [max(EXPRESSIONS, key=lambda name, at=at: made[name][at]) for at in range(len(faces))]
    made |= {"pts": made["frame"], "time_s": made["frame"].astype(float), "x1": np.zeros(len(faces)), "y1": np.zeros(len(faces)), "x2": made["size_px"],
             "y2": made["size_px"], "expression": np.array(shown, object), "confidence": np.ones(len(faces)), "valence": made["happy"]}
    number, nothing = np.arange(len(photos)), np.zeros((len(photos), 180), np.uint8)
    frames = {"frame": number, "pts": number, "time_s": number.astype(float), "faces": np.array([len(photo) for photo in photos]),
              "usable_faces": np.array([sum(face.get("usable", True) for face in photo) for photo in photos]), "signature": nothing,
              "tiles": np.full(len(photos), b"", object)}
    tables.write_run(results, run_row(RUN, layout="photos", duration_s=float(len(photos))))
    tables.write_part(results, RUN, 0, tables.part_table("frames", RUN, frames), tables.part_table("faces", RUN, made))
    told = {"file": [f"{at}.jpg" for at in number], "page": number * 0, "format": ["JPEG"] * len(number), "width": number * 0 + 640,
            "height": number * 0 + 480, "taken": [None] * len(number), "size_bytes": number, "digest": [f"{at:064}" for at in number],
            "error": [None] * len(number)} | columns
    write_rows(results, "photos", RUN, table_of(PHOTOS, RUN, {"frame": number, **told}))
    each = np.arange(1, len(faces) + 1, dtype=np.int32)
    tables.complete(results, RUN, Links(each, each, np.ones(len(photos), bool)), finished=datetime(2026, 1, 2, tzinfo=UTC))
