"""Segments of a recording: songs, talks, slides as a user lists them in a CSV file, and stretches of equal length."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any

from crowdmood.clock import format_time, parse_time
from crowdmood.errors import ResultsError

COLUMNS = ("name", "start", "end")
STRETCH_S, MOST_STRETCHES = 30, 120  # of engagement, which compares a run's stretches with each other


def stretch_s(length_s: float) -> int:
    """Seconds of the stretches that a report compares in engagement, for a recording of this length."""
    return STRETCH_S * max(1, ceil(length_s / STRETCH_S / MOST_STRETCHES))


def read_segments(path: Path, until: float | None = None) -> list[dict[str, Any]]:
    """name (str), start_s and end_s (float seconds) of each line, in the file's order.

    path: CSV with the columns name, start, end; times as 90, 1:30 or 00:01:30.5. until: where the recording ends, seconds.
    Raises ResultsError, with the number of the line, when something makes no sense.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _segments(file, str(path), until)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"segments {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def parse_segments(text: str, until: float | None = None) -> list[dict[str, Any]]:
    """The same from the text of such a file."""
    try:
        return _segments(io.StringIO(text), "segments", until)
    except csv.Error as error:
        raise ResultsError(f"the segments cannot be read: {error}") from error


def _segments(file: Iterable[str], called: str, until: float | None) -> list[dict[str, Any]]:
    reader = csv.DictReader(file)
    fields = [(field or "").strip().lower() for field in reader.fieldnames or ()]
    if missing := [name for name in COLUMNS if name not in fields]:
        raise ResultsError(f"{called}, line 1: the column {missing[0]} is missing; a segments file starts with name,start,end")
    reader.fieldnames = fields
    lines = [(reader.line_num, row) for row in reader if any(row.values())]
    if not lines:
        raise ResultsError(f"{called} has no segments; write a line such as First song,0:00,3:25 below name,start,end")
    segments: dict[str, dict[str, Any]] = {}
    for number, row in lines:
        segment = _segment(row, f"{called}, line {number}", until)
        if segment["name"] in segments:
            raise ResultsError(f"{called}, line {number}: there is already a segment called '{segment['name']}'")
        segments[segment["name"]] = segment
    return list(segments.values())


def _segment(row: dict[str, str | None], place: str, until: float | None) -> dict[str, Any]:
    name, *times = ((row[column] or "").strip() for column in COLUMNS)
    if not name:
        raise ResultsError(f"{place}: the segment has no name")
    try:
        start, end = map(parse_time, times)
    except ValueError as error:
        raise ResultsError(f"{place}: {error}") from error
    if end <= start:
        raise ResultsError(f"{place}: '{name}' ends at {format_time(end)}, not after its start at {format_time(start)}")
    if until is not None and start >= until:
        raise ResultsError(f"{place}: '{name}' starts at {format_time(start)}, but the recording ends at {format_time(until)}")
    return {"name": name, "start_s": start, "end_s": end}
