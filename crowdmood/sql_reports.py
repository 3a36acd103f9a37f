"""The SQL reports that ship: one file each in reports/, whose first comment lines give title and description."""

from __future__ import annotations

from crowdmood.errors import ResultsError
from crowdmood.shipped import shipped


def shipped_reports() -> dict[str, tuple[str, str]]:
    """Name -> (title, description) of the SQL reports that ship, by name."""
    return {path.stem: _heading(path.read_text(encoding="utf-8")) for path in sorted(shipped("reports").glob("*.sql"))}


def report_sql(name: str) -> str:
    """The query of a report that ships. Raises ResultsError, with the known ones, when there is none of that name."""
    path = shipped("reports") / f"{name}.sql"
    if name not in shipped_reports():
        raise ResultsError(f"no report is called '{name}'; known: {', '.join(shipped_reports())}")
    return path.read_text(encoding="utf-8")


def _heading(sql: str) -> tuple[str, str]:
    """Title and description from the comment lines a report starts with."""
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    title = lines[0].removeprefix("title:").strip() if lines else ""
    return title, " ".join(lines[1:]).removeprefix("description:").strip()
