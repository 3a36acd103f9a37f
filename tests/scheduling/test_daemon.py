"""Daemons as they are used: real processes that are stopped, killed and doubled."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from crowdmood.results import list_runs
from crowdmood.scheduling.ledger import Ledger
from tests.videos import Clip, write

JOB = """
sources = ["in"]
results = "out"
reports = []
{when}
parallel = 1
[analyze]
sample_fps = {fps}
imgsz = 64
tiles = "off"
threads = 1
[retry]
times = 1
pause_s = {pause}
"""
WATCH = "watch = true\npoll_s = 0.2\nstill_s = 1"
LONG = 4_000  # frames: six chunks
DEADLINE_S = 180  # of a wait on a machine that does much else


@pytest.fixture
def place(tmp_path):
    """A folder with job files, in/ and, later, out/."""
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A recording that takes a while."""
    return write(tmp_path_factory.mktemp("long") / "long.mp4", Clip(numbers=range(LONG), size=(64, 48)))


def define(place, when=WATCH, fps=1.0, pause=1.0):
    (place / "work.toml").write_text(JOB.format(when=when, fps=fps, pause=pause))


def command(place, *words):
    return [sys.executable, "-m", "crowdmood", "jobs", words[0], "--jobs", str(place), *words[1:]]


def call(place, *words):
    return subprocess.run(command(place, *words), check=False, capture_output=True, text=True, timeout=DEADLINE_S, cwd=place)


@contextmanager
def started(place, *words):
    """A command that goes on; its log is in place/NUMBER.log."""
    log = place / f"{len(list(place.glob('*.log')))}.log"
    with open(log, "w") as err:
        process = subprocess.Popen(command(place, *words), stderr=err, stdout=subprocess.DEVNULL, cwd=place)
    process.log = log
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition, process=None):
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, process and process.log.read_text()
        assert process is None or process.poll() is None, process.log.read_text()
        time.sleep(0.1)


def events(process) -> list[str]:
    lines = process.log.read_text().splitlines(keepends=True)
    return [json.loads(line)["event"] for line in lines if line.endswith("\n") and line.startswith("{")]


def rows(place, query) -> list[tuple]:
    with Ledger(place / "out").reading() as database:
        return [tuple(row) for row in database.execute(query)]


def attempts(place) -> list[tuple[str, str | None]]:
    return [(os.path.basename(path), outcome) for path, outcome in rows(place, "SELECT path, outcome FROM attempts ORDER BY attempt")]


def stop(process, number) -> float:
    """Send a signal and wait for the end; returns the seconds that took."""
    began = time.monotonic()
    process.send_signal(number)
    process.wait(DEADLINE_S)
    return time.monotonic() - began


