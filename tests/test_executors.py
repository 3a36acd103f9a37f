import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from crowdmood.errors import CrowdmoodError, VideoError
from crowdmood.executors import EXECUTORS, processes, serial
from crowdmood.workers import keep_workers


@dataclass(frozen=True)
class Square:
    def __call__(self, tasks):
        for task in tasks:
            yield task, task * task


@dataclass(frozen=True)
class Fail:
    def __call__(self, tasks):
        yield from ()
        raise VideoError("concert.mp4: broken")


@dataclass(frozen=True)
class Sleep:
    def __call__(self, tasks):
        for seconds in tasks:
            time.sleep(seconds)
            yield seconds


@dataclass(frozen=True)
class Die:
    def __call__(self, tasks):
        yield from ()
        os.kill(os.getpid(), signal.SIGKILL)

    def __str__(self):
        return "poison"


@dataclass(frozen=True)
class Note:
    """Leaves a file for each task that is begun, and dies once."""

    folder: Path
    dies_at: int

    def __call__(self, tasks):
        for task in tasks:
            first = not list(self.folder.glob(f"{task} *"))
            (self.folder / f"{task} {time.monotonic_ns()}").touch()
            if task == self.dies_at and first:
                os.kill(os.getpid(), signal.SIGKILL)
            yield task

    def __str__(self):
        return "notes"


@dataclass(frozen=True)
class Who:
    def __call__(self, tasks):
        for _ in tasks:
            yield os.getpid()


@dataclass(frozen=True)
class Slow:
    def __call__(self, tasks):
        for seconds in tasks:
            time.sleep(seconds)
            yield os.getpid(), seconds


@dataclass(frozen=True)
class Bug:
    def __call__(self, tasks):
        yield 1 / 0


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_task_is_done_once(name):
    assert sorted(EXECUTORS[name](Square(), list(range(11)), 2)) == [(task, task * task) for task in range(11)]


@pytest.mark.parametrize("name", EXECUTORS)
def test_no_tasks_no_outcomes(name):
    assert list(EXECUTORS[name](Square(), [], 2)) == []


@pytest.mark.parametrize("name", EXECUTORS)
def test_errors_come_through_with_their_type(name):
    with pytest.raises(VideoError, match="concert.mp4: broken"):
        list(EXECUTORS[name](Fail(), [1, 2], 2))


def test_a_task_that_costs_three_workers_is_one_clear_sentence():
    with pytest.raises(CrowdmoodError, match=r"poison: a worker process was killed.* 3 times at the same place \(1\)"):
        list(processes(Die(), [1], 2))


def test_a_killed_worker_costs_its_task_only(tmp_path, caplog):
    work = Note(tmp_path, dies_at=3)
    assert sorted(processes(work, list(range(8)), 2)) == list(range(8))
    assert [len(list(tmp_path.glob(f"{task} *"))) for task in range(8)] == [2 if task == 3 else 1 for task in range(8)]
    assert [record.message for record in caplog.records] == [
        "notes: a worker process was killed, most likely for lack of memory; another one goes on with what it had"]


def test_workers_that_are_kept_do_the_next_recording_too():
    with keep_workers():
        first, second = (set(processes(Who(), [1, 2], 2)) for _ in range(2))
        assert second <= first
        with pytest.raises(VideoError):
            list(processes(Fail(), [1, 2], 2))
        list(processes(Who(), [1], 1))
    assert not any(Path(f"/proc/{pid}").exists() for pid in first)
    assert not set(processes(Who(), [1], 1)) & first


def test_an_idle_worker_that_was_killed_is_replaced():
    with keep_workers():
        killed, = processes(Who(), [1], 1)
        os.kill(killed, signal.SIGKILL)
        assert set(processes(Who(), [1], 1)) != {killed}


def test_a_worker_that_gets_little_does_not_wait_for_one_that_got_much():
    start = time.monotonic()
    pids = [pid for pid, _ in processes(Slow(), [0.05] * 40, 2)]
    shares = sorted(pids.count(pid) for pid in set(pids))
    assert len(shares) == 2 and sum(shares) == 40 and time.monotonic() - start < 60


def test_a_traceback_of_a_worker_is_kept():
    with pytest.raises(ZeroDivisionError) as caught:
        list(processes(Bug(), [1], 1))
    assert "in __call__" in caught.value.__notes__[0]


def test_a_script_without_a_guard_hears_of_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from crowdmood.executors import processes\nfrom tests.test_executors import Square\n"
                      "print(list(processes(Square(), [1, 2], 2)))\n")
    done = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)})
    assert done.returncode == 1 and "must stand behind `if __name__" in done.stderr.splitlines()[-1]


def test_leaving_early_ends_the_workers_at_once():
    outcomes = processes(Sleep(), [0, 60, 60, 60], 2)
    assert next(outcomes) == 0
    start = time.monotonic()
    outcomes.close()
    assert time.monotonic() - start < 30


def test_serial_is_lazy():
    assert next(serial(Square(), iter([3, None]))) == (3, 9)
