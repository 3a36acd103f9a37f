"""Where the parts of a run lie, and how they are read: each page's checksum is compared, as a disk may not give what it was given.

    frames|faces/run=<id>/part-000123.parquet
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crowdmood.errors import ResultsError

UNREADABLE = (OSError, pa.ArrowException, ValueError)  # what Arrow raises for garbage, after where it stands


class DamagedParts(ResultsError):
    """Parts that were written in full cannot be read any more. chunks: which; their parts are to be dropped, and made again."""

    def __init__(self, path: Path, chunks: Iterable[int]) -> None:
        super().__init__(f"{path} is damaged, the disk may be failing; run the same command again to make it anew")
        self.chunks = list(chunks)


def part_path(results: Path, table: str, run: str, chunk: int) -> Path:
    """Where the part of `table` ('faces' or 'frames') of a chunk lies."""
    return Path(results) / table / f"run={run}" / f"part-{chunk:06d}.parquet"


def part_numbers(results: Path, table: str, run: str) -> list[int]:
    """Chunks that have a part of `table`, whole or not, in order."""
    paths = (Path(results) / table / f"run={run}").glob("part-*.parquet")
    return sorted(map(_chunk, paths))


def part_paths(results: Path, table: str, run: str) -> list[Path]:
    """The parts of `table`, in time order."""
    return [part_path(results, table, run, chunk) for chunk in part_numbers(results, table, run)]


def parts(results: Path, run: str, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The parts of `table` in time order, all columns or some. Raises DamagedParts, which names all that are damaged."""
    paths = part_paths(results, table, run)
    for path in paths:
        try:
            part = _read(path, columns)
        except MemoryError:  # Arrow's, too
            raise
        except UNREADABLE:
            damaged = [path for path in paths if not _is_sound(path)]
            if not damaged:
                raise
            raise DamagedParts(path, map(_chunk, damaged)) from None
        yield part


def part_counts(results: Path, run: str) -> dict[str, int]:
    """The counts given to `tables.write_part`, summed over the parts of a run. Raises DamagedParts."""
    total: Counter[str] = Counter()
    for path in part_paths(results, "frames", run):
        try:
            total.update(json.loads(pq.read_schema(path).metadata[b"counts"]))
        except (*UNREADABLE, LookupError):
            raise DamagedParts(path, [_chunk(path)]) from None
    return dict(total)


def _read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    return pq.ParquetFile(path, page_checksum_verification=True).read(columns=columns)


def _is_sound(path: Path) -> bool:
    try:
        _read(path)
    except UNREADABLE:
        return False
    return True


def _chunk(path: Path) -> int:
    return int(path.stem.removeprefix("part-"))
