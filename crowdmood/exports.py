"""A run in the formats of other tools: SQL over its tables (crowdmood/sql/export_*.sql), written as it comes.

Rows pass through in batches, so a run of any length is exported in little memory; the same run gives the same bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from crowdmood import __version__, catalog, rows
from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.results import Run
from crowdmood.schemas import TABLES

EVERY_S = 5.0
WITHOUT_PERSONS = ("frames", "timeline", "runs", "aggregates")  # what a run that keeps no persons can give
# What a format asks for and a run does not have.
LEFT_OUT = {
    "fex": "action units, landmarks, head pose, gaze and embeddings are not measured and left out",
    "openface": "landmarks, gaze, head pose and action units are not measured and left out",
    "deepface": "age, gender, race and the places of the eyes are not measured and left out",
    "mot": "faces too brief to be followed have no id and are left out",
}


def export(run: Run, form: str, path: str | Path, *, table: str = "faces", every_s: float = EVERY_S) -> None:
    """Write a run into a file, there in full or not at all. form: one of FORMATS.

    table: the table that csv and json take. every_s: length of the spans of vtt, in seconds.
    Raises ResultsError when the run is not complete, nothing is called so, or the file cannot be written.
    """
    try:
        with write_aside(path) as aside, open(aside, "w", encoding="utf-8", newline="") as out:
            write(run, form, out, table=table, every_s=every_s)
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror or error}") from error


def write(run: Run, form: str, out: TextIO, *, table: str = "faces", every_s: float = EVERY_S) -> None:
    """Write a run as text, as `export` does, to an open file."""
    if form not in FORMATS:
        raise ResultsError(f"no format is called '{form}'; known: {', '.join(FORMATS)}")
    if table not in TABLES:
        raise ResultsError(f"no table is called '{table}'; known: {', '.join(TABLES)}")
    run.require_complete()
    if form not in ("csv", "json") or table not in WITHOUT_PERSONS:
        run.require_persons(f"the format '{form}'" if form not in ("csv", "json") else f"the table {table}")
    FORMATS[form](run, out, table, every_s)


def _ask(run: Run, form: str) -> pa.RecordBatchReader:
    return catalog.ask(run.results, _query(form), run.id)


def _query(form: str) -> str:
    return (files("crowdmood") / "sql" / f"export_{form}.sql").read_text(encoding="utf-8")


def _table(run: Run, table: str) -> pa.RecordBatchReader:
    # A finished file is sorted, and DuckDB keeps the order of one file: sorting anew would hold all rows in memory.
    return catalog.ask(run.results, f"FROM {table}", run.id)


def _csv(run: Run, out: TextIO, table: str, _: float) -> None:
    rows.write_csv(_table(run, table), out)


def _json(run: Run, out: TextIO, table: str, _: float) -> None:
    rows.write_json(_table(run, table), out)


def _fex(run: Run, out: TextIO, *_) -> None:
    rows.write_csv(_ask(run, "fex"), out)


def _openface(run: Run, out: TextIO, *_) -> None:
    rows.write_csv(_ask(run, "openface"), out)


def _mot(run: Run, out: TextIO, *_) -> None:
    csv.writer(out, lineterminator="\n").writerows(rows.values(_ask(run, "mot")))  # MOT text has no header


def _deepface(run: Run, out: TextIO, *_) -> None:
    """A list of frames, each a list of faces: what deepface gives for a list of pictures. One frame a line."""
    start = "["
    for _, faces in groupby(rows.values(_ask(run, "deepface")), itemgetter(0)):
        out.write(f"{start}[{', '.join(face for _, face in faces if face is not None)}]")
        start = ",\n "
    out.write("[]\n" if start == "[" else "]\n")


def _vtt(run: Run, out: TextIO, _: str, every_s: float) -> None:
    """A WebVTT track. What it says and where it is from stands in comments, which players do not show."""
    cues = catalog.ask(run.results, _query("vtt"), run.id, {"every_s": every_s})
    recording = " ".join(run.info["recording"].split()).replace("-->", "->")
    out.write(f"WEBVTT\n\nNOTE\nExpressions shown in {recording}, read by crowdmood {__version__}, run {run.id}.\n\n"
              f"NOTE\nA cue names the expression with the largest mean probability over the faces that could be read within\n"
              f"{every_s:g} s, and says how many faces there were at a time. Shown is not felt.\n")
    for start_s, end_s, text in rows.values(cues):
        start, end = round(1000 * start_s), round(1000 * end_s)
        out.write(f"\n{_timestamp(start)} --> {_timestamp(max(end, start + 1))}\n{text}\n")


def _timestamp(milliseconds: int) -> str:
    """'01:02:03.456' as WebVTT has it."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


FORMATS: dict[str, Callable[[Run, TextIO, str, float], None]] = {
    "csv": _csv, "json": _json, "fex": _fex, "openface": _openface, "deepface": _deepface, "mot": _mot, "vtt": _vtt,
}
