"""Trains the expression net: a loop that can be killed at any instant and goes on where it was.

The schedule follows a budget, of minutes or of epochs, and always anneals to the end: one cycle of the
learning rate, averaged weights (those are the result). Time counts only while the loop runs, so a break does
not shorten the schedule.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crowdmood.errors import CrowdmoodError
from crowdmood.expression_net import ExpressionNet, expression_network
from crowdmood.files import write_aside
from crowdmood.models import EXPRESSION_NET, find_model
from crowdmood.training.expression_augment import training_crops
from crowdmood.training.expression_data import LabelledFaces, training_rows

LABEL_WEIGHT = 0.7  # of the head for the single label, against 1 for the votes
WARM_UP = 0.06  # share of the schedule in which the learning rate rises
AVERAGING = 0.999


@dataclass(frozen=True)
class Settings:
    """How to train. Exactly one of `minutes` and `epochs` is set. begin_with: a model folder to go on from, None for
    weights by chance; device: cpu, cuda or cuda:N.
    """

    minutes: float | None = None
    epochs: int | None = None
    seed: int = 0
    threads: int = 1
    batch: int = 128
    rate: float = 0.1
    weight_decay: float = 5e-4
    save_every_s: float = 120.0
    begin_with: str | None = None
    device: str = "cpu"


@dataclass
class State:
    """Where a training is. Everything in it goes into the checkpoint."""

    net: ExpressionNet
    average: ExpressionNet
    optimizer: torch.optim.Optimizer
    rng: torch.Generator
    step: int = 0
    epoch: int = 0
    batch: int = 0  # next batch of this epoch
    seconds: float = 0.0
    finished: bool = False
    history: list[dict] = field(default_factory=list)


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


def train(
    faces: LabelledFaces, checkpoint: Path, settings: Settings, report: Callable[[Progress], None]
) -> State:
    """Trains from the checkpoint, or from nothing where there is none, until the budget is spent; returns the
    finished state.

    The checkpoint is replaced at least every `save_every_s` seconds. Raises CrowdmoodError where there is
    nothing to learn from, or the checkpoint does not fit the settings.
    """
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(1)
    learn = faces.where(training_rows(faces))
    if len(learn) < 2:
        raise CrowdmoodError("no faces to learn from: no row of the split 'train' is usable")
    state = load_checkpoint(checkpoint, settings) if checkpoint.exists() else _begin(settings)
    state.finished = _share(state, len(learn), settings) >= 1  # a larger budget takes up a finished training
    judge = faces.where(faces.split == "public_test")
    saved, clock, loss = time.monotonic(), time.monotonic(), math.nan
    while not state.finished:
        for loss, count in _epoch(state, learn, settings):
            now = time.monotonic()
            state.seconds, spent, clock = state.seconds + now - clock, now - clock, now
            share = _share(state, len(learn), settings)
            report(Progress(share, state.epoch, _rate(share, settings), loss, count / spent, state.seconds))
            if share >= 1:
                break
            if now - saved > settings.save_every_s:
                save_checkpoint(checkpoint, state, settings)
                saved = now
        _end_epoch(state, judge, len(learn), settings)
        share = _share(state, len(learn), settings)
        state.finished = share >= 1
        report(
            Progress(share, state.epoch, _rate(share, settings), loss, 0.0, state.seconds, state.history[-1])
        )
        save_checkpoint(checkpoint, state, settings)
        saved = time.monotonic()
    return state


def _begin(settings: Settings) -> State:
    state = start(settings)
    if settings.begin_with is not None:
        model = find_model(EXPRESSION_NET, settings.begin_with)
        try:
            before = expression_network(model.file("weights.safetensors")).state_dict()
            for net in (state.net, state.average):
                net.load_state_dict(before)
        except (ValueError, RuntimeError) as error:
            raise CrowdmoodError(f"{model.folder} is a net of another shape; begin without it") from error
    return state


def start(settings: Settings) -> State:
    """A fresh state, its weights drawn from the seed."""
    torch.manual_seed(settings.seed)
    net = ExpressionNet().to(settings.device, memory_format=torch.channels_last)
    average = ExpressionNet().to(settings.device)
    average.load_state_dict(net.state_dict())
    return State(net, average, _optimizer(net, settings), torch.Generator().manual_seed(settings.seed))


def _optimizer(net: ExpressionNet, settings: Settings) -> torch.optim.Optimizer:
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]  # norms and biases are not pulled to 0
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=settings.rate, momentum=0.9, nesterov=True)


def _batches(count: int, settings: Settings) -> int:
    return max(1, count // settings.batch)


def _share(state: State, count: int, settings: Settings) -> float:
    """How much of the budget is spent, 0..1."""
    if settings.minutes is not None:
        return min(1.0, state.seconds / (60 * settings.minutes))
    return min(1.0, state.step / (settings.epochs * _batches(count, settings)))


def _rate(share: float, settings: Settings) -> float:
    if share < WARM_UP:
        return settings.rate * (0.04 + 0.96 * share / WARM_UP)
    return settings.rate * max(0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))), 1e-4)


def _epoch(state: State, learn: LabelledFaces, settings: Settings) -> Iterator[tuple[float, int]]:
    """Learns the rest of one epoch; yields each batch's loss and size."""
    order = np.random.default_rng((settings.seed, state.epoch)).permutation(len(learn))
    state.net.train()
    while state.batch < _batches(len(learn), settings):
        rows = order[state.batch * settings.batch : (state.batch + 1) * settings.batch]
        share = _share(state, len(learn), settings)
        for group in state.optimizer.param_groups:
            group["lr"] = _rate(share, settings)
        loss = _learn(state, learn, rows, training_crops(learn.images[rows], share, state.rng))
        state.step += 1
        state.batch += 1
        yield loss, len(rows)


