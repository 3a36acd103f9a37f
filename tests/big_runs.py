"""Large invented runs, quickly made: a seated crowd that comes and goes, with moods they share and moments planted.

    python -m tests.big_runs RESULTS [PERSONS] [SECONDS]     writes one and prints what it took
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from crowdmood import tables
from crowdmood.labels import EXPRESSIONS
from crowdmood.persons import Links
from tests.made_runs import STARTED, run_row

BIG = "b16b16b16b16"
CHUNK_S = 600
USUAL = np.array([-1.2, -2.2, -1.6, 0.3, 0.0, -1.0, 1.6])  # logits of EXPRESSIONS in a calm hall
HAPPY, SURPRISE = EXPRESSIONS.index("happy"), EXPRESSIONS.index("surprise")


def make_big_run(results: Path, persons: int = 200, seconds: float = 7200, fps: float = 5, seed: int = 0,
                 run: str = BIG, moving: bool = False, **row) -> np.ndarray:
    """Write a complete run of `persons` over `seconds`; the times (s) of the planted moments, in order.

    Everyone has a level of their own, follows a common wave, and in each moment most of those present smile for 4 s.
    Faces come and go in spells of minutes, one in five is not usable. moving: boxes that tremble and
    sizes that differ, as real ones do. row: other columns of the run's row.
    """
    rng = np.random.default_rng(seed)
    moments = np.sort(rng.uniform(0.05, 0.95, max(1, round(seconds / 600))) * seconds)
    times = np.arange(round(seconds * fps)) / fps
    level = rng.normal(0, 0.7, (persons, len(EXPRESSIONS)))
    start, stay = rng.uniform(0, 400, persons), rng.uniform(60, 500, persons)
    joins = rng.random((len(moments), persons)) < 0.7
    chunks = max(1, round(seconds / CHUNK_S))
    tables.write_run(results, run_row(run, recording="big.mp4", duration_s=float(seconds), chunks=chunks, width=1920,
                                      height=1080, sample_fps=fps) | row)
    person = []
    for chunk, frames in enumerate(np.array_split(np.arange(len(times)), chunks)):
        present = (times[frames, None] + start) % (stay * 1.5) < stay
        frame, who = np.nonzero(present)
        logits = _logits(rng, times[frames], moments, joins)[frame, who] + level[who]
        faces = _faces(rng, frames[frame], who, logits, fps)
        if moving:
            faces |= _moved(rng, faces)
        tables.write_part(results, run, chunk, tables.part_table("frames", run, _frames(frames, frame, faces, fps)),
                          tables.part_table("faces", run, faces))
        person.append(who + 1)
    who = np.concatenate(person).astype(np.int32)
    tables.complete(results, run, Links(who, who, np.zeros(len(times), bool)), finished=STARTED, seconds=1.0)
    return moments


def _logits(rng: np.random.Generator, times: np.ndarray, moments: np.ndarray, joins: np.ndarray) -> np.ndarray:
    """What everyone would show, (frames, persons, 7): the usual, a common wave, noise, and the planted moments."""
    persons = joins.shape[1]
    logits = USUAL + rng.normal(0, 0.6, (len(times), persons, len(EXPRESSIONS)))
    logits[..., HAPPY] += 0.9 * np.sin(times / 47)[:, None] + 0.6 * np.sin(times / 611)[:, None]
    for moment, who in zip(moments, joins, strict=True):
        near = np.exp(-(((times - moment) / 2) ** 2))
        logits[..., HAPPY] += 4 * near[:, None] * who
    return logits


def _faces(rng: np.random.Generator, frame: np.ndarray, who: np.ndarray, logits: np.ndarray, fps: float
           ) -> dict[str, np.ndarray]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    share = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    rows, best = len(frame), share.argmax(axis=1)
    left, top = 60 + (who % 20) * 90.0, 80 + (who // 20) * 90.0
    usable = rng.random(rows) > 0.2
    first = np.concatenate([[0], np.flatnonzero(np.diff(frame)) + 1])
    number = np.arange(rows) - np.repeat(first, np.diff(np.append(first, rows)))
    return {
        "frame": frame * 6, "pts": frame * 3072, "time_s": frame / fps, "face": number, "x1": left, "y1": top,
        "x2": left + 44, "y2": top + 52, "score": rng.uniform(0.4, 1, rows), "size_px": np.full(rows, 47.8),
        "sharpness": rng.random(rows), "usable": usable, **dict(zip(EXPRESSIONS, share.T, strict=True)),
        "expression": np.where(usable, np.array(EXPRESSIONS)[best], "uncertain"), "confidence": share.max(axis=1),
        "valence": share[:, HAPPY] - share[:, [0, 1, 2, 4]].sum(axis=1)}


def _moved(rng: np.random.Generator, faces: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    edges = {side: faces[side] + rng.normal(0, 2, len(faces[side])) for side in ("x1", "y1", "x2", "y2")}
    area = (edges["x2"] - edges["x1"]) * (edges["y2"] - edges["y1"])
    return edges | {"size_px": np.sqrt(np.maximum(area, 1)), "sharpness": rng.lognormal(3, 0.6, len(area))}


def _frames(numbers: np.ndarray, frame: np.ndarray, faces: dict[str, np.ndarray], fps: float) -> dict[str, np.ndarray]:
    return {"frame": numbers * 6, "pts": numbers * 3072, "time_s": numbers / fps,
            "faces": np.bincount(frame, minlength=len(numbers)),
            "usable_faces": np.bincount(frame[faces["usable"]], minlength=len(numbers)),
            "signature": np.full((len(numbers), 180), 100, np.uint8), "tiles": [b""] * len(numbers)}


if __name__ == "__main__":
    began = time.monotonic()
    planted = make_big_run(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
    print(f"{time.monotonic() - began:.1f} s; moments planted at", ", ".join(f"{at:.1f}" for at in planted), "s")
