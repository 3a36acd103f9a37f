"""A head that tells more from less popular pictures: logistic regression on features of the product, measured by K-fold.

    the UCF Selfie layout -> a run of photos (resumable) -> features -> folds -> accuracy with an interval -> a model folder

Popular is what is above the median of the pictures that are learned from, so guessing is right half of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.stats import spearmanr

from crowdmood.errors import CrowdmoodError
from crowdmood.files import sha256_of
from crowdmood.options import Execution
from crowdmood.photos.features import FEATURES, features_of
from crowdmood.photos.popularity import Head, spread_out
from crowdmood.photos.runs import USUAL, analyze_photos
from crowdmood.runtimes import choose_device
from crowdmood.training.expression_folds import spread
from crowdmood.training.expression_splits import folds, groups, places

TABLE, PICTURES = "selfie_dataset.txt", "images"
LAYOUT = f"{TABLE} (a line per picture: name, popularity, attributes) and {PICTURES}/ with the pictures"
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # of the penalty on weights
FEWEST_PER_FOLD = 4  # pictures
INNER = 5  # parts of what is learned from, one of which chooses the penalty
Progress = Callable[[str, int, int], None]
"""Called with a step ('look', 'scan', 'features' or 'folds'), how many are done in it, and of how many."""


@dataclass(frozen=True)
class Rated:
    """n pictures. rows: float32 (n, k) features; popularity: float64 (n,); digest: str objects (n,), sha256 of the files; lacking:
    lines of the table whose picture is missing or cannot be read."""

    rows: np.ndarray
    popularity: np.ndarray
    digest: np.ndarray
    lacking: int
    table: str

    def __len__(self) -> int:
        return len(self.rows)


def read_table(folder: Path) -> dict[str, float]:
    """Popularity by a picture's name, as the table has it. Raises CrowdmoodError that names the line that makes no sense."""
    path, found = folder / TABLE, {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CrowdmoodError(f"{folder} is not laid out as the UCF Selfie data set; needed: {LAYOUT} ({error})") from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        try:
            if words:
                found[words[0]] = float(words[1])
                if not np.isfinite(found[words[0]]):
                    raise ValueError
        except (IndexError, ValueError):
            raise CrowdmoodError(f"{path}, line {number}: a name and a number are expected, not '{line[:60]}'") from None
    if not found:
        raise CrowdmoodError(f"{path} has no lines; needed: {LAYOUT}")
    return found


def read_rated(folder: Path, results: Path, execution: Execution, progress: Progress = lambda *_: None) -> Rated:
    """Look at all pictures of the table. results: the folder in which what is found in them is kept; asked again it goes on there.

    Raises CrowdmoodError.
    """
    table = read_table(folder)
    pictures = folder / PICTURES
    if not pictures.is_dir():
        raise CrowdmoodError(f"{pictures} is not there; needed: {LAYOUT}")
    run, album = analyze_photos([pictures], USUAL, execution, results, progress)
    told = {number: _popularity(table, photo.path) for number, photo in enumerate(album.photos) if not photo.page}
    files = {number: (album.photos[number].path, 0) for number, popularity in told.items() if popularity is not None}
    if not files:
        raise CrowdmoodError(f"no picture in {pictures} has a name of {folder / TABLE}, such as {next(iter(table))}.jpg")
    threads = choose_device(execution.device, execution.runtime, execution.threads).threads
    frames, rows = features_of(run, files, threads, lambda *counts: progress("features", *counts))
    digest = np.array([album.photos[number].digest for number in frames], object)
    return Rated(rows, np.array([told[number] for number in frames]), digest, len(table) - len(frames), sha256_of(folder / TABLE))


def _popularity(table: dict[str, float], path: Path) -> float | None:
    """The table names pictures without their ending; some copies of it with."""
    return table.get(path.stem, table.get(path.name))


def measured(rated: Rated, count: int, repeats: int, seed: int, progress: Progress = lambda *_: None) -> dict:
    """Repeated K-fold: accuracy with its 95 % interval, what guessing gives, and how ranks agree (Spearman's, of all held-out ones).

    Identical pictures are in one fold. Raises CrowdmoodError for too few different pictures.
    """
    group = groups(rated.digest)
    if len(np.unique(group)) < FEWEST_PER_FOLD * count:
        raise CrowdmoodError(f"--kfold {count} needs {FEWEST_PER_FOLD * count} different pictures and more; there are {len(np.unique(group))}")
    right, base, score = [], [], np.zeros((repeats, len(rated)))
    for repeat in range(repeats):
        place = places(above(rated.popularity, _middle(rated.popularity)).astype(int), group, _bytes(rated.digest), seed + repeat)
        fold = folds(place, count)
        for number in range(count):
            out = fold == number
            middle = _middle(rated.popularity[~out])
            head = learned(rated.rows[~out], above(rated.popularity[~out], middle), group[~out])
            truth = above(rated.popularity[out], middle)
            score[repeat, out] = head(rated.rows[out])
            right.append(((score[repeat, out] > 0.5) == truth).mean())
            base.append(max(truth.mean(), 1 - truth.mean()))
            progress("folds", len(right), repeats * count)
    found = spread(np.array(right), count)
    rank = [float(spearmanr(one, rated.popularity).statistic) for one in score if np.ptp(one) > 0]
    return {"accuracy": found["mean"], "accuracy_low": max(0.0, found["low"]), "accuracy_high": min(1.0, found["high"]),
            "base_rate": round(float(np.mean(base)), 4), "rank_correlation": round(float(np.mean(rank or [0.0])), 4),
            "pictures": len(rated), "folds": count, "repeats": repeats}


def _bytes(digest: Sequence[str]) -> np.ndarray:
    return np.array([one.encode() for one in digest], object)


def _middle(popularity: np.ndarray) -> float:
    """The value above which a part is popular that is as near to half as ties allow."""
    values = np.unique(popularity)
    parts = 1 - np.searchsorted(np.sort(popularity), values, side="right") / len(popularity)
    return float(values[np.abs(parts - 0.5).argmin()])


def above(popularity: np.ndarray, middle: float) -> np.ndarray:
    """Which pictures are popular, bool (n,)."""
    return popularity > middle


def learned(rows: np.ndarray, popular: np.ndarray, group: np.ndarray) -> Head:
    """A head from features float32 (n, k) and bool (n,). A part of the groups chooses the penalty; then all are learned from."""
    aside = np.isin(group, np.unique(group)[::INNER])
    loss = [_loss(_fitted(rows[~aside], popular[~aside], strength)(rows[aside]), popular[aside]) for strength in STRENGTHS]
    return _fitted(rows, popular, STRENGTHS[int(np.argmin(loss))])


def _fitted(rows: np.ndarray, popular: np.ndarray, strength: float) -> Head:
    """Logistic regression with a penalty of strength / 2 times the squared weights."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    deviation = np.where(deviation > 1e-6, deviation, np.float32(1e6))  # what is the same everywhere says nothing
    design = np.concatenate([spread_out(rows, mean, deviation), np.ones((len(rows), 1))], axis=1)
    penalty = np.append(np.full(design.shape[1] - 1, strength), 0.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        told = design @ weights
        miss = 1 / (1 + np.exp(-told)) - popular
        return (float(np.logaddexp(0, told).mean() - (told * popular).mean() + (penalty * weights ** 2).sum() / 2),
                design.T @ miss / len(rows) + penalty * weights)

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return Head(mean.astype(np.float32), deviation.astype(np.float32), found[:-1].astype(np.float32), float(found[-1]))


def _loss(score: np.ndarray, popular: np.ndarray) -> float:
    sure = np.clip(np.where(popular, score, 1 - score), 1e-9, 1)
    return float(-np.log(sure).mean())


def goes_with(rated: Rated, most: int = 8) -> list[tuple[str, float]]:
    """The features that agree most in rank with popularity, each by itself: names, and Spearman's correlation."""
    varied = [at for at in range(len(FEATURES)) if np.ptp(rated.rows[:, at]) > 0] if len(rated) > 2 and np.ptp(rated.popularity) > 0 else []
    found = [(FEATURES[at], round(float(spearmanr(rated.rows[:, at], rated.popularity).statistic), 3)) for at in varied]
    return sorted(found, key=lambda one: -abs(one[1]))[:most]


def whole_head(rated: Rated) -> Head:
    """The head that ships: learned from all pictures."""
    return learned(rated.rows, above(rated.popularity, _middle(rated.popularity)), groups(rated.digest))


def data_digest(rated: Rated) -> str:
    """sha256 of the table and of the pictures' own."""
    return sha256(rated.table.encode() + b"".join(sorted(_bytes(rated.digest)))).hexdigest()
