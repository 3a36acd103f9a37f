"""A results folder on S3: its listing, and whole files or ranges of them, in and out. Nothing else talks to S3.

s3fs does the talking, with the usual environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_PROFILE and so on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from crowdmood.errors import ResultsError
from crowdmood.files import cache_folder, write_aside

if TYPE_CHECKING:
    from s3fs import S3FileSystem

AT_ONCE = 16  # downloads
FIRST_ANSWER_S = 8  # a server that says nothing for so long cannot be reached
ADDRESS = re.compile(r"s3:/+(?P<path>[^/]+(/.*)?)")
Entry = dict[str, Any]  # of s3fs: size, ETag, LastModified


@dataclass(frozen=True)
class S3Folder:
    """A results folder on S3. Its files are named as in a local one, such as 'runs/run=ab12.parquet'.

    address: s3://bucket/prefix. Every method raises ResultsError, in one sentence, when S3 refuses or cannot be
    reached, and FileNotFoundError when a file that was there is gone.
    """

    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def local(self) -> Path:
        """The local folder in which this folder's runs and reports are made before they are uploaded.

        The same server, keys' profile and address give the same folder, so a killed analysis finds what it had.
        """
        server = [endpoint(), os.environ.get("AWS_PROFILE"), self.address]
        return cache_folder() / "s3" / hashlib.sha256(repr(server).encode()).hexdigest()[:16]

    def reach(self) -> None:
        """Raise ResultsError if the server does not answer, refuses the keys or does not know the bucket."""
        with self._talk():
            pass

    def is_dir(self) -> bool:
        """Whether anything is there."""
        bucket, _, prefix = self._path.partition("/")
        prefix = f"{prefix}/" if prefix else ""
        with self._talk() as s3:
            return bool(s3.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"))

    def files(self, *prefixes: str) -> dict[str, Entry]:
        """The files whose names begin with one of these; a prefix is a folder, a slash and the beginning of a name."""
        parents = [prefix.rpartition("/")[::2] for prefix in prefixes]
        with self._talk() as s3:
            found = _gathered(s3, (s3._find(f"{self._path}/{folder}", prefix=start, detail=True) for folder, start in parents))
        return {name.removeprefix(f"{self._path}/"): entry for files in found for name, entry in files.items()}

    def metadata(self, name: str) -> dict[str, str] | None:
        """What a file was marked with when it was uploaded; None when it is not there."""
        bucket, _, key = f"{self._path}/{name}".partition("/")
        with self._talk() as s3:
            try:
                return s3.call_s3("head_object", Bucket=bucket, Key=key)["Metadata"]
            except FileNotFoundError:
                return None

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """A file's content, or the bytes of it from `start` up to, not including, `end`."""
        with self._talk() as s3:
            return s3.cat_file(f"{self._path}/{name}", start=start, end=end)

    def read_ends(self, starts: Mapping[str, int]) -> dict[str, bytes]:
        """The content of many files from a byte on, fetched side by side."""
        with self._talk() as s3:
            return dict(zip(starts, s3.cat_ranges([f"{self._path}/{name}" for name in starts], list(starts.values()),
                                                  [None] * len(starts), on_error="raise"), strict=True))

    def write(self, name: str, content: bytes, **how: Any) -> None:
        """Write a small file in one step. how: arguments of S3's PutObject, such as IfNoneMatch.

        Raises FileExistsError when a condition among them does not hold.
        """
        bucket, _, key = f"{self._path}/{name}".partition("/")
        with self._talk() as s3:
            try:
                s3.call_s3("put_object", Bucket=bucket, Key=key, Body=content, **how)
            except OSError as error:
                if _code(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                    raise FileExistsError(name) from error
                raise

    def upload(self, files: Mapping[str, Path], **how: Any) -> None:
        """Upload local files side by side, each in one step: name in this folder -> path. S3 checks their content."""
        with self._talk() as s3:
            _gathered(s3, (s3._put_file(str(path), f"{self._path}/{name}", **how) for name, path in files.items()))

    def download(self, files: Mapping[str, Path]) -> None:
        """Download files side by side: name in this folder -> path; each is there in full or not at all."""
        def one(name: str, path: Path) -> None:
            with self._talk() as s3, write_aside(path) as aside:
                s3.get_file(f"{self._path}/{name}", str(aside))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, files, files.values()))

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        paths = [f"{self._path}/{name}" for name in names]
        with self._talk() as s3:
            _gathered(s3, (s3._bulk_delete(paths[at:at + 1000]) for at in range(0, len(paths), 1000)))

    @property
    def _path(self) -> str:
        """bucket/prefix"""
        return self.address.removeprefix("s3://")

    @contextmanager
    def _talk(self) -> Iterator[S3FileSystem]:
        """The file system, once the server has answered; what goes wrong is said in a sentence."""
        from botocore.exceptions import BotoCoreError

        try:
            yield _reached(_file_system(self), self._path.partition("/")[0])
        except (FileNotFoundError, FileExistsError) as error:
            if _code(error) != "NoSuchBucket":
                raise
            raise ResultsError(f"{self}: {_reason(error, self)}") from error
        except (OSError, BotoCoreError) as error:
            raise ResultsError(f"{self}: {_reason(error, self)}") from error


