"""Recordings that visitors send, piece by piece: what has arrived stays, whatever happens to the browser or to this server.

    <results>/uploads/<id>/upload.json     its name, its size, when it was begun, and what is to be done with it
                           part            what has arrived so far
                           concert.mp4     the whole film, under its cleaned name
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from crowdmood.files import flush, write_aside
from crowdmood.web.recordings.film_files import (
    HEAD,
    clean_name,
    film_ending,
    with_ending,
)
from crowdmood.web.refusals import Busy, Conflict, NotFound, Refusal, TooLarge
from crowdmood.web.safety.bodies import size

ID = "^[0-9a-f]{12}$"
PIECE_BYTES = 8 * 2**20
"""The largest piece that is taken at once."""
UNFINISHED = 100  # uploads that may be begun and not finished
KEPT = timedelta(days=7)
"""An unfinished upload to which nothing was added for so long is removed when the server starts."""
SPARE_BYTES = 500_000_000  # of disk that stays free, for results


class NoRoom(Refusal):
    """The disk is full."""

    status = 507


@dataclass(frozen=True)
class Upload:
    """One recording on its way, or arrived. name: cleaned; received: bytes that are here; begun: when; asked: what is to be
    done once it is here, as the visitor said it.
    """

    id: str
    folder: Path
    name: str
    size_bytes: int
    received: int
    begun: datetime
    asked: dict[str, Any] | None

    @property
    def is_whole(self) -> bool:
        """Whether the film is here in full."""
        return self.received == self.size_bytes and not (self.folder / "part").exists()

    @property
    def film(self) -> Path:
        """Where the whole film lies, or will lie."""
        return self.folder / self.name


class Uploads:
    """The uploads in a folder. Operations raise NotFound for an id that is none."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes

    def begin(self, name: str, size_bytes: int, asked: dict[str, Any] | None = None) -> Upload:
        """A place for a recording. Raises TooLarge, also where the disk has no room for it, and Busy."""
        if size_bytes > self.most_bytes:
            raise TooLarge(f"{clean_name(name)} has {size(size_bytes)}, and at most {size(self.most_bytes)} are taken here; "
                           "`crowdmood analyze` on the machine itself takes any size.")
        left = [upload.size_bytes - upload.received for upload in self.all() if not upload.is_whole]
        if len(left) >= UNFINISHED:
            raise Busy(f"{UNFINISHED} uploads are unfinished; finish or remove some of them first.", 60)
        with writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free - sum(left) - SPARE_BYTES
            if size_bytes > free:
                raise TooLarge(f"There is no room for {clean_name(name)}: it has {size(size_bytes)}, and {size(max(0, free))} are free "
                               "on the server's disk; remove recordings that are no longer needed.")
            return self._make(clean_name(name), size_bytes, asked)

    def _make(self, name: str, size_bytes: int, asked: dict[str, Any] | None) -> Upload:
        folder = self.folder / secrets.token_hex(6)
        folder.mkdir()
        (folder / "part").touch()
        _write(folder, {"name": name, "size_bytes": size_bytes, "begun": datetime.now(UTC).isoformat(), "asked": asked})
        return self.find(folder.name)

    def find(self, upload: str) -> Upload:
        """The upload with this id."""
        folder = self.folder / upload
        try:
            facts = json.loads((folder / "upload.json").read_bytes()) if re.fullmatch(ID, upload) else {}
            return Upload(upload, folder, facts["name"], facts["size_bytes"], _received(folder, facts["name"]),
                          datetime.fromisoformat(facts["begun"]), facts["asked"])
        except (OSError, ValueError, LookupError, TypeError):
            raise NotFound("There is no such upload; it was removed, or given up long ago.") from None

    def all(self) -> list[Upload]:
        """Every upload, the newest first."""
        found = []
        for path in self.folder.glob("*/upload.json"):
            with suppress(NotFound):  # removed while we looked
                found.append(self.find(path.parent.name))
        return sorted(found, key=lambda upload: upload.begun, reverse=True)

    def add(self, upload: str, offset: int, piece: bytes | bytearray) -> Upload:
        """Add a piece that begins at `offset`, which must be where the last one ended.

        Raises Conflict where it does not fit, TooLarge, WrongType (and the upload is gone) where this is no film, NoRoom.
        """
        with writing(), _alone(self.find(upload)) as folder:
            found = self.find(upload)
            if found.is_whole:
                raise Conflict(f"{found.name} is here in full.")
            (folder / "part").touch()  # somebody may have removed the film by hand
            self._add(found, offset, piece)
        return self.find(upload)

    def _add(self, found: Upload, offset: int, piece: bytes | bytearray) -> None:
        with open(found.folder / "part", "r+b") as file:
            end = file.seek(0, os.SEEK_END)
            if offset != end:
                raise Conflict(f"{end} bytes of {found.name} are here; go on from there.")
            if end + len(piece) > found.size_bytes:
                raise TooLarge(f"More bytes came than {found.name} was said to have; upload it anew.")
            _append(file, end, piece)
            if end < HEAD <= end + len(piece) or end + len(piece) == found.size_bytes:
                self._look(found, file)

    def _look(self, upload: Upload, file: BinaryIO) -> None:
        """See that it is a film, and put a whole one in its place."""
        file.seek(0)
        try:
            ending = film_ending(file.read(HEAD), upload.name)
        except Refusal:
            shutil.rmtree(upload.folder, ignore_errors=True)
            raise
        if os.fstat(file.fileno()).st_size == upload.size_bytes:
            name = with_ending(upload.name, ending)
            if name != upload.name:
                facts = json.loads((upload.folder / "upload.json").read_bytes())
                _write(upload.folder, facts | {"name": name})
            os.replace(upload.folder / "part", upload.folder / name)
            flush(upload.folder)

    def remove(self, upload: str) -> None:
        """Remove an upload and its film."""
        with writing():
            shutil.rmtree(self.find(upload).folder)

    def tidy(self) -> None:
        """Remove what was begun and given up long ago, and what a kill has left."""
        for folder in self.folder.glob("[0-9a-f]*"):
            with suppress(OSError):
                last = max((path.stat().st_mtime for path in folder.iterdir()), default=folder.stat().st_mtime)
                unfinished = (folder / "part").exists() or not (folder / "upload.json").exists()
                if re.fullmatch(ID, folder.name) and unfinished and datetime.fromtimestamp(last, UTC) < datetime.now(UTC) - KEPT:
                    shutil.rmtree(folder)


