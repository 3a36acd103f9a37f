"""Looking at a file before it is analyzed: which stream, which frames, can they be decoded at all."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from crowdmood.errors import VideoError
from crowdmood.video.listing import Listing, list_frames
from crowdmood.video.opening import A_PICTURE, open_container
from crowdmood.video.packets import leave_out_others, tabulate
from crowdmood.video.recording import LARGEST_PICTURE, NO_PTS, PacketTable, Recording

STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
ONE_FRAME_IS_A_PICTURE = ("gif", "apng")
SEEKING_MISLEADS = ("mpeg", "gif", "avi", "h264", "hevc", "m4v", "mpegvideo", "ivf", "obu", "av1")
"""Containers whose packets can look different after a seek, or that hold no index to seek with."""


def look_at(path: Path | str) -> Recording:
    """A recording's facts but its digest; see ``crowdmood.video.probe``, which has this done in a process of its own."""
    path = Path(path)
    with open_container(path) as container:
        candidates = _candidates(path, container)
        leave_out_others(container, *candidates)
        tables = tabulate(container, *candidates)
        stream = _choose(path, candidates, tables)
        check_size(path, stream.codec_context.width, stream.codec_context.height)
        facts = _stream_facts(container, stream)
    table = tables[facts.stream]
    listing = list_frames(path, facts.stream, table)
    if facts.container in ONE_FRAME_IS_A_PICTURE and len(listing.pts) == 1:
        raise VideoError(f"{path.name}: {A_PICTURE}")
    return _recording(path, facts, table, listing)


@dataclass(frozen=True)
class _StreamFacts:
    """What has to be read from the container before it is closed."""

    container: str
    codec: str
    stream: int
    streams: tuple[str, ...]
    time_base: Fraction
    frames_promised: int | None
    frame_ticks: int
    sample_aspect: Fraction | None


def _candidates(path: Path, container: InputContainer) -> list[VideoStream]:
    """The video streams that could be the recording: no cover pictures, and a decoder must be there."""
    videos = list(container.streams.video)
    if not videos:
        kinds = [stream.type for stream in container.streams]
        found = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        raise VideoError(f"{path.name}: it holds no video (found: {found or 'no streams at all'})")
    moving = [stream for stream in videos if not stream.disposition & STILL]
    if not moving:
        raise VideoError(f"{path.name}: it holds only a still picture, no video")
    known = [stream for stream in moving if stream.codec_context is not None]
    if not known:
        raise VideoError(f"{path.name}: there is no decoder for its video; convert it to H.264 first")
    return known


def _choose(path: Path, candidates: list[VideoStream], tables: dict[int, PacketTable]) -> VideoStream:
    """The stream marked as default; among equals the one with the largest picture, then the first."""
    filled = [stream for stream in candidates if tables[stream.index].shown.any()]
    if not filled:
        promised = max(stream.frames for stream in candidates)
        what = f"the header promises {promised} frames, but " if promised else ""
        advice = "the file is cut short, copy or download it again"
        raise VideoError(f"{path.name}: {what}no video data is there; {advice}")
    return max(filled, key=lambda stream: (
        bool(stream.disposition & Disposition.default),
        stream.codec_context.width * stream.codec_context.height,
        -stream.index,
    ))


def _stream_facts(container: InputContainer, stream: VideoStream) -> _StreamFacts:
    rate = stream.average_rate or stream.guessed_rate
    return _StreamFacts(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        stream=stream.index,
        streams=tuple(_describe(other) for other in container.streams),
        time_base=stream.time_base,
        frames_promised=stream.frames or None,
        frame_ticks=max(round(1 / (rate * stream.time_base)), 1) if rate else 0,
        sample_aspect=stream.sample_aspect_ratio,
    )


def _describe(stream: av.stream.Stream) -> str:
    context = stream.codec_context
    words = [str(stream.index), stream.type, context.codec.canonical_name if context else "unknown"]
    if stream.type == "video" and context:
        words.append(f"{context.width}x{context.height}")
    return " ".join(words)


def _recording(path: Path, facts: _StreamFacts, table: PacketTable, listing: Listing) -> Recording:
    first = listing.first
    width, height = displayed_size(first.width, first.height, facts.sample_aspect)
    check_size(path, width, height)
    rotation = clockwise(first.rotation)
    if rotation in (90, 270):
        width, height = height, width
    return Recording(
        path=path,
        digest="",
        size_bytes=path.stat().st_size,
        container=facts.container,
        codec=facts.codec,
        pixel_format=first.pixel_format,
        stream=facts.stream,
        streams=facts.streams,
        width=width,
        height=height,
        rotation=rotation,
        time_base=facts.time_base,
        pts=listing.pts,
        keyframe=table.keyframe[listing.packet],
        packet=listing.packet,
        packets=table,
        frames_promised=facts.frames_promised,
        last_ticks=_last_ticks(table, listing, facts.frame_ticks),
        seekable=listing.pts_trusted and _seeks_well(facts.container, table),
        pts_trusted=listing.pts_trusted,
    )


def check_size(path: Path, width: int, height: int) -> None:
    """Raise VideoError where a picture is larger than we decode; a header may promise any size."""
    if width * height > LARGEST_PICTURE:
        raise VideoError(f"{path.name}: its picture of {width} x {height} is too large; scale it down first")


def displayed_size(width: int, height: int, sample_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height with square pixels; never smaller than stored. Absurd aspects are taken as square."""
    nearly_square = Fraction(99, 100) < (sample_aspect or 1) < Fraction(101, 100)
    if nearly_square or not Fraction(1, 4) <= sample_aspect <= 4:
        return width, height
    if sample_aspect > 1:
        return round(width * sample_aspect), height
    return width, round(height / sample_aspect)


def clockwise(rotation: int) -> int:
    """From FFmpeg's counter-clockwise degrees; what is no multiple of 90 is ignored."""
    return -rotation % 360 if rotation % 90 == 0 else 0


def _last_ticks(table: PacketTable, listing: Listing, frame_ticks: int) -> int:
    """How long the last frame is displayed: by its packet, else the usual distance, else the nominal rate."""
    told = int(table.duration[listing.packet[-1]])
    if told > 0:
        return told
    return int(np.median(np.diff(listing.pts))) if len(listing.pts) > 1 else frame_ticks


def _seeks_well(container: str, table: PacketTable) -> bool:
    """True where a keyframe found after a seek can be told by its time: known to all packets, and rising."""
    starts = table.pts[table.keyframe]
    return (
        container not in SEEKING_MISLEADS
        and bool((table.pts != NO_PTS).all())
        and bool((np.diff(starts) > 0).all())
    )
