"""What goes wrong on real machines, done to the real program: a clear line each, nothing lost, the rest of the batch done."""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from crowdmood.batch import analyze_all
from crowdmood.errors import VideoError, one_line
from crowdmood.executors import processes
from crowdmood.files import as_text, identity
from crowdmood.options import Execution, Options
from crowdmood.sources import expand
from crowdmood.still import check_same
from tests.quiet import SETTINGS, write_quiet
from tests.torture import digests

OPTIONS = Options(sample_fps=0.2, imgsz=320, tiles="off")
EXECUTION = Execution(device="cpu", threads=1)
NOTHING = os.fsdecode(b"not a \xff film.mp4")


@pytest.fixture(scope="module")
def talk(tmp_path_factory) -> Path:
    """Three chunks."""
    return write_quiet(tmp_path_factory.mktemp("talk") / "talk.mp4", 3)


@pytest.fixture(scope="module")
def truth(talk, tmp_path_factory) -> Path:
    """The results of a run that nothing disturbed."""
    results = tmp_path_factory.mktemp("truth")
    item, = analyzed(talk, results=results)
    assert item.error is None
    return results


def analyzed(*paths: Path, results: Path, report: bool = False, progress=lambda *_: None) -> list:
    return list(analyze_all(paths, OPTIONS, EXECUTION, results, report, progress))


def crowdmood(*arguments, **more) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "crowdmood", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300,
                          **more)


def analyze(*arguments, **more) -> subprocess.CompletedProcess:
    return crowdmood("analyze", *arguments, "--no-report", "--quiet", *SETTINGS, **more)


# The disk

@pytest.mark.parametrize("size", [3_000, 9_000, 20_000])
def test_a_full_disk_is_one_sentence_and_is_gone_on_from(talk, truth, tmp_path, size):
    """No file may become larger than so many bytes: the catalog, a part or a final table does not fit."""
    full = analyze(talk, "--results", tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert full.returncode == 1 and "Traceback" not in full.stderr, full.stderr
    assert full.stderr == f"crowdmood: results folder {tmp_path} cannot be written: File too large\n"
    item, = analyzed(talk, results=tmp_path)
    assert item.error is None and digests(tmp_path) == digests(truth)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("free", [12_288, 49_152])
def test_a_disk_without_room_loses_nothing_that_was_finished(talk, truth, small_disk, free):
    analyze(talk, "--results", small_disk, "--end", "1")
    ballast = small_disk / "ballast"
    left = shutil.disk_usage(small_disk).free - free
    ballast.write_bytes(bytes(max(left, 0)))
    full = analyze(talk, "--results", small_disk)
    assert full.returncode == 1 and full.stderr == f"crowdmood: results folder {small_disk} cannot be written: No space left on device\n"
    ballast.unlink()
    assert analyze(talk, "--results", small_disk).returncode == 0
    for name, digest in digests(truth).items():
        assert digests(small_disk)[name] == digest


@pytest.mark.slow
def test_a_disk_without_room_for_a_report_or_an_export_keeps_the_tables(talk, truth, small_disk):
    """The tables fit, pictures of a report do not, nor does an export."""
    assert analyze(talk, "--results", small_disk).returncode == 0
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 20_480))
    reported = crowdmood("analyze", talk, "--results", small_disk, "--quiet", *SETTINGS)
    assert (reported.returncode, reported.stderr.partition("/reports/")[0]) == (1, f"crowdmood: report folder {small_disk}")
    assert reported.stderr.endswith(" cannot be written: No space left on device\n") and reported.stderr.count("\n") == 1
    exported = crowdmood("export", "talk.mp4", "--results", small_disk, "-o", small_disk / "faces.json")
    assert (exported.returncode, exported.stderr) == (1, f"crowdmood: {small_disk}/faces.json cannot be written: No space left on device\n")
    assert digests(small_disk).items() >= digests(truth).items() and not (small_disk / "faces.json").exists()
    ballast.unlink()
    assert crowdmood("report", "talk.mp4", "--results", small_disk).returncode == 0


def test_a_results_folder_that_may_only_be_read_is_one_sentence(talk, tmp_path, request):
    folder = tmp_path / "results"
    if os.geteuid() == 0:  # root may write everywhere but on a disk that nobody may write on
        folder = request.getfixturevalue("small_disk")
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    else:
        folder.mkdir(mode=0o555)
    done = analyze(talk, "--results", folder)
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(f"crowdmood: results folder {folder} cannot be written: (Permission denied|Read-only file system)\n", done.stderr)


# Parts, tables, locks

