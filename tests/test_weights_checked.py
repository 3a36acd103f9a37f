"""Model folders from strangers: changed bytes, pickles, nets of another shape, cards that point elsewhere."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w
import torch
from safetensors.torch import load_file, save_file

from crowdmood.errors import ModelError
from crowdmood.models import EXPRESSION_NET, FACE_DETECTOR, find_model, read_model
from crowdmood.runtimes import Device, load_network

KINDS = (FACE_DETECTOR, EXPRESSION_NET)
RUNS = {"model.onnx": "onnx", "weights.safetensors": "torch", "model.torchscript": "torch"}


class Harm:
    """A pickle that leaves a trace when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def copy_of(kind: str, folder: Path) -> Path:
    """A copy of the shipped model that may be written to."""
    shutil.copytree(find_model(kind).folder, folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def change_card(folder: Path, **facts: object) -> None:
    card = tomllib.loads((folder / "card.toml").read_text())
    (folder / "card.toml").write_text(tomli_w.dumps(card | facts))


def put(folder: Path, name: str, content: bytes) -> None:
    """A file in place of all others, with a card that vouches for it."""
    (folder / name).write_bytes(content)
    change_card(folder, files={name: hashlib.sha256(content).hexdigest()})


def load(folder: Path, runtime: str):
    return load_network(read_model(folder), Device("cpu", runtime, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "runtime"), [("model.onnx", "onnx"), ("model.onnx", "openvino"),
                                               ("weights.safetensors", "torch")])
def test_one_changed_bit_is_noticed_before_anything_is_read(tmp_path, kind, name, runtime):
    folder = copy_of(kind, tmp_path / "model")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"^{kind}: {name} has sha256 [0-9a-f]{{8}}\.\. but the card says [0-9a-f]{{8}}\.\.; "
                                         rf"restore {folder}$"):
        load(folder, runtime)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_digest_in_the_card_is_noticed(tmp_path, kind):
    folder = copy_of(kind, tmp_path / "model")
    change_card(folder, files={name: "0" * 64 for name in ("model.onnx", "weights.safetensors")})
    with pytest.raises(ModelError, match="but the card says 00000000"):
        load(folder, "onnx")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "runtime"), [*RUNS.items(), ("model.onnx", "openvino")])
def test_a_pickle_in_the_place_of_weights_never_runs(tmp_path, kind, name, runtime):
    """Though the card vouches for it: only a .pt file that the user names himself is unpickled."""
    folder, trace = copy_of(kind, tmp_path / "model"), tmp_path / "trace"
    put(folder, name, pickle.dumps(Harm(trace)))
    with pytest.raises(ModelError, match="cannot be loaded by ") as caught:
        load(folder, runtime)
    assert not trace.exists() and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.torchscript"])
def test_a_checkpoint_of_torch_in_the_place_of_weights_never_runs(tmp_path, name):
    folder, trace = copy_of(EXPRESSION_NET, tmp_path / "model"), tmp_path / "trace"
    torch.save({"model": Harm(trace)}, tmp_path / "harm.pt")
    put(folder, name, (tmp_path / "harm.pt").read_bytes())
    with pytest.raises(ModelError, match="cannot be loaded by torch: "):
        load(folder, "torch")
    assert not trace.exists()


def test_a_pt_file_inside_a_model_folder_is_not_looked_at(tmp_path):
    folder, trace = copy_of(EXPRESSION_NET, tmp_path / "model"), tmp_path / "trace"
    (folder / "weights.pt").write_bytes(pickle.dumps(Harm(trace)))
    change_card(folder, files={"weights.pt": hashlib.sha256((folder / "weights.pt").read_bytes()).hexdigest()})
    with pytest.raises(ModelError, match="lists none of weights.safetensors, model.onnx, model.torchscript"):
        load(folder, "torch")
    assert not trace.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["shape", "name"])
def test_weights_of_another_net_are_one_sentence(tmp_path, kind, change):
    folder = copy_of(kind, tmp_path / "model")
    path = folder / "weights.safetensors"
    state = load_file(path)
    first = next(name for name, value in state.items() if value.ndim == 4)
    value = state.pop(first)
    state |= {first: torch.zeros(3, 3, 1, 1)} if change == "shape" else {"other." + first: value}
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path, facts)
    put(folder, "weights.safetensors", path.read_bytes())
    with pytest.raises(ModelError, match="cannot be loaded by torch: ") as caught:
        load(folder, "torch")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "sub/model.onnx", "..", "model.onnx/../../secret"])
def test_a_card_that_points_out_of_its_folder_is_refused(tmp_path, name):
    folder = copy_of(EXPRESSION_NET, tmp_path / "model")
    shutil.copy(folder / "model.onnx", tmp_path / "model.onnx")
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    change_card(folder, files={"model.onnx": digest, name: digest})
    with pytest.raises(ModelError, match="card.toml: a file's name has no folder in it"):
        read_model(folder)


@pytest.mark.parametrize("files", ["model.onnx", {"model.onnx": 5}, {"model.onnx": "abc"}, {"model.onnx": ["0" * 64]}, [1]])
def test_files_without_a_proper_digest_are_refused(tmp_path, files):
    folder = copy_of(EXPRESSION_NET, tmp_path / "model")
    change_card(folder, files=files)
    with pytest.raises(ModelError, match=r"card.toml: (\[files\] must give the sha256 of model.onnx|files is not what)"):
        read_model(folder)


@pytest.mark.parametrize("change", [{"input": "64"}, {"labels": 8}, {"name": 5}, {"kind": ["a"]}])
def test_facts_of_the_wrong_kind_are_one_sentence(tmp_path, change):
    folder = copy_of(EXPRESSION_NET, tmp_path / "model")
    change_card(folder, **change)
    with pytest.raises(ModelError, match="card.toml") as caught:
        read_model(folder)
    assert "\n" not in str(caught.value)


def test_a_card_of_noise_is_one_sentence(tmp_path):
    (tmp_path / "card.toml").write_bytes(os.urandom(100) + b"\xff")
    with pytest.raises(ModelError, match="not a valid model card"):
        read_model(tmp_path)
