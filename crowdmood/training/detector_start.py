"""What a training of the face detector starts from: a model folder, or COCO weights of the architecture."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from crowdmood.errors import CrowdmoodError
from crowdmood.models import FACE_DETECTOR, find_model
from crowdmood.yolo_net import unpickled


def start_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a model folder, or of an ultralytics .pt file: a pickle of a whole model, and loading it
    runs what it says."""
    if not path.exists():
        raise CrowdmoodError(f"{path} is not there; give COCO weights of the architecture, or a model folder, with --start")
    if path.is_dir():
        return load_file(find_model(FACE_DETECTOR, path).file("weights.safetensors"))
    return unpickled(path).state_dict()


def begin_with(weights: dict[str, torch.Tensor], net: torch.nn.Module, architecture: str) -> None:
    """Give a fresh network the start weights that fit it. Raises CrowdmoodError when most of them do not."""
    own = net.state_dict()
    fitting = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    if len(fitting) < len(own) // 2:
        raise CrowdmoodError(f"only {len(fitting)} of {len(own)} tensors of the start weights fit {architecture}")
    net.load_state_dict(fitting, strict=False)
