"""The queue of albums that are to be ranked: one at a time, each as a process of its own, `crowdmood photos rank`.

What waits or is under way when a server ends is noted beside the album; the next server takes it up, and no photo is read twice.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from crowdmood import catalog
from crowdmood.errors import CrowdmoodError
from crowdmood.options import Execution, Options
from crowdmood.photos.popularity import there_is_popularity
from crowdmood.photos.runs import PHOTO_OPTIONS
from crowdmood.web.photos.albums import SentAlbum, SentAlbums
from crowdmood.web.recordings.analysis_process import AnalysisProcess, Outcome
from crowdmood.web.refusals import Busy, Conflict, NotFound
from crowdmood.web.settings import WebSettings

OPEN, WAITING, READING, DONE, FAILED = "open", "waiting", "reading", "done", "failed"
LEAVE_S = 10.0
OPTIONS = ("imgsz", "tiles", "min_face", "detector", "expression")
RUN_OF = """
SELECT run FROM runs WHERE status = 'complete' AND layout = 'photos' AND path = $path
    AND (SELECT count(DISTINCT file) FROM photos WHERE photos.run = runs.run) = $photos
ORDER BY finished DESC LIMIT 1
"""


@dataclass(frozen=True)
class Ranking:
    """How far an album is. status: open (nobody has asked), waiting, reading, done or failed; step: 'look', 'scan' or 'features'; done
    of total photos in it; run: once it is done; error: one sentence, where it failed."""

    status: str = OPEN
    step: str = ""
    done: int = 0
    total: int = 0
    run: str | None = None
    error: str | None = None


class Rankings:
    """The queue. `begin` starts its thread, `end` stops what is under way."""

    def __init__(self, albums: SentAlbums, settings: WebSettings) -> None:
        self.albums, self.settings = albums, settings
        self._known: dict[str, Ranking] = {}
        self._waiting: deque[str] = deque()
        self._changed = threading.Condition(threading.RLock())
        self._process: tuple[str, AnalysisProcess] | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="rankings", daemon=True)

    def begin(self) -> None:
        """Take up what an earlier server has left, and begin to work."""
        for album in self.albums.all():
            if album.asked:
                self._put(album.id)
        self._thread.start()

    def end(self) -> None:
        """Stop; the next server goes on."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            if self._process:
                self._process[1].stop()
        self._thread.join(LEAVE_S)

    def ask(self, album: SentAlbum) -> Ranking:
        """Put an album at the end of the queue. Raises Conflict, Busy."""
        if not album.photos:
            raise Conflict("There is no photo in this album yet.")
        with self._changed:
            if self.is_under_way(album.id):
                raise Conflict(f"{album.name} is being ranked already.")
            if len(self._waiting) >= self.settings.waiting:
                raise Busy(f"{self.settings.waiting} albums wait to be ranked; try again when some are done.", 30)
            self.albums.ask(album.id, True)
            self._put(album.id)
            return self._known[album.id]

    def _put(self, album: str) -> None:
        with self._changed:
            self._known[album] = Ranking(WAITING)
            self._waiting.append(album)
            self._changed.notify_all()

    def stop(self, album: SentAlbum) -> None:
        """Stop a ranking that waits or runs; what was read is kept. Raises Conflict."""
        with self._changed:
            if not self.is_under_way(album.id):
                raise Conflict(f"{album.name} is not being ranked at the moment.")
            self.albums.ask(album.id, False)
            self._known.pop(album.id)
            with suppress(ValueError):
                self._waiting.remove(album.id)
            if self._process and self._process[0] == album.id:
                self._process[1].stop()

    def is_under_way(self, album: str) -> bool:
        """Whether it waits or is being read."""
        return self._known.get(album, Ranking()).status in (WAITING, READING)

    def is_held(self, album: str) -> bool:
        """Whether it waits, or a process still has its photos: one that was stopped may need a moment."""
        return self.is_under_way(album) or bool(self._process and self._process[0] == album)

    def of(self, album: SentAlbum) -> Ranking:
        """How far an album is. Photos that were added since it was ranked open it again."""
        known = self._known.get(album.id)
        if known and known.status not in (DONE, OPEN):
            return known
        rows = []
        with suppress(CrowdmoodError):  # no run at all yet
            rows = catalog.fetch(self.settings.results, RUN_OF, None, {"path": str(album.pictures), "photos": album.photos}).to_pylist()
        return Ranking(DONE, run=rows[0]["run"], done=album.photos, total=album.photos) if rows else Ranking(total=album.photos)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ending:
                    self._changed.wait()
                if self._ending:
                    return
                album = self._waiting.popleft()
                self._known[album] = Ranking(READING)
            try:
                self._finish(album, self._run(album))
            except NotFound:
                self._known.pop(album, None)
            except Exception as error:
                logging.getLogger("crowdmood").exception("an album could not be ranked")
                self._finish(album, Outcome(error=f"the server could not rank the album ({error}); its log says more"))
            finally:
                self._process = None

    def _run(self, album: str) -> Outcome:
        found = self.albums.find(album)
        with self._changed:
            if self._ending or not self.is_under_way(album):
                return Outcome()
            process = AnalysisProcess(command_for(found, self.settings))
            self._process = album, process
        for done in process.progress():
            self._progress(album, done)
        return process.outcome()

    def _progress(self, album: str, done: dict[str, Any]) -> None:
        with self._changed:
            if self.is_under_way(album):
                self._known[album] = replace(self._known[album], step=str(done["step"]), done=int(done["done"]), total=int(done["total"]))

    def _finish(self, album: str, outcome: Outcome) -> None:
        with self._changed:
            if not self.is_under_way(album) or (self._ending and not outcome.run):
                return
            self._known[album] = Ranking(DONE, run=outcome.run) if outcome.run else Ranking(FAILED, error=outcome.error)
            self.albums.ask(album, False)


def photo_options(settings: WebSettings) -> tuple[Options, Execution]:
    """How photos are looked at: as the server's recordings, as far as that makes sense for photos."""
    return Options(**PHOTO_OPTIONS, **{name: getattr(settings.options, name) for name in OPTIONS}), settings.execution


def command_for(album: SentAlbum, settings: WebSettings) -> list[str]:
    """What is run for an album: also its popularity is told where there is a model."""
    options, execution = photo_options(settings)
    said = {name.replace("_", "-"): getattr(options, name) for name in OPTIONS} | {name: getattr(execution, name) for name in ("device", "runtime", "threads")}
    said |= {"by": "popularity" if there_is_popularity() else "happy", "results": settings.results, "progress": "json"}
    return [sys.executable, "-m", "crowdmood", "photos", "rank", *(f"--{name}={value}" for name, value in said.items() if value is not None),
            "--json", "--with-stdin", "--", str(album.pictures)]
