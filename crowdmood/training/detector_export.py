"""From a checkpoint to a model folder: safetensors, ONNX, the score threshold, the card and its page."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.files import sha256_of, write_aside
from crowdmood.models import FACE_DETECTOR, Model
from crowdmood.runtimes import choose_device, load_network
from crowdmood.training.detector import Places, read_checkpoint
from crowdmood.training.detector_card import CardFacts, write_card
from crowdmood.training.detector_data import hold_out, training_files
from crowdmood.training.detector_evaluation import (
    BANDS,
    Detector,
    average_precision,
    curve,
    network_detector,
    outcome,
    score_at,
)
from crowdmood.training.scenes import scene
from crowdmood.yolo_net import face_network, save_face_weights
from crowdmood.yolo_onnx import write_onnx

NMS_IOU = 0.45  # 0.5 leaves two boxes on some profiles; faces side by side hardly ever overlap as much
IMGSZ = 640  # longer side at which the threshold is chosen and the product looks for faces
WANTED_PRECISION = 0.93  # 0.9 finds half a point more faces and half as many false ones again
QUIET = 200  # pictures without a face in which there may be one false face
SCENES = 400  # made for choosing; evaluation makes others


def export_detector(places: Places, folder: Path, note: str = "", say=print) -> Path:
    """Write the averaged weights of the checkpoint as a model folder; return the folder. note: for the card.

    The score threshold is the lowest that gives a precision of 0.93 (or the best there is) on the human-drawn
    pictures that training held out, and at most one false face in 200 generated scenes. Raises CrowdmoodError when there is no checkpoint, ModelError when the
    ONNX graph differs from the torch network.
    """
    checkpoint = read_checkpoint(places.checkpoint)
    if checkpoint is None:
        raise CrowdmoodError(f"{places.checkpoint} is not there; train first")
    settings = json.loads(checkpoint["settings"])
    with write_aside(folder / "weights.safetensors") as aside:
        save_face_weights(checkpoint["averaged"], settings["architecture"], aside)
        aside.chmod(0o644)  # safetensors makes it readable for its owner only
    write_onnx(face_network(folder / "weights.safetensors"), folder / "model.onnx")
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
        settings=settings,
        data={path.name: sha256_of(path) for path in training_files(places.data)},
        start=_start_sha256(places.start),
        held=held,
        nms_iou=NMS_IOU,
        device=checkpoint.get("device", "cpu"),
        note=note,
        imgsz=IMGSZ,
    )
    write_card(folder, facts)
    return folder


def _start_sha256(start: Path | None) -> str:
    if start is None:
        return "random"
    return sha256_of(start / "weights.safetensors" if start.is_dir() else start)


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
    precise = score_at(result, WANTED_PRECISION)[0]
    score = max(precise, _quiet_score(find))
    shown = max(1, int((result.score >= score).sum())) - 1
    return {
        "pictures": len(held),
        "faces": int(result.faces.sum()),
        "ap": average_precision(precision, recall),
        "recall": float(recall[shown]),
        "precision": float(precision[shown]),
        "precise_score": precise,
        "scenes": SCENES,
        "score": score,
    }


def _quiet_score(find: Detector) -> float:
    """The lowest score down to which at most one false face comes in 200 generated scenes."""
    scores = [
        find(scene(np.random.default_rng([SCENES, nth]), IMGSZ, IMGSZ * 9 // 16))[1] for nth in range(SCENES)
    ]
    falsely = np.sort(np.concatenate(scores))[::-1]
    allowed = SCENES // QUIET
    return float(falsely[allowed]) + 0.001 if len(falsely) > allowed else 0.0
