"""When an MP4 was made and how long it is, as its header says: a few bytes read, nothing decoded.

Looking for what belongs together must not start a decoder per file; whether the header is right shows when it is decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
MOST_BOXES = 10_000  # of a hostile file


@dataclass(frozen=True)
class MovieHeader:
    """created: UTC; seconds: duration. None where the file does not say, or is no MP4."""

    created: datetime | None = None
    seconds: float | None = None


def read_header(path: Path) -> MovieHeader:
    """The header of an MP4, M4A or MOV; an empty one for whatever else is there, or cannot be read."""
    try:
        if not path.is_file():  # what waits for somebody to write into it, for example
            return MovieHeader()
        with open(path, "rb") as file:
            moov = _find(file, b"moov", path.stat().st_size)
            found = moov and _find(file, b"mvhd", moov)
            return _parsed(file.read(32)) if found else MovieHeader()
    except (OSError, struct.error, OverflowError):
        return MovieHeader()


def _find(file: BinaryIO, kind: bytes, end: int) -> int | None:
    """Go to the content of the first box of a kind before `end`; returns where that box ends."""
    for _ in range(MOST_BOXES):
        at = file.tell()
        if at + 8 > end:
            return None
        size, found = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
        size = size or end - at
        if found == kind:
            return min(at + size, end)
        if size < 8:
            return None
        file.seek(at + size)
    return None


def _parsed(content: bytes) -> MovieHeader:
    long = content[0] == 1
    created, _, scale, ticks = struct.unpack_from(">QQIQ" if long else ">IIII", content, 4)
    unknown = 2**64 - 1 if long else 2**32 - 1
    seconds = ticks / scale if scale and ticks != unknown else None
    made = EPOCH + timedelta(seconds=created)
    return MovieHeader(made if made.year >= 2000 else None, seconds)
