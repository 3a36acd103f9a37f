"""Times as people write them: 90, 1:30, 00:01:30.5."""

from __future__ import annotations

import re

_TIME = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d*)?|\.\d+)")


def parse_time(text: str) -> float:
    """Seconds from '90', '1:30' or '00:01:30.5'. Raises ValueError that says how to write a time."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' is no time; write seconds (90), minutes (1:30) or hours (0:01:30.5)")
    hours, minutes, seconds = found.groups()
    if minutes is not None and float(seconds) >= 60 or hours is not None and int(minutes) >= 60:
        raise ValueError(f"'{text}' is no time; minutes and seconds behind a colon stay below 60")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def format_time(seconds: float) -> str:
    """'1:30.5' from 90.5, '1:02:03' from 3723.0; rounded to a hundredth of a second, trailing zeros left out.

    >>> format_time(5)
    '0:05'
    """
    sign, hundredths = "-" if round(seconds * 100) < 0 else "", abs(round(seconds * 100))
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest % 100:02d}".rstrip("0").rstrip(".")
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{start}:{rest // 100:02d}{fraction}"