@contextmanager
def writing() -> Iterator[None]:
    """Turn what the operating system refuses into a sentence. Raises NoRoom."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("It was just removed.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoRoom("The server's disk is full; what has arrived is kept. Remove recordings that are no longer needed, and go on.") from error
        raise NoRoom(f"The server cannot write into its results folder ({error.strerror}); whoever runs it must mend that.") from error


@contextmanager
def _alone(upload: Upload) -> Iterator[Path]:
    """The folder of an upload, held for one piece at a time. Raises Conflict."""
    folder = os.open(upload.folder, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield upload.folder
    except BlockingIOError as error:
        raise Conflict(f"Another window is sending {upload.name} at this moment.") from error
    finally:
        os.close(folder)


def _append(file: BinaryIO, end: int, piece: bytes | bytearray) -> None:
    """All of it or nothing, on the disk when it returns."""
    try:
        file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            os.ftruncate(file.fileno(), end)
        raise


def _received(folder: Path, name: str) -> int:
    for path in (folder / "part", folder / name):
        with suppress(FileNotFoundError):
            return path.stat().st_size
    return 0  # somebody removed the film by hand


def _write(folder: Path, facts: dict[str, Any]) -> None:
    with write_aside(folder / "upload.json") as aside:
        aside.write_text(json.dumps(facts))
