"""Crowds with a known structure, to prove that the measures measure it.

    python -m tests.planted          prints how often independent crowds are called synchronous, and planted ones found
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.signal import lfilter

from crowdmood import catalog, tables
from crowdmood.labels import EXPRESSIONS
from crowdmood.persons import Links
from crowdmood.sql_reports import find_report
from tests.made_runs import STARTED, run_row

OTHERS = [name for name in EXPRESSIONS if name not in ("happy", "neutral")]


def signals(rng: np.random.Generator, persons: int, steps: int, memory: float) -> np.ndarray:
    """Independent Gaussian curves of variance 1, (persons, steps). memory: steps after which a curve has mostly forgotten
    (a first-order autoregressive process); 0 for white noise.
    """
    keep = np.exp(-1 / memory) if memory else 0.0
    noise = rng.normal(size=(persons, steps))
    noise[:, 1:] *= np.sqrt(1 - keep**2)
    return lfilter([1.0], [1.0, -keep], noise, axis=1)


def together(rng: np.random.Generator, curves: np.ndarray, correlation: float, memory: float) -> np.ndarray:
    """The curves mixed with one common curve so that any two correlate by `correlation`, (persons, steps)."""
    common = signals(rng, 1, curves.shape[1], memory)
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * curves


def write_crowd(results: Path, run: str, curves: np.ndarray, fps: float, unread: float = 0.1) -> None:
    """A complete run in which everyone is in every frame. curves: how much each smiles, (persons, steps), any scale: 'happy' is
    its logistic function around 0.3, 'neutral' most of the rest. unread: share of faces that are not usable.
    """
    rng = np.random.default_rng(len(run) + curves.size)
    persons, steps = curves.shape
    happy = 1 / (1 + np.exp(0.85 - curves.T.ravel()))
    others = rng.dirichlet(np.ones(len(OTHERS)), happy.size) * 0.2 * (1 - happy)[:, None]
    shares = dict(zip(OTHERS, others.T, strict=True)) | {"happy": happy, "neutral": 0.8 * (1 - happy)}
    table = np.stack([shares[name] for name in EXPRESSIONS]).astype(np.float32)
    frame, face = np.repeat(np.arange(steps), persons), np.tile(np.arange(persons), steps)
    usable = rng.random(happy.size) >= unread
    count = np.full(steps, persons)
    left = face * 60.0
    faces = {
        "frame": frame, "pts": frame, "time_s": frame / fps, "face": face, "x1": left, "y1": left, "x2": left + 50,
        "y2": left + 50, "score": np.full(happy.size, 0.9), "size_px": np.full(happy.size, 50.0),
        "sharpness": np.full(happy.size, 0.5), "usable": usable, **dict(zip(EXPRESSIONS, table, strict=True)),
        "expression": np.where(usable, np.array(EXPRESSIONS)[table.argmax(axis=0)], "uncertain"),
        "confidence": table.max(axis=0), "valence": table[3] - table[[0, 1, 2, 4]].sum(axis=0)}
    frames = {"frame": np.arange(steps), "pts": np.arange(steps), "time_s": np.arange(steps) / fps, "faces": count,
              "usable_faces": usable.reshape(steps, persons).sum(axis=1), "signature": np.zeros((steps, 180), np.uint8), "tiles": [b""] * steps}
    tables.write_run(results, run_row(run, chunks=1, duration_s=steps / fps, sample_fps=fps))
    tables.write_part(results, run, 0, tables.part_table("frames", run, frames), tables.part_table("faces", run, faces))
    person = (face + 1).astype(np.int32)
    tables.complete(results, run, Links(person, person, np.zeros(steps, bool)), finished=STARTED, seconds=1.0)


def ask(results: Path, name: str, run: str | None = None, **values) -> list[dict]:
    """Rows of a report that ships."""
    report = find_report(name)
    return catalog.fetch(results, report.sql, run, report.values(values)).to_pylist()


def shares_found(report: str, persons: int, correlation: float, memory_s: float, hours: float = 6.25, fps: float = 5,
                 seed: int = 0) -> tuple[float, float, int]:
    """Share of 45 s windows called synchronous at p <= 0.05, and at q <= 0.05, and their number."""
    rng = np.random.default_rng(seed)
    steps = int(hours * 3600 * fps)
    curves = signals(rng, persons, steps, memory_s * fps)
    if correlation:
        curves = together(rng, curves, correlation, memory_s * fps)
    with TemporaryDirectory() as folder:
        write_crowd(Path(folder), "planted", curves, fps)
        return shares_called(Path(folder), report)


def shares_called(results: Path, report: str) -> tuple[float, float, int]:
    """The same of a run that is there."""
    rows = ask(results, report, step=45)
    return (float(np.mean([row["p"] <= 0.05 for row in rows])), float(np.mean([row["q"] <= 0.05 for row in rows])),
            len(rows))


if __name__ == "__main__":
    for report in ("synchrony", "smiles"):
        print(f"{report}: 45 s windows, 5 frames/s; share with p <= 0.05 | q <= 0.05 | windows")
        for persons in (5, 8, 20):
            for memory_s in (0, 1, 3, 10):
                at_p, at_q, windows = shares_found(report, persons, 0.0, memory_s)
                print(f"  {persons:2} independent persons, memory {memory_s:2} s: {at_p:6.2%} | {at_q:6.2%} | {windows}")
        for memory_s in (0, 1, 3, 10):
            at_p, at_q, windows = shares_found(report, 20, 0.2, memory_s, hours=2)
            print(f"  20 persons with r = 0.2,  memory {memory_s:2} s: {at_p:6.2%} | {at_q:6.2%} | {windows}")
