"""Which frames are displayed at the sampling instants."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from crowdmood.video import Recording, Sampling, probe, select
from tests.videos import Clip, write


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return probe(write(tmp_path_factory.mktemp("clips") / "plain.mp4", Clip(numbers=range(6))))


def with_times(recording: Recording, pts: list[int], time_base: Fraction, last: int) -> Recording:
    return dataclasses.replace(recording, pts=np.array(pts), time_base=time_base, last_ticks=last)


MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("pts", "last", "fps", "span", "expected"),
    [
        ([0, 100, 200, 300, 400, 500], 100, 5, (0, None), [0, 2, 4]),
        ([0, 100, 200, 300, 400, 500], 100, None, (0, None), [0, 1, 2, 3, 4, 5]),
        ([0, 100, 200, 300, 400, 500], 100, None, (0.1, 0.3), [1, 2]),
        ([0, 100, 200, 300, 400, 500], 100, 5, (0.2, 0.4), [2]),
        ([0, 100, 200, 300, 400, 500], 100, 5, (0.21, 0.6), [4]),
        ([0, 100, 200, 300, 400, 500], 100, 1000, (0, None), [0, 1, 2, 3, 4, 5]),
        (
            [0, 199, 201, 399, 401],
            100,
            5,
            (0, None),
            [0, 1, 3],
        ),  # at 0.2 s that of 0.199 s is still displayed
        (
            [0, 200, 400],
            200,
            5,
            (0, None),
            [0, 1, 2],
        ),  # a frame that begins at the instant is the one displayed
        ([0, 1000, 1050, 3000], 200, 5, (0, None), [0, 1, 2, 3]),  # long frames come once, and none is lost
        ([0, 1000, 1050, 3000], 200, 5, (0.4, 0.9), [0]),  # begun before the span, displayed in it
        ([0, 1000, 1050, 3000], 200, 5, (0.4, 0.9)[:1] + (0.4,), []),
        ([0, 1000], 1000, 5, (5, None), []),
        ([700, 1700], 1000, 1, (0, None), [0, 1]),  # time counts from the first displayed frame
        ([-500, 500], 1000, 1, (0, None), [0, 1]),
        ([0], 0, 5, (0, None), [0]),
    ],
)
def test_select(recording: Recording, pts, last, fps, span, expected) -> None:
    assert select(with_times(recording, pts, MS, last), Sampling(fps), *span).tolist() == expected


def test_neighbouring_spans_add_up_to_the_whole(recording: Recording) -> None:
    thirty = with_times(recording, [1001 * k for k in range(3000)], Fraction(1, 30000), 1001)
    whole = select(thirty, Sampling(7.3))
    parts = [select(thirty, Sampling(7.3), 10 * k, 10 * k + 10) for k in range(11)]
    assert np.unique(np.concatenate(parts)).tolist() == whole.tolist()
    assert len(whole) == int(100.1 * 7.3) + 1


def test_rates_are_exact_over_hours(recording: Recording) -> None:
    """At 29.97 frames per second every 6th frame would drift against 5 instants per second."""
    hours = with_times(recording, [1001 * k for k in range(400_000)], Fraction(1, 30000), 1001)
    chosen = select(hours, Sampling(5))
    expected = [30000 * k // (5 * 1001) for k in range(len(chosen))]
    assert chosen.tolist() == expected


def test_a_gap_of_years_costs_no_memory(recording: Recording) -> None:
    jump = with_times(recording, [0, 40, 10**13], Fraction(1, 1000), 40)
    assert select(jump, Sampling(5)).tolist() == [0, 1, 2]


def test_very_fine_time_bases_do_not_overflow(recording: Recording) -> None:
    fine = with_times(recording, [k * 10**12 for k in range(10)], Fraction(1, 10**12), 10**12)
    assert select(fine, Sampling(0.333333)).tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_impossible_rates_are_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="positive number of frames per second"):
        Sampling(fps)
