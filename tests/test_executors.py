import os
import signal
import time
from dataclasses import dataclass

import pytest

from crowdmood.errors import CrowdmoodError, VideoError
from crowdmood.executors import EXECUTORS, processes, serial, stretches


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


def test_a_killed_worker_is_one_clear_sentence():
    with pytest.raises(CrowdmoodError, match="worker process was killed"):
        list(processes(Die(), [1, 2], 2))


def test_leaving_early_ends_the_workers_at_once():
    outcomes = processes(Sleep(), [0, 60, 60, 60], 2)
    assert next(outcomes) == 0
    start = time.monotonic()
    outcomes.close()
    assert time.monotonic() - start < 10


def test_serial_is_lazy():
    assert next(serial(Square(), iter([3, None]))) == (3, 9)


def test_stretches_are_neighbours_of_even_length():
    assert stretches(range(7), 3) == [range(0, 2), range(2, 4), range(4, 7)]
    assert stretches([], 3) == []
    assert stretches([1], 8) == [[1]]
