"""Scoring photos by a head that `crowdmood train popularity` has made: how likely each is among the more popular half of its data.

No such model ships. What is told is a likeness to pictures that were popular where the data come from, not the worth of a picture, and
nothing about the person in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from crowdmood.errors import ModelError, ResultsError
from crowdmood.files import write_aside
from crowdmood.models import POPULARITY_HEAD, Model, read_model
from crowdmood.photos.features import FEATURES, features, features_of
from crowdmood.photos.ranking import rank
from crowdmood.photos.show import ShownPhoto
from crowdmood.results import Run

VARIABLE, WEIGHTS = "CROWDMOOD_POPULARITY", "weights.safetensors"
HOW_TO_GET = ("no popularity model is here, and none ships; train one on pictures whose popularity is known: "
              "crowdmood train popularity --data FOLDER")
FAR = 5.0  # deviations from the mean beyond which a feature counts as this far


@dataclass(frozen=True)
class Head:
    """mean, deviation: float32 (k,) of the features that were learned from; weights: float32 (2 k,), of each feature in deviations
    and of its square; bias: added to their sum."""

    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    bias: float

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Scores float64 (n,), 0..1, of features float32 (n, k)."""
        return 1 / (1 + np.exp(-(spread_out(rows, self.mean, self.deviation) @ self.weights + self.bias)))


def spread_out(rows: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Features (n, k) in deviations from the mean, and their squares: float64 (n, 2 k). Too much can be as bad as too little."""
    apart = np.clip((rows.astype(np.float64) - mean) / deviation, -FAR, FAR)
    return np.concatenate([apart, apart ** 2 - 1], axis=1)


def usual_folder() -> Path:
    """Where a popularity model is looked for, and written: $CROWDMOOD_POPULARITY, else crowdmood/popularity where users' data lie."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "crowdmood" / "popularity"


def find_popularity(folder: Path | str | None = None) -> Model:
    """The popularity model in a folder, None: in the usual one. Raises ModelError that says how to get one where there is none."""
    place = Path(folder) if folder else usual_folder()
    if not (place / "card.toml").exists():
        raise ModelError(f"{place}: {HOW_TO_GET}")
    model = read_model(place)
    if model.kind != POPULARITY_HEAD:
        raise ModelError(f"{place} holds: {model.kind}; needed: {POPULARITY_HEAD}")
    return model


def there_is_popularity() -> bool:
    """Whether the usual folder has a model."""
    return (usual_folder() / "card.toml").is_file()


def tells_something(figures: Mapping[str, Any]) -> bool:
    """Whether the interval of the accuracy lies above what guessing gives."""
    return figures["accuracy_low"] > max(0.5, figures["base_rate"])


def verdict(figures: Mapping[str, Any]) -> str:
    """The figures of a K-fold in a sentence: accuracy, accuracy_low, accuracy_high, base_rate, folds, repeats, pictures."""
    text = (f"accuracy {figures['accuracy']:.1%} (95 %: {figures['accuracy_low']:.1%} to {figures['accuracy_high']:.1%}) over {figures['folds']} folds"
            f"{_times(figures['repeats'])} of {figures['pictures']:,} pictures; guessing gives {figures['base_rate']:.1%}")
    return text if tells_something(figures) else text + ": the interval holds guessing, so the scores mean nothing"


def _times(repeats: int) -> str:
    return f", drawn {repeats} times," if repeats > 1 else ""


def how_good(model: Model) -> str:
    """What was measured of a model, in a sentence; that nothing was, where its card does not say."""
    try:
        return verdict(model.card["metrics"])
    except (KeyError, TypeError, ValueError):
        return "its card does not say how good it is"


def load_head(model: Model) -> Head:
    """The head of a model. Raises ModelError when it is damaged, or of other features than this version's."""
    if tuple(model.card["input"]["features"]) != FEATURES:
        raise ModelError(f"{model.folder} was trained on other features than this version of crowdmood has; train it again")
    try:
        held = load_file(model.file(WEIGHTS))
        head = Head(held["mean"], held["deviation"], held["weights"], float(held["bias"][0]))
    except (SafetensorError, KeyError, IndexError) as error:
        raise ModelError(f"{model.folder / WEIGHTS} is no popularity head ({error}); train it again") from error
    if not head.mean.shape == head.deviation.shape == (len(FEATURES),) or head.weights.shape != (2 * len(FEATURES),):
        raise ModelError(f"{model.folder / WEIGHTS} does not fit its card; train it again")
    return head


def rank_by_popularity(run: Run, files: Mapping[int, tuple[Path, int]], model: Model, threads: int,
                       progress: Callable[[int, int], None] = lambda *_: None) -> list[dict[str, Any]]:
    """The photos with readable faces as `ranking.rank` gives them, each with `popularity`, by which they are scored and in order.

    files: frame number -> file and page; they are read once for each model. Raises CrowdmoodError.
    """
    rows = rank(run)
    known = _kept(run, model) or _keep(run, model, _scores(run, files, model, threads, progress))
    rows = [row | dict.fromkeys(("popularity", "score", "mean", "worst"), known[row["frame"]]) for row in rows if row["frame"] in known]
    rows.sort(key=lambda row: (-round(row["score"], 2), row["sad"], -row["score"], row["frame"]))
    return [row | {"place": place} for place, row in enumerate(rows, 1)]


def has_scores(run: Run, model: Model) -> bool:
    """Whether `rank_by_popularity` need not read the photos of a run any more."""
    return bool(_kept(run, model))


def popularity_of(photo: ShownPhoto, model: Model) -> float:
    """The score of one photo, 0..1. photo: as shown with all seven expressions."""
    face = None
    if len(photo.faces):
        largest = int(photo.faces.size.argmax())
        x1, y1, x2, y2 = photo.faces.box[largest].tolist()
        face = {"faces": len(photo.faces), "size_px": float(photo.faces.size[largest]), "x": (x1 + x2) / 2, "y": (y1 + y2) / 2,
                "score": float(photo.faces.score[largest]), "sharpness": float(photo.sharpness[largest]),
                **dict(zip(photo.labels, (photo.probability * photo.part[:, None])[largest].tolist(), strict=True))}
    return float(load_head(model)(features(photo.image, (photo.facts.width, photo.facts.height), face)[None])[0])


def _scores(run: Run, files: Mapping[int, tuple[Path, int]], model: Model, threads: int, progress: Callable[[int, int], None]) -> dict[int, float]:
    head = load_head(model)
    frames, rows = features_of(run, files, threads, progress)
    return dict(zip(frames.tolist(), np.round(head(rows), 4).tolist(), strict=True))


def _place(run: Run, model: Model) -> Path:
    return run.report_folder / f"popularity-{model.weights[:12]}.json"


def _kept(run: Run, model: Model) -> dict[int, float]:
    """Scores that were computed before; {} where there are none."""
    try:
        return {int(frame): float(score) for frame, score in json.loads(_place(run, model).read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _keep(run: Run, model: Model, scores: dict[int, float]) -> dict[int, float]:
    try:
        with write_aside(_place(run, model)) as aside:
            aside.write_text(json.dumps(scores), encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{_place(run, model)} cannot be written: {error.strerror or error}") from error
    return scores
