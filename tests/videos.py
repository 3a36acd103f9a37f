"""Small recordings made at run time.

Each frame shows its number as blocks, so that a test can read from the pixels which frame it was given, and
whether it is upright.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

BLOCKS = 4
MARKED = ((0, 0), (0, 3), (3, 0), (3, 3))
"""Row and column of the corners: white, black, black, black."""
FREE = [(row, column) for row in range(BLOCKS) for column in range(BLOCKS) if (row, column) not in MARKED]


def draw(number: int, width: int = 128, height: int = 96) -> np.ndarray:
    """A picture uint8 (height, width, 3) that shows ``number`` (0..4095) as 12 black or white blocks."""
    grid = np.full((BLOCKS, BLOCKS), 24, np.uint8)
    grid[0, 0] = 232
    for bit, (row, column) in enumerate(FREE):
        grid[row, column] = 232 if number >> bit & 1 else 24
    rows = np.arange(height) * BLOCKS // height
    columns = np.arange(width) * BLOCKS // width
    return np.repeat(grid[rows][:, columns, None], 3, axis=2)


def read(image: np.ndarray) -> int:
    """The number that a picture shows; -1 where it is not upright or not readable."""
    height, width = image.shape[:2]

    def lit(row: int, column: int) -> bool | None:
        y, x = (2 * row + 1) * height // (2 * BLOCKS), (2 * column + 1) * width // (2 * BLOCKS)
        level = float(image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].mean())
        return level > 128 if abs(level - 128) > 40 else None

    if [lit(*place) for place in MARKED] != [True, False, False, False]:
        return -1
    bits = [lit(*place) for place in FREE]
    return -1 if None in bits else sum(bit << k for k, bit in enumerate(bits))


@dataclass
class Clip:
    """How to write a recording; the defaults give 48 frames of H.264 with B-frames, 24 per second."""

    codec: str = "libx264"
    numbers: Iterable[int] = range(48)
    size: tuple[int, int] = (128, 96)
    pixel_format: str = "yuv420p"
    rate: Fraction = Fraction(24)
    ticks: Sequence[int] | None = None
    """pts of the frames in ``time_base``; None: 0, 1, 2... at ``rate``."""
    time_base: Fraction | None = None
    options: dict[str, str] = field(default_factory=lambda: {"g": "12", "bf": "3"})
    container: dict[str, str] = field(default_factory=dict)
    """Options of the muxer."""
    rotation: float = 0
    """Counter-clockwise degrees of the display matrix; the stored picture is turned to show upright."""
    aspect: Fraction | None = None
    colours: tuple[int, int, int] | None = None
    """FFmpeg's numbers of primaries, transfer characteristic and matrix."""


def write(path: Path, *clips: Clip) -> Path:
    """Write one recording with a video stream per clip."""
    with av.open(str(path), "w", options=clips[0].container) as container:
        streams = [_add_stream(container, clip) for clip in clips]
        for clip, stream in zip(clips, streams, strict=True):
            for frame in _frames(clip, stream):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def _add_stream(container: av.container.OutputContainer, clip: Clip) -> av.VideoStream:
    stream = container.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options))
    stream.width, stream.height = clip.size
    stream.pix_fmt = clip.pixel_format
    context = stream.codec_context
    context.time_base = clip.time_base or 1 / clip.rate
    stream.time_base = context.time_base
    if clip.aspect:
        context.sample_aspect_ratio = clip.aspect
    if clip.colours:
        context.color_primaries, context.color_trc, context.colorspace = clip.colours
    if clip.rotation:
        stream.set_display_rotation(clip.rotation)
    return stream


def _frames(clip: Clip, stream: av.VideoStream) -> Iterable[av.VideoFrame]:
    width, height = clip.size
    turns = round(clip.rotation / 90)
    if turns % 2:
        width, height = height, width
    numbers = list(clip.numbers)
    for number, ticks in zip(numbers, clip.ticks or range(len(numbers)), strict=True):
        # A player turns the stored picture counter-clockwise, so it is stored turned the other way.
        stored = np.ascontiguousarray(np.rot90(draw(number, width, height), -turns))
        frame = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(format=stream.pix_fmt)
        frame.pts, frame.time_base = ticks, stream.codec_context.time_base
        yield frame


def with_cover(path: Path, clip: Clip) -> Path:
    """A recording with a large cover picture beside its video stream."""
    cover = Clip(codec="mjpeg", size=(640, 480), pixel_format="yuvj420p", numbers=[4000], options={})
    with av.open(str(path), "w") as container:
        streams = [(_add_stream(container, made), made) for made in (cover, clip)]
        streams[0][0].disposition = Disposition.attached_pic
        for stream, made in streams:
            for frame in _frames(made, stream):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    """Keep only the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def blank_media(path: Path, first: float, last: float = 1.0) -> Path:
    """Overwrite a part (shares of its length) of an MP4's media data with zeros; the index stays as it is."""
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") + 4
    length = struct.unpack(">I", content[at - 8 : at - 4])[0] - 8
    begin, end = at + int(length * first), at + int(length * last)
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    return path


def trim_by_edit_list(path: Path, begin_ticks: int, shown_ms: int) -> Path:
    """Make an MP4's edit list begin so many ticks of the media later, and show so many milliseconds."""
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 12
    _, media_time = struct.unpack(">Ii", content[at : at + 8])
    content[at : at + 8] = struct.pack(">Ii", shown_ms, media_time + begin_ticks)
    path.write_bytes(content)
    return path
