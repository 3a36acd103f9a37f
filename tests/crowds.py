"""Crowds drawn by chance, with the truth beside them: for the tests of linking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from crowdmood.persons import FaceRows, FrameRows

WIDTH, HEIGHT = 1920, 1080


@dataclass(frozen=True)
class Crowd:
    """What to draw: people, seconds, frames per second; speed in faces per second; shake in pixels per frame;
    miss: share of faces not detected; false: false detections per frame; uneven: frame times vary."""

    walkers: int = 15
    seated: int = 15
    seconds: float = 20.0
    fps: float = 5.0
    size: tuple[float, float] = (40.0, 90.0)
    speed: float = 1.5
    miss: float = 0.1
    false: float = 1.0
    shake: float = 0.0
    uneven: bool = False


def rows(table: list[tuple], times: np.ndarray) -> tuple[FaceRows, FrameRows]:
    """Make rows from (frame, x centre, y centre, size[, score]) and the frames' times; one scene."""
    full = [(*row, 0.9)[:5] for row in sorted(table, key=lambda row: row[0])]
    values = np.array(full, np.float64).reshape(-1, 5)
    frame, half = values[:, 0].astype(np.int64), values[:, 3] / 2
    centre = values[:, 1:3]
    box = np.hstack([centre - half[:, None], centre + half[:, None]]).astype(np.float32)
    signature = np.full((len(times), 180), 100, np.uint8)
    frames = FrameRows(np.arange(len(times)), np.asarray(times, float), signature)
    return FaceRows(frame, frames.time[frame], box, values[:, 4].astype(np.float32)), frames


def drawn(crowd: Crowd, seed: int) -> tuple[FaceRows, FrameRows, np.ndarray]:
    """Draw a crowd; return its rows and, for each face, whose it is (-1: a false detection)."""
    rng = np.random.default_rng(seed)
    steps = np.full(int(crowd.seconds * crowd.fps), 1 / crowd.fps)
    if crowd.uneven:
        steps *= rng.uniform(0.3, 1.8, len(steps))
    times = np.cumsum(steps) - steps[0]
    count = crowd.seated + int(crowd.walkers * max(1.0, crowd.seconds / 10))
    paths = np.stack([_path(crowd, person < crowd.seated, times, rng) for person in range(count)])
    camera = np.zeros(2)
    table, truth = [], []
    for frame in range(len(times)):
        camera = 0.8 * camera + rng.normal(0, crowd.shake, 2) if crowd.shake else camera
        now = paths[:, frame] + np.append(camera, 0)
        for person in np.flatnonzero(_inside(now)):
            if rng.random() < (0.9 if _hidden(now, person) else crowd.miss):
                continue
            x, y, size = now[person] * (1, 1, np.exp(rng.normal(0, 0.04)))
            x, y = (x, y) + rng.normal(0, 0.05 * size, 2)
            table.append((frame, x, y, size, np.clip(rng.normal(0.72, 0.12), 0.26, 0.97)))
            truth.append(person)
        for _ in range(rng.poisson(crowd.false)):
            place = rng.uniform((0, 0), (WIDTH, HEIGHT))
            table.append((frame, *place, rng.uniform(*crowd.size), np.clip(rng.normal(0.38, 0.1), 0.26, 0.9)))
            truth.append(-1)
    return *rows(table, times), np.array(truth)


def _path(crowd: Crowd, seated: bool, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (n, 3) x, y, size of one person; NaN while away."""
    size = rng.uniform(*crowd.size)
    wish = rng.normal(0, crowd.speed * size, 2) * (1, 0.25) * (not seated)
    steps = np.diff(times, prepend=times[0])
    velocity = wish + np.cumsum(rng.normal(0, 0.2 * crowd.speed * size, (len(times), 2))
                                * np.sqrt(steps)[:, None], axis=0) * (not seated)
    sway = rng.uniform(0.05, 0.3) * size * np.sin(np.outer(times, (1.5, 2.2)) + rng.uniform(0, 6.28, 2))
    place = rng.uniform((0, 0), (WIDTH, HEIGHT)) + np.cumsum(velocity * steps[:, None], axis=0) + sway
    path = np.column_stack([place, np.full(len(times), size)])
    if not seated:
        begin = rng.uniform(-5, times[-1])
        path[(times < begin) | (times > begin + rng.uniform(4, 15))] = np.nan
    return path


def _inside(now: np.ndarray) -> np.ndarray:
    return (now[:, 0] > 0) & (now[:, 0] < WIDTH) & (now[:, 1] > 0) & (now[:, 1] < HEIGHT)  # NaN is False


def _hidden(now: np.ndarray, person: int) -> bool:
    """True if a larger (nearer) face covers this one."""
    away = np.abs(now[:, :2] - now[person, :2]).max(axis=1)
    return bool(((now[:, 2] > now[person, 2]) & (away < 0.6 * now[:, 2])).any())


def idf1(truth: np.ndarray, person: np.ndarray) -> float:
    """Return the harmonic mean of precision and recall of identities, under the best one-to-one naming."""
    both = (truth >= 0) & (person > 0)
    table = np.zeros((truth.max() + 1, person.max(initial=0) + 1))
    np.add.at(table, (truth[both], person[both]), 1)
    found = table[linear_sum_assignment(table, maximize=True)].sum()
    return 2 * found / ((truth >= 0).sum() + (person > 0).sum())


def purity(truth: np.ndarray, person: np.ndarray) -> float:
    """Return the share of faces that belong to the one whom most of their person's faces belong to."""
    both = (truth >= 0) & (person > 0)
    table = np.zeros((truth.max() + 1, person.max(initial=0) + 1))
    np.add.at(table, (truth[both], person[both]), 1)
    return table.max(axis=0).sum() / table.sum()
