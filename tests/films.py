"""Runs whose faces are invented, of recordings that are really there; and films read back."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from crowdmood import tables
from crowdmood.labels import EXPRESSIONS
from crowdmood.persons import Links
from crowdmood.results import Run
from crowdmood.video import probe
from tests.made_runs import STARTED, run_row


@dataclass(frozen=True)
class Face:
    """A face in one frame. track, person: -1 for none. box: x1 y1 x2 y2, pixels."""

    frame: int
    box: tuple[float, float, float, float]
    expression: str = "happy"
    track: int = 1
    person: int = 1


def made_run(results: Path, recording: Path, analyzed: list[int], faces: list[Face], cuts: tuple[int, ...] = (),
             **changes) -> Run:
    """Write a complete run of the recording, as if these frames had been analyzed and these faces found."""
    video = probe(recording)
    faces = sorted(faces, key=lambda face: (face.frame, face.box))
    row = run_row(recording=recording.name, path=str(recording), digest=video.digest, size_bytes=video.size_bytes,
                  chunks=1, duration_s=video.duration_s, time_base=str(video.time_base), **changes)
    tables.write_run(results, row)
    number = np.array(analyzed)
    count = [np.array([sum(face.frame == frame and (read or face.expression != "uncertain") for face in faces)
                       for frame in analyzed]) for read in (True, False)]
    frames = {"frame": number, "pts": video.pts[number], "time_s": video.time[number], "faces": count[0],
              "usable_faces": count[1], "signature": np.tile(np.arange(180, dtype=np.uint8), (len(number), 1)), "tiles": [b""] * len(number)}
    tables.write_part(results, row["run"], 0, tables.part_table("frames", row["run"], frames),
                      tables.part_table("faces", row["run"], _columns(video, faces)))
    links = Links(np.array([face.track for face in faces], np.int32), np.array([face.person for face in faces], np.int32),
                  np.isin(number, cuts))
    tables.complete(results, row["run"], links, finished=STARTED, seconds=1.0)
    return Run(row["run"], results)


def _columns(video, faces: list[Face]) -> dict[str, np.ndarray]:
    frame = np.array([face.frame for face in faces], np.int64)
    box = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
    usable = np.array([face.expression != "uncertain" for face in faces], bool)
    names = np.array([face.expression for face in faces], object)
    chance = np.array([[0.88 if name == face.expression else 0.02 for name in EXPRESSIONS] for face in faces]).reshape(-1, 7)
    within = np.concatenate([np.arange(n) for n in np.unique(frame, return_counts=True)[1]] or [np.zeros(0)])
    return {
        "frame": frame, "pts": video.pts[frame], "time_s": video.time[frame], "face": within.astype(np.int16),
        **dict(zip(("x1", "y1", "x2", "y2"), box.T, strict=True)), "score": np.full(len(faces), 0.9),
        "size_px": np.sqrt((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])), "sharpness": np.ones(len(faces)),
        "usable": usable, **dict(zip(EXPRESSIONS, chance.T, strict=True)), "expression": names,
        "confidence": chance.max(axis=1, initial=0.0), "valence": chance[:, 3],
    }


@dataclass(frozen=True)
class Film:
    """What a film holds: times of its frames in seconds, exact; its pictures, uint8 (n, h, w, 3); kinds of its streams."""

    times: list[Fraction]
    images: np.ndarray
    streams: list[tuple[str, str]]


def read_film(path: Path) -> Film:
    """Decode a film with PyAV alone."""
    with av.open(str(path)) as container:
        streams = [(stream.type, stream.codec_context.name) for stream in container.streams]
        times, images = [], []
        for frame in container.decode(video=0):
            times.append(frame.pts * frame.time_base)
            images.append(frame.to_ndarray(format="rgb24"))
    return Film(times, np.stack(images), streams)


def sound_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time and content of every packet of a file's first sound stream."""
    with av.open(str(path)) as container:
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(audio=0) if packet.size]


def click_times(path: Path) -> list[float]:
    """Seconds at which a file's sound is loud, each time once: where it rises after a tenth of a second of quiet."""
    times = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray().astype(np.float64)).reshape(-1, frame.samples).max(axis=0)
            scale = {"s16": 32768.0, "s16p": 32768.0, "s32": 2.0**31}.get(frame.format.name, 1.0)
            times += (float(frame.pts * frame.time_base) + np.flatnonzero(loud > 0.3 * scale) / frame.sample_rate).tolist()
    return [time for before, time in zip([-1.0, *times], times, strict=False) if time - before > 0.1]


def add_sound(film: Path, target: Path, codec: str, clicks: tuple[float, ...], seconds: float = 2.0, start: float = 0.0) -> Path:
    """Copy a film's video and put clicks beside it: tone of 20 ms at these seconds, silence else."""
    rate = 48000
    samples = np.zeros(round(seconds * rate), np.float32)
    for click in clicks:
        at = round((click - start) * rate)
        samples[at:at + rate // 50] = 0.8 * np.sin(np.arange(rate // 50) * 2 * np.pi * 2000 / rate)
    with av.open(str(film)) as source, av.open(str(target), "w") as container:
        video = container.add_stream_from_template(source.streams.video[0])
        sound = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(start * rate)
        resampler = av.AudioResampler(sound.codec_context.format, "mono", rate)
        packets = [packet for part in resampler.resample(frame) for packet in sound.encode(part)] + sound.encode(None)
        for packet in packets:
            container.mux(packet)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                container.mux(packet)
    return target
