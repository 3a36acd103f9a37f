"""The queue of analyses: so many at a time as the settings say, in the order in which they were asked for.

An analysis is written beside its upload (analysis.json) when it is asked for and when it ends. So whatever was waiting or under
way when a server ended, in whatever way, is taken up by the next one; chunks that were finished are not done again.
"""

from __future__ import annotations

import fcntl
import json
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from crowdmood.errors import CrowdmoodError
from crowdmood.files import write_aside
from crowdmood.web.recordings.analysis_process import (
    AnalysisProcess,
    Outcome,
    command_for,
)
from crowdmood.web.recordings.asked import options_from
from crowdmood.web.recordings.uploads import Upload, Uploads, writing
from crowdmood.web.refusals import Busy, Conflict, NotFound
from crowdmood.web.settings import WebSettings

FILE = "analysis.json"
LOOK_S = 0.5  # between two looks at whether another server has let go of the folder
LEAVE_S = 6.0  # for analyses under way to end when the server does
SOON_S = 5.0
SCANNED = 95.0  # per cent that are reached with the last chunk; then persons are followed and the report is written
WAITING, RUNNING, DONE, FAILED, STOPPED = "waiting", "analyzing", "done", "failed", "stopped"


@dataclass(frozen=True)
class Analysis:
    """An analysis of an upload. status: waiting, analyzing, done, failed or stopped; asked: what the visitor said, fields of `Asked`;
    since: when it was asked for; run: its run's id once it is done; error: why it failed. The others are of one under way:
    step: 'opening', 'scan' or 'link'; chunks_done of chunks, 30 s of recording each; faces found since began (a monotonic
    time); first: chunks that were done by then.
    """

    upload: str
    asked: dict[str, Any]
    status: str = WAITING
    since: str = ""
    run: str | None = None
    error: str | None = None
    step: str = "opening"
    chunks_done: int = 0
    chunks: int = 0
    faces: int = 0
    began: float = 0.0
    first: int = 0
    version: int = field(default=0, compare=False)

    @property
    def is_under_way(self) -> bool:
        """Whether it waits or runs."""
        return self.status in (WAITING, RUNNING)

    @property
    def percent(self) -> float | None:
        """How far it is, 0..100; None as long as nobody can say."""
        if self.status != RUNNING or not self.chunks or (self.step == "scan" and not self.chunks_done):
            return 100.0 if self.status == DONE else None
        return SCANNED + 2 if self.step == "link" else SCANNED * self.chunks_done / self.chunks

    @property
    def remaining_s(self) -> float | None:
        """Seconds that the chunks left will take if they are like those before; None as long as nobody can say."""
        done = self.chunks_done - self.first
        if self.status != RUNNING or self.step != "scan" or done <= 0:
            return None
        return (monotonic() - self.began) / done * (self.chunks - self.chunks_done)


