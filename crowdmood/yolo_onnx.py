"""A face network as an ONNX file, checked against the torch network it comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from crowdmood.errors import ModelError
from crowdmood.files import write_aside
from crowdmood.onnx_files import save_onnx


def write_onnx(net: torch.nn.Module, path: Path) -> None:
    """Write a FaceNetwork as ONNX with any batch size, height and width, and check it.

    Raises ModelError when the graph differs from the torch network, CrowdmoodError when the package onnx is missing.
    """
    axes = {"images": {0: "n", 2: "h", 3: "w"}, "output0": {0: "n", 2: "anchors"}}
    with write_aside(path) as aside:
        save_onnx(net, torch.zeros(2, 3, 96, 128), aside, axes)
        check_onnx(net, aside)


def check_onnx(net: torch.nn.Module, path: Path) -> None:
    """Compare an ONNX file with the torch network on noise of two sizes. Raises ModelError beyond 1 px or
    1e-3.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for seed, shape in enumerate([(1, 3, 160, 224), (3, 3, 96, 64)]):
        images = np.random.default_rng(seed).random(shape, np.float32)
        expected = net(torch.from_numpy(images)).numpy()
        found = session.run(None, {"images": images})[0]
        apart = np.abs(found - expected).max((0, 2)) if found.shape == expected.shape else np.full(5, np.inf)
        if apart[:4].max() > 1 or apart[4] > 1e-3:
            raise ModelError(f"{path.name} differs from the torch network by {apart}")
