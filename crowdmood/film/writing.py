"""A film file: pictures encoded as H.264 at the times they had, sound beside them."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from crowdmood.film.joined_sound import sound_of
from crowdmood.video import Recording

PRESET = "veryfast"
HD_HEIGHT = 577            # from here on colours are those of BT.709
FAR = 10                   # seconds: a recording whose clock begins later (a broadcast) begins at 0 in the film
LARGEST_TIMESCALE = 2**31 - 1
BT709, BT601 = 1, 6        # FFmpeg's numbers of primaries, transfer characteristic and matrix
MPEG_RANGE = 1


class FilmWriter:
    """Writes a film of a part of a recording. Use as a context manager.

    size: (width, height), even. numbers: int64, the frames it will hold. crf: H.264's quality, 0 (best) to 51.
    whole: whether that is all of the recording; else the film begins at 0.
    """

    def __init__(self, path: Path, recording: Recording, size: tuple[int, int], numbers: np.ndarray, crf: int) -> None:
        self.recording, self.size = recording, size
        self.ends = _ends(recording, numbers)
        start, end = (Fraction(int(ticks)) * recording.time_base for ticks in self.ends)
        whole = numbers[0] == 0, numbers[-1] == len(recording) - 1
        shifted = not whole[0] or start < 0 or start > FAR
        self.shift = int(self.ends[0]) if shifted else 0
        # Edit lists count in the film's time scale: only a common multiple says exactly when each stream begins.
        scale = lcm(recording.time_base.denominator, 48000, 44100)
        options = {"movflags": "+faststart", "movie_timescale": str(min(scale, LARGEST_TIMESCALE))}
        if scale > LARGEST_TIMESCALE:
            options["movie_timescale"] = str(recording.time_base.denominator)
        self.container = av.open(str(path), "w", format="mp4", options=options)
        self.video = self._video_stream(crf, end - start, len(numbers))
        span = None if whole[0] else start, None if whole[1] else end
        self.sound = sound_of(recording, self.container, span, self.shift * recording.time_base)
        self.reformatter = VideoReformatter()

    def _video_stream(self, crf: int, seconds: Fraction, frames: int) -> av.VideoStream:
        rate = Fraction(frames / seconds).limit_denominator(1001) if seconds else Fraction(25)
        stream = self.container.add_stream("libx264", rate=max(rate, Fraction(1, 1000)),
                                           options={"crf": str(crf), "preset": PRESET})
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self.recording.time_base
        context.thread_type = "FRAME"  # slices would cost quality
        stream.time_base = context.time_base
        hd = self.size[1] >= HD_HEIGHT
        self.colours = {"dst_colorspace": Colorspace.ITU709 if hd else Colorspace.ITU601}
        context.color_primaries = context.color_trc = context.colorspace = BT709 if hd else BT601
        context.color_range = MPEG_RANGE
        return stream

    def canvas(self) -> tuple[VideoFrame, np.ndarray]:
        """A frame to fill, and its pixels: uint8 (height, width, 3) RGB."""
        width, height = self.size
        frame = VideoFrame(width, height, "rgb24")
        plane = frame.planes[0]
        return frame, np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)[:, :3 * width].reshape(height, width, 3)

    def add(self, frame: VideoFrame, pts: int, duration: int) -> None:
        """Encode a frame that is shown from pts on, in the recording's time base."""
        stored = self.reformatter.reformat(frame, format="yuv420p", dst_color_range=ColorRange.MPEG, **self.colours)
        stored.pts, stored.time_base, stored.duration = pts - self.shift, self.recording.time_base, duration
        stored.pict_type = 0
        for packet in self.sound.until(float(pts * self.recording.time_base)):
            self.container.mux(packet)
        self.container.mux(self.video.encode(stored))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.container.mux(self.video.encode(None))
                for packet in self.sound.until(np.inf):
                    self.container.mux(packet)
        finally:
            self.sound.close()
            self.container.close()


def _ends(recording: Recording, numbers: np.ndarray) -> tuple[int, int]:
    """pts of the first of the frames, and of the end of the last one."""
    last = int(numbers[-1])
    end = recording.pts[last + 1] if last + 1 < len(recording) else recording.pts[last] + max(recording.last_ticks, 1)
    return int(recording.pts[numbers[0]]), int(end)
