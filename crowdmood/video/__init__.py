"""Recordings: their facts, which frames to look at, and the decoders that give those frames.

    recording = probe("concert.mp4")
    for batch in decode(recording, select(recording, Sampling(fps=5))):
        batch.images, batch.time
"""

from crowdmood.video.ahead import read_ahead
from crowdmood.video.frames import DecodeCount, FrameBatch
from crowdmood.video.isolation import get_ready
from crowdmood.video.joined import Joined, join, joined_digest
from crowdmood.video.photos import PhotoFacts, look_at_photo, read_photo
from crowdmood.video.reading import DECODERS, FROM_THE_START, decode, probe
from crowdmood.video.recording import PacketTable, Recording
from crowdmood.video.sampling import Sampling, select

__all__ = [
    "DECODERS",
    "FROM_THE_START",
    "DecodeCount",
    "FrameBatch",
    "Joined",
    "PacketTable",
    "PhotoFacts",
    "Recording",
    "Sampling",
    "decode",
    "get_ready",
    "join",
    "joined_digest",
    "look_at_photo",
    "probe",
    "read_ahead",
    "read_photo",
    "select",
]
