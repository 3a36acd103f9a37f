"""The sound of a recording that is joined of several: one stream, encoded anew, with silence where nothing was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from crowdmood.film.sound import NO_SPAN, Encoding, Sound, usable_sound
from crowdmood.video import Joined, Recording
from crowdmood.video.opening import open_container
from crowdmood.video.packets import leave_out_others, read_packets

SEEK_FROM_S = 10.0


def sound_of(recording: Recording, film: OutputContainer, span: tuple[Fraction | None, Fraction | None] = NO_SPAN,
             shift: Fraction = Fraction(0)) -> Sound | JoinedSound:
    """The sound streams of a recording, on their way into a film; see `Sound`."""
    return (JoinedSound if isinstance(recording, Joined) else Sound)(recording, film, span, shift)


class JoinedSound:
    """The first sound stream of each part. Span and shift as for `Sound`, on the clock of all parts."""

    def __init__(self, recording: Joined, film: OutputContainer, span: tuple[Fraction | None, Fraction | None],
                 shift: Fraction) -> None:
        self.recording, self.span, self.shift = recording, span, shift
        self.film, self.encoding = film, None
        self.source: InputContainer | None = None
        self._packets = self._listed()
        self._next = next(self._packets, None)  # before the film's first packet: its streams must be known then

    def until(self, time: float) -> Iterator[Packet]:
        """The packets that come before `time`, seconds on the recording's clock; inf: all that are left."""
        while self._next is not None and self._next[0] <= time:
            yield from self._next[1]
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Close the part that is open."""
        self._packets.close()
        if self.source:
            self.source.close()

    def _listed(self) -> Iterator[tuple[float, list[Packet]]]:
        """Time of each packet of the recording, and the film's packets that come of it."""
        start, end = self.span
        time = 0.0
        for part, first in zip(self.recording.parts, self.recording.first.tolist(), strict=True):
            later = int(self.recording.pts[first]) * self.recording.time_base - int(part.pts[0]) * part.time_base
            part_end = later + (int(part.pts[0]) + part.shown_ticks) * part.time_base
            if start is not None and part_end <= start or end is not None and int(part.pts[0]) * part.time_base + later >= end:
                continue
            for begin, packet in self._part(part, None if start is None else start - later, later):
                if (start is None or begin >= start) and (end is None or begin < end) and begin < part_end:
                    time = float(begin)
                    yield time, self.encoding.film_packets(packet)
        if self.encoding:
            yield time, self.encoding.rest()

    def _part(self, part: Recording, start: Fraction | None, later: Fraction) -> Iterator[tuple[Fraction, Packet]]:
        """When each sound packet of a part is heard, on the clock of all parts, and the packet."""
        if self.source:
            self.source.close()
        self.source = open_container(part.path)
        stream = next((one for one in self.source.streams.audio if usable_sound(one)), None)
        if stream is None:
            return
        self._go_on(stream, later)
        leave_out_others(self.source, stream)
        if start is not None and start > SEEK_FROM_S and part.seekable:
            self.source.seek(int((start - 1) * av.time_base), backward=True)
        for packet in read_packets(self.source, stream):
            if packet.pts is not None:
                yield packet.pts * packet.time_base + later, packet

    def _go_on(self, stream: AudioStream, later: Fraction) -> None:
        if self.encoding is None:
            self.encoding = Encoding(stream, self.film, self.shift - later)
        else:
            self.encoding.go_on(stream, self.shift - later)
