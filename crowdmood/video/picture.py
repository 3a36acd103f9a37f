"""From a decoded frame to the picture that a player shows: 8-bit RGB, square pixels, upright."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, ColorTrc, VideoReformatter

from crowdmood.video.recording import Recording

UNSPECIFIED = 2
"""FFmpeg's number for a colour matrix that the file does not name."""
REFERENCE_WHITE = 203.0
"""Candela per square metre of white paper in an HDR picture (ITU-R BT.2408)."""


def _pq_to_screen() -> np.ndarray:
    """uint8 (256,): from a PQ code value (SMPTE ST 2084) to one for a screen of gamma 2.4.

    Up to half of reference white the light is kept, above that it is compressed smoothly. FFmpeg's own
    mapping took 450 ms per 720p frame here, a table takes 3.
    """
    code = np.linspace(0.0, 1.0, 256) ** (32 / 2523)
    light = 10_000 * (np.maximum(code - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * code)) ** (8192 / 1305)
    white = light / REFERENCE_WHITE
    mapped = np.where(white <= 0.5, white, 0.5 + 0.5 * np.tanh(2 * white - 1))
    return np.round(255 * mapped ** (1 / 2.4)).astype(np.uint8)


PQ_TO_SCREEN = _pq_to_screen()


def painter(recording: Recording) -> Callable[[VideoFrame, np.ndarray], None]:
    """Return a function that paints a decoded frame of ``recording`` into an array.

    The array is uint8 (recording.height, recording.width, 3). Frames of another size (a stream may change it
    on the way) are scaled to the recording's. PQ pictures are mapped to the range of an ordinary screen, HLG
    ones are made to be shown there as they are; wide gamuts are not converted, which pales strong colours a
    little.
    """
    reformatter = VideoReformatter()
    turns = recording.rotation // 90
    width, height = recording.width, recording.height
    if turns % 2:
        width, height = height, width

    def paint(frame: VideoFrame, target: np.ndarray) -> None:
        rgb = reformatter.reformat(frame, width, height, "rgb24", **_colours(frame))
        plane = rgb.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
        picture = rows[:, :width * 3].reshape(height, width, 3)
        upright = np.rot90(picture, -turns)  # a view; np.rot90 turns counter-clockwise
        if frame.color_trc == ColorTrc.SMPTE2084:
            np.take(PQ_TO_SCREEN, upright, out=target)
        else:
            np.copyto(target, upright)

    return paint


def _colours(frame: VideoFrame) -> dict[str, int]:
    colours = {"dst_color_range": ColorRange.JPEG}
    if frame.colorspace == UNSPECIFIED and (frame.width >= 1280 or frame.height > 576):
        colours["src_colorspace"] = Colorspace.ITU709  # what players take a nameless HD picture for
    return colours
