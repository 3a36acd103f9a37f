"""Worker processes: whatever a task does to its process is an outcome."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from crowdmood.errors import RunBusy, VideoError
from crowdmood.scheduling.workers import Pool, Worker

PARENT = """
import time
from crowdmood.scheduling.workers import Worker
from tests.scheduling.test_workers import Sleep
if __name__ == "__main__":
    worker = Worker()
    worker.give(Sleep(300))
    print(worker.pid, flush=True)
    time.sleep(300)
"""


@dataclass(frozen=True)
class Pid:
    def __call__(self, progress):
        progress("half")
        return os.getpid()


@dataclass(frozen=True)
class Raise:
    error: Exception

    def __call__(self, progress):
        raise self.error


@dataclass(frozen=True)
class Die:
    number: int

    def __call__(self, progress):
        os.kill(os.getpid(), self.number)
        time.sleep(60)


@dataclass(frozen=True)
class Sleep:
    seconds: float
    note: str = ""

    def __call__(self, progress):
        try:
            time.sleep(self.seconds)
        finally:
            if self.note:
                open(self.note, "w").close()


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.end()


def done(worker, task, progress=lambda _: None):
    worker.give(task)
    outcome = worker.outcome(120, progress)
    assert outcome is not None
    return outcome


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_one_process_does_one_task_after_the_other(worker):
    told = []
    assert [done(worker, Pid(), told.append).value for _ in range(2)] == [worker.pid] * 2
    assert told == ["half", "half"]


@pytest.mark.parametrize(("error", "name", "text"), [
    (VideoError("concert.mp4: broken"), "failed", "concert.mp4: broken"), (RunBusy("wait for it"), "busy", "wait for it"),
    (MemoryError(), "crashed", "not enough memory"), (KeyError("x"), "crashed", "a bug in crowdmood (KeyError: 'x')")])
def test_an_error_is_an_outcome_and_the_worker_goes_on(worker, error, name, text):
    outcome = done(worker, Raise(error))
    assert outcome.name == name
    assert text in outcome.error
    assert done(worker, Pid()).value == worker.pid


@pytest.mark.parametrize(("number", "text"), [(signal.SIGKILL, "SIGKILL, most likely for lack of memory"), (signal.SIGSEGV, "SIGSEGV")])
def test_the_death_of_a_worker_is_an_outcome(number, text):
    worker = Worker()
    outcome = done(worker, Die(number))
    assert outcome.name == "crashed" and text in outcome.error
    worker.end()


def test_a_worker_that_is_ended_drops_its_work_properly(tmp_path):
    worker, note = Worker(), tmp_path / "note"
    assert done(worker, Pid()).name == "done"
    worker.give(Sleep(300, str(note)))
    assert worker.outcome(0.5) is None
    worker.end(30)
    assert note.exists() and not is_alive(worker.pid)


def test_a_pool_keeps_workers_of_a_kind_until_they_are_idle_for_long():
    pool = Pool()
    first = pool.borrow("models a")
    done(first, Pid())
    pool.give_back(first)
    assert pool.borrow("models a") is first
    pool.give_back(first)
    other = pool.borrow("models b")
    assert other is not first
    pool.give_back(other)
    pool.rest(3600)
    assert first.is_alive() and other.is_alive()
    pool.rest(0)
    assert not is_alive(first.pid) and not is_alive(other.pid)


def test_workers_end_with_their_parent_however_it_ends(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, cwd=os.getcwd(),
                              env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.communicate()
    until(lambda: not is_alive(pid))
