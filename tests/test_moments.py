"""`crowdmood moments`, end to end: planted moments are found, and stills and clips show them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import crowdmood
from crowdmood import tables
from crowdmood.clips import copy_clip, copy_ending, frames_between, times_of, write_clip
from crowdmood.errors import VideoError
from crowdmood.labels import EXPRESSIONS
from crowdmood.moments import find_moments
from crowdmood.persons import Links
from crowdmood.results import Run, find_run
from crowdmood.video import decode, probe
from tests.forks import forked
from tests.made_runs import RUN, STARTED, run_row
from tests.videos import Clip, _add_stream, _frames, read, write

RATE, FPS, FRAMES, STEP = 44100, 25, 300, 5  # analyzed: every fifth frame
PERSONS = 3
# First and last frame that show happy, of how many of the three, and how clearly at the best frame of it.
PLANTED = ((40, 60, 3, 0.8), (100, 130, 3, 0.97), (170, 172, 3, 0.99), (200, 240, 2, 0.9))
BEST = {40: 50, 100: 115, 170: 170, 200: 220}


def film(path: Path, clip: Clip, clicks: tuple[float, ...] = (), codec: str = "aac", start_s: float = 0.0) -> Path:
    """The clip with sound: silence, and a click of 50 ms at each of the times, counted from the first picture."""
    with av.open(str(path), "w", options=clip.container) as container:
        video, audio = _add_stream(container, clip), container.add_stream(codec, rate=RATE, layout="mono")
        frames = list(_frames(clip, video))
        length = float((2 * frames[-1].pts - frames[-2].pts) * video.codec_context.time_base)
        samples = np.zeros((1, round(length * RATE)), np.float32)
        for click in clicks:
            at = round((click + start_s) * RATE)
            samples[0, at:at + RATE // 20] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(RATE // 20) / RATE)
        for frame in frames:
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for start in range(0, samples.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start:start + 1024]), "fltp", "mono")
            frame.rate, frame.pts = RATE, start
            container.mux(audio.encode(frame))
        container.mux(audio.encode())
    return path


def numbers(path: Path) -> list[int]:
    """The frame numbers that a film's pictures show."""
    recording = probe(path)
    return [read(image) for batch in decode(recording, np.arange(len(recording))) for image in batch.images]


