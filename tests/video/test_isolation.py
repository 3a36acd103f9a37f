"""The process that probes and decodes: that it may hang, crash, starve or be killed, and nothing else suffers."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from crowdmood.errors import VideoError
from crowdmood.video import DecodeCount, decode, get_ready, probe, read_ahead
from crowdmood.video.isolation import Child
from tests.videos import Clip, draw, read, write

EVERYTHING = np.arange(96)


def decoders(process: int | str = "self") -> set[str]:
    """Ids of the processes for decoding that a process has started."""
    found = set()
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):  # a thread that has just ended; its children are another one's now
            found |= set((task / "children").read_text().split())
    return {child for child in found if "crowdmood.video.child" in _command(child)}


def _command(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_for(condition, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def gone(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    clip = Clip(numbers=range(96), size=(320, 240), options={"g": "12", "bf": "0"})
    return write(tmp_path_factory.mktemp("isolation") / "clip.mp4", clip)


@pytest.fixture
def begun(path):
    """A decoding of which the first batch was taken, and the id of its process."""
    recording = probe(path)
    before = decoders()
    batches = decode(recording, EVERYTHING, batch=1)
    idle = len(before)
    first = next(batches)
    assert len(decoders()) == idle  # the process that probed decodes too
    (child,) = {process for process in decoders() if _has_open(process, path)}
    yield batches, child, first
    batches.close()


def _has_open(process: str, path: Path) -> bool:
    return any(os.path.realpath(link) == str(path) for link in Path(f"/proc/{process}/fd").iterdir())


def test_a_decoder_that_hangs_is_ended_and_the_place_is_told(begun, monkeypatch):
    batches, child, _ = begun
    monkeypatch.setenv("CROWDMOOD_STALL_S", "1")
    os.kill(int(child), signal.SIGSTOP)
    with pytest.raises(VideoError, match=r"^clip.mp4: decoding made no progress for 1 seconds near \d\.\d s \(frame \d+\); .*"
                                         "leave that part out with --start and --end$"):
        list(batches)
    assert child not in decoders() and gone(child)


@pytest.mark.parametrize(("number", "words"), [(signal.SIGSEGV, r"crashed \(SIGSEGV\)"), (signal.SIGBUS, r"crashed \(SIGBUS\)")])
def test_a_decoder_that_crashes_is_one_sentence(begun, number, words):
    batches, child, _ = begun
    os.kill(int(child), number)
    with pytest.raises(VideoError, match=rf"^clip.mp4: decoding {words} near \d\.\d s \(frame \d+\); the file is probably"):
        list(batches)


def test_a_decoder_that_was_killed_says_nothing_against_the_file(begun):
    batches, child, _ = begun
    os.kill(int(child), signal.SIGKILL)
    with pytest.raises(VideoError, match=r"^clip.mp4: decoding was killed \(SIGKILL\), most likely for lack of memory near \d\.\d s \(frame \d+\); "
                                         "run the same command again to go on, with fewer --workers or with other programs closed$"):
        list(batches)


def test_neither_does_one_that_was_killed_while_it_probed(path, monkeypatch):
    """It is stopped before it has looked at anything, and killed as soon as it was asked."""
    get_ready()
    for child in decoders():
        os.kill(int(child), signal.SIGSTOP)
    say = Child.say

    def say_and_kill(child, *message) -> None:
        say(child, *message)
        child.process.kill()

    monkeypatch.setattr(Child, "say", say_and_kill)
    with pytest.raises(VideoError, match=r"^clip.mp4: looking at its frames was killed \(SIGKILL\), most likely for lack of memory; run the same command again "):
        probe(path)


def test_after_a_crash_the_next_decoding_works(begun, path):
    batches, child, _ = begun
    os.kill(int(child), signal.SIGSEGV)
    with pytest.raises(VideoError):
        list(batches)
    assert shown(probe(path)) == list(range(96))


def shown(recording, wanted=EVERYTHING) -> list[int]:
    return [read(image) for part in decode(recording, wanted) for image in part.images]


def test_an_idle_decoder_that_was_killed_is_replaced(path):
    recording = probe(path)
    killed = decoders()
    for child in killed:
        os.kill(int(child), signal.SIGKILL)
    assert wait_for(lambda: all(map(gone, killed)))
    assert shown(recording) == list(range(96))


def test_it_is_started_ahead_and_used_again(path):
    get_ready()
    before = decoders()
    for _ in range(3):
        assert shown(probe(path)) == list(range(96))
    assert decoders() == before


def test_a_generator_that_is_closed_ends_its_process(begun):
    batches, child, _ = begun
    batches.close()
    assert gone(child) and child not in decoders()


def test_reading_ahead_is_left_at_once_though_the_decoder_hangs(path):
    recording, before = probe(path), decoders()
    with read_ahead(decode(recording, EVERYTHING, batch=1)) as batches:
        next(batches)
        (child,) = {process for process in decoders() if _has_open(process, path)}
        os.kill(int(child), signal.SIGSTOP)
        assert threading.active_count() > 1
        start = time.monotonic()
    assert time.monotonic() - start < 15  # and not the 30 s after which it counts as hanging
    assert gone(child) and len(decoders()) < len(before) + 1


def test_pictures_stay_as_they_are_however_long_they_are_kept(path):
    recording = probe(path)
    early = list(decode(recording, EVERYTHING[:40], batch=2))  # more than there are slots
    late = list(decode(recording, EVERYTHING[40:], batch=2))
    assert [read(image) for part in early + late for image in part.images] == list(range(96))
    early[0].images[:] = 0  # they are the caller's to change
    assert shown(recording) == list(range(96))


def test_memory_of_pictures_is_used_again(path):
    recording = probe(path)
    list(decode(recording, EVERYTHING[:1]))
    (child,) = decoders() - _strangers(recording)
    for part in decode(recording, EVERYTHING, batch=8):
        assert len(part) == 8
        del part
    shared = [line for line in Path(f"/proc/{child}/status").read_text().splitlines() if line.startswith("RssShmem")]
    assert int(shared[0].split()[1]) * 1024 < 5 * 8 * 320 * 240 * 3  # of twelve batches


def _strangers(recording) -> set[str]:
    """Idle ones that do not serve the next request."""
    from crowdmood.video import isolation

    return {str(child.process.pid) for child in isolation._idle if child.holds is not recording}


def test_many_threads_decode_at_once(path):
    recording, seen = probe(path), {}

    def work(number: int) -> None:
        seen[number] = shown(recording, EVERYTHING[number:])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == {number: list(range(96))[number:] for number in range(4)}
    assert len(decoders()) <= 2 + len(threads)


def test_the_folder_may_change_between(path, monkeypatch, tmp_path):
    monkeypatch.chdir(path.parent)
    recording = probe(path.name)
    assert str(recording.path) == path.name
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(path.parent.parent)
    monkeypatch.chdir(path.parent)
    assert shown(recording) == list(range(96))


def test_a_forked_process_has_its_own(path):
    """Of two that wrote to one decoder each would get the other's pictures."""
    code = ("import os, sys, numpy as np\nfrom crowdmood.video import decode, probe\n"
            "recording = probe(sys.argv[1])\n"
            "child = os.fork()\n"
            "frames = [f for b in decode(recording, np.arange(96)) for f in b.frame.tolist()]\n"
            "assert frames == list(range(96))\n"
            "if not child: os._exit(7)\n"
            "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n")
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60)


