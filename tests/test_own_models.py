"""Models that users bring: an ultralytics `.pt`, and classifiers in TorchScript, ONNX and safetensors with a card."""

import hashlib
import logging
import shutil

import numpy as np
import pytest
import tomli_w
import torch
from safetensors.torch import load_file

import crowdmood
from crowdmood.errors import ModelError
from crowdmood.expressions import load_classifier
from crowdmood.labels import EXPRESSIONS
from crowdmood.models import EXPRESSION_NET, FACE_DETECTOR, find_model, read_model
from crowdmood.own_detector import own_detector
from crowdmood.runtimes import Device, load_network
from crowdmood.yolo_net import new_face_network

SHUFFLED = ["neutral", "happy", "contempt", "sad", "angry", "fear", "disgust", "surprise"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def face_pt(tmp_path):
    """Our own weights as ultralytics would save them."""
    net = new_face_network()
    weights = load_file(find_model(FACE_DETECTOR).file("weights.safetensors"))
    net.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    torch.save({"model": net.half(), "ema": None}, tmp_path / "mine.pt")
    return tmp_path / "mine.pt"


def test_a_pt_file_becomes_a_model_that_finds_the_same_faces(face_pt, caplog):
    frame = np.random.default_rng(0).integers(0, 256, (1, 192, 256, 3), np.uint8)
    with caplog.at_level(logging.WARNING, "crowdmood"):
        folder = own_detector(face_pt)
    assert "is a pickle" in caplog.text
    found, expected = (load_network(model, Device("cpu", "openvino", 1))(frame)
                       for model in (read_model(folder), find_model(FACE_DETECTOR)))
    np.testing.assert_allclose(found[:, 4], expected[:, 4], atol=1e-3)


def test_a_pt_file_is_unpickled_once_and_its_cache_is_checked(face_pt, caplog):
    folder = own_detector(face_pt)
    caplog.clear()
    assert own_detector(face_pt) == folder and not caplog.records
    (folder / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"model.onnx has sha256"):
        load_network(read_model(folder), Device("cpu", "openvino", 1))


def test_files_that_are_no_face_detector_are_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="is not there"):
        own_detector(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"no pickle")
    with pytest.raises(ModelError, match="not a model of ultralytics"):
        own_detector(tmp_path / "bad.pt")
    from ultralytics.nn.tasks import DetectionModel

    torch.save({"model": DetectionModel("yolo11n.yaml", ch=3, nc=5, verbose=False)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="none of its 5 classes is a face"):
        own_detector(tmp_path / "other.pt")
    assert not list((tmp_path / "cache").rglob("card.toml"))


class Colours(torch.nn.Module):
    """A classifier of 32 x 32 colour crops that says what its mean colours are: exact answers, whatever runs it."""

    def forward(self, crops):
        red, green, blue = crops.mean(dim=(2, 3)).unbind(1)
        return torch.stack([red, green, blue, red + green, red - blue, green - blue, -red, -green], 1)


def own_folder(folder, form, **card):
    folder.mkdir()
    example = torch.zeros(2, 3, 32, 32)
    name = {"onnx": "model.onnx", "torchscript": "model.torchscript"}[form]
    if form == "onnx":
        torch.onnx.export(Colours(), (example,), str(folder / name), input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, dynamo=False)
    else:
        torch.jit.save(torch.jit.trace(Colours(), example), folder / name)
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    facts = {"kind": EXPRESSION_NET, "name": "mine", "labels": SHUFFLED, "files": {name: digest},
             "input": {"size": 32, "channels": 3, "scale": 255.0, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3],
                       "margin": 1.1, "shift_y": 0.0}}
    (folder / "card.toml").write_text(tomli_w.dumps(facts | card))
    return folder


@pytest.mark.parametrize("form", ["onnx", "torchscript"])
@pytest.mark.parametrize("runtime", ["openvino", "onnx", "torch"])
def test_an_own_classifier_gets_its_input_and_its_labels_their_order(tmp_path, form, runtime):
    model = read_model(own_folder(tmp_path / "mine", form))
    crops = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
    means = (crops.mean(axis=(1, 2)) / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]
    red, green, blue = means.T
    by_label = dict(zip(SHUFFLED, (red, green, blue, red + green, red - blue, green - blue, -red, -green), strict=True))
    found = load_classifier(model, Device("cpu", runtime, 1))(crops)
    np.testing.assert_allclose(found, np.stack([by_label[name] for name in EXPRESSIONS], 1), atol=1e-4)


def test_an_own_classifier_and_an_own_detector_analyze_a_recording(clip, tmp_path, face_pt):
    run = crowdmood.analyze(clip, results=tmp_path / "r", end_s=1.0, detector=str(face_pt),
                            expression=str(own_folder(tmp_path / "mine", "torchscript")))
    ours = crowdmood.analyze(clip, results=tmp_path / "r", end_s=1.0)
    assert run.id != ours.id
    assert "mine" in run.info["models"] and "mine" not in ours.info["models"]


@pytest.mark.parametrize(("card", "words"), [
    ({"labels": ["happy", "sad"]}, "labels lack angry, disgust, fear, surprise, neutral"),
    ({"files": {}}, "lists none of weights.safetensors, model.onnx, model.torchscript"),
    ({"input": {"size": 48}}, "lacks input.channels, input.margin, input.shift_y"),
    ({"kind": "cat detector"}, "known: 'face detector', 'expression net'"),
])
def test_cards_that_lack_something_are_one_sentence(tmp_path, card, words):
    with pytest.raises(ModelError, match=words):
        read_model(own_folder(tmp_path / "mine", "torchscript", **card))


def test_a_changed_file_of_an_own_model_is_refused_before_it_is_read(tmp_path):
    folder = own_folder(tmp_path / "mine", "torchscript")
    shutil.copy(__file__, folder / "model.torchscript")
    with pytest.raises(ModelError, match="model.torchscript has sha256"):
        load_classifier(read_model(folder), Device("cpu", "openvino", 1))


def test_new_figures_in_a_card_are_no_new_model(tmp_path):
    folder = own_folder(tmp_path / "mine", "torchscript")
    card = (folder / "card.toml").read_text()

    def identity(first: str, last: str) -> dict:
        (folder / "card.toml").write_text(first + card + last)
        return read_model(folder).identity

    plain = identity("", "")
    assert identity('limits = "Some."\n', "\n[metrics]\nclear = 0.5\n") == plain != identity("temperature = 2.0\n", "")
