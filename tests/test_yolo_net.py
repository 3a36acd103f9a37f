"""The face network: its files, a silent import of what builds it, and the shipped weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from crowdmood.errors import ModelError
from crowdmood.models import FACE_DETECTOR, find_model
from crowdmood.runtimes import choose_device, load_network
from crowdmood.training import detector_evaluation as evaluation
from crowdmood.yolo_net import (
    ARCHITECTURES,
    _nms,
    face_network,
    new_face_network,
    quiet_ultralytics,
    save_face_weights,
)
from crowdmood.yolo_onnx import check_onnx, write_onnx

ROOT = Path(__file__).resolve().parents[1]


def square(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y + side]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_face_weights(new_face_network().state_dict(), "yolo11n", path)
    return path


def test_the_onnx_graph_gives_what_torch_gives(weights, tmp_path):
    import onnxruntime

    write_onnx(face_network(weights), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(5).random((2, 3, 128, 256), np.float32)
    found = session.run(None, {"images": images})[0]
    expected = face_network(weights)(torch.from_numpy(images)).numpy()
    assert found.shape == (2, 5, 16 * 32 + 8 * 16 + 4 * 8) == expected.shape
    assert (
        np.abs(found[:, :4] - expected[:, :4]).max() < 1 and np.abs(found[:, 4] - expected[:, 4]).max() < 1e-3
    )
    assert 0 <= found[:, 4].min() and found[:, 4].max() <= 1


def test_an_onnx_graph_of_other_weights_is_refused(weights, tmp_path):
    other = face_network(weights)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    write_onnx(face_network(weights), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="differs"):
        check_onnx(other, tmp_path / "model.onnx")


def test_boxes_are_those_of_ultralytics(weights):
    net = new_face_network()
    net.load_state_dict({name: value.float() for name, value in load_file(weights).items()}, strict=False)
    images = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net.eval()(images)[0]
    assert (face_network(weights)(images) - expected).abs().max() < 1e-3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_survives_its_file_and_decodes_boxes_as_ultralytics_does(architecture, tmp_path):
    torch.manual_seed(1)
    net = new_face_network(architecture)
    save_face_weights(net.state_dict(), architecture, tmp_path / "weights.safetensors")
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net.eval()(images)[0]
        found = face_network(tmp_path / "weights.safetensors")(images)
    assert found.shape == expected.shape == (1, 5, 8 * 12 + 4 * 6 + 2 * 3)
    assert (found[:, :4] - expected[:, :4]).abs().max() < 0.1  # filters are kept as float16
    assert (found[:, 4] - expected[:, 4]).abs().max() < 1e-3


def test_half_precision_keeps_boxes_within_a_pixel(weights):
    net = face_network(weights)
    images = torch.rand(1, 3, 64, 1280, generator=torch.Generator().manual_seed(0))
    full = net(images)
    half = net.half()(images.half())
    assert half.dtype == torch.float32
    assert (half - full)[:, :4].abs().max() < 0.25  # float16 alone would be off by half a pixel at 1,024


def test_weights_of_another_network_are_refused(weights, tmp_path):
    tensors = load_file(weights)
    tensors.pop(next(iter(tensors)))
    save_file(tensors, tmp_path / "less.safetensors")
    with pytest.raises(ValueError, match="tensors"):
        face_network(tmp_path / "less.safetensors")


def test_the_stand_in_for_nms_keeps_the_best_of_overlapping_boxes():
    dets = torch.tensor([square(0, 0, 10), square(1, 0, 10), square(30, 0, 10), square(0, 0, 10)])
    assert _nms(dets, torch.tensor([0.5, 0.9, 0.1, 0.2]), 0.5).tolist() == [1, 2]
    assert _nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def test_torchvision_can_be_used_after_the_quiet_import():
    quiet_ultralytics()
    import torchvision

    dets = torch.tensor([square(0, 0, 10), square(1, 0, 10), square(30, 0, 10)])
    assert torchvision.ops.nms(dets, torch.tensor([0.5, 0.9, 0.1]), 0.5).tolist() == [1, 2]


WATCHED = """
import sys
seen = []
watched = ("socket.", "subprocess.", "os.system")
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(watched) else None)
from crowdmood.yolo_net import new_face_network, quiet_ultralytics
package = quiet_ultralytics()
assert quiet_ultralytics() is package
new_face_network()
from ultralytics.utils import AUTOINSTALL, ONLINE
from ultralytics.utils.events import events
assert not events.enabled and not AUTOINSTALL and not ONLINE and not package.SETTINGS["sync"]
print("seen:", seen)
"""


def test_the_quiet_import_writes_nothing_at_home_and_opens_no_socket(tmp_path):
    for name in ("home", "work", "tmp"):
        (tmp_path / name).mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=tmp_path / "work",
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "seen: []"
    assert not list((tmp_path / "home").iterdir()) and not list((tmp_path / "work").iterdir())
    assert not list((tmp_path / "tmp").glob("*yolo*"))  # the settings file went away with its folder


@pytest.fixture(scope="module")
def shipped():
    return find_model(FACE_DETECTOR)


def test_runtimes_agree_about_the_shipped_detector(shipped):
    assets = quiet_ultralytics().ASSETS
    picture = np.asarray(Image.open(assets / "zidane.jpg").convert("RGB"))
    found = {
        name: evaluation.network_detector(load_network(shipped, choose_device("cpu", name, 1)), 640)(picture)
        for name in ("openvino", "onnx", "torch")
    }
    keep = {name: box[score > 0.3] for name, (box, score) in found.items()}
    assert len(keep["openvino"]) >= 2  # two men in front, perhaps spectators
    for name in ("onnx", "torch"):
        assert len(keep[name]) == len(keep["openvino"])
        assert np.abs(keep[name] - keep["openvino"]).max() < 1


def test_the_shipped_detector_finds_faces_people_drew(shipped, data):
    every = evaluation.read_pictures(data / "faces" / "test.parquet")
    rows = [row for row in every if row["source"] in evaluation.SETS["human"]]
    find = evaluation.network_detector(load_network(shipped, choose_device("cpu", "openvino", 2)), 640)
    rows = rows[::3]
    result = evaluation.outcome(
        [find(row["image"]) for row in rows], [row["boxes"] for row in rows], evaluation.BANDS["24+"]
    )
    assert result.faces.sum() > 400
    assert evaluation.recall_at(*evaluation.curve(result), 0.85) >= 0.85
