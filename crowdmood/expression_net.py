"""The expression net: a small residual network on grey 48 x 48 crops.

Input: float32 (n, 1, 48, 48), grey values 0..255 (the net scales each crop itself). Output: float32 (n, 7),
logits in the order of `crowdmood.labels.EXPRESSIONS`, or of the card's `labels` where a net was trained on some of
them; probabilities are softmax(logits / temperature), with the temperature in the model's card.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from crowdmood.labels import EXPRESSIONS

SIDE = 48
WRITTEN = ("widths", "blocks", "mirror", "units", "classes")  # of the shape, into the file of weights


@dataclass(frozen=True)
class Shape:
    """Widths of the four stages (24, 12, 6 and 3 cells a side) and how many blocks each has; mirror: in use, a
    crop is looked at as it is and mirrored, and the mean of the features counts; units: of a layer between the features
    and the heads, 0 for none; classes: how many labels there are.
    """

    widths: tuple[int, ...] = (32, 96, 192, 256)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    dropout: float = 0.3
    mirror: bool = True
    units: int = 0
    classes: int = len(EXPRESSIONS)


class Standardize(nn.Module):
    """Gives each crop mean 0 and deviation 1, so that light and contrast of a scene matter little."""

    def forward(self, crops: Tensor) -> Tensor:
        kind, crops = (
            crops.dtype,
            crops.float(),
        )  # a square of 255 is at the edge of what half precision holds
        centred = crops - crops.mean(dim=(2, 3), keepdim=True)
        # The constant keeps a nearly flat crop (a dark stage) from being blown up to pure noise.
        deviation = (centred.square().mean(dim=(2, 3), keepdim=True) + 16.0).sqrt()
        return (centred / deviation).to(kind)


def _convolve(inside: int, outside: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inside, outside, side, stride, side // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outside))


class Block(nn.Module):
    """Two 3 x 3 convolutions and a way around them."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = _convolve(inside, outside, 3, stride)
        self.second = _convolve(outside, outside)
        changes = stride != 1 or inside != outside
        self.around = _convolve(inside, outside, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(functional.relu(self.first(x), inplace=True))
        return functional.relu(y + self.around(x), inplace=True)


class ExpressionNet(nn.Module):
    """Residual net with two heads that share everything but the last layer.

    `votes` predicts how people's votes are distributed (FERPlus), `label` the single FER2013 label. `forward`
    gives the logits of `votes`; `both` gives the two, as training needs them.
    """

    def __init__(self, shape: Shape = Shape()) -> None:
        super().__init__()
        self.shape = shape
        self.standardize = Standardize()
        self.stem = _convolve(1, shape.widths[0], 5, 2)
        inside, stages = shape.widths[0], []
        for stage, (width, count) in enumerate(zip(shape.widths, shape.blocks, strict=True)):
            for index in range(count):
                stages.append(Block(inside, width, 2 if stage and not index else 1))
                inside = width
        self.body = nn.Sequential(*stages)
        self.hidden = nn.Sequential(nn.Linear(inside, shape.units), nn.ReLU()) if shape.units else nn.Identity()
        self.dropout = nn.Dropout(shape.dropout)
        self.votes = nn.Linear(shape.units or inside, shape.classes)
        self.label = nn.Linear(shape.units or inside, shape.classes)

    def features(self, crops: Tensor) -> Tensor:
        """(n, 1, 48, 48) grey 0..255 -> (n, last width), or (n, units)."""
        found = self._features(crops)
        if self.shape.mirror and not self.training:
            found = (found + self._features(crops.flip(3))) / 2
        return self.dropout(self.hidden(found))

    def _features(self, crops: Tensor) -> Tensor:
        x = functional.relu(self.stem(self.standardize(crops)), inplace=True)
        return self.body(x).mean(dim=(2, 3))

    def both(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the two heads, each (n, 7)."""
        features = self.features(crops)
        return self.votes(features), self.label(features)

    def forward(self, crops: Tensor) -> Tensor:
        return self.votes(self.features(crops))


def count_parameters(net: nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(parameter.numel() for parameter in net.parameters())


@torch.no_grad()
def count_multiplications(net: ExpressionNet) -> int:
    """Multiply-adds of one crop (and its mirror image) through the convolutions and the head."""
    total = 0

    def add(layer: nn.Module, _: tuple, output: Tensor) -> None:
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()

    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    training = net.training
    net.eval()(torch.zeros(1, 1, SIDE, SIDE))
    net.train(training)
    for hook in hooks:
        hook.remove()
    return total


def expression_network(weights: Path | str) -> ExpressionNet:
    """The net with the weights of a model folder's `weights.safetensors`, in float32, ready to be asked.

    Raises ValueError where the file does not fit this net.
    """
    with safe_open(weights, framework="pt") as file:
        facts = file.metadata() or {}
        state = {name: file.get_tensor(name).float() for name in file.keys()}
    if "shape" not in facts:
        raise ValueError(f"{weights}: does not say which shape of net it is for")
    shape = {"mirror": False} | json.loads(facts["shape"])
    net = ExpressionNet(Shape(**{name: tuple(value) if isinstance(value, list) else value for name, value in shape.items()}))
    found = net.load_state_dict(state, strict=False)
    missing = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or found.unexpected_keys:
        raise ValueError(
            f"{weights}: does not fit the net (missing {missing}, unexpected {found.unexpected_keys})"
        )
    return net.eval()


def save_weights(net: ExpressionNet, path: Path | str) -> None:
    """Writes what `expression_network` reads: matrices as float16, norms and biases as float32."""
    state = {
        name: value.half() if value.ndim > 1 else value
        for name, value in net.state_dict().items()
        if value.is_floating_point()
    }
    # One entry only: safetensors writes several in random order, and equal nets shall be equal files.
    facts = {"shape": json.dumps({name: getattr(net.shape, name) for name in WRITTEN})}
    save_file({name: value.contiguous() for name, value in state.items()}, path, facts)
