"""The log: one line per event on stderr, as text for people or as JSON for programs.

    {"time": "2026-11-21T02:00:13.105Z", "level": "info", "event": "recording done", "job": "nightly", "recording": ...}
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("crowdmood.jobs")


def say(event: str, level: str = "info", **facts: Any) -> None:
    """Log an event with its facts; those that are None are left out."""
    LOGGER.log(logging.getLevelNamesMapping()[level.upper()], event,
               extra={"facts": {name: value for name, value in facts.items() if value is not None}})


def begin_log(form: str) -> None:
    """Write the log of all of crowdmood to stderr. form: 'text' or 'json'."""
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(_Json() if form == "json" else _Text())
    logger = logging.getLogger("crowdmood")
    logger.handlers, logger.propagate = [out], False
    logger.setLevel(logging.INFO)


def printable(text: Any) -> str:
    """Text on one line: what cannot be printed (line breaks, bytes that are no text) as an escape."""
    text = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def moment(seconds: float) -> str:
    """Seconds since 1970 as text, in UTC: 2026-11-21T02:00:13.105Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = {"time": moment(record.created), "level": record.levelname.lower(), "event": record.getMessage(), **_facts(self, record)}
        return json.dumps(facts, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = _facts(self, record)
        job = facts.pop("job", None)
        when = f"{datetime.fromtimestamp(record.created):%Y-%m-%d %H:%M:%S}"
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        told = "; ".join(f"{name} {value}" for name, value in facts.items())
        return printable(f"{when}  {f'{job}: ' if job else ''}{level}{record.getMessage()}{f': {told}' if told else ''}")


def _facts(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    facts = dict(getattr(record, "facts", {}))
    if record.exc_info:
        facts["traceback"] = formatter.formatException(record.exc_info)
    return facts
