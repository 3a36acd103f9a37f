"""From what a user names to the recordings that are meant."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from crowdmood.downloads import S3File, find_on_s3
from crowdmood.errors import VideoError
from crowdmood.files import cache_folder

VIDEO_EXTENSIONS = (
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".h264", ".hevc", ".m2ts", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
)
"""What counts as a recording in a folder. A file that is named itself may have any name."""
GLOB_SIGNS = "*?["
DEMO = "demo://clip"
"""The clip of `crowdmood demo`, for jobs that are to run as they are."""


class Nothing(VideoError):
    """A folder, a pattern or an address without recordings."""


def expand(sources: Sequence[str]) -> list[Path | S3File]:
    """The recordings named by files, folders (searched through and through), patterns and s3:// addresses, each once.

    The order is that of the sources; within a folder or a pattern by name. Raises VideoError with one
    sentence for a missing file, a folder or a pattern without recordings, and a URL.
    """
    found, errors = look(sources)
    if errors:
        raise errors[0]
    return found


def look(sources: Sequence[str]) -> tuple[list[Path | S3File], list[VideoError]]:
    """The same, and what is wrong with the sources that cannot be searched; the others are. An empty one is a `Nothing`."""
    found: dict[str, Path | S3File] = {}
    errors: list[VideoError] = []
    for source in sources:
        for recording in _recordings(source, errors):
            found.setdefault(os.path.realpath(recording) if isinstance(recording, Path) else str(recording), recording)
    return list(found.values()), errors


def beside(folder: Path, source: str) -> str:
    """A source that was written in a file of this folder: a relative path begins there."""
    if "://" in source or source.startswith("s3:"):
        return source
    source = os.path.expanduser(source)
    path = os.path.normpath(folder / source)
    if any(sign in source for sign in GLOB_SIGNS) and not os.path.lexists(path):
        return os.path.normpath(os.path.join(glob.escape(str(folder)), source))
    return path


def _recordings(source: str, errors: list[VideoError]) -> Iterable[Path | S3File]:
    """What a source names; what is wrong is added to the errors."""
    path = Path(source)
    if source == DEMO:
        return [_demo_clip()]
    if path.is_dir():
        return _in_folder(path, errors)
    if os.path.lexists(path):
        return [path]  # whatever is wrong with it, opening it will say so
    try:
        if source.startswith("s3:"):
            return _on_s3(source)
        if "://" in source:
            raise VideoError(f"{source}: a URL cannot be analyzed; download the recording first")
        if any(sign in source for sign in GLOB_SIGNS):
            return _matching(source)
        raise VideoError(f"{source}: there is no such file")
    except VideoError as error:
        errors.append(error)
        return []


def _demo_clip() -> Path:
    """The clip of `crowdmood demo`, made once."""
    path = cache_folder() / "demo.mp4"
    if not path.is_file():
        from crowdmood.demo import write_clip

        write_clip(path)
    return path


def _on_s3(address: str) -> list[S3File]:
    files = find_on_s3(address)
    recordings = [file for file in files if file.address == address or file.name.lower().endswith(VIDEO_EXTENSIONS)]
    if not recordings:
        raise Nothing(f"{address}: no recordings are there (looked for {' '.join(VIDEO_EXTENSIONS)})")
    return recordings


def _in_folder(folder: Path, errors: list[VideoError]) -> list[Path]:
    before = len(errors)
    paths = sorted(path for path in _walk(folder, set(), errors) if path.suffix.lower() in VIDEO_EXTENSIONS)
    if not paths and len(errors) == before:
        errors.append(Nothing(f"{folder}: no recordings are in this folder (looked for {' '.join(VIDEO_EXTENSIONS)})"))
    return paths


def _walk(folder: Path, seen: set[tuple[int, int]], errors: list[VideoError]) -> Iterator[Path]:
    """The files below a folder; hidden ones are left out, links are followed, but into no folder twice."""
    try:
        facts = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        errors.append(VideoError(f"{folder}: the folder cannot be read ({error.strerror})"))
        return
    if (facts.st_dev, facts.st_ino) in seen:
        return
    seen.add((facts.st_dev, facts.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_dir():
                yield from _walk(folder / entry.name, seen, errors)
            elif entry.is_file():
                yield folder / entry.name
        except OSError as error:
            if error.errno != errno.ELOOP:  # a link that leads in a circle leads to nothing
                errors.append(VideoError(f"{folder / entry.name}: it cannot be looked at ({error.strerror})"))


def _matching(pattern: str) -> list[Path]:
    """What a pattern matches; the files it names count whatever they are called. Folders are not searched: ** does."""
    paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(name)]
    if not paths:
        raise Nothing(f"{pattern}: no file matches this pattern")
    return paths
