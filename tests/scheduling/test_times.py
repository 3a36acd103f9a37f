"""When a job is due, against dates worked out by hand."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crowdmood.errors import JobError
from crowdmood.scheduling.cron import check_schedule, check_time_zone
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.times import due_times, next_time


def spec(schedule: str | None, zone: str = "UTC") -> JobSpec:
    return JobSpec("job", Path("job.toml"), ("a.mp4",), Path("results"), schedule=schedule, time_zone=zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(schedule: str, zone: str, after: str, until: str) -> list[str]:
    times = due_times(spec(schedule, zone), utc(after), utc(until))
    assert all(moment.tzinfo is UTC for moment in times)
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in times]


def test_after_is_left_out_and_until_is_not():
    assert due("0 2 * * *", "UTC", "2026-01-01 02:00", "2026-01-03 02:00") == ["2026-01-02 02:00", "2026-01-03 02:00"]
    assert due("0 2 * * *", "UTC", "2026-01-01 01:59:59.5", "2026-01-01 02:00") == ["2026-01-01 02:00"]
    assert due("0 2 * * *", "UTC", "2026-01-01 02:00:00.5", "2026-01-02 01:59:59") == []


# Zurich: on 29 March 2026 the clock goes from 02:00 CET to 03:00 CEST (01:00 UTC), on 25 October from 03:00 back to 02:00 (01:00 UTC).
# New York: on 8 March 2026 from 02:00 EST to 03:00 EDT (07:00 UTC), on 1 November from 02:00 EDT back to 01:00 (06:00 UTC).
# Lord Howe: half an hour; on 5 April 2026 from 02:00 (+11) back to 01:30 (+10:30), that is 4 April 15:00 UTC;
# on 4 October from 02:00 (+10:30) to 02:30 (+11), that is 3 October 15:30 UTC.


@pytest.mark.parametrize(("schedule", "zone", "after", "until", "expected"), [
    ("30 2 * * *", "Europe/Zurich", "2026-03-28 00:00", "2026-03-31 00:00",
     ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"]),  # does not exist on the 29th: when the clock goes on, at 03:00
    ("0 2 * * *", "Europe/Zurich", "2026-03-28 00:00", "2026-03-31 00:00",
     ["2026-03-28 01:00", "2026-03-29 01:00", "2026-03-30 00:00", "2026-03-31 00:00"]),
    ("30 2 * * *", "America/New_York", "2026-03-07 12:00", "2026-03-09 12:00", ["2026-03-08 07:00", "2026-03-09 06:30"]),
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-02 00:00", "2026-10-05 00:00",
     ["2026-10-02 15:45", "2026-10-03 15:30", "2026-10-04 15:15"]),  # 02:15 does not exist on the 4th: at 02:30
])
def test_a_time_that_the_clock_leaves_out_comes_when_it_goes_on(schedule, zone, after, until, expected):
    assert due(schedule, zone, after, until) == expected


@pytest.mark.parametrize(("schedule", "zone", "after", "until", "expected"), [
    ("30 2 * * *", "Europe/Zurich", "2026-10-24 00:00", "2026-10-27 00:00",
     ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"]),
    ("30 1 * * *", "America/New_York", "2026-10-31 00:00", "2026-11-02 12:00",
     ["2026-10-31 05:30", "2026-11-01 05:30", "2026-11-02 06:30"]),
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-03 00:00", "2026-04-06 00:00",
     ["2026-04-03 14:45", "2026-04-04 14:45", "2026-04-05 15:15"]),
])
def test_a_time_that_the_clock_shows_twice_comes_once(schedule, zone, after, until, expected):
    assert due(schedule, zone, after, until) == expected


@pytest.mark.parametrize("minute", range(0, 61, 5))
def test_asked_within_the_hour_that_comes_twice_nothing_comes_again(minute):
    """02:30 in Zurich was at 00:30 UTC; from 01:00 UTC on the clock shows 02:00 to 03:00 once more."""
    after = f"2026-10-25 {1 + minute // 60:02d}:{minute % 60:02d}"
    assert due("30 2 * * *", "Europe/Zurich", after, "2026-10-26 12:00") == ["2026-10-26 01:30"]


@pytest.mark.parametrize(("zone", "after", "hours"), [
    ("Europe/Zurich", "2026-03-28 22:00", 8), ("Europe/Zurich", "2026-10-24 22:00", 8),
    ("America/New_York", "2026-03-08 04:00", 8), ("America/New_York", "2026-11-01 03:00", 8),
])
def test_every_hour_is_every_hour_whatever_the_clock_does(zone, after, hours):
    begin = utc(after)
    times = due_times(spec("0 * * * *", zone), begin, begin + timedelta(hours=hours))
    assert [round((moment - begin).total_seconds()) for moment in times] == [3600 * (n + 1) for n in range(hours)]


def test_every_full_hour_of_a_clock_put_back_by_half_an_hour():
    """01:00 (+11) is 14:00 UTC; at 15:00 the clock goes from 02:00 back to 01:30 (+10:30), and shows 02:00 at 15:30."""
    assert due("0 * * * *", "Australia/Lord_Howe", "2026-04-04 12:30", "2026-04-04 17:00") == [
        "2026-04-04 13:00", "2026-04-04 14:00", "2026-04-04 15:30", "2026-04-04 16:30"]


def test_every_ten_minutes_passes_through_the_change():
    assert due("*/10 * * * *", "Europe/Zurich", "2026-10-25 00:35", "2026-10-25 01:15") == [
        "2026-10-25 00:40", "2026-10-25 00:50", "2026-10-25 01:00", "2026-10-25 01:10"]


def test_days_of_the_week_and_of_the_month():
    assert due("0 6 * * mon", "UTC", "2026-11-21 00:00", "2026-12-01 00:00") == ["2026-11-23 06:00", "2026-11-30 06:00"]
    assert due("0 6 13 * fri", "UTC", "2026-11-01 00:00", "2026-11-16 00:00") == [  # either, as cron has it
        "2026-11-06 06:00", "2026-11-13 06:00"]
    assert due("0 0 L * *", "UTC", "2026-02-01 00:00", "2026-03-01 00:00") == ["2026-02-28 00:00"]
    assert due("30 4 29 2 *", "UTC", "2026-01-01 00:00", "2032-03-01 00:00") == ["2028-02-29 04:30", "2032-02-29 04:30"]


def test_one_after_the_other_is_the_same_as_all_at_once():
    for schedule, zone in (("30 2 * * *", "Europe/Zurich"), ("*/7 1-3 * * *", "America/New_York"), ("15,45 * * * *", "Australia/Lord_Howe")):
        for after, until in ((utc("2026-03-06"), utc("2026-04-07")), (utc("2026-10-01"), utc("2026-11-03"))):
            times, moment = [], after
            while (moment := next_time(spec(schedule, zone), moment)) <= until:
                times.append(moment)
            assert times == due_times(spec(schedule, zone), after, until) == sorted(set(times)) and times


def test_without_a_schedule_nothing_is_due():
    assert next_time(spec(None), utc("2026-01-01")) is None
    assert due_times(spec(None), utc("2026-01-01"), utc("2036-01-01")) == []


@pytest.mark.parametrize(("schedule", "sentence"), [
    ("0 2 * *", "'0 2 * *' has 4 fields, not five: minute hour day month weekday"),
    ("0 0 2 * * *", "has 6 fields, not five"),
    ("0 25 * * *", "'0 25 * * *': bad hour; the fields are minute hour"),
    ("x 2 * * *", "bad minute"),
    ("0 2 * * funday", "bad day-of-week"),
    ("*/0 2 * * *", "bad minute"),
    ("0 2 30 2 *", "bad day-of-month"),
    ("@daily", "'@daily' has 1 fields, not five"),
])
def test_a_schedule_that_makes_no_sense_is_one_sentence(schedule, sentence):
    with pytest.raises(JobError) as raised:
        check_schedule(schedule)
    assert sentence in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(("zone", "advice"), [
    ("Europe/Zürich", "did you mean 'Europe/Zurich'?"), ("europe/zurich", "did you mean 'Europe/Zurich'?"),
    ("New York", "did you mean 'America/New_York'?"), ("zurich", "did you mean 'Europe/Zurich'?"),
    ("Mars/Olympus_Mons", "write one such as 'Europe/Zurich' or 'UTC'"), ("../../etc/passwd", "write one such as"), ("Europe", "unknown"),
    ("", "write one such as"),
])
def test_an_unknown_time_zone_is_one_sentence(zone, advice):
    with pytest.raises(JobError, match="unknown time zone") as raised:
        check_time_zone(zone)
    assert advice in str(raised.value) and "\n" not in str(raised.value)


def test_time_zones_are_known_where_the_system_has_none():
    script = """
from datetime import UTC, datetime
from pathlib import Path
from crowdmood.scheduling.cron import check_time_zone
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.times import next_time
assert check_time_zone("Australia/Lord_Howe")
spec = JobSpec("job", Path("job.toml"), (), Path(), schedule="30 2 * * *", time_zone="Europe/Zurich")
print(next_time(spec, datetime(2026, 10, 25, 1, tzinfo=UTC)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False,
                          env={"PYTHONTZPATH": "", "PATH": "/usr/bin:/bin"}, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "2026-10-26 01:30:00+00:00", done.stderr
