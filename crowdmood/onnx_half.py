"""ONNX files of half the size: filters stored as float16 and widened when the file is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np


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
