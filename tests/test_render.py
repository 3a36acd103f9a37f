"""Films: the times, frames and sound of the recording, boxes where the tables say, and faces that nobody can recognise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from crowdmood import analysis
from crowdmood.blur import blur, pixelate
from crowdmood.cli.render import default_name
from crowdmood.errors import ResultsError, VideoError
from crowdmood.film import Look, render
from crowdmood.film.lettering import letter_size, rgb
from crowdmood.film.overlay import Overlay
from crowdmood.film.paths import covered, shown, sightings
from crowdmood.options import Execution, Options
from crowdmood.palette import EXPRESSION_COLOURS
from crowdmood.results import find_run
from crowdmood.video import Sampling, decode, probe, select
from tests import videos
from tests.films import Face, add_sound, click_times, made_run, read_film, sound_packets
from tests.forks import CROWDMOOD, forked
from tests.videos import Clip, draw, write

FAST = Look(crf=16)
BARE = Look(boxes=False, curve=False, crf=16)
FIFTHS = list(range(0, 48, 5))


def still(path: Path, **changes) -> Path:
    """48 grey frames of 320 x 240, 24 a second; `shades`: another grey from a frame on."""
    shades = changes.pop("shades", {0: 90})
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        image = np.zeros((240, 320, 3), np.uint8)
        for number in range(48):
            if number in shades:
                image[:] = texture(shades[number])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def texture(seed: int) -> np.ndarray:
    """A grey picture with coarse structure, another one for each seed: uint8 (240, 320, 3)."""
    cells = np.random.default_rng(seed).integers(60, 140, (6, 8, 1), dtype=np.uint8)
    return np.repeat(np.repeat(np.repeat(cells, 40, axis=0), 40, axis=1), 3, axis=2)


def exact_times(path: Path) -> list[Fraction]:
    video = probe(path)
    return [Fraction(int(pts)) * video.time_base for pts in video.pts]


RECORDINGS = {
    "constant.mp4": Clip(),
    "variable.mp4": Clip(ticks=np.cumsum([0, *([300, 700, 1100, 41] * 12)])[:48].tolist(), time_base=Fraction(1, 12000)),
    "late.mp4": Clip(ticks=list(range(852, 852 + 48 * 40, 40)), time_base=Fraction(1, 997)),
    "film.mkv": Clip(rate=Fraction(24000, 1001)),
    "odd.webm": Clip(codec="libvpx-vp9", size=(161, 121), options={"g": "12"}, numbers=range(12)),
    "turned.mp4": Clip(rotation=-90, numbers=range(24)),
    "wide.mp4": Clip(aspect=Fraction(2), numbers=range(24)),
    "ten.mp4": Clip(codec="libx265", pixel_format="yuv420p10le", options={"x265-params": "log-level=none"}, numbers=range(24)),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_film_has_the_recordings_frames_at_their_times(tmp_path, name):
    recording = write(tmp_path / name, RECORDINGS[name])
    video = probe(recording)
    run = made_run(tmp_path / "results", recording, [0, 5, 10], [])
    film = render(run, tmp_path / "film.mp4", FAST)
    made = read_film(film.path)
    assert made.times == exact_times(recording)
    assert [videos.read(image[:video.height, :video.width]) for image in made.images] == list(RECORDINGS[name].numbers)
    assert made.streams == [("video", "h264")]
    assert made.images.shape[1] % 2 == made.images.shape[2] % 2 == 0
    assert made.images.shape[1] > video.height and abs(made.images.shape[2] - video.width) <= 1
    with av.open(str(film.path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert float(probe(film.path).shown_ticks * probe(film.path).time_base) == pytest.approx(
        float(video.shown_ticks * video.time_base), abs=0.005)


def test_edit_lists_are_kept(tmp_path):
    recording = write(tmp_path / "edited.mp4", Clip(options={"g": "12", "bf": "0"}))
    videos.trim_by_edit_list(recording, 10 * 512, 1000)
    video = probe(recording)
    assert len(video) < 48
    run = made_run(tmp_path / "results", recording, [0, 5], [])
    made = read_film(render(run, tmp_path / "film.mp4", BARE).path)
    assert made.times == exact_times(recording)
    assert [videos.read(image) for image in made.images] == list(range(10, 10 + len(video)))


def test_damaged_frames_are_missing_and_the_others_in_their_places(tmp_path):
    recording = videos.blank_media(write(tmp_path / "hurt.mp4", Clip(options={"g": "12", "bf": "0"})), 0.5, 0.55)
    run = made_run(tmp_path / "results", recording, [0, 5], [])
    film = render(run, tmp_path / "film.mp4", BARE)
    made = read_film(film.path)
    assert set(made.times) <= set(exact_times(recording))
    assert film.frames == len(made.times) == 48 - film.missing
    assert videos.read(made.images[0]) == 0 and videos.read(made.images[-1]) == 47


@pytest.mark.parametrize("codec, ending", [("aac", "mp4"), ("aac", "ts"), ("libmp3lame", "mkv"), ("libopus", "webm"),
                                           ("flac", "mkv"), ("ac3", "mkv")])
def test_sound_is_kept_packet_by_packet(tmp_path, codec, ending):
    picture = write(tmp_path / ("v.webm" if ending == "webm" else "v.mp4"),
                    Clip(codec="libvpx-vp9", options={}) if ending == "webm" else Clip())
    recording = add_sound(picture, tmp_path / f"film.{ending}", codec, (0.5, 1.5))
    run = made_run(tmp_path / "results", recording, [0], [])
    film = render(run, tmp_path / "out.mp4", BARE).path
    given, kept = sound_packets(recording), sound_packets(film)
    if ending == "ts":  # ADTS headers are no part of MP4
        assert [content[7:] for _, content in given] == [content for _, content in kept]
    else:
        assert [content for _, content in given] == [content for _, content in kept]
    # Matroska rounds times to milliseconds, MP4 counts samples.
    assert max(abs(float(a - b)) for (a, _), (b, _) in zip(given, kept, strict=True)) < 0.002
    assert click_times(film) == pytest.approx(click_times(recording), abs=0.003)
    assert probe(film).pts[0] * probe(film).time_base == probe(recording).pts[0] * probe(recording).time_base


@pytest.mark.parametrize("codec, ending", [("pcm_s16le", "mov"), ("pcm_mulaw", "mov"), ("mp2", "mpg")])
def test_other_sound_becomes_aac_and_stays_in_time(tmp_path, codec, ending):
    picture = write(tmp_path / "v.mp4", Clip(codec="mpeg2video", options={"bf": "0"}) if ending == "mpg" else Clip())
    recording = add_sound(picture, tmp_path / f"film.{ending}", codec, (0.5, 1.5))
    run = made_run(tmp_path / "results", recording, [0], [])
    film = render(run, tmp_path / "out.mp4", BARE).path
    assert read_film(film).streams == [("video", "h264"), ("audio", "aac")]
    assert click_times(film) == pytest.approx(click_times(recording), abs=0.005)


def test_late_sound_stays_where_it_is(tmp_path):
    recording = add_sound(write(tmp_path / "v.mp4", Clip()), tmp_path / "film.mkv", "pcm_s16le", (1.0,), 1.0, start=0.7)
    run = made_run(tmp_path / "results", recording, [0], [])
    film = render(run, tmp_path / "out.mp4", BARE).path
    assert click_times(recording) == pytest.approx([1.0], abs=0.002)
    assert click_times(film) == pytest.approx([1.0], abs=0.005)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_a_part_begins_at_zero_with_its_sound(tmp_path, codec):
    recording = add_sound(write(tmp_path / "v.mp4", Clip()), tmp_path / "film.mov", codec, (0.5, 1.25, 1.9))
    run = made_run(tmp_path / "results", recording, [0], [])
    film = render(run, tmp_path / "out.mp4", Look(boxes=False, curve=False, start_s=1.0, end_s=1.5)).path
    made = read_film(film)
    assert [videos.read(image) for image in made.images] == list(range(24, 36))
    assert made.times == [Fraction(number, 24) for number in range(12)]
    assert click_times(film) == pytest.approx([0.25], abs=0.005)


def moving(frame: int) -> tuple[float, float, float, float]:
    """A box that moves 4 pixels a frame."""
    return 60 + 4 * frame, 80, 120 + 4 * frame, 150


def colour_share(image: np.ndarray, box: tuple[float, ...], name: str) -> float:
    """How much of a box's left, right and lower edges (the label is above) has the colour of an expression."""
    x1, y1, x2, y2 = (round(value) for value in box)
    edges = [image[y1 + 6:y2 - 6, x - 3:x + 4] for x in (x1, x2)] + [image[y2 - 3:y2 + 4, x1 + 6:x2 - 6].swapaxes(0, 1)]
    near = [(np.abs(edge.astype(int) - rgb(EXPRESSION_COLOURS[name])).max(axis=2) < 60).any(axis=1) for edge in edges]
    return float(np.concatenate(near).mean())


