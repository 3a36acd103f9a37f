"""The face detector's training, evaluation and export: on drawn faces, on boxes by hand, and on the shipped weights."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from crowdmood.errors import CrowdmoodError, ModelError
from crowdmood.models import FACE_DETECTOR, find_model
from crowdmood.runtimes import choose_device, load_network
from crowdmood.training import detector_evaluation as evaluation
from crowdmood.training.detector import CHECKPOINT, Settings, make_batch, read_checkpoint, train_detector
from crowdmood.training.detector_card import add_figures, toml_text
from crowdmood.training.detector_data import Pictures, cached_pictures, cut, hold_out, make_sample, training_files
from crowdmood.training.detector_export import stored, write_onnx
from crowdmood.yolo_net import _nms, face_network, new_face_network, quiet_ultralytics

ROOT = Path(__file__).resolve().parents[2]
ALL = (0.0, np.inf)


def boxes(*rows) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def square(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y + side]


# ---- evaluation, on boxes by hand

def test_average_precision_and_recall_of_a_known_ranking():
    truth = [boxes(square(0, 0, 50), square(100, 0, 50)), boxes(square(0, 0, 50))]
    found = [(boxes(square(0, 0, 50), square(200, 200, 50)), np.array([0.9, 0.8])),  # right, wrong
             (boxes(square(2, 0, 50)), np.array([0.7]))]  # right
    result = evaluation.outcome(found, truth, ALL)
    precision, recall = evaluation.curve(result)
    assert precision == pytest.approx([1, 1 / 2, 2 / 3]) and recall == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert evaluation.average_precision(precision, recall) == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    assert evaluation.recall_at(precision, recall, 0.9) == pytest.approx(1 / 3)
    assert evaluation.recall_at(precision, recall, 0.6) == pytest.approx(2 / 3)
    assert evaluation.score_at(result, 0.9) == pytest.approx((0.9, 1.0))
    assert evaluation.score_at(result, 0.6) == pytest.approx((0.7, 2 / 3))


def test_a_face_is_found_once_and_by_the_best_score():
    truth = boxes(square(0, 0, 50))
    right, ignored = evaluation.judge((boxes(square(1, 0, 50), square(0, 0, 50)), np.array([0.6, 0.7])), truth, ALL)
    assert right.tolist() == [False, True] and ignored.tolist() == [False, False]


def test_faces_outside_the_band_are_neither_right_nor_wrong():
    truth = boxes(square(0, 0, 100), square(200, 0, 20))
    found = boxes(square(0, 0, 100), square(200, 0, 20), square(300, 300, 20), square(300, 100, 60), square(400, 0, 8))
    right, ignored = evaluation.judge((found, np.linspace(0.9, 0.5, 5)), truth, (12, 24))
    assert right.tolist() == [False, True, False, False, False]
    assert ignored.tolist() == [True, False, False, True, True]  # a large face; ...; not of the band; under 12 px
    assert evaluation.outcome([(found, np.linspace(0.9, 0.5, 5))], [truth], (12, 24)).faces.tolist() == [1]


def test_overlap_below_half_is_wrong():
    right, ignored = evaluation.judge((boxes(square(20, 0, 50)), np.array([0.9])), boxes(square(0, 0, 50)), ALL)
    assert not right[0] and not ignored[0]


def test_nothing_found_and_nothing_to_find():
    nothing = (boxes(), np.zeros(0))
    assert evaluation.measures(evaluation.outcome([nothing], [boxes(square(0, 0, 50))], ALL)).tolist() == [0, 0, 0]
    result = evaluation.outcome([(boxes(square(0, 0, 50)), np.array([0.5]))], [boxes()], ALL)
    assert result.right.tolist() == [False] and evaluation.measures(result)[0] == 0


def test_a_picture_counted_twice_is_as_good_as_two():
    truth = [boxes(square(0, 0, 50)), boxes(square(0, 0, 50))]
    found = [(boxes(square(0, 0, 50)), np.array([0.5])), (boxes(square(300, 0, 50)), np.array([0.9]))]
    once = evaluation.outcome(found, truth, ALL)
    twice = evaluation.outcome([*found, found[0]], [*truth, truth[0]], ALL)
    assert evaluation.measures(once, np.array([2.0, 1.0])) == pytest.approx(evaluation.measures(twice))
    assert evaluation.measures(once, np.array([0.0, 3.0]))[0] == 0


# ---- pictures with faces

def drawn_pictures(folder: Path, count: int = 40) -> Path:
    """A data folder of dark pictures with bright ellipses as faces."""
    rng, rows = np.random.default_rng(0), []
    for at in range(count):
        picture = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
        faces = []
        for x in (30, 90):
            half = int(rng.integers(10, 20))
            cv2.ellipse(picture, (x, 48), (half - 2, half), 0, 0, 360, (220, 180, 160), -1)
            faces.append([float(x - half + 2), float(48 - half), float(x + half - 2), float(48 + half)])
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "PNG")
        rows.append({"image": data.getvalue(), "source": "facecount", "name": f"{at}", "boxes": faces,
                     "kind": ["human"] * 2})
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows[:30]), folder / "train-0.parquet")
    pq.write_table(pa.Table.from_pylist(rows[30:]), folder / "train-1.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:4]), folder / "test.parquet")
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return drawn_pictures(tmp_path_factory.mktemp("drawn") / "data")


@pytest.fixture(scope="module")
def pictures(drawn, tmp_path_factory) -> Pictures:
    return cached_pictures(training_files(drawn), tmp_path_factory.mktemp("cache") / "pictures")


def test_the_cache_holds_every_picture_and_a_half_made_one_is_made_again(drawn, tmp_path):
    (tmp_path / ".pictures.making").mkdir()
    (tmp_path / ".pictures.making" / "index.npz").write_bytes(b"half")
    made = cached_pictures(training_files(drawn), tmp_path / "pictures")
    assert len(made) == 40 and [len(one) for one in made.boxes] == [2] * 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]
    row = pq.read_table(drawn / "train-1.parquet").to_pylist()[3]
    assert made.boxes[33].tolist() == row["boxes"]
    original = np.asarray(Image.open(io.BytesIO(row["image"])), int)
    assert np.abs(made.read(33) - original).mean() < 4


def test_held_out_pictures_are_never_trained_on(pictures):
    train, held = hold_out(pictures)
    assert len(held) and sorted([*train, *held]) == list(range(40))


def test_boxes_follow_their_faces_through_every_cut(pictures):
    """The bright ellipse fills the middle of each box wherever scaling, turning and mirroring take it."""
    rng, seen = np.random.default_rng(1), 0
    for at in range(60):
        which = at % len(pictures)
        window, found = cut(pictures.read(which), pictures.boxes[which], (96, 96), rng)
        for x1, y1, x2, y2 in found:
            if min(x2 - x1, y2 - y1) < 12 or min(x1, y1) < 1 or max(x2, y2) > 95:
                continue
            seen += 1
            inside = window[int(y1):int(y2) + 1, int(x1):int(x2) + 1]
            bright = (inside[..., 0] > 160).mean()
            assert 0.6 < bright < 0.95, (at, bright)  # pi / 4 = 0.785
    assert seen > 20


def test_a_batch_depends_on_its_number_only(pictures):
    settings = Settings(imgsz=96, batch=4)
    first, again, other = (make_batch(pictures, step, settings, 0.1) for step in (3, 3, 4))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1]["bboxes"], again[1]["bboxes"])
    assert not torch.equal(first[0], other[0])


def test_a_mosaic_keeps_boxes_inside(pictures):
    picture, found = make_sample(pictures, 0, 128, np.random.default_rng(3), mosaic=1.0)
    assert picture.shape == (128, 128, 3) and len(found)
    assert found.min() >= 0 and found.max() <= 128 and (found[:, 2:] > found[:, :2]).all()


# ---- the network and its files

@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(stored(new_face_network().state_dict()), path)
    return path


def test_the_onnx_graph_gives_what_torch_gives(weights, tmp_path):
    import onnxruntime

    write_onnx(weights, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(5).random((2, 3, 128, 256), np.float32)
    found = session.run(None, {"images": images})[0]
    expected = face_network(weights)(torch.from_numpy(images)).numpy()
    assert found.shape == (2, 5, 16 * 32 + 8 * 16 + 4 * 8) == expected.shape
    assert np.abs(found[:, :4] - expected[:, :4]).max() < 1 and np.abs(found[:, 4] - expected[:, 4]).max() < 1e-3
    assert 0 <= found[:, 4].min() and found[:, 4].max() <= 1


def test_an_onnx_graph_of_other_weights_is_refused(weights, tmp_path):
    from crowdmood.training import detector_export

    other = face_network(weights)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    write_onnx(weights, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="differs"):
        detector_export.check_onnx(other, tmp_path / "model.onnx")


def test_boxes_are_those_of_ultralytics(weights):
    net = new_face_network()
    net.load_state_dict({name: value.float() for name, value in load_file(weights).items()}, strict=False)
    images = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net.eval()(images)[0]
    assert (face_network(weights)(images) - expected).abs().max() < 1e-3


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
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(("socket.", "subprocess.", "os.system")) else None)
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
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"),
                   "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", WATCHED], cwd=tmp_path / "work", env=environment, capture_output=True,
                          text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "seen: []"
    assert not list((tmp_path / "home").iterdir()) and not list((tmp_path / "work").iterdir())
    assert not list((tmp_path / "tmp").glob("*yolo*"))  # the settings file went away with its folder


# ---- training

@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """A pickle as ultralytics makes them, with untrained weights for 80 classes."""
    quiet_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("start") / "start.pt"
    torch.save({"model": DetectionModel("yolo11n.yaml", ch=3, nc=80, verbose=False).half(), "ema": None}, path)
    return path


SHORT = Settings(epochs=1.4, imgsz=96, batch=4, save_every=2)  # 38 pictures: 13 steps


def command(drawn: Path, start: Path, out: Path) -> list[str]:
    code = "from crowdmood.cli.train_detector import detector; detector()"
    return [sys.executable, "-c", code, "--data", str(drawn), "--start", str(start), "--out", str(out),
            "--epochs", "1.4", "--imgsz", "96", "--batch", "4", "--save-every", "2", "--threads", "1"]


def wait_for(path: Path, process: subprocess.Popen) -> None:
    limit = time.monotonic() + 240
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_killed_training_goes_on_to_the_same_result(drawn, start, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(drawn, start, tmp_path / "killed"), env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "killed" / CHECKPOINT, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    stopped = read_checkpoint(tmp_path / "killed" / CHECKPOINT)["step"]
    assert 2 <= stopped < 13

    again = subprocess.run(command(drawn, start, tmp_path / "killed"), env=environment, capture_output=True, text=True,
                           timeout=240)
    assert again.returncode == 0, again.stderr
    assert f"going on at step {stopped}" in again.stdout

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train_detector(drawn, start, tmp_path / "whole", SHORT, say=lambda line: None)
    finally:
        torch.set_num_threads(threads)
    whole, resumed = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("whole", "killed"))
    assert whole["step"] == resumed["step"] == 13
    assert all(torch.equal(value, resumed["averaged"][name]) for name, value in whole["averaged"].items())
    check_model_folder(tmp_path / "killed" / "model", resumed)


def check_model_folder(folder: Path, checkpoint: dict) -> None:
    model = find_model(FACE_DETECTOR, folder)
    assert model.card["training"]["steps"] == 13 and model.card["detect"]["nms_iou"] == 0.5
    assert model.card["parameters"] == sum(one.numel() for one in new_face_network().parameters())
    kept = load_file(model.file("weights.safetensors"))
    name = "model.0.conv.weight"
    assert torch.equal(kept[name], checkpoint["averaged"][name].half())
    model.file("model.onnx")
    add_figures(folder, {})
    assert find_model(FACE_DETECTOR, folder).card["files"] == model.card["files"]


def test_training_moves_the_weights_and_lowers_the_loss(drawn, start, tmp_path):
    lines: list[str] = []
    settings = Settings(epochs=4, imgsz=64, batch=4, mosaic=0.0, save_every=100)  # 38 steps
    train_detector(drawn, start, tmp_path / "out", Settings(**{**settings.__dict__, "epochs": 4.3}), say=lines.append)
    told = [float(line.split(" score ")[1].split()[0]) for line in lines if line.startswith("step ")]
    assert len(told) == 2 and told[1] < 0.8 * told[0]


def test_a_run_of_other_settings_is_not_continued(drawn, start, tmp_path):
    few = Settings(epochs=0.1, imgsz=64, batch=4)
    train_detector(drawn, start, tmp_path / "out", few, say=lambda line: None)
    with pytest.raises(CrowdmoodError, match="other settings"):
        train_detector(drawn, start, tmp_path / "out", Settings(epochs=0.1, imgsz=64, batch=4, seed=1))


def test_a_folder_without_pictures_says_so(tmp_path):
    with pytest.raises(CrowdmoodError, match="no train"):
        train_detector(tmp_path, tmp_path / "start.pt", tmp_path / "out", Settings())


def test_the_card_is_valid_toml():
    card = {"name": 'a "b"', "files": {"model.onnx": "00"}, "metrics": {"face-1": {"human": {"24+": {"ap": 0.5, "i": [0.1, 1]}}}}}
    assert tomllib.loads(toml_text(card)) == card


# ---- the shipped detector

@pytest.fixture(scope="module")
def shipped():
    return find_model(FACE_DETECTOR)


def test_runtimes_agree_about_the_shipped_detector(shipped):
    assets = quiet_ultralytics().ASSETS
    picture = np.asarray(Image.open(assets / "zidane.jpg").convert("RGB"))
    found = {name: evaluation.network_detector(load_network(shipped, choose_device("cpu", name, 1)), 640)(picture)
             for name in ("openvino", "onnx", "torch")}
    keep = {name: box[score > shipped.card["detect"]["score"]] for name, (box, score) in found.items()}
    assert {name: len(box) for name, box in keep.items()} == {"openvino": 2, "onnx": 2, "torch": 2}
    for name in ("onnx", "torch"):
        assert np.abs(keep[name] - keep["openvino"]).max() < 1


def test_the_shipped_detector_finds_faces_people_drew(shipped, data):
    every = evaluation.read_pictures(data / "faces" / "test.parquet")
    rows = [row for row in every if row["source"] in evaluation.SETS["human"]]
    find = evaluation.network_detector(load_network(shipped, choose_device("cpu", "openvino", 2)), 640)
    rows = rows[::3]
    result = evaluation.outcome([find(row["image"]) for row in rows], [row["boxes"] for row in rows],
                                evaluation.BANDS["24+"])
    assert result.faces.sum() > 400
    assert evaluation.recall_at(*evaluation.curve(result), 0.85) >= 0.85
