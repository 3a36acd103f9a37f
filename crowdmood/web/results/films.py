"""The film of a run, for the browser: only a file whose content is what was analyzed, byte for byte, is ever played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crowdmood.errors import VideoError
from crowdmood.files import identity, sha256_of
from crowdmood.s3 import is_on_s3

KINDS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska",
         ".ogv": "video/ogg", ".ogg": "video/ogg", ".ts": "video/mp2t"}
AT_ONCE = 200_000_000  # bytes whose digest is there before anybody waits


@dataclass(frozen=True)
class Film:
    """path: the file; kind: its media type; identity: see `crowdmood.files.identity`, when it was looked at."""

    path: Path
    kind: str
    identity: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return self.identity[2]


def find_film(info: Mapping[str, Any]) -> Film:
    """Where the film of a run lies now; its content is not looked at yet. info: the run's row.

    Raises VideoError, a sentence for who wants to see it, when there is no file that a browser could be given.
    """
    name = info["recording"]
    if is_on_s3(info["path"]):
        raise VideoError(f"{name} is on S3, from where it cannot be played here.")
    path = Path(info["path"])
    if path.is_dir():
        raise VideoError(f"{name} is in several files, and a browser plays one.")
    try:
        found = identity(path)
    except OSError:
        raise VideoError(f"{name} is no longer where it was when it was analyzed ({path.parent}).") from None
    if not path.is_file():
        raise VideoError(f"{path} is no file any more.")
    if info["size_bytes"] not in (None, found[2]):
        raise VideoError(f"{name} has changed since it was analyzed, so it is not shown beside these figures.")
    return Film(path, KINDS.get(path.suffix.lower(), "application/octet-stream"), found)


def check_film(film: Film, info: Mapping[str, Any]) -> Film:
    """Read all of a film, and return it when its content is what was analyzed. Raises VideoError."""
    try:
        digest = sha256_of(film.path)
        same = digest == info["digest"] and identity(film.path) == film.identity
    except OSError as error:
        raise VideoError(f"{info['recording']} cannot be read: {error.strerror or error}.") from error
    if not same:
        raise VideoError(f"{info['recording']} has changed since it was analyzed, so it is not shown beside these figures.")
    return film