def test_boxes_have_the_colour_and_the_place_that_the_tables_say(tmp_path):
    recording = still(tmp_path / "still.mp4")
    names = {0: "sad", 5: "sad", 10: "angry", 15: "uncertain", 20: "happy"}
    run = made_run(tmp_path / "results", recording, FIFTHS, [Face(frame, moving(frame), name) for frame, name in names.items()])
    images = read_film(render(run, tmp_path / "film.mp4", FAST).path).images
    for frame in range(21):
        name = names[frame - frame % 5]
        share = colour_share(images[frame], moving(frame), name)
        assert 0.35 < share < 0.8 if name == "uncertain" else share > 0.9, (frame, name, share)
    for frame in range(26, 48):  # the track ended at 20; half of the gap to the next frame still belongs to it
        assert np.abs(images[frame][:236].astype(int) - texture(90)[:236]).max() < 25, frame


def test_a_person_hidden_for_long_is_not_drawn_but_stays_covered(tmp_path):
    recording = still(tmp_path / "still.mp4")
    box = (100.0, 80.0, 160.0, 150.0)
    faces = [Face(0, box), Face(5, box), Face(40, box, track=2), Face(45, box, track=2)]
    run = made_run(tmp_path / "results", recording, FIFTHS, faces)
    plain = read_film(render(run, tmp_path / "film.mp4", FAST).path).images
    assert colour_share(plain[22], box, "happy") == 0
    safe = read_film(render(run, tmp_path / "safe.mp4", Look(anonymize="pixelate", boxes=False, curve=False)).path).images
    for frame in range(48):
        assert flat(safe[frame], box), frame


