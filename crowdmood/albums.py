"""Albums: from folders and files that a user names to the photos in them, each with its facts and its digest. No pixels are read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crowdmood.errors import VideoError, one_line
from crowdmood.files import as_text, identity, sha256_of, why
from crowdmood.s3 import is_on_s3
from crowdmood.sources import files_below
from crowdmood.video import PhotoFacts, look_at_photo

PHOTO_EXTENSIONS = (".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What counts as a photo in a folder. A file that is named itself may have any name."""
MOST_PAGES = 50
"""Of a longer animation so many frames are looked at, evenly spread."""


@dataclass(frozen=True)
class Photo:
    """A photo file, or one frame of an animation. file: its path within the album, as text; page: which frame, from 0; digest:
    sha256 of the file; identity: see files.identity; facts: None where it cannot be read, and error is the sentence that says why.
    """

    path: Path
    file: str
    page: int
    digest: str | None
    size_bytes: int | None
    identity: tuple[int, ...]
    facts: PhotoFacts | None
    error: str | None = None


@dataclass(frozen=True)
class Album:
    """Photos in the order of their names. folder: the one that holds all; name: what users see; a photo's frame number is its
    position; digest: sha256 over names and contents."""

    folder: Path
    name: str
    photos: tuple[Photo, ...]
    digest: str

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum({photo.path: photo.size_bytes or 0 for photo in self.photos}.values())


def open_album(sources: Sequence[str | Path], threads: int, progress: Callable[[int, int], None] = lambda *_: None) -> Album:
    """Look at all photos in folders (searched through and through) and files. progress: photos looked at, of all.

    A photo that cannot be read stays in the album with its error. Raises VideoError when a source is missing or has no photos.
    """
    paths = find_photos(sources)
    folder = _folder(sources)
    photos: list[Photo] = []
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done, photo in enumerate(pool.map(lambda path: _look(path, folder), paths), 1):
                photos += _pages(photo)
                progress(done, len(paths))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    facts = [[photo.file, photo.page, photo.digest] for photo in photos]
    digest = hashlib.sha256(json.dumps(["photos", facts]).encode()).hexdigest()
    return Album(folder, as_text(folder.name or folder), tuple(photos), digest)


def _folder(sources: Sequence[str | Path]) -> Path:
    """The folder that holds all sources."""
    paths = [Path(os.path.abspath(source)) for source in sources]
    return Path(os.path.commonpath([path if path.is_dir() else path.parent for path in paths]))


def find_photos(sources: Sequence[str | Path]) -> list[Path]:
    """The files of photos, absolute, each once, by name. Raises VideoError."""
    found: dict[str, Path] = {}
    for source in sources:
        before, errors = len(found), []
        for path in _below(source, errors):
            found.setdefault(os.path.realpath(path), Path(os.path.abspath(path)))
        if errors:
            raise errors[0]
        if len(found) == before and len(sources) == 1:
            raise VideoError(f"{source}: no photos are in this folder (looked for {' '.join(PHOTO_EXTENSIONS)})")
    if not found:
        raise VideoError(f"no photos are in these folders (looked for {' '.join(PHOTO_EXTENSIONS)})")
    return sorted(found.values(), key=lambda path: [os.fsencode(part) for part in path.parts])


def _below(source: str | Path, errors: list[VideoError]) -> Iterator[Path]:
    path = Path(source)
    if path.is_dir():
        yield from (file for file in files_below(path, set(), errors) if file.suffix.lower() in PHOTO_EXTENSIONS)
    elif os.path.lexists(path):
        yield path  # whatever is wrong with it, reading it will say so
    elif is_on_s3(source) or "://" in str(source):
        errors.append(VideoError(f"{source}: photos are ranked in local folders; download them first"))
    else:
        errors.append(VideoError(f"{source}: there is no such folder or file"))


def _look(path: Path, folder: Path) -> Photo:
    photo = Photo(path, as_text(path.relative_to(folder)), 0, None, None, (), None)
    try:
        before = identity(path)
        photo = replace(photo, digest=sha256_of(path) if path.is_file() else None, size_bytes=before[2], identity=before)
        return replace(photo, facts=look_at_photo(path))
    except VideoError as error:
        return replace(photo, error=one_line(str(error)))
    except OSError as error:
        return replace(photo, error=one_line(f"{path.name}: it cannot be read ({why(error)})"))


def _pages(photo: Photo) -> Iterator[Photo]:
    """The photo, or of an animation its frames."""
    count = photo.facts.pages if photo.facts else 1
    for page in np.unique(np.linspace(0, count - 1, min(count, MOST_PAGES)).round().astype(int)).tolist():
        yield replace(photo, page=page)