@pytest.mark.slow
def test_a_daemon_takes_files_as_they_come_and_survives_what_happens_to_its_job_files(place):
    (place / "odd.toml").write_text("sorces = []")
    with started(place, "daemon") as daemon:
        wait_for(lambda: "job file invalid" in events(daemon), daemon)
        define(place)
        wait_for(lambda: "job read" in events(daemon), daemon)
        write(place / "in" / "good.mp4", Clip())
        (place / "in" / "broken.mp4").write_bytes(b"no video" * 100)
        content = write(place / "grown.mkv", Clip(numbers=range(3, 40))).read_bytes()
        with open(place / "in" / "growing.mkv", "wb", buffering=0) as growing:
            for part in range(0, len(content), len(content) // 8):
                growing.write(content[part:part + len(content) // 8])
                time.sleep(0.4)
        (place / "work.toml").write_text("sources = [")
        wait_for(lambda: ("growing.mkv", "done") in attempts(place) and "recording set aside" in events(daemon), daemon)
        (place / "work.toml").unlink()
        wait_for(lambda: "job file removed" in events(daemon), daemon)
        stop(daemon, signal.SIGTERM)
        assert daemon.returncode == 143
    assert sorted(attempts(place)) == [("broken.mp4", "failed"), ("broken.mp4", "failed"), ("good.mp4", "done"), ("growing.mkv", "done")]
    assert [row["status"] for row in list_runs(place / "out")] == ["complete"] * 2
    assert events(daemon).count("job file invalid") == 2
    define(place)
    assert json.loads(call(place, "history", "work", "--json").stdout)["left"][0]["state"] == "set aside"
    shown = call(place, "history", "--failed")
    assert "broken.mp4 is set aside after 2 failures" in shown.stdout and "good.mp4" not in shown.stdout


@pytest.mark.slow
def test_of_two_daemons_one_works_and_when_it_is_killed_the_other_goes_on(place):
    define(place, pause=0.0)
    for number in range(3):
        write(place / "in" / f"{number}.mp4", Clip(numbers=range(number, 40)))
    with started(place, "daemon", "--lease", "3") as first, started(place, "daemon", "--lease", "3") as second:
        wait_for(lambda: (place / "out").exists() and attempts(place))
        working, other = (first, second) if "started" in events(first) else (second, first)
        working.kill()
        assert "started" not in events(other)
        wait_for(lambda: rows(place, "SELECT count(*) FROM recordings WHERE state = 'done'") == [(3,)], other)
        stop(other, signal.SIGTERM)
    assert "going on with what another process left" in events(other)
    outcomes = [outcome for _, outcome in attempts(place)]
    assert outcomes.count("done") == 3 and outcomes.count("lost") <= 1
    assert [row["status"] for row in list_runs(place / "out")] == ["complete"] * 3
    overlaps = rows(place, "SELECT count(*) FROM attempts a JOIN attempts b ON a.attempt < b.attempt AND b.started < a.finished")
    assert overlaps == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "number", "code", "state"), [
    (("daemon",), signal.SIGTERM, 143, "waiting"), (("run", "work"), signal.SIGINT, 130, "cancelled")])
def test_a_signal_ends_everything_soon_and_what_was_begun_can_be_gone_on_with(place, long, words, number, code, state):
    define(place, fps='"all"')
    (place / "in" / "long.mp4").write_bytes(long.read_bytes())
    with started(place, *words) as process:
        wait_for(lambda: (place / "out").exists() and list((place / "out").glob("faces/run=*/part-*")), process)
        workers = subprocess.run(["pgrep", "-P", str(process.pid)], check=False, capture_output=True, text=True).stdout.split()
        seconds = stop(process, number)
        assert process.returncode == code and seconds < 30
        assert "crowdmood: stopped; " in process.log.read_text()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers))
    assert attempts(place) == [("long.mp4", "stopped")]
    assert rows(place, "SELECT state FROM turns") == [(state,)] and rows(place, "SELECT count(*) FROM leases") == [(0,)]
    assert rows(place, "SELECT state, failures FROM recordings") == [("waiting", 0)]
    assert not list((place / "out").rglob(".*.tmp")), "no half-written file is left"


@pytest.mark.slow
def test_a_job_that_runs_can_be_cancelled_and_nobody_runs_it_twice(place, long):
    define(place, fps='"all"')
    (place / "in" / "long.mp4").write_bytes(long.read_bytes())
    with started(place, "daemon") as daemon:
        wait_for(lambda: (place / "out").exists() and attempts(place), daemon)
        refused = call(place, "run", "work")
        assert refused.returncode == 1 and "is being run by another process" in refused.stderr
        told = call(place, "cancel", "work")
        assert told.returncode == 0 and "stopped; `crowdmood jobs run work` goes on" in told.stdout
        time.sleep(1)  # several looks at the folder
        assert attempts(place) == [("long.mp4", "cancelled")]
        assert "nothing is running" in call(place, "cancel", "work").stdout


@pytest.mark.slow
def test_due_runs_what_is_due_and_nothing_twice(place):
    define(place, 'schedule = "* * * * *"\nstill_s = 0')
    write(place / "in" / "good.mp4", Clip())
    assert call(place, "due").returncode == 0 and attempts(place) == []
    ledger = Ledger(place / "out")
    with ledger.writing() as database:
        database.execute("UPDATE jobs SET since = since - 300")  # as if it had been seen five minutes ago, and nobody came since
    done = call(place, "due")
    assert done.returncode == 0, done.stderr
    assert attempts(place) == [("good.mp4", "done")]
    states = [state for state, in rows(place, "SELECT state FROM turns ORDER BY due")]
    assert states[:4] == ["skipped"] * 4 and states.count("done") == 1
    (place / "in" / "broken.mp4").write_bytes(b"no video")
    with ledger.writing() as database:
        database.execute("INSERT INTO turns (job, cause, due) VALUES ('work', 'schedule', unixepoch() - 0.5)")
    failed = call(place, "due")
    assert failed.returncode == 3 and attempts(place)[-1] == ("broken.mp4", "failed")
    assert all(json.loads(line) for line in failed.stderr.splitlines())
    (place / "wrong.toml").write_text("watch = 1")
    assert call(place, "due").returncode == 1
