"""Files that are either there in full or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir


@contextmanager
def write_aside(path: Path | str) -> Iterator[Path]:
    """Yield a hidden path beside ``path``; when the block ends well it takes the place of ``path`` in one step.

    The content reaches the disk before the rename, so a reader (or a process that comes after a crash) sees
    the old file or the whole new one. When the block raises, ``path`` stays as it was. What a killed process left
    beside ``path`` is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(path)
    # Process ids alone are not enough: containers on two machines have the same ones, and threads share theirs.
    aside = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(3).hex()}.tmp")
    with open(aside, "xb") as held:
        with suppress(OSError):  # some network folders know no locks
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield aside
            flush(aside)
            os.replace(aside, path)
            flush(path.parent)
        finally:
            aside.unlink(missing_ok=True)


def _remove_left(path: Path) -> None:
    """Remove files that were written aside by processes that were killed: those that nobody holds."""
    for aside in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        with suppress(OSError), open(aside, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            aside.unlink()


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A folder for files on their way elsewhere, removed with the block; those of processes that were killed go first."""
    for left in Path(gettempdir()).glob("crowdmood-passing-*"):
        with suppress(OSError), _held(left):
            rmtree(left)
    with TemporaryDirectory(prefix="crowdmood-passing-", ignore_cleanup_errors=True) as folder, _held(Path(folder)):
        yield Path(folder)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder as long as this process lives. Raises OSError when another one does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def flush(path: Path) -> None:
    """Make the kernel write a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path | str) -> str:
    """The sha256 of a file's content, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def why(error: Exception) -> str:
    """What the operating system refused, in its own words; libraries wrap them in theirs."""
    known = map(os.strerror, (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO))
    return next((words for words in known if words in str(error)), getattr(error, "strerror", None) or str(error))


def identity(path: Path | str) -> tuple[int, ...]:
    """Numbers that change when a file is written to, or another one takes its place. Raises OSError."""
    facts = os.stat(path)
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def as_text(name: Path | str) -> str:
    """A file's name as text that can be stored: bytes that are no UTF-8 become \\xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def bare_name(name: str) -> str:
    """The name of a recording without its ending; what follows the point in 'Weekly sync 14.00 GMT' is none."""
    stem, point, ending = name.rpartition(".")
    return stem if stem and point and ending.isalnum() and not ending.isdecimal() else name


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/crowdmood or ~/.cache/crowdmood."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crowdmood"
