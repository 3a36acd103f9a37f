"""Reading ahead in a thread: order, bounds, errors and the end of the thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from crowdmood.errors import VideoError
from crowdmood.video import read_ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


class Counted:
    """A generator that remembers how far it came and whether it was closed, and in which thread."""

    def __init__(self, items: int, error: BaseException | None = None) -> None:
        self.items, self.error = items, error
        self.made, self.closed_in = 0, None

    def __iter__(self) -> Iterator[int]:
        try:
            for k in range(self.items):
                self.made = k + 1
                yield k
            if self.error:
                raise self.error
        finally:
            self.closed_in = threading.current_thread().name


def test_all_items_come_in_order() -> None:
    with read_ahead(iter(Counted(100))) as items:
        assert list(items) == list(range(100))
    assert threads() == []


def test_it_runs_ahead_but_not_further_than_its_depth() -> None:
    source = Counted(100)
    with read_ahead(iter(source), depth=3) as items:
        assert next(items) == 0
        deadline = time.monotonic() + 5
        while source.made < 5 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)
        assert source.made == 5  # one taken, three waiting, one in the hand of the thread


def test_an_early_exit_closes_the_source_in_its_thread_and_ends_it() -> None:
    source = Counted(1000)
    with read_ahead(iter(source)) as items:
        next(items)
    assert source.closed_in == "read-ahead" and source.made < 10
    assert threads() == []


def test_an_error_in_the_source_arrives_as_it_is() -> None:
    error = VideoError("b.mp4: gone")
    with read_ahead(iter(Counted(3, error))) as items:
        got = [next(items), next(items), next(items)]
        with pytest.raises(VideoError) as raised:
            next(items)
    assert got == [0, 1, 2] and raised.value is error
    assert threads() == []


def test_an_error_in_the_block_ends_the_thread() -> None:
    source = Counted(1000)
    with pytest.raises(KeyError), read_ahead(iter(source)) as items:
        next(items)
        raise KeyError
    assert source.closed_in == "read-ahead" and threads() == []


def test_a_source_that_is_never_asked_ends_too() -> None:
    source = Counted(1000)
    with read_ahead(iter(source)):
        pass
    assert source.closed_in == "read-ahead" and threads() == []
