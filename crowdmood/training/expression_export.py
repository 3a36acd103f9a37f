"""From a checkpoint to a model folder: weights, ONNX file, card and README."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tomli_w
import torch

from crowdmood.errors import CrowdmoodError
from crowdmood.expression_net import (
    SIDE,
    ExpressionNet,
    count_multiplications,
    count_parameters,
    expression_network,
    save_weights,
)
from crowdmood.files import sha256_of, write_aside
from crowdmood.labels import EXPRESSIONS
from crowdmood.models import EXPRESSION_NET, read_model
from crowdmood.onnx_files import save_onnx
from crowdmood.training.expression import State, load_checkpoint
from crowdmood.training.expression_data import LabelledFaces, read_faces, training_rows
from crowdmood.training.expression_evaluation import (
    evaluate,
    shipped_logits,
    torch_logits,
)
from crowdmood.training.expression_figures import add_figures
from crowdmood.training.expression_thresholds import choose_thresholds, fit_temperature

AGREEMENT = 2e-3  # filters are kept as float16, after their normalisation was folded into them

# The margin at which faces of `public_test` pasted into a film are read best (training.end_to_end, boxes by face-2):
# 90.9 % of 2,242 looks at 1.12, 90.1 at 1.04, 90.6 at 1.16; 91.3 at the crops' very place. The others are medians over 582 faces in
# photographs, boxes by face-1 (training.expression_margin).
GEOMETRY = {"margin": 1.12, "shift_y": 0.003, "size_ratio": 0.917}

LICENCE = "AGPL-3.0-or-later for the weights; the pictures they were learned from have terms of their own"
PROVENANCE = (
    "trained from random weights by `crowdmood train expression` on FER2013 pictures with FERPlus votes"
)
LIMITS = (
    "Reads the expression shown, not what a person feels. Not for decisions about single persons. "
    "Faint smiles with a closed mouth are often read as neutral. "
    "No labels of skin tone, age or origin were there to learn or to choose by; differences between groups "
    "are hardly known."
)


def write_model(checkpoint: Path, data: Path, folder: Path) -> Iterator[str]:
    """Writes the averaged weights of a checkpoint as a model folder, calibrated on public_test and measured
    on private_test. A model that is there already stays as it is until the new one is complete.

    Yields lines that say what was found. Raises CrowdmoodError where ONNX Runtime and torch disagree, or no
    face of public_test has a majority of votes.
    """
    state, faces = load_checkpoint(checkpoint), read_faces(data)
    judge = faces.where((faces.split == "public_test") & (faces.majority >= 0))
    if not len(judge):
        raise CrowdmoodError(f"{data}: no row of the split 'public_test' has a majority of votes")
    heads = choose_head(state.average, judge)
    yield "public_test, majority: " + ", ".join(f"{name} {found:.2%}" for name, found in heads.items())
    facts = training_facts(state, checkpoint, data, folder.resolve().name)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=folder.parent) as building:
        yield from _build(Path(building), state, faces, facts)
        # The card last: until then the old one says that the new weights are not its own.
        for made in sorted(Path(building).iterdir(), key=lambda path: path.name == "card.toml"):
            with write_aside(folder / made.name) as aside:
                aside.write_bytes(made.read_bytes())
    yield f"model written to {folder}"


def _build(folder: Path, state: State, faces: LabelledFaces, facts: dict) -> Iterator[str]:
    """Writes the model's files to an empty folder."""
    judge = faces.where((faces.split == "public_test") & (faces.majority >= 0))
    save_weights(state.average, folder / "weights.safetensors")
    net = expression_network(folder / "weights.safetensors")
    write_onnx(net, folder / "model.onnx")
    facts["faces_in_train"] = int((faces.split == "train").sum())
    facts["faces_learned_from"] = int(training_rows(faces).sum())
    card = describe(facts.pop("name"), net) | {"training": facts}
    card["files"] = {file: sha256_of(folder / file) for file in ("weights.safetensors", "model.onnx")}
    _write_card(folder, card)
    yield f"ONNX Runtime and torch differ by at most {compare(folder, net, judge.images):.1e}"
    calibrate(folder, card, judge)
    figures = evaluate(faces, read_model(folder), threads=len(os.sched_getaffinity(0)))
    figures["command"] = f"crowdmood evaluate expression --data {facts['data']} --model MODEL"
    add_figures(folder, faces=figures, course=state.history)
    right = {name: f"{figures[name]['accuracy']:.2%}" for name in ("majority", "clear")}
    yield (
        f"private_test: majority {right['majority']}, clear majority {right['clear']}, "
        f"calibration error {figures['ece']:.3f}"
    )


