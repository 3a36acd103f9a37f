"""Recordings on S3: a real server on loopback, real processes, real kills."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import time

import pytest

pytest.importorskip("s3fs", reason="the extra 's3' is not installed")
pytest.importorskip("moto.server", reason="the extra 'test' is not installed")

from crowdmood.analysis import analyze
from crowdmood.batch import analyze_all
from crowdmood.downloads import FORGOTTEN_S, S3File, find_on_s3, local_copy
from crowdmood.errors import VideoError
from crowdmood.options import Execution, Options
from crowdmood.results import find_run, list_runs
from crowdmood.s3 import S3Folder
from crowdmood.sources import Nothing, expand, look
from crowdmood.stills import recording_of
from tests.s3_server import new_bucket, serving
from tests.videos import Clip, write

ROOT = Path(__file__).parents[1]
FLAGS = ["--sample-fps", "2", "--imgsz", "320", "--no-report", "--json"]
HOLD = """
import sys, time
from crowdmood.analysis import analyze
from crowdmood.batch import analyze_all
from crowdmood.downloads import local_copy
with local_copy(sys.argv[1]) as path:
    print(path, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def bucket(server, request, monkeypatch, tmp_path) -> S3Folder:
    """A new bucket, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return S3Folder(f"s3://{new_bucket(server, f'c{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]}')}")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("tiny") / "tiny.mp4", Clip())


def copies(tmp_path: Path) -> list[str]:
    """The names of the copies in the cache."""
    return sorted(path.name for path in (tmp_path / "cache/crowdmood/recordings").glob("*/*") if path.name not in (".lock", ".fetching"))


def downloads(server, name: str) -> int:
    return sum(request.method == "GET" and request.path.endswith(f"/{name}") and request.listing is None for request in server.requests)


def addresses(*sources: str) -> list[str]:
    return [str(recording).partition("/c")[2].partition("/")[2] for recording in expand(sources)]


# What is there


def test_an_address_names_a_recording_or_all_below_it(bucket):
    for name in ("web/b.mp4", "web/a.MOV", "web/deep/c d'\"é.webm", "web/notes.txt", "webinars/x.mp4", "web.mp4", "web/folder/"):
        bucket.write(name, b"x")
    inside = ["web/a.MOV", "web/b.mp4", "web/deep/c d'\"é.webm"]
    assert addresses(f"{bucket}/web") == addresses(f"{bucket}/web/") == inside
    assert addresses(f"{bucket}/web/notes.txt") == ["web/notes.txt"]  # named itself, it may be called anything
    assert addresses(str(bucket)) == ["web.mp4", *inside, "webinars/x.mp4"]
    assert addresses(f"{bucket}/web/b.mp4", f"{bucket}/web") == ["web/b.mp4", "web/a.MOV", "web/deep/c d'\"é.webm"]


def test_what_is_not_there_is_one_sentence_and_stops_no_other_source(bucket, tiny):
    bucket.write("notes.txt", b"x")
    for source, sentence in ((f"{bucket}/gone", f"{bucket}/gone: no recordings are there"), (f"{bucket}x/a", "there is no bucket"),
                             ("s3:", "is not of the form s3://bucket/prefix")):
        found, errors = look([source, str(tiny)])
        assert found == [tiny] and len(errors) == 1 and sentence in str(errors[0]) and "\n" not in str(errors[0])
        assert isinstance(errors[0], Nothing) == ("no recordings" in sentence)
        with pytest.raises(VideoError):
            expand([source])


def test_the_stamp_goes_with_the_content(bucket):
    bucket.write("a.mp4", b"one")
    (before,) = find_on_s3(f"{bucket}/a.mp4")
    bucket.write("b.mp4", b"one")
    bucket.write("a.mp4", b"two")
    after, renamed = find_on_s3(str(bucket))
    assert after.stamp != before.stamp == renamed.stamp and after.name == "a.mp4"


# Copies


def test_a_copy_is_there_while_it_is_needed(server, bucket, tiny, tmp_path):
    bucket.upload({"shows/tiny.mp4": tiny})
    with local_copy(f"{bucket}/shows/tiny.mp4") as path:
        assert path.read_bytes() == tiny.read_bytes() and path.name == "tiny.mp4"
        with local_copy(*find_on_s3(f"{bucket}/shows")) as again:
            assert again == path
        assert path.is_file(), "it was removed while it was in use"
    assert copies(tmp_path) == [] and downloads(server, "tiny.mp4") == 1
    with pytest.raises(RuntimeError), local_copy(f"{bucket}/shows/tiny.mp4"):
        raise RuntimeError
    assert copies(tmp_path) == []
    with local_copy(tiny) as path:
        assert path == tiny
    assert tiny.is_file()


def at_once(count: int, work: Callable[[], None]) -> None:
    """Do the work in so many threads."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)


def test_several_at_once_download_it_once(server, bucket, tiny, tmp_path):
    bucket.upload({"tiny.mp4": tiny})
    (recording,) = find_on_s3(str(bucket))
    together, wrong = threading.Barrier(6), []

    def use() -> None:
        with local_copy(recording) as path:
            together.wait(60)  # all have it now
            wrong.extend(["differs"] * (path.read_bytes() != tiny.read_bytes()))

    at_once(6, use)
    assert not wrong and downloads(server, "tiny.mp4") == 1 and copies(tmp_path) == []


def test_coming_and_going_at_random_nobody_loses_its_copy(bucket, tiny, tmp_path):
    bucket.upload({"tiny.mp4": tiny})
    (recording,) = find_on_s3(str(bucket))
    wrong = []

    def use() -> None:
        for _ in range(15):
            with local_copy(recording) as path:
                wrong.extend(["differs"] * (path.read_bytes() != tiny.read_bytes()))

    at_once(4, use)
    assert not wrong and copies(tmp_path) == []


def test_killed_with_a_copy_the_next_one_goes_on_with_it(server, bucket, tiny, tmp_path):
    bucket.upload({"tiny.mp4": tiny})
    holder = subprocess.Popen([sys.executable, "-c", HOLD, f"{bucket}/tiny.mp4"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert holder.stdout.readline().strip().endswith("tiny.mp4")
    holder.kill()
    holder.wait()
    assert copies(tmp_path) == ["tiny.mp4"] and downloads(server, "tiny.mp4") == 1
    with local_copy(f"{bucket}/tiny.mp4") as path:
        assert path.read_bytes() == tiny.read_bytes()
    assert copies(tmp_path) == [] and downloads(server, "tiny.mp4") == 1


def test_killed_while_it_downloads_nothing_half_is_taken_or_left(server, bucket, tiny, tmp_path):
    bucket.upload({"tiny.mp4": tiny})
    with server.holding(lambda method, path: method == "GET" and path.endswith("tiny.mp4")) as arrived:
        holder = subprocess.Popen([sys.executable, "-c", HOLD, f"{bucket}/tiny.mp4"], cwd=ROOT)
        assert arrived.wait(60)
        holder.kill()
        holder.wait()
    assert "tiny.mp4" not in copies(tmp_path)
    with local_copy(f"{bucket}/tiny.mp4") as path:
        assert path.read_bytes() == tiny.read_bytes() and copies(tmp_path) == ["tiny.mp4"]
    assert copies(tmp_path) == []


def test_what_was_left_behind_for_a_week_is_removed(bucket, tiny, tmp_path):
    bucket.upload({"tiny.mp4": tiny})
    folder = tmp_path / "cache/crowdmood/recordings"
    for name, age in (("old", FORGOTTEN_S + 60), ("new", 60)):
        (folder / name).mkdir(parents=True)
        for file in (folder / name / f"{name}.mp4", folder / name / ".lock"):
            file.touch()
            os.utime(file, (time() - age, time() - age))
    with local_copy(f"{bucket}/tiny.mp4"):
        assert copies(tmp_path) == ["new.mp4", "tiny.mp4"]


def test_what_cannot_be_fetched_is_one_sentence(bucket, tiny, tmp_path):
    bucket.upload({"tiny.mp4": tiny})
    (recording,) = find_on_s3(str(bucket))
    cases = [
        (S3File(recording.address, 10**15, "x"), "its 1,000,000,000 MB do not fit into .*, where .* MB are free; make room, or set XDG_"),
        (S3File(recording.address, recording.size + 1, "x"), "it changed while it was fetched; try again"),
        (S3File(f"{bucket}/gone.mp4", 1, "x"), f"^{bucket}/gone.mp4: it is no longer there$"),
        (f"{bucket}/gone.mp4", f"^{bucket}/gone.mp4: there is no such file$"),
        ("s3://", "is not of the form s3://bucket/prefix"),
    ]
    for asked, sentence in cases:
        with pytest.raises(VideoError, match=sentence), local_copy(asked):
            pass
    assert copies(tmp_path) == []


# Analyses


def test_files_of_zoom_that_belong_together_are_not_read_one_by_one(bucket, tiny):
    film, other = (f"GMT20260115-1{hour}0003_Recording_gallery_1920x1080.mp4" for hour in (4, 6))
    bucket.upload({f"apart/{film}": tiny, f"apart/{other}": tiny, f"together/{film}": tiny, "together/x/GMT20260115-140003_Recording.transcript.vtt": tiny})
    assert [file.name for file in expand([f"{bucket}/apart"])] == [film, other]
    with pytest.raises(VideoError, match=r"together: files of Zoom meetings are there, which are read together; download them into a folder"):
        expand([f"{bucket}/together"])
    assert [file.name for file in expand([f"{bucket}/together/{film}"])] == [film]


@pytest.mark.slow
def test_a_prefix_is_analyzed_one_recording_after_the_other(server, bucket, tiny, tmp_path):
    """Also when it is killed in between."""
    other = write(tmp_path / "other.mp4", Clip(numbers=range(100, 130)))
    bucket.upload({"talks/1 é.mp4": tiny, "talks/2.mp4": other, "talks/4.mp4": tiny})
    bucket.write("talks/3.mp4", b"no video")
    command = [sys.executable, "-m", "crowdmood", "analyze", f"{bucket}/talks", "--results", str(tmp_path / "results"), *FLAGS]
    with server.holding(lambda method, path: method == "GET" and path.endswith("/2.mp4")) as arrived:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert arrived.wait(120)
        assert "1 é.mp4" not in copies(tmp_path), "the first one's copy was still there"
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    first, second, third, fourth = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 3 and third["recording"] == f"{bucket}/talks/3.mp4" and "3.mp4" in third["error"]
    assert first["recording"] == f"{bucket}/talks/1 é.mp4" and (first["frames"], second["frames"]) == (4, 3)
    assert fourth["run"] == first["run"] != second["run"], "content decides, not the name"
    assert copies(tmp_path) == []
    info = find_run(tmp_path / "results", first["run"]).info
    assert (info["path"], info["recording"]) == (first["recording"], "1 é.mp4")
    with pytest.raises(VideoError, match=r"is on S3 \(s3://.*1 é.mp4\): download it, and --video PATH says where it is"):
        recording_of(info)
    assert recording_of(info, tiny).digest == info["digest"]


@pytest.mark.slow
def test_an_address_is_as_good_as_a_path_and_its_copy_stays_for_the_report(server, bucket, tiny, tmp_path):
    bucket.upload({"tiny.mp4": tiny})
    options = Options(sample_fps=2.0, imgsz=320)
    (item,) = analyze_all(expand([str(bucket)]), options, Execution(), tmp_path / "results", True, lambda *_: None)
    assert item.error is None and item.report.is_file() and downloads(server, "tiny.mp4") == 1 and copies(tmp_path) == []
    assert item.run.info["path"] == f"{bucket}/tiny.mp4" and item.run.info["status"] == "complete"
    assert analyze(f"{bucket}/tiny.mp4", options, results=tmp_path / "results").id == item.run.id
    assert analyze(tiny, options, results=tmp_path / "results").id == item.run.id


@pytest.mark.slow
def test_a_job_takes_what_is_new_under_a_prefix_and_downloads_nothing_else(server, bucket, tiny, tmp_path):
    """Content decides: the same under another name is not even downloaded."""
    job = tmp_path / "jobs/talks.toml"
    job.parent.mkdir()
    job.write_text(f'sources = ["{bucket}/talks"]\nresults = "../results"\nreports = []\n[analyze]\nsample_fps = 2\nimgsz = 320\n')
    command = [sys.executable, "-m", "crowdmood", "jobs", "run", "talks", "--jobs", str(job.parent), "--json"]
    for names, done, fetched in ((["talks/a.mp4"], 1, 1), (["talks/b.mp4", "talks.mp4"], 0, 0)):
        bucket.upload(dict.fromkeys(names, tiny))
        server.forget()
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["done"] == done
        assert sum(request.method == "GET" and request.path.endswith(".mp4") for request in server.requests) == fetched
    (row,) = list_runs(tmp_path / "results")
    assert row["recording"] == "a.mp4" and find_run(tmp_path / "results", row["run"]).info["path"] == f"{bucket}/talks/a.mp4"