def flat(image: np.ndarray, box: tuple[float, ...]) -> bool:
    """Whether nothing is left of the texture's cells within a box: what is there differs from the source."""
    x1, y1, x2, y2 = (round(value) for value in box)
    part = np.abs(image[y1:y2, x1:x2].astype(int) - texture(90)[y1:y2, x1:x2]).mean()
    return part > 4


def test_nothing_is_drawn_across_a_cut(tmp_path):
    recording = still(tmp_path / "still.mp4", shades={0: 1, 13: 2})
    old, new = (40.0, 60.0, 100.0, 130.0), (200.0, 100.0, 260.0, 170.0)
    faces = [Face(frame, old, "sad") for frame in (0, 5, 10)] + [Face(frame, new, "happy", 2, 2) for frame in (15, 20)]
    run = made_run(tmp_path / "results", recording, FIFTHS, faces, cuts=(15,))
    images = read_film(render(run, tmp_path / "film.mp4", FAST).path).images
    drawn = [(colour_share(images[frame], old, "sad") > 0.9, colour_share(images[frame], new, "happy") > 0.9)
             for frame in range(20)]
    assert drawn == [(frame < 13, frame >= 13) for frame in range(20)]
    safe = read_film(render(run, tmp_path / "safe.mp4", Look(anonymize="blur", boxes=False, curve=False)).path).images
    for frame in range(10, 15):  # both, for a dissolve would show both
        for box in (old, new):
            x1, y1, x2, y2 = (round(value) for value in box)
            given = texture(1 if frame < 13 else 2)[y1:y2, x1:x2]
            assert np.abs(safe[frame][y1:y2, x1:x2].astype(int) - given).mean() > 3, (frame, box)


def test_the_playhead_moves_and_what_is_to_come_is_dim(tmp_path):
    recording = still(tmp_path / "still.mp4")
    run = made_run(tmp_path / "results", recording, FIFTHS, [Face(frame, (100, 80, 160, 150)) for frame in FIFTHS])
    images = read_film(render(run, tmp_path / "film.mp4", FAST).path).images
    happy = rgb(EXPRESSION_COLOURS["happy"])
    seen = [(np.abs(image[240:].astype(int) - happy).max(axis=2) < 40).any(axis=0).sum() for image in images]
    assert (np.diff(seen) >= -2).all() and seen[-1] > seen[0] + 150


