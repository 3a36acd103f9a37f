"""From what a user names to the recordings that are meant."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from crowdmood.downloads import S3File, find_on_s3
from crowdmood.errors import VideoError
from crowdmood.files import cache_folder
from crowdmood.options import Options
from crowdmood.s3 import is_on_s3
from crowdmood.zoom.folders import Folder
from crowdmood.zoom.meetings import (
    Meeting,
    comes_from_zoom,
    find_meetings,
    meeting_of,
)
from crowdmood.zoom.names import read_name

VIDEO_EXTENSIONS = (
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".h264", ".hevc", ".m2ts", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
)
"""What counts as a recording in a folder. A file that is named itself may have any name."""
GLOB_SIGNS = "*?["
DEMO = "demo://clip"
"""The clip of `crowdmood demo`, for jobs that are to run as they are."""
Source = Path | Meeting | S3File
"""A recording as it was found: a file, a meeting of one or more files, or a file on S3."""


class Nothing(VideoError):
    """A folder, a pattern or an address without recordings."""


def expand(sources: Sequence[str], view: str = "auto", parts: str = "auto") -> list[Source]:
    """The recordings named by files, folders (searched through and through), patterns and s3:// addresses, each once.

    The order is that of the sources; within a folder or a pattern by name. What Zoom has written comes as meetings. In folders
    `view` says which film of each is read (a key of zoom.VIEWS) and `parts` which films are one meeting (one of zoom.PARTS); a
    file that is named is taken as it is, with its side files. Raises VideoError with one sentence for a missing file, a folder
    or a pattern without recordings, and a URL.
    """
    found, errors = look(sources, view, parts)
    if errors:
        raise errors[0]
    return found


def only(source: str | Path, view: str = "auto", parts: str = "auto") -> Source:
    """The one recording that a source names. Raises VideoError, also where it names several."""
    found = expand([str(source)], view, parts)
    if len(found) > 1:
        raise VideoError(f"{source}: {len(found)} recordings are there, not one; `crowdmood analyze` takes them all")
    return found[0]


def look(sources: Sequence[str], view: str = "auto", parts: str = "auto") -> tuple[list[Source], list[VideoError]]:
    """The same, and what is wrong with the sources that cannot be searched; the others are. An empty one is a `Nothing`."""
    found: dict[tuple[str, ...], Source] = {}
    errors: list[VideoError] = []
    looking = _Looking(view, parts)
    for source in sources:
        for recording in _recordings(source, errors, looking):
            found.setdefault(_files_of(recording), recording)
    return list(found.values()), errors


def look_again(places: Sequence[str], sources: Sequence[str], view: str = "auto", parts: str = "auto"
               ) -> tuple[list[Source], list[VideoError]]:
    """The same for recordings that were found in the sources before, without searching them. places: `str` of each."""
    by_name = set(places).intersection(sources) or any(sign in source for source in sources for sign in GLOB_SIGNS)
    # A film that nobody has named is what it is together with those beside it.
    names = [place if by_name or not comes_from_zoom(Path(place)) else str(Path(place).parent) for place in places]
    found, errors = look(names, view, parts)
    return [one for one in found if str(one) in places], errors


@dataclass(frozen=True)
class _Looking:
    """What is asked of folders, and the folders that named files have been found in."""

    view: str
    parts: str
    folders: dict[Path, Folder] = field(default_factory=dict)


def _files_of(recording: Source) -> tuple[str, ...]:
    """The files that are read for a recording, whatever way leads to them."""
    if isinstance(recording, Meeting):
        return tuple(os.path.realpath(path) for path in ([part.path for part in recording.parts] or recording.files))
    return (os.path.realpath(recording) if isinstance(recording, Path) else str(recording),)


def options_for(source: Source, options: Options) -> Options:
    """The options of one source: what has a name that Zoom gives is a meeting, so it need not be told by names in the picture."""
    return replace(options, meeting="on") if options.meeting == "auto" and isinstance(source, Meeting) else options


def beside(folder: Path, source: str) -> str:
    """A source that was written in a file of this folder: a relative path begins there."""
    if "://" in source or is_on_s3(source):
        return source
    source = os.path.expanduser(source)
    path = os.path.normpath(folder / source)
    if any(sign in source for sign in GLOB_SIGNS) and not os.path.lexists(path):
        return os.path.normpath(os.path.join(glob.escape(str(folder)), source))
    return path


def _recordings(source: str, errors: list[VideoError], looking: _Looking) -> Iterable[Source]:
    """What a source names; what is wrong is added to the errors."""
    path = Path(source)
    if source == DEMO:
        return [_demo_clip()]
    if path.is_dir():
        return _in_folder(path, errors, looking)
    if os.path.lexists(path):
        return [_file(path, looking)]  # whatever is wrong with it, opening it will say so
    try:
        if is_on_s3(source):
            return _on_s3(source)
        if "://" in source:
            raise VideoError(f"{source}: a URL cannot be analyzed; download the recording first")
        if any(sign in source for sign in GLOB_SIGNS):
            return _matching(source, looking)
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
    named = [name.key for file in files if (name := read_name(Path(file.name)))]
    if len(files) > 1 and len(set(named)) < len(named):
        raise VideoError(f"{address}: files of Zoom meetings are there, which are read together; download them into a folder and "
                         "analyze that (or give the address of one film)")
    return recordings


def _in_folder(folder: Path, errors: list[VideoError], looking: _Looking) -> list[Source]:
    before = len(errors)
    meetings, others = find_meetings(files_below(folder, set(), errors), looking.view, looking.parts)
    recordings = [*meetings, *(path for path in others if path.suffix.lower() in VIDEO_EXTENSIONS)]
    if not recordings and len(errors) == before:
        errors.append(Nothing(f"{folder}: no recordings are in this folder (looked for {' '.join(VIDEO_EXTENSIONS)})"))
    return sorted(recordings, key=_place)


def _place(recording: Path | Meeting) -> Path:
    return recording if isinstance(recording, Path) else recording.files[0]


def _file(path: Path, looking: _Looking) -> Path | Meeting:
    """A file that is named: with what Zoom has written beside it, if it comes from there."""
    try:
        return meeting_of(path, looking.folders) or path
    except OSError:  # of a folder that may be entered and not be listed
        return path


def files_below(folder: Path, seen: set[tuple[int, int]], errors: list[VideoError]) -> Iterator[Path]:
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
                yield from files_below(folder / entry.name, seen, errors)
            elif entry.is_file():
                yield folder / entry.name
        except OSError as error:
            if error.errno != errno.ELOOP:  # a link that leads in a circle leads to nothing
                errors.append(VideoError(f"{folder / entry.name}: it cannot be looked at ({error.strerror})"))


def _matching(pattern: str, looking: _Looking) -> list[Path | Meeting]:
    """What a pattern matches; the files it names count whatever they are called. Folders are not searched: ** does."""
    paths = [_file(Path(name), looking) for name in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(name)]
    if not paths:
        raise Nothing(f"{pattern}: no file matches this pattern")
    return paths
