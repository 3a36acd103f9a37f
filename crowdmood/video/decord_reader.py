"""The decoder 'decord', for recordings on which it can be relied: constant rate, complete, one video stream.

decord's random access gives wrong frames on some files, it ignores edit lists, and it can hang in native
code. So it only ever reads from the start, in a process of its own that is ended when no sign of life comes,
and its frame times are compared with those of the packets. Where it is not safe to use, that is an error and
no silent change of decoder.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from crowdmood.errors import VideoError
from crowdmood.video.decord_child import BEAT, ERROR, FRAME, HEADER
from crowdmood.video.frames import DecodeCount, FrameBatch
from crowdmood.video.recording import Recording

STALL_S = 20.0
"""Seconds without a sign of life after which decord counts as hanging."""
CHILD = Path(__file__).with_name("decord_child.py")


def read(
    recording: Recording, wanted: np.ndarray, batch: int, count: DecodeCount, stall_s: float = STALL_S
) -> Iterator[FrameBatch]:
    """Decode the wanted frames, each time from the start of the file; see ``crowdmood.video.decode``."""
    reason = why_unsafe(recording)
    if reason:
        raise _refusal(recording, reason)
    if not len(wanted):
        return
    with tempfile.TemporaryFile() as complaints, _child(recording, wanted, complaints) as child:
        messages = _Messages(recording, child, stall_s)
        _check_times(recording, messages)
        for begin in range(0, len(wanted), batch):
            frame = wanted[begin:begin + batch]
            images = np.empty((len(frame), recording.height, recording.width, 3), np.uint8)
            for number, image in zip(frame, images, strict=True):
                messages.frame(int(number), image)
            _check_complaints(recording, complaints)
            count.decoded += len(frame)
            yield FrameBatch(images=images, frame=frame, pts=recording.pts[frame], time=recording.time[frame])


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


@contextmanager
def _child(recording: Recording, wanted: np.ndarray, complaints: IO[bytes]) -> Iterator[subprocess.Popen]:
    """The process that runs decord; killed when the block ends, whatever it is doing."""
    command = [sys.executable, "-P", str(CHILD)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, bufsize=0,
        env={**os.environ, "DECORD_DUPLICATE_WARNING_THRESHOLD": "0"},
    )
    try:
        request = {"path": os.fspath(recording.path.resolve()), "wanted": wanted.tolist()}
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.close()
        except BrokenPipeError:
            pass  # it has died already, which the first read will tell
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


class _Messages:
    """What the child says, each byte of it awaited for a limited time only."""

    def __init__(self, recording: Recording, child: subprocess.Popen, stall_s: float) -> None:
        self.recording, self.child, self.stall_s = recording, child, stall_s

    def frame(self, number: int, target: np.ndarray) -> None:
        """Wait for frame ``number`` and put it into ``target``, uint8 (h, w, 3)."""
        kind, said, _ = self._header()
        while kind == BEAT:
            kind, said, _ = self._header()
        size = np.frombuffer(self._bytes(16), "<i8")
        if kind != FRAME or said != number or tuple(size) != target.shape[:2]:
            given = f"{size[1]} x {size[0]}"
            raise _refusal(self.recording, f"it gives a picture of {given} where another is shown")
        self._into(memoryview(target).cast("B"))

    def facts(self) -> tuple[int, np.ndarray]:
        """The number of frames and the time in seconds of each, float64 (n,)."""
        _, frames, length = self._header()
        return frames, np.frombuffer(self._bytes(length), "<f8")

    def _header(self) -> tuple[bytes, int, int]:
        kind, number, length = HEADER.unpack(self._bytes(HEADER.size))
        if kind == ERROR:
            self._bytes(length)  # decord's own words name source lines, which helps no user
            raise _refusal(self.recording, "it fails to open or to decode the file")
        return kind, number, length

    def _bytes(self, length: int) -> bytes:
        content = bytearray(length)
        self._into(memoryview(content))
        return bytes(content)

    def _into(self, target: memoryview) -> None:
        deadline = time.monotonic() + self.stall_s
        pipe = self.child.stdout
        while len(target):
            if not select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise _refusal(self.recording, f"it made no progress for {self.stall_s:g} seconds")
            got = pipe.readinto(target)
            if not got:
                raise _refusal(self.recording, "its process ended unexpectedly")
            target = target[got:]


def _check_complaints(recording: Recording, complaints: IO[bytes]) -> None:
    """Raise VideoError where decord has put a copy of another frame in place of one that it lost."""
    complaints.seek(0)
    if b"recovered from nearest frames" in complaints.read():
        raise _refusal(recording, "it cannot decode all frames and repeats others instead")


def _check_times(recording: Recording, messages: _Messages) -> None:
    """Raise VideoError unless decord found the same frames at the same times as the packets say."""
    frames, times = messages.facts()
    if frames != len(recording):
        raise _refusal(recording, f"it finds {frames} frames where there are {len(recording)}")
    step = np.diff(recording.time).min() if len(recording) > 1 else 1.0
    if not (np.abs(times - recording.time) < step / 2).all():
        raise _refusal(recording, "it gives its frames other times")
