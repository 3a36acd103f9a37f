"""The decoder 'av': FFmpeg through PyAV, with the same pixels from whichever keyframe it begins.

It first decodes the fast way: with several threads, leaving out what nothing wanted is built on. When
anything is odd on the way (a refused packet, a frame that does not come) it goes back and decodes that group
of pictures the careful way: one thread, every packet, so that what is lost depends on the file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from crowdmood.video.frames import DecodeCount
from crowdmood.video.picture import painter
from crowdmood.video.plan import earlier_entry, entry_for, group_length, plan
from crowdmood.video.recording import Recording
from crowdmood.video.source import LostPlace, Source

NONREF_IS_EXACT = ("h264", "mpeg2video", "mpeg1video", "mpeg4", "vp8")
"""Codecs that say in each frame whether another one is built on it, so that it can be left out."""
Paint = Callable[[np.ndarray], None]
"""Paints a frame into an array, uint8 (h, w, 3)."""


class _BadEntry(Exception):
    """Decoding cannot begin at this packet, whatever the container says."""


class _Damage(Exception):
    """A packet was refused, or a wanted frame did not come."""


def read(recording: Recording, wanted: np.ndarray, count: DecodeCount) -> Iterator[tuple[int, Paint]]:
    """The numbers of the wanted frames, and for each what paints it; see ``crowdmood.video.decode``."""
    paint = painter(recording)
    for number, frame in _wanted_frames(recording, wanted, count):
        yield number, partial(paint, frame)


def _wanted_frames(
    recording: Recording, wanted: np.ndarray, count: DecodeCount
) -> Iterator[tuple[int, VideoFrame]]:
    if not len(wanted):
        return
    damaged: set[int] = set()
    delivered = 0
    with Source(recording) as source:
        for run in plan(recording, wanted):
            for item in _decode_run(source, run, damaged):
                delivered += 1
                yield item
    ordinals = recording.packet[wanted]
    count.missing += len(wanted) - delivered
    count.damaged_packets += sum(int(ordinals.min()) <= ordinal <= int(ordinals.max()) for ordinal in damaged)


def _decode_run(source: Source, left: np.ndarray, damaged: set[int]) -> Iterator[tuple[int, VideoFrame]]:
    """The wanted frames of a run in order: fast while nothing is odd, a damaged group of pictures carefully.

    A careful group begins with a fresh decoder at its own keyframe, so that what the decoder makes up in
    place of damaged parts depends on that group alone and not on how the recording is cut into shares.
    """
    while len(left):
        try:
            for number, frame in _from_some_entry(source, left, None):
                left = left[1:]
                yield number, frame
        except _Damage:
            if not len(left):
                return  # it lies behind the last one that was wanted
            group = left[:group_length(source.recording, left)]
            left = left[len(group):]
            source.reopen(threads=1)
            yield from _from_some_entry(source, group, damaged)
            source.reopen()


def _from_some_entry(
    source: Source, wanted: np.ndarray, damaged: set[int] | None
) -> Iterator[tuple[int, VideoFrame]]:
    """Attempt it from the keyframe that the container names; where that misleads, from further before."""
    entry, steps = entry_for(source.recording, int(wanted[0])), 1
    while len(wanted):
        try:
            for number, frame in _attempt(source, entry, wanted, damaged):
                wanted = wanted[np.searchsorted(wanted, number) + 1:]
                yield number, frame
            return
        except LostPlace:
            source.seeks = False
        except _BadEntry:
            entry, steps = earlier_entry(source.recording, entry, steps), 2 * steps


def _attempt(
    source: Source, entry: int, wanted: np.ndarray, damaged: set[int] | None
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from ``entry`` until the last wanted frame has come.

    A frame that comes behind a later one is dropped: only damaged streams give such. Raises _BadEntry,
    LostPlace and, unless ``damaged`` collects the refused packets, _Damage.
    """
    first = int(source.frame_of[entry])
    entered, latest = entry == 0, -1
    left = wanted
    for frame in _decoded(source, entry, wanted, damaged):
        number = source.frame_number(frame)
        if not entered and number >= first:
            if number > first or not frame.key_frame or frame.is_corrupt:
                raise _BadEntry
            entered = True
        if not entered or number < 0:
            continue
        if damaged is None and (frame.is_corrupt or number <= latest or len(left) and number > left[0]):
            raise _Damage
        left = left[np.searchsorted(left, number):]
        if number > latest and len(left) and number == left[0]:
            left = left[1:]
            yield number, frame
        latest = max(latest, number)
    if not entered:
        raise _BadEntry
    if len(left) and damaged is None:
        raise _Damage


def _decoded(
    source: Source, entry: int, wanted: np.ndarray, damaged: set[int] | None
) -> Iterator[VideoFrame]:
    """All frames that come out of the decoder from ``entry`` on, until the wanted ones must have come."""
    context = source.video.codec_context
    needed = set(source.recording.packet[wanted].tolist())
    last = max(needed)
    lonely = context.codec.intra_only and damaged is None
    leave_out = damaged is None and source.recording.pts_trusted and _tells_what_is_needed(context)
    for ordinal, packet in source.packets_from(entry):
        unwanted = ordinal not in needed and source.frame_of[ordinal] >= 0
        if ordinal > last and unwanted:
            break
        if lonely and unwanted and ordinal > entry:
            continue
        context.skip_frame = "NONREF" if leave_out and unwanted else "DEFAULT"
        yield from _send(context, packet, ordinal, damaged)
    yield from _send(context, None, last, damaged)


def _tells_what_is_needed(context: av.VideoCodecContext) -> bool:
    """True where the decoder can leave out frames of which the stream says that no other is built on them.

    HEVC says so within one temporal layer; the header of MP4 and Matroska (hvcC) tells that there is only
    one.
    """
    codec, header = context.codec.canonical_name, context.extradata or b""
    one_layer = codec == "hevc" and len(header) > 22 and header[0] == 1 and header[21] >> 3 & 7 == 1
    return codec in NONREF_IS_EXACT or one_layer


def _send(
    context: av.VideoCodecContext, packet: Packet | None, ordinal: int, damaged: set[int] | None
) -> list[VideoFrame]:
    try:
        return context.decode(packet)
    except av.FFmpegError as error:
        if damaged is None:
            raise _Damage from None
        if isinstance(error, MemoryError):
            raise
        damaged.add(ordinal)
        return []
