"""One source watched in this process: its views as they come, and smart selfies written into a folder."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from crowdmood.live.cameras import pictures
from crowdmood.live.loop import Loop
from crowdmood.live.selfie import Wish
from crowdmood.live.viewer import View, Viewer
from crowdmood.stills import write_still

STEP_S = 0.2  # so often a waiting thread looks whether it is to stop


class Watch:
    """A source, read on a thread of its own. Iterating gives views until it ends, `stop` is set, or VideoError is raised."""

    def __init__(self, source: str, fps: float, loop: Loop, wish: Wish | None) -> None:
        self.source, self.fps, self.loop = source, fps, loop
        self.stop = threading.Event()
        self.views: queue.SimpleQueue[View | None] = queue.SimpleQueue()
        self.viewer: Viewer = loop.join(self.views.put, wish)
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[View]:
        reader = threading.Thread(target=self._read, name="live-camera", daemon=True)
        reader.start()
        ended, last = False, -1
        while not self.stop.is_set() and not (ended and last >= self.viewer.count - 1):  # the newest picture is always answered
            try:
                view = self.views.get(timeout=STEP_S)
            except queue.Empty:
                continue
            if view is None:
                ended = True
                continue
            last = view.shown.number
            yield view
        if self.failure:
            raise self.failure

    def _read(self) -> None:
        try:
            for time, image in pictures(self.source, self.fps, self.stop):
                self.loop.show(self.viewer, image, time)
        except Exception as error:  # noqa: BLE001 it is raised where the views are taken
            self.failure = error
        finally:
            self.views.put(None)


@contextmanager
def watching(source: str, fps: float, loop: Loop, wish: Wish | None) -> Iterator[Watch]:
    """Watch a source as long as the block goes on, from when the networks are loaded. Raises CrowdmoodError."""
    loop.wait_until_ready()
    watch = Watch(source, fps, loop, wish)
    try:
        yield watch
    finally:
        watch.stop.set()
        loop.leave(watch.viewer)


class Album:
    """Smart selfies written into a folder, each in a file of its own. countdown_s: they are taken so long after they are due."""

    def __init__(self, folder: Path, countdown_s: float = 0.0) -> None:
        self.folder, self.countdown_s = folder, countdown_s
        self.due: float | None = None
        self.paths: list[Path] = []

    def left_s(self, view: View) -> float | None:
        """Seconds until the picture is taken; None where none is due."""
        return None if self.due is None else max(0.0, self.due - view.shown.time)

    def see(self, view: View) -> Path | None:
        """The next view. Returns the file of the picture that was taken of it, if one was. Raises VideoError."""
        if view.due and self.due is None:
            self.due = view.shown.time + self.countdown_s
        if self.due is None or view.shown.time < self.due:
            return None
        self.due = None
        path = _free(self.folder / f"selfie-{datetime.now():%Y%m%d-%H%M%S}.jpg")
        write_still(path, view.shown.picture)
        self.paths.append(path)
        return path


def _free(path: Path) -> Path:
    """The path, or one beside it that nothing has yet."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
