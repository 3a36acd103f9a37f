"""Repeated K-fold cross-validation: the same recipe trained again and again, each time measured on faces it did not see.

Identical pictures, and pictures of one person where the data name persons, are in one fold. Of the faces learned from, a tenth
is held back for early stopping and the temperature. A killed cross-validation goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import rmtree

import numpy as np
from scipy.stats import t as student

from crowdmood.errors import CrowdmoodError
from crowdmood.files import write_aside
from crowdmood.training.expression import Progress, train
from crowdmood.training.expression_data import LabelledFaces
from crowdmood.training.expression_evaluation import (
    ECE_BINS,
    SIDES,
    Answers,
    measure,
    share,
    shrink,
    torch_logits,
)
from crowdmood.training.expression_export import GEOMETRY
from crowdmood.training.expression_plots import draw_faces
from crowdmood.training.expression_splits import fill_splits, folds, places
from crowdmood.training.expression_state import FREE, Settings, State
from crowdmood.training.expression_thresholds import fit_temperature

ASKED, FIGURES = "asked.json", "kfold.json"
PLACES = 1000003  # so that the folds are not those of the splits


@dataclass(frozen=True)
class Plan:
    """count folds, drawn again `repeats` times; digest: of the data."""

    count: int
    repeats: int
    digest: str


def cross_validate(
    faces: LabelledFaces, folder: Path, settings: Settings, plan: Plan, report: Callable[[Progress, str], None]
) -> dict:
    """Train and measure count x repeats nets; returns all figures and writes them, with pictures, to the folder.

    Raises CrowdmoodError where the folder holds another cross-validation, or there are fewer groups of faces than folds.
    """
    faces = faces.where(~faces.no_face)
    fewest = min((len(np.unique(faces.group[faces.label == k])), name) for k, name in enumerate(faces.labels))
    if fewest[0] < plan.count:
        raise CrowdmoodError(f"--kfold {plan.count}: there are only {fewest[0]} different faces of {fewest[1]}; take fewer folds, or --labels")
    _claim(folder, settings, plan)
    measured = [_fold(faces, folder, settings, (repeat, fold, plan), report)
                for repeat in range(plan.repeats) for fold in range(plan.count)]  # fmt: skip
    figures = summary(measured, plan.count) | {"folds": plan.count, "repeats": plan.repeats, "faces": len(faces)}
    with write_aside(folder / FIGURES) as aside:
        aside.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    draw_faces(folder, figures["pooled"])
    return figures


def _claim(folder: Path, settings: Settings, plan: Plan) -> None:
    """Say what the folder is for; what is finished in it counts only for the same."""
    free = set(FREE) - {"minutes", "epochs", "early_stopping"}
    asked = {"folds": plan.count, "data": plan.digest} | {k: v for k, v in asdict(settings).items() if k not in free}
    text = json.dumps(asked, indent=1)
    path = folder / ASKED
    if path.exists() and (before := path.read_text(encoding="utf-8")) != text:
        kept = json.loads(before)
        changed = [name for name, value in json.loads(text).items() if kept.get(name) != value]
        raise CrowdmoodError(f"{folder} holds a cross-validation with another {', '.join(changed)}; take another --out, or --fresh")
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def forget(folder: Path) -> None:
    """Remove what a cross-validation has left in a folder, and nothing else."""
    for path in (*folder.glob("repeat-*-fold-*.json"), folder / ASKED, folder / FIGURES):
        path.unlink(missing_ok=True)
    for path in folder.glob("repeat-*-fold-*"):
        rmtree(path)


def _fold(faces: LabelledFaces, folder: Path, settings: Settings, which: tuple[int, int, Plan], report: Callable) -> dict:
    """The figures of one fold, measured now or before."""
    repeat, fold, plan = which
    name = f"repeat-{repeat + 1}-fold-{fold + 1}"
    done = folder / f"{name}.json"
    if done.exists():
        return json.loads(done.read_text(encoding="utf-8"))
    part = replace(faces, split=_split(faces, repeat, fold, plan.count))
    title = f"fold {fold + 1} of {plan.count}" + (f", repeat {repeat + 1} of {plan.repeats}" if plan.repeats > 1 else "")
    place = folder / name
    state = train(part, place / "checkpoint.pt", replace(settings, seed=settings.seed + repeat),
                  lambda progress: report(progress, title), place)  # fmt: skip
    figures = measure(_answers(part, state))
    figures["split"] = "held-out folds"
    with write_aside(done) as aside:
        aside.write_text(json.dumps(figures) + "\n", encoding="utf-8")
    (place / "checkpoint.pt").unlink(missing_ok=True)
    return figures


def _split(faces: LabelledFaces, repeat: int, fold: int, count: int) -> np.ndarray:
    """str (n,): the fold is `private_test`; a tenth of the others `public_test`."""
    place = places(faces.label, faces.group, faces.digest, PLACES + repeat)
    held_out = folds(place, count) == fold
    rest = places(faces.label, faces.group, faces.digest, 2 * PLACES + repeat)
    return fill_splits(np.where(held_out, "private_test", ""), rest)


def _answers(part: LabelledFaces, state: State) -> Answers:
    """What the trained net says about the faces that it did not see, calibrated on those held back."""
    logits = torch_logits(state.result().cpu())
    back = part.where((part.split == "public_test") & (part.majority >= 0))
    temperature = fit_temperature(logits(back.images), back.majority) if len(back) else 1.0
    judge = part.where(part.split == "private_test")
    votes, known = logits(judge.images), judge.majority >= 0
    small = {side: logits(shrink(judge.images[known], side)) for side in SIDES[1:]}
    return Answers("private_test", judge, np.zeros(len(judge), bool), votes, None, {SIDES[0]: votes[known], **small},
                   {"temperature": temperature, "input": GEOMETRY})  # fmt: skip


def summary(measured: list[dict], count: int) -> dict:
    """Means over the folds with 95 % intervals, and all held-out faces pooled. count: folds of one repeat."""
    names = dict(_singles(measured[0]))
    values = {name: [dict(_singles(one))[name] for one in measured] for name in names}
    return {
        "values": {name: spread(np.array(found), count) for name, found in values.items()},
        "pooled": _pooled(measured),
        "measured": [dict(_singles(one)) for one in measured],
    }


def _singles(figures: dict) -> Iterator[tuple[str, float]]:
    sets = {"majority": "accuracy, majority", "clear": "accuracy, clear majority", "label": "accuracy, label"}
    for key, name in sets.items() if figures["voted"] else [("majority", "accuracy")]:
        yield name, figures[key]["accuracy"]
    yield "macro F1", figures["macro_f1"]
    yield "calibration error", figures["ece"]
    yield from ((f"recall, {name}", score["recall"]) for name, score in figures["classes"].items())
    yield from ((f"accuracy at {side} px", found["accuracy"]) for side, found in figures["sides"].items())


def spread(values: np.ndarray, count: int) -> dict:
    """Mean, deviation and the 95 % interval of the mean over trainings whose faces overlap: Nadeau and Bengio's
    correction ("Inference for the Generalization Error", 2003), as plain ones are far too narrow.

    values: float (trainings,) in 0..1, and so is the interval; count: folds, so that a test has 1 / (count - 1) times the
    faces that were learned from.
    """
    n, mean = len(values), float(values.mean())
    deviation = float(values.std(ddof=1))
    reach = float(student.ppf(0.975, n - 1)) * deviation * (1 / n + 1 / (count - 1)) ** 0.5
    return {"mean": round(mean, 4), "low": round(max(0.0, mean - reach), 4), "high": round(min(1.0, mean + reach), 4),
            "deviation": round(deviation, 4)}


def _pooled(measured: list[dict]) -> dict:
    """All held-out faces as if they were one test: what the pictures show."""
    first = measured[0]
    confusion = sum(np.array(one["confusion"]) for one in measured)
    bins = {key: _merged([line for one in measured for line in one["reliability"][key]]) for key in ("before", "after")}
    sides = {side: share(_as_rows([one["sides"][side] for one in measured])) for side in first["sides"]}
    return {
        "split": "held-out folds", "labels": first["labels"], "voted": first["voted"], "confusion": confusion.tolist(),
        "sides": sides, "reliability": bins, "ece_before": _error(bins["before"]), "ece": _error(bins["after"]),
    }  # fmt: skip


def _as_rows(shares: list[dict]) -> np.ndarray:
    """Right answers as bool (n,) again."""
    return np.concatenate([np.arange(one["n"]) < round(one["accuracy"] * one["n"]) for one in shares])


def _merged(lines: list[list[float]]) -> list[list[float]]:
    """Bins of reliability diagrams put together: mean largest probability, accuracy, faces."""
    found = np.array(lines)
    place = np.minimum((found[:, 0] * ECE_BINS).astype(int), ECE_BINS - 1)
    merged = []
    for k in np.unique(place):
        rows = found[place == k]
        sure, right = np.average(rows[:, :2], axis=0, weights=rows[:, 2])
        merged.append([round(float(sure), 4), round(float(right), 4), int(rows[:, 2].sum())])
    return merged


def _error(bins: list[list[float]]) -> float:
    sure, right, count = np.array(bins).T
    return round(float((abs(sure - right) * count).sum() / count.sum()), 4)
