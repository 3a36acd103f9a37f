"""Layouts that are hard to see: grey on a slide as bright as it, dark tiles without a line between, gutters beside a speaker frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from crowdmood.layout.edges import find_edges
from crowdmood.layout.finding import ROLES, find_tiles
from crowdmood.layout.grids import refined
from crowdmood.layout.marks import LABEL_SAME, LOOK_SAME, label_distance, look_distance
from tests.test_layout import GREEN, NAMES, assert_found, coded, gallery, grid, put

NAVY = (24, 40, 72)  # as bright as the grey of a tile whose camera is off


def framed(picture: np.ndarray, box: tuple[int, int, int, int], thick: int = 3) -> np.ndarray:
    """The picture with a speaker frame on a tile."""
    x1, y1, x2, y2 = box
    half = thick // 2
    return cv2.rectangle(picture.copy(), (x1 + half, y1 + half), (x2 - 1 - half, y2 - 1 - half), GREEN, thick)


@pytest.mark.parametrize("grey", [36, 38])
def test_a_thumbnail_whose_camera_is_off_is_found_on_a_slide_as_bright_as_it(grey):
    slide = np.full((720, 1280, 3), NAVY, np.uint8)
    cv2.putText(slide, "Figures of quarter 2", (90, 100), cv2.FONT_HERSHEY_SIMPLEX, 2, (235, 235, 245), 3, cv2.LINE_AA)
    box = (1067, 0, 1280, 120)
    put(slide, box, np.full((120, 213, 3), grey, np.uint8), "Ana Ruiz", 9)
    tiles, _ = find_tiles(coded(slide), None, True)
    assert tiles.role.tolist() == [ROLES.index("share"), ROLES.index("tile")]
    assert_found([(0, 0, 1280, 720), box], tiles)


def test_a_gallery_of_dark_tiles_is_the_whole_one_though_no_lines_are_between_the_outer_ones():
    boxes = grid(25, 5)
    lit = (1, 2, 3, 6, 7, 8, 11, 13, 16, 17, 18, 22, 23)
    tiles, _ = find_tiles(coded(gallery(boxes, off=tuple(set(range(25)) - set(lit)))), None, True)
    assert_found(boxes, tiles)


def test_a_line_between_rows_may_be_the_lower_side_of_the_one_or_the_upper_side_of_the_other():
    true = np.array(grid(8, 3, gutter=8))
    edges = find_edges(coded(framed(gallery(true.tolist(), ground=16), true[1])))
    touching = true.copy()
    touching[:3, 3] = true[3, 1]  # as if the first row reached down to the second, and the last one up to it
    touching[6:, 1] = true[3, 3]
    assert np.abs(refined(touching, edges) - true).max() <= 1


@pytest.mark.parametrize("gutter", [0, 4])
def test_a_speaker_frame_changes_neither_name_nor_look_of_a_tile(gutter):
    boxes = grid(9, 3, gutter=gutter)
    before = gallery(boxes, ground=26)
    plain, look = find_tiles(coded(before), None)
    order = np.lexsort((plain.box[:, 0], plain.box[:, 1].round(-2)))
    for number in (0, 4, 8):
        now, _ = find_tiles(coded(framed(before, boxes[number])), look)
        again = np.lexsort((now.box[:, 0], now.box[:, 1].round(-2)))
        assert look_distance(now.look[again[number]][None], plain.look[order[number]][None])[0, 0] < LOOK_SAME / 16
        assert label_distance(now.label[again[number]][None], plain.label[order[number]][None])[0, 0] < LABEL_SAME, NAMES[number]
        assert np.isfinite(now.motion).all()
