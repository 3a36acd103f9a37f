"""Made-up training pictures: what is labelled is there, and what is not labelled is no face."""

import cv2
import numpy as np
import pytest

from crowdmood.training.detector_crowds import crowd, cut_heads, face_free, gallery, made_up
from crowdmood.training.detector_data import Pictures
from crowdmood.training.scenes import scene

GROUND, FACE = (10, 20, 30), (250, 0, 250)  # no scene has much of this pink


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Pictures:
    """Flat pictures with two pink ellipses as faces, one of 48 px and one of 16 px height."""
    folder, names, boxes = tmp_path_factory.mktemp("pictures"), [], []
    for number in range(6):
        picture = np.full((240, 320, 3), GROUND, np.uint8)
        x = 60 + 10 * number
        cv2.ellipse(picture, (x, 100), (18, 24), 0, 0, 360, FACE, -1)
        cv2.ellipse(picture, (260, 200), (6, 8), 0, 0, 360, FACE, -1)
        names.append(f"{number}.png")
        boxes.append(np.array([[x - 18, 76, x + 18, 124], [254, 192, 266, 208]], np.float32))
        cv2.imwrite(str(folder / names[-1]), picture[..., ::-1])
    return Pictures(folder, np.array(names), np.array(["facecount"] * 6), boxes)


def pink(picture: np.ndarray) -> np.ndarray:
    """Share of red and blue over green: survives darkening and compression. bool (h, w)."""
    red, green, blue = picture.astype(float).transpose(2, 0, 1)
    return np.minimum(red, blue) > 3 * green + 4


@pytest.mark.parametrize("seed", range(30))
def test_scenes_have_any_size_and_depend_on_the_seed_only(seed):
    width, height = ((416, 416), (61, 23), (9, 40))[seed % 3]
    first, again = (scene(np.random.default_rng(seed), width, height) for _ in range(2))
    assert first.shape == (height, width, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)


def test_only_large_faces_apart_from_others_are_cut_out(pictures):
    heads = cut_heads(pictures, 3, np.random.default_rng(0))
    assert len(heads) == 3
    for patch, box in heads:
        assert box[3] - box[1] == 48 and pink(patch)[int(box[1] + 24), int(box[0] + 18)]


@pytest.mark.parametrize("make", [crowd, gallery])
def test_every_label_has_its_face(pictures, make):
    seen = 0
    for seed in range(12):
        picture, boxes = make(pictures, 256, np.random.default_rng(seed))
        assert picture.shape == (256, 256, 3) and picture.dtype == np.uint8
        assert boxes.min(initial=0) >= 0 and boxes.max(initial=0) <= 256
        if picture.mean() < 25:  # too dark to tell the colour
            continue
        for x1, y1, x2, y2 in boxes.astype(int):
            seen += 1
            assert pink(picture[y1:y2, x1:x2]).mean() > 0.2, (seed, x1, y1)
    assert seen > 50


def test_crowds_hold_faces_smaller_than_photographs_do(pictures):
    rng = np.random.default_rng(1)
    boxes = np.concatenate([crowd(pictures, 416, rng)[1] for _ in range(20)])
    height = boxes[:, 3] - boxes[:, 1]
    assert (height < 24).mean() > 0.1 and (height > 32).mean() > 0.1


def test_face_free_pictures_hold_no_face(pictures):
    real = 0
    for seed in range(60):
        picture = face_free(pictures, 128, np.random.default_rng(seed))
        flat = np.abs(picture.astype(int) - GROUND).max(axis=2) < 12
        real += flat.mean() > 0.9
        assert flat.mean() < 0.5 or not pink(picture).any()
    assert real > 10


def test_some_made_up_pictures_have_no_face_and_most_have_many(pictures):
    counts = [len(made_up(pictures, 256, np.random.default_rng(seed))[1]) for seed in range(60)]
    assert 0.1 < np.mean(np.array(counts) == 0) < 0.5 and np.median(counts) > 5
