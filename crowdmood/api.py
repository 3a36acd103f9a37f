"""The Python interface: what ``import crowdmood`` offers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from crowdmood import analysis, catalog
from crowdmood.errors import CrowdmoodError
from crowdmood.exports import export
from crowdmood.kept import answer_over_all
from crowdmood.options import Execution, Options
from crowdmood.results import Run, find_run, list_runs, results_folder
from crowdmood.sources import only
from crowdmood.sql_reports import find_report

__all__ = ["CrowdmoodError", "Run", "analyze", "ask", "export", "open_run", "runs", "sql"]


def analyze(path: str | Path, *, results: str | Path | None = None, **settings) -> Run:
    """Analyze one recording and return its run; the rows are there as Arrow tables and for SQL.

    path: a file, an s3:// address, or a folder with one recording, such as that of a Zoom meeting.
    results: the results folder (also s3://bucket/prefix), None for $CROWDMOOD_RESULTS or ./crowdmood-results.
    settings: any field of crowdmood.options.Options (sample_fps=5.0, start_s, end_s, imgsz, tiles, min_face, roi, ignore, decoder) or of
    Execution (device='auto', runtime, workers, threads).
    Raises CrowdmoodError (VideoError, ModelError, ResultsError) when a user can act on it, TypeError on an unknown setting.
    """
    mine = {field.name for field in fields(Execution)}
    execution = Execution(**{name: value for name, value in settings.items() if name in mine})
    options = Options(**{name: value for name, value in settings.items() if name not in mine})
    return analysis.analyze(only(path, options.view, options.parts), options, execution, results)


def open_run(name: str, results: str | Path | None = None) -> Run:
    """A run that is already there, by its id (or the beginning of it) or its recording's name. Raises ResultsError."""
    return find_run(results_folder(results), name)


def runs(results: str | Path | None = None) -> list[Run]:
    """All runs of a results folder, oldest first. Raises ResultsError when there is no such folder."""
    folder = results_folder(results)
    return [Run(row["run"], folder) for row in list_runs(folder)]


def sql(query: str, results: str | Path | None = None) -> pa.Table:
    """The answer to a query over all runs of a results folder. Raises ResultsError when it is wrong or does not only read."""
    return catalog.fetch(results_folder(results), query)


def ask(report: str, /, results: str | Path | None = None, **values: Any) -> pa.Table:
    """The answer of an SQL report over all runs of a results folder; `Run.ask` is for one run. Raises ResultsError."""
    found = find_report(report)
    return answer_over_all(results_folder(results), found, found.values(values)).read_all()
