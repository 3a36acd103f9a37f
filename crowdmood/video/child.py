"""The process that looks at files and decodes them, so that a hostile or broken one takes down nothing else.

It answers one request after the other: 'probe' a file, remember a 'recording', map a 'ring' of memory that both
processes see, 'decode' frames into it; 'look' at a photo, paint a 'photo' into that memory. The parent names the slots
to paint into, more of them by 'slot' on the way; what it names when all is done is of no use any more.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crowdmood.errors import VideoError
from crowdmood.video.confinement import allow_more_memory, confine
from crowdmood.video.frames import DecodeCount
from crowdmood.video.pulse import pulse
from crowdmood.video.recording import Recording
from crowdmood.video.wire import (
    LENGTHS,
    Message,
    lengths,
    pack_recording,
    packed,
    unpack_recording,
    unpacked,
)

LIFELINE = 0  # stdin


def main(channel: int) -> None:
    """Answer requests until the parent closes the channel."""
    confine(LIFELINE)
    with socket.socket(fileno=channel) as parent:
        service = Service(parent)
        pulse.tell = lambda: service.say("beat")
        while (request := service.hear()) is not None:
            service.answer(request)


class Service:
    """Requests and answers. recording: the one that was probed or told last; ring: the memory to paint into."""

    def __init__(self, parent: socket.socket) -> None:
        self.parent = parent
        self.recording: Recording | None = None
        self.ring: mmap.mmap | None = None
        self._descriptors: list[int] = []

    def say(self, kind: str, **facts: object) -> None:
        self.parent.sendall(packed(Message(kind, facts)))

    def hear(self) -> Message | None:
        """The next request; None when there will be none."""
        head = self._bytes(LENGTHS.size)
        if not head:
            return None
        line, body = lengths(head)
        return unpacked(self._bytes(line), self._bytes(body))

    def _bytes(self, length: int) -> bytearray:
        content = bytearray(length)
        left = memoryview(content)
        while left:
            got, descriptors, _, _ = socket.recv_fds(self.parent, len(left), 1)
            self._descriptors += descriptors
            if not got:
                return bytearray()
            left[:len(got)] = got
            left = left[len(got):]
        return content

    def answer(self, request: Message) -> None:
        try:
            if request.kind == "probe":
                self._probe(**request.facts)
            elif request.kind == "recording":
                self.recording = unpack_recording(request)
            elif request.kind == "ring":
                self._map(**request.facts)
            elif request.kind == "look":
                self._look(**request.facts)
            elif request.kind == "photo":
                self._photo(**request.facts)
            elif request.kind == "decode":
                self._decode(wanted=request.arrays["wanted"], **request.facts)
        except VideoError as error:
            self.say("error", text=str(error))
        except Exception as error:  # noqa: BLE001 what a library or we did not foresee in a file
            if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
                return self.say("memory")
            self.say("bug", text=f"{type(error).__name__}: {error}"[:200], trace=traceback.format_exc())

    def _probe(self, path: str) -> None:
        from crowdmood.video.probing import look_at

        self.recording = look_at(path)
        self.parent.sendall(packed(pack_recording("recording", self.recording)))

    def _look(self, path: str) -> None:
        from crowdmood.video.photo_reader import look

        self.say("facts", **look(Path(path)))

    def _photo(self, path: str, page: int, at: int) -> None:
        from crowdmood.allocator import reuse_memory
        from crowdmood.video.photo_reader import picture

        reuse_memory()
        image = picture(Path(path), page)
        np.frombuffer(self.ring, np.uint8, image.size, at).reshape(image.shape)[:] = image
        self.say("picture", width=image.shape[1], height=image.shape[0])

    def _map(self, size: int) -> None:
        self.ring = None
        allow_more_memory(size)
        descriptor = self._descriptors.pop()
        self.ring = mmap.mmap(descriptor, size)
        os.close(descriptor)

    def _decode(self, wanted: np.ndarray, decoder: str, batch: int, slots: list[int]) -> None:
        """Paint batches into the slots that the parent names, at the beginning and each time when it has taken one."""
        count = DecodeCount()
        shape = batch, self.recording.height, self.recording.width, 3
        images, numbers = None, []
        for number, paint in _pictures(self.recording, wanted, decoder, count):
            if images is None:
                slot = slots.pop(0) if slots else self.hear().facts["slot"]
                images = np.frombuffer(self.ring, np.uint8, int(np.prod(shape)), slot * int(np.prod(shape))).reshape(shape)
            paint(images[len(numbers)])
            numbers.append(number)
            if len(numbers) == batch:
                self._painted(slot, numbers)
                images, numbers = None, []
        if numbers:
            self._painted(slot, numbers)
        self.say("done", damaged_packets=count.damaged_packets, missing=count.missing)

    def _painted(self, slot: int, numbers: list[int]) -> None:
        self.parent.sendall(packed(Message("batch", {"slot": slot}, {"numbers": np.array(numbers, np.int64)})))


def _pictures(recording: Recording, wanted: np.ndarray, decoder: str, count: DecodeCount) -> Iterator[tuple]:
    """Frame numbers, and for each what paints it into a slot."""
    if decoder == "decord":
        from crowdmood.video import decord_reader

        return decord_reader.read(recording, wanted)
    from crowdmood.video import pyav_reader

    return pyav_reader.read(recording, wanted, count)
