"""A user's own ultralytics detector (`.pt`) as a model folder: read once, kept as ONNX in the user's cache.

A `.pt` file is a pickle: reading it runs whatever code is in it. That happens once for each content of the file,
and is announced; afterwards only the ONNX file is used, checked by its sha256 as every model is.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from crowdmood.errors import ModelError
from crowdmood.files import cache_folder, sha256_of, write_aside
from crowdmood.models import FACE_DETECTOR, Model, find_model

if TYPE_CHECKING:
    import torch


def find_detector(choice: Path | str | None = None) -> Model:
    """The face detector of a model folder, of a user's `.pt` file, or (None) the one that ships. Raises ModelError."""
    if choice is not None and Path(choice).suffix == ".pt":
        choice = own_detector(Path(choice))
    return find_model(FACE_DETECTOR, choice)


def own_detector(path: Path) -> Path:
    """The model folder of a `.pt` file, made if it is not there yet.

    Any model of ultralytics that finds boxes and has a class 'face', or only one class, will do. Raises ModelError
    when the file cannot be read or finds no faces.
    """
    if not path.is_file():
        raise ModelError(f"no detector {path}: the file is not there")
    digest = sha256_of(path)
    folder = cache_folder() / "models" / f"{path.stem}-{digest[:12]}"
    if not (folder / "card.toml").exists():
        logging.getLogger("crowdmood").warning(
            "%s is a pickle: reading it runs the code in it. It is read once and kept as ONNX in %s.", path, folder)
        _convert(path, digest, folder)
    return folder


def _convert(path: Path, digest: str, folder: Path) -> None:
    """Write the model folder. torch is imported here: only the first use of a file needs it."""
    import tomli_w

    from crowdmood.yolo_net import FaceNetwork
    from crowdmood.yolo_onnx import write_onnx

    folder.mkdir(parents=True, exist_ok=True)
    net = _read(path)
    parameters = sum(one.numel() for one in net.parameters())
    write_onnx(FaceNetwork(net, _face_class(net, path)), folder / "model.onnx")
    with write_aside(folder / "card.toml") as aside:
        aside.write_text(tomli_w.dumps(_card(path, digest, folder, parameters)), encoding="utf-8")


def _read(path: Path) -> torch.nn.Module:
    from crowdmood.yolo_net import unpickled

    try:
        net = unpickled(path)
    except Exception as error:  # a pickle can raise anything
        raise ModelError(f"{path} is not a model of ultralytics: {type(error).__name__}: {error}") from error
    if not hasattr(net, "names") or not hasattr(net.model[-1], "forward_head"):
        raise ModelError(f"{path} holds a {type(net).__name__}, which does not find boxes")
    return net


def _face_class(net: torch.nn.Module, path: Path) -> int:
    names = list(net.names.values() if isinstance(net.names, dict) else net.names)
    fitting = [number for number, name in enumerate(names) if "face" in name.lower()]
    if len(names) == 1:
        return 0
    if not fitting:
        raise ModelError(f"{path} finds {', '.join(names[:3])} ...; none of its {len(names)} classes is a face")
    return fitting[0]


def _card(path: Path, digest: str, folder: Path, parameters: int) -> dict:
    return {
        "kind": FACE_DETECTOR,
        "name": path.stem,
        "version": 0,
        "architecture": "a model of ultralytics",
        "parameters": parameters,
        "labels": ["face"],
        "licence": "not known",
        "provenance": f"the user's own {path.name}, sha256 {digest}",
        "limits": "Not known.",
        "input": {"name": "images", "channels": "RGB", "layout": "NCHW", "scale": 255.0, "multiple_of": 32},
        "files": {"model.onnx": sha256_of(folder / "model.onnx")},
    }
