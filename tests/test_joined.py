"""Recordings in several parts as one: frames, clock, chunks, a run that is killed, and what is made from it afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import crowdmood
from crowdmood import clips
from crowdmood.analysis import prepare
from crowdmood.cli import crowdmood as command_line
from crowdmood.errors import VideoError
from crowdmood.film.writing import FilmWriter
from crowdmood.nodes import elsewhere
from crowdmood.options import Execution, Options
from crowdmood.scan import Scan, plan
from crowdmood.scheduling import contents, recordings
from crowdmood.scheduling.ledger import Ledger
from crowdmood.scheduling.spec import read_job
from crowdmood.sources import expand, only
from crowdmood.still import check_still, probe_still
from crowdmood.stills import recording_of, stills
from crowdmood.video import Sampling, decode, join, joined_digest, probe, select
from tests.quiet import SETTINGS, write_quiet
from tests.test_zoom import LOCAL
from tests.torture import digests
from tests.videos import Clip, draw, read, write

FIRST, SECOND = (f"GMT20260115-1400{second}_Recording_gallery_1920x1080.mp4" for second in ("03", "10"))
TICKS = [0, 1, 5, 9, *range(10, 46)]  # variable, in 30ths of a second


@pytest.fixture(scope="module")
def two(once) -> Path:
    """Parts of 2 s (48 frames) and, 7 s after the first began, of 40 frames in 1.5 s, larger, at another rate."""
    def make(folder: Path) -> None:
        with_sound(write(folder / "a.mp4", Clip()), folder / FIRST)
        write(folder / "b.mp4", Clip(numbers=range(100, 140), size=(160, 120), rate=Fraction(30), ticks=TICKS, options={"g": "10"}))
        with_sound(folder / "b.mp4", folder / SECOND)
        for name in ("a.mp4", "b.mp4"):
            (folder / name).unlink()

    return once("two parts", make)


def with_sound(video: Path, target: Path) -> Path:
    """The same pictures and two seconds of a tone beside them."""
    with av.open(str(video)) as source, av.open(str(target), "w") as sink:
        picture = sink.add_stream_from_template(source.streams.video[0])
        sound = sink.add_stream("aac", rate=16000, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                sink.mux(packet)
        wave = (0.3 * np.sin(np.arange(32000) * 2 * np.pi * 440 / 16000)).astype(np.float32)
        for begin in range(0, 32000, 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, begin:begin + 1024], "fltp", "mono")
            frame.rate, frame.pts = 16000, begin
            sink.mux(sound.encode(frame))
        sink.mux(sound.encode(None))
    return target


@pytest.fixture(scope="module")
def joined(two):
    return probe_still(only(two))[1]


def numbers(joined, wanted, batch=7) -> list[int]:
    return [read(image) for found in decode(joined, np.asarray(wanted), batch=batch) for image in found.images]


def test_frames_count_through_and_gaps_stay(joined, two):
    assert len(joined) == 88
    np.testing.assert_allclose(joined.time, np.concatenate([np.arange(48) / 24, 7 + np.array(TICKS) / 30]), atol=1e-9)
    assert joined.duration_s == pytest.approx(7 + 46 / 30)
    assert (joined.width, joined.height) == (128, 96)
    assert joined.size_bytes == sum((two / name).stat().st_size for name in (FIRST, SECOND))
    assert (np.diff(joined.pts) > 0).all()


def test_each_frame_is_its_own(joined):
    assert numbers(joined, np.arange(88)) == [*range(48), *range(100, 140)]
    found = list(decode(joined, np.array([46, 47, 48, 70]), batch=8))
    assert [list(one.frame) for one in found] == [[46, 47], [48, 70]]
    np.testing.assert_array_equal(np.concatenate([one.pts for one in found]), joined.pts[[46, 47, 48, 70]])
    np.testing.assert_array_equal(np.concatenate([one.time for one in found]), joined.time[[46, 47, 48, 70]])
    assert {one.images.shape[1:] for one in found} == {(96, 128, 3)}


def test_the_same_pixels_by_chunks(joined):
    wanted = select(joined, Sampling(5))
    whole = np.concatenate([found.images for found in decode(joined, wanted, batch=64)])
    chunks = plan(joined, wanted, 1.5)
    assert [chunk.number for chunk in chunks] == [0, 1, 4, 5]  # nothing in the gap
    pieces = np.concatenate([found.images for chunk in chunks for found in decode(joined, chunk.frames, batch=3)])
    np.testing.assert_array_equal(whole, pieces)


def test_a_gap_shows_one_frame(joined):
    wanted = select(joined, Sampling(5))
    assert [int(one) for one in wanted if 1.9 < joined.time[one] < 7.1] == [47, 48]


def test_numbers_out_of_range(joined):
    with pytest.raises(VideoError, match=r"must increase within 0..87"):
        decode(joined, np.array([88]))


def test_parts_that_overlap(two):
    parts = [probe(two / name) for name in (FIRST, SECOND)]
    with pytest.raises(VideoError, match="begins at .* before .* has ended, so they are not parts of one"):
        join(two, [parts[0], parts[1], parts[1]], [0.0, 20.0, 1.0])
    late = join(two, parts, [0.0, 1.5])  # within what a name leaves open
    assert late.time[48] == pytest.approx(2.0)
    back_to_back = join(two, parts, [0.0, 0.0], exact=False)
    assert back_to_back.time[48] == pytest.approx(2.0)


def test_a_file_may_begin_before_its_first_frame(two, tmp_path):
    """With sound, for example; a transcript counts from there."""
    later = probe(write(tmp_path / "later.mp4", Clip(ticks=range(12, 60))))
    assert later.pts[0] * later.time_base == Fraction(1, 2)
    both = join(two, [later, later], [0.0, 10.0])
    assert both.pts[0] * both.time_base == Fraction(1, 2)
    assert (both.time[0], both.time[48]) == (0.0, 10.0)
    assert join(two, [probe(two / FIRST), later], [0.0, 10.0]).time[48] == 10.5


def test_clocks_without_a_common_one(two):
    parts = [probe(two / FIRST), probe(two / SECOND)]
    object.__setattr__(parts[1], "time_base", Fraction(1, 999_983))
    object.__setattr__(parts[0], "time_base", Fraction(1, 999_979))
    assert (np.diff(join(two, parts, [0.0, 7.0]).pts) > 0).all()


def test_content_decides(two, tmp_path):
    meeting = only(two)
    moved = tmp_path / "another name"
    shutil.copytree(two, moved)
    (moved / FIRST.replace("gallery_1920x1080.mp4", "transcript.vtt")).write_text("WEBVTT\n")
    assert identity_of(only(moved)) == identity_of(meeting)
    assert identity_of(only(moved / FIRST)) == identity_of(only(two / FIRST))  # a film of a meeting is that film
    assert identity_of(only(moved / FIRST)) != identity_of(meeting)
    shutil.copy(moved / FIRST, moved / SECOND)
    assert identity_of(only(moved)) != identity_of(meeting)
    assert joined_digest(["a", "b"], [0, 7]) != joined_digest(["a", "b"], [0, 8])


def identity_of(source) -> str:
    return prepare(source, Options(), Execution(device="cpu"), "nowhere").run


def test_a_part_that_changes(two, tmp_path):
    shutil.copytree(two, tmp_path / "two")
    before, recording = probe_still(only(tmp_path / "two"))
    check_still(recording, before)
    os.utime(tmp_path / "two" / SECOND, (1, 1))
    with pytest.raises(VideoError, match=f"{SECOND}: it changed while it was read"):
        check_still(recording, before)


def test_a_problem_is_told_where_it_is_analyzed(tmp_path):
    (tmp_path / "double_click_to_convert_01.zoom").touch()
    with pytest.raises(VideoError, match="Zoom has not converted this recording yet"):
        prepare(only(tmp_path), Options(), Execution(device="cpu"), tmp_path)


def test_nodes_look_for_every_part(two, tmp_path):
    shutil.copytree(two, tmp_path / "two")
    job = prepare(only(tmp_path / "two"), Options(), Execution(device="cpu"), tmp_path)
    away = elsewhere(Scan(job.recording, job.options, job.device, tmp_path, job.run), job.models, job.address)
    assert away._recording().path == tmp_path / "two"
    (tmp_path / "two" / SECOND).unlink()
    with pytest.raises(VideoError, match=f"{SECOND} is not there"):
        away._recording()


def test_stills_and_copied_clips(joined, tmp_path):
    assert [(number, read(image)) for number, image in stills(joined, [3, 47, 48, 87])] == [(3, 3), (47, 47), (48, 100), (87, 139)]
    span = clips.copy_clip(joined, tmp_path / "copy.mp4", (7.5, 8.0))
    assert 7.0 <= span[0] <= 7.5 and 8.0 <= span[1] <= 8.6
    assert read(shown(tmp_path / "copy.mp4")[0]) >= 100
    with pytest.raises(VideoError, match="a clip would lie in two files of the recording, .*; encode them anew, without --copy"):
        clips.copy_clip(joined, tmp_path / "copy.mp4", (1.5, 7.5))


def test_an_encoded_clip_has_pictures_and_sound_of_both_parts(joined, tmp_path):
    path = tmp_path / "clip.mp4"
    assert clips.write_clip(joined, path, (1.0, 8.0)) == pytest.approx((1.0, 8.0), abs=0.05)
    assert [read(image) for image in shown(path)][:24] == list(range(24, 48))
    sound, rate = heard(path)
    loud = [float(np.abs(sound[round(at * rate):round((at + 0.2) * rate)]).max()) > 0.1 for at in (0.3, 0.7, 1.5, 3.0, 5.0, 6.2, 6.6)]
    assert loud == [True, True, False, False, False, True, True]


def shown(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def heard(path: Path) -> tuple[np.ndarray, int]:
    """The samples of a film, from its beginning, and their rate."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        rate = frames[0].sample_rate
        sound = np.zeros(round(float(frames[-1].pts * frames[-1].time_base) * rate) + 4096)
        for frame in frames:
            at = max(0, round(float(frame.pts * frame.time_base) * rate))
            sound[at:at + frame.samples] = frame.to_ndarray()[0][:len(sound) - at]
    return sound, rate


