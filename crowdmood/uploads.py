"""Runs on S3: made in a local folder, uploaded as they grow, and gone on with by whoever comes next.

    parts, as chunks are finished -> the complete run's tables -> its row, last -> the parts are removed

S3 writes a file in one step, checked by its checksum, but cannot rename or lock. So readers go by the row, as in a local
folder, and two machines keep out of each other's way by a file that only one of them can create. If both work on the same
run nevertheless, they write the same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import pyarrow as pa

from crowdmood import tables
from crowdmood.errors import ResultsError, RunBusy
from crowdmood.s3 import S3Folder, same
from crowdmood.schemas import ALWAYS, PARTS, TABLES

LEASE = timedelta(minutes=15)  # a machine that has been silent for so long no longer counts
RENEW_S = 60.0
PAUSES_S = (1, 4, 15, 40)


def read_row(folder: S3Folder, run: str) -> dict[str, Any] | None:
    """A run's row on S3 as `tables.read_run` gives it, or None."""
    try:
        return tables.decode_row(pa.BufferReader(folder.read(_final("runs", run))))
    except FileNotFoundError:
        return None


def parts_on_s3(folder: S3Folder, run: str, table: str) -> list[str]:
    """The names of a run's parts on S3."""
    return sorted(folder.files(f"{table}/run={run}/part-"))


@dataclass
class Upload:
    """A run on its way to S3. begun: its row is there; there: names of its parts that are; warned: of an outage."""

    folder: S3Folder
    run: str
    begun: bool = False
    there: set[str] = field(default_factory=set)
    warned: bool = False
    renewed: float = field(default_factory=monotonic)

    def fetch(self) -> None:
        """Bring what others have finished to the local folder: the row and the chunks that are not there."""
        local, row = self.folder.local, _final("runs", self.run)
        listed = self.folder.files(*(f"{table}/run={self.run}/part-" for table in PARTS), row)
        # Frames before faces: a chunk is finished where its part of faces is.
        pairs = [(name.replace("faces", "frames", 1), name) for name in listed if name.startswith("faces/")]
        whole = [name for pair in pairs if set(pair) <= set(listed) for name in pair]
        try:
            self.folder.download({name: local / name for name in [*whole, row] if name in listed and not (local / name).exists()})
        except FileNotFoundError as error:
            raise ResultsError(f"run {self.run} was just finished by another machine; try again") from error
        self.there = {name for name in whole if same(local / name, listed[name])}

    def grow(self) -> None:
        """Upload the parts that are finished, and at first the row. An outage is said once; the next call makes up for it."""
        local = self.folder.local
        try:
            if not self.begun:
                self.folder.upload({_final("runs", self.run): tables.table_path(local, "runs", self.run)})
                self.begun = True
            for table in PARTS:
                new = [name for name in _local_parts(local, self.run, table) if name not in self.there]
                self.folder.upload({name: local / name for name in new})
                self.there |= set(new)
            self._renew()
        except ResultsError as error:
            if not self.warned:
                logging.getLogger("crowdmood").warning("%s; going on in %s, what is missing is uploaded later", error, local)
            self.warned = True

    def finish(self) -> None:
        """Upload the complete run, look whether it has arrived, then upload its row; then remove parts and local files.

        Raises ResultsError; the run stays in the local folder until it is on S3 as it is.
        """
        local = self.folder.local
        paths = {table: tables.table_path(local, table, self.run) for table in TABLES if table != "runs"}
        files = {_final(table, self.run): path for table, path in paths.items() if table in ALWAYS or path.exists()}
        faces = _final("faces", self.run)
        try:
            # In the order in which `tables.complete` puts them into place: faces' parts do not count from then on.
            self.folder.upload({name: path for name, path in files.items() if name != faces})
            self.folder.upload({faces: files[faces]})
            arrived = self.folder.files(*files)
            if wrong := [name for name, path in files.items() if not same(path, arrived.get(name))]:
                raise ResultsError(f"{self.folder}: {', '.join(wrong)} did not arrive as sent")
            self.folder.upload({_final("runs", self.run): tables.table_path(local, "runs", self.run)})
        except ResultsError as error:
            raise ResultsError(f"{error}; the run is complete in {local}, and the same command uploads it") from error
        self.clean()

    def fail(self) -> None:
        """Upload the row of a run that failed, if S3 can be reached."""
        with suppress(ResultsError):
            self.folder.upload({_final("runs", self.run): tables.table_path(self.folder.local, "runs", self.run)})

    def clean(self) -> None:
        """Remove the parts and local files of a run whose tables are on S3."""
        self.folder.remove(name for table in PARTS for name in parts_on_s3(self.folder, self.run, table))
        tables.remove_parts(self.folder.local, self.run)
        for table in TABLES:
            tables.table_path(self.folder.local, table, self.run).unlink(missing_ok=True)
        shutil.rmtree(self.folder.local / "faces" / f"run={self.run}", ignore_errors=True)

    def _renew(self) -> None:
        if monotonic() - self.renewed > RENEW_S:
            self.folder.write(_lease(self.run), _owner(self.folder))
            self.renewed = monotonic()


