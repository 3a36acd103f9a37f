"""What is in the files that a job names: content decides, not the name, and a file is read only if it has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Self

from crowdmood.analysis import run_id
from crowdmood.downloads import S3File
from crowdmood.scan import chosen_models
from crowdmood.scheduling.ledger import Ledger, restored, stored
from crowdmood.scheduling.spec import JobSpec
from crowdmood.sources import Source, options_for
from crowdmood.video import joined_digest
from crowdmood.zoom.meetings import Meeting

NOTE_S = 2.0  # between two notes of digests
BLOCK = 1 << 22  # bytes hashed between two looks at whether to stop
KNOWN = "SELECT path, size, mtime_ns, inode, digest FROM files"
REMEMBER = "INSERT OR REPLACE INTO files (path, size, mtime_ns, inode, digest) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Found:
    """A source with the run that its content makes. size: bytes of all its files, also those beside the films of a meeting;
    mtime: of the newest; digest: sha256; of a file on S3 what S3 says of its content; empty where it cannot be read.
    """

    source: Source
    run: str
    size: int
    mtime: float
    digest: str


def identify(ledger: Ledger, spec: JobSpec, sources: Iterable[Source],
             go_on: Callable[[], None]) -> tuple[list[Found], list[Path | Meeting]]:
    """The contents of files, each once, and the files that are still growing and so are left out.

    go_on is called between blocks of what is read; it raises to stop. Raises ModelError.
    """
    models, found, growing = chosen_models(spec.options), {}, []
    with _Reading(ledger, go_on) as reading:
        for source in sources:
            go_on()
            facts = _facts(source, spec.still_s, ledger.now())
            digest = facts and (facts.digest or _content(source, reading))
            if digest is None:
                growing.append(source)
                continue
            run = run_id(digest or f"unread {os.fsencode(str(source))}", options_for(source, spec.options), models)
            found.setdefault(run, Found(source, run, facts.size, facts.mtime, digest))
    return list(found.values()), growing


@dataclass(frozen=True)
class _Facts:
    """size: in bytes; digest: where it is known without reading."""

    size: int = 0
    mtime: float = 0.0
    digest: str = ""


def _facts(source: Source, still_s: float, now: float) -> _Facts | None:
    """What is to be known of a source before it is read; None while it is changing."""
    if isinstance(source, S3File):
        return _Facts(source.size, 0.0, source.stamp)
    paths = source.files if isinstance(source, Meeting) else (source,)
    try:
        facts = [path.stat() for path in paths]
    except OSError:
        return _Facts()  # looking at it again will say why
    if not all(is_still(one, still_s, now) for one in facts):
        return None
    return _Facts(sum(one.st_size for one in facts), max(one.st_mtime for one in facts))


def _content(source: Path | Meeting, reading: _Reading) -> str | None:
    """sha256 of what is analyzed; '' when it cannot be read, None while it is changing."""
    if isinstance(source, Path):
        return reading.digest(source)
    digests = [reading.digest(part.path) for part in source.parts]
    if None in digests:
        return None
    return joined_digest(digests, [part.start_s for part in source.parts]) if digests and all(digests) else ""


def _signs(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def is_still(facts: os.stat_result, still_s: float, now: float) -> bool:
    """Whether a file has not changed for so long. A time of modification in the future was set by a program, so it does not
    count; a change in the future means that the clock was put back since.
    """
    changed = facts.st_ctime if facts.st_mtime > now else max(facts.st_mtime, facts.st_ctime)
    return abs(now - changed) >= still_s


def known_digests(ledger: Ledger) -> dict[tuple[str, int, int, int], str]:
    """The digests of files that have been read, by path, size, time of modification in ns and inode."""
    with ledger.reading() as database:
        return {(restored(row["path"]), *row[1:4]): row["digest"] for row in database.execute(KNOWN)}


def digest_of(path: Path, signs: tuple[int, int, int], go_on: Callable[[], None]) -> str | None:
    """sha256 of a file's content; '' when it cannot be read, None when it is not (or no more) as its signs say."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                go_on()
            after = _signs(os.fstat(file.fileno()))
    except OSError:
        return ""
    return digest.hexdigest() if after == signs else None


class _Reading:
    """Reads what is in files, unless the ledger knows it, and notes it there, many at a time: each change waits for the disk."""

    def __init__(self, ledger: Ledger, go_on: Callable[[], None]) -> None:
        self._ledger, self._go_on, self._known = ledger, go_on, known_digests(ledger)
        self._rows, self._noted = [], monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def digest(self, path: Path) -> str | None:
        """As `digest_of` says."""
        try:
            signs = _signs(path.stat())
        except OSError:
            return ""
        if known := self._known.get((str(path), *signs)):
            return known
        if digest := digest_of(path, signs, self._go_on):
            self._rows.append((stored(path), *signs, digest))
        if monotonic() - self._noted > NOTE_S:
            self._write()
        return digest

    def _write(self) -> None:
        if self._rows:
            with self._ledger.writing() as database:
                database.executemany(REMEMBER, self._rows)
        self._rows, self._noted = [], monotonic()
