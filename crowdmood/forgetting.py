"""Forget what persons and speakers of a run are called: its table of names goes, and its report is built anew without them.

    names/run=<id>.parquet becomes names/.run=<id>.forgotten  ->  the report is made anew  ->  that file goes, too

Killed after the first step, the same call finds that file and goes on. Numbers, and who of the persons is which speaker, stay.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crowdmood.files import flush
from crowdmood.locks import lock
from crowdmood.removal import alone, removing
from crowdmood.report import build_report
from crowdmood.results import Run, local_folder, publish
from crowdmood.s3 import S3Folder
from crowdmood.staging import settle
from crowdmood.tables import table_path

MARK = "names/.run={run}.forgotten"
WORDS = "SELECT count(*) AS words FROM speech WHERE text IS NOT NULL"


@dataclass(frozen=True)
class Forgotten:
    """names: how many there were, 0: none, or forgotten before. report: where the one without names is, None: there is none.
    words: rows of speech with words, in which names may be.
    """

    names: int
    report: Path | str | None
    words: int


def forget_names(run: Run) -> Forgotten:
    """Drop the names of a run. Raises RunBusy where it is being analyzed, ResultsError."""
    local = local_folder(run.results)
    with lock(local, run.id), alone(run.results, run.id), removing(run.results):
        settle(local, run.id)
        names = _hide_on_s3(run.results, run.id) if isinstance(run.results, S3Folder) else _hide(local, run.id)
        report = run.report
        if names is not None and report is not None:
            report = publish(run.results, build_report(run))
        if isinstance(run.results, S3Folder):
            run.results.remove([MARK.format(run=run.id)])
        (local / MARK.format(run=run.id)).unlink(missing_ok=True)
        return Forgotten(names or 0, report, run.sql(WORDS)["words"][0].as_py())


def _hide(results: Path, run: str) -> int | None:
    """Take the table out of the readers' sight; how many names were in it, None: there is none, nor was one left half done."""
    table, mark = table_path(results, "names", run), results / MARK.format(run=run)
    if table.exists():
        os.replace(table, mark)
        flush(mark.parent)
    return pq.read_metadata(mark).num_rows if mark.exists() else None


def _hide_on_s3(results: S3Folder, run: str) -> int | None:
    """The same on S3, where the content is written anew under the other name: there is no renaming."""
    table, mark = table_path(Path(), "names", run).as_posix(), MARK.format(run=run)
    there = results.files(table, mark)
    if table in there:
        results.write(mark, results.read(table))
        results.remove([table])
    elif mark not in there:
        return None
    return pq.read_metadata(pa.BufferReader(results.read(mark))).num_rows
