"""SQL reports: a query in a file whose first comment lines say what it tells and what may be asked of it.

    -- title: Reaction after a given time
    -- description: What the crowd showed before and after, ...
    -- parameter at: time: the instant, seconds or minutes:seconds
    -- parameter window: number = 10: seconds looked at on each side
    -- uses: windows
    SELECT ... WHERE time_s >= $at

Parameters are typed (time, number, integer, text, weight, segments), and bound: they are never pasted into the SQL. One without
a default must be given; a weight's default is in engagement.toml. The answers of the reports (or the parts of reports, in
reports/parts) that a report uses are tables to it; their parameters are its own, unless it has one of that name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from crowdmood.clock import parse_time
from crowdmood.errors import ResultsError
from crowdmood.segments import read_segments
from crowdmood.shipped import shipped

KINDS = {"time": parse_time, "number": float, "integer": int, "text": str, "weight": float,
         "segments": lambda text: read_segments(Path(text)) if text else []}
PARAMETER = re.compile(r"parameter (\w+): *(\w+)(?: *= *([^:]*?))?(?: *: *(.*))?$")


@dataclass(frozen=True)
class Parameter:
    """kind: one of KINDS; default: as text, None where a value must be given."""

    name: str
    kind: str
    default: str | None
    meaning: str

    def value(self, given: Any) -> Any:
        """What is given as text as a value of the parameter's kind; other values as they are. Raises ResultsError."""
        try:
            return KINDS[self.kind](given) if isinstance(given, str) else given
        except ValueError as error:
            raise ResultsError(f"--{self.name} {given}: needs a value of the kind '{self.kind}'") from error


@dataclass(frozen=True)
class SqlReport:
    """A report: its name, what it tells, what can be asked, and the query."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    sql: str
    uses: tuple[str, ...] = ()
    plot: str = ""

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Values for the query's parameters: those given (as text or values), defaults for the others. Raises ResultsError."""
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
    """A report from its file, with the reports it uses. Raises ResultsError when it cannot be read or a comment line makes
    no sense.
    """
    try:
        sql = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"the report {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    texts, parameters, key = {"title": path.stem, "description": "", "uses": "", "plot": ""}, [], ""
    for line in _comments(sql):
        field = re.match(r"(title|description|uses|plot): *(.*)$", line)
        if field:
            key = field[1]
            texts[key] = field[2]
        elif line.startswith("parameter "):
            parameters.append(_parameter(line, path))
            key = ""
        elif key:
            texts[key] = f"{texts[key]} {line}".strip()
    uses = tuple(re.split(r"[, ]+", texts["uses"])) if texts["uses"] else ()
    own = SqlReport(path.stem, texts["title"], texts["description"], tuple(parameters), sql, uses, texts["plot"])
    return _with_used(own) if uses else own


def _with_used(report: SqlReport) -> SqlReport:
    """The report with what it uses as common table expressions before its own query, and their parameters as its own."""
    used = _all_used(report.uses)
    parameters = {one.name: one for part in (*used.values(), report) for one in part.parameters}
    expressions = ",\n".join(f"{name} AS (\n{_query(part.sql)}\n)" for name, part in used.items())
    own = _query(report.sql)
    rest = f",\n{own[4:].lstrip()}" if re.match(r"with\s", own, re.IGNORECASE) else f"\n{own}"
    return replace(report, parameters=tuple(parameters.values()), sql=f"WITH {expressions}{rest}")


def _all_used(names: Iterable[str]) -> dict[str, SqlReport]:
    """The reports of these names and what they use in turn, each after what it uses. Their queries are as in the files."""
    used: dict[str, SqlReport] = {}
    for name in names:
        path = next((path for folder in ("", "parts") if (path := shipped("reports") / folder / f"{name}.sql").is_file()), None)
        if path is None:
            raise ResultsError(f"'-- uses: {name}': there is no such report; `crowdmood report --list` names them")
        part = read_report(path)
        used |= _all_used(part.uses) | {name: replace(part, sql=path.read_text(encoding="utf-8"))}
    return used


def _query(sql: str) -> str:
    """The SQL without the comment lines that it starts with, and without a semicolon at its end."""
    lines = sql.splitlines()
    return "\n".join(lines[len(_comments(sql)):]).strip().removesuffix(";")


def _comments(sql: str) -> list[str]:
    """The comment lines that a query starts with."""
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return lines


@cache
def _weights() -> dict[str, float]:
    return tomllib.loads((shipped("reports") / "engagement.toml").read_text(encoding="utf-8"))


def _parameter(line: str, path: Path) -> Parameter:
    found = PARAMETER.match(line)
    if not found or found[2] not in KINDS:
        raise ResultsError(f"{path}: '{line}' is not of the form 'parameter NAME: KIND = DEFAULT: meaning', KIND being "
                           f"{', '.join(KINDS)}")
    default = str(_weights()[found[1]]) if found[2] == "weight" and found[3] is None else found[3]
    parameter = Parameter(found[1], found[2], default, found[4] or "")
    if parameter.default is not None:
        parameter.value(parameter.default)
    return parameter
