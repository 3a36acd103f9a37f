"""The decoder 'decord', for recordings on which it can be relied: constant rate, complete, one video stream.

decord's random access gives wrong frames on some files, it ignores edit lists, and it can hang in native
code. So it only ever reads from the start, in a process that does nothing else, and its frame times are
compared with those of the packets. Where it is not safe to use, that is an error and no silent change of decoder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np

from crowdmood.errors import VideoError
from crowdmood.video.pulse import pulse
from crowdmood.video.recording import Recording

COMPLAINTS = 1 << 16
"""Bytes of what decord prints that are kept between two looks at them."""


def read(recording: Recording, wanted: np.ndarray) -> Iterator[tuple[int, Callable[[np.ndarray], None]]]:
    """The numbers of the wanted frames, and for each what paints it, each time from the start of the file.

    Takes over this process's stderr. See ``crowdmood.video.decode``.
    """
    reason = why_unsafe(recording)
    if reason:
        raise _refusal(recording, reason)
    complaints = _own_stderr()
    asked = set(wanted.tolist())
    try:
        reader = _open(recording)
        # Not reader.skip_frames: it jumps to keyframes, which gives wrong pictures in open groups.
        for number in range(int(wanted[-1]) + 1):
            image = reader.next()
            pulse.beat()
            if number in asked:
                _check_complaints(recording, complaints)
                yield number, lambda target, image=image: _paint(recording, image.asnumpy(), target)
        _check_complaints(recording, complaints)
    except VideoError:
        raise
    except Exception as error:  # bare RuntimeErrors too; decord's words name source lines, which helps no user
        raise _refusal(recording, "it fails to open or to decode the file") from error


def _open(recording: Recording):
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(os.fspath(recording.path.resolve()), num_threads=1)  # with more it refuses packets of VP9
    _check_times(recording, reader.get_frame_timestamp(range(len(reader)))[:, 0])
    return reader


def _paint(recording: Recording, pixels: np.ndarray, target: np.ndarray) -> None:
    if pixels.shape != target.shape:
        given = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise _refusal(recording, f"it gives a picture of {given} where another is shown")
    np.copyto(target, pixels)


def why_unsafe(recording: Recording) -> str | None:
    """The reason not to use decord on a recording, as far as its packets show one; else None."""
    step = np.diff(recording.pts)
    if not recording.pts_trusted:
        return "its frames carry no usable times"
    if not recording.packets.shown.all() or len(recording.packets) != len(recording):
        return "it holds frames that are not shown (edit list or hidden frames)"
    if recording.frames_promised not in (None, len(recording)):
        return f"it promises {recording.frames_promised} frames and holds {len(recording)}"
    if recording.pts[0] != 0:
        return "its first frame is not at time 0"
    if len(step) and int(step.max() - step.min()) > 2:  # a coarse time base rounds each time by up to one
        return "its frame rate is not constant"
    if sum(" video " in stream for stream in recording.streams) > 1:
        return "it holds several video streams"
    return None


def _refusal(recording: Recording, reason: str) -> VideoError:
    return VideoError(f"{recording.path.name}: decord cannot be relied on here, {reason}; use --decoder av")


def _own_stderr() -> int:
    """Let what decord prints go into a pipe of our own; returns where to read it. What does not fit in is lost."""
    complaints, printed = os.pipe()
    os.set_blocking(complaints, False)
    os.set_blocking(printed, False)
    os.dup2(printed, 2)
    os.close(printed)
    return complaints


def _check_complaints(recording: Recording, complaints: int) -> None:
    """Raise VideoError where decord has put a copy of another frame in place of one that it lost."""
    try:
        text = os.read(complaints, COMPLAINTS)
    except BlockingIOError:
        return
    if b"recovered from nearest frames" in text:
        raise _refusal(recording, "it cannot decode all frames and repeats others instead")


def _check_times(recording: Recording, times: np.ndarray) -> None:
    """Raise VideoError unless decord found the same frames at the same times (seconds) as the packets say."""
    if len(times) != len(recording):
        raise _refusal(recording, f"it finds {len(times)} frames where there are {len(recording)}")
    step = np.diff(recording.time).min() if len(recording) > 1 else 1.0
    if not (np.abs(times - recording.time) < step / 2).all():
        raise _refusal(recording, "it gives its frames other times")
