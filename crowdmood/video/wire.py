"""What the parent and the process that decodes say to each other: JSON and arrays of numbers, nothing that runs.

A message is two lengths, a line of JSON (kind, facts, and the names, types and lengths of the arrays) and the arrays.
What comes from a decoder may be forged by the file that it reads; so it is read as plain data and checked.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from crowdmood.video.recording import LARGEST_PICTURE, PacketTable, Recording

LENGTHS = struct.Struct("<IQ")
LONGEST = 1 << 32  # bytes of a message; the frame table of a month of video takes half of it
TYPES = ("<i8", "|b1")
OWN = {"pts": "<i8", "keyframe": "|b1", "packet": "<i8"}
OF_PACKETS = {"pts": "<i8", "dts": "<i8", "keyframe": "|b1", "shown": "|b1", "duration": "<i8"}
PLAIN = ("digest", "size_bytes", "container", "codec", "pixel_format", "stream", "width", "height", "rotation",
         "frames_promised", "last_ticks", "seekable", "pts_trusted")


@dataclass(frozen=True, eq=False)
class Message:
    """What is said. arrays: int64 or bool, one-dimensional."""

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def packed(message: Message) -> bytes:
    """The bytes of a message."""
    arrays = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
    listed = [[name, array.dtype.str, len(array)] for name, array in arrays.items()]
    line = json.dumps([message.kind, message.facts, listed]).encode()
    body = b"".join(array.tobytes() for array in arrays.values())
    return LENGTHS.pack(len(line), len(body)) + line + body


def lengths(head: bytes) -> tuple[int, int]:
    """Of the line and of the arrays, in bytes. Raises ValueError where they are absurd."""
    line, body = LENGTHS.unpack(head)
    if line + body > LONGEST:
        raise ValueError(f"a message of {line + body} bytes")
    return line, body


def unpacked(line: bytes, body: bytes | bytearray) -> Message:
    """The message of a line and its arrays. Raises ValueError where they do not fit together."""
    kind, facts, listed = json.loads(line)
    arrays, at = {}, 0
    for name, dtype, length in listed:
        if dtype not in TYPES:
            raise ValueError(f"an array of {dtype}")
        arrays[name] = np.frombuffer(body, dtype, length, at) if length else np.zeros(0, dtype)
        at += arrays[name].nbytes
    return Message(kind, facts, arrays)


def pack_recording(kind: str, recording: Recording) -> Message:
    """A recording as a message."""
    facts = {name: getattr(recording, name) for name in PLAIN}
    facts |= {"path": str(recording.path.absolute()), "streams": recording.streams,
              "time_base": [recording.time_base.numerator, recording.time_base.denominator]}
    arrays = {name: getattr(recording, name) for name in OWN}
    return Message(kind, facts, arrays | {f"packets.{name}": getattr(recording.packets, name) for name in OF_PACKETS})


def unpack_recording(message: Message) -> Recording:
    """The recording of a message. Raises ValueError or KeyError where it cannot be one."""
    facts, arrays = message.facts, message.arrays
    packets = PacketTable(**{name: arrays[f"packets.{name}"] for name in OF_PACKETS})
    recording = Recording(
        path=Path(facts["path"]), streams=tuple(map(str, facts["streams"])), time_base=Fraction(*facts["time_base"]),
        packets=packets, **{name: facts[name] for name in PLAIN}, **{name: arrays[name] for name in OWN},
    )
    if not _possible(recording):
        raise ValueError("a recording that cannot be")
    return recording


def _possible(recording: Recording) -> bool:
    packets, count = recording.packets, len(recording)
    alike = all(getattr(recording, name).dtype == kind and len(getattr(recording, name)) == count
                for name, kind in OWN.items())
    alike &= all(getattr(packets, name).dtype == kind and len(getattr(packets, name)) == len(packets)
                 for name, kind in OF_PACKETS.items())
    return (
        alike
        and count > 0
        and bool((recording.pts[1:] > recording.pts[:-1]).all())
        and 0 <= int(recording.packet.min()) <= int(recording.packet.max()) < len(packets)
        and 0 < recording.width * recording.height <= LARGEST_PICTURE
        and min(recording.width, recording.height, recording.time_base) > 0
        and recording.rotation in (0, 90, 180, 270)
    )
