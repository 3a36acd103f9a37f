"""Average precision and recall by size of face, on boxes by hand with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from crowdmood.training import detector_evaluation as evaluation

ALL = (0.0, np.inf)


def boxes(*rows) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def square(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y + side]


def test_average_precision_and_recall_of_a_known_ranking():
    truth = [boxes(square(0, 0, 50), square(100, 0, 50)), boxes(square(0, 0, 50))]
    found = [
        (boxes(square(0, 0, 50), square(200, 200, 50)), np.array([0.9, 0.8])),  # right, wrong
        (boxes(square(2, 0, 50)), np.array([0.7])),
    ]  # right
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
    right, ignored = evaluation.judge(
        (boxes(square(1, 0, 50), square(0, 0, 50)), np.array([0.6, 0.7])), truth, ALL
    )
    assert right.tolist() == [False, True] and ignored.tolist() == [False, False]


def test_faces_outside_the_band_are_neither_right_nor_wrong():
    truth = boxes(square(0, 0, 100), square(200, 0, 20))
    found = boxes(
        square(0, 0, 100), square(200, 0, 20), square(300, 300, 20), square(300, 100, 60), square(400, 0, 8)
    )
    right, ignored = evaluation.judge((found, np.linspace(0.9, 0.5, 5)), truth, (12, 24))
    assert right.tolist() == [False, True, False, False, False]
    assert ignored.tolist() == [
        True,
        False,
        False,
        True,
        True,
    ]  # a large face; ...; not of the band; under 12 px
    assert evaluation.outcome([(found, np.linspace(0.9, 0.5, 5))], [truth], (12, 24)).faces.tolist() == [1]


def test_overlap_below_half_is_wrong():
    right, ignored = evaluation.judge(
        (boxes(square(20, 0, 50)), np.array([0.9])), boxes(square(0, 0, 50)), ALL
    )
    assert not right[0] and not ignored[0]


def test_nothing_found_and_nothing_to_find():
    nothing = (boxes(), np.zeros(0))
    assert evaluation.measures(evaluation.outcome([nothing], [boxes(square(0, 0, 50))], ALL)).tolist() == [0, 0]
    result = evaluation.outcome([(boxes(square(0, 0, 50)), np.array([0.5]))], [boxes()], ALL)
    assert result.right.tolist() == [False] and evaluation.measures(result)[0] == 0


def test_a_picture_counted_twice_is_as_good_as_two():
    truth = [boxes(square(0, 0, 50)), boxes(square(0, 0, 50))]
    found = [(boxes(square(0, 0, 50)), np.array([0.5])), (boxes(square(300, 0, 50)), np.array([0.9]))]
    once = evaluation.outcome(found, truth, ALL)
    twice = evaluation.outcome([*found, found[0]], [*truth, truth[0]], ALL)
    assert evaluation.measures(once, np.array([2.0, 1.0])) == pytest.approx(evaluation.measures(twice))
    assert evaluation.measures(once, np.array([0.0, 3.0]))[0] == 0
