"""Whether a schedule and a time zone make sense."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from crowdmood.errors import JobError

FIELDS = "minute hour day month weekday, such as '0 2 * * *' for every night at two"


def check_schedule(text: str) -> str:
    """The schedule, its spaces made single. Raises JobError when it is not five fields of cron, or never comes."""
    fields = text.split()
    if len(fields) != 5:
        raise JobError(f"'{text}' has {len(fields)} fields, not five: {FIELDS}")
    try:
        next(CronSim(text, datetime.now(UTC)))
    except CronSimError as error:
        raise JobError(f"'{text}': {str(error)[:1].lower()}{str(error)[1:]}; the fields are {FIELDS}") from error
    except StopIteration:
        raise JobError(f"'{text}' is a time that never comes") from None
    return " ".join(fields)


def check_time_zone(name: str) -> str:
    """The name of a time zone. Raises JobError, with the most similar one, when there is none of this name."""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        known = sorted(available_timezones())
        folded = {zone.lower(): zone for zone in known}
        nearest = get_close_matches(name.lower().replace(" ", "_"), folded, 1, 0.7)
        cities = [zone for zone in known if zone.rpartition("/")[2].lower() == name.lower().replace(" ", "_")]
        hint = cities[0] if cities else folded[nearest[0]] if nearest else None
        advice = f"did you mean '{hint}'?" if hint else "write one such as 'Europe/Zurich' or 'UTC'"
        raise JobError(f"unknown time zone '{name}'; {advice}") from None