@contextmanager
def uploading(folder: S3Folder, run: str) -> Iterator[Upload]:
    """The upload of a run, kept to one machine at a time. Raises ResultsError when another one is at it."""
    _take_lease(folder, run)
    try:
        yield Upload(folder, run)
    finally:
        with suppress(ResultsError):
            folder.remove([_lease(run)])


def upload_part(folder: S3Folder, run: str, chunk: int, frames: pa.Table, faces: pa.Table, **counts: int) -> None:
    """`tables.write_part` straight to S3, for machines that do not go on with the run. An outage of a minute is sat out."""
    with TemporaryDirectory(prefix="crowdmood-") as local:
        tables.write_part(Path(local), run, chunk, frames, faces, **counts)
        for table in PARTS:  # frames before faces: a chunk is finished where its part of faces is
            path = tables.part_path(Path(local), table, run, chunk)
            _upload_patiently(folder, path.relative_to(local).as_posix(), path)


def _upload_patiently(folder: S3Folder, name: str, path: Path) -> None:
    for pause in (*PAUSES_S, None):
        try:
            return folder.upload({name: path})
        except ResultsError:
            if pause is None:
                raise
            sleep(pause)


def upload_report(folder: S3Folder, report: Path) -> str:
    """Upload the files of a local report folder, index.html last; returns the address of index.html."""
    index = report / "index.html"
    names = {path: path.relative_to(folder.local).as_posix() for path in sorted(report.rglob("*")) if path.is_file()}
    folder.upload({name: path for path, name in names.items() if path != index and not path.name.startswith(".")})
    folder.upload({names[index]: index})
    return f"{folder}/{names[index]}"


def _take_lease(folder: S3Folder, run: str) -> None:
    name = _lease(run)
    try:
        return folder.write(name, _owner(folder), IfNoneMatch="*")
    except FileExistsError:
        entry = folder.files(name).get(name)
    try:
        other = folder.read(name)
        age = datetime.now(UTC) - entry["LastModified"]
        if other != _owner(folder) and age < LEASE:
            left = LEASE - age
            raise RunBusy(
                f"run {run} is being analyzed by {json.loads(other)['host']}; wait for it or stop it (if it was killed, go on "
                f"in {left.seconds // 60 + 1} min or remove {folder}/{name})")
        return folder.write(name, _owner(folder), IfMatch=entry["ETag"])
    except (FileNotFoundError, FileExistsError, TypeError) as error:  # given up, or taken, while we looked
        raise RunBusy(f"run {run} was just being analyzed by another machine; try again") from error


def _owner(folder: S3Folder) -> bytes:
    """This machine's claim; the same user's next process on it makes the same one, kept to one by the local lock."""
    return json.dumps({"host": socket.gethostname(), "user": os.getuid(), "folder": str(folder.local)}).encode()


def _lease(run: str) -> str:
    return f"runs/.run={run}.lease"


def _final(table: str, run: str) -> str:
    return tables.table_path(Path(), table, run).as_posix()


def _local_parts(local: Path, run: str, table: str) -> list[str]:
    numbers = tables.part_numbers(local, table, run)
    return [tables.part_path(Path(), table, run, number).as_posix() for number in numbers]
