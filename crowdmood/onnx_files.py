"""Networks as ONNX files of half the size: filters stored as float16 and widened when the file is loaded."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from crowdmood.errors import CrowdmoodError

OPSET = 17


def save_onnx(net: torch.nn.Module, example: torch.Tensor, path: Path, axes: dict[str, dict[int, str]]) -> None:
    """Write a network of one input and one output. axes: the input's and the output's name, in this order, each with
    the axes of any length. Raises CrowdmoodError when the package onnx is missing.
    """
    try:
        import onnx  # noqa: F401  torch needs it to write
    except ImportError as error:
        raise CrowdmoodError("writing ONNX needs the package onnx: pip install 'crowdmood[train]'") from error
    names = list(axes)
    with warnings.catch_warnings():
        # The tracer's remarks about constants, and that it is the older exporter.
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (example,), str(path), input_names=names[:1], output_names=names[1:],
                          dynamic_axes=axes, opset_version=OPSET, dynamo=False)
    store_half(path)


def store_half(path: Path) -> None:
    """Rewrite an ONNX file so that its float32 filters are float16, each with a Cast to float32 behind it.

    Runtimes fold the casts when they load the file, so nothing becomes slower and computing stays in float32; the
    weights lose 13 of 24 bits. Vectors (biases) stay as they are.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            name, values = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    onnx.save(model, path)