@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:-20], lambda whole: whole[:len(whole) // 2]])
def test_a_part_that_is_cut_short_is_done_again(talk, truth, tmp_path, damage):
    stopped_after(2, talk, tmp_path)
    first, second = sorted(tmp_path.glob("faces/run=*/part-*.parquet"))
    first.write_bytes(damage(first.read_bytes()))
    kept = second.stat().st_mtime_ns
    seen = []
    item, = analyzed(talk, results=tmp_path, progress=lambda path, done: seen.append((done.chunks_done, second.exists() and second.stat().st_mtime_ns)))
    assert item.error is None and digests(tmp_path) == digests(truth)
    assert seen[0] == (1, kept)


@pytest.mark.parametrize("table", ["faces", "frames"])
def test_parts_that_are_damaged_in_the_middle_are_done_again_at_once(talk, truth, tmp_path, table, caplog):
    stopped_after(2, talk, tmp_path)
    for part in tmp_path.glob(f"{table}/run=*/part-*.parquet"):
        damage_a_page(part)
    seen = []
    item, = analyzed(talk, results=tmp_path, progress=lambda path, done: seen.append((done.chunks_done, done.step)))
    assert item.error is None and digests(tmp_path) == digests(truth)
    assert caplog.messages == ["talk.mp4: chunks are damaged on the disk (0, 1), and done again"]
    assert seen == [(2, "scan"), (3, "scan"), (3, "link"), (1, "scan"), (2, "scan"), (3, "scan"), (3, "link")], "the third one was sound"


def damage_a_page(part: Path) -> None:
    """Change one bit of a page's values, as a failing disk does; the footer is as it was."""
    content = bytearray(part.read_bytes())
    pages = pq.read_metadata(part).row_group(0).column(2)
    content[pages.data_page_offset + pages.total_compressed_size - 1] ^= 1
    part.write_bytes(content)


def stopped_after(chunks: int, talk: Path, results: Path) -> None:
    """Analyze until so many chunks are done."""
    class Enough(Exception):
        pass

    def stop(path: Path, done) -> None:
        if done.chunks_done == chunks:
            raise Enough

    with pytest.raises(Enough):
        analyzed(talk, results=results, progress=stop)


def test_a_final_table_that_was_lost_is_made_again(talk, truth, tmp_path):
    shutil.copytree(truth, tmp_path / "r")
    table = next((tmp_path / "r").glob("timeline/run=*.parquet"))
    table.write_bytes(table.read_bytes()[:100])
    item, = analyzed(talk, results=tmp_path / "r")
    assert item.error is None and digests(tmp_path / "r") == digests(truth)


def test_a_stale_lock_locks_nothing(talk, truth, tmp_path):
    for path in truth.rglob(".*.lock"):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / path.name).write_text("12345")
    item, = analyzed(talk, results=tmp_path)
    assert item.error is None and digests(tmp_path) == digests(truth)


# Recordings

def test_a_recording_that_grows_while_it_is_read_is_never_taken_for_complete(talk, tmp_path):
    growing = tmp_path / "growing.mp4"
    shutil.copy(talk, growing)

    def grow(path: Path, done) -> None:
        if done.chunks_done == 1:
            with open(growing, "ab") as file:
                file.write(bytes(1000))

    item, = analyzed(growing, results=tmp_path / "r", progress=grow)
    assert str(item.error) == "growing.mp4: it changed while it was read; if it is still being written, run this again later"
    assert not list((tmp_path / "r").glob("faces/run=*/*.parquet")), "rows of a file that no longer is"
    assert crowdmood("runs", "--results", tmp_path / "r").stdout.count("failed: growing.mp4: it changed") == 1