def test_a_film_of_parts_of_which_one_is_silent(two, tmp_path):
    shutil.copy(two / FIRST, tmp_path)
    with av.open(str(two / SECOND)) as source, av.open(str(tmp_path / SECOND), "w") as sink:
        picture = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                sink.mux(packet)
    _, recording = probe_still(only(tmp_path))
    with FilmWriter(tmp_path / "film.mp4", recording, (128, 96), np.arange(len(recording)), 30) as film:
        for number in range(len(recording)):
            frame, canvas = film.canvas()
            canvas[:] = draw(number)
            film.add(frame, int(recording.pts[number]), 1)
    assert len(shown(tmp_path / "film.mp4")) == 88


STAMPS = ("20260115-140003", "20260115-140143")  # 60 s recorded, 40 s not, 60 s recorded


@pytest.fixture(scope="module")
def talk(once) -> Path:
    """A meeting in two parts of two chunks each."""
    def make(folder: Path) -> None:
        (folder / "Talk").mkdir()
        for start, stamp in zip((0, 6), STAMPS, strict=True):
            write_quiet(folder / "Talk" / f"GMT{stamp}_Recording_gallery_320x180.mp4", 2, start)

    return once("talk in parts", make) / "Talk"


@pytest.fixture(scope="module")
def truth(talk, once) -> Path:
    """Its run that nothing disturbed."""
    return once("talk in parts analyzed", lambda folder: subprocess.run(command(talk, folder), check=True, capture_output=True))


