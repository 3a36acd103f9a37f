"""Many recordings, one after the other: failures are collected, the rest is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crowdmood import analysis
from crowdmood.errors import CrowdmoodError
from crowdmood.options import Execution, Options
from crowdmood.report import build_report
from crowdmood.results import Run, publish


@dataclass(frozen=True)
class Item:
    """What became of one recording: a run (and its report), or an error."""

    path: Path
    run: Run | None = None
    report: Path | str | None = None
    error: CrowdmoodError | None = None


def analyze_all(paths: Sequence[Path], options: Options, execution: Execution, results: str | Path | None,
                report: bool, progress: Callable[[Path, analysis.Progress], None]) -> Iterator[Item]:
    """Analyze recordings in order, yielding each as it is done. A recording that fails does not stop the others."""
    for path in paths:
        try:
            run = analysis.analyze(path, options, execution, results, lambda done, path=path: progress(path, done))
            yield Item(path, run, publish(run.results, build_report(run)) if report else None)
        except CrowdmoodError as error:
            yield Item(path, error=error)
