"""Reference detectors are known by their graphs, and find faces where they are."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from crowdmood.errors import CrowdmoodError
from crowdmood.training import detector_contestants as side_by_side
from crowdmood.training.detector_contestants import Contestant, references
from crowdmood.training.detector_evaluation import overlaps, read_pictures


def write_graph(path, outputs: dict[str, np.ndarray], size=(64, 96)) -> None:
    """A graph that answers every picture with the same values."""
    shape = [1, 3, *size]
    values = [helper.make_node("Constant", [], [name], value=helper.make_tensor(
        name, TensorProto.FLOAT, value.shape, value.ravel())) for name, value in outputs.items()]
    graph = helper.make_graph(
        values, "made", [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in outputs.items()])
    save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)


def test_ultralight_boxes_are_shares_of_the_letterboxed_picture(tmp_path):
    scores, boxes = np.zeros((1, 9, 2), np.float32), np.zeros((1, 9, 4), np.float32)
    scores[0, :3, 1] = 0.9, 0.8, 0.3
    boxes[0, :3] = [0.25, 0.25, 0.5, 0.75], [0.26, 0.25, 0.5, 0.75], [0.8, 0.8, 0.9, 0.9]
    write_graph(tmp_path / "a_b.onnx", {"scores": scores, "boxes": boxes})
    one, = references(tmp_path / "a_b.onnx", "onnx", 96)
    assert (one.name, one.score, one.runtime) == ("a-b", 0.7, "onnx")
    found, score = one.finder(0.5)(np.zeros((128, 192, 3), np.uint8))  # twice the graph's size
    assert found.tolist() == [[48, 32, 96, 96]] and score == pytest.approx([0.9])


def test_yolov8_heads_are_distances_from_the_middle_of_a_cell(tmp_path):
    heads = {f"head{stride}": np.full((1, 80, 64 // stride, 64 // stride), -20, np.float32) for stride in (8, 16, 32)}
    heads["head8"][0, [2, 16 + 3, 32 + 4, 48 + 5], 4, 3] = 20  # left, top, right, bottom in cells
    heads["head8"][0, 64, 4, 3] = 2.0
    write_graph(tmp_path / "lite.onnx", heads, (64, 64))
    one, = references(tmp_path / "lite.onnx", "onnx", 64)
    found, score = one.finder(0.3)(np.zeros((64, 64, 3), np.uint8))
    assert found[0] == pytest.approx([(3.5 - 2) * 8, (4.5 - 3) * 8, (3.5 + 4) * 8, (4.5 + 5) * 8], abs=1e-3)
    assert score == pytest.approx([1 / (1 + np.exp(-2))])


def test_an_unknown_graph_and_a_wrong_size_get_one_sentence(tmp_path):
    write_graph(tmp_path / "classes.onnx", {"classes": np.zeros((1, 7), np.float32)})
    with pytest.raises(CrowdmoodError, match=r"classes.onnx: its outputs \(classes \[1, 7\]\) are neither YuNet's"):
        references(tmp_path / "classes.onnx", "onnx", 96)
    write_graph(tmp_path / "a.onnx", {"scores": np.zeros((1, 9, 2), np.float32), "boxes": np.zeros((1, 9, 4), np.float32)})
    with pytest.raises(CrowdmoodError, match="takes pictures of 96 x 64 only; use --imgsz 96"):
        references(tmp_path / "a.onnx", "onnx", 640)
    (tmp_path / "b.onnx").write_text("no graph")
    with pytest.raises(CrowdmoodError, match="cannot be read as ONNX"):
        references(tmp_path / "b.onnx", "onnx", 96)


def test_times_are_taken_in_turn():
    order: list[str] = []

    def finder(name: str):
        return lambda score: lambda picture: order.append(name)

    times = side_by_side.milliseconds([Contestant("a", finder("a"), 0.5), Contestant("b", finder("b"), 0.5)],
                                      [np.zeros((4, 4, 3), np.uint8)] * 3)
    assert times.keys() == {"a", "b"} and order == ["a", "b"] * 4  # once to warm up
    assert len(side_by_side.of_one_size([np.zeros((n, 4, 3)) for n in (3, 4, 4, 4)], 2)) == 2


def test_real_references_find_real_faces(data):
    pictures = [row for row in read_pictures(data / "faces" / "test.parquet")[:60] if row["source"] == "facecount"][:6]
    names = []
    for file in ("yunet", "ultralight_rfb_640", "yolov8_lite_t"):
        for one in references(data / "faces" / "references" / f"{file}.onnx", "onnx", 640):
            find = one.finder(0.5)
            hits = [(overlaps(row["boxes"], find(row["image"])[0]).max(1, initial=0) > 0.5).mean() for row in pictures]
            assert np.mean(hits) > 0.7
            names.append(one.name)
    assert names == ["yunet", "yunet own size", "ultralight-rfb-640", "yolov8-lite-t"]