def choose_head(net: ExpressionNet, judge: LabelledFaces) -> dict[str, float]:
    """Accuracy on public_test of the votes' head and of the mean of both; where the mean is better,
    `votes` becomes it.
    """
    with_label = deepcopy(net)
    with_label.votes = with_label.label  # `forward` is what ships: it asks the head `votes`
    votes, label = torch_logits(net)(judge.images), torch_logits(with_label)(judge.images)
    found = {"votes": votes, "mean": (votes + label) / 2}
    right = {name: float((logits.argmax(axis=1) == judge.majority).mean()) for name, logits in found.items()}
    if right["mean"] > right["votes"]:
        with torch.no_grad():  # the mean of two linear layers is a linear layer
            net.votes.weight.copy_((net.votes.weight + net.label.weight) / 2)
            net.votes.bias.copy_((net.votes.bias + net.label.bias) / 2)
    return right


def write_onnx(net: ExpressionNet, path: Path) -> None:
    """Writes the net as ONNX: input `crops` float32 (n, 1, 48, 48), grey 0..255; output `logits` (n, 7)."""
    example = torch.rand(2, 1, SIDE, SIDE) * 255
    save_onnx(net, example, path, {"crops": {0: "n"}, "logits": {0: "n"}})


def compare(folder: Path, net: ExpressionNet, images: np.ndarray) -> float:
    """Largest difference of a logit between the folder's ONNX file and torch, over at most 512 faces and
    some edge cases.
    """
    flat = np.stack([np.full((SIDE, SIDE), grey, np.uint8) for grey in (0, 128, 255)])
    images = np.concatenate([images[:512], flat])
    expected = torch_logits(net)(images)
    found = float(np.abs(shipped_logits(read_model(folder))(images) - expected).max())
    # A net at the start of its training has logits of 50 and more; float32 cannot agree to 1e-4 there.
    allowed = AGREEMENT * max(1.0, float(np.abs(expected).max()))
    if found > allowed:
        raise CrowdmoodError(
            f"model.onnx differs from torch by {found:.1e} (at most {allowed:.0e} is allowed)"
        )
    return found


def calibrate(folder: Path, card: dict, judge: LabelledFaces) -> None:
    """Fills in the card's temperature and thresholds, from public_test."""
    logits = shipped_logits(read_model(folder), len(os.sched_getaffinity(0)))
    card["temperature"] = fit_temperature(logits(judge.images), judge.majority)
    card["usable"] = choose_thresholds(judge, logits, card["temperature"], GEOMETRY["size_ratio"])
    _write_card(folder, card)


def describe(name: str, net: ExpressionNet) -> dict:
    """The card's part that says what the net is; temperature and thresholds are filled in later."""
    version = int(name.rsplit("-", 1)[1]) if name.rsplit("-", 1)[-1].isdigit() else 1
    return {
        "kind": EXPRESSION_NET,
        "name": name,
        "version": version,
        "architecture": f"residual net, widths {list(net.shape.widths)}, blocks {list(net.shape.blocks)}, "
        "5x5 stem of stride 2" + (", looks at the crop and its mirror image" if net.shape.mirror else ""),
        "parameters": count_parameters(net),
        "mflop": round(2 * count_multiplications(net) / 1e6, 1),
        "labels": list(EXPRESSIONS),
        "temperature": 1.0,
        "licence": LICENCE,
        "provenance": PROVENANCE,
        "limits": LIMITS,
        "input": {
            "size": SIDE,
            "channels": 1,
            "scale": 1.0,
            "mean": 0.0,
            "std": 1.0,
            "normalisation": "inside the net",
            **GEOMETRY,
        },
        "usable": {},
    }


def training_facts(state: State, checkpoint: Path, data: Path, name: str) -> dict:
    """The card's table `training`, and the model's name."""
    kept = torch.load(checkpoint, weights_only=True)["settings"]
    budget = f"--minutes {kept['minutes']:g}" if kept["minutes"] is not None else f"--epochs {kept['epochs']}"
    options = f"{budget} --seed {kept['seed']} --threads {kept['threads']} --batch {kept['batch']}"
    if kept.get("begin_with"):
        options += f" --begin-with {Path(kept['begin_with']).name}"
    words = f"--data {shlex.quote(data.name)} --out models/{name} {options}"
    return {
        "name": name,
        "data": data.name,
        "data_sha256": sha256_of(data),
        "command": f"crowdmood train expression {words}",
        "seed": kept["seed"],
        "batch": kept["batch"],
        "epochs": state.epoch,
        "steps": state.step,
        "seconds": round(state.seconds, 1),
        "finished": state.finished,
        "device": f"{kept.get('device', 'cpu')}, {kept['threads']} thread(s), bfloat16 where it is safe",
    }


def _write_card(folder: Path, card: dict) -> None:
    (folder / "card.toml").write_text(tomli_w.dumps(card), encoding="utf-8")
