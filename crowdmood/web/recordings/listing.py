"""All that there is of recordings: runs, whoever made them; analyses that wait, go on or failed; and uploads."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, Field

from crowdmood import catalog
from crowdmood.errors import ResultsError
from crowdmood.parts import part_numbers
from crowdmood.results import status_of
from crowdmood.schemas import RUNS
from crowdmood.tables import read_run
from crowdmood.web.recordings.analyses import DONE, RUNNING, WAITING, Analyses, Analysis
from crowdmood.web.recordings.strips import Strips
from crowdmood.web.recordings.uploads import Upload, Uploads

FEW = 20  # rows that are read one by one; more are asked for together
Status = Literal["complete", "unfinished", "failed", "waiting", "analyzing", "stopped", "uploaded", "uploading"]


class AnalysisState(BaseModel):
    """An analysis of an upload."""

    upload: str = Field(description="Id of the upload.")
    status: Literal["waiting", "analyzing", "done", "failed", "stopped"]
    asked: dict[str, Any] = Field(description="The options that were asked for.")
    since: datetime = Field(description="When it was asked for.")
    run: str | None = Field(description="Id of the run, once it is done.")
    error: str | None = Field(description="Why it failed.")
    place: int = Field(description="Which one of those that wait it is, from 1; 0 where it does not wait.")
    step: Literal["opening", "scan", "link"] = Field(description="What is being done: the file is looked at; frames are; persons are followed "
                                                                 "and the report is written.")
    percent: float | None = Field(description="How far it is, 0..100; null as long as nobody can say.")
    remaining_s: float | None = Field(description="Seconds that are left, estimated; null as long as nobody can say.")
    chunks: int = Field(description="Pieces of 30 s that the recording has.")
    chunks_done: int = Field(description="Pieces that are finished.")
    faces: int = Field(description="Faces found since it was begun or taken up again.")
    says: str = Field(description="All that for people.")


class Recording(BaseModel):
    """A recording: a run, or what is to become one."""

    recording: str = Field(description="Name of its file.")
    status: Status = Field(description="complete; unfinished (stopped by somebody else); failed; waiting, analyzing or stopped here; uploaded, "
                                       "but not analyzed; uploading.")
    run: str | None = Field(None, description="Id of the run.")
    upload: str | None = Field(None, description="Id of the upload, where it was uploaded here.")
    error: str | None = Field(None, description="Why it failed.")
    started: datetime | None = Field(None, description="When its analysis, or else its upload, began.")
    duration_s: float | None = Field(None, description="Its length, seconds.")
    size_bytes: int | None = Field(None, description="Size of its file.")
    received: int | None = Field(None, description="Bytes that have been uploaded.")
    frames: int | None = Field(None, description="Frames that were analyzed.")
    faces: int | None = Field(None, description="Faces found in them, each frame's counted anew.")
    persons: int | None = Field(None, description="Different persons.")
    chunks: int | None = Field(None, description="Pieces of 30 s that it has.")
    chunks_done: int | None = Field(None, description="Pieces that are finished.")
    context: str | None = Field(None, description="What the analysis was declared to be for.")
    kind: Literal["film", "meeting", "photos"] = "film"
    analysis: AnalysisState | None = Field(None, description="Its analysis here, where it is not complete.")


@dataclass(frozen=True)
class Page:
    """Some of the recordings. total: how many there are that fit."""

    recordings: list[Recording]
    total: int


class RecordingList:
    """The recordings of a results folder."""

    def __init__(self, results: Path, uploads: Uploads, analyses: Analyses) -> None:
        self.results, self.uploads, self.analyses = results, uploads, analyses
        self.strips = Strips(results)
        self._kept: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def find(self, search: str = "", start: int = 0, most: int = 50) -> Page:
        """The newest first. search: part of the recording's name, or the beginning of a run's id."""
        wanted = search.strip().casefold()
        found = [one for one in self._all() if wanted in one.recording.casefold() or (wanted and (one.run or "").startswith(wanted))]
        return Page(found[start:start + most], len(found))

    def row(self, run: str) -> dict[str, Any] | None:
        """The row of a run."""
        return next((row for row in self.rows() if row["run"] == run), None)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of all runs, the newest first. Only those whose files have changed are read."""
        with self._lock:
            there = _files(self.results)
            changed = [run for run, facts in there.items() if self._kept.get(run, (None,))[0] != facts]
            read = _read(self.results, changed)
            self._kept |= {run: (there[run], read[run]) for run in changed if run in read}
            self._kept = {run: kept for run, kept in self._kept.items() if run in there}
            return sorted((row for _, row in self._kept.values()), key=_begun, reverse=True)

    def uploads_of(self, run: str) -> list[Upload]:
        """The uploads that a run was made from."""
        done = {one.upload for one in self.analyses.all() if one.run == run}
        path = (self.row(run) or {}).get("path")
        return [one for one in self.uploads.all() if one.id in done or str(one.film) == path]

    def state(self, analysis: Analysis) -> AnalysisState:
        """An analysis as it is told."""
        place = self.analyses.place(analysis)
        facts = {name: getattr(analysis, name) for name in AnalysisState.model_fields if name not in ("place", "says")}
        return AnalysisState(place=place, says=says(analysis, place, self.analyses.waits_for_another), **facts)

    def _all(self) -> list[Recording]:
        rows, analyses = self.rows(), {one.upload: one for one in self.analyses.all()}
        runs, complete = {row["run"]: row for row in rows}, {row["run"] for row in rows if row["status"] == "complete"}
        mine, films, made = [], set(), {}
        for upload in self.uploads.all():
            analysis = analyses.get(upload.id)
            if analysis and analysis.status == DONE:
                made[analysis.run] = upload.id
                if analysis.run in complete or not upload.is_whole:
                    continue  # the run stands for it
                analysis = None  # its run was removed, or a later one of the same film is not complete
            mine.append(self._uploaded(upload, analysis))
            films.add(str(upload.film))
        others = [self._run(row, made.get(row["run"])) for row in runs.values() if row["status"] == "complete" or row["path"] not in films]
        return sorted([*mine, *others], key=lambda one: one.started.timestamp() if one.started else 0.0, reverse=True)

    def _uploaded(self, upload: Upload, analysis: Analysis | None) -> Recording:
        status = analysis.status if analysis else "uploaded" if upload.is_whole else "uploading"
        return Recording(recording=upload.name, status=status, upload=upload.id, error=analysis and analysis.error,
                         started=analysis.since if analysis else upload.begun, size_bytes=upload.size_bytes, received=upload.received,
                         context=(analysis.asked if analysis else upload.asked or {}).get("context"),
                         analysis=self.state(analysis) if analysis else None)

    def _run(self, row: dict[str, Any], upload: str | None) -> Recording:
        facts = {name: row[name] for name in Recording.model_fields if name in row} | {"frames": row["frames_analyzed"]}
        if row["status"] != "complete":
            facts["chunks_done"] = len(part_numbers(self.results, "faces", row["run"]))
        kind = row["layout"] if row["layout"] in ("meeting", "photos") else "film"
        return Recording(**facts | {"status": status_of(row), "kind": kind, "upload": upload})


