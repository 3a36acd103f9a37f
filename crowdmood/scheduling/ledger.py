"""The ledger of a results folder: `jobs.sqlite`, which holds every due time, attempt, recording and outcome.

Every look or change is one short transaction on a connection of its own, so threads and processes share it freely. It is
in WAL mode, which works on one machine's own disks; several machines share results on S3, and each has its own ledger.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from crowdmood.errors import ResultsError
from crowdmood.results import local_folder
from crowdmood.s3 import S3Folder
from crowdmood.scheduling.migrations import NEWEST, migrate, version_of

LEDGER = "jobs.sqlite"
PATIENCE_S = 30.0  # for others' transactions, which take milliseconds
NOT_DAMAGE = (sqlite3.OperationalError, sqlite3.IntegrityError, sqlite3.ProgrammingError)


class Ledger:
    """The ledger of one results folder; the tables are in migrations.py.

    clock: seconds since 1970. Opening makes the file, brings an older one to the newest version, and sets a damaged one
    aside (`set_aside`: where it is now, else None). Raises ResultsError when it cannot be opened or is of a newer version.
    """

    def __init__(self, results: Path | S3Folder, clock: Callable[[], float] = time.time) -> None:
        self.path = ledger_path(results)
        self.now = clock
        with _alone(self.path):
            self.set_aside = _set_aside(self.path) if _is_damaged(self.path) else None
            with _translated(self.path), closing(_connect(self.path)) as database:
                _check_version(self.path, database)
                database.execute("PRAGMA journal_mode = WAL")
                migrate(database)
        if self.set_aside:
            logging.getLogger("crowdmood.jobs").warning(
                "the ledger was damaged and a new one is begun; what is complete is not analyzed again",
                extra={"facts": {"ledger": str(self.path), "set_aside": str(self.set_aside)}})

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the ledger."""
        with _translated(self.path), closing(_connect(self.path)) as database:
            database.execute("BEGIN")
            yield database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection that alone may change the ledger; the changes are there, and on the disk, when the block ends well."""
        with _translated(self.path), closing(_connect(self.path)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")


def ledger_path(results: Path | S3Folder) -> Path:
    """Where the ledger of a results folder lies; of results on S3, in the local folder in which they are made."""
    return local_folder(results) / LEDGER


def stored(source: object) -> str | bytes:
    """A path or address as it goes into the ledger: text, or bytes where its name is no text."""
    text = str(source)
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def restored(source: str | bytes) -> str:
    """A path or address as it came out of the ledger."""
    return os.fsdecode(source)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("PRAGMA synchronous = FULL")
    return database


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep the opening to one process at a time: two must not both set the file aside."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path.with_name(f".{path.name}.lock"), "w")  # noqa: SIM115 closed below
    except OSError as error:
        raise ResultsError(f"results folder {path.parent} cannot be written: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        advice = "" if isinstance(error, NOT_DAMAGE) else "; start again, and it is set aside"
        raise ResultsError(f"the ledger {path} cannot be used: {error}{advice}") from error


def _check_version(path: Path, database: sqlite3.Connection) -> None:
    version = version_of(database)
    if version > NEWEST:
        raise ResultsError(f"the ledger {path} is of a newer crowdmood (version {version}, this one knows up to {NEWEST}); "
                           "install that one, or give another results folder")


def _is_damaged(path: Path) -> bool:
    if not path.exists():
        return False
    if path.stat().st_size == 0:
        return not path.with_name(f"{path.name}-wal").exists()
    try:
        with closing(_connect(path)) as database:
            return database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok"
    except sqlite3.DatabaseError as error:
        return not isinstance(error, NOT_DAMAGE)


def _set_aside(path: Path) -> Path:
    """Rename a damaged ledger, with what SQLite keeps beside it."""
    mark = f"damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    for end in ("-wal", "-shm", ""):
        source = path.with_name(f"{path.name}{end}")
        if source.exists():
            source.rename(path.with_name(f"{path.stem}.{mark}{path.suffix}{end}"))
    return path.with_name(f"{path.stem}.{mark}{path.suffix}")
