"""What is added to a complete run without looking at its frames again: who speaks, names, the context that was declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from crowdmood import tables
from crowdmood.options import Options
from crowdmood.s3 import S3Folder
from crowdmood.speech.writing import write_speech, write_speech_on_s3
from crowdmood.uploads import read_row
from crowdmood.video import Recording
from crowdmood.zoom.meetings import Meeting


def add_later(results: Path, run: str, source: Path | Meeting, options: Options, recording: Recording) -> None:
    """Write what is new of it, nothing where all is as asked. Raises CrowdmoodError where names cannot be read, ResultsError."""
    row = tables.read_run(results, run) or {}
    if _is_new(options.context, row):
        tables.write_run(results, row | {"context": options.context})
    if _may_speak(source, row):
        write_speech(results, run, _meeting(source), options, recording)


def add_later_on_s3(results: S3Folder, run: str, source: Path | Meeting, options: Options, recording: Recording) -> None:
    """The same for a run whose tables are on S3."""
    row, name = read_row(results, run) or {}, tables.table_path(Path(), "runs", run).as_posix()
    if _is_new(options.context, row):
        tables.write_run(results.local, row | {"context": options.context})
        results.upload({name: results.local / name})
        (results.local / name).unlink()
    if _may_speak(source, row):
        write_speech_on_s3(results, run, _meeting(source), options, recording)


def speak_now(folder: Path, run: str, source: Path | Meeting, options: Options, recording: Recording) -> None:
    """Write who speaks into a folder whose tables of persons will not be kept, for the figures that are made of them."""
    full = replace(options, aggregate_only=False, names="none", transcript_text=False)
    if _may_speak(source, tables.read_run(folder, run) or {}):
        write_speech(folder, run, _meeting(source), full, recording)


def _is_new(context: str | None, row: dict) -> bool:
    return context is not None and context != row.get("context")


def _may_speak(source: Path | Meeting, row: dict) -> bool:
    return isinstance(source, Meeting) or row.get("layout") == "meeting"


def _meeting(source: Path | Meeting) -> Meeting | None:
    return source if isinstance(source, Meeting) else None
