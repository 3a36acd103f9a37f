"""Reading the packets of a file without decoding them."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from crowdmood.video.pulse import pulse
from crowdmood.video.recording import LARGEST_PICTURE, NO_PTS, PacketTable

ERRORS_IN_A_ROW = 100
"""A demuxer that fails so often without a packet in between has come to the end of what it can read."""

THREADS = min(2 * len(os.sched_getaffinity(0)) + 2, 16)
"""Frames are decoded in so many threads; with only one per processor, processors stood idle."""
PIXELS_AT_ONCE = 300_000_000
"""Each thread holds a picture; of large ones there are fewer threads, so that they fit into memory."""


def read_packets(container: InputContainer, *streams: VideoStream) -> Iterator[Packet]:
    """The packets with content, in the order of the file; damaged places are stepped over."""
    failures = 0
    while failures < ERRORS_IN_A_ROW:
        try:
            for packet in container.demux(*streams):
                pulse.beat()
                if packet.size:  # an empty packet would tell the decoder that the stream has ended
                    failures = 0
                    yield packet
            return
        except IndexError:  # PyAV does not know a stream that appeared on the way; its packet has been read
            pulse.beat()
        except (av.FFmpegError, OSError):  # also of 'no memory', which a packet of absurd length gives
            failures += 1


def leave_out_others(container: InputContainer, *streams: VideoStream) -> None:
    """Tell the demuxer to jump over the packets of all other streams."""
    chosen = {stream.index for stream in streams}
    for stream in container.streams:
        if stream.index not in chosen:
            stream.discard = Discard.all


def prepare(video: VideoStream, threads: int = THREADS) -> None:
    """Set how many threads decode, and refuse larger pictures, also where their size grows on the way."""
    context = video.codec_context
    context.options = {"max_pixels": str(LARGEST_PICTURE)}
    context.thread_type = "AUTO"
    context.thread_count = max(1, min(threads, PIXELS_AT_ONCE // max(context.width * context.height, 1)))


def mark(packet: Packet, ordinal: int) -> None:
    """Give a packet its ordinal in place of its pts: the frame that comes out of it carries the same number.

    There is a field for such marks (``Packet.opaque``), but PyAV frees it under the interpreter's lock from
    the decoder's threads, which locks up for ever when a decoder is closed on the way.
    """
    packet.pts = ordinal


def tabulate(container: InputContainer, *streams: VideoStream) -> dict[int, PacketTable]:
    """One pass over the file: the packet table of each stream, by stream index."""
    columns = {stream.index: tuple(array("q") for _ in range(5)) for stream in streams}
    hides = {stream.index: HIDES.get(stream.codec_context.codec.canonical_name) for stream in streams}
    for packet in read_packets(container, *streams):
        pts, dts, keyframe, shown, duration = columns[packet.stream_index]
        hidden = hides[packet.stream_index]
        pts.append(NO_PTS if packet.pts is None else packet.pts)
        dts.append(NO_PTS if packet.dts is None else packet.dts)
        keyframe.append(packet.is_keyframe)
        shown.append(not packet.is_discard and not (hidden and hidden(memoryview(packet))))
        duration.append(packet.duration or 0)
    return {index: _table(found) for index, found in columns.items()}


def _table(columns: tuple[array, ...]) -> PacketTable:
    pts, dts, keyframe, shown, duration = (np.array(column, dtype=np.int64) for column in columns)
    return PacketTable(pts=pts, dts=dts, keyframe=keyframe > 0, shown=shown > 0, duration=duration)


def _vp8_hides(data: memoryview) -> bool:
    return not data[0] >> 4 & 1


def _vp9_hides(data: memoryview) -> bool:
    """True for a packet whose frames are only there to be referred to (VP9 specification, 6.2, annex B)."""
    return not any(_vp9_frame_shown(data[at]) for at in _vp9_frames(data))


def _vp9_frame_shown(first: int) -> bool:
    profile_3 = first >> 4 & 3 == 3
    existing, shown = (first >> 2 & 1, first & 1) if profile_3 else (first >> 3 & 1, first >> 1 & 1)
    return bool(existing or shown)


def _vp9_frames(data: memoryview) -> list[int]:
    """Where the frames of a packet begin: one, or several listed in a superframe index at its end."""
    marker = data[-1]
    frames, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = len(data) - 2 - frames * width
    if marker >> 5 != 0b110 or index < 0 or data[index] != marker:
        return [0]
    sizes = [int.from_bytes(data[at:at + width], "little") for at in range(index + 1, len(data) - 1, width)]
    starts = [sum(sizes[:k]) for k in range(frames) if sizes[k]]
    return [at for at in starts if at < index] or [0]


HIDES = {"vp8": _vp8_hides, "vp9": _vp9_hides}
