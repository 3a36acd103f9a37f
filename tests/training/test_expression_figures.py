"""What measures an expression net: groups, another network beside it, photographs, films, and the card's
page.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from crowdmood.cli.evaluate_expression import expression
from crowdmood.errors import CrowdmoodError
from crowdmood.expression_net import expression_network
from crowdmood.faces import Faces
from crowdmood.labels import EXPRESSIONS
from crowdmood.models import EXPRESSION_NET, find_model
from crowdmood.training.end_to_end import Looks, match
from crowdmood.training.end_to_end import measure as measure_looks
from crowdmood.training.expression_comparison import (
    compare,
    compare_groups,
    read_column,
)
from crowdmood.training.expression_data import LabelledFaces
from crowdmood.training.expression_evaluation import (
    SIDES,
    Answers,
    label_logits,
    measure,
    reliability,
    shipped_logits,
    torch_logits,
)
from crowdmood.training.expression_figures import add_figures, read_figures
from crowdmood.training.expression_margin import Layout, _geometry, eyes_and_mouth
from crowdmood.training.expression_photos import Readings, measure_photos
from crowdmood.training.expression_thresholds import LIMITS, choose_side_and_limit
from crowdmood.training.film import FilmSettings, Pasted, pictures, plan_scenes
from crowdmood.training.resampling import by_group, resampled_shares

CARD = {
    "temperature": 1.0,
    "usable": {"min_size_px": 14.0, "min_sharpness": 0.0, "min_score": 0.5, "max_entropy": 1.0},
    "input": {"margin": 1.0, "shift_y": 0.0, "size_ratio": 1.0},
}


def noise(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack(
        [cv2.GaussianBlur(rng.integers(0, 256, (48, 48)).astype(np.uint8), (0, 0), 2) for _ in range(count)]
    )


def made_answers(right: np.ndarray) -> Answers:
    """Faces all of which are 'happy', and a net that says so where `right`, else 'sad'; its other head is
    always right.
    """
    n = len(right)
    happy, sad = (np.eye(7, dtype=np.float32)[EXPRESSIONS.index(name)] * 6 for name in ("happy", "sad"))
    votes = np.where(right[:, None], happy, sad).astype(np.float32)
    kind = np.full(n, EXPRESSIONS.index("happy"))
    every = np.ones(n, bool)
    faces = LabelledFaces(noise(n), np.full(n, "private_test"), kind, every, np.repeat(happy[None] / 6, n, 0),
                          np.ones(n, np.float32), kind, every, ~every, np.arange(n).astype(object))  # fmt: skip
    return Answers(
        "private_test", faces, ~every, votes, np.repeat(happy[None], n, 0), dict.fromkeys(SIDES, votes), CARD
    )


def test_groups_have_their_accuracy_interval_and_largest_difference():
    right = np.concatenate([np.arange(400) < 360, np.arange(400) < 280, [True] * 5])
    found = by_group(right, np.array(["a"] * 400 + ["b"] * 400 + ["few"] * 5))
    a = found["groups"]["a"]
    assert (a["accuracy"], a["n"]) == (0.9, 400) and 0.86 < a["low"] < 0.88 and 0.92 < a["high"] < 0.94
    largest = found["largest"]  # five faces are too few to be compared, though all are right
    assert (largest["best"], largest["worst"], largest["difference"]) == ("a", "b", 0.2)
    assert 0.13 < largest["low"] < 0.2 < largest["high"] < 0.27 and largest["chance"] < 0.01
    same = by_group(np.arange(800) % 2 == 0, np.array(["a", "a", "b", "b"] * 200))
    assert same["largest"]["difference"] == 0 and same["largest"]["chance"] == 1


def test_resampling_is_paired_and_draws_persons_whole():
    right = np.arange(200)[:, None] % 2 == [0, 0]
    drawn = resampled_shares(right, np.ones_like(right))
    assert (drawn[:, 0] == drawn[:, 1]).all() and 0.02 < drawn.std() < 0.05
    persons = resampled_shares(
        right, np.ones_like(right), np.arange(200) % 2
    )  # two persons: one right, one wrong
    assert set(np.unique(persons)) == {0.0, 0.5, 1.0}


def test_the_other_network_is_compared_on_the_same_rows(tmp_path):
    answers = made_answers(np.arange(40) < 30)
    theirs = np.full((20, 7), 0.05)
    theirs[:, EXPRESSIONS.index("happy")] = 0.7
    path = tmp_path / "theirs.parquet"
    table = {"row": [*range(99, 80, -1), 500], **dict(zip(EXPRESSIONS, theirs.T, strict=True))}
    pq.write_table(pa.table(table), path)
    found = compare(answers, np.array([str(k) for k in range(60, 100)], object), path)
    assert found["faces"] == 19 and found["name"] == "theirs"
    assert found["majority"]["accuracy"] == round(9 / 19, 4) and found["majority"]["other"] == 1.0
    assert found["majority"]["low"] <= found["majority"]["difference"] <= found["majority"]["high"] < 0
    assert found["label"]["accuracy"] == 1.0, "on the label, the label's head is asked"
    with pytest.raises(CrowdmoodError, match="none of the rows"):
        compare(answers, np.array(["x"] * 40, object), path)
    pq.write_table(pa.table({"row": [1]}), path)
    with pytest.raises(CrowdmoodError, match="cannot be read as a table of predictions|lacks the columns"):
        compare(answers, np.array(["1"] * 40, object), path)


def test_columns_are_read_as_text(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"tone": [1, None]}), path)
    assert read_column(path, "tone").tolist() == ["1", "(none)"] and read_column(path, "age") is None
    answers = made_answers(np.arange(80) < 60)
    groups = compare_groups(answers, np.array(["x", "y"] * 40, object))
    assert groups["groups"]["x"] == groups["groups"]["y"] | {
        k: groups["groups"]["x"][k] for k in ("low", "high")
    }


def test_both_heads_are_asked_as_the_product_asks():
    model, images = find_model(EXPRESSION_NET), noise(6)
    net = expression_network(model.file("weights.safetensors"))
    np.testing.assert_allclose(torch_logits(net)(images), shipped_logits(model)(images), atol=2e-3)
    net.votes = net.label
    np.testing.assert_allclose(label_logits(model)(images), torch_logits(net)(images), atol=1e-5)
    assert label_logits(replace(model, card={"files": {}})) is None
    assert torch_logits(net)(images[:0]).shape == (0, 7)


def test_reliability_by_hand():
    sure = np.array([[0.9, 0.1]] * 4 + [[0.55, 0.45]] * 2)
    assert reliability(sure, np.array([0, 0, 0, 1, 1, 0])) == [[0.55, 0.5, 2], [0.9, 0.75, 4]]


def test_the_smallest_side_is_given_up_where_that_lets_more_faces_through():
    unsure = np.tile(np.linspace(0.0, 1.9, 100), (3, 1))
    right = np.ones((3, 100), bool)
    assert choose_side_and_limit(unsure, right, 0.95) == (0, LIMITS[0])
    right[0, 20:] = False  # the smallest: only a fifth could be let through, and of the others then as well
    assert choose_side_and_limit(unsure, right, 0.95) == (1, LIMITS[0])
    right[:, 60:] = False
    least, limit = choose_side_and_limit(unsure, right, 0.9)
    assert least == 1 and unsure[0, 60] <= limit < unsure[0, 70]
    assert choose_side_and_limit(unsure, np.zeros((3, 100), bool), 0.9) == (2, LIMITS[-1])


def test_photographs_are_decided_among_their_labels_and_among_seven():
    happy, neutral, sad = (EXPRESSIONS.index(name) for name in ("happy", "neutral", "sad"))
    probability = np.zeros((4, 7))
    probability[0, [happy, neutral]] = 0.6, 0.4
    probability[1, [sad, neutral, happy]] = 0.5, 0.3, 0.2  # wrong of seven, right of two
    probability[2, [happy, neutral]] = 0.4, 0.6
    label = np.array([happy, neutral, happy, neutral])
    seen = Readings(
        label, np.array([True, True, True, False]), probability, np.array([True, False, True, False])
    )
    found = measure_photos(seen)
    assert (found["found"], found["uncertain"], found["labels"]) == (3, 1, ["happy", "neutral"])
    assert found["seven"]["accuracy"] == 0.25 and found["among_labels"]["accuracy"] == 0.5
    assert found["accepted"] == {
        "accuracy": 0.5,
        "low": found["accepted"]["low"],
        "high": found["accepted"]["high"],
        "n": 2,
    }
    assert found["auc"] == 0.75 and sum(map(sum, found["confusion"])) == 3


def test_a_film_shows_each_face_where_it_says():
    settings, images = FilmSettings(width=640, height=480, seconds=0.2, per_scene=1), noise(3)
    scenes = plan_scenes(3, settings)
    assert len(scenes) == 3 and all(len(set(zip(s.face, s.side, strict=True))) == len(s.face) for s in scenes)
    frames = list(pictures(images, scenes, settings))
    assert len(frames) == 15 and frames[0].shape == (480, 640, 3) and frames[0].dtype == np.uint8
    for number in (0, 4, 5):
        pasted = scenes[number // 5]
        grey = cv2.cvtColor(frames[number], cv2.COLOR_RGB2GRAY)
        at = int(np.flatnonzero(pasted.side == 96)[0])
        x, y = pasted.corners(number % 5)[at] + 47.5
        shown = cv2.getRectSubPix(grey, (96, 96), (float(x), float(y))).astype(float)
        meant = cv2.resize(images[pasted.face[at]], (96, 96), interpolation=cv2.INTER_CUBIC).astype(float)
        inside = np.s_[12:84, 12:84]  # its edge and its corners are soft
        assert np.corrcoef(shown[inside].ravel(), meant[inside].ravel())[0, 1] > 0.9


def test_faces_of_a_run_are_matched_to_those_pasted():
    settings = FilmSettings(seconds=0.08)  # two frames a scene
    still = np.zeros((2, 2))
    scenes = [Pasted(np.array([0, 1]), np.array([48, 16]), np.array([[10.0, 10], [200, 10]]), still),
              Pasted(np.array([1, 0]), np.array([48, 16]), np.array([[10.0, 10], [200, 10]]), still)]  # fmt: skip
    boxes = Faces(
        np.array([0, 0, 2]), np.array([[11, 11, 57, 57], [400, 10, 440, 50], [12, 8, 60, 56]], float), None
    ).box
    rows = {"frame": np.array([0, 0, 2]), **dict(zip(("x1", "y1", "x2", "y2"), boxes.T, strict=True)),
            "score": np.array([0.9, 0.4, 0.6]), "usable": np.array([True, True, False]),
            "clear": np.array([True] * 3), "answer": np.array([3, 4, 2])}  # fmt: skip
    looks, false = match(rows, np.array([0, 2, 3]), scenes, settings)
    assert false.tolist() == [0.4] and len(looks.face) == 6
    assert looks.found.tolist() == [True, False, True, False, False, False]
    assert looks.answer.tolist() == [3, -1, 2, -1, -1, -1] and looks.usable.tolist() == [True] + [False] * 5
    figures = measure_looks(
        looks, np.array([3, 3]), {48: np.array([True, True]), 16: np.array([True, False])}, false
    )
    large = figures["sides"]["48 px"]
    assert (large["looks"], large["clean"], large["product"], large["lost"]) == (3, 1.0, 0.5, 0.5)
    assert large["uncertain"] == 0.5 and large["product_accepted"] == 1.0
    assert figures["scores"]["0.4 to 0.5"] == {
        "n": 0,
        "accuracy": 0.0,
        "clear": 0.0,
        "clear_accuracy": 0.0,
        "false": 1,
    }


def test_nothing_found_is_a_figure_too():
    looks = Looks(
        np.array([0, 0]),
        np.array([48, 16]),
        *(np.zeros(2, bool),),
        np.full(2, -1),
        np.zeros(2),
        *np.zeros((2, 2), bool),
    )
    figures = measure_looks(looks, np.array([3]), {48: np.array([True])}, np.zeros(0))
    assert figures["sides"]["48 px"]["found"] == 0.0 and figures["scores"] == {}


def test_landmarks_tie_crops_to_boxes():
    layout = Layout(down=0.4, eyes=0.36, below=0.05)
    # A crop of 100 px from (20, 30): its eyes and mouth stand where the layout says.
    eyes, mouth = 30 + 50 + 5 - 20, 30 + 50 + 5 + 20
    points = np.array([[[52, eyes], [88, eyes], [70, 90], [55, mouth], [85, mouth]]], float)
    np.testing.assert_allclose(eyes_and_mouth(points), [[40, 36, 85]])
    margin, shift_y, size_ratio, longer = _geometry(np.array([30.0, 32, 110, 132]), points, layout)
    assert (margin, longer) == (1.0, 100.0) and shift_y == pytest.approx(-0.02)
    assert size_ratio == pytest.approx(np.sqrt(0.8))
    assert _geometry(np.array([30.0, 32, 110, 132]), points * [0.3, 1], layout) is None, "seen from the side"


def test_the_card_the_page_and_the_pictures_are_made_of_what_was_measured(tmp_path):
    folder = tmp_path / "expression-9"
    shutil.copytree(find_model(EXPRESSION_NET).folder, folder)
    (folder / "figures.json").unlink(missing_ok=True)
    answers = made_answers(np.arange(40) < 30)
    course = [
        {"epoch": k, "seconds": 60.0 * k, "majority": 0.5, "clear": 0.6, "label": 0.4} for k in range(1, 9)
    ]
    add_figures(folder, faces=measure(answers) | {"command": "crowdmood evaluate"}, course=course)
    card, page = tomllib.loads((folder / "card.toml").read_text()), (folder / "README.md").read_text()
    assert card["metrics"]["majority"] == 0.75 and card["metrics"]["label_head"] == 1.0
    assert card["metrics"]["accepted_at_12px"] == 0.0 and card["metrics"]["accepted_at_16px"] == 1.0
    assert "75.00" in page and "Whole photographs" not in page and "(course.png)" in page
    for name in ("confusion.png", "reliability.png", "course.png"):
        assert name in page and 1000 < (folder / name).stat().st_size < 60_000
    add_figures(
        folder,
        photos=measure_photos(
            Readings(np.array([3, 6]), np.ones(2, bool), np.eye(7)[[3, 6]], np.ones(2, bool))
        ),
    )
    assert "Whole photographs" in (folder / "README.md").read_text() and set(read_figures(folder)) == {
        "faces",
        "course",
        "photos",
    }
    assert tomllib.loads((folder / "card.toml").read_text())["files"] == card["files"]
    json.loads((folder / "figures.json").read_text())


@pytest.mark.parametrize(
    ("words", "told"), [("", "--data, --photos"), ("--data none.parquet", "does not exist")]
)
def test_wrong_use_is_told(words, told):
    done = CliRunner().invoke(expression, words.split())
    assert done.exit_code == 2 and told in done.output
