"""The report of a run as files: those that its analysis has left, or made anew by `crowdmood report` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from crowdmood.errors import ResultsError
from crowdmood.schemas import TABLES
from crowdmood.web.results.found_runs import FoundRun

LONGEST_S = 600


def made_report(found: FoundRun) -> Path:
    """The path of index.html; pictures lie beside it. Raises ResultsError, in the words of `crowdmood report`."""
    index = found.run.report_folder / "index.html"
    if not _is_of_now(index, found):
        command = [sys.executable, "-m", "crowdmood", "report", found.run.id, "--results", str(found.run.results), "--json"]
        try:
            done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            raise ResultsError(f"the report of {found.info['recording']} took longer than {LONGEST_S} s and was given up") from None
        if done.returncode:
            raise ResultsError(done.stderr.strip().rpartition("\n")[2].removeprefix("crowdmood: ") or "the report could not be made")
    return index


def _is_of_now(index: Path, found: FoundRun) -> bool:
    """Whether the report was made after the run's tables were last written."""
    paths = [path for name in TABLES if (path := found.table(name))]
    return index.is_file() and index.stat().st_mtime >= max(path.stat().st_mtime for path in paths)