PROGRAM = ("import sys, time, numpy as np\nfrom crowdmood.video import decode, probe\n"
           "recording = probe(sys.argv[1])\nbatches = decode(recording, np.arange(96), batch=1)\n"
           "next(batches)\nprint('begun', flush=True)\n"
           "if sys.argv[2] == 'take': list(batches)\nelse: time.sleep(300)\n")


@pytest.mark.parametrize("stopped", [False, True], ids=["waiting", "hanging"])
def test_it_dies_with_its_parent_even_when_that_is_killed(path, stopped):
    before = set(os.listdir("/dev/shm"))
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM, path, "sleep"], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"begun\n"
    (child,) = decoders(parent.pid)
    if stopped:
        os.kill(int(child), signal.SIGSTOP)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_for(lambda: gone(child))
    assert set(os.listdir("/dev/shm")) <= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_both_at_once_though_the_decoder_hangs(path, number):
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM, path, "sleep"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout.readline() == b"begun\n"
    (child,) = decoders(parent.pid)
    os.kill(int(child), number)  # Ctrl-C reaches the whole group
    os.kill(int(child), signal.SIGSTOP)
    os.kill(parent.pid, number)
    parent.wait(60)
    parent.stdout.close()
    assert wait_for(lambda: gone(child))


def test_its_limits_are_set(path):
    get_ready()
    child = next(iter(decoders()))
    assert shown(probe(path)) == list(range(96))
    limits = {line[:20].strip(): line[20:].split() for line in Path(f"/proc/{child}/limits").read_text().splitlines()}
    assert limits["Max core file size"][0] == "0" and limits["Max file size"][0] == "0"
    assert 0 < int(limits["Max address space"][0]) < 8 << 30
    assert int(Path(f"/proc/{child}/oom_score_adj").read_text()) == 1000
    environment = Path(f"/proc/{child}/environ").read_text()
    assert "OMP_NUM_THREADS=1" in environment and "PYTEST" not in environment  # no keys and passwords of ours either


