"""Stills: the very frame that was asked for, upright, of the very recording that was analyzed."""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from crowdmood.errors import VideoError
from crowdmood.stills import recording_of, stills, write_still
from crowdmood.video import probe
from tests.videos import Clip, blank_media, draw, read, write

MILLISECONDS = Fraction(1, 1000)
KINDS = {
    "B-frames": ("mp4", Clip()),
    "open groups": ("mp4", Clip(options={"x264-params": "keyint=12:open-gop=1:bframes=3:b-pyramid=normal:scenecut=0"})),
    "variable rate": ("mp4", Clip(ticks=[30 * i + 17 * i * i // 10 for i in range(48)], time_base=MILLISECONDS)),
    "late start": ("mkv", Clip(ticks=[1500 + 40 * i for i in range(48)], time_base=MILLISECONDS)),
    "turned by 90": ("mp4", Clip(rotation=90)),
    "turned by 180": ("mp4", Clip(rotation=180)),
    "turned by 270": ("mp4", Clip(rotation=-90)),
    "no times": ("h264", Clip()),
    "hevc": ("mp4", Clip(codec="libx265", options={"x265-params": "keyint=12:open-gop=1:bframes=3:log-level=none"})),
}


@pytest.fixture
def film(tmp_path):
    return write(tmp_path / "film.mp4", Clip())


def row(path, **changes) -> dict:
    recording = probe(path)
    return {"run": "ab12", "recording": path.name, "path": str(path), "digest": recording.digest,
            "size_bytes": recording.size_bytes} | changes


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_is_that_of_the_frame(tmp_path, kind):
    suffix, clip = KINDS[kind]
    path = write(tmp_path / f"film.{suffix}", clip)
    wanted = [47, 0, 13, 12, 11, 30, 13]
    found = list(stills(path, wanted))
    assert [number for number, _ in found] == sorted(set(wanted))
    assert [read(image) for _, image in found] == sorted(set(wanted))
    shown = (128, 96, 3) if kind in ("turned by 90", "turned by 270") else (96, 128, 3)
    assert {image.shape for _, image in found} == {shown}


def test_pictures_stay_as_they_were_when_the_next_comes(film):
    images = [image for _, image in stills(film, range(10))]
    assert [read(image) for image in images] == list(range(10))


def test_a_frame_that_is_not_there_is_an_error(film):
    for wanted in ([48], [-1, 3]):
        with pytest.raises(VideoError, match=rf"no frame {wanted[0]}; its frames are 0\.\.47"):
            list(stills(film, wanted))
    assert list(stills(film, [])) == []


def test_a_frame_that_cannot_be_decoded_is_left_out(tmp_path):
    path = blank_media(write(tmp_path / "film.mp4", Clip(codec="mpeg4", options={"g": "4"})), 0.55)
    numbers = [number for number, _ in stills(path, [0, 5, 46])]
    assert numbers[:2] == [0, 5] and 46 not in numbers


def test_the_recording_is_the_one_that_was_analyzed(film, tmp_path):
    info = row(film)
    assert recording_of(info).digest == info["digest"]
    moved = tmp_path / "elsewhere.mp4"
    shutil.move(film, moved)
    with pytest.raises(VideoError, match=r"film\.mp4 is no longer at .*; --video PATH says where it is now"):
        recording_of(info)
    assert recording_of(info, moved).path == moved
    with pytest.raises(VideoError, match="there is no such file"):
        recording_of(info, tmp_path / "nowhere.mp4")


def test_another_recording_is_refused(film):
    info = row(film)
    content = bytearray(film.read_bytes())
    content[-1] ^= 1
    film.write_bytes(content)  # the same size
    with pytest.raises(VideoError, match="its content differs; --video PATH"):
        recording_of(info)
    film.write_bytes(content[:-9])
    with pytest.raises(VideoError, match="its content differs; give the very file"):
        recording_of(info, film)


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_still_is_the_picture_at_full_size(tmp_path, ending):
    image = draw(1234)
    path = tmp_path / f"still.{ending}"
    write_still(path, image)
    written = np.asarray(Image.open(path))
    assert written.shape == image.shape and read(written) == 1234
    assert np.abs(written.astype(int) - image).max() <= (0 if ending == "png" else 12)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_still_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "still.png").mkdir()
    with pytest.raises(VideoError, match="still.png cannot be written"):
        write_still(tmp_path / "still.png", draw(1))
