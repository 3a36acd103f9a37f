"""A recording opened for reading packets, which can be placed on any packet by its ordinal."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from crowdmood.errors import VideoError
from crowdmood.video.opening import open_container
from crowdmood.video.packets import (
    THREADS,
    leave_out_others,
    mark,
    prepare,
    read_packets,
)
from crowdmood.video.recording import NO_PTS, Recording

NEAR = 300
"""Packets. So many are rather read and dropped than jumped over with a seek."""


class LostPlace(Exception):
    """After a seek the packets are not those that were listed."""


class Source:
    """The open file. Use as a context manager; ``reopen`` starts over with another number of threads."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.seeks = recording.seekable
        self.frame_of = np.full(len(recording.packets), -1, dtype=np.int64)
        self.frame_of[recording.packet] = np.arange(len(recording), dtype=np.int64)
        self.threads = THREADS
        self._open()

    def _open(self) -> None:
        self.container = open_container(self.recording.path)
        if self.recording.stream >= len(self.container.streams):
            raise self._changed()
        self.video = self.container.streams[self.recording.stream]
        prepare(self.video, self.threads)
        leave_out_others(self.container, self.video)
        self._packets = read_packets(self.container, self.video)
        self._next = 0

    def reopen(self, threads: int = THREADS) -> None:
        """Start over with a fresh decoder of so many threads."""
        self.container.close()
        self.threads = threads
        self._open()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()

    def packets_from(self, entry: int) -> Iterator[tuple[int, Packet]]:
        """Ordinals and packets from ``entry`` on, the decoder emptied. Raises LostPlace after a bad seek."""
        near = self._next <= entry and (entry - self._next <= NEAR or not self.seeks)
        if near:
            self.video.codec_context.flush_buffers()
        elif self.seeks:
            self._seek(entry)
        else:
            self.reopen(self.threads)
        for packet in self._packets:
            ordinal = self._next
            self._check(ordinal, packet)
            self._next += 1
            if not self.recording.pts_trusted:
                mark(packet, ordinal)
            if ordinal >= entry:
                yield ordinal, packet
        if self._next < len(self.recording.packets):
            raise self._astray()

    def frame_number(self, frame: VideoFrame) -> int:
        """Which frame of the recording a decoded frame is; -1 for one that is not listed."""
        recording = self.recording
        if frame.pts is None:
            return -1
        if not recording.pts_trusted:  # the packets were marked
            return int(self.frame_of[frame.pts])
        at = int(np.searchsorted(recording.pts, frame.pts))
        return at if at < len(recording.pts) and recording.pts[at] == frame.pts else -1

    def _seek(self, entry: int) -> None:
        """Place the demuxer on the packet ``entry``, recognised by its times among the keyframes."""
        table = self.recording.packets
        # Matroska's index holds pts, that of the others dts.
        by_pts = self.recording.container.startswith("matroska") or table.dts[entry] == NO_PTS
        target = int(table.pts[entry] if by_pts else table.dts[entry])
        try:
            self.container.seek(target, stream=self.video, backward=True)
        except (av.FFmpegError, OSError):
            raise LostPlace from None
        self._packets = read_packets(self.container, self.video)
        for packet in self._packets:
            if not packet.is_keyframe or packet.pts is None or packet.pts < table.pts[entry]:
                continue
            if packet.pts > table.pts[entry]:
                break
            self._packets = _with_first(packet, self._packets)
            self._next = entry
            return
        raise LostPlace

    def _check(self, ordinal: int, packet: Packet) -> None:
        table = self.recording.packets
        if ordinal >= len(table) or table.pts[ordinal] != (NO_PTS if packet.pts is None else packet.pts):
            raise self._astray()

    def _astray(self) -> Exception:
        return LostPlace() if self.seeks else self._changed()

    def _changed(self) -> VideoError:
        name = self.recording.path.name
        return VideoError(f"{name}: the file has changed since it was opened first; start again")


def _with_first(first: Packet, rest: Iterator[Packet]) -> Iterator[Packet]:
    yield first
    yield from rest
