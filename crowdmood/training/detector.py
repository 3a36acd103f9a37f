"""Training the face detector: a YOLO nano with one class, from COCO weights, on one or more CPU threads or a GPU.

ultralytics supplies the architecture and the loss. The loop is ours, because its trainer saves only once per
epoch, cannot be resumed to the same result, and keeps the optimizer in pickles. Here sample s of a run is a
function of (seed, s), a checkpoint is plain tensors, and a killed run goes on from the last one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch

from crowdmood.errors import CrowdmoodError
from crowdmood.files import write_aside
from crowdmood.training.detector_crowds import made_up
from crowdmood.training.detector_data import (
    Pictures,
    cached_pictures,
    epoch_length,
    epoch_order,
    hold_out,
    make_sample,
    spoil,
    training_files,
)
from crowdmood.training.detector_start import begin_with, start_weights
from crowdmood.yolo_net import ARCHITECTURE, new_face_network, quiet_ultralytics

CHECKPOINT = "checkpoint.pt"
WARM_UP = 0.03  # of the run
LAST_RATE = 0.01  # of the highest learning rate, at the end
LAST_MOSAIC = 0.9  # of the run
LOSS_GAINS = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)


@dataclass(frozen=True)
class Settings:
    """What decides the result of a training run.

    epochs: passes over the data, may be a fraction; minutes: end (and cool down) no later than after so much
    training time, 0 for no limit; imgsz: side of a training picture, a multiple of 32; save_every: steps
    between checkpoints; architecture: one of crowdmood.yolo_net.ARCHITECTURES; crowds: share of training
    pictures that are made-up crowds, galleries, stages or face-free scenes.
    """

    architecture: str = ARCHITECTURE
    epochs: float = 12.0
    minutes: float = 0.0
    imgsz: int = 416
    batch: int = 16
    rate: float = 1e-3
    weight_decay: float = 0.01
    mosaic: float = 0.4
    crowds: float = 0.2
    average: float = 0.998
    seed: int = 0
    save_every: int = 50


@dataclass(frozen=True)
class Places:
    """data: folder with train*.parquet; start: a model folder, or COCO weights as ultralytics pickles them (that
    is code: only files you trust), or None for random weights; out: folder of the picture cache and the checkpoint."""

    data: Path
    start: Path | None
    out: Path

    @property
    def checkpoint(self) -> Path:
        return self.out / CHECKPOINT

    def pictures(self) -> Pictures:
        """All training pictures, those held out included; decoded the first time."""
        return cached_pictures(training_files(self.data), self.out / "pictures")


@dataclass
class State:
    """Everything that changes while training."""

    net: torch.nn.Module
    averaged: dict[str, torch.Tensor]  # moving average of the net's state: what is exported
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def train_detector(places: Places, settings: Settings, device: str = "cpu", say=print) -> None:
    """Train, or go on where a killed run of the same settings stopped; the result is ``places.checkpoint``.

    Raises CrowdmoodError when ``places.out`` holds a run of other settings or the data is not there.
    """
    cv2.setNumThreads(1)
    every = places.pictures()
    pictures = every.take(hold_out(every)[0])
    state = _begin(places, settings, device)
    per_epoch = epoch_length(pictures)
    steps = max(1, round(settings.epochs * per_epoch / settings.batch))
    say(
        f"{len(pictures)} pictures, {per_epoch} samples an epoch, {steps} steps of {settings.batch}"
        + (f", going on at step {state.step}" if state.step else "")
    )
    _run(state, _batches(pictures, state, steps, settings), settings, places.checkpoint, say)


def _run(state: State, batches: Iterator, settings: Settings, checkpoint: Path, say) -> None:
    loss_of = _loss(state.net)
    began, before, shown = time.monotonic(), state.seconds, []
    state.net.train()
    for images, targets, done in batches:
        shown.append(_learn(state, images, targets, loss_of, _rate(done, settings)))
        _average(state, settings.average)
        state.step += 1
        state.seconds = before + time.monotonic() - began
        if state.step % 20 == 0:
            box, score, edge = np.mean(shown, 0)
            say(
                f"step {state.step} done {done:.3f} box {box:.3f} score {score:.3f} edge {edge:.3f} "
                f"{state.seconds:.0f} s "
                f"{(state.seconds - before) / len(shown) / settings.batch * 1e3:.0f} ms/picture"
            )
            before, began, shown = state.seconds, time.monotonic(), []
        if state.step % settings.save_every == 0:
            save_checkpoint(state, settings, checkpoint)
    save_checkpoint(state, settings, checkpoint)


def _rate(done: float, settings: Settings) -> float:
    """Learning rate after a share ``done`` of the run: linear rise, then half a cosine."""
    if done < WARM_UP:
        return settings.rate * (0.02 + 0.98 * done / WARM_UP)
    wave = 0.5 + 0.5 * math.cos(math.pi * min(1.0, (done - WARM_UP) / (1 - WARM_UP)))
    return settings.rate * (LAST_RATE + (1 - LAST_RATE) * wave)


def _learn(state: State, images: torch.Tensor, targets: dict, loss_of, rate: float) -> np.ndarray:
    """One step of gradient descent; the three parts of the loss (box, score, edge distribution)."""
    device = next(state.net.parameters()).device
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    floats = (
        images.to(device).permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)
    )
    with torch.autocast(device.type, torch.bfloat16):  # 1.7 times as fast on CPUs with bfloat16 units
        raw = state.net.predict(floats)
    raw = {"boxes": raw["boxes"].float(), "scores": raw["scores"].float(), "feats": raw["feats"]}
    loss, _ = loss_of(raw, {key: value.to(device) for key, value in targets.items()})
    state.optimizer.zero_grad(set_to_none=True)
    loss.sum().backward()
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), 10.0 * len(images))
    state.optimizer.step()
    parts = loss.detach().cpu().numpy() / len(images)
    if not np.isfinite(parts).all():
        raise CrowdmoodError(f"the loss is {parts} at step {state.step}; start again with a lower --rate")
    return parts


@torch.no_grad()
def _average(state: State, keep: float) -> None:
    """Move the averaged weights towards the net's; faster in the beginning, when the net is far away."""
    keep = min(keep, (1 + state.step) / (20 + state.step))
    for name, value in state.net.state_dict().items():
        if value.is_floating_point():
            state.averaged[name].lerp_(value, 1 - keep)
        else:
            state.averaged[name].copy_(value)


