"""Runs in a results folder: find one, read its tables, list them all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from crowdmood import catalog
from crowdmood.errors import ResultsError
from crowdmood.files import bare_name
from crowdmood.kept import answer_over_all, kept_answer, needs_persons
from crowdmood.s3 import S3Folder, s3_folder
from crowdmood.schemas import KEYS, TABLES
from crowdmood.sql_reports import SqlReport, find_report
from crowdmood.tables import part_numbers, read_run
from crowdmood.uploads import parts_on_s3, read_row, upload_report

DEFAULT_RESULTS = "crowdmood-results"
FEW_PERSONS = 5  # figures of fewer persons are called few
LIST_RUNS = """
SELECT run, recording, status, error, started, finished, duration_s, seconds,
       frames_analyzed AS frames, faces, persons, chunks, chunks_done
FROM runs
ORDER BY started, run
"""


@dataclass(frozen=True)
class Run:
    """One recording analyzed in one way.

    id: the run's id. results: the results folder. The tables (docs/tables.md) are read from it each time
    they are asked for, as Arrow; `.to_pandas()` makes them pandas. A run that is not complete has the faces
    and frames that were scanned so far.
    """

    id: str
    results: Path | S3Folder

    @property
    def faces(self) -> pa.Table:
        """One row per face per analyzed frame, in time order."""
        return self._table("faces")

    @property
    def frames(self) -> pa.Table:
        """One row per analyzed frame, in time order."""
        return self._table("frames")

    @property
    def persons(self) -> pa.Table:
        """One row per person, in order of first appearance."""
        return self._table("persons")

    @property
    def timeline(self) -> pa.Table:
        """One row per second."""
        return self._table("timeline")

    def sql(self, query: str) -> pa.Table:
        """The answer to a query in which faces, frames, persons, timeline and runs are this run's alone.

        Raises ResultsError when the query is wrong or does anything but read.
        """
        return catalog.fetch(self.results, query, self.id)

    def ask(self, report: str, /, **values: Any) -> pa.Table:
        """The answer of an SQL report for this run alone, as `run.ask("reaction", at="12:30")`.

        report: one that ships (`crowdmood report --list`), or the path of a .sql file. values: its parameters, as
        text or as they are; those left out have their defaults. A run that keeps no persons answers with what it kept.
        Raises ResultsError.
        """
        found = find_report(report)
        asked = found.values(values)
        if self.keeps_persons:
            return catalog.fetch(self.results, found.sql, self.id, asked)
        return kept_answer(self.results, self.id, found, asked)

    @property
    def keeps_persons(self) -> bool:
        """False for a run that was analyzed with --aggregate-only."""
        return not (self.info["options"] or {}).get("aggregate_only")

    def require_persons(self, what: str) -> None:
        """Raises ResultsError, which says that `what` needs persons, when the run keeps none."""
        if not self.keeps_persons:
            raise needs_persons(self.id, what)

    @property
    def info(self) -> dict[str, Any]:
        """The run's row: the recording's facts, options, models, state. Raises ResultsError if it is gone."""
        row = _row(self.results, self.id)
        if row is None:
            raise ResultsError(f"run {self.id} is no longer in {self.results}")
        return row

    def require_complete(self) -> dict[str, Any]:
        """`info` of a complete run. Raises ResultsError that says how to go on with one that is not."""
        info = self.info
        if info["status"] != "complete":
            raise ResultsError(f"run {self.id} of {info['recording']} is not complete; "
                               f"`crowdmood analyze {info['path']}` goes on with it")
        return info

    @property
    def report_folder(self) -> Path:
        """Where the run's report lies, or will lie; of results on S3, where it is made before it is uploaded."""
        return local_folder(self.results) / self._report

    @property
    def report(self) -> Path | str | None:
        """The run's HTML report, on S3 its address; None when it has not been made."""
        if isinstance(self.results, S3Folder):
            name = f"{self._report}/index.html"
            return f"{self.results}/{name}" if self.results.files(name) else None
        path = self.report_folder / "index.html"
        return path if path.is_file() else None

    @property
    def _report(self) -> str:
        return f"reports/{self.info['recording']}/{self.id}"

    def _table(self, table: str) -> pa.Table:
        rows = self.sql(f"SELECT * FROM {table} ORDER BY {', '.join(KEYS[table])}")
        return rows.cast(TABLES[table])


