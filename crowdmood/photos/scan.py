"""Scan an album: photos -> faces -> expressions, a chunk of photos at a time, each a part of the run as a recording's are.

Rows of photos that an earlier run has looked at in the same way are taken from there: contents count, not names.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from crowdmood import tables
from crowdmood.albums import Album, Photo
from crowdmood.errors import CrowdmoodError, VideoError, one_line
from crowdmood.files import identity
from crowdmood.photos.eyes import read_faces
from crowdmood.scan import Chunk, Eyes, count_columns, face_columns, frame_columns
from crowdmood.schemas import PARTS
from crowdmood.video import DecodeCount, read_photo

CHUNK = 64  # photos
MOST_READERS = 16
LEAST_AHEAD = 8  # photos that are read while others are looked at


@dataclass(frozen=True)
class Outcome:
    """A finished chunk: its photos, the faces in them, and what is wrong with those that could not be read, by frame number."""

    chunk: int
    photos: int
    faces: int
    errors: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Earlier:
    """Rows of other runs for photos of this album: parts of frames and faces, already with this run's id and frame numbers."""

    frames: pa.Table
    faces: pa.Table

    def of(self, numbers: np.ndarray) -> tuple[pa.Table, pa.Table]:
        """The rows of some photos."""
        return tuple(table.filter(np.isin(table["frame"].to_numpy(), numbers)) for table in (self.frames, self.faces))


NOTHING_EARLIER = Earlier(*(PARTS[table].empty_table() for table in ("frames", "faces")))


def plan_album(album: Album) -> list[Chunk]:
    """The readable photos of an album in chunks of neighbours."""
    numbers = np.arange(len(album.photos))
    readable = np.array([photo.error is None for photo in album.photos], bool)
    return [Chunk(int(start) // CHUNK, part) for start in numbers[::CHUNK]
            if len(part := numbers[start:start + CHUNK][readable[start:start + CHUNK]])]


def scan_album(album: Album, chunks: Sequence[Chunk], eyes: Eyes, threads: int, place: tuple[Path, str], earlier: Earlier) -> Iterator[Outcome]:
    """Scan chunks into parts. place: the results folder and the run. Raises VideoError when a photo is no longer what it was."""
    results, run = place
    known = set(earlier.frames["frame"].to_pylist())
    wanted = [number for chunk in chunks for number in chunk.frames.tolist() if number not in known]
    with _reading(album, wanted, min(threads, MOST_READERS)) as pictures:
        for chunk in chunks:
            fresh = [number for number in chunk.frames.tolist() if number not in known]
            errors: dict[int, str] = {}
            rows = read_faces(_readable(islice(pictures, len(fresh)), album, errors), eyes)
            frames, faces = earlier.of(chunk.frames)
            frames = pa.concat_tables([frames, tables.part_table("frames", run, frame_columns(rows))]).unify_dictionaries().sort_by("frame")
            faces = pa.concat_tables([faces, tables.part_table("faces", run, face_columns(rows))]).unify_dictionaries()
            faces = faces.sort_by([("frame", "ascending"), ("face", "ascending")])
            count = DecodeCount(decoded=len(frames), missing=len(errors))
            tables.write_part(results, run, chunk.number, frames, faces, **count_columns(count))
            yield Outcome(chunk.number, len(chunk.frames), len(faces), errors)


def _readable(pictures: Iterator[tuple[int, np.ndarray | VideoError]], album: Album, errors: dict[int, str]
              ) -> Iterator[tuple[int, np.ndarray, float]]:
    """Number, picture and scale of those that could be read; what is wrong with the others is noted."""
    for number, picture in pictures:
        if isinstance(picture, VideoError):
            errors[number] = one_line(str(picture))
        else:
            yield number, picture, album.photos[number].facts.width / picture.shape[1]


@contextmanager
def _reading(album: Album, numbers: Sequence[int], threads: int) -> Iterator[Iterator[tuple[int, np.ndarray | VideoError]]]:
    """Photos in order, read side by side a little ahead of whoever uses them."""
    pool = ThreadPoolExecutor(threads, "photos")
    try:
        yield _in_order(pool, album, numbers, max(threads + 2, LEAST_AHEAD))
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ThreadPoolExecutor, album: Album, numbers: Sequence[int], ahead: int) -> Iterator[tuple[int, np.ndarray | VideoError]]:
    under_way: deque[tuple[int, Future]] = deque()
    for number in numbers:
        under_way.append((number, pool.submit(_read, album.photos[number])))
        if len(under_way) > ahead:
            yield _taken(under_way)
    while under_way:
        yield _taken(under_way)


def _taken(under_way: deque[tuple[int, Future]]) -> tuple[int, np.ndarray | VideoError]:
    number, future = under_way.popleft()
    return number, future.result()


def _read(photo: Photo) -> np.ndarray | VideoError:
    """A picture, or why it cannot be read. Raises CrowdmoodError where the file is no longer what it was."""
    try:
        return read_photo(photo.path, photo.page)
    except VideoError as error:
        return error
    finally:
        same = False
        with suppress(OSError):
            same = identity(photo.path) == photo.identity
        if not same:
            raise CrowdmoodError(f"{photo.file}: it changed while the photos were read; run the same command again")
