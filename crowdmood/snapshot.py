"""What lies in a results folder on S3 at one moment, as a file system for DuckDB that can only read those files.

S3 is asked for each listing once and for each file's end once, side by side; small files are then in memory. Of large
ones DuckDB reads the ranges it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from crowdmood.s3 import Entry, S3Folder

WHOLE = 256 << 10  # bytes; files up to this size are fetched whole ...
END = 64 << 10  # ... and of others the end, where Parquet keeps its index
MOST_HELD = 256 << 20  # bytes of ends kept between queries of one process
# Ends of files by their address and ETag: a file that is written anew has another one.
_held: dict[tuple[str, str], bytes] = {}


class Snapshot(AbstractFileSystem):
    """Files of a folder on S3 as they were listed. entries: name in the folder -> what S3 said of it."""

    protocol = "s3"
    cachable = False

    def __init__(self, folder: S3Folder, entries: Mapping[str, Entry]) -> None:
        super().__init__()
        self.folder = folder
        self.entries = entries
        self.ends = _ends(folder, entries)

    def matching(self, pattern: str) -> list[str]:
        """Addresses of the files whose names fit, in order; an asterisk stands for anything but a slash."""
        parts = len(PurePosixPath(pattern).parts)
        return [f"{self.folder}/{name}" for name in sorted(self.entries)
                if name.count("/") + 1 == parts and PurePosixPath(name).match(pattern)]

    def glob(self, path: str, **_: Any) -> list[str]:
        name = self._name(path)
        if ".." in PurePosixPath(name).parts:
            raise PermissionError(f"{path}: only files in the results folder can be read")
        return [path] if name in self.entries else [f"{self.folder}/{one}" for one in self.entries if fnmatchcase(one, name)]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        entry = self.entries.get(self._name(path))
        if entry is None:
            raise FileNotFoundError(path)
        return {"name": path, "size": entry["size"], "type": "file"}

    def modified(self, path: str) -> datetime:
        return self.entries[self._name(path)].get("LastModified") or datetime.fromtimestamp(0, UTC)

    def read(self, path: str, start: int, end: int) -> bytes:
        """Bytes of a file, from memory where they are there."""
        name = self._name(path)
        held = self.ends[name]
        begin = self.entries[name]["size"] - len(held)
        return held[start - begin:end - begin] if start >= begin else self.folder.read(name, start, end)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Reader:
        if mode != "rb":
            raise PermissionError(f"{path} can only be read")
        return Reader(self, path, mode, cache_type="none", size=self.info(path)["size"])

    def _name(self, path: str) -> str:
        return path.removeprefix("s3://").removeprefix(f"{self.folder}/".removeprefix("s3://"))


class Reader(AbstractBufferedFile):
    """One of the files, open. DuckDB asks for ranges that are worth a request each, so nothing is read ahead."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.read(self.path, start, end)


def _ends(folder: S3Folder, entries: Mapping[str, Entry]) -> dict[str, bytes]:
    """The ends of all the files, those that are not held yet fetched side by side."""
    keys = {name: (f"{folder}/{name}", entry["ETag"]) for name, entry in entries.items()}
    if sum(map(len, _held.values())) > MOST_HELD:
        _held.clear()
    missing = {name: 0 if entries[name]["size"] <= WHOLE else entries[name]["size"] - END
               for name, key in keys.items() if key not in _held}
    fetched = folder.read_ends(missing) if missing else {}
    ends = {name: fetched[name] if name in fetched else _held[key] for name, key in keys.items()}
    _held.update((keys[name], content) for name, content in fetched.items())
    return ends