def results_folder(given: str | Path | S3Folder | None = None) -> Path | S3Folder:
    """The results folder: the one given, else $CROWDMOOD_RESULTS, else ./crowdmood-results; absolute, or on S3.

    Raises ResultsError when it begins with s3: and is no address.
    """
    given = given or os.environ.get("CROWDMOOD_RESULTS") or DEFAULT_RESULTS
    return given if isinstance(given, S3Folder) else s3_folder(given) or Path(given).absolute()


def local_folder(results: Path | S3Folder) -> Path:
    """The results folder, or the local one in which runs and reports are made before they are uploaded to S3."""
    return results.local if isinstance(results, S3Folder) else results


def publish(results: Path | S3Folder, index: Path) -> Path | str:
    """Upload the report in `index`'s folder, if the results are on S3; where index.html is found then. Raises ResultsError."""
    return upload_report(results, index.parent) if isinstance(results, S3Folder) else index


def find_run(results: str | Path | S3Folder, name: str) -> Run:
    """The run whose id is `name` or begins with it, or whose recording is called so, its ending or not.

    Raises ResultsError when there is none or more than one; it lists the known ones.
    """
    results = results_folder(results)
    if _row(results, name) is not None:
        return Run(name, results)
    known = catalog.fetch(
        results, "SELECT run, recording, path, started FROM runs ORDER BY started, run"
    ).to_pylist()
    matches = [row for row in known if is_called(row, name)]
    if len(matches) == 1:
        return Run(matches[0]["run"], results)
    if matches:
        raise ResultsError(f"{len(matches)} runs match '{name}': {_listed(matches)}; give an id")
    if not known:
        raise ResultsError(f"no runs in {results} yet; `crowdmood analyze VIDEO` makes one")
    raise ResultsError(f"no run matches '{name}'; known: {_listed(known)}")


def answer_of(results: Path | S3Folder, run: Run | None, report: SqlReport, values: dict[str, Any]) -> pa.RecordBatchReader:
    """The answer of an SQL report over a run, None: over all. values: see `SqlReport.values`. Raises ResultsError."""
    if run is None:
        return answer_over_all(results, report, values)
    return catalog.ask(results, report.sql, run.id, values) if run.keeps_persons else kept_answer(results, run.id, report, values).to_reader()


def list_runs(results: str | Path | S3Folder) -> list[dict[str, Any]]:
    """All runs, oldest first, each a dict.

    run, recording, status ('complete', 'unfinished', 'failed'), error, started, finished (datetime, UTC or
    None), duration_s, seconds, frames, faces, persons (None before it is complete), chunks, chunks_done: for
    a run that is not complete frames, faces and chunks_done are what its parts hold now. Raises ResultsError
    when there is no such folder.
    """
    results = results_folder(results)
    rows = catalog.fetch(results, LIST_RUNS).to_pylist()
    for row in rows:
        if row["status"] != "complete":
            row |= _so_far(results, row["run"])
            row["status"] = status_of(row)
    return rows


def status_of(row: dict[str, Any]) -> str:
    """What a user is told of a run's state: one whose row says 'running' may have been killed long ago."""
    return "unfinished" if row["status"] == "running" else row["status"]


def _row(results: Path | S3Folder, run: str) -> dict[str, Any] | None:
    return read_row(results, run) if isinstance(results, S3Folder) else read_run(results, run)


def _so_far(results: Path | S3Folder, run: str) -> dict[str, int]:
    counts = "SELECT (SELECT count(*) FROM frames) AS frames, (SELECT count(*) FROM faces) AS faces"
    parts = parts_on_s3(results, run, "faces") if isinstance(results, S3Folder) else part_numbers(results, "faces", run)
    return catalog.fetch(results, counts, run).to_pylist()[0] | {"chunks_done": len(parts)}


def is_called(row: dict[str, Any], name: str) -> bool:
    """Whether a run with this row is meant by a name: the beginning of its id, or its recording's name or path."""
    recording = row["recording"]
    return row["run"].startswith(name) or name in (recording, bare_name(recording), row["path"])


def _listed(rows: list[dict[str, Any]], most: int = 10) -> str:
    texts = [f"{row['run']} ({row['recording']})" for row in rows[-most:]]
    return ", ".join(["...", *texts] if len(rows) > most else texts)
