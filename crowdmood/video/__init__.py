"""Recordings: their facts, which frames to look at, and the decoders that give those frames.

    recording = probe("concert.mp4")
    for batch in decode(recording, select(recording, Sampling(fps=5))):
        batch.images, batch.time
"""

from crowdmood.video.ahead import read_ahead
from crowdmood.video.frames import DecodeCount, FrameBatch
from crowdmood.video.isolation import get_ready
from crowdmood.video.reading import DECODERS, FROM_THE_START, decode, probe
from crowdmood.video.recording import PacketTable, Recording
from crowdmood.video.sampling import Sampling, select

__all__ = [
    "DECODERS",
    "FROM_THE_START",
    "DecodeCount",
    "FrameBatch",
    "PacketTable",
    "Recording",
    "Sampling",
    "decode",
    "get_ready",
    "probe",
    "read_ahead",
    "select",
]
