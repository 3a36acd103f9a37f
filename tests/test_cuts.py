"""Cuts: drawn scenes with known cuts, and hand-noted clips."""

from __future__ import annotations

import time

import av
import numpy as np
import pytest

from crowdmood.cuts import FrameRows, find_cuts
from crowdmood.signature import SIGNATURE_BYTES, signature

HEIGHT, WIDTH = 180, 320


def scene(seed: int, width: int = WIDTH) -> np.ndarray:
    """Return a picture of forty random rectangles: as unlike any other seed's as two rooms are."""
    rng = np.random.default_rng(seed)
    image = np.empty((HEIGHT, width, 3), np.uint8)
    image[:] = rng.integers(0, 256, 3)
    for _ in range(40 * width // WIDTH):
        x, y = rng.integers(0, width), rng.integers(0, HEIGHT)
        image[y:y + rng.integers(10, 80), x:x + rng.integers(10, 90)] = rng.integers(0, 256, 3)
    return image


def rows(images: list[np.ndarray], fps: float = 5.0) -> FrameRows:
    n = len(images)
    noise = np.random.default_rng(99)
    noisy = [np.clip(image + noise.normal(0, 3, image.shape), 0, 255).astype(np.uint8) for image in images]
    return FrameRows(np.arange(n), np.arange(n) / fps, np.stack([signature(image) for image in noisy]))


def cuts(images: list[np.ndarray], fps: float = 5.0) -> list[int]:
    return np.flatnonzero(find_cuts(rows(images, fps))).tolist()


def test_signature_has_a_fixed_size_for_any_picture():
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (3, 500), (719, 1281), (2160, 3840)):
        made = signature(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        assert made.shape == (SIGNATURE_BYTES,) and made.dtype == np.uint8
        assert made[144:].reshape(3, 12).sum(axis=1).tolist() == [255, 255, 255]


def test_signature_says_what_is_where():
    image = np.zeros((360, 640, 3), np.uint8)
    image[:180, :320] = (255, 0, 0)  # red, upper left
    thumbnail, histogram = signature(image)[:144].reshape(9, 16), signature(image)[144:].reshape(3, 12)
    assert thumbnail[:4, :8].min() > 70 and thumbnail[5:].max() == 0 and thumbnail[:, 8:].max() == 0
    assert abs(int(histogram[0, 11]) - 64) <= 1 and histogram[1].tolist() == [255] + [0] * 11


def test_signature_is_quick():
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    best = min(_seconds(lambda: signature(image)) for _ in range(50))
    assert best < 0.0003


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.mark.parametrize("fps", [1.0, 5.0, 25.0])
def test_hard_cuts(fps):
    images = [scene(1)] * 8 + [scene(2)] * 9 + [scene(3)] * 7
    assert cuts(images, fps) == [8, 17]


def test_a_slide_show_has_a_cut_at_every_slide():
    assert cuts([scene(seed) for seed in range(12)]) == list(range(1, 12))


def test_neither_none_nor_one_frame_is_a_cut():
    assert find_cuts(FrameRows(np.zeros(0, int), np.zeros(0), np.zeros((0, 180), np.uint8))).shape == (0,)
    assert cuts([scene(1)]) == []


def test_a_still_picture_has_no_cut():
    assert cuts([scene(1)] * 30) == []


@pytest.mark.parametrize("step", [8, 25, 45])
def test_a_pan_is_no_cut(step):
    """45 of 320 pixels a frame at 5 frames a second: the whole picture is new after 1.4 s."""
    wide = scene(4, WIDTH + 30 * step)
    assert cuts([wide[:, i * step:i * step + WIDTH] for i in range(30)]) == []


@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_flashes_are_no_cuts(fps):
    dark = scene(5) // 3
    white = np.full_like(dark, 250)
    bright = np.clip(dark.astype(int) * 3 + 60, 0, 255).astype(np.uint8)
    assert cuts([dark] * 10 + [white] + [dark] * 10 + [bright] * 2 + [dark] * 10, fps) == []


def test_a_strobe_is_no_cut():
    lit, black = scene(6), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert cuts(([lit] * 3 + [black] * 2) * 6 + [lit] * 6, 25.0) == []


def test_stage_lights_that_change_colour_are_no_cut():
    image = scene(7).astype(float)
    red, blue = image * (1.0, 0.4, 0.4), image * (0.4, 0.4, 1.0)
    assert cuts([red.astype(np.uint8)] * 10 + [blue.astype(np.uint8)] * 10) == []


def test_one_tile_of_a_gallery_that_changes_is_no_cut():
    before, after = scene(8), scene(8)
    after[90:, 160:] = scene(9)[90:, 160:]
    assert cuts([before] * 8 + [after] * 8) == []


@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_a_fade_through_black_ends_the_scene(fps):
    n = int(fps)
    down = [(scene(10) * (1 - k / n)).astype(np.uint8) for k in range(n)]
    up = [(scene(11) * (k / n)).astype(np.uint8) for k in range(1, n + 1)]
    black = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * n
    found = cuts([scene(10)] * n + down + black + up + [scene(11)] * n, fps)
    from_black = [cut for cut in found if 2.9 * n <= cut <= 3.4 * n]
    to_black = [cut for cut in found if 1.8 * n <= cut <= 2.1 * n]
    assert len(from_black) == 1 and len(to_black) <= 1 and len(found) == len(from_black + to_black)


@pytest.mark.parametrize("fps", [5.0, 25.0])
@pytest.mark.parametrize("seconds", [0.8, 1.4])
def test_a_dissolve_is_one_cut_in_its_middle(fps, seconds):
    n, first, second = int(fps * seconds), scene(12).astype(float), scene(13).astype(float)
    mix = [(first * (1 - k / n) + second * k / n).astype(np.uint8) for k in range(1, n)]
    images = [scene(12)] * int(2 * fps) + mix + [scene(13)] * int(2 * fps)
    found = cuts(images, fps)
    assert len(found) == 1 and abs(found[0] / fps - (2 + seconds / 2)) <= 0.45


NOTED = {
    "crowd/a10_stage_hamilton.mp4": [20, 82, 211],
    "crowd/a14_googlework_street_and_interview.mp4":
        [17, 36, 54, 73, 93, 111, 130, 149, 167, 186, 204, 222, 291, 432, 540, 609, 710, 769, 819, 949],
    "faces/c03_face_then_noface.mov": [72, 73],
    "crowd/a01_street_market_facenet.mp4": [],
    "meeting/b01_zoom_gallery_2x2.mp4": [],
    "faces/c01_woman_cry_then_laugh_pexels.mp4": [],
}
# At 5 frames a second a14 swings so fast from a sign up a wall to a street plate (twice two thirds of the
# picture between two frames), and a man so fast past the lens,
# that it cannot be told from cuts. No face is there.
SWUNG = {353, 359, 539}
ALIKE = {204, 209}  # two old photographs with the same black borders and much the same street


@pytest.mark.parametrize("name", NOTED)
def test_cuts_of_real_clips(media, name):
    stamps, signatures = _signatures(media / name)
    for fps in (None, 5.0):
        shown = _sampled(stamps, fps)
        expected = {int(shown[np.searchsorted(shown, cut)]) for cut in NOTED[name]}
        found = set(shown[find_cuts(FrameRows(shown, stamps[shown], signatures[shown]))].tolist())
        assert expected - found <= ALIKE and found - expected <= (SWUNG if fps else set())


def _signatures(path) -> tuple[np.ndarray, np.ndarray]:
    with av.open(str(path)) as container:
        made = [(float(frame.pts * frame.time_base), signature(frame.to_ndarray(format="rgb24")))
                for frame in container.decode(video=0)]
    stamps = np.array([stamp for stamp, _ in made])
    return stamps - stamps[0], np.stack([each for _, each in made])


def _sampled(stamps: np.ndarray, fps: float | None) -> np.ndarray:
    if fps is None:
        return np.arange(len(stamps))
    instants = np.arange(0, stamps[-1] + 1e-6, 1 / fps)
    return np.unique(np.searchsorted(stamps, instants + 1e-6, side="right") - 1)