def _batches(
    pictures: Pictures, state: State, steps: int, settings: Settings
) -> Iterator[tuple[torch.Tensor, dict, float]]:
    """Batches from the state's step to the end of the run, each with the share of the run that is behind it.

    The next one is made in a thread while the net works on this one.
    """

    def done(step: int) -> float:
        limit = settings.minutes * 60
        return max(step / steps, state.seconds / limit if limit else 0.0)

    with ThreadPoolExecutor(1) as maker:
        waiting = maker.submit(make_batch, pictures, state.step, settings, done(state.step))
        while done(state.step) < 1:
            ready = waiting.result()
            after = state.step + 1
            waiting = maker.submit(make_batch, pictures, after, settings, done(after))
            yield *ready, done(state.step)


def make_batch(pictures: Pictures, step: int, settings: Settings, done: float) -> tuple[torch.Tensor, dict]:
    """Batch number ``step``: images uint8 (n, size, size, 3) and the targets in the form the loss wants.

    Depends on the arguments only. The last tenth of a run has no mosaics, as real pictures have none.
    """
    first = step * settings.batch
    length = epoch_length(pictures)
    mosaic = settings.mosaic if done < LAST_MOSAIC else 0.0
    images, boxes = [], []
    orders: dict[int, np.ndarray] = {}
    for nth in range(first, first + settings.batch):
        epoch = nth // length
        if epoch not in orders:
            orders[epoch] = epoch_order(pictures, np.random.default_rng([settings.seed, 1, epoch]))
        rng = np.random.default_rng([settings.seed, 2, nth])
        if rng.random() < settings.crowds:
            image, found = made_up(pictures, settings.imgsz, rng)
            image = spoil(image, rng)
        else:
            at = int(orders[epoch][nth % length])
            image, found = make_sample(pictures, at, settings.imgsz, rng, mosaic)
        images.append(image)
        boxes.append(found)
    return torch.from_numpy(np.stack(images)), _targets(boxes, settings.imgsz)


def _targets(boxes: list[np.ndarray], size: int) -> dict[str, torch.Tensor]:
    """Boxes per picture as the loss wants them: centre and size as shares of the picture, and whose."""
    every = torch.from_numpy(np.concatenate(boxes)) / size
    whose = torch.from_numpy(np.repeat(np.arange(len(boxes)), [len(one) for one in boxes]))
    middle = torch.cat([(every[:, :2] + every[:, 2:]) / 2, every[:, 2:] - every[:, :2]], 1)
    return {"batch_idx": whose, "cls": torch.zeros(len(every), 1), "bboxes": middle}


def _loss(net: torch.nn.Module):
    quiet_ultralytics()
    from ultralytics.utils.loss import v8DetectionLoss

    net.args = LOSS_GAINS
    return v8DetectionLoss(net)


def _begin(places: Places, settings: Settings, device: str) -> State:
    """A fresh state from the start weights, or the checkpoint's."""
    torch.manual_seed(settings.seed)
    net = new_face_network(settings.architecture)
    checkpoint = read_checkpoint(places.checkpoint)
    if checkpoint is None and places.start is not None:
        begin_with(start_weights(places.start), net, settings.architecture)
    net.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(_groups(net, settings.weight_decay), lr=settings.rate)
    state = State(net, {name: value.clone() for name, value in net.state_dict().items()}, optimizer)
    if checkpoint is not None:
        if json.loads(checkpoint["settings"]) != asdict(settings):
            raise CrowdmoodError(f"{places.out} holds a run of other settings; use them or --restart")
        net.load_state_dict(checkpoint["net"])
        state.averaged = {name: value.to(device) for name, value in checkpoint["averaged"].items()}
        optimizer.load_state_dict(checkpoint["optimizer"])
        state.step, state.seconds = checkpoint["step"], checkpoint["seconds"]
    return state


def _groups(net: torch.nn.Module, decay: float) -> list[dict]:
    """Weight decay for filters only, not for biases and normalisation."""
    learned = [one for one in net.parameters() if one.requires_grad]
    return [
        {"params": [one for one in learned if one.ndim > 1], "weight_decay": decay},
        {"params": [one for one in learned if one.ndim <= 1], "weight_decay": 0.0},
    ]


def save_checkpoint(state: State, settings: Settings, path: Path) -> None:
    """Write everything a run needs to go on; a kill leaves the former checkpoint or this one."""
    content = {
        "net": state.net.state_dict(),
        "averaged": state.averaged,
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "settings": json.dumps(asdict(settings)),
        "device": next(state.net.parameters()).device.type,
    }
    with write_aside(path) as aside:
        torch.save(content, aside)


def read_checkpoint(path: Path) -> dict | None:
    """A checkpoint's content (tensors and numbers, no code), or None when there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None
