"""Trains the expression net: a loop that can be killed at any instant and goes on where it was.

The schedule follows a budget, of minutes or of epochs, and always anneals to the end: one cycle of the
learning rate, averaged weights (those are the result), unless early stopping ends it before. Time counts only
while the loop runs, so a break does not shorten the schedule.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crowdmood.errors import CrowdmoodError
from crowdmood.expression_net import ExpressionNet, expression_network
from crowdmood.models import EXPRESSION_NET, find_model
from crowdmood.training.expression_augment import ONE_SIDE, SIDES, training_crops
from crowdmood.training.expression_curves import curves
from crowdmood.training.expression_data import LabelledFaces, training_rows
from crowdmood.training.expression_evaluation import (
    class_scores,
    confusion_matrix,
    macro_f1,
    probabilities,
)
from crowdmood.training.expression_recipe import weights_of
from crowdmood.training.expression_state import (
    Settings,
    State,
    load_checkpoint,
    save_checkpoint,
    start,
)
from crowdmood.training.expression_thresholds import fit_temperature

LABEL_WEIGHT = 0.7  # of the head for the single label, against 1 for the votes
WARM_UP = 0.06  # share of the schedule in which the learning rate rises
AVERAGING = 0.999


@dataclass(frozen=True)
class Progress:
    """One report of the loop. `measured` is set at the end of an epoch: figures on public_test."""

    share: float
    epoch: int
    rate: float
    loss: float
    crops_per_s: float
    seconds: float
    measured: dict | None = None


@dataclass(frozen=True)
class Lesson:
    """What is learned: the faces, the weight of each label (k,) if they have weights, and how."""

    faces: LabelledFaces
    weight: Tensor | None
    settings: Settings

    @property
    def batches(self) -> int:
        """Of an epoch."""
        return max(1, len(self.faces) // self.settings.batch)


Report = Callable[[Progress], None]


def train(faces: LabelledFaces, checkpoint: Path, settings: Settings, report: Report, folder: Path | None = None) -> State:
    """Trains from the checkpoint, or from nothing where there is none, until the budget is spent; returns the
    finished state. folder: where the curves are written.

    The checkpoint is replaced at least every `save_every_s` seconds. Raises CrowdmoodError where there is
    nothing to learn from, or the checkpoint does not fit the settings.
    """
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(1)
    lesson = _lesson(faces, settings)
    state = load_checkpoint(checkpoint, settings) if checkpoint.exists() else _begin(settings)
    judge = faces.where(faces.split == "public_test")
    if settings.early_stopping is not None and not len(judge):
        raise CrowdmoodError("--early-stopping needs faces of the split 'public_test' (val); there are none")
    state.finished = _finished(state, lesson)  # a larger budget takes up a finished training
    with curves(folder, state.history) as draw:
        while not state.finished:
            _train_epoch(state, lesson, report, checkpoint)
            begun = time.monotonic()
            _end_epoch(state, judge, lesson)
            state.seconds += time.monotonic() - begun
            state.finished, share = _finished(state, lesson), _share(state, lesson)
            draw(state.history)
            found = state.history[-1]
            report(Progress(share, state.epoch, found["rate"], found["learned"], 0.0, state.seconds, found))
            save_checkpoint(checkpoint, state, settings)
    return state


def _lesson(faces: LabelledFaces, settings: Settings) -> Lesson:
    learn = faces.where(training_rows(faces))
    if len(learn) < 2:
        raise CrowdmoodError("no faces to learn from: no row of the split 'train' is usable")
    count = np.bincount(learn.label, minlength=len(faces.labels))
    if not count.all():
        there = [name for name, number in zip(faces.labels, count, strict=True) if number]
        lacking = [name for name in faces.labels if name not in there]
        raise CrowdmoodError(f"no faces of {', '.join(lacking)} to learn from; train on the others with --labels {','.join(there)}")
    return Lesson(learn, class_weights(count, settings), settings)


def class_weights(count: np.ndarray, settings: Settings) -> Tensor | None:
    """The weight of each label, float32 (k,), scaled so that a face weighs 1 on average; None: all weigh 1.

    count: faces of each label, int (k,).
    """
    if settings.class_weights == "none":
        return None
    given = weights_of(settings.class_weights, settings.labels)
    weight = 1 / count if given is None else np.array([given.get(name, 1.0) for name in settings.labels])
    return torch.from_numpy(weight * count.sum() / (weight * count).sum()).float()


def _train_epoch(state: State, lesson: Lesson, report: Report, checkpoint: Path) -> None:
    """Learns the rest of one epoch, or of the budget."""
    saved = clock = time.monotonic()
    for loss, count in _epoch(state, lesson):
        now = time.monotonic()
        state.seconds, spent, clock = state.seconds + now - clock, now - clock, now
        share = _share(state, lesson)
        report(Progress(share, state.epoch, _rate(share, lesson.settings), loss, count / spent, state.seconds))
        if share >= 1:
            break
        if now - saved > lesson.settings.save_every_s:
            save_checkpoint(checkpoint, state, lesson.settings)
            saved = now


def _begin(settings: Settings) -> State:
    state = start(settings)
    if settings.begin_with is not None:
        model = find_model(EXPRESSION_NET, settings.begin_with, whole=False)
        try:
            before = expression_network(model.file("weights.safetensors")).state_dict()
            for net in (state.net, state.average):
                net.load_state_dict(before)
        except (ValueError, RuntimeError) as error:
            raise CrowdmoodError(f"{model.folder} is a net of another shape; begin without it") from error
    return state


def _finished(state: State, lesson: Lesson) -> bool:
    """Whether the budget is spent, or the patience: as many epochs without a smaller loss."""
    patience = lesson.settings.early_stopping
    waited = patience is not None and state.best is not None and state.history[-1]["epoch"] - state.best["epoch"] >= patience
    return waited or _share(state, lesson) >= 1


def _share(state: State, lesson: Lesson) -> float:
    """How much of the budget is spent, 0..1."""
    settings = lesson.settings
    if settings.minutes is not None:
        return min(1.0, state.seconds / (60 * settings.minutes))
    return min(1.0, state.step / (settings.epochs * lesson.batches))


def _rate(share: float, settings: Settings) -> float:
    if share < WARM_UP:
        return settings.rate * (0.04 + 0.96 * share / WARM_UP)
    return settings.rate * max(0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))), 1e-4)


def _epoch(state: State, lesson: Lesson) -> Iterator[tuple[float, int]]:
    """Learns the rest of one epoch; yields each batch's loss and size."""
    learn, settings = lesson.faces, lesson.settings
    order = np.random.default_rng((settings.seed, state.epoch)).permutation(len(learn))
    state.net.train()
    while state.batch < lesson.batches:
        rows = order[state.batch * settings.batch : (state.batch + 1) * settings.batch]
        share = _share(state, lesson)
        for group in state.optimizer.param_groups:
            group["lr"] = _rate(share, settings)
        sides = SIDES if settings.early_stopping is None else ONE_SIDE
        crops = training_crops(learn.images[rows], share, state.rng, settings.augmentation, sides)
        loss = _learn(state, lesson, rows, crops)
        state.step += 1
        state.batch += 1
        state.learned, state.batches = state.learned + loss, state.batches + 1
        yield loss, len(rows)


