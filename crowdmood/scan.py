"""Scan: recording -> frames -> faces -> expressions, chunk by chunk. Stateless: a chunk's rows depend on it alone.

    plan(recording, wanted) -> chunks        each chunk -> one part file of frames and one of faces
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from crowdmood import tables
from crowdmood.clock import format_time
from crowdmood.expressions import (
    CropSettings,
    Expressions,
    UsableSettings,
    classify,
    crop_faces,
    judge,
    load_classifier,
    names,
)
from crowdmood.faces import NO_FACES, DetectSettings, Faces, detect, joined
from crowdmood.labels import EXPRESSIONS
from crowdmood.layout.finding import Look, find_tiles
from crowdmood.meeting.rows import packed
from crowdmood.models import EXPRESSION_NET, Model, find_model
from crowdmood.options import Options
from crowdmood.own_detector import find_detector
from crowdmood.runtimes import Device, Network, load_network
from crowdmood.s3 import S3Folder
from crowdmood.signature import SIGNATURE_BYTES, signature
from crowdmood.uploads import upload_part
from crowdmood.video import (
    DecodeCount,
    FrameBatch,
    Recording,
    decode,
    get_ready,
    read_ahead,
)

CHUNK_S = 30.0
BATCH_CPU, BATCH_CUDA = 4, 32  # frames looked at together, at least one per thread on the CPU ...
BATCH_BYTES = 128_000_000  # ... unless they are larger than this; some four batches are in memory at a time
CROPS_AT_ONCE = 1024
NO_FRAMES = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros((0, SIGNATURE_BYTES), np.uint8), np.zeros(0, object))


@dataclass(frozen=True)
class Chunk:
    """A stretch of recording time. number: its index on the 30 s grid; frames: int64, the frame numbers to analyze."""

    number: int
    frames: np.ndarray

    def __str__(self) -> str:
        return f"from {format_time(self.number * CHUNK_S)} on"


@dataclass(frozen=True)
class ChunkRows:
    """What was seen in a chunk. The frames' arrays are aligned (n,); ``faces.frame`` are rows of them."""

    frame: np.ndarray
    pts: np.ndarray
    time: np.ndarray
    signature: np.ndarray
    tiles: np.ndarray
    faces: Faces
    expressions: Expressions


@dataclass(frozen=True)
class Outcome:
    """A finished chunk, as counts."""

    chunk: int
    frames: int
    faces: int


@dataclass(frozen=True)
class Eyes:
    """The two networks and how they are used. meeting: 'auto', 'on' or 'off', whether gallery tiles are looked for."""

    detector: Network
    classifier: Network
    detect: DetectSettings
    crop: CropSettings
    usable: UsableSettings
    temperature: float
    meeting: str


@dataclass(frozen=True)
class Scan:
    """Work for an executor: ``scan(chunks)`` scans chunks of one recording into a results folder, here or on S3."""

    recording: Recording
    options: Options
    device: Device
    results: Path | S3Folder
    run: str

    def __str__(self) -> str:
        return self.recording.path.name

    def __call__(self, chunks: Sequence[Chunk]) -> Iterator[Outcome]:
        get_ready()  # the decoder's process, while the networks are loaded
        eyes = open_eyes(self.options, self.device)
        counts = {chunk.number: DecodeCount() for chunk in chunks}
        with read_ahead(self._pictures(chunks, counts)) as pictures:
            for number, batches in groupby(pictures, key=itemgetter(0)):
                rows = look((batch for _, batch in batches if batch is not None), eyes)
                write = upload_part if isinstance(self.results, S3Folder) else tables.write_part
                write(self.results, self.run, number, tables.part_table("frames", self.run, frame_columns(rows)),
                      tables.part_table("faces", self.run, face_columns(rows)), **count_columns(counts[number]))
                yield Outcome(number, len(rows.frame), len(rows.faces))

    def _pictures(self, chunks: Sequence[Chunk], counts: dict) -> Iterator[tuple[int, FrameBatch | None]]:
        """Batches of all chunks, one after the other, so that decoding never waits for a chunk's end."""
        size = batch_size(self.recording, self.device)
        for chunk in chunks:
            for batch in decode(self.recording, chunk.frames, decoder=self.options.decoder, batch=size,
                                count=counts[chunk.number]):
                yield chunk.number, batch
            yield chunk.number, None  # a chunk without a single readable frame still has its (empty) part


def plan(recording: Recording, wanted: np.ndarray, seconds: float) -> list[Chunk]:
    """Cut the wanted frame numbers at multiples of ``seconds`` of recording time; infinity gives one chunk."""
    number = np.floor(recording.time[wanted] / seconds).astype(np.int64)
    edges = np.flatnonzero(np.diff(number)) + 1
    return [Chunk(int(n[0]), frames) for n, frames in zip(np.split(number, edges), np.split(wanted, edges), strict=True)
            if len(frames)]


