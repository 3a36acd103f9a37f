"""What workers do: analyze one recording, or write a job's SQL reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crowdmood.options import Execution, Options
from crowdmood.results import local_folder
from crowdmood.s3 import S3Folder
from crowdmood.sources import Source


@dataclass(frozen=True)
class Analyze:
    """Analyze a recording, with its HTML report if asked for. Gives the run's id, where the report is, and what the
    law says of such a recording, if anything."""

    source: Source
    options: Options
    execution: Execution
    results: Path | S3Folder
    html: bool

    def __call__(self, progress: Callable[[Any], None]) -> dict[str, str | None]:
        from crowdmood.batch import analyze_all
        from crowdmood.law import warning

        item, = analyze_all([self.source], self.options, self.execution, self.results, self.html, lambda _, done: progress(done))
        if item.error is not None:
            raise item.error
        info = item.run.info
        return {"run": item.run.id, "report": item.report and str(item.report), "law": warning(info.get("layout"), info.get("context"))}


@dataclass(frozen=True)
class WriteReports:
    """Write SQL reports over all runs of a results folder as CSV: reports/jobs/JOB/NAME.csv. Gives where they are."""

    results: Path | S3Folder
    job: str
    names: tuple[str, ...]

    def __call__(self, progress: Callable[[Any], None]) -> list[str]:
        return [self._write(name) for name in self.names]

    def _write(self, name: str) -> str:
        from crowdmood.files import write_aside
        from crowdmood.kept import answer_over_all
        from crowdmood.rows import write_csv
        from crowdmood.sql_reports import find_report

        report = find_report(name)
        file = f"reports/jobs/{self.job}/{report.name}.csv"
        path = local_folder(self.results) / file
        with write_aside(path) as aside, open(aside, "w", encoding="utf-8", newline="") as out:
            write_csv(answer_over_all(self.results, report, report.values({})), out)
        if isinstance(self.results, S3Folder):
            self.results.upload({file: path})
        return f"{self.results}/{file}"
