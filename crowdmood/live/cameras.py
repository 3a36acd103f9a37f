"""Where live pictures come from: a camera of this machine, a stream on the network, or a recording that is played.

    for time, image in pictures(source, fps): ...

A recording is played at its own pace, and its times are its own; those of the others count from the first picture.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import cv2
import numpy as np

from crowdmood.errors import VideoError, one_line
from crowdmood.video import Sampling, decode, probe, select

STREAMS = ("rtsp://", "rtsps://", "http://", "https://", "rtmp://", "udp://", "srt://")
OPEN_S, SILENT_S = 15, 10  # a camera that takes longer to answer, or then gives nothing for so long, is given up
LATE_S = 1.0  # a recording whose pictures are taken later than this is not waited for


def pictures(source: str, fps: float, stop: threading.Event) -> Iterator[tuple[float, np.ndarray]]:
    """Time in seconds and picture, uint8 (h, w, 3) RGB, at most `fps` a second, as time goes by; ends with the recording, or when
    `stop` is set. source: a camera's number, an address of a stream, or a file. Raises VideoError.
    """
    if not (source.isdecimal() or source.lower().startswith(STREAMS)):
        return _played(Path(source), fps, stop)
    return _seen(source, fps, stop)


def _played(path: Path, fps: float, stop: threading.Event) -> Iterator[tuple[float, np.ndarray]]:
    recording = probe(path)
    began = None
    for batch in decode(recording, select(recording, Sampling(fps)), batch=1):
        time = float(batch.time[0])
        began = monotonic() - time if began is None else began
        if stop.wait(max(0.0, began + time - monotonic())):
            return
        if monotonic() - began - time > LATE_S:  # the decoder is slower than the film: go on from here, or all would be late
            began = monotonic() - time
        yield time, batch.images[0].copy()
        del batch


def _seen(source: str, fps: float, stop: threading.Event) -> Iterator[tuple[float, np.ndarray]]:
    with _opened(source) as camera:
        first = due = monotonic()
        while not stop.is_set():
            # All of a camera's pictures are taken, or it would give old ones; only those that are due are converted.
            if not camera.grab():
                raise VideoError(f"{named(source)} gives no more pictures; is it still connected?")
            now = monotonic()
            if now < due:
                continue
            due = max(due + 1 / fps, now - 1 / fps)
            there, image = camera.retrieve()
            if there:
                yield now - first, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@contextmanager
def _opened(source: str) -> Iterator[cv2.VideoCapture]:
    """A camera, or a stream. Raises VideoError."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it writes lines of its own to stderr, several for each failure
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if source.isdecimal():
        camera = cv2.VideoCapture(int(source))
    else:
        camera = cv2.VideoCapture(source, cv2.CAP_FFMPEG, [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 1000 * OPEN_S, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000 * SILENT_S])
    try:
        if not camera.isOpened():
            raise VideoError(_why_closed(source))
        yield camera
    finally:
        camera.release()


def _why_closed(source: str) -> str:
    if not source.isdecimal():
        return f"{named(source)} cannot be opened; check the address, and whether the camera answers other players"
    found = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
    if not found:
        return f"there is no camera {source}: this machine has none; give the address of a stream, or a file"
    return f"camera {source} cannot be opened; there are: {', '.join(found)}, and another program may be using it"


def named(source: str) -> str:
    """A source as messages name it: an address without the password in it."""
    return f"camera {source}" if source.isdecimal() else one_line(re.sub(r"//[^/@]*@", "//", source))[:120]
