"""From what a user names to the recordings that are meant."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from crowdmood.errors import VideoError

VIDEO_EXTENSIONS = (
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".h264", ".hevc", ".m2ts", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
)
"""What counts as a recording in a folder. A file that is named itself may have any name."""
GLOB_SIGNS = "*?["


def expand(sources: Sequence[str]) -> list[Path]:
    """The recordings named by files, folders (searched through and through) and patterns, each once.

    The order is that of the sources; within a folder or a pattern by name. Raises VideoError with one
    sentence for a missing file, a folder or a pattern without recordings, and a URL.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        for path in _recordings(source):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _recordings(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return _in_folder(path)
    if os.path.lexists(path):
        return [path]  # whatever is wrong with it, opening it will say so
    if "://" in source:
        raise VideoError(f"{source}: a URL cannot be analyzed; download the recording first")
    if any(sign in source for sign in GLOB_SIGNS):
        return _matching(source)
    raise VideoError(f"{source}: there is no such file")


def _in_folder(folder: Path) -> list[Path]:
    paths = sorted(path for path in _walk(folder, set()) if path.suffix.lower() in VIDEO_EXTENSIONS)
    if not paths:
        known = " ".join(VIDEO_EXTENSIONS)
        raise VideoError(f"{folder}: no recordings are in this folder (looked for {known})")
    return paths


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """The files below a folder; hidden ones are left out, links are followed, but into no folder twice."""
    try:
        facts = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise VideoError(f"{folder}: the folder cannot be read ({error.strerror})") from None
    if (facts.st_dev, facts.st_ino) in seen:
        return
    seen.add((facts.st_dev, facts.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(folder / entry.name, seen)
        elif entry.is_file():
            yield folder / entry.name


def _matching(pattern: str) -> list[Path]:
    """What a pattern matches; the files it names count whatever they are called, its folders are searched."""
    paths: list[Path] = []
    for name in sorted(glob.glob(pattern, recursive=True)):
        path = Path(name)
        if path.is_file():
            paths.append(path)
    if not paths:
        raise VideoError(f"{pattern}: no file matches this pattern")
    return paths