def test_faces_in_both_covers_are_few_blocks():
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    for cover in (pixelate, blur):
        made = image.copy()
        cover(made, np.array([[100, 50, 160, 120], [290, 190, 320, 230], [-50, -50, -20, -20]], float))
        inside = made[50:120, 100:160].astype(int)
        assert np.abs(inside - image[50:120, 100:160]).mean() > 40
        assert np.abs(np.diff(inside, axis=0)).mean() < 3  # hardly any detail is left
        assert np.array_equal(made[:, :60], image[:, :60])
    pixelate(image, np.array([[100, 50, 160, 120]], float))
    assert len(np.unique(image[50:120, 100:160].reshape(-1, 3), axis=0)) <= 25


def test_every_face_is_covered_at_its_time_and_between(tmp_path):
    recording = still(tmp_path / "still.mp4")
    rng = np.random.default_rng(3)
    places = rng.uniform(20, 200, (60, 2))
    faces = [Face(int(rng.choice(FIFTHS)), (x, y, x + 30, y + 36), "uncertain", int(track), int(track))
             for (x, y), track in zip(places, rng.choice([-1, 1, 2, 3, 4], 60), strict=True)]
    faces = list({(face.frame, face.track if face.track > 0 else face.box): face for face in faces}.values())
    seen = sightings(made_run(tmp_path / "results", recording, FIFTHS, faces))
    pieces = covered(seen)
    for instant, box in zip(seen.time, seen.box, strict=True):
        boxes = pieces.at(float(instant))[0]
        assert (np.abs(boxes - box).max(axis=1) < 1e-6).any()
    for person in range(1, 5):
        times = seen.time[seen.person == person]
        for instant in np.linspace(times.min(), times.max(), 97):
            assert person in seen.person[pieces.at(float(instant))[1]]
    drawn = shown(seen)
    for instant in np.linspace(0, 2, 97):  # no track twice at once
        track = seen.track[drawn.at(float(instant))[1]]
        assert len(np.unique(track[track > 0])) == (track > 0).sum()


def test_labels_hide_no_face_and_no_label(tmp_path):
    recording = still(tmp_path / "still.mp4")
    rng = np.random.default_rng(5)
    corner = rng.uniform((0, 0), (1800, 1000), (150, 2))
    faces = [Face(0, (x, y, x + 40, y + 48), track=n + 1, person=n + 1) for n, (x, y) in enumerate(corner)]
    seen = sightings(made_run(tmp_path / "results", recording, [0], faces))
    overlay = Overlay(seen, 1920, 1080, 1.0)
    boxes, rows = shown(seen).at(0.0)
    overlay.draw(np.zeros((1080, 1920, 3), np.uint8), boxes, rows)
    corners = dict(zip(rows.tolist(), (2 * np.rint(boxes / 2).astype(int)).tolist(), strict=True))
    areas = []
    for row, (text, place) in overlay._labels.items():
        height, width = overlay._words(text, row).shape[:2]
        x, y = overlay._place(corners[row], (height, width), place)
        areas.append((x, y, x + width, y + height, row))
    assert len(areas) > 75
    for x1, y1, x2, y2, row in areas:
        others = [area[:4] for area in areas if area[4] != row] + [box for other, box in corners.items() if other != row]
        assert not any(a < x2 and c > x1 and b < y2 and d > y1 for a, b, c, d in others)
        assert x1 >= 0 and y1 >= 0 and x2 <= 1920 and y2 <= 1080


@pytest.mark.parametrize("size, letters", [((160, 120), 9), ((1280, 720), 19), ((3840, 2160), 50), ((720, 1280), 19)])
def test_drawing_follows_the_size(size, letters):
    assert letter_size(*size) == letters


def test_height_scales_picture_boxes_and_covers(tmp_path):
    recording = still(tmp_path / "still.mp4")
    box = (100.0, 80.0, 160.0, 150.0)
    run = made_run(tmp_path / "results", recording, FIFTHS, [Face(frame, box, "angry") for frame in FIFTHS])
    images = read_film(render(run, tmp_path / "film.mp4", Look(height=480, crf=16)).path).images
    assert images.shape[2] == 640 and images.shape[1] > 480
    assert colour_share(images[7], tuple(2 * value for value in box), "angry") > 0.9


@pytest.fixture(scope="module")
def demo_run(once, clip):
    """The first 7.5 s of the demo clip, analyzed by the real models."""
    results = once("demo-run", lambda folder: analysis.analyze(clip, Options(end_s=7.5), Execution(threads=1), folder))
    return find_run(results, "demo.mp4")