class Analyses:
    """The queue. `begin` starts its threads, `end` stops what is under way so that the next server takes it up."""

    def __init__(self, uploads: Uploads, settings: WebSettings) -> None:
        self.uploads, self.settings = uploads, settings
        self.version = 0  # grows with every change; those of a status or of the list of recordings are counted by `listed`, too
        self.listed = 0
        self.waits_for_another = False
        self._known: dict[str, Analysis] = {}
        self._processes: dict[str, AnalysisProcess] = {}
        self._changed = threading.Condition(threading.RLock())
        self._ending = False
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Take up what earlier servers have left, and begin to work."""
        self.uploads.tidy()
        self._load()
        self._threads = [threading.Thread(target=self._begin_alone, name="analyses", daemon=True)]
        self._threads[0].start()

    def end(self) -> None:
        """Stop; what is under way goes on with the next server."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            for process in self._processes.values():
                process.stop()
        until = monotonic() + LEAVE_S
        for thread in list(self._threads):
            thread.join(max(0.0, until - monotonic()))

    def ask(self, upload: Upload, asked: dict[str, Any]) -> Analysis:
        """Put an analysis of a whole upload at the end of the queue. Raises Conflict, Busy, and CrowdmoodError for options."""
        options_from(self.settings.options, asked)
        if not upload.is_whole:
            raise Conflict(f"{upload.name} is not here in full yet; upload the rest first.")
        with self._changed:
            if (known := self._known.get(upload.id)) and known.is_under_way:
                raise Conflict(f"{upload.name} is being analyzed already; stop that first.")
            if sum(one.status == WAITING for one in self._known.values()) >= self.settings.waiting:
                raise Busy(f"{self.settings.waiting} recordings wait to be analyzed; try again when some are done.", 60)
            analysis = Analysis(upload.id, asked, since=datetime.now(UTC).isoformat())
            self._keep(analysis)
            return self._set(analysis, listed=True)

    def stop(self, upload: str) -> Analysis:
        """Stop an analysis that waits or runs; what is finished of it stays, and asking again goes on. Raises Conflict."""
        with self._changed:
            analysis = self.find(upload)
            if not analysis.is_under_way:
                raise Conflict("It is not being analyzed at the moment.")
            analysis = replace(analysis, status=STOPPED)
            self._keep(analysis)
            if process := self._processes.get(upload):
                process.stop()
            return self._set(analysis, listed=True)

    def forget(self, upload: str) -> None:
        """Forget an analysis whose upload is removed. Raises Conflict where it is under way."""
        with self._changed:
            known = self._known.get(upload)
            if (known and known.is_under_way) or upload in self._processes:
                raise Conflict("It is being analyzed; stop that first, and remove it then.")
            self._known.pop(upload, None)
            self.changed()

    def find(self, upload: str) -> Analysis:
        """The analysis of an upload. Raises NotFound."""
        try:
            return self._known[upload]
        except KeyError:
            raise NotFound("There is no analysis of it.") from None

    def all(self) -> list[Analysis]:
        """Every analysis, in the order in which they were asked for."""
        with self._changed:
            return sorted(self._known.values(), key=lambda one: one.since)

    def place(self, analysis: Analysis) -> int:
        """Which one it is among those that wait, from 1; 0 where it does not."""
        waiting = [one.upload for one in self.all() if one.status == WAITING]
        return waiting.index(analysis.upload) + 1 if analysis.upload in waiting else 0

    def changed(self) -> None:
        """Something in the list of recordings has changed."""
        with self._changed:
            self.version += 1
            self.listed += 1

    def _set(self, analysis: Analysis, listed: bool) -> Analysis:
        with self._changed:
            self.version += 1
            self.listed += listed
            analysis = replace(analysis, version=self.version)
            self._known[analysis.upload] = analysis
            self._changed.notify_all()
            return analysis

    def _keep(self, analysis: Analysis) -> None:
        facts = {name: getattr(analysis, name) for name in ("asked", "status", "since", "run", "error")}
        with writing(), write_aside(self.uploads.find(analysis.upload).folder / FILE) as aside:
            aside.write_text(json.dumps(facts))

    def _load(self) -> None:
        for upload in self.uploads.all():
            try:
                facts = json.loads((upload.folder / FILE).read_bytes())
                self._set(Analysis(upload.id, **facts), listed=True)
            except (OSError, ValueError, TypeError):
                if upload.is_whole and upload.asked:  # a server ended between its last piece and its analysis
                    with suppress(CrowdmoodError):
                        self.ask(upload, upload.asked)

    def _begin_alone(self) -> None:
        """Work, once no other server does in this folder. A process that an ended one has left holds it, too."""
        self.uploads.folder.mkdir(parents=True, exist_ok=True)
        with open(self.uploads.folder / ".lock", "w") as lock:
            while not self._ending:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    self.waits_for_another = True
                    with self._changed:
                        self._changed.wait(LOOK_S)
            if self.waits_for_another:
                self.waits_for_another = False
                self._load()
            workers = [threading.Thread(target=self._work, args=(lock.fileno(),), daemon=True) for _ in range(self.settings.analyses)]
            self._threads += workers
            for thread in workers:
                thread.start()
            for thread in workers:
                thread.join()

    def _work(self, lock: int) -> None:
        while analysis := self._next():
            try:
                self._finish(analysis.upload, self._run(analysis, [lock]))
            except NotFound:
                pass  # it was removed
            except Exception as error:
                logging.getLogger("crowdmood").exception("an analysis could not be run")
                self._finish(analysis.upload, Outcome(error=f"the server could not run the analysis ({error}); its log says more"))
            finally:
                with self._changed:
                    self._processes.pop(analysis.upload, None)
                    self._changed.notify_all()  # it may have been asked for again meanwhile

    def _next(self) -> Analysis | None:
        """The next one to be done, marked as running; None when the server ends."""
        with self._changed:
            while not self._ending:
                waiting = [one for one in self.all() if one.status == WAITING and one.upload not in self._processes]
                if waiting:
                    return self._set(replace(waiting[0], status=RUNNING, step="opening", chunks=0, chunks_done=0, faces=0), listed=True)
                self._changed.wait()
            return None

    def _run(self, analysis: Analysis, kept: Sequence[int]) -> Outcome:
        upload = self.uploads.find(analysis.upload)
        options = options_from(self.settings.options, analysis.asked)
        with self._changed:
            if self._ending or self._known[upload.id].status != RUNNING:
                return Outcome()
            process = self._processes[upload.id] = AnalysisProcess(command_for(upload.film, self.settings, options), kept)
        for done in process.progress():
            self._progress(upload.id, done)
        outcome = process.outcome()
        if outcome.log:
            logging.getLogger("crowdmood").warning("the analysis of %s crashed:\n%s", upload.film, outcome.log)
        return outcome

    def _progress(self, upload: str, done: dict[str, Any]) -> None:
        with self._changed:
            known = self._known.get(upload)
            if known is None or known.status != RUNNING:
                return
            if not known.chunks:
                known = replace(known, began=monotonic(), first=done["chunks_done"])
            self._set(replace(known, **{name: done[name] for name in ("step", "chunks_done", "chunks", "faces")}), listed=False)

    def _finish(self, upload: str, outcome: Outcome) -> None:
        with self._changed:
            if outcome.stopped:  # whoever ends a service signals all its processes; then the server ends in a moment, too
                self._changed.wait_for(lambda: self._ending or self._known[upload].status != RUNNING, SOON_S)
            known = self._known.get(upload)
            if known is None or known.status != RUNNING or (self._ending and outcome.run is None):
                return  # stopped, or to be taken up by the next server
            ended = replace(known, status=DONE if outcome.run else STOPPED if outcome.stopped else FAILED, run=outcome.run, error=outcome.error)
            self._keep(ended)
            self._set(ended, listed=True)