def _learn(state: State, learn: LabelledFaces, rows: np.ndarray, crops: Tensor) -> float:
    device = next(state.net.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        votes, label = state.net.both(crops.to(device, memory_format=torch.channels_last))
    loss = _loss(votes.float(), label.float(), learn, rows)
    state.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
    state.optimizer.step()
    _average(state)
    return float(loss.detach())


def _loss(votes: Tensor, label: Tensor, learn: LabelledFaces, rows: np.ndarray) -> Tensor:
    """Cross entropy to the people's votes, as far as they fell on the seven, and to the single label,
    where it is sure.
    """
    wanted, share, single, sure = (
        torch.from_numpy(values[rows]).to(votes.device)
        for values in (learn.votes, learn.vote_share, learn.label, learn.label_sure)
    )
    by_votes = (functional.cross_entropy(votes, wanted, reduction="none") * share).mean()
    by_label = (functional.cross_entropy(label, single, reduction="none") * sure.float()).mean()
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


def _end_epoch(state: State, judge: LabelledFaces, count: int, settings: Settings) -> None:
    if state.batch >= _batches(count, settings):
        state.epoch, state.batch = state.epoch + 1, 0
    votes, label = predict(state.average, judge.images)
    known = judge.majority >= 0
    figures = {
        "epoch": state.epoch,
        "seconds": round(state.seconds, 1),
        "majority": _accuracy(votes[known], judge.majority[known]),
        "clear": _accuracy(votes[judge.clear], judge.majority[judge.clear]),
        "label": _accuracy(label, judge.label),
    }
    state.history.append(figures)


def _accuracy(logits: np.ndarray, truth: np.ndarray) -> float:
    return round(float((logits.argmax(axis=1) == truth).mean()), 5) if len(truth) else 0.0


@torch.no_grad()
def predict(net: ExpressionNet, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (n, 48, 48) -> logits of the votes' head and of the label's head, float32 (n, 7) each."""
    net.eval()
    device = next(net.parameters()).device
    parts = [
        net.both(torch.from_numpy(images[k : k + 256]).to(device).float()[:, None])
        for k in range(0, len(images), 256)
    ]
    if not parts:
        return np.zeros((0, 7), np.float32), np.zeros((0, 7), np.float32)
    return tuple(torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))


def save_checkpoint(path: Path, state: State, settings: Settings) -> None:
    """Writes everything that the next process needs to go on, aside first, then renamed."""
    plain = {
        name: getattr(state, name) for name in ("step", "epoch", "batch", "seconds", "finished", "history")
    }
    content = {
        "plain": plain,
        "settings": asdict(settings),
        "net": state.net.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "rng": state.rng.get_state(),
        "dropout_rng": torch.get_rng_state(),
    }
    with write_aside(path) as aside:
        torch.save(content, aside)


def load_checkpoint(path: Path, settings: Settings | None = None) -> State:
    """Reads a checkpoint; no code in it is run. Raises CrowdmoodError where it is damaged or was made with
    another seed or batch.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        kept = Settings(**content["settings"])
        state = start(replace(kept, device=settings.device if settings else "cpu"))
        state.net.load_state_dict(content["net"])
        state.average.load_state_dict(content["average"])
        state.optimizer.load_state_dict(content["optimizer"])
    except Exception as error:  # torch raises many kinds here, all of which mean the same
        raise CrowdmoodError(f"{path}: not a checkpoint of this training ({error}); use --fresh") from error
    if settings and (kept.seed, kept.batch) != (settings.seed, settings.batch):
        raise CrowdmoodError(
            f"{path}: was begun with seed {kept.seed}, batch {kept.batch}; use the same or --fresh"
        )
    state.rng.set_state(content["rng"])
    torch.set_rng_state(content["dropout_rng"])
    for name, value in content["plain"].items():
        setattr(state, name, value)
    return state
