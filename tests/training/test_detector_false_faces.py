"""Counting false faces: which frames are taken, the interval, the sheet."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from crowdmood.errors import CrowdmoodError
from crowdmood.training import detector_false_faces as false_faces
from crowdmood.training.detector_contestants import Contestant
from tests.videos import Clip, write


@pytest.fixture
def film(tmp_path):
    return write(tmp_path / "film.mp4", Clip(numbers=range(50), rate=Fraction(10)))


def numbers(source) -> list[int]:
    return [int(name.split()[-1]) for name, _ in false_faces.frames_of(str(source))]


def test_films_give_five_frames_a_second_and_parts_of_them_less(film):
    assert numbers(film) == list(range(0, 50, 2))
    assert numbers(f"{film}@1-2") == [10, 12, 14, 16, 18]
    assert numbers(f"{film}@11f-16f") == [12, 14, 16]


def test_pictures_and_folders(film, tmp_path):
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((10, 20, 3), np.uint8))
    (tmp_path / "note.txt").write_text("no picture")
    names = [name for name, _ in false_faces.frames_of(str(tmp_path))]
    assert names[0] == "b.png" and len(names) == 26
    with pytest.raises(CrowdmoodError, match="there is no such file"):
        list(false_faces.frames_of(str(tmp_path / "c.png")))


def always(box: list[float], score: float):
    return lambda least: lambda picture: (np.array([box], np.float32), np.array([score]))


def test_counts_above_the_threshold_and_from_twelve_pixels():
    pictures = [("one", np.zeros((100, 100, 3), np.uint8))] * 40
    contestants = [Contestant("sure", always([-5, 10, 30, 40], 0.6), 0.5),
                   Contestant("unsure", always([10, 10, 40, 40], 0.4), 0.5),
                   Contestant("small", always([10, 10, 20, 20], 0.9), 0.5)]
    kept: list = []
    found = false_faces.count_false_faces(contestants, iter(pictures), kept)
    assert [one["false_faces"] for one in found.values()] == [40, 0, 0]
    assert [one["best"] for one in found.values()] == [0.6, 0.4, 0.0]
    assert found["sure"]["per_200"] == 200 and len(kept) == 40 and kept[0].crop.shape == (96, 96, 3)
    with pytest.raises(CrowdmoodError, match="no frame"):
        false_faces.count_false_faces(contestants, iter([]), kept)


def test_the_interval_is_that_of_a_poisson_rate():
    assert false_faces.per_200(0, 600) == {"per_200": 0.0, "per_200_interval": [0.0, pytest.approx(200 * 3.6889 / 600, 1e-3)]}
    assert false_faces.per_200(3, 200)["per_200_interval"] == pytest.approx([0.619, 8.767], abs=1e-3)


def test_scenes_are_the_same_in_every_run():
    first, again = (dict(false_faces.scenes(2)) for _ in range(2))
    assert all((first[name] == again[name]).all() for name in first)


def test_the_sheet_shows_all_false_faces_or_none(tmp_path):
    face = false_faces.FalseFace(np.full((96, 96, 3), 200, np.uint8), 0.7, "face-1", "film 3")
    false_faces.draw_sheet(tmp_path / "sheet.png", [face] * 13)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (2 * 122, 12 * 96, 3)
    false_faces.draw_sheet(tmp_path / "none.png", [])
    assert cv2.imread(str(tmp_path / "none.png")).max() == 0
