"""What a recording showed, in one glance: its mean mix, and a small picture of the mix over time."""

from __future__ import annotations

import base64
import io
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from crowdmood.palette import EXPRESSION_COLOURS, STACK_ORDER
from crowdmood.staging import committed
from crowdmood.tables import table_path

STEPS, LEVELS, WIDTH = 80, 40, 240  # of a picture: steps of time, rows of pixels, and at least so many columns
REMEMBERED = 2000
COLUMNS = ["run", "second", "usable_faces", *STACK_ORDER]
CLEAR = len(STACK_ORDER)  # colour of a step in which nothing was read
QUERY = f"""
WITH seen AS (
    SELECT run, second, usable_faces, {", ".join(STACK_ORDER)}, min(second) OVER (PARTITION BY run) AS low,
        max(second) OVER (PARTITION BY run) + 1 - min(second) OVER (PARTITION BY run) AS length
    FROM timeline
)
SELECT run, floor((second - low) * least({STEPS}, length) / length)::INTEGER AS step, any_value(least({STEPS}, length))::INTEGER AS steps,
    coalesce(sum(usable_faces) FILTER (happy IS NOT NULL), 0)::BIGINT AS faces,
    {", ".join(f"sum({name} * usable_faces) / nullif(sum(usable_faces) FILTER ({name} IS NOT NULL), 0) AS {name}" for name in STACK_ORDER)}
FROM seen GROUP BY run, step ORDER BY run, step
"""


@dataclass(frozen=True)
class Strip:
    """faces: how many usable ones stand behind it; mix: expression -> mean probability, the largest first; picture: a data: address
    of a PNG, time from left to right, the mix from bottom to top as in the reports; None where nothing was read.
    """

    faces: int
    mix: dict[str, float]
    picture: str | None


class Strips:
    """The strips of a folder's complete runs; those asked for lately are remembered."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._known: OrderedDict[tuple[str, Any], Strip] = OrderedDict()

    def of(self, rows: Sequence[dict[str, Any]]) -> dict[str, Strip]:
        """Run -> its strip. rows: run, finished and status of runs."""
        keys = [(row["run"], row["finished"]) for row in rows if row["status"] == "complete"]
        missing = [key for key in keys if key not in self._known]
        if missing:
            made = _made(self.results, [run for run, _ in missing])
            self._known |= {key: made.get(key[0], Strip(0, {}, None)) for key in missing}
        found = {key[0]: self._known[key] for key in keys}
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found


def _made(results: Path, runs: list[str]) -> dict[str, Strip]:
    # Not by way of the catalog, which would open the files of every run.
    timelines = []
    for path in (_timeline(results, run) for run in runs):
        with suppress(OSError, pa.ArrowException):  # just removed, or damaged; then the list goes without
            timelines.append(pq.read_table(path, columns=COLUMNS))
    if not timelines:
        return {}
    rows: dict[str, list[dict[str, Any]]] = {}
    with duckdb.connect() as database:
        database.register("timeline", pa.concat_tables(timelines, promote_options="permissive"))
        for row in database.sql(QUERY).to_arrow_table().to_pylist():
            rows.setdefault(row["run"], []).append(row)
    return {run: _strip(of_run) for run, of_run in rows.items()}


def _timeline(results: Path, run: str) -> Path:
    """Where a complete run's timeline lies; a new one may not have taken the place of the old one yet."""
    newer = table_path(committed(results, run), "timeline", run)
    return newer if newer.is_file() else table_path(results, "timeline", run)


def _strip(rows: list[dict[str, Any]]) -> Strip:
    read = [row for row in rows if row["faces"]]
    faces = sum(row["faces"] for row in read)
    if not faces:
        return Strip(0, {}, None)
    mix = {name: sum(row[name] * row["faces"] for row in read) / faces for name in STACK_ORDER}
    return Strip(faces, dict(sorted(mix.items(), key=lambda pair: -pair[1])), _picture(read, rows[0]["steps"]))


def _picture(rows: list[dict[str, Any]], steps: int) -> str:
    colours = np.full((LEVELS, steps), CLEAR, np.uint8)
    heights = (np.arange(LEVELS) + 0.5) / LEVELS
    for row in rows:
        tops = np.cumsum([row[name] for name in STACK_ORDER])
        colours[::-1, row["step"]] = np.minimum(np.searchsorted(tops, heights * tops[-1]), CLEAR - 1)
    image = Image.fromarray(np.repeat(colours, -(-WIDTH // steps), axis=1), "P")  # a browser that enlarges it blurs little
    image.putpalette(b"".join(bytes.fromhex(EXPRESSION_COLOURS[name][1:]) for name in STACK_ORDER) + b"\0\0\0")
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True, transparency=CLEAR)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
