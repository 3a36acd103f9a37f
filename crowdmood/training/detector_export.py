"""From a checkpoint to a model folder: safetensors, ONNX, the score threshold, the card and its page."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from crowdmood.errors import CrowdmoodError, ModelError
from crowdmood.files import sha256_of, write_aside
from crowdmood.models import FACE_DETECTOR, Model
from crowdmood.runtimes import choose_device, load_network
from crowdmood.training.detector import Places, read_checkpoint
from crowdmood.training.detector_card import CardFacts, write_card
from crowdmood.training.detector_data import hold_out, training_files
from crowdmood.training.detector_evaluation import (
    BANDS,
    average_precision,
    curve,
    network_detector,
    outcome,
    recall_at,
    score_at,
)
from crowdmood.yolo_net import face_network

NMS_IOU = 0.45  # 0.5 leaves two boxes on some profiles; faces side by side hardly ever overlap as much
IMGSZ = 640  # longer side at which the threshold is chosen and the product looks for faces
WANTED_PRECISION = 0.93  # 0.9 finds half a point more faces and half as many false ones again
ONNX_OPSET = 17


def export_detector(places: Places, folder: Path, note: str = "", say=print) -> Path:
    """Write the averaged weights of the checkpoint as a model folder; return the folder. note: for the card.

    The score threshold is the lowest that gives a precision of 0.93 (or the best there is) on the human-drawn
    pictures that training held out. Raises CrowdmoodError when there is no checkpoint, ModelError when the
    ONNX graph differs from the torch network.
    """
    checkpoint = read_checkpoint(places.checkpoint)
    if checkpoint is None:
        raise CrowdmoodError(f"{places.checkpoint} is not there; train first")
    with write_aside(folder / "weights.safetensors") as aside:
        save_file(stored(checkpoint["averaged"]), aside)
        aside.chmod(0o644)  # safetensors makes it readable for its owner only
    write_onnx(folder / "weights.safetensors", folder / "model.onnx")
    held = _choose_threshold(places, folder)
    say(
        f"step {checkpoint['step']}: on {held['pictures']} held-out pictures AP {held['ap']:.3f}, recall "
        f"{held['recall']:.3f} at precision {held['precision']:.3f}, score {held['score']:.3f}"
    )
    if held["precision"] < WANTED_PRECISION:
        say(f"No score gives a precision of {WANTED_PRECISION}: this detector is not ready for use.")
    facts = CardFacts(
        step=checkpoint["step"],
        seconds=checkpoint["seconds"],
        settings=json.loads(checkpoint["settings"]),
        data={path.name: sha256_of(path) for path in training_files(places.data)},
        start=sha256_of(places.start),
        held=held,
        nms_iou=NMS_IOU,
        device=checkpoint.get("device", "cpu"),
        note=note,
        imgsz=IMGSZ,
    )
    write_card(folder, facts)
    return folder


def stored(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Filters as float16, everything else as float32 (running variances may lie below float16's range)."""
    return {
        name: (value.half() if value.ndim > 1 else value.float()).contiguous()
        for name, value in weights.items()
        if not name.endswith("num_batches_tracked")
    }


def write_onnx(weights: Path, path: Path) -> None:
    """Write the network of a safetensors file as ONNX with any batch size, height and width, and check it."""
    net = face_network(weights)
    names = {"images": {0: "n", 2: "h", 3: "w"}, "output0": {0: "n", 2: "anchors"}}
    with write_aside(path) as aside, warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the tracer's remarks about constants, and that it is the older exporter
        torch.onnx.export(
            net,
            (torch.zeros(2, 3, 96, 128),),
            str(aside),
            input_names=["images"],
            output_names=["output0"],
            dynamic_axes=names,
            opset_version=ONNX_OPSET,
            dynamo=False,
        )
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


def _choose_threshold(places: Places, folder: Path) -> dict:
    """Score at the wanted precision on the held-out pictures, with the figures measured there."""
    every = places.pictures()
    held = every.take(hold_out(every)[1])
    card = {
        "kind": FACE_DETECTOR,
        "name": folder.name,
        "input": {"scale": 255.0},
        "files": {"model.onnx": sha256_of(folder / "model.onnx")},
    }
    network = load_network(Model(folder, card), choose_device("cpu", "openvino", max(1, cv2.getNumThreads())))
    find = network_detector(network, IMGSZ, NMS_IOU)
    if not len(held):
        raise CrowdmoodError(
            "the data is too small: none of its human-drawn pictures is held out for the threshold"
        )
    result = outcome([find(held.read(at)) for at in range(len(held))], held.boxes, BANDS["24+"])
    precision, recall = curve(result)
    score, reached = score_at(result, WANTED_PRECISION)
    return {
        "pictures": len(held),
        "faces": int(result.faces.sum()),
        "ap": average_precision(precision, recall),
        "recall": recall_at(precision, recall, reached),
        "precision": reached,
        "score": score,
    }