def says(analysis: Analysis, place: int, waits_for_another: bool) -> str:
    """How far an analysis is, for people. place: among those that wait, from 1."""
    if analysis.status == WAITING:
        behind = f"waiting, number {place} in the queue" if place > 1 else "next in the queue"
        return "waiting until another crowdmood serve in this folder ends" if waits_for_another else behind
    if analysis.status != RUNNING:
        return analysis.status
    if analysis.step == "link":
        return "following persons, writing the report"
    if not analysis.chunks:
        return "looking at the file"
    faces = [f"{analysis.faces:,} faces so far"] if analysis.chunks_done else ["finding faces"]
    percent = [f"{analysis.percent:.0f}\u202f%"] if analysis.percent is not None else []
    return " · ".join([*percent, *faces, *([f"about {about(analysis.remaining_s)} left"] if analysis.remaining_s is not None else [])])


def about(seconds: float) -> str:
    """A time that is only estimated, as people say it."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _files(results: Path) -> dict[str, tuple[int, int]]:
    """Run -> what changes when its row is written."""
    found = {}
    with suppress(FileNotFoundError), os.scandir(results / "runs") as entries:
        for entry in entries:
            if entry.name.startswith("run=") and entry.name.endswith(".parquet"):
                with suppress(FileNotFoundError):
                    facts = entry.stat()
                    found[entry.name[4:-8]] = facts.st_mtime_ns, facts.st_ino
    return found


def _read(results: Path, runs: list[str]) -> dict[str, dict[str, Any]]:
    """Run -> its row; without those that cannot be read."""
    if len(runs) > FEW:
        with suppress(ResultsError):
            return {row["run"]: row for row in catalog.fetch(results, "SELECT * FROM runs").to_pylist()}
    read = {}
    for run in runs:
        with suppress(OSError, pa.ArrowException):
            if row := read_run(results, run):
                read[run] = dict.fromkeys(RUNS.names) | row  # earlier versions had fewer columns
    return read


def _begun(row: dict[str, Any]) -> tuple[float, str]:
    return row["started"].timestamp() if row["started"] else 0.0, row["run"]
