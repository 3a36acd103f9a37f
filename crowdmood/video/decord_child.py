"""A program that ``decord_reader`` runs: reads a recording with decord and writes its frames to stdout.

decord can loop for ever while it holds the interpreter, so it gets a process that can be ended. Request: one
line of JSON on stdin. Answer: messages of a kind (1 byte), a number (8 bytes) and a length (8 bytes), then
the content.
"""

from __future__ import annotations

import json
import os
import struct
import sys

HEADER = struct.Struct("<cqq")
FACTS, BEAT, FRAME, ERROR = b"S", b"B", b"F", b"E"
STRIDE = 32
"""Frames that are passed over between two signs of life."""


def main() -> None:
    """Answer the request on stdin."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decord prints; nothing of that may come between the frames
    request = json.loads(sys.stdin.readline())

    def tell(kind: bytes, number: int, content: bytes | memoryview = b"") -> None:
        answers.write(HEADER.pack(kind, number, len(content)))
        answers.write(content)
        answers.flush()

    try:
        _read(request["path"], request["wanted"], tell)
    except Exception as error:  # decord raises bare RuntimeErrors too; the parent makes a sentence of it
        text = str(error).strip() or type(error).__name__
        tell(ERROR, 0, text.splitlines()[0].encode())


def _read(path: str, wanted: list[int], tell) -> None:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(path, num_threads=1)  # with more it refuses packets of VP9
    times = reader.get_frame_timestamp(range(len(reader)))[:, 0]
    tell(FACTS, len(reader), times.astype("<f8").tobytes())
    asked = set(wanted)
    # Not reader.skip_frames: it jumps to keyframes, which gives wrong pictures in open groups.
    for number in range(wanted[-1] + 1):
        image = reader.next()
        if number in asked:
            pixels = image.asnumpy()
            tell(FRAME, number, struct.pack("<qq", *pixels.shape[:2]) + pixels.tobytes())
        elif number % STRIDE == 0:
            tell(BEAT, number)


if __name__ == "__main__":
    main()
