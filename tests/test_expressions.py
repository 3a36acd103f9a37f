import numpy as np
import pytest

from crowdmood.expressions import CropSettings, UsableSettings, classify, crop, crop_faces, entropy, judge, names
from crowdmood.faces import Faces


def faces(*boxes, score=0.9):
    return Faces(np.zeros(len(boxes), np.int32), np.array(boxes, np.float32).reshape(-1, 4),
                 np.full(len(boxes), score, np.float32))


def test_a_crop_is_the_square_around_the_box_with_its_margin():
    image = np.zeros((200, 300, 3), np.uint8)
    image[50:110, 100:160] = 255  # exactly the square that margin 1.5 around a 40 px box shows
    white = crop(image, np.array([110, 60, 150, 100], np.float32), CropSettings(margin=1.5, shift_y=0.0))
    assert white.shape == (48, 48) and (white == 255).all()
    wider = crop(image, np.array([110, 60, 150, 100], np.float32), CropSettings(margin=3.0, shift_y=0.0))
    assert wider[0, 0] == 0 and wider[24, 24] == 255


def test_shift_moves_the_crop_down():
    image = np.repeat(np.arange(200, dtype=np.uint8)[:, None, None], 200, axis=1).repeat(3, axis=2)
    box = np.array([80, 80, 120, 120], np.float32)
    plain = crop(image, box, CropSettings(1.0, 0.0)).mean()
    moved = crop(image, box, CropSettings(1.0, 0.25)).mean()
    assert moved - plain == pytest.approx(10, abs=1)


@pytest.mark.parametrize("box", [(-20, -20, 30, 30), (280, 180, 330, 230), (-50, -50, -10, -10), (0, 0, 0.2, 0.2)])
def test_a_crop_beyond_the_picture_repeats_its_edge(box):
    image = np.full((200, 300, 3), 77, np.uint8)
    assert (crop(image, np.array(box, np.float32), CropSettings(1.2, 0.0)) == 77).all()


def test_shrinking_a_crop_does_not_alias():
    image = np.zeros((480, 480, 3), np.uint8)
    image[:, ::2] = 255  # stripes of one pixel: antialiased they are grey
    grey = crop(image, np.array([0, 0, 480, 480], np.float32), CropSettings(1.0, 0.0))
    assert 120 <= grey.min() and grey.max() <= 135


def test_crops_come_from_their_own_frames():
    images = np.stack([np.full((100, 100, 3), value, np.uint8) for value in (10, 200)])
    found = Faces(np.array([1, 0], np.int32), np.array([[20, 20, 60, 60]] * 2, np.float32), np.ones(2, np.float32))
    crops = crop_faces(images, found, CropSettings())
    assert crops[0].mean() == 200 and crops[1].mean() == 10


def test_probabilities_are_the_softmax_of_tempered_logits():
    logits = np.array([[2.0, 0, 0, 0, 0, 0, 0]], np.float32)
    probability = classify(np.zeros((1, 48, 48), np.uint8), lambda crops: logits, temperature=2.0)
    assert probability[0, 0] == pytest.approx(np.e / (np.e + 6), rel=1e-5)
    assert probability.sum() == pytest.approx(1)
    assert classify(np.zeros((0, 48, 48), np.uint8), lambda crops: logits, 1.0).shape == (0, 7)


def test_small_blurred_unsure_faces_are_uncertain():
    sure, unsure = np.eye(7, dtype=np.float32)[3], np.full(7, 1 / 7, np.float32)
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    flat = np.full((48, 48), 128, np.uint8)
    settings = UsableSettings(min_size_px=20, min_sharpness=1.0, min_score=0.5, max_entropy=1.5)
    boxes = [(0, 0, 40, 40), (0, 0, 10, 10), (0, 0, 40, 40), (0, 0, 40, 40)]
    seen = judge(faces(*boxes), np.stack([noise, noise, flat, noise]), np.stack([sure, sure, sure, unsure]), settings)
    assert list(seen.usable) == [True, False, False, False]
    assert list(names(seen.probability, seen.usable)) == ["happy", "uncertain", "uncertain", "uncertain"]
    assert not judge(faces((0, 0, 40, 40), score=0.4), noise[None], sure[None], settings).usable[0]


def test_entropy_runs_from_nothing_to_the_logarithm_of_seven():
    np.testing.assert_allclose(entropy(np.stack([np.eye(7)[0], np.full(7, 1 / 7)])), [0, np.log(7)], atol=1e-9)
