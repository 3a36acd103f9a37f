"""Let a generator run ahead of whoever uses it, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from crowdmood.video.isolation import stop_by

T = TypeVar("T")
LOOK_S = 1.0  # so often a waiting consumer looks whether the thread is still there


@contextmanager
def read_ahead(batches: Iterator[T], depth: int = 2) -> Iterator[Iterator[T]]:
    """Yield an iterator over ``batches`` that keeps up to ``depth`` of them ready.

    An error in ``batches`` is raised where the next item is asked for, as the same exception. When the block
    ends, early or not, the thread is stopped, ``batches`` is closed and the thread has ended.
    """
    ready: queue.Queue = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(batches, ready, stop), name="read-ahead", daemon=True)
    thread.start()
    try:
        yield _drain(ready, thread)
    finally:
        stop.set()
        while thread.is_alive():
            _make_room(ready)
            thread.join(0.02)


def _fill(batches: Iterator[T], ready: queue.Queue, stop: threading.Event) -> None:
    error: BaseException | None = None
    stop_by(stop)  # also while it waits for a decoder that hangs
    try:
        for item in batches:
            ready.put((item, None))
            del item  # the queue holds it now; frames are large
            if stop.is_set():
                break
    except BaseException as raised:  # whatever it is, the other side must hear of it
        error = raised
    try:
        if hasattr(batches, "close"):
            batches.close()
    except BaseException as raised:
        error = error or raised
    ready.put((None, error or StopIteration()))


def _drain(ready: queue.Queue, thread: threading.Thread) -> Iterator[T]:
    while True:
        item, end = _next(ready, thread)
        if end is None:
            yield item
            del item  # or it would live on while the next one is awaited
            continue
        if isinstance(end, StopIteration):
            return
        raise end


def _next(ready: queue.Queue, thread: threading.Thread) -> tuple:
    """What is ready next. Raises MemoryError where the thread has died: nothing else keeps it from telling its end."""
    while True:
        lives = thread.is_alive()
        try:
            return ready.get(timeout=LOOK_S)
        except queue.Empty:
            if not lives:
                raise MemoryError from None


def _make_room(ready: queue.Queue) -> None:
    try:
        while True:
            ready.get_nowait()
    except queue.Empty:
        return