@pytest.fixture(scope="module")
def anonymized(once, demo_run):
    """anonymized(way): its film without faces."""
    def film(way: str) -> Path:
        look = Look(anonymize=way, boxes=False, curve=False)
        return once(f"demo-{way}", lambda folder: render(demo_run, folder / "film.mp4", look)) / "film.mp4"

    return film


@pytest.mark.slow
@pytest.mark.parametrize("way", ["pixelate", "blur"])
def test_our_own_detector_finds_no_face_in_an_anonymized_film(demo_run, anonymized, tmp_path, way):
    film = anonymized(way)
    assert len(probe(film)) == 188  # only what was analyzed
    again = analysis.analyze(film, Options(sample_fps=4), Execution(threads=1), tmp_path / "again")
    assert demo_run.info["faces"] > 100
    assert again.info["frames_analyzed"] >= 30
    assert again.info["faces"] <= 0.05 * 4 / 5 * demo_run.info["faces"]


@pytest.mark.slow
def test_anonymized_faces_differ_from_the_source_in_every_frame(demo_run, anonymized, clip):
    images = read_film(anonymized("pixelate")).images
    recording, pieces = probe(clip), shown(sightings(demo_run))
    checked = 0
    for batch in decode(recording, select(recording, Sampling(None), 0, 7.5), batch=4):
        for image, number, instant in zip(batch.images, batch.frame, batch.time, strict=True):
            for x1, y1, x2, y2 in np.clip(pieces.at(float(instant))[0], 0, [1280, 720] * 2).astype(int):
                if min(x2 - x1, y2 - y1) >= 24:
                    given, made = (one[y1:y2, x1:x2].astype(int) for one in (image, images[number]))
                    detail = [np.abs(np.diff(one, axis=1)).mean() for one in (given, made)]
                    assert np.abs(given - made).mean() > 6 and detail[1] < 0.75 * detail[0], (number, x1, y1, detail)
                    checked += 1
    assert checked > 500


@pytest.mark.parametrize("options, words", [
    ({"roi": [0, 0, 100, 100]}, "--roi"), ({"ignore": [[0, 0, 9, 9]]}, "--ignore"), ({"min_face": 60.0}, "--min-face"),
    ({"sample_fps": 0.5}, "every 2 s")])
def test_a_run_that_looked_away_anonymizes_nothing(tmp_path, options, words):
    recording = still(tmp_path / "still.mp4")
    run = made_run(tmp_path / "results", recording, FIFTHS, [], options=options)
    with pytest.raises(ResultsError, match=words):
        render(run, tmp_path / "film.mp4", Look(anonymize="blur"))
    assert not (tmp_path / "film.mp4").exists()
    assert render(run, tmp_path / "film.mp4", Look(end_s=0.5)).frames == 12


def test_anonymizing_is_confined_to_what_was_analyzed(tmp_path):
    recording = write(tmp_path / "long.mp4", Clip())
    run = made_run(tmp_path / "results", recording, [12, 17, 22], [], options={"start_s": 0.5, "end_s": 1.0})
    film = render(run, tmp_path / "film.mp4", Look(anonymize="pixelate", boxes=False, curve=False))
    assert [videos.read(image) for image in read_film(film.path).images] == list(range(12, 24))
    with pytest.raises(ResultsError, match="another part"):
        render(run, tmp_path / "other.mp4", Look(anonymize="pixelate", start_s=1.5))


def command(*words, folder: Path) -> subprocess.CompletedProcess:
    return forked.crowdmood("render", *words, cwd=folder)