def test_a_file_that_is_replaced_or_written_to_is_noticed(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    before = identity(path)
    check_same(path, before)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(VideoError, match="it changed"):
        check_same(path, before)
    path.unlink()
    check_same(path, before)  # gone is not changed: who has it open can read on


def test_a_recording_that_is_removed_while_it_is_read_fails_alone(talk, tmp_path):
    going, other = tmp_path / "going.mp4", tmp_path / "other.mp4"
    write_quiet(going, 4, 6)
    shutil.copy(talk, other)
    items = analyzed(going, other, results=tmp_path / "r", report=True, progress=lambda *_: going.unlink(missing_ok=True))
    assert "going.mp4" in str(items[0].error) and "\n" not in str(items[0].error)
    assert items[1].error is None and items[1].report.is_file()


NAMES = ["a b.mp4", "it's \"good\".mp4", "two\nlines.mp4", "\x1b[31mred.mp4", "観客 çé 🎉.mp4", os.fsdecode(b"bytes \xff\xfe.mp4"), "..a..mp4", "-q.mp4",
         "%s {x} $HOME;rm -rf [1].mp4"]


def test_names_of_all_kinds(talk, truth, tmp_path):
    paths = [tmp_path / name for name in NAMES]
    for number, path in enumerate(paths):
        shutil.copy(talk, path)
        with open(path, "ab") as file:
            file.write(bytes(number + 8))  # other content is another run
    done = analyze(*paths, f"{tmp_path}/../{tmp_path.name}/{NAMES[0]}", "--end", "5", "--results", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("recording ") == len(NAMES)
    for name in NAMES:
        assert f"recording  {one_line(as_text(name))}, 1:30" in done.stdout
    assert "\x1b" not in done.stdout
    runs = crowdmood("sql", "SELECT recording FROM runs ORDER BY recording", "--json", "--results", tmp_path / "r")
    assert "bytes \\\\xff\\\\xfe.mp4" in runs.stdout and runs.returncode == 0


def test_a_job_takes_a_name_that_is_no_utf8(talk, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(talk, tmp_path / "in" / NAMES[5])
    (tmp_path / "night.toml").write_text('sources = ["in"]\nresults = "r"\nreports = []\nstill_s = 0\n'
                                         '[analyze]\nsample_fps = 0.2\nimgsz = 320\ntiles = "off"\nend = 5\ndevice = "cpu"\n')
    done = crowdmood("jobs", "run", "night", "--jobs", tmp_path)
    assert done.returncode == 0 and "bytes \\xff\\xfe.mp4" in done.stderr, done.stderr
    again = crowdmood("jobs", "run", "night", "--jobs", tmp_path)
    assert again.returncode == 0 and "recording begun" not in again.stderr, "it is known by its name"
    history = crowdmood("jobs", "history", "night", "--jobs", tmp_path, "--json")
    assert history.returncode == 0 and "bytes" in history.stdout and "Traceback" not in history.stderr, history.stderr
    assert len(list(tmp_path.glob("r/faces/run=*/faces.parquet"))) == 1


def test_an_error_about_a_strange_name_is_one_line(tmp_path):
    for name in (NOTHING, "two\nlines.mp4"):
        (tmp_path / name).write_text("text")
    done = analyze(tmp_path)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 2, done.stderr
    assert "two\\nlines.mp4: it is a text file" in done.stderr and "not a \\xff film.mp4: it is a text file" in done.stderr


def test_symlink_loops(talk, tmp_path):
    (tmp_path / "deep").mkdir()
    shutil.copy(talk, tmp_path / "deep" / "talk.mp4")
    for name, target in (("up", ".."), ("self.mp4", "self.mp4"), ("folder", "folder"), ("gone.mp4", "nowhere.mp4")):
        (tmp_path / "deep" / name).symlink_to(target)
    assert [path.name for path in expand([str(tmp_path)])] == ["talk.mp4"]
    items = analyzed(tmp_path / "deep" / "self.mp4", tmp_path / "deep" / "gone.mp4", results=tmp_path / "r")
    assert "Too many levels of symbolic links" in str(items[0].error) and "there is no such file" in str(items[1].error)


def test_ten_thousand_files_in_a_folder(talk, tmp_path):
    for number in range(10_000):
        (tmp_path / f"{number}.{'mp4' if number % 100 == 0 else 'txt'}").touch()
    shutil.copy(talk, tmp_path / "5001.mkv")
    paths = expand([str(tmp_path)])
    assert len(paths) == 101
    start = time.monotonic()
    items = analyzed(*paths, results=tmp_path / "r")
    assert [item.path.name for item in items if item.error is None] == ["5001.mkv"]
    assert all("the file is empty" in str(item.error) for item in items if item.error) and time.monotonic() - start < 120


# Memory

@dataclass(frozen=True)
class Hungry:
    """Work that asks for more memory than the system gives to its process."""

    def __call__(self, tasks):
        for task in tasks:
            resource.setrlimit(resource.RLIMIT_DATA, (256 << 20, 256 << 20))
            yield task, np.ones(task << 20, np.uint8).nbytes


def test_a_lack_of_memory_in_a_worker_is_a_memory_error_here():
    """Of a real process with a real limit; `watched` makes a sentence of it."""
    found = processes(Hungry(), [1, 4096], 1)
    assert next(found) == (1, 1 << 20)
    with pytest.raises(MemoryError):
        next(found)
