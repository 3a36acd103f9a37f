"""What is in the files that a job names: content decides, not the name, and a file is read only if it has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Self

from crowdmood.analysis import chosen_models, run_id
from crowdmood.downloads import S3File
from crowdmood.scheduling.ledger import Ledger, restored, stored
from crowdmood.scheduling.spec import JobSpec

NOTE_S = 2.0  # between two notes of digests
BLOCK = 1 << 22  # bytes hashed between two looks at whether to stop
KNOWN = "SELECT path, size, mtime_ns, inode, digest FROM files"
REMEMBER = "INSERT OR REPLACE INTO files (path, size, mtime_ns, inode, digest) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Found:
    """A source with the run that its content makes. digest: sha256; of a file on S3 what S3 says of its content; empty where
    it cannot be read.
    """

    source: Path | S3File
    run: str
    size: int
    mtime: float
    digest: str


def identify(ledger: Ledger, spec: JobSpec, sources: Iterable[Path | S3File],
             go_on: Callable[[], None]) -> tuple[list[Found], list[Path]]:
    """The contents of files, each once, and the files that are still growing and so are left out.

    go_on is called between blocks of what is read; it raises to stop. Raises ModelError.
    """
    models, known, found, growing = chosen_models(spec.options), known_digests(ledger), {}, []
    with _Noting(ledger) as notes:
        for source in sources:
            go_on()
            facts = _facts(source, spec.still_s, ledger.now())
            digest = facts and (known.get((str(source), *facts.signs)) or facts.digest)
            if facts and not digest:
                digest = digest_of(source, facts.signs, go_on)
                notes.add(source, facts, digest)
            if digest is None:
                growing.append(source)
                continue
            run = run_id(digest or f"unread {os.fsencode(str(source))}", spec.options, models)
            found.setdefault(run, Found(source, run, facts.signs[0], facts.mtime, digest))
    return list(found.values()), growing


@dataclass(frozen=True)
class _Facts:
    """signs: size, time of modification in ns, inode. digest: where it is known without reading."""

    signs: tuple[int, int, int]
    mtime: float
    digest: str = ""


def _facts(source: Path | S3File, still_s: float, now: float) -> _Facts | None:
    """What is to be known of a source before it is read; None while it is changing."""
    if isinstance(source, S3File):
        return _Facts((source.size, 0, 0), 0.0, source.stamp)
    try:
        facts = source.stat()
    except OSError:
        return _Facts((0, 0, 0), 0.0)  # looking at it again will say why
    return _Facts(_signs(facts), facts.st_mtime) if is_still(facts, still_s, now) else None


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


class _Noting:
    """Notes digests in the ledger, many at a time: each change waits for the disk."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._rows, self._noted = ledger, [], monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def add(self, path: Path, facts: _Facts, digest: str | None) -> None:
        if digest:
            self._rows.append((stored(path), *facts.signs, digest))
        if monotonic() - self._noted > NOTE_S:
            self._write()

    def _write(self) -> None:
        if self._rows:
            with self._ledger.writing() as database:
                database.executemany(REMEMBER, self._rows)
        self._rows, self._noted = [], monotonic()
