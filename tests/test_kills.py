"""Real processes, killed and stopped: nothing that was finished is lost, and what is said helps to go on."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import alive, descendants, name_of
from tests.quiet import SETTINGS, write_quiet
from tests.torture import digests

ROOT = Path(__file__).parent.parent
SAYS = "crowdmood: stopped; run the same command again to go on\n"


@pytest.fixture(scope="module")
def talk(tmp_path_factory) -> Path:
    """Six chunks."""
    return write_quiet(tmp_path_factory.mktemp("talk") / "talk.mp4", 6)


@pytest.fixture(scope="module")
def truth(talk, tmp_path_factory) -> dict[str, str]:
    """The files of a run that nothing disturbed."""
    results = tmp_path_factory.mktemp("truth")
    subprocess.run(command(talk, results), check=True, capture_output=True)
    return digests(results)


def command(talk: Path, results: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "crowdmood", "analyze", str(talk), "--results", str(results), "--no-report", *SETTINGS, *more]


def start(arguments: list[str], **more) -> subprocess.Popen:
    """Start a program as a terminal would: a session of its own, no signal ignored."""
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                            preexec_fn=listen, **more)


def listen() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def parts(results: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in results.glob("faces/run=*/part-*.parquet")}


def wait_for(condition, process: subprocess.Popen | None = None, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "it ended before it was to be disturbed"
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    done = subprocess.run([sys.executable, "-m", "tests.torture", "--kills", "20", "--recordings", "2", "--chunks", "2", "--seed", "3"], cwd=ROOT,
                          env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 kills" in done.stdout and "nothing lost, nothing double" in done.stdout


def test_a_killed_worker_does_not_end_the_run(talk, truth, tmp_path):
    process = start(command(talk, tmp_path, "--workers", "2"))
    wait_for(lambda: parts(tmp_path), process)
    worker = next(pid for pid in descendants(process.pid) if "spawn_main" in name_of(pid))
    os.kill(worker, signal.SIGKILL)
    _, says = process.communicate(timeout=120)
    assert process.returncode == 0, says
    assert digests(tmp_path) == truth
    assert says in ("", "talk.mp4: a worker process was killed, most likely for lack of memory; another one goes on with what it had\n")


def test_sigterm_stops_everything_and_says_how_to_go_on(talk, truth, tmp_path):
    process = start(command(talk, tmp_path, "--workers", "2"))
    wait_for(lambda: parts(tmp_path), process)
    below, done = descendants(process.pid), parts(tmp_path)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.communicate(timeout=60) == ("", SAYS)
    assert process.returncode == 143
    wait_for(lambda: not any(map(alive, below)))
    assert done.items() <= parts(tmp_path).items()
    subprocess.run(command(talk, tmp_path), check=True, capture_output=True)
    assert digests(tmp_path) == truth
    assert not [path for path in tmp_path.rglob(".*") if path.suffix != ".lock"]


def test_a_closed_terminal_stops_it(talk, tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command(talk, tmp_path, "--workers", "2"), stdin=theirs, stdout=theirs, stderr=theirs,
                               start_new_session=True, preexec_fn=become_foreground)
    os.close(theirs)
    wait_for(lambda: parts(tmp_path), process)
    below = descendants(process.pid)
    os.close(ours)  # the kernel sends SIGHUP to the session that has lost its terminal
    assert process.wait(60) == 129
    wait_for(lambda: not any(map(alive, below)))


def become_foreground() -> None:
    import fcntl
    import termios

    listen()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


SLOW_TO_STOP = """
import hashlib, time
from crowdmood.cli.stopping import stoppable
with stoppable():
    try:
        print('ready', flush=True)
        time.sleep(600)
    finally:
        print('stopping', flush=True)
        hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)  # native code that hears of no signal
"""


@pytest.mark.parametrize(("numbers", "code"), [((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGTERM,), 143)])
def test_a_second_signal_or_a_few_seconds_end_what_does_not_stop(numbers, code):
    process = start([sys.executable, "-c", SLOW_TO_STOP])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(numbers[0])
    assert process.stdout.readline() == "stopping\n"
    for number in numbers[1:]:
        process.send_signal(number)
    assert process.communicate(timeout=60)[1] == SAYS
    assert process.returncode == code


def test_nohup_is_respected():
    code = ("import os, signal; from crowdmood.cli.stopping import stoppable\n"
            "with stoppable(): os.kill(os.getpid(), signal.SIGHUP); print('goes on')")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert process.communicate(timeout=60)[0] == b"goes on\n"
