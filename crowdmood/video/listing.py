"""Listing the displayed frames of a stream: by the packets' times where they hold, else by decoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from crowdmood.errors import VideoError
from crowdmood.video.opening import open_container
from crowdmood.video.packets import (
    THREADS,
    leave_out_others,
    mark,
    prepare,
    read_packets,
)
from crowdmood.video.recording import NO_PTS, PacketTable

HEAD = 16
"""Frames that are decoded to see whether the packets' times are those of the frames."""
HOPELESS = 3000
"""A stream of which so many packets in a row give no frame is not read to its end."""


@dataclass(frozen=True)
class FirstFrame:
    """How the first frame is stored."""

    width: int
    height: int
    pixel_format: str
    rotation: int
    """Counter-clockwise degrees, as FFmpeg says; may be nonsense."""


@dataclass(frozen=True, eq=False)
class Listing:
    """The displayed frames in presentation order."""

    first: FirstFrame
    pts: np.ndarray
    """int64 (n,), strictly increasing."""
    packet: np.ndarray
    """int64 (n,), ordinal of each frame's packet."""
    pts_trusted: bool
    """Whether the decoder gives each frame with just this pts."""


@dataclass
class _Decoded:
    """What came out of a decoder, in the order in which it came."""

    first: FirstFrame | None = None
    marks: list[int | None] = field(default_factory=list)
    """pts of the frames, or the ordinals of their packets."""
    damaged: int = 0


def list_frames(path: Path, stream: int, table: PacketTable) -> Listing:
    """List the frames of a stream. Raises VideoError where not one of them can be decoded."""
    head = _decode(path, stream, limit=HEAD)
    if head.first is None:
        raise VideoError(f"{path.name}: {_why_nothing(path, stream)}")
    packet = _by_packets(table, head)
    if packet is not None:
        return Listing(head.first, table.pts[packet], packet, pts_trusted=True)
    whole = _decode(path, stream, by_ordinal=True)
    if whole.damaged:  # what several threads lose depends on their number
        whole = _decode(path, stream, by_ordinal=True, threads=1)
    if whole.first is None:  # and what several threads made of it cannot be relied on
        raise VideoError(f"{path.name}: {_why_nothing(path, stream)}")
    return _by_frames(path, whole, table)


def _by_packets(table: PacketTable, head: _Decoded) -> np.ndarray | None:
    """Ordinals of the displayed frames' packets in presentation order; None where their times do not hold."""
    shown = np.flatnonzero(table.shown)
    order = np.argsort(table.pts[shown], kind="stable")
    packet = shown[order]
    pts = table.pts[packet]
    if pts[0] == NO_PTS or (np.diff(pts) == 0).any() or not _rises(head.marks):
        return None
    begin = int(np.searchsorted(pts, head.marks[0]))  # what comes before cannot be decoded, so is never shown
    expected = pts[begin:begin + len(head.marks)]
    agrees = np.isin(head.marks, pts).all() if head.damaged else np.array_equal(expected, head.marks)
    return packet[begin:] if agrees else None


def _by_frames(path: Path, decoded: _Decoded, table: PacketTable) -> Listing:
    if None in decoded.marks:
        raise VideoError(f"{path.name}: its frames cannot be told apart; convert it to MP4 first")
    packet = np.array(decoded.marks, dtype=np.int64)
    times = [None if pts == NO_PTS else pts for pts in table.pts[packet].tolist()]
    if _rises(times):
        return Listing(decoded.first, table.pts[packet], packet, pts_trusted=True)
    pts, kept = settle(times, _usual_step(table))
    return Listing(decoded.first, pts, packet[kept], pts_trusted=False)


def settle(times: list[int | None], step: int) -> tuple[np.ndarray, np.ndarray]:
    """Give frames in presentation order increasing times, where their own ones are missing or out of order.

    A missing time is the one before plus ``step``. The same times are then handed out in rising order: AVI
    files, for instance, number their packets in decoding order. Of frames with one time the first is kept.
    Returns the times int64 (k,) and the positions int64 (k,) of the frames that are kept.
    """
    filled: list[int] = []
    for time in times:
        filled.append(time if time is not None else filled[-1] + step if filled else 0)
    return np.unique(np.array(filled, dtype=np.int64), return_index=False), _first_of_each(sorted(filled))


def _first_of_each(rising: list[int]) -> np.ndarray:
    return np.unique(np.array(rising, dtype=np.int64), return_index=True)[1].astype(np.int64)


def _usual_step(table: PacketTable) -> int:
    known = table.duration[table.duration > 0]
    return int(np.median(known)) if len(known) else 1


def _rises(times: list[int | None]) -> bool:
    return None not in times and all(a < b for a, b in zip(times, times[1:], strict=False))


def _decode(
    path: Path, stream: int, limit: int | None = None, by_ordinal: bool = False, threads: int = THREADS
) -> _Decoded:
    """Decode a stream from its start without looking at the pictures; stops after ``limit`` frames."""
    found = _Decoded()
    with open_container(path) as container:
        video = container.streams[stream]
        prepare(video, threads)
        leave_out_others(container, video)
        for ordinal, packet in enumerate(read_packets(container, video)):
            if by_ordinal:
                mark(packet, ordinal)
            _take(found, video, packet)
            if limit and len(found.marks) >= limit or found.first is None and ordinal >= HOPELESS:
                return found
        _take(found, video, None)
    return found


def _take(found: _Decoded, video: VideoStream, packet: av.Packet | None) -> None:
    try:
        frames = video.codec_context.decode(packet)
    except MemoryError:
        raise
    except av.FFmpegError:
        found.damaged += 1
        return
    for frame in frames:
        found.first = found.first or _facts(frame)
        found.marks.append(frame.pts)


def _facts(frame: VideoFrame) -> FirstFrame:
    return FirstFrame(frame.width, frame.height, frame.format.name, frame.rotation)


def _why_nothing(path: Path, stream: int) -> str:
    """A sentence for a stream with packets of which none can be decoded."""
    with open_container(path) as container:
        video = container.streams[stream]
        tag = video.codec_context.codec_tag
        packet = next(read_packets(container, video), None)
        if tag in ("encv", "drmi") or packet and packet.has_sidedata("encryption_info"):
            return "it is encrypted (DRM) and cannot be decoded; a copy without protection is needed"
        name = video.codec_context.codec.canonical_name
    return f"none of its video packets ({name}) can be decoded; it is damaged, copy or download it again"
