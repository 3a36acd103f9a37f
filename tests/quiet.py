"""Long recordings that are quickly made and quickly analyzed, for tests that kill and run again: small, slow, four cameras."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

import av

from crowdmood.demo import PHOTOGRAPHS, _photograph, gallery

SETTINGS = ["--sample-fps", "0.2", "--imgsz", "320", "--tiles", "off", "--device", "cpu"]
"""A chunk then has six frames: a fifth of a second of work."""


def write_quiet(path: Path, chunks: int, start: int = 0) -> Path:
    """Write ``chunks`` chunks of 30 s at a frame per second, 320 x 180; another start makes another recording."""
    photographs = {name: _photograph(*where) for name, where in PHOTOGRAPHS.items()}
    pictures = list(islice(gallery(photographs), start, start + 12))
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=1, options={"crf": "26", "preset": "veryfast", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for picture in islice(cycle(pictures), 30 * chunks):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(320, 180, "yuv420p")))
        container.mux(stream.encode())
    return path
