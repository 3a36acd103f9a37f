"""The official WIDER FACE protocol, on made folders with known answers and against a plain rendering of its tool."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from crowdmood.errors import CrowdmoodError
from crowdmood.training.detector_widerface import (
    LISTS,
    find_in,
    read_widerface,
    widerface_ap,
)


def cells(rows: list) -> np.ndarray:
    """A column of MATLAB cells."""
    column = np.empty((len(rows), 1), object)
    for at, row in enumerate(rows):
        column[at, 0] = row
    return column


def write_folder(folder, events: dict[str, list[np.ndarray]], counted: dict[str, dict[str, list[list[int]]]]) -> None:
    """events: name -> boxes x y w h of each picture; counted: list -> event -> numbers (from one) for each picture."""
    truth = folder / "eval_tools" / "ground_truth"
    truth.mkdir(parents=True)
    names = {event: [f"{nth}_{event}_{nth}" for nth in range(len(boxes))] for event, boxes in events.items()}
    files = {
        "event_list": cells(list(events)),
        "file_list": cells([cells(names[event]) for event in events]),
        "face_bbx_list": cells([cells([box.astype(float) for box in boxes]) for boxes in events.values()]),
    }
    savemat(truth / "wider_face_val.mat", files)
    for key, lists in counted.items():
        numbers = [cells([np.array(one, float).reshape(-1, 1) for one in lists[event]]) for event in events]
        savemat(truth / f"wider_{key}_val.mat", {**files, "gt_list": cells(numbers)})
    for event, boxes in events.items():
        (folder / "WIDER_val" / "images" / event).mkdir(parents=True)
        for name, box in zip(names[event], boxes, strict=True):
            picture = np.full((120, 160, 3), len(box), np.uint8)
            cv2.imwrite(str(folder / "WIDER_val" / "images" / event / f"{name}.jpg"), picture)


@pytest.fixture
def folder(tmp_path):
    events = {"0--Parade": [np.array([[10, 10, 40, 40], [100, 20, 10, 12]]), np.array([[5, 5, 30, 30]])],
              "1--Handshaking": [np.array([[50, 40, 20, 20]])]}
    counted = {
        "easy": {"0--Parade": [[1], [1]], "1--Handshaking": [[]]},
        "medium": {"0--Parade": [[1], [1]], "1--Handshaking": [[1]]},
        "hard": {"0--Parade": [[1, 2], [1]], "1--Handshaking": [[1]]},
    }
    write_folder(tmp_path, events, counted)
    return tmp_path


def corners(*rows) -> np.ndarray:
    boxes = np.array(rows, np.float32).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)


def test_reads_the_folder(folder):
    pictures = read_widerface(folder)
    assert [len(one.boxes) for one in pictures] == [2, 1, 1]
    assert pictures[0].counted["easy"].tolist() == [True, False] and pictures[0].counted["hard"].all()
    assert not pictures[2].counted["easy"].any()
    seen = find_in(pictures, lambda picture: (corners([0, 0, *picture.shape[1::-1]]), np.ones(1)))
    assert [one[0].tolist() for one in seen] == [[[0, 0, 160, 120]]] * 3


def test_a_perfect_detector_and_none(folder):
    pictures = read_widerface(folder)
    perfect = [(corners(*one.boxes), np.linspace(0.9, 0.8, len(one.boxes))) for one in pictures]
    assert widerface_ap(pictures, perfect) == pytest.approx(dict.fromkeys(LISTS, 1.0))
    nothing = [(corners(), np.zeros(0)) for _ in pictures]
    assert widerface_ap(pictures, nothing) == dict.fromkeys(LISTS, 0.0)


def test_faces_that_are_not_on_the_list_count_for_nothing(folder):
    pictures = read_widerface(folder)
    found = [
        (corners([10, 10, 40, 40], [100, 20, 10, 12]), np.array([0.9, 0.95])),  # the small one: on 'hard' only
        (corners([5, 5, 30, 30]), np.array([0.8])),
        (corners([50, 40, 20, 20], [120, 80, 20, 20]), np.array([0.2, 0.99])),  # and a wrong one, best of all
    ]
    ap = widerface_ap(pictures, found)
    assert ap["easy"] == pytest.approx(2 / 3, abs=1e-4)  # the wrong one stands before both: 1 of 2, 2 of 3
    assert ap["medium"] == pytest.approx(3 / 4, abs=1e-4)
    assert ap["hard"] == pytest.approx(4 / 5, abs=1e-4)


def test_agrees_with_the_official_tool_on_chance_boxes(tmp_path):
    rng = np.random.default_rng(3)
    boxes = [np.column_stack([rng.integers(0, 100, (n, 2)), rng.integers(8, 50, (n, 2))]) for n in (4, 7, 1, 9)]
    numbers = [[int(k) + 1 for k in np.flatnonzero(rng.random(len(one)) < 0.6)] for one in boxes]
    write_folder(tmp_path, {"a": boxes}, {name: {"a": numbers} for name in LISTS})
    pictures = read_widerface(tmp_path)
    found = []
    for one in boxes:
        near = np.concatenate([one + rng.normal(0, 3, one.shape), one + rng.normal(0, 1, one.shape),
                               rng.uniform(5, 60, (6, 4))])
        found.append((corners(*near), rng.random(len(near))))
    expected = official(found, [corners(*one) for one in boxes], numbers)
    assert 0.1 < expected < 0.95
    assert widerface_ap(pictures, found) == pytest.approx(dict.fromkeys(LISTS, expected), abs=1e-4)


def official(found, truth, numbers) -> float:
    """The evaluation tool's arithmetic, written out loop by loop."""
    every = np.concatenate([score for _, score in found])
    curve, faces = np.zeros((1000, 2)), 0
    for (box, score), own, kept in zip(found, truth, numbers, strict=True):
        order = np.argsort(-score, kind="stable")
        box, score = box[order], (score[order] - every.min()) / (every.max() - every.min())
        faces += len(kept)
        state, proposal, recall = np.zeros(len(own)), np.ones(len(box)), np.zeros(len(box))
        for h in range(len(box)):
            shared = [iou(box[h], other) for other in own]
            best = int(np.argmax(shared))
            if shared[best] >= 0.5:
                if best + 1 not in kept:
                    state[best], proposal[h] = -1, -1
                elif state[best] == 0:
                    state[best] = 1
            recall[h] = (state == 1).sum()
        for t in range(1000):
            shown = np.flatnonzero(score >= 1 - (t + 1) / 1000)
            if len(shown):
                curve[t] += (proposal[: shown[-1] + 1] == 1).sum(), recall[shown[-1]]
    precision, recall = curve[:, 1] / np.maximum(curve[:, 0], 1e-12), curve[:, 1] / faces
    total, before = 0.0, 0.0
    for at in range(1000):
        total += (recall[at] - before) * precision[at:].max()
        before = recall[at]
    return total


def iou(a, b) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    both = max(0, w) * max(0, h)
    return both / ((a[2] - a[0] + 1) * (a[3] - a[1] + 1) + (b[2] - b[0] + 1) * (b[3] - b[1] + 1) - both)


def test_says_what_is_missing(tmp_path):
    with pytest.raises(CrowdmoodError, match=r"wider_face_val\.mat; put the evaluation tool"):
        read_widerface(tmp_path)
