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
from crowdmood.training.expression_data import (
    LabelledFaces,
    data_digest,
    read_faces,
    training_rows,
)
from crowdmood.training.expression_evaluation import (
    evaluate,
    shipped_logits,
    torch_logits,
)
from crowdmood.training.expression_figures import add_figures
from crowdmood.training.expression_recipe import FILE as RECIPE_FILE
from crowdmood.training.expression_recipe import recipe_of, write_recipe
from crowdmood.training.expression_state import (
    Settings,
    State,
    kept_settings,
    load_checkpoint,
)
from crowdmood.training.expression_thresholds import choose_thresholds, fit_temperature

AGREEMENT = 2e-3  # filters are kept as float16, after their normalisation was folded into them

# The margin at which faces of `public_test` pasted into a film are read best (training.end_to_end, boxes by face-2):
# 90.9 % of 2,242 looks at 1.12, 90.1 at 1.04, 90.6 at 1.16; 91.3 at the crops' very place. The others are medians over 582 faces in
# photographs, boxes by face-1 (training.expression_margin).
GEOMETRY = {"margin": 1.12, "shift_y": 0.003, "size_ratio": 0.917}

LICENCE = "AGPL-3.0-or-later for the weights; the pictures they were learned from have terms of their own"
MADE_BY = "trained from random weights by `crowdmood train expression` on "
PROVENANCE = {True: MADE_BY + "FER2013 pictures with FERPlus votes", False: MADE_BY + "pictures with one label each"}
NO_FEELINGS = "Reads the expression shown, not what a person feels. Not for decisions about single persons. "
FAINT = "Faint smiles with a closed mouth are often read as neutral. "
UNKNOWN_GROUPS = (
    "No labels of skin tone, age or origin were there to learn or to choose by; differences between groups "
    "are hardly known."
)


def write_model(checkpoint: Path, data: Path, folder: Path) -> Iterator[str]:
    """Writes the averaged weights of a checkpoint as a model folder, calibrated on public_test and measured
    on private_test. A model that is there already stays as it is until the new one is complete.

    Yields lines that say what was found. Raises CrowdmoodError where ONNX Runtime and torch disagree, or no
    face of public_test has a majority of votes.
    """
    state, settings = load_checkpoint(checkpoint), kept_settings(checkpoint)
    faces = read_faces(data, settings.labels, settings.split_seed)
    judge = faces.where((faces.split == "public_test") & (faces.majority >= 0))
    if not len(judge):
        raise CrowdmoodError(f"{data}: no row of the split 'public_test' has a majority of votes")
    heads = choose_head(state.result(), judge)
    yield f"public_test, {'majority' if faces.voted else 'accuracy'} by head: " + ", ".join(f"{name} {found:.2%}" for name, found in heads.items())
    facts = training_facts(state, settings, data, faces) | {"name": folder.resolve().name}
    facts["command"] = command(settings, data, facts["name"])
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
    write_recipe(folder / RECIPE_FILE, facts["recipe"], [f"of {facts['name']}"])
    card = describe(facts.pop("name"), net, faces) | {"training": facts}
    card["files"] = {file: sha256_of(folder / file) for file in ("weights.safetensors", "model.onnx")}
    _write_card(folder, card)
    yield f"ONNX Runtime and torch differ by at most {compare(folder, net, judge.images):.1e}"
    calibrate(folder, card, judge)
    figures = evaluate(faces, read_model(folder, whole=False), threads=len(os.sched_getaffinity(0)))
    some = "" if faces.labels == EXPRESSIONS else f" --labels {','.join(faces.labels)}"
    figures["command"] = f"crowdmood evaluate expression --data {facts['data']} --model MODEL{some}"
    add_figures(folder, faces=figures, course=state.history)
    sets = {"majority": "majority", "clear": "clear majority"} if faces.voted else {"majority": "accuracy"}
    right = {words: figures[name]["accuracy"] for name, words in sets.items()}
    sets = ", ".join(f"{name} {found:.2%}" for name, found in right.items())
    yield f"private_test: {sets}, macro F1 {figures['macro_f1']:.3f}, calibration error {figures['ece']:.3f}"


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
    """Writes the net as ONNX: input `crops` float32 (n, 1, 48, 48), grey 0..255; output `logits` (n, k)."""
    example = torch.rand(2, 1, SIDE, SIDE) * 255
    save_onnx(net, example, path, {"crops": {0: "n"}, "logits": {0: "n"}})


