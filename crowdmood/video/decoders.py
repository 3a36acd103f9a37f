"""The decoders by name, behind one function."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crowdmood.errors import VideoError
from crowdmood.video import decord_reader, pyav_reader
from crowdmood.video.frames import DecodeCount, FrameBatch
from crowdmood.video.recording import Recording

DECODERS = {"av": pyav_reader.read, "decord": decord_reader.read}
"""Each takes (recording, wanted, batch, count) and gives FrameBatches."""
FROM_THE_START = ("decord",)
"""Decoders that read from the start at each call: call them once for all wanted frames, not chunk by chunk."""


def decode(
    recording: Recording,
    wanted: np.ndarray,
    *,
    decoder: str = "av",
    batch: int = 8,
    count: DecodeCount | None = None,
) -> Iterator[FrameBatch]:
    """Decode the wanted frames, ``batch`` of them at a time: the same pixels however they are shared out.

    ``wanted`` holds increasing frame numbers (a share of ``select()``). A frame that cannot be decoded is
    left out and counted in ``count.missing``. Raises VideoError: for an unknown decoder or numbers out of
    range at once; where the file cannot be read any more, or the decoder is not made for it, on the way.
    """
    if decoder not in DECODERS:
        raise VideoError(f"unknown decoder '{decoder}'; known: {', '.join(DECODERS)}")
    wanted = np.asarray(wanted, dtype=np.int64)
    if len(wanted) and (wanted[0] < 0 or wanted[-1] >= len(recording) or (np.diff(wanted) <= 0).any()):
        name, last = recording.path.name, len(recording) - 1
        raise VideoError(f"{name}: the wanted frame numbers must increase within 0..{last}")
    if batch < 1:
        raise VideoError(f"a batch holds at least one frame, not {batch}")
    return DECODERS[decoder](recording, wanted, batch, count if count is not None else DecodeCount())