def batch_size(recording: Recording, device: Device) -> int:
    """How many frames are decoded and looked at together. The rows do not depend on it."""
    wished = max(BATCH_CPU, device.threads) if device.name == "cpu" else BATCH_CUDA
    return int(np.clip(BATCH_BYTES // (recording.width * recording.height * 3), 1, wished))


def look(batches: Iterator[FrameBatch], eyes: Eyes) -> ChunkRows:
    """Find and read all faces in a chunk's frames."""
    frames, faces, crops, read = [], [], [], []
    seen, before = 0, None
    for batch in batches:
        found = detect(batch.images, eyes.detector, eyes.detect)
        crops.append(crop_faces(batch.images, found, eyes.crop))
        faces.append(Faces(found.frame + np.int32(seen), found.box, found.score))
        marks = np.array([signature(image) for image in batch.images])
        tiles, before = _tiles(batch.images, before, eyes.meeting)
        frames.append((batch.frame, batch.pts, batch.time, marks, tiles))
        seen += len(batch.frame)
        if sum(map(len, crops)) >= CROPS_AT_ONCE:  # memory stays flat however many faces there are
            read.append(_read(faces[-len(crops):], crops, eyes))
            crops = []
    read.append(_read(faces[len(faces) - len(crops):], crops, eyes))
    columns = [np.concatenate(column) for column in zip(NO_FRAMES, *frames, strict=True)]
    return ChunkRows(*columns, joined([NO_FACES, *faces]), _joined_expressions(read))


def _tiles(images: np.ndarray, before: Look | None, meeting: str) -> tuple[np.ndarray, Look | None]:
    """The gallery tiles of frames, packed, object (n,), and what the last frame leaves for the next batch of the chunk."""
    column = np.full(len(images), b"", object)
    if meeting != "off":
        for at, image in enumerate(images):
            tiles, before = find_tiles(image, before, meeting == "on")
            column[at] = packed(tiles)
    return column, before


def _read(faces: Sequence[Faces], crops: Sequence[np.ndarray], eyes: Eyes) -> Expressions:
    """Classify the crops of many frames in one batch."""
    nothing = np.zeros((0, eyes.crop.size, eyes.crop.size, eyes.crop.channels), np.uint8)
    stacked = np.concatenate([nothing, *crops])
    probability = classify(stacked, eyes.classifier, eyes.temperature)
    return judge(joined([NO_FACES, *faces]), stacked, probability, eyes.usable)


def _joined_expressions(parts: Sequence[Expressions]) -> Expressions:
    return Expressions(*(np.concatenate([getattr(part, name) for part in parts])
                         for name in ("probability", "sharpness", "usable")))


def count_columns(count: DecodeCount) -> dict[str, int]:
    """What a chunk adds to columns of the run's row."""
    return {"frames_decoded": count.decoded, "frames_missing": count.missing, "damaged_packets": count.damaged_packets}


def frame_columns(rows: ChunkRows) -> dict[str, np.ndarray]:
    """The columns of a frames part, one array (n,) each."""
    in_frame = np.bincount(rows.faces.frame, minlength=len(rows.frame))
    usable = np.bincount(rows.faces.frame[rows.expressions.usable], minlength=len(rows.frame))
    return {"frame": rows.frame, "pts": rows.pts, "time_s": rows.time, "faces": in_frame, "usable_faces": usable,
            "signature": rows.signature, "tiles": rows.tiles}


def face_columns(rows: ChunkRows) -> dict[str, np.ndarray]:
    """The columns of a faces part, one array (m,) each."""
    faces, seen = rows.faces, rows.expressions
    probability = dict(zip(EXPRESSIONS, seen.probability.T, strict=True))
    first = np.searchsorted(faces.frame, faces.frame)  # row of the first face of the same frame
    return {
        "frame": rows.frame[faces.frame], "pts": rows.pts[faces.frame], "time_s": rows.time[faces.frame],
        "face": np.arange(len(faces)) - first,
        **dict(zip(("x1", "y1", "x2", "y2"), faces.box.T, strict=True)),
        "score": faces.score, "size_px": faces.size, "sharpness": seen.sharpness, "usable": seen.usable,
        **probability,
        "expression": names(seen.probability, seen.usable), "confidence": seen.probability.max(axis=1, initial=0),
        "valence": probability["happy"] - sum(probability[name] for name in ("angry", "disgust", "fear", "sad")),
    }


def chosen_models(options: Options) -> list[Model]:
    """The detector and the expression net that the options ask for. Raises ModelError."""
    return [find_detector(options.detector), find_model(EXPRESSION_NET, options.expression)]


@lru_cache(maxsize=1)
def open_eyes(options: Options, device: Device) -> Eyes:
    """Load both networks. Raises ModelError."""
    face, expression = chosen_models(options)
    found = face.card.get("detect", {})
    return Eyes(
        detector=load_network(face, device),
        classifier=load_classifier(expression, device),
        detect=DetectSettings(options.imgsz, options.tiles, options.min_face, options.roi, options.ignore, **found),
        crop=CropSettings(**{key: expression.card["input"][key] for key in ("margin", "shift_y", "size", "channels")}),
        usable=UsableSettings(**expression.card.get("usable", {})),
        temperature=expression.card.get("temperature", 1.0),
        meeting=options.meeting,
    )
