"""Short films out of a recording, with their sound: encoded anew exactly from frame to frame, or copied from a keyframe on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from crowdmood.errors import VideoError
from crowdmood.files import write_aside
from crowdmood.film.writing import FilmWriter
from crowdmood.video import Joined, Recording, decode
from crowdmood.video.opening import open_container
from crowdmood.video.packets import leave_out_others, read_packets
from crowdmood.video.plan import entry_for
from crowdmood.video.recording import NO_PTS

CRF = 18
LEAST_SIDE = 16  # pixels: H.264 has no smaller pictures
IN_MP4 = {"h264", "hevc", "av1", "vp9", "mpeg4", "aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"}
"""Codecs that players expect in MP4; copies of others go into Matroska, which holds everything."""
FORMATS = {".mp4": ("mp4", {"movflags": "+faststart", "strict": "unofficial"}), ".mkv": ("matroska", {})}
EARLIER_S, LATE_S = 1.0, 10.0
"""A copy reads from so much before its beginning, and to so much behind its end: sound need not lie beside the pictures."""
Treatment = Callable[[int, np.ndarray], None]


def frames_between(recording: Recording, start_s: float, end_s: float) -> range:
    """The frames displayed from start_s to end_s (seconds from the first frame), at least one."""
    first = max(int(np.searchsorted(recording.time, start_s + 1e-6, side="right")) - 1, 0)
    end = int(np.searchsorted(recording.time, end_s - 1e-6, side="left"))
    return range(first, max(end, first + 1))


def times_of(recording: Recording, frames: range) -> tuple[float, float]:
    """Seconds from the first displayed frame at which these frames begin and end to be displayed."""
    ticks = _edges(recording, frames) - recording.pts[0]
    start, end = (float(int(tick) * recording.time_base) for tick in ticks[[0, -1]])
    return start, end


def write_clip(recording: Recording, path: Path, span: tuple[float, float],
               treat: Treatment | None = None) -> tuple[float, float]:
    """Encode the frames displayed in `span` (seconds from the first frame), with their sound, as MP4.

    treat: changes a picture, uint8 (h, w, 3) RGB, in place, given its frame's number. Pictures are upright and keep their
    times. Returns the span that is in the clip, from the first frame's beginning to the last one's end. Raises VideoError.
    """
    frames = frames_between(recording, *span)
    size = tuple(max(side + side % 2, LEAST_SIDE) for side in (recording.width, recording.height))
    numbers, lengths = np.arange(frames.start, frames.stop), np.diff(_edges(recording, frames))
    with _errors(path), write_aside(path) as aside, FilmWriter(aside, recording, size, numbers, CRF) as film:
        for batch in decode(recording, numbers):
            for number, pts, image in zip(batch.frame.tolist(), batch.pts.tolist(), batch.images, strict=True):
                if treat:
                    treat(number, image)
                frame, canvas = film.canvas()
                height, width = image.shape[:2]
                canvas[:] = np.pad(image, ((0, size[1] - height), (0, size[0] - width), (0, 0)), mode="edge")
                film.add(frame, pts, int(lengths[number - frames.start]))
    return times_of(recording, frames)


def copy_clip(recording: Recording, path: Path, span: tuple[float, float]) -> tuple[float, float]:
    """Copy the packets from the keyframe before `span` on, pictures and sound, without encoding; rotation is kept.

    The ending of the path says the container; `copy_ending` names one that fits. Returns the span that is in the clip, which
    is longer than the one that was asked for. Raises VideoError, also where the packets' times do not allow it.
    """
    if isinstance(recording, Joined):
        return _copy_of_part(recording, path, span)
    frames = frames_between(recording, *span)
    part = packets, frames = _packets_for(recording, frames)
    table, (form, options) = recording.packets, FORMATS[path.suffix]
    if not recording.pts_trusted or (table.pts[packets] == NO_PTS).any() or (table.dts[packets] == NO_PTS).any():
        raise _not_copied(recording, "its packets carry no usable times")
    with _errors(path), write_aside(path) as aside:
        try:
            with open_container(recording.path) as source, av.open(str(aside), "w", format=form, options=options) as sink:
                _copy(recording, source, sink, part)
            if not _begins_with_a_keyframe(aside):
                raise _not_copied(recording, "what it calls keyframes are none")
        except ValueError as error:  # the muxer does not take a codec, or times that go back
            raise _not_copied(recording, "its packets do not fit into " + form) from error
    return times_of(recording, frames)


def _copy_of_part(recording: Joined, path: Path, span: tuple[float, float]) -> tuple[float, float]:
    """The same out of the one part in which the span lies."""
    frames = frames_between(recording, *span)
    shares = list(recording.shares(np.arange(frames.start, frames.stop)))
    if len(shares) > 1:
        raise _not_copied(recording, "a clip would lie in two files of the recording")
    (part, first, _), = shares
    later = float(recording.time[first])
    start, end = copy_clip(part, path, (max(0.0, span[0] - later), span[1] - later))
    return start + later, end + later


def _not_copied(recording: Recording, reason: str) -> VideoError:
    return VideoError(f"{recording.path.name}: {reason}, so no clips can be copied out of it; encode them anew, without --copy")


def _begins_with_a_keyframe(path: Path) -> bool:
    with av.open(str(path)) as container:
        first = next(container.decode(container.streams.video[0]), None)
        return first is not None and first.key_frame and not first.is_corrupt


def copy_ending(recording: Recording) -> str:
    """'.mp4', or '.mkv' for what does not belong into MP4."""
    codecs = {file.codec for file in recording.files}
    codecs |= {words.split()[2] for file in recording.files for words in file.streams if words.split()[1] == "audio"}
    return ".mkv" if codecs - IN_MP4 else ".mp4"


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Tells what went wrong while a file was written."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        raise VideoError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _edges(recording: Recording, frames: range) -> np.ndarray:
    """int64 (n + 1,): when each of the frames begins to be displayed, and when the last one ends; in the time base."""
    last = recording.pts[-1] + max(recording.last_ticks, 1)
    return np.append(recording.pts, last)[frames.start:frames.stop + 1]


def _packets_for(recording: Recording, frames: range) -> tuple[slice, range]:
    """The packets from the keyframe before the frames to where no frame in between is missing, and the frames they show."""
    first_packet = entry_for(recording, frames[0])
    first = int(np.flatnonzero(recording.packet == first_packet)[0]) if first_packet in recording.packet else 0
    last_packet, end = -1, frames.stop
    while True:  # frames are stored in another order than displayed
        needed = int(recording.packet[first:end].max())
        if needed == last_packet:
            return slice(first_packet, last_packet + 1), range(first, end)
        last_packet = needed
        inside = np.flatnonzero(recording.packet <= last_packet)
        end = max(end, int(inside.max()) + 1)


def _copy(recording: Recording, source: InputContainer, sink: OutputContainer, part: tuple[slice, range]) -> None:
    video, audio = source.streams[recording.stream], source.streams.best("audio")
    chosen = [stream for stream in (video, audio) if stream is not None]
    leave_out_others(source, *chosen)
    targets = {stream.index: sink.add_stream_from_template(stream, opaque=True) for stream in chosen}
    start = int(recording.pts[part[1][0]]) * recording.time_base
    for packet in _belonging(recording, source, chosen, part):
        shift = round(start / packet.time_base)
        packet.pts -= shift
        packet.dts -= shift
        packet.stream = targets[packet.stream_index]
        sink.mux(packet)


def _belonging(recording: Recording, source: InputContainer, chosen: list[Stream], part: tuple[slice, range]
               ) -> Iterator[av.Packet]:
    """The packets of a part, and those of sound that begin while its frames are displayed."""
    packets, frames = part
    edges = _edges(recording, frames)
    start, end = (int(edge) * recording.time_base for edge in edges[[0, -1]])
    hidden = set(recording.packet[:frames[0]].tolist())  # displayed before the keyframe, though stored behind it
    if recording.seekable:
        early = int(recording.packets.dts[packets.start] - EARLIER_S / recording.time_base)
        source.seek(early, stream=chosen[0], backward=True)
    ordinal, open_streams = -1, {stream.index for stream in chosen}
    for packet in read_packets(source, *chosen):
        if packet.pts is None or packet.dts is None:
            continue
        time = packet.pts * packet.time_base
        if packet.stream_index != recording.stream:
            if start <= time < end:
                yield packet
            elif time >= end:
                open_streams.discard(packet.stream_index)
        elif ordinal >= 0 or packet.pts == recording.packets.pts[packets.start] and packet.is_keyframe:
            ordinal = ordinal + 1 if ordinal >= 0 else packets.start
            if ordinal < packets.stop and ordinal not in hidden:
                yield packet
            elif ordinal >= packets.stop:
                open_streams -= {recording.stream} if time < end + LATE_S else open_streams
        if not open_streams:
            return