def test_the_command_says_where_the_film_is_and_replaces_nothing(tmp_path):
    recording = still(tmp_path / "show.mp4")
    run = made_run(tmp_path / "results", recording, FIFTHS, [Face(0, (100, 80, 160, 150))])
    done = command("show.mp4", "--results", "results", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["film"] == str(tmp_path / "show.annotated.mp4") and told["frames"] == 48 and told["run"] == run.id
    before = (tmp_path / "show.annotated.mp4").read_bytes()
    again = command("show.mp4", "--results", "results", folder=tmp_path)
    assert again.returncode == 1 and "--force" in again.stderr and not again.stdout
    assert (tmp_path / "show.annotated.mp4").read_bytes() == before
    forced = command("show.mp4", "--results", "results", "--force", "--no-curve", "--end", "1", folder=tmp_path)
    assert forced.returncode == 0 and forced.stdout == "show.annotated.mp4\n" and "x real time" in forced.stderr
    assert read_film(tmp_path / "show.annotated.mp4").images.shape == (24, 240, 320, 3)
    assert default_name("show.mkv", "blur") == Path("show.anonymized.mp4")


def test_the_recording_is_never_replaced(tmp_path):
    recording = still(tmp_path / "show.mp4")
    content = recording.read_bytes()
    run = made_run(tmp_path / "results", recording, FIFTHS, [])
    (tmp_path / "link.mp4").symlink_to(recording)
    for name in ("show.mp4", "link.mp4"):
        with pytest.raises(ResultsError, match="the recording itself"):
            render(run, tmp_path / name)
    with pytest.raises(ResultsError, match=r"\.mp4"):
        render(run, tmp_path / "film.avi")
    assert recording.read_bytes() == content


def test_a_recording_that_moved_or_changed_is_a_sentence(tmp_path):
    recording = still(tmp_path / "show.mp4")
    run = made_run(tmp_path / "results", recording, FIFTHS, [])
    moved = recording.rename(tmp_path / "elsewhere.mp4")
    with pytest.raises(VideoError, match="--video"):
        render(run, tmp_path / "film.mp4")
    assert render(run, tmp_path / "film.mp4", video=moved).frames == 48
    moved.write_bytes(moved.read_bytes() + b"\0" * 8)
    with pytest.raises(VideoError, match="content"):
        render(run, tmp_path / "other.mp4", video=moved)
    assert not (tmp_path / "other.mp4").exists()


def test_killed_in_the_middle_nothing_lies_under_the_name(tmp_path):
    recording = write(tmp_path / "long.mp4", Clip(numbers=range(400), size=(640, 480)))
    made_run(tmp_path / "results", recording, [0], [])
    process = forked.start(CROWDMOOD, ["render", "long.mp4", "--results", "results", "-o", "film.mp4"], cwd=tmp_path)
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob(".film.mp4.*.tmp")):  # it is made with the first frame, and 399 are to come
        assert not (tmp_path / "film.mp4").exists(), "it was done before it could be killed"
        assert time.monotonic() < deadline, process.says("stderr")
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait().returncode == -signal.SIGKILL
    assert not (tmp_path / "film.mp4").exists()
    done = command("long.mp4", "--results", "results", "-o", "film.mp4", folder=tmp_path)
    assert done.returncode == 0 and len(probe(tmp_path / "film.mp4")) == 400


def test_an_unfinished_run_and_a_full_disk_are_sentences(tmp_path):
    recording = still(tmp_path / "show.mp4")
    run = made_run(tmp_path / "results", recording, FIFTHS, [])
    with pytest.raises(ResultsError, match="cannot be written"):
        (tmp_path / "file").write_text("")
        render(run, tmp_path / "file" / "film.mp4")
    from crowdmood import tables

    tables.write_run(tmp_path / "results", run.info | {"status": "running"})
    with pytest.raises(ResultsError, match="goes on with it"):
        render(find_run(tmp_path / "results", run.id), tmp_path / "film.mp4")


def test_a_picture_of_one_pixel_makes_a_film(tmp_path):
    recording = write(tmp_path / "dot.mkv", Clip(codec="ffv1", size=(1, 1), pixel_format="bgr0", numbers=range(3), options={}))
    run = made_run(tmp_path / "results", recording, [0], [])
    assert read_film(render(run, tmp_path / "film.mp4").path).images.shape[0] == 3


@pytest.mark.slow
def test_real_clips_keep_times_and_sound(media, tmp_path):
    for name in ("crowd/a10_stage_hamilton.mp4", "hard/d11_editlist_positive_shift.mp4", "hard/d03_vfr_slowmotion.mp4",
                 "hard/d05_rot90.mov", "hard/d22_vp9_odd_161x121.webm", "hard/d57_nonmonotonic_pts.mp4"):
        recording = media / name
        run = made_run(tmp_path / "results", recording, [0], [])
        film = render(run, tmp_path / "film.mp4", Look(height=120, curve=False))
        assert read_film(film.path).times == exact_times(recording), name
        if any(stream.split()[1] == "audio" for stream in probe(recording).streams):
            given, kept = sound_packets(recording), sound_packets(film.path)
            assert [content for _, content in given] == [content for _, content in kept], name
            assert max(abs(float(a - b)) for (a, _), (b, _) in zip(given, kept, strict=True)) < 0.002, name
    assert draw(0).any()