def _learn(state: State, lesson: Lesson, rows: np.ndarray, crops: Tensor) -> float:
    device = next(state.net.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        votes, label = state.net.both(crops.to(device, memory_format=torch.channels_last))
    loss = _loss(votes.float(), label.float(), lesson, rows)
    state.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
    state.optimizer.step()
    _average(state)
    return float(loss.detach())


def _loss(votes: Tensor, label: Tensor, lesson: Lesson, rows: np.ndarray) -> Tensor:
    """Cross entropy to the people's votes, as far as they fell on the labels, and to the single label,
    where it is sure.
    """
    learn = lesson.faces
    wanted, share, single, sure = (
        torch.from_numpy(values[rows]).to(votes.device)
        for values in (learn.votes, learn.vote_share, learn.label, learn.label_sure)
    )
    sure = sure.float()
    if lesson.weight is not None:
        weight = lesson.weight.to(votes.device)
        share, sure = share * (wanted @ weight), sure * weight[single]
    by_votes = (functional.cross_entropy(votes, wanted, reduction="none") * share).mean()
    by_label = (functional.cross_entropy(label, single, reduction="none") * sure).mean()
    return by_votes + LABEL_WEIGHT * by_label


@torch.no_grad()
def _average(state: State) -> None:
    keep = min(AVERAGING, (1 + state.step) / (10 + state.step))
    current = state.net.state_dict()
    for name, value in state.average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[name].to(memory_format=torch.contiguous_format), 1 - keep)
        else:
            value.copy_(current[name])


def _end_epoch(state: State, judge: LabelledFaces, lesson: Lesson) -> None:
    """Measures on public_test, and keeps the weights where they are the best so far and that may end the training."""
    if state.batch >= lesson.batches:
        state.epoch, state.batch = state.epoch + 1, 0
    votes, label = predict(state.average, judge.images)
    known = judge.majority >= 0
    scores = class_scores(confusion_matrix(judge.majority[known], votes[known].argmax(axis=1), judge.labels), judge.labels)
    figures = {
        "epoch": state.epoch,
        "seconds": round(state.seconds, 1),
        "rate": round(_rate(_share(state, lesson), lesson.settings), 6),
        "learned": round(state.learned / max(state.batches, 1), 5),
        "loss": _judged_loss(votes[known], judge.majority[known]),
        "majority": _accuracy(votes[known], judge.majority[known]),
        "clear": _accuracy(votes[judge.clear], judge.majority[judge.clear]),
        "label": _accuracy(label, judge.label),
        "macro_f1": macro_f1(scores),
        "voted": judge.voted,
    }
    state.learned, state.batches = 0.0, 0
    state.history.append(figures)
    if lesson.settings.early_stopping is not None and (state.best is None or figures["loss"] < state.best["loss"]):
        weights = {name: value.detach().cpu().clone() for name, value in state.average.state_dict().items()}
        state.best = {"epoch": state.epoch, "loss": figures["loss"], "weights": weights}


def _judged_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    """Cross entropy at the temperature that fits best, as the net will ship with one: a net that has learned nothing would
    else seem better than one that is right, but too sure. 0 where there are no faces.
    """
    if not len(truth):
        return 0.0
    found = probabilities(logits, fit_temperature(logits, truth))[np.arange(len(truth)), truth]
    return round(float(-np.log(np.maximum(found, 1e-12)).mean()), 5)


def _accuracy(logits: np.ndarray, truth: np.ndarray) -> float:
    return round(float((logits.argmax(axis=1) == truth).mean()), 5) if len(truth) else 0.0


@torch.no_grad()
def predict(net: ExpressionNet, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (n, 48, 48) -> logits of the votes' head and of the label's head, float32 (n, k) each."""
    net.eval()
    device = next(net.parameters()).device
    parts = [
        net.both(torch.from_numpy(images[k : k + 256]).to(device).float()[:, None])
        for k in range(0, len(images), 256)
    ]
    if not parts:
        return np.zeros((0, net.shape.classes), np.float32), np.zeros((0, net.shape.classes), np.float32)
    return tuple(torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