def click_s(path: Path) -> float | None:
    """When the first click is heard, from the first picture on; decoded without anything of ours."""
    with av.open(str(path)) as container:
        begin = next(container.decode(container.streams.video[0])).time
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        parts = [(frame.time, frame.to_ndarray()[0].astype(float)) for frame in container.decode(audio=0)]
    for time, samples in parts:
        loud = np.flatnonzero(np.abs(samples) > 0.1 * (np.abs(samples).max() if np.abs(samples).max() > 1.5 else 1.0))
        if len(loud):
            return time + loud[0] / RATE - begin
    return None


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A film of 12 s whose pictures show their numbers and which clicks at 4.6 s, and the tables of a run with planted moments."""
    folder = tmp_path_factory.mktemp("planted")
    path = film(folder / "film.mp4", Clip(numbers=range(FRAMES), size=(320, 240), rate=Fraction(FPS), options={"g": "50"}), (4.6,))
    make_planted(folder / "results", path)
    return folder / "results"


def make_planted(results: Path, path: Path) -> None:
    recording = probe(path)
    analyzed = np.arange(0, FRAMES, STEP)
    frame, person = np.repeat(analyzed, PERSONS), np.tile(np.arange(PERSONS), len(analyzed))
    happy = np.full(len(frame), 0.05)
    for first, last, persons, height in PLANTED:
        inside = (frame >= first) & (frame <= last) & (person < persons)
        happy[inside] = height - 0.004 * np.abs(frame[inside] - BEST[first]) - 0.01 * person[inside]
    mix = {name: (1 - happy) * (0.9 if name == "neutral" else 0.02) for name in EXPRESSIONS} | {"happy": happy}
    left = 20.0 + 100 * person
    faces = {
        "frame": frame, "pts": recording.pts[frame], "time_s": recording.time[frame], "face": person, "x1": left, "y1": left * 0 + 40,
        "x2": left + 50, "y2": left * 0 + 100, "score": np.full(len(frame), 0.9), "size_px": np.full(len(frame), 54.8),
        "sharpness": np.ones(len(frame)), "usable": np.ones(len(frame), bool), **mix,
        "expression": np.where(happy > 0.5, "happy", "neutral"), "confidence": np.maximum(happy, 0.5), "valence": happy,
    }
    frames = {
        "frame": analyzed, "pts": recording.pts[analyzed], "time_s": recording.time[analyzed],
        "faces": np.full(len(analyzed), PERSONS), "usable_faces": np.full(len(analyzed), PERSONS),
        "signature": np.zeros((len(analyzed), 180), np.uint8), "tiles": [b""] * len(analyzed),
    }
    row = run_row(recording=path.name, path=str(path), digest=recording.digest, size_bytes=recording.size_bytes, chunks=1,
                  duration_s=recording.duration_s, options={"sample_fps": 5.0, "min_face": 12.0})
    tables.write_run(results, row)
    tables.write_part(results, RUN, 0, tables.part_table("frames", RUN, frames), tables.part_table("faces", RUN, faces))
    who = (person + 1).astype(np.int32)
    tables.complete(results, RUN, Links(who, who, analyzed == 120), finished=STARTED, seconds=1.0)


def moments(results: Path, *arguments: object) -> subprocess.CompletedProcess:
    return forked.crowdmood("moments", RUN, "--results", results, *arguments)


def test_planted_moments_are_found_in_order(results):
    rows = find_moments(Run(RUN, results), "all:happy", 0.4).table.to_pylist()
    # The best first. A cut at frame 120 parts the second one; the third is too short; in the fourth one of three does not smile.
    assert [row["frame"] for row in rows] == [115, 120, 50]
    assert [(round(row["start_s"], 2), round(row["end_s"], 2)) for row in rows] == [(4.0, 4.8), (4.8, 5.4), (1.6, 2.6)]
    assert [row["value"] for row in rows] == pytest.approx([0.95, 0.93, 0.78], abs=1e-3)  # columns may be rounded
    assert all((row["faces"], row["persons"], row["few"]) == (3, 3, True) for row in rows)
    assert [row["frame"] for row in find_moments(Run(RUN, results), "all:happy", 0.1).table.to_pylist()] == [170, 115, 120, 50]
    assert [row["frame"] for row in find_moments(Run(RUN, results), "most:happy and not all:happy").table.to_pylist()] == [200]
    assert len(find_moments(Run(RUN, results), "all:happy", 0.4, top=2).table) == 2


def test_stills_and_clips_show_the_moments(results, tmp_path):
    done = moments(results, "--when", "all:happy", "--for", "0.4s", "--save", tmp_path / "a/b", "--clip", "2s", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["still"] for row in rows] == ["01_0-04.6_happy.jpg", "02_0-04.8_happy.jpg", "03_0-02_happy.jpg"]
    for row in rows:
        still = np.asarray(Image.open(tmp_path / "a/b" / row["still"]))
        assert still.shape == (240, 320, 3) and read(still) == row["frame"]
        shown = numbers(tmp_path / "a/b" / row["clip"])
        assert shown == list(range(row["frame"] - 25, row["frame"] + 25))
        assert probe(tmp_path / "a/b" / row["clip"]).duration_s == pytest.approx(2, abs=1e-3)
        assert row["clip_start_s"] == pytest.approx(shown[0] / FPS) and row["clip_end_s"] == pytest.approx((shown[-1] + 1) / FPS)
    assert click_s(tmp_path / "a/b" / rows[0]["clip"]) == pytest.approx(1.0, abs=0.003)
    index = json.loads((tmp_path / "a/b/moments.json").read_text())
    assert index["moments"] == rows and index["condition"] == "all:happy" and index["ranked_by"] == "least(happy)"
    assert sorted(path.name for path in (tmp_path / "a/b").iterdir()) == sorted(
        ["moments.json", *(row[kind] for row in rows for kind in ("still", "clip"))])


def test_copied_clips_begin_at_a_keyframe(results, tmp_path):
    done = moments(results, "--when", "all:happy", "--save", tmp_path, "--clip", "2s", "--copy", "--csv", "--still", "png")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    recording = probe(find_run(results, RUN).info["path"])
    for row in rows:
        shown = numbers(tmp_path / row["clip"])
        wanted = range(int(row["frame"]) - 25, int(row["frame"]) + 25)
        assert shown == list(range(shown[0], shown[-1] + 1)) and shown[0] <= wanted[0] and shown[-1] >= wanted[-1]
        assert recording.keyframe[shown[0]] and not recording.keyframe[shown[0] + 1:wanted[0] + 1].any()
        assert float(row["clip_start_s"]) == pytest.approx(shown[0] / FPS)
        assert probe(tmp_path / row["clip"]).duration_s == pytest.approx(len(shown) / FPS, abs=1e-3)
        assert read(np.asarray(Image.open(tmp_path / row["still"]))) == int(row["frame"])
    assert click_s(tmp_path / rows[0]["clip"]) == pytest.approx(4.6 - float(rows[0]["clip_start_s"]), abs=0.003)


def test_nothing_is_replaced_without_force(results, tmp_path):
    (tmp_path / "02_0-04.8_happy.jpg").write_text("mine")
    refused = moments(results, "--when", "all:happy", "--for", "0.4", "--save", tmp_path, "--clip", "0")
    assert refused.returncode == 1 and "02_0-04.8_happy.jpg is there already; --force" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["02_0-04.8_happy.jpg"]
    done = moments(results, "--when", "all:happy", "--for", "0.4", "--save", tmp_path, "--clip", "0", "--force")
    assert done.returncode == 0 and read(np.asarray(Image.open(tmp_path / "02_0-04.8_happy.jpg"))) == 120
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".jpg", ".jpg", ".jpg", ".json"]
    assert json.loads((tmp_path / "moments.json").read_text())["moments"][0]["clip"] is None


def test_faces_can_be_covered(results, tmp_path):
    for name, more in (("open", []), ("covered", ["--anonymize"])):
        done = moments(results, "--when", "persons >= 3", "--top", "1", "--save", tmp_path / name, "--clip", "1s", "--still", "png", *more)
        assert done.returncode == 0, done.stderr
    pictures = {}
    for name in ("open", "covered"):
        row, = json.loads((tmp_path / name / "moments.json").read_text())["moments"]
        clip = probe(tmp_path / name / row["clip"])
        first = next(iter(decode(clip, np.array([0]))))
        pictures[name] = np.asarray(Image.open(tmp_path / name / row["still"])).astype(int), first.images[0].astype(int)
    for plain, covered in zip(pictures["open"], pictures["covered"], strict=True):
        apart = np.abs(plain - covered).max(axis=2)
        assert apart[130:].max() < 30 and apart[15:120, 10:290].max() > 60  # only where faces are
    refused = moments(results, "--when", "persons >= 3", "--save", tmp_path / "no", "--anonymize", "--copy")
    assert refused.returncode == 1 and "a copied clip shows all faces" in refused.stderr and not (tmp_path / "no").exists()


def test_the_table_says_what_its_figures_are(results):
    done = moments(results, "--when", "all:happy", "--for", "0.4")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["best", "at", "from", "to", "shown", "value", "faces", "read", "persons"]
    assert lines[2].split() == ["1", "0:04.6", "0:04", "0:04.8", "0.8", "s", "0.95", "3", "of", "3", "3", "(few)"]
    assert "value: least(happy)" in done.stderr and "few: under 5" in done.stderr


def test_without_a_condition_they_are_those_of_the_report(results):
    done = moments(results, "--json")
    assert done.returncode == 0, done.stderr
    reported = subprocess.run([sys.executable, "-m", "crowdmood", "report", "moments", "--run", RUN, "--results", str(results), "--json"],
                              capture_output=True, text=True, timeout=60, check=True)
    rows, expected = json.loads(done.stdout), json.loads(reported.stdout)
    assert [row["start_s"] for row in rows] == [row["start_s"] for row in expected] and len(rows) >= 1
    assert {row["expression"].removeprefix("less ") for row in rows} == {row["expression"] for row in expected}


def test_nothing_found_is_no_error_but_is_said(results, tmp_path):
    short = moments(results, "--when", "least(happy) > 0.96", "--save", tmp_path)
    assert short.returncode == 0 and "at most 0.20 s; `--for 0.20s`" in short.stderr and short.stdout == ""
    assert json.loads((tmp_path / "moments.json").read_text())["moments"] == []
    never = moments(results, "--when", "any:fear", "--json")
    assert json.loads(never.stdout) == [] and never.returncode == 0
    assert "in no frame" in moments(results, "--when", "any:fear").stderr


@pytest.mark.parametrize(("arguments", "says"), [
    (["--when", "share(hapy) > 1"], "did you mean 'happy'?"),
    (["--when", "person(9).happy > 0.5"], "there is no person 9 in this run; its persons are 1 to 3"),
    (["--when", "all:happy", "--video", "nowhere.mp4", "--save", "x"], "there is no such file"),
])
def test_mistakes_are_told(results, tmp_path, arguments, says):
    done = moments(results, *arguments)
    assert done.returncode == 1 and done.stderr.startswith("crowdmood: ") and says in done.stderr and "Traceback" not in done.stderr


def test_wrong_usage(results):
    for arguments in (["--when", "cut", "--for", "soon"], ["--csv", "--json"], ["--still", "gif"], ["--top", "0"]):
        assert moments(results, *arguments).returncode == 2


def test_a_recording_that_was_moved_or_changed(results, tmp_path):
    path = Path(find_run(results, RUN).info["path"])
    elsewhere = path.rename(tmp_path / "moved.mp4")
    try:
        gone = moments(results, "--when", "all:happy", "--save", tmp_path / "out")
        assert gone.returncode == 1 and "--video PATH says where it is now" in gone.stderr and not (tmp_path / "out").exists()
        assert moments(results, "--when", "all:happy", "--save", tmp_path / "out", "--clip", "0", "--video", elsewhere).returncode == 0
        other = write(tmp_path / "other.mp4", Clip())
        wrong = moments(results, "--when", "all:happy", "--save", tmp_path / "out2", "--video", other)
        assert wrong.returncode == 1 and "its content differs" in wrong.stderr
    finally:
        elsewhere.rename(path)


UNEVEN = [30 * i + 5 * i * i // 40 for i in range(120)]
MILLISECONDS = Fraction(1, 1000)
KINDS = {
    "turned": ("mp4", Clip(numbers=range(120), rotation=90), "aac", 0.0),
    "variable rate": ("mp4", Clip(numbers=range(120), ticks=UNEVEN, time_base=MILLISECONDS), "aac", 0.0),
    "late start": ("mkv", Clip(numbers=range(120), ticks=[1500 + 40 * i for i in range(120)], time_base=MILLISECONDS), "aac", 1.5),
    "open groups": ("mp4", Clip(numbers=range(120), options={
        "x264-params": "keyint=12:open-gop=1:bframes=3:b-pyramid=normal:scenecut=0"}), "aac", 0.0),
    "transport stream": ("ts", Clip(numbers=range(120)), "aac", 0.0),
    "odd size": ("mkv", Clip(numbers=range(120), size=(161, 121), pixel_format="yuv444p"), "pcm_s16le", 0.0),
    "vp8": ("mkv", Clip(codec="libvpx", numbers=range(120), options={"g": "24"}), "flac", 0.0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copy", [False, True])
def test_clips_of_every_kind_of_recording(tmp_path, kind, copy):
    ending, clip, sound, start_s = KINDS[kind]
    recording = probe(film(tmp_path / f"film.{ending}", clip, (2.5,), sound, start_s))
    path = tmp_path / ("clip" + (copy_ending(recording) if copy else ".mp4"))
    span = (copy_clip if copy else write_clip)(recording, path, (2.1, 3.3))
    made, shown = probe(path), numbers(path)
    wanted = frames_between(recording, 2.1, 3.3)
    assert recording.time[wanted[0]] <= 2.1 < recording.time[wanted[0] + 1] and recording.time[wanted[-1]] < 3.3
    assert shown == list(range(shown[0], shown[-1] + 1))
    if copy:
        assert shown[0] <= wanted[0] and shown[-1] >= wanted[-1] and recording.keyframe[shown[0]]
        assert (made.rotation, made.codec) == (recording.rotation, recording.codec)
    else:
        assert shown == list(wanted)
    assert np.allclose(made.time, recording.time[shown] - recording.time[shown[0]], atol=0.0011)
    assert span == times_of(recording, range(shown[0], shown[-1] + 1))
    assert made.duration_s == pytest.approx(span[1] - span[0], abs=0.003)
    assert click_s(path) == pytest.approx(2.5 - span[0], abs=0.004)
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_film_without_sound_and_one_that_cannot_be_copied(tmp_path):
    recording = probe(write(tmp_path / "film.h264", Clip(numbers=range(120))))
    assert write_clip(recording, tmp_path / "clip.mp4", (0.5, 1.0)) == times_of(recording, frames_between(recording, 0.5, 1.0))
    assert [stream.split()[1] for stream in probe(tmp_path / "clip.mp4").streams] == ["video"]
    with pytest.raises(VideoError, match="without --copy"):
        copy_clip(recording, tmp_path / "copy.mp4", (0.5, 1.0))
    assert not (tmp_path / "copy.mp4").exists()


@pytest.mark.slow
def test_the_laughing_at_the_end_of_a_real_film(media, tmp_path):
    run = crowdmood.analyze(media / "faces" / "c01_woman_cry_then_laugh_pexels.mp4", results=tmp_path)
    best = find_moments(run, "all:happy").table.to_pylist()[0]
    assert best["start_s"] > 8 and best["shown_s"] > 3 and best["value"] > 0.9
