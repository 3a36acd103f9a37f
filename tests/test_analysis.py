"""The whole job, on the demo clip: real video, real models, real processes, real kills."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import crowdmood
from crowdmood.errors import VideoError

SETTINGS = {"sample_fps": 1.0, "imgsz": 320}
FLAGS = ["--sample-fps", "1", "--imgsz", "320", "--no-report", "--quiet"]


def digests(results: Path) -> dict[str, str]:
    """The tables of a results folder (not the run's row, which holds clock times) and their content."""
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(results.rglob("*.parquet")) if path.parent.name != "runs"}


def times(results: Path) -> dict[Path, int]:
    """When each table, the run's row included, was written."""
    return {path: path.stat().st_mtime_ns for path in results.rglob("*.parquet")}


def command(clip: Path, results: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "crowdmood", "analyze", str(clip), "--results", str(results), *FLAGS, *more]


def test_people_are_found_and_read(clip, tmp_path):
    run = crowdmood.analyze(clip, results=tmp_path, sample_fps=5.0)
    frames, faces = run.frames.to_pandas(), run.faces.to_pandas()
    assert len(frames) == 60 and frames.time_s.diff().dropna().round(3).eq(0.2).all()
    gallery = frames[frames.time_s < 6]
    assert (gallery.faces >= 4).mean() > 0.9  # three tiles of one and one tile of two people
    seven = faces[["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]]
    assert seven.sum(axis=1).sub(1).abs().max() < 8 / 4096  # each is stored in steps of 1/4096
    assert (faces.expression == "uncertain").eq(~faces.usable).all()
    persons = run.persons.to_pandas()
    assert 5 <= len(persons) <= 16
    assert run.timeline.to_pandas().second.tolist() == list(range(12))
    assert run.info["status"] == "complete" and run.info["frames_analyzed"] == 60
    # Dense in time: nobody is in the picture twice.
    linked = faces.dropna(subset=["person"])
    assert not linked.duplicated(["frame", "person"]).any()


def test_running_again_does_nothing_and_gives_the_same_run(unbroken, long_clip):
    before, written = digests(unbroken.results), times(unbroken.results)
    again = crowdmood.analyze(long_clip, results=unbroken.results, **SETTINGS)
    assert again.id == unbroken.id and digests(unbroken.results) == before
    assert times(unbroken.results) == written, "done again"


def test_other_options_are_another_run(unbroken, long_clip, tmp_path):
    other = crowdmood.analyze(long_clip, results=tmp_path, end_s=2.0, **SETTINGS)
    assert other.id != unbroken.id
    assert other.frames["frame"].to_pylist() == unbroken.frames["frame"].to_pylist()[:2]


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_bytes(unbroken, long_clip, tmp_path):
    crowdmood.analyze(long_clip, results=tmp_path, workers=2, threads=2, **SETTINGS)
    assert digests(tmp_path) == digests(unbroken.results)


@pytest.mark.slow
def test_a_killed_analysis_goes_on_where_it_was(unbroken, long_clip, tmp_path):
    process = subprocess.Popen(command(long_clip, tmp_path), stderr=subprocess.PIPE)
    wait_for(lambda: list(tmp_path.glob("faces/run=*/part-*.parquet")), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    parts = {path: path.stat().st_mtime_ns for path in tmp_path.glob("faces/run=*/part-*.parquet")}
    assert 1 <= len(parts) < 4, "killed too late to show anything"

    process = subprocess.Popen(command(long_clip, tmp_path), stderr=subprocess.PIPE)
    wait_for(lambda: set(tmp_path.glob("faces/run=*/*.parquet")) - set(parts), process)
    for path, written in parts.items():
        with suppress(FileNotFoundError):  # all parts have been put together meanwhile
            assert path.stat().st_mtime_ns == written, "finished chunks were done again"
    assert process.wait() == 0
    assert digests(tmp_path) == digests(unbroken.results)


@pytest.mark.slow
def test_killing_the_parent_ends_its_workers(long_clip, tmp_path):
    process = subprocess.Popen(command(long_clip, tmp_path, "--workers", "2"), start_new_session=True)
    wait_for(lambda: list(tmp_path.glob("faces/run=*/part-*.parquet")), process)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert children
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while any(alive(pid) for pid in children):
        assert time.monotonic() < deadline, "workers outlive the killed parent"
        time.sleep(0.1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_soon_and_says_how_to_go_on(long_clip, tmp_path, workers):
    # Tests started in the background by a shell ignore SIGINT, and so would their children.
    process = subprocess.Popen(command(long_clip, tmp_path, "--workers", workers), stderr=subprocess.PIPE, text=True,
                               start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_for(lambda: list(tmp_path.glob("runs/*.parquet")), process)
    os.killpg(process.pid, signal.SIGINT)
    _, says = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to go on" in says and "Traceback" not in says


def test_two_processes_do_not_analyze_the_same_run(long_clip, tmp_path):
    process = subprocess.Popen(command(long_clip, tmp_path))
    wait_for(lambda: list(tmp_path.glob("runs/*.parquet")), process)
    second = subprocess.run(command(long_clip, tmp_path), capture_output=True, text=True)
    process.kill()
    process.wait()
    assert second.returncode == 1 and "being analyzed by another process" in second.stderr


def test_a_span_beyond_the_end_says_how_long_the_recording_is(clip, tmp_path):
    with pytest.raises(VideoError, match=r"demo.mp4: no frame .* 12.0 s long"):
        crowdmood.analyze(clip, results=tmp_path, start_s=100.0)


def test_a_results_folder_that_cannot_be_written_is_one_sentence(clip, tmp_path):
    (tmp_path / "results").write_text("a file is in the way")
    done = subprocess.run(command(clip, tmp_path / "results"), capture_output=True, text=True)
    assert done.returncode == 1 and "cannot be written" in done.stderr and "Traceback" not in done.stderr


def test_runs_are_found_again(unbroken, monkeypatch, tmp_path):
    assert crowdmood.open_run(unbroken.id[:6], unbroken.results).id == unbroken.id
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROWDMOOD_RESULTS", str(unbroken.results))
    assert crowdmood.open_run(unbroken.id).info["recording"] == "long.mp4"


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the analysis ended before it was to be disturbed"
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


