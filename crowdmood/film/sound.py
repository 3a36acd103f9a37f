"""The sound of a recording on its way into a film: packets as they are, or AAC where MP4 cannot hold them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from crowdmood.video.opening import open_container
from crowdmood.video.packets import leave_out_others, read_packets
from crowdmood.video.recording import Recording

COPIED = ("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac")
"""Kinds of sound that players expect in MP4."""
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
TOLERANCE_S = 0.05  # sound that is off by more than this is moved: silence is put in, or what overlaps is left out
SEEK_FROM_S = 10.0
NO_SPAN = (None, None)


class Sound:
    """The sound streams of a recording. span: seconds on the recording's clock that are wanted, None: no limit.

    shift: seconds that are subtracted from all times.
    """

    def __init__(self, recording: Recording, film: OutputContainer, span: tuple[Fraction | None, Fraction | None] = NO_SPAN,
                 shift: Fraction = Fraction(0)) -> None:
        self.source = open_container(recording.path)
        streams = [stream for stream in self.source.streams.audio if usable_sound(stream)]
        ways = {stream.index: (_Copy if stream.codec_context.codec.canonical_name in COPIED else Encoding)(stream, film, shift)
                for stream in streams}
        self._packets = self._listed(streams, ways, span, recording.seekable) if streams else iter(())
        self._next: Packet | None = None

    def until(self, time: float) -> Iterator[Packet]:
        """The packets that come before `time`, seconds on the recording's clock; inf: all that are left."""
        while True:
            item = self._next or next(self._packets, None)
            if item is None or item[0] > time:
                self._next = item
                return
            self._next = None
            yield from item[1]

    def close(self) -> None:
        """Close the recording."""
        self.source.close()

    def _listed(self, streams: list[AudioStream], ways: dict, span: tuple, seekable: bool) -> Iterator[tuple[float, list]]:
        """Time of each packet of the recording, and the film's packets that come of it."""
        leave_out_others(self.source, *streams)
        start, end = span
        if start is not None and start > SEEK_FROM_S and seekable:
            self.source.seek(int((start - 1) * av.time_base), backward=True)
        time = 0.0
        for packet in read_packets(self.source, *streams):
            if packet.pts is not None:
                begin = packet.pts * packet.time_base
                if start is not None and begin < start or end is not None and begin >= end:
                    continue
                time = float(begin)
            yield time, ways[packet.stream_index].film_packets(packet)
        yield time, [one for way in ways.values() for one in way.rest()]


def usable_sound(stream: AudioStream) -> bool:
    """Whether a stream can be decoded."""
    context = stream.codec_context
    return context is not None and context.sample_rate > 0 and context.channels > 0


class _Copy:
    """Hands packets on as they are."""

    def __init__(self, stream: AudioStream, film: OutputContainer, shift: Fraction) -> None:
        self.target = film.add_stream_from_template(stream)
        self.shift = round(shift / stream.time_base)

    def film_packets(self, packet: Packet) -> list[Packet]:
        if packet.dts is None and packet.pts is None:
            return []
        packet.pts = packet.pts if packet.pts is None else packet.pts - self.shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - self.shift
        packet.stream = self.target
        return [packet]

    def rest(self) -> list[Packet]:
        return []


class Encoding:
    """Decodes and encodes as AAC. Samples are counted, so that sound stays where it was after a gap."""

    def __init__(self, stream: AudioStream, film: OutputContainer, shift: Fraction) -> None:
        context = stream.codec_context
        self.context, self.shift, self.next = context, shift, None
        self.rate = context.sample_rate if context.sample_rate in AAC_RATES else 48000
        layout = LAYOUTS.get(context.channels, "stereo")
        self.target = film.add_stream("aac", rate=self.rate, layout=layout)
        self.target.time_base = Fraction(1, self.rate)
        self.resampler = av.AudioResampler("fltp", layout, self.rate)

    def go_on(self, stream: AudioStream, shift: Fraction) -> None:
        """Go on with the sound of another file, on the same clock."""
        self.context, self.shift = stream.codec_context, shift
        self.resampler = av.AudioResampler("fltp", self.resampler.layout, self.rate)

    def film_packets(self, packet: Packet | None) -> list[Packet]:
        try:
            frames = self.context.decode(packet)
        except av.FFmpegError:
            return []  # the gap is filled with silence
        return [one for frame in frames for one in self._encoded(frame)]

    def rest(self) -> list[Packet]:
        return [*self.film_packets(None), *self.target.encode(None)]

    def _encoded(self, frame: AudioFrame) -> Iterator[Packet]:
        at = None if frame.pts is None else round((frame.pts * frame.time_base - self.shift) * self.rate)
        if self.next is None:
            self.next = at or 0
        apart = 0 if at is None else at - self.next
        if apart < -TOLERANCE_S * self.rate:
            return
        while apart > TOLERANCE_S * self.rate:
            part = self._silence(min(apart, self.rate))
            apart -= part.samples
            yield from self._put(part)
        frame.pts = None
        for part in self.resampler.resample(frame):
            yield from self._put(part)

    def _silence(self, samples: int) -> AudioFrame:
        layout = self.target.codec_context.layout
        frame = AudioFrame.from_ndarray(np.zeros((len(layout.channels), samples), np.float32), "fltp", layout.name)
        frame.rate = self.rate
        return frame

    def _put(self, frame: AudioFrame) -> list[Packet]:
        frame.pts, frame.time_base = self.next, Fraction(1, self.rate)
        self.next += frame.samples
        return self.target.encode(frame)
