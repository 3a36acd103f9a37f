"""The one loop that looks at all viewers' pictures: the newest of each, several at a time, whoever has waited longest first.

A picture that is followed by a newer one before its turn is dropped: nothing queues, so however many viewers there are, what they
are told is of now. More viewers than the machine can serve at their rate get fewer pictures each, not later ones.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import numpy as np

from crowdmood.errors import CrowdmoodError, told
from crowdmood.live.jpeg import BadPicture, decoded
from crowdmood.live.pace import Pace
from crowdmood.live.selfie import Wish
from crowdmood.live.sight import ANYWHERE, USUAL, look_at, open_sight
from crowdmood.live.viewer import Deliver, Picture, Shown, Viewer, refused
from crowdmood.options import Execution, Options
from crowdmood.scan import Eyes

BATCH_CUDA = 32  # pictures looked at together; on the CPU one a thread, for more would only let each wait for the others


class Loop:
    """Runs on a thread of its own from the first `get_ready` or `join` on. failure: why it cannot run, None while it can."""

    def __init__(self, options: Options = USUAL, execution: Execution = ANYWHERE) -> None:
        self.options, self.execution = options, execution
        self.viewers: set[Viewer] = set()
        self.pace = Pace()
        self.failure: CrowdmoodError | None = None
        self._changed, self._opened = threading.Condition(), threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def get_ready(self) -> None:
        """Load the networks, beside."""
        with self._changed:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()

    def wait_until_ready(self) -> None:
        """Return when the networks are loaded. Raises CrowdmoodError where they cannot be."""
        self.get_ready()
        self._opened.wait()
        if self.failure:
            raise self.failure

    def join(self, deliver: Deliver, wish: Wish | None = None) -> Viewer:
        """A new viewer. deliver: takes each view, on the loop's thread, and must neither take long nor raise."""
        self.get_ready()
        viewer = Viewer(deliver, wish)
        with self._changed:
            self.viewers.add(viewer)
        return viewer

    def show(self, viewer: Viewer, picture: Picture, time: float | None = None) -> None:
        """Give a viewer's newest picture. time: seconds, rising; None is the time since its first one."""
        with self._changed:
            viewer.take(picture, time)
            self._changed.notify()

    def leave(self, viewer: Viewer) -> None:
        """A viewer is gone."""
        with self._changed:
            self.viewers.discard(viewer)

    def figures(self) -> dict[str, int | float | None]:
        """How it is doing: viewers, pictures_per_second, dropped (of those viewers' pictures), latency_ms and latency_p95_ms."""
        with self._changed:
            now = monotonic()
            latency = {name: self.pace.latency(now, share) for name, share in (("latency_ms", 0.5), ("latency_p95_ms", 0.95))}
            return {"viewers": len(self.viewers), "pictures_per_second": round(self.pace.rate(now), 2),
                    "dropped": sum(viewer.pace.dropped for viewer in self.viewers),
                    **{name: None if value is None else round(1000 * value, 1) for name, value in latency.items()}}

    def stop(self) -> None:
        """End the loop, after the pictures that it is looking at."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        eyes, size, threads = self._open()
        self._opened.set()
        with ThreadPoolExecutor(threads, "live-jpeg") as pool:
            while (turn := self._next(size)) is not None:
                try:
                    if self.failure:
                        raise self.failure
                    self._look(turn, eyes, pool)
                except Exception as error:  # noqa: BLE001 what one picture does must not end the loop for all viewers
                    sentence = _sentence(error)
                    for viewer, shown in turn:
                        viewer.deliver(refused(shown, sentence))

    def _open(self) -> tuple[Eyes | None, int, int]:
        """The networks, how many pictures they look at together, and how many threads there are. None: there is a failure."""
        try:
            eyes, device = open_sight(self.options, self.execution)
        except Exception as error:  # noqa: BLE001 viewers are told, whatever it is
            self.failure = error if isinstance(error, CrowdmoodError) else CrowdmoodError(_sentence(error))
            return None, 1, 1
        return eyes, device.threads if device.name == "cpu" else BATCH_CUDA, device.threads

    def _next(self, batch: int) -> list[tuple[Viewer, Shown]] | None:
        """The pictures whose turn it is; None when the loop is to end."""
        with self._changed:
            while not self._stopped:
                waiting = sorted((viewer for viewer in self.viewers if viewer.waiting), key=lambda viewer: viewer.served)[:batch]
                if waiting:
                    turn = [(viewer, viewer.waiting) for viewer in waiting]
                    for viewer in waiting:
                        viewer.waiting, viewer.served = None, monotonic()
                    return turn
                self._changed.wait()
        return None

    def _look(self, turn: list[tuple[Viewer, Shown]], eyes: Eyes, pool: ThreadPoolExecutor) -> None:
        began = monotonic()
        images = list(pool.map(_picture, (shown.picture for _, shown in turn)))
        good = [(*pair, image) for pair, image in zip(turn, images, strict=True) if isinstance(image, np.ndarray)]
        seen = look_at([image for *_, image in good], eyes)
        for (viewer, shown, _), one in zip(good, seen, strict=True):
            viewer.deliver(viewer.see(shown, one, began))
        with self._changed:
            for _, shown, _ in good:
                self.pace.look(shown.given, began, monotonic())
        for (viewer, shown), image in zip(turn, images, strict=True):
            if isinstance(image, BadPicture):
                viewer.deliver(refused(shown, told(image)))


def _picture(picture: Picture) -> np.ndarray | BadPicture:
    try:
        return decoded(picture) if isinstance(picture, bytes) else picture
    except BadPicture as error:
        return error


def _sentence(error: Exception) -> str:
    """What a viewer is told. What nobody foresaw is for the log."""
    if isinstance(error, CrowdmoodError):
        return told(error)
    logging.getLogger("crowdmood").error("live pictures could not be looked at", exc_info=error)
    return "this picture could not be looked at; the server's log says why"
