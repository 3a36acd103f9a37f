"""The face detector's training, evaluation and export: on drawn faces, on boxes by hand, and on the shipped
weights.
"""

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
from safetensors.torch import load_file

from crowdmood.errors import CrowdmoodError
from crowdmood.models import FACE_DETECTOR, find_model
from crowdmood.training.detector import (
    CHECKPOINT,
    Places,
    Settings,
    make_batch,
    read_checkpoint,
    train_detector,
)
from crowdmood.training.detector_card import add_figures, toml_text
from crowdmood.training.detector_data import (
    Pictures,
    cached_pictures,
    cut,
    hold_out,
    make_sample,
    training_files,
)
from crowdmood.yolo_net import new_face_network, quiet_ultralytics

ROOT = Path(__file__).resolve().parents[2]
ALL = (0.0, np.inf)


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
        rows.append(
            {
                "image": data.getvalue(),
                "source": "facecount",
                "name": f"{at}",
                "boxes": faces,
                "kind": ["human"] * 2,
            }
        )
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
            inside = window[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1]
            bright = (inside[..., 0] > 160).mean()
            assert 0.6 < bright < 0.95, (at, bright)  # pi / 4 = 0.785
    assert seen > 20


def test_a_batch_depends_on_its_number_only(pictures):
    settings = Settings(imgsz=96, batch=4)
    first, again, other = (make_batch(pictures, step, settings, 0.1) for step in (3, 3, 4))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1]["bboxes"], again[1]["bboxes"])
    assert not torch.equal(first[0], other[0])


def test_the_end_of_a_run_has_no_mosaics(pictures):
    plain, much = Settings(imgsz=96, batch=4, mosaic=0.0), Settings(imgsz=96, batch=4, mosaic=1.0)
    assert not torch.equal(make_batch(pictures, 3, much, 0.5)[0], make_batch(pictures, 3, plain, 0.5)[0])
    assert torch.equal(make_batch(pictures, 3, much, 0.95)[0], make_batch(pictures, 3, plain, 0.95)[0])


def test_a_mosaic_keeps_boxes_inside(pictures):
    picture, found = make_sample(pictures, 0, 128, np.random.default_rng(3), mosaic=1.0)
    assert picture.shape == (128, 128, 3) and len(found)
    assert found.min() >= 0 and found.max() <= 128 and (found[:, 2:] > found[:, :2]).all()


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """A pickle as ultralytics makes them, with untrained weights for 80 classes."""
    quiet_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("start") / "start.pt"
    torch.save(
        {"model": DetectionModel("yolo11n.yaml", ch=3, nc=80, verbose=False).half(), "ema": None}, path
    )
    return path


SHORT = Settings(epochs=1.4, imgsz=96, batch=4, save_every=2)  # 38 pictures: 13 steps


def command(drawn: Path, start: Path, out: Path) -> list[str]:
    code = "from crowdmood.cli.train_detector import detector; detector()"
    return [
        sys.executable,
        "-c",
        code,
        "--data",
        str(drawn),
        "--start",
        str(start),
        "--out",
        str(out),
        "--epochs",
        "1.4",
        "--imgsz",
        "96",
        "--batch",
        "4",
        "--save-every",
        "2",
        "--threads",
        "1",
    ]


def wait_for(path: Path, process: subprocess.Popen) -> None:
    limit = time.monotonic() + 240
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_killed_training_goes_on_to_the_same_result(drawn, start, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command(drawn, start, tmp_path / "killed"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(tmp_path / "killed" / CHECKPOINT, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    stopped = read_checkpoint(tmp_path / "killed" / CHECKPOINT)["step"]
    assert 2 <= stopped < 13

    again = subprocess.run(
        command(drawn, start, tmp_path / "killed"),
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert again.returncode == 0, again.stderr
    assert f"going on at step {stopped}" in again.stdout

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train_detector(Places(drawn, start, tmp_path / "whole"), SHORT, say=lambda line: None)
    finally:
        torch.set_num_threads(threads)
    whole, resumed = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("whole", "killed"))
    assert whole["step"] == resumed["step"] == 13
    assert all(torch.equal(value, resumed["averaged"][name]) for name, value in whole["averaged"].items())
    check_model_folder(tmp_path / "killed" / "model", resumed)


def check_model_folder(folder: Path, checkpoint: dict) -> None:
    model = find_model(FACE_DETECTOR, folder)
    assert model.card["training"]["steps"] == 13 and model.card["detect"]["nms_iou"] == 0.45
    assert model.card["parameters"] == sum(one.numel() for one in new_face_network().parameters())
    kept = load_file(model.file("weights.safetensors"))
    name = "model.0.conv.weight"
    assert torch.equal(kept[name], checkpoint["averaged"][name].half())
    model.file("model.onnx")
    add_figures(folder, {})
    assert find_model(FACE_DETECTOR, folder).card["files"] == model.card["files"]


def test_training_moves_the_weights_and_lowers_the_loss(drawn, start, tmp_path):
    lines: list[str] = []
    settings = Settings(epochs=4.3, imgsz=64, batch=4, mosaic=0.0, crowds=0.0, save_every=100)  # 40 steps
    train_detector(Places(drawn, start, tmp_path / "out"), settings, say=lines.append)
    told = [float(line.split(" score ")[1].split()[0]) for line in lines if line.startswith("step ")]
    assert len(told) == 2 and told[1] < 0.8 * told[0]


def test_a_run_of_other_settings_is_not_continued(drawn, start, tmp_path):
    few = Settings(epochs=0.1, imgsz=64, batch=4)
    places = Places(drawn, start, tmp_path / "out")
    train_detector(places, few, say=lambda line: None)
    with pytest.raises(CrowdmoodError, match="other settings"):
        train_detector(places, Settings(epochs=0.1, imgsz=64, batch=4, seed=1))


def test_a_folder_without_pictures_says_so(tmp_path):
    with pytest.raises(CrowdmoodError, match="no train"):
        train_detector(Places(tmp_path, tmp_path / "start.pt", tmp_path / "out"), Settings())


def test_the_card_is_valid_toml():
    card = {
        "name": 'a "b"',
        "files": {"model.onnx": "00"},
        "metrics": {"face-1": {"human": {"24+": {"ap": 0.5, "i": [0.1, 1]}}}},
    }
    assert tomllib.loads(toml_text(card)) == card