def command(talk: Path, results: Path) -> list[str]:
    return [sys.executable, "-m", "crowdmood", "analyze", str(talk), "--results", str(results), "--no-report", *SETTINGS]


def test_one_run_with_gaps(truth, talk):
    (run,) = crowdmood.runs(truth)
    assert run.info["recording"] == "Talk 2026-01-15 14.00 GMT"
    assert run.info["path"] == str(talk)
    assert (run.info["frames_found"], run.info["frames_promised"], run.info["duration_s"]) == (120, 120, 160)
    frames = run.frames.to_pandas()
    assert [*frames.time_s] == [*range(0, 60, 5), 59, *range(100, 160, 5)]  # 59: shown at 60, 65...
    assert (frames.frame[frames.time_s >= 100] >= 60).all()
    assert run.faces.num_rows > 10


@pytest.mark.slow
def test_a_killed_run_goes_on_and_is_the_same_to_the_byte(talk, truth, tmp_path):
    process = subprocess.Popen(command(talk, tmp_path), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(parts := {path: path.stat().st_mtime_ns for path in tmp_path.glob("faces/run=*/part-*.parquet")}) < 2:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    renamed = tmp_path / "renamed"
    shutil.copytree(talk, renamed)
    done = subprocess.Popen([*command(renamed, tmp_path), "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while done.poll() is None:
        for path, written in parts.items():  # what was finished stays until the end
            assert not path.exists() or path.stat().st_mtime_ns == written
        time.sleep(0.02)
    assert done.returncode == 0
    assert digests(tmp_path) == digests(truth)


def test_what_is_made_of_the_run_later(talk, truth, tmp_path):
    (run,) = crowdmood.runs(truth)
    assert recording_of(run.info).digest == run.info["digest"]
    elsewhere_now = tmp_path / "moved"
    shutil.copytree(talk, elsewhere_now)
    assert recording_of(run.info, elsewhere_now).digest == run.info["digest"]
    with pytest.raises(VideoError, match="is not the recording that run"):
        recording_of(run.info, elsewhere_now / f"GMT{STAMPS[0]}_Recording_gallery_320x180.mp4")
    film = tmp_path / "film.mp4"
    command_line(["render", run.id, "-o", str(film), "--results", str(truth), "--start", "50", "--end", "110"], standalone_mode=False)
    assert probe(film).duration_s == pytest.approx(60, abs=2)


def test_a_folder_is_analyzed_from_python(talk, truth, tmp_path):
    shutil.copytree(truth, tmp_path / "results")
    run = crowdmood.analyze(talk, results=tmp_path / "results", sample_fps=0.2, imgsz=320, tiles="off", device="cpu")
    assert [run.id] == [one.id for one in crowdmood.runs(truth)]


@pytest.mark.slow
def test_a_batch_does_what_can_be_done(talk, truth, tmp_path):
    shutil.copytree(talk, tmp_path / "in" / "Talk")
    (tmp_path / "in" / LOCAL).mkdir()
    (tmp_path / "in" / LOCAL / "double_click_to_convert_01.zoom").touch()
    shutil.copytree(truth, tmp_path / "results")
    done = subprocess.run(command(tmp_path / "in", tmp_path / "results"), capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(f"crowdmood: {LOCAL}: Zoom has not converted this recording yet")
    assert "Talk 2026-01-15 14.00 GMT, 2:40" in done.stdout


JOB = """
sources = ["in"]
still_s = 0
watch = true
[analyze]
device = "cpu"
"""


@pytest.fixture
def job(tmp_path, two):
    shutil.copytree(two, tmp_path / "in")
    (tmp_path / "meetings.toml").write_text(JOB)
    return read_job(tmp_path / "meetings.toml")


def look(ledger, spec, tmp_path, still_s=0.0) -> list[contents.Found]:
    from dataclasses import replace

    found, growing = contents.identify(ledger, replace(spec, still_s=still_s), expand([str(tmp_path / "in")]), lambda: None)
    recordings.register(ledger, spec.name, found)
    return found or growing


def test_a_job_knows_a_meeting_by_its_content(job, tmp_path):
    ledger = Ledger(tmp_path / "results")
    with ledger.writing() as database:
        database.execute("INSERT INTO jobs VALUES ('meetings', 0, NULL)")
    (found,) = look(ledger, job, tmp_path)
    assert found.run == prepare(only(tmp_path / "in"), job.options, Execution(device="cpu"), tmp_path).run
    recordings.set_state(ledger, job.name, [found.run], "done")
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "in" / "renamed")
    (again,) = look(ledger, job, tmp_path)
    assert again.run == found.run
    assert not recordings.choose(ledger, job, [found.run], "watch")
    (tmp_path / "in" / "renamed" / "GMT20260115-140003_Recording.transcript.vtt").write_text("WEBVTT\n")
    (with_side,) = look(ledger, job, tmp_path)
    assert with_side.run == found.run
    assert [one.run for one in recordings.choose(ledger, job, [found.run], "watch")] == [found.run]


def test_a_meeting_is_still_when_all_its_files_are(job, tmp_path):
    ledger = Ledger(tmp_path / "results")
    for path in (tmp_path / "in").iterdir():
        os.utime(path, (1, 1))
    late = tmp_path / "in" / "GMT20260115-140003_Recording_avo_640x360.mp4"
    late.touch()
    (growing,) = look(ledger, job, tmp_path, still_s=3600)
    assert late in growing.files