def test_a_file_that_asks_for_too_much_memory_is_one_sentence(path):
    """The limit itself, not the machine's end of memory: the request is served by a process with a small one."""
    recording = probe(path)
    (child,) = {str(one.process.pid) for one in _idle() if one.holds is recording}
    import resource

    held = int(Path(f"/proc/{child}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(int(child), resource.RLIMIT_AS, (held + (1 << 20),) * 2)
    with pytest.raises(VideoError, match=r"clip.mp4: decoding needs more than \d\.\d GiB of memory"):
        list(decode(recording, EVERYTHING, batch=96))


def _idle() -> list:
    from crowdmood.video import isolation

    return list(isolation._idle)


def gif(path: Path, width: int, height: int) -> Path:
    write(path, Clip(codec="gif", pixel_format="rgb8", numbers=range(4), options={}))
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", width, height)
    path.write_bytes(content)
    return path


def jpegs(path: Path, *sizes: tuple[int, int]) -> Path:
    """Motion JPEG whose pictures promise these sizes."""
    write(path, Clip(codec="mjpeg", pixel_format="yuvj420p", numbers=range(len(sizes)), options={}))
    content, at = bytearray(path.read_bytes()), 0
    for width, height in sizes:
        at = content.index(b"\xff\xc0", at) + 9
        content[at - 4:at] = struct.pack(">HH", height, width)
    path.write_bytes(content)
    return path


def largest_memory(process: str) -> int:
    """Bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.mark.parametrize("size", [(65535, 65535), (16000, 16000)])
@pytest.mark.parametrize("make", [gif, jpegs], ids=["gif", "mjpeg"])
def test_a_header_of_absurd_size_takes_nothing_down(tmp_path, make, size):
    path = gif(tmp_path / "huge.gif", *size) if make is gif else jpegs(tmp_path / "huge.avi", size, size, size)
    with pytest.raises(VideoError, match="^huge.*(too large; scale it down first|none of its video packets|cannot be|no video)"):
        probe(path)
    assert shown_size(tmp_path) == (128, 96)


def shown_size(folder: Path) -> tuple[int, int]:
    recording = probe(write(folder / "plain.mp4", Clip(numbers=range(2))))
    return recording.width, recording.height


def test_a_picture_that_grows_absurdly_on_the_way_is_missing(tmp_path):
    plain, huge = (128, 96), (16000, 16000)
    recording = probe(jpegs(tmp_path / "grows.avi", *[plain] * 30, huge, huge, plain))
    count = DecodeCount()
    wanted = np.arange(len(recording))
    frames = [n for part in decode(recording, wanted, count=count) for n in part.frame.tolist()]
    assert frames == [*range(30), 32] and count.missing == 2
    child = next(iter(decoders()))
    assert largest_memory(child) < 1 << 30


def test_a_wide_header_of_an_mp4_is_refused_before_anything_is_decoded(tmp_path):
    path = write(tmp_path / "wide.mp4", Clip(codec="mjpeg", pixel_format="yuvj420p", numbers=range(3), options={}))
    content = bytearray(path.read_bytes())
    at = content.index(b"mp4v") + 28 if b"mp4v" in content else content.index(b"jpeg") + 28
    assert struct.unpack(">HH", content[at:at + 4]) == (128, 96)
    content[at:at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    try:
        recording = probe(path)
    except VideoError as error:
        assert "too large" in str(error) or "none of its" in str(error)
    else:
        assert recording.width * recording.height < 100_000  # what its pictures say themselves


def test_a_pipe_that_never_answers_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="not a regular file"):
        probe(tmp_path / "pipe.mp4")


def test_a_pipe_in_place_of_a_probed_recording_is_no_hang(tmp_path):
    recording = probe(write(tmp_path / "clip.mp4", Clip()))
    recording.path.unlink()
    os.mkfifo(recording.path)
    with pytest.raises(VideoError, match="not a regular file"):
        list(decode(recording, np.arange(48)))


def test_what_a_decoder_draws_is_what_was_drawn(path):
    """Shared memory holds whole pictures, row by row."""
    (part,) = decode(probe(path), np.array([5, 77]), batch=2)
    for number, image in zip((5, 77), part.images, strict=True):
        assert np.abs(image.astype(int) - draw(number, 320, 240)).mean() < 4


def test_a_chunk_that_takes_absurdly_long_is_given_up(begun, path, monkeypatch):
    monkeypatch.setattr("crowdmood.video.reading.BEGIN_S", 1.0)
    monkeypatch.setattr("crowdmood.video.reading.PACKET_S", 0.0)
    recording = probe(path)
    batches = decode(recording, EVERYTHING, batch=1)
    next(batches)
    (child,) = {process for process in decoders() if _has_open(process, path)} - {begun[1]}
    os.kill(int(child), signal.SIGSTOP)
    with pytest.raises(VideoError, match=r"clip.mp4: decoding took longer than 0 minutes near \d\.\d s"):
        list(batches)
    assert gone(child)


def test_without_processes_to_spare_there_is_a_sentence(path):
    code = ("import resource, sys\nfrom crowdmood.errors import VideoError\nfrom crowdmood.video import probe\n"
            "import subprocess, socket, hashlib\nfirst = open('/dev/null')\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (first.fileno() + 3,) * 2)\n"
            "try: probe(sys.argv[1])\nexcept VideoError as error: print(error)\n")
    said = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "no process for decoding can be started (Too many open files); close other programs\n"