def s3_folder(given: str | Path) -> S3Folder | None:
    """The folder on S3 that a text or path names, None when it names a local one. Raises ResultsError."""
    found = ADDRESS.fullmatch(str(given))
    if found is None:
        if is_on_s3(given):
            raise ResultsError(f"'{given}' is not of the form s3://bucket/prefix")
        return None
    parts = PurePosixPath(found["path"]).parts
    if ".." in parts:
        raise ResultsError(f"'{given}': '..' means nothing on S3; give s3://bucket/prefix")
    return S3Folder(f"s3://{'/'.join(parts)}")


def is_on_s3(given: object) -> bool:
    """Whether a path, or whatever has an address as its text, is meant to be on S3."""
    return str(given).startswith("s3:")


def same(path: Path, entry: Entry | None) -> bool:
    """Whether a local file has the size of the one on S3. (Its content was checked when it was written.)"""
    return entry is not None and entry["size"] == path.stat().st_size


def _file_system(folder: S3Folder) -> S3FileSystem:
    try:
        import s3fs
    except ImportError as error:
        raise ResultsError(f"{folder}: S3 needs s3fs; `pip install 'crowdmood[s3]'`") from error
    # s3fs keeps one instance for the same arguments, so the server is one of them.
    return s3fs.S3FileSystem(endpoint_url=endpoint(), use_listings_cache=False,
                             config_kwargs={"connect_timeout": 4, "read_timeout": 60,
                                            "retries": {"mode": "standard", "max_attempts": 3}})


def endpoint() -> str | None:
    """The server that s3:// leads to from here, None for AWS."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


@cache
def _reached(s3: S3FileSystem, bucket: str) -> S3FileSystem:
    """The file system, when the server answers soon and knows the bucket: asked once. s3fs itself tries for a minute."""
    from fsspec.asyn import sync

    sync(s3.loop, s3._call_s3, "list_objects_v2", Bucket=bucket, MaxKeys=1, timeout=FIRST_ANSWER_S)
    return s3


def _gathered(s3: S3FileSystem, calls: Iterable) -> Sequence:
    """What calls of s3fs's asynchronous functions give, made side by side."""
    from fsspec.asyn import sync

    async def all_of() -> list:
        return await asyncio.gather(*calls)

    return sync(s3.loop, all_of)


def _code(error: BaseException) -> str | None:
    """S3's own name for an error, such as NoSuchBucket."""
    return getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")


def _reason(error: BaseException, folder: S3Folder) -> str:
    """What is wrong, and what to do about it."""
    name, server = type(error).__name__, endpoint() or "AWS"
    detail = re.sub(r"\s+", " ", getattr(error, "strerror", None) or str(error)).strip().rstrip(".")
    if _code(error) == "NoSuchBucket":
        return f"there is no bucket '{folder.address.split('/')[2]}' at {server}"
    if isinstance(error, PermissionError):
        return f"access denied by {server} ({_code(error)}: {detail}); check the keys (AWS_PROFILE, AWS_ACCESS_KEY_ID ...) and the bucket's policy"
    if "Credentials" in name or "Profile" in name or "Token" in name:
        return f"{detail}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    if isinstance(error, TimeoutError) or "Endpoint" in name or "Timeout" in name or "Connect" in name:
        return f"{server} does not answer{f' ({detail})' if detail else ''}; check the network and AWS_ENDPOINT_URL"
    return detail or name
