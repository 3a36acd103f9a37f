"""When a job is due: cron's five fields in a time zone. The library cronsim does the arithmetic, as Debian's cron does it.

Where the clock is put forward, a time that it leaves out comes when it goes on; where it is put back, a time that it
shows twice comes once, the first time. `*` in the field of minutes or hours goes by the time that passes, so every hour is every hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from crowdmood.scheduling.spec import JobSpec


def due_times(spec: JobSpec, after: datetime, until: datetime) -> list[datetime]:
    """The times at which a job is due, later than `after` and not later than `until`, aware and in UTC, rising.

    Both bounds are aware. Empty for a job without a schedule.
    """
    times = []
    for moment in _times(spec, after):
        if moment > until:
            break
        times.append(moment)
    return times


def next_time(spec: JobSpec, after: datetime) -> datetime | None:
    """The first time later than `after` at which a job is due, in UTC; None for a job without a schedule."""
    return next(_times(spec, after), None)


def _times(spec: JobSpec, after: datetime) -> Iterator[datetime]:
    if spec.schedule is None:
        return
    last = after
    for local in CronSim(spec.schedule, after.astimezone(ZoneInfo(spec.time_zone))):
        moment = local.astimezone(UTC)
        # Begun within an hour that comes twice, cronsim starts again with its first pass.
        if moment > last:
            yield moment
            last = moment
