"""Times as people write them."""

from __future__ import annotations

import pytest

from crowdmood.clock import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("1:30", 90.0),
        ("00:01:30.5", 90.5),
        ("0", 0.0),
        (".5", 0.5),
        (" 7.25 ", 7.25),
        ("90:00", 5400.0),
        ("1:02:03", 3723.0),
        ("100:00:00", 360000.0),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "abc", "-3", "1:2:3:4", "1:", ":30", "1e3", "nan", "1:3O"])
def test_what_is_no_time_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time; write seconds \(90\), minutes \(1:30\)"):
        parse_time(text)


@pytest.mark.parametrize("text", ["1:75", "1:60:00", "0:60"])
def test_sixty_seconds_are_a_minute(text: str) -> None:
    with pytest.raises(ValueError, match="stay below 60"):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (5, "0:05"),
        (90.5, "1:30.5"),
        (3723, "1:02:03"),
        (59.999, "1:00"),
        (3599.996, "1:00:00"),
        (0.05, "0:00.05"),
        (-1.5, "-0:01.5"),
        (360000, "100:00:00"),
        (-0.001, "0:00"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


@pytest.mark.parametrize("seconds", [0.0, 0.25, 59.99, 60.0, 3600.5, 86399.75])
def test_what_is_written_is_read_back(seconds: float) -> None:
    assert parse_time(format_time(seconds)) == seconds
