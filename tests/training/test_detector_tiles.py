"""Frames made of pictures, and what tiles are said to find and cost."""

from __future__ import annotations

import numpy as np
import pytest

from crowdmood.training import detector_tables as tables
from crowdmood.training import detector_tiles as tiles

NOTHING = (np.zeros((0, 4), np.float32), np.zeros(0))


def test_four_pictures_shrink_into_a_frame():
    picture, boxes = np.full((1080, 960, 3), 255, np.uint8), np.array([[96.0, 108, 192, 216]], np.float32)
    (frame, found), = tiles.composed([(picture, boxes)] * 5)
    assert frame.shape == (1080, 1920, 3) and frame[:540, :480].min() == 255 and frame[0, 700, 0] == 40
    assert found[0] == pytest.approx([48, 54, 96, 108]) and found[3] == pytest.approx([1008, 594, 1056, 648])


def test_recall_wrong_boxes_and_milliseconds():
    truth = np.array([[0, 0, 15, 15], [50, 50, 90, 90], [0, 50, 8, 58]], np.float32)
    found = np.array([[0, 0, 15, 15], [50, 0, 70, 20]], np.float32), np.array([0.9, 0.8])
    seen = [tiles.Seen(found, None), tiles.Seen(NOTHING, 30.0), tiles.Seen(NOTHING, 10.0)]
    one = tiles.cost_and_yield(seen, [truth, truth[:0], truth[:0]])
    assert one == {"pictures": 3, "faces_small": 1, "faces_large": 1, "recall_small": 1.0, "recall_large": 0.0,
                   "wrong": 0.333, "ms": 20.0}


def test_rules_look_again_at_crowds_of_small_faces_only():
    image, truth = np.zeros((640, 1280, 3), np.uint8), np.array([[0, 0, 20, 20]], np.float32)
    crowd = np.tile(np.array([[0, 0, 20, 20]], np.float32), (6, 1)), np.ones(6)
    wanted = dict.fromkeys(("off", "2x2", "3x3"), lambda picture: crowd if picture is image else NOTHING)
    calm = np.zeros((640, 1280, 3), np.uint8)
    table, rules = tiles.measure_tiles(wanted, {"made": [(image, truth), (calm, truth[:0])]})
    assert table["made"]["2x2"]["recall_small"] == 1 and len(rules) == len(tiles.RULES)
    assert {(one["least"], one["again"]) for one in rules} == {(3, 0.5), (6, 0.5), (10, 0.0)}
    assert "2x2" in tables.tiles_table(table) and "median < 14 px" in tables.rules_table(rules)
