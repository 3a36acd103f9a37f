"""The keys of a job file, and what may stand behind each. Those of [analyze] are the options of `crowdmood analyze`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import time
from difflib import get_close_matches
from typing import Any

from crowdmood.clock import parse_time
from crowdmood.errors import CrowdmoodError, JobError
from crowdmood.scheduling.cron import check_schedule, check_time_zone
from crowdmood.settings import analysis_names, read_settings, shown
from crowdmood.sql_reports import find_report

CATCH_UP = ("once", "all", "skip")
LONGEST_S = 366 * 86_400.0
MOST_RETRIES, MOST_PARALLEL = 1000, 64


def check_keys(table: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a job file, by the names of JobSpec's fields; paths and texts as they are written.

    Raises JobError, one sentence, for an unknown key, a value of the wrong kind, or one that makes no sense.
    """
    values: dict[str, Any] = {}
    for section, keys in SECTIONS.items():
        given = table if section == "" else _section(table, section)
        for key, value in given.items():
            if section == "" and key in SECTIONS and key:
                continue  # a section is looked at by itself
            if key not in keys:
                raise JobError(f"unknown option '{key}'{_suggestion(key, section)}")
            values |= _value(keys, section, key, value)
    values["options"], values["execution"] = read_settings(_section(table, "analyze"))
    return values


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to say of a word that is none of the known ones: the most similar one, else all of them."""
    known = list(known)
    nearest = get_close_matches(word, known, 1)
    return f"; did you mean '{nearest[0]}'?" if nearest else f"; known: {', '.join(known) or 'none'}"


def _value(keys: Mapping[str, Callable[[Any], Any]], section: str, key: str, value: Any) -> dict[str, Any]:
    if section == "analyze":
        return {}
    try:
        return {FIELDS.get(f"{section}.{key}", key): keys[key](value)}
    except (ValueError, CrowdmoodError) as error:
        raise JobError(f"{_named(section, key)}: {error}") from error


def _section(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = table.get(name, {})
    if not isinstance(section, dict):
        raise JobError(f"'{name}' is a section: write [{name}] on a line of its own, and its options below")
    return section


def _suggestion(key: str, section: str) -> str:
    for other, keys in SECTIONS.items():
        if key in keys:
            return f" {_place(section)}; it belongs {_place(other)}"
    if not get_close_matches(key, SECTIONS[section]):
        for other, keys in SECTIONS.items():
            if nearest := get_close_matches(key, keys, 1, 0.75):
                return f" {_place(section)}; did you mean '{nearest[0]}' {_place(other)}?"
    sections = [f"[{name}]" for name in SECTIONS if name and not section]
    return did_you_mean(key, [*SECTIONS[section], *sections])


def _place(section: str) -> str:
    return f"below [{section}]" if section else "above the first section"


def _named(section: str, key: str) -> str:
    return f"[{section}] {key}" if section else key


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise JobError(f"{shown(value)} is not a text in quotes")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) and one.strip() for one in values):
        raise JobError(f"{shown(value)} is not a list of texts such as [\"one\", \"two\"]")
    return tuple(values)


def _some(value: Any) -> tuple[str, ...]:
    if not (texts := _texts(value)):
        raise JobError("the list is empty")
    return texts


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise JobError(f"{shown(value)} is neither true nor false")
    return value


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise JobError(f"{shown(value)} is not a whole number from {low} to {high}")
        return value

    return convert


def _seconds(low: float) -> Callable[[Any], float]:
    """Seconds as a number, or as a time: 90, "1:30", 00:01:30."""
    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str, time)):
            raise JobError(f"{shown(value)} is no time; write seconds (90) or a time (\"1:30\")")
        seconds = float(value) if isinstance(value, (int, float)) else parse_time(str(value))
        if not low <= seconds <= LONGEST_S:
            raise JobError(f"{shown(value)} is not from {low:g} to {LONGEST_S:.0f} seconds")
        return seconds

    return convert


def _one_of(*words: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if value not in words:
            raise JobError(f"{shown(value)} is none of {', '.join(words)}")
        return value

    return convert


def check_report(name: str) -> str:
    """The name of what a job builds. Raises JobError when there is no such report, or it wants to be told something."""
    if name == "html":
        return name
    try:
        find_report(name).values({})
    except CrowdmoodError as error:
        hint = " (or 'html')" if get_close_matches(name, ["html"]) else ""
        raise JobError(f"reports: {error}{hint}") from error
    return name


def _address(value: Any) -> str:
    if not _text(value).startswith(("https://", "http://")):
        raise JobError(f"{shown(value)} is no address that begins with https://")
    return value


SECTIONS: dict[str, Mapping[str, Callable[[Any], Any]]] = {
    "": {
        "sources": _some, "results": _text, "reports": _texts,
        "schedule": lambda value: check_schedule(_text(value)), "time_zone": lambda value: check_time_zone(_text(value)),
        "catch_up": _one_of(*CATCH_UP), "watch": _flag, "still_s": _seconds(0), "poll_s": _seconds(0.1),
        "parallel": _whole(1, MOST_PARALLEL), "time_limit_s": _seconds(1),
    },
    "analyze": dict.fromkeys(analysis_names()),
    "retry": {"times": _whole(0, MOST_RETRIES), "pause_s": _seconds(0), "longest_pause_s": _seconds(0)},
    "on_failure": {"webhook": _address, "command": _some},
}
FIELDS = {"retry.times": "retries"}