def compare(folder: Path, net: ExpressionNet, images: np.ndarray) -> float:
    """Largest difference of a logit between the folder's ONNX file and torch, over at most 512 faces and
    some edge cases.
    """
    flat = np.stack([np.full((SIDE, SIDE), grey, np.uint8) for grey in (0, 128, 255)])
    images = np.concatenate([images[:512], flat])
    expected = torch_logits(net)(images)
    model = read_model(folder, whole=False)
    found = float(np.abs(shipped_logits(model, labels=model.card["labels"])(images) - expected).max())
    # A net at the start of its training has logits of 50 and more; float32 cannot agree to 1e-4 there.
    allowed = AGREEMENT * max(1.0, float(np.abs(expected).max()))
    if found > allowed:
        raise CrowdmoodError(
            f"model.onnx differs from torch by {found:.1e} (at most {allowed:.0e} is allowed)"
        )
    return found


def calibrate(folder: Path, card: dict, judge: LabelledFaces) -> None:
    """Fills in the card's temperature and thresholds, from public_test."""
    logits = shipped_logits(read_model(folder, whole=False), len(os.sched_getaffinity(0)), judge.labels)
    card["temperature"] = fit_temperature(logits(judge.images), judge.majority)
    card["usable"] = choose_thresholds(judge, logits, card["temperature"], GEOMETRY["size_ratio"])
    _write_card(folder, card)


def describe(name: str, net: ExpressionNet, faces: LabelledFaces) -> dict:
    """The card's part that says what the net is; temperature and thresholds are filled in later."""
    version = int(name.rsplit("-", 1)[1]) if name.rsplit("-", 1)[-1].isdigit() else 1
    return {
        "kind": EXPRESSION_NET,
        "name": name,
        "version": version,
        "architecture": f"residual net, widths {list(net.shape.widths)}, blocks {list(net.shape.blocks)}, "
        "5x5 stem of stride 2" + (f", a layer of {net.shape.units} units" if net.shape.units else "")
        + (", looks at the crop and its mirror image" if net.shape.mirror else ""),
        "parameters": count_parameters(net),
        "mflop": round(2 * count_multiplications(net) / 1e6, 1),
        "labels": list(faces.labels),
        "temperature": 1.0,
        "licence": LICENCE,
        "provenance": PROVENANCE[faces.voted],
        "limits": NO_FEELINGS + (FAINT if {"happy", "neutral"} <= set(faces.labels) else "") + UNKNOWN_GROUPS,
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


def training_facts(state: State, settings: Settings, data: Path, faces: LabelledFaces) -> dict:
    """The card's table `training`."""
    facts = {
        "data": data.name,
        "data_sha256": data_digest(data, faces),
        "voted": faces.voted,
        "split_seed": settings.split_seed,
        "seed": settings.seed,
        "batch": settings.batch,
        "epochs": state.epoch,
        "steps": state.step,
        "seconds": round(state.seconds, 1),
        "finished": state.finished,
        "device": f"{settings.device}, {settings.threads} thread(s), bfloat16 where it is safe",
        "faces_in_train": int((faces.split == "train").sum()),
        "faces_learned_from": int(training_rows(faces).sum()),
        "recipe": recipe_of(settings),
    }
    return facts | ({} if state.best is None else {"best_epoch": state.best["epoch"]})


def command(settings: Settings, data: Path, name: str) -> str:
    """What to type for such a training."""
    usual, words = Settings(), [f"--data {shlex.quote(data.name)} --out models/{name}"]
    words.append(f"--minutes {settings.minutes:g}" if settings.minutes is not None else f"--epochs {settings.epochs}")
    words.append(f"--seed {settings.seed} --threads {settings.threads} --batch {settings.batch}")
    if settings.labels != usual.labels:
        words.append(f"--labels {','.join(settings.labels)}")
    if recipe_of(settings) != recipe_of(usual) | {"batch": settings.batch}:
        words.append(f"--recipe {RECIPE_FILE}")
    if settings.early_stopping is not None:
        words.append(f"--early-stopping {settings.early_stopping}")
    if settings.split_seed:
        words.append(f"--split-seed {settings.split_seed}")
    if settings.begin_with:
        words.append(f"--begin-with {Path(settings.begin_with).name}")
    return f"crowdmood train expression {' '.join(words)}"


def _write_card(folder: Path, card: dict) -> None:
    (folder / "card.toml").write_text(tomli_w.dumps(card), encoding="utf-8")
