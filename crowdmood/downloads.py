"""Recordings on S3: found by their address, and brought here one at a time, when it is their turn.

A copy lies in the cache while it is needed. Copies that a killed process left are taken up again by the same work, and
removed by the next download when nobody has touched them for a week.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import IO

from crowdmood.errors import ResultsError, VideoError
from crowdmood.files import cache_folder
from crowdmood.s3 import S3Folder, is_on_s3, s3_folder
from crowdmood.zoom.meetings import Meeting

FORGOTTEN_S = 7 * 86_400
LONGEST_NAME = 200  # bytes; a file system takes 255, and a name is longer while it is written
SPARE_BYTES = 100_000_000  # left free on the disk
LOCK, FETCHING = ".lock", ".fetching"


@dataclass(frozen=True)
class S3File:
    """A recording on S3 as it was listed. address: s3://bucket/key; tag: changes with the content."""

    address: str
    size: int
    tag: str

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """The file's name; of a very long one the end."""
        return os.fsencode(self.address.rpartition("/")[2])[-LONGEST_NAME:].decode(errors="ignore")

    @property
    def stamp(self) -> str:
        """The same as long as the file on S3 is."""
        return f"{self.size} {self.tag}"


def find_on_s3(address: str) -> list[S3File]:
    """The file of this address, or else all files below it, by name. Raises VideoError where S3 cannot be asked."""
    try:
        folder = s3_folder(address)
        bucket, _, key = folder.address.removeprefix("s3://").partition("/")
        root = S3Folder(f"s3://{bucket}")
        found = {name: S3File(f"{root}/{name}", entry["size"], str(entry.get("ETag", entry.get("LastModified"))))
                 for name, entry in root.files(key).items()}
    except (ResultsError, FileNotFoundError) as error:
        raise VideoError(str(error) if isinstance(error, ResultsError) else f"{address}: nothing is there") from error
    if key in found:
        return [found[key]]
    return [found[name] for name in sorted(found) if name.startswith(f"{key}/" if key else "")]


@contextmanager
def local_copy(recording: str | Path | S3File | Meeting) -> Iterator[Path | Meeting]:
    """A recording as a local file: itself, or its copy, which is removed at the end unless others use it or this was killed.
    The files of a meeting are local.

    Raises VideoError when it cannot be fetched or there is no room for it.
    """
    if isinstance(recording, Meeting):
        yield recording
        return
    if not isinstance(recording, S3File):
        if not is_on_s3(recording):
            yield Path(recording)
            return
        recording = _one(str(recording))
    # Named as a folder of results is: by the server, the profile and the address, here with the content's stamp.
    folder = cache_folder() / "recordings" / S3Folder(f"{recording} {recording.stamp}").local.name
    path = folder / recording.name
    with _fetched(recording, path) as lock:
        try:
            yield path
        except Exception:
            _drop(folder, lock)
            raise
        _drop(folder, lock)  # not after Ctrl-C: the same command goes on with the copy


def _one(address: str) -> S3File:
    found = find_on_s3(address)
    if len(found) != 1:
        raise VideoError(f"{address}: {len(found)} files are there, not one; `crowdmood analyze {address}` takes all recordings"
                         if found else f"{address}: there is no such file")
    return found[0]


def _fetched(recording: S3File, path: Path) -> IO:
    """The copy's lock, shared, once the copy is there. Who comes second waits for the first, and shares with it."""
    lock = _shared(path.parent / LOCK)
    try:
        # A lock of its own: made exclusive, the shared one would wait until nobody uses the copy any more.
        with open(path.parent / FETCHING, "a") as fetching:
            fcntl.flock(fetching, fcntl.LOCK_EX)
            if not _is_whole(recording, path):
                _make_room(recording, path)
                _download(recording, path)
        os.utime(lock.name)  # not the copy: others may be reading it, and see that it stays as it is
    except BaseException:
        lock.close()
        raise
    return lock


def _shared(path: Path) -> IO:
    """A lock that is shared with others, its folder made if need be."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            lock = open(path, "a")  # noqa: SIM115 closed by the caller
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.fstat(lock.fileno()).st_ino == os.stat(path).st_ino:
                return lock
            lock.close()  # the folder was removed while we waited: anew


def _is_whole(recording: S3File, path: Path) -> bool:
    return path.is_file() and path.stat().st_size == recording.size


def _download(recording: S3File, path: Path) -> None:
    folder, _, name = recording.address.rpartition("/")
    try:
        S3Folder(folder).download({name: path})
    except FileNotFoundError as error:
        raise VideoError(f"{recording}: it is no longer there") from error
    except ResultsError as error:
        raise VideoError(f"{recording}: {str(error).removeprefix(f'{folder}: ')}") from error
    if not _is_whole(recording, path):
        path.unlink()
        raise VideoError(f"{recording}: it changed while it was fetched; try again")


def _make_room(recording: S3File, path: Path) -> None:
    """Remove what was left behind. Raises VideoError when the copy would fill the disk."""
    for other in path.parent.iterdir():
        if other.name not in (LOCK, FETCHING):
            other.unlink()
    for folder in path.parent.parent.iterdir():
        with suppress(FileNotFoundError):
            newest = max((file.stat().st_mtime for file in folder.iterdir()), default=time())
            if folder != path.parent and newest < time() - FORGOTTEN_S:
                with open(folder / LOCK, "a") as lock:
                    _drop(folder, lock)
    free = shutil.disk_usage(path.parent).free
    if free < recording.size + SPARE_BYTES:
        raise VideoError(f"{recording}: its {recording.size / 1e6:,.0f} MB do not fit into {path.parent.parent}, where "
                         f"{free / 1e6:,.0f} MB are free; make room, or set XDG_CACHE_HOME to another disk")


def _drop(folder: Path, lock: IO) -> None:
    """Remove a copy that nobody else uses."""
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
