"""How an expression net is trained, where a training is, and the checkpoint that keeps both."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from crowdmood.errors import CrowdmoodError
from crowdmood.expression_net import ExpressionNet, Shape
from crowdmood.files import write_aside
from crowdmood.labels import EXPRESSIONS

USUAL = Shape()
PLAIN = ("step", "epoch", "batch", "seconds", "finished", "history", "learned", "batches")
# A training that goes on may have another budget and another machine; all else must be as it was begun with.
FREE = ("minutes", "epochs", "threads", "save_every_s", "begin_with", "device", "early_stopping")


@dataclass(frozen=True)
class Settings:
    """How to train. Exactly one of `minutes` and `epochs` is set. begin_with: a model folder to go on from, None for
    weights by chance; device: cpu, cuda or cuda:N; augmentation: share of the faces that are changed, 0..1;
    class_weights: none, balanced, or some as 'fear=3,disgust=4'; early_stopping: epochs without a smaller loss on
    public_test after which the training ends and the best weights are kept, None: never; split_seed: of missing splits.
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
    labels: tuple[str, ...] = EXPRESSIONS
    widths: tuple[int, ...] = USUAL.widths
    blocks: tuple[int, ...] = USUAL.blocks
    dropout: float = USUAL.dropout
    units: int = USUAL.units
    augmentation: float = 1.0
    class_weights: str = "none"
    early_stopping: int | None = None
    split_seed: int = 0

    @property
    def shape(self) -> Shape:
        """The net's."""
        return Shape(self.widths, self.blocks, self.dropout, units=self.units, classes=len(self.labels))


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
    history: list[dict] = field(default_factory=list)  # figures on public_test after each epoch
    learned: float = 0.0  # sum of the losses of this epoch's batches
    batches: int = 0  # how many these are
    best: dict | None = None  # epoch, loss and weights of the smallest loss so far, where that ends the training

    def result(self) -> ExpressionNet:
        """The net that the training gives: the running average, or the best one that there was of it."""
        if self.best is not None:
            self.average.load_state_dict(self.best["weights"])
        return self.average


def start(settings: Settings) -> State:
    """A fresh state, its weights drawn from the seed."""
    torch.manual_seed(settings.seed)
    net = ExpressionNet(settings.shape).to(settings.device, memory_format=torch.channels_last)
    average = ExpressionNet(settings.shape).to(settings.device)
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


def save_checkpoint(path: Path, state: State, settings: Settings) -> None:
    """Writes everything that the next process needs to go on, aside first, then renamed."""
    content = {
        "plain": {name: getattr(state, name) for name in PLAIN},
        "settings": asdict(settings),
        "net": state.net.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "rng": state.rng.get_state(),
        "dropout_rng": torch.get_rng_state(),
        "best": state.best,
    }
    with write_aside(path) as aside:
        torch.save(content, aside)


def load_checkpoint(path: Path, settings: Settings | None = None) -> State:
    """Reads a checkpoint; no code in it is run. Raises CrowdmoodError where it is damaged or was made with
    other settings than these.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        kept = _settings(content)
        state = start(replace(kept, device=settings.device if settings else "cpu"))
        state.net.load_state_dict(content["net"])
        state.average.load_state_dict(content["average"])
        state.optimizer.load_state_dict(content["optimizer"])
    except Exception as error:  # torch raises many kinds here, all of which mean the same
        raise CrowdmoodError(f"{path}: not a checkpoint of this training ({error}); use --fresh") from error
    if settings:
        _check_same(path, kept, settings)
    state.rng.set_state(content["rng"])
    torch.set_rng_state(content["dropout_rng"])
    for name, value in content["plain"].items():
        setattr(state, name, value)
    state.best = content.get("best")
    return state


def kept_settings(path: Path) -> Settings:
    """What a checkpoint was trained with."""
    return _settings(torch.load(path, map_location="cpu", weights_only=True))


def _settings(content: dict) -> Settings:
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in content["settings"].items()}
    return Settings(**plain)


def _check_same(path: Path, kept: Settings, settings: Settings) -> None:
    before, now = asdict(kept), asdict(settings)
    changed = [name for name in before if name not in FREE and before[name] != now[name]]
    if changed:
        said = ", ".join(f"{name} {_said(before[name])}, not {_said(now[name])}" for name in changed)
        raise CrowdmoodError(f"{path}: was begun with {said}; use the same or --fresh")


def _said(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
