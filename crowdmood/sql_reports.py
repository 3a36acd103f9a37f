"""SQL reports: a query in a file whose first comment lines say what it tells and what may be asked of it.

    -- title: Reaction after a given time
    -- description: What the crowd showed before and after, ...
    -- parameter at: time: the instant, seconds or minutes:seconds
    -- parameter window: number = 10: seconds looked at on each side
    SELECT ... WHERE time_s >= $at

Parameters are typed (time, number, integer, text), and bound: they are never pasted into the SQL. One without a default
must be given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crowdmood.clock import parse_time
from crowdmood.errors import ResultsError
from crowdmood.shipped import shipped

KINDS = {"time": parse_time, "number": float, "integer": int, "text": str}
PARAMETER = re.compile(r"parameter (\w+): *(\w+)(?: *= *([^:]*?))?(?: *: *(.*))?$")


@dataclass(frozen=True)
class Parameter:
    """kind: one of KINDS; default: as text, None where a value must be given."""

    name: str
    kind: str
    default: str | None
    meaning: str

    def value(self, text: str) -> float | int | str:
        """The text as a value of the parameter's kind. Raises ResultsError."""
        try:
            return KINDS[self.kind](text)
        except ValueError as error:
            raise ResultsError(f"--{self.name} {text}: needs a value of the kind '{self.kind}'") from error


@dataclass(frozen=True)
class SqlReport:
    """A report: its name, what it tells, what can be asked, and the query."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    sql: str

    def values(self, given: Mapping[str, str]) -> dict[str, float | int | str]:
        """Values for the query's parameters: those given (as text), defaults for the others. Raises ResultsError."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                words = ", ".join(f"--{name}" for name in known) or "none"
                raise ResultsError(f"the report '{self.name}' has no parameter --{name}; it has: {words}")
        texts = {name: parameter.default for name, parameter in known.items()} | dict(given)
        missing = [f"--{name} ({known[name].meaning})" for name, text in texts.items() if text is None]
        if missing:
            raise ResultsError(f"the report '{self.name}' needs {', '.join(missing)}")
        return {name: known[name].value(text) for name, text in texts.items()}


def shipped_reports() -> dict[str, SqlReport]:
    """The SQL reports that ship, by name."""
    return {path.stem: read_report(path) for path in sorted(shipped("reports").glob("*.sql"))}


def find_report(name: str) -> SqlReport:
    """A report that ships, or a user's own SQL file. Raises ResultsError, with the known ones, when there is neither."""
    if name.endswith(".sql"):
        return read_report(Path(name))
    reports = shipped_reports()
    if name not in reports:
        raise ResultsError(f"no report is called '{name}'; known: {', '.join(reports)}")
    return reports[name]


def report_sql(name: str) -> str:
    """The query of a report that ships. Raises ResultsError, with the known ones, when there is none of that name."""
    return find_report(name).sql


def read_report(path: Path) -> SqlReport:
    """A report from its file. Raises ResultsError when it cannot be read or a comment line makes no sense."""
    try:
        sql = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"the report {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    texts, parameters, key = {"title": path.stem, "description": ""}, [], ""
    for line in _comments(sql):
        field = re.match(r"(title|description): *(.*)$", line)
        if field:
            key = field[1]
            texts[key] = field[2]
        elif line.startswith("parameter "):
            parameters.append(_parameter(line, path))
            key = ""
        elif key:
            texts[key] = f"{texts[key]} {line}".strip()
    return SqlReport(path.stem, texts["title"], texts["description"], tuple(parameters), sql)


def _comments(sql: str) -> list[str]:
    """The comment lines that a query starts with."""
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return lines


def _parameter(line: str, path: Path) -> Parameter:
    found = PARAMETER.match(line)
    if not found or found[2] not in KINDS:
        raise ResultsError(f"{path}: '{line}' is not of the form 'parameter NAME: KIND = DEFAULT: meaning', KIND being "
                           f"{', '.join(KINDS)}")
    parameter = Parameter(found[1], found[2], found[3], found[4] or "")
    if parameter.default is not None:
        parameter.value(parameter.default)
    return parameter
