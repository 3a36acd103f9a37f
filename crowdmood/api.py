"""The Python interface: what ``import crowdmood`` offers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from crowdmood import analysis
from crowdmood.errors import CrowdmoodError
from crowdmood.options import Execution, Options
from crowdmood.results import Run, find_run, results_folder

__all__ = ["CrowdmoodError", "Run", "analyze", "open_run"]


def analyze(path: str | Path, *, results: str | Path | None = None, **settings) -> Run:
    """Analyze one recording and return its run; the rows are there as Arrow tables and for SQL.

    results: the results folder, None for $CROWDMOOD_RESULTS or ./crowdmood-results. settings: any field of
    crowdmood.options.Options (sample_fps=5.0, start_s, end_s, imgsz, tiles, min_face, roi, ignore, decoder) or of
    Execution (device='auto', runtime, workers, threads).
    Raises CrowdmoodError (VideoError, ModelError, ResultsError) when a user can act on it, TypeError on an unknown setting.
    """
    mine = {field.name for field in fields(Execution)}
    execution = Execution(**{name: value for name, value in settings.items() if name in mine})
    options = Options(**{name: value for name, value in settings.items() if name not in mine})
    return analysis.analyze(path, options, execution, results)


def open_run(name: str, results: str | Path | None = None) -> Run:
    """A run that is already there, by its id (or the beginning of it) or its recording's name. Raises ResultsError."""
    return find_run(results_folder(results), name)
