"""--aggregate-only: a run whose tables hold no persons, and no figures of fewer than five of them together.

    parts  ->  full tables, in a folder beside  ->  answers of SQL reports over them  ->  tables without persons

The full tables are gone at the end, and so are the parts. Killed at any step the parts are still there, and the same command links
the run again.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from crowdmood import catalog, staging, tables
from crowdmood.files import write_aside
from crowdmood.kept import KEPT, LEAST, asked
from crowdmood.labels import EXPRESSIONS
from crowdmood.parts import part_numbers, part_path
from crowdmood.row_groups import write_table
from crowdmood.schemas import PARTS, TABLES
from crowdmood.segments import stretch_s
from crowdmood.sql_reports import find_report

DIGITS, DECIMALS = 9, 12  # of figures: later ones depend on the order in which they were added
HIDDEN = {"frames": (*EXPRESSIONS, "positivity"), "timeline": (*EXPRESSIONS, "positivity", "valence")}
READ = {"frames": "SELECT frame, count(DISTINCT person) AS n FROM faces WHERE usable GROUP BY frame",
        "timeline": "SELECT floor(time_s)::INTEGER AS second, count(DISTINCT person) AS n FROM faces WHERE usable GROUP BY second"}


@contextmanager
def place(results: Path, run: str, aggregate_only: bool) -> Iterator[Path]:
    """The folder in which the final tables of a scanned run are to be made, named in it as in the results folder.

    That is `results` itself, or with aggregate_only a folder beside, with the run's row and parts; when the block ends well, what
    may be kept of the tables in it is published. Raises ResultsError when the folder cannot be written.
    """
    if not aggregate_only:
        yield results
        return
    folder = staging.staged(results, run)
    staging.discard(folder)
    try:
        with tables.writing(results):
            _bring_parts(results, folder, run)
        yield folder
        publish(folder, results, run)
    finally:
        staging.discard(folder)


def publish(full: Path, results: Path, run: str) -> None:
    """Write what may be kept of the complete run in the folder `full` into `results`, mark it complete, remove its parts.

    Raises ResultsError when the folder cannot be written.
    """
    row = tables.read_run(full, run)
    kept = _aggregates(full, run)
    with tables.writing(results), ExitStack() as renames:
        # Left in reverse, as in tables.complete: faces takes its place first.
        for table in ("aggregates", "timeline", "persons", "frames", "faces"):
            aside = renames.enter_context(write_aside(tables.table_path(results, table, run)))
            rows = kept if table == "aggregates" else _without_few(full, run, table) if table in HIDDEN else []
            write_table(aside, TABLES[table], rows)
    tables.write_run(results, row)
    tables.remove_parts(results, run)


def _bring_parts(results: Path, folder: Path, run: str) -> None:
    """The run's row and parts in another folder too, without copying where the file system can."""
    paths = [part_path(folder, table, run, number) for table in PARTS for number in part_numbers(results, table, run)]
    for path in [tables.table_path(folder, "runs", run), *paths]:
        path.parent.mkdir(parents=True, exist_ok=True)
        source = results / path.relative_to(folder)
        try:
            os.link(source, path)
        except OSError:  # FAT and some network folders know no links
            shutil.copyfile(source, path)


def _without_few(full: Path, run: str, table: str) -> list[pa.Table]:
    """The rows of frames or timeline; figures on which fewer than LEAST persons stand are NULL."""
    key = "frame" if table == "frames" else "second"
    hidden = ", ".join(f"if(n >= {LEAST}, {name}, NULL) AS {name}" for name in HIDDEN[table])
    rows = catalog.fetch(full, f"SELECT {table}.* REPLACE ({hidden}) FROM {table} LEFT JOIN ({READ[table]}) USING ({key}) ORDER BY {key}", run)
    return [rows.select(TABLES[table].names)]


def _aggregates(full: Path, run: str) -> list[pa.Table]:
    """The rows of the table `aggregates`: the answers of all reports that are kept."""
    span = catalog.fetch(full, "SELECT max(time_s + coalesce(shown_s, 0)) - min(time_s) AS length_s FROM frames", run).to_pylist()[0]
    found = []
    for name in sorted(KEPT):
        report = find_report(name)
        values = report.values({"every": stretch_s(span["length_s"] or 0.0)} if name == "engagement" else {})
        answer = catalog.fetch(full, f"WITH answer AS MATERIALIZED (\n{report.sql}\n)\n{KEPT[name]}", run, values)
        rows = [row for row in answer.to_pylist() if (row["behind"] or 0) >= LEAST]
        found += [{"run": run, "report": name, "asked": asked(values), "place": number, "persons": row.pop("behind"),
                   "figures": json.dumps({key: _plain(value) for key, value in row.items()}, ensure_ascii=False)}
                  for number, row in enumerate(rows, 1)]
    return [pa.Table.from_pylist(found, TABLES["aggregates"])] if found else []


def _plain(value: Any) -> Any:
    """A figure as JSON knows it."""
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if not isinstance(value, float):
        return value
    return float(f"{round(value, DECIMALS):.{DIGITS}g}") if math.isfinite(value) else None
