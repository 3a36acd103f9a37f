"""What a run with --aggregate-only keeps in place of its persons: answers of SQL reports, read from the table `aggregates`.

crowdmood.aggregate writes them. No row stands on fewer than LEAST persons, and none is about a single one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crowdmood import catalog
from crowdmood.errors import ResultsError
from crowdmood.s3 import S3Folder
from crowdmood.sql_reports import SqlReport

LEAST = 5  # persons behind every figure
# Each report that is kept: a query over its answer, which says how many persons stand behind a row, and hides what is one person's.
KEPT = {
    "overview": "SELECT *, usable_persons AS behind FROM answer",
    "headline": "SELECT *, persons AS behind FROM answer",
    "mix": "SELECT * REPLACE (if(persons >= 5, faces, NULL) AS faces, if(persons >= 5, persons, NULL) AS persons), of_persons AS behind FROM answer",
    "bins": "SELECT *, (SELECT count(DISTINCT person) FROM faces WHERE usable AND time_s >= start_s AND time_s < end_s) AS behind FROM answer",
    "happiest": "SELECT *, persons AS behind FROM answer",
    "peaks": "SELECT *, persons AS behind FROM answer",
    "moments": "SELECT *, least(persons, present) AS behind FROM answer",
    "synchrony": "SELECT *, persons AS behind FROM answer",
    "smiles": "SELECT *, persons AS behind FROM answer",
    "engagement": "SELECT *, persons AS behind FROM answer",
    "speakers": """SELECT run, speaker, 'Speaker ' || coalesce(speaker, row_number() OVER (ORDER BY first_s)) AS who, persons, faces, positivity, positivity_low,
        positivity_high, expressiveness, expressiveness_low, expressiveness_high, presence, coverage, few, persons AS behind FROM answer""",
    "questions": "SELECT * EXCLUDE (who), persons AS behind FROM answer",
    "agenda": "SELECT *, persons AS behind FROM answer",
    "layouts": "SELECT *, persons AS behind FROM answer",
}
OF_PERSONS = re.compile(r"\b(?:from|join)\s+(?:faces|persons|tiles|spotlights|speech|names)\b", re.IGNORECASE)
ROWS = "SELECT asked, figures FROM aggregates WHERE report = $report ORDER BY run, place"
WITHOUT_PERSONS = "SELECT run FROM runs WHERE json_extract_string(options, '$.aggregate_only') = 'true'"


def kept_answer(results: Path | S3Folder, run: str, report: SqlReport, values: Mapping[str, Any]) -> pa.Table:
    """The answer of a report for a run that keeps no persons: the rows it kept, or what frames and seconds say.

    values: the report's parameters. Raises ResultsError where persons would be needed.
    """
    empty = OF_PERSONS.search(report.sql)
    if report.name not in KEPT and empty:
        raise needs_persons(run, f"the report '{report.name}'")
    answer = catalog.fetch(results, report.sql, run, dict(values))  # of tables without faces
    if not empty:
        return answer
    rows = catalog.fetch(results, ROWS, run, {"report": report.name}).to_pylist()
    if rows and rows[0]["asked"] != asked(values):
        then = [f"--{name} {value:g}" if isinstance(value, float) else f"--{name} {value}" for name, value in json.loads(rows[0]["asked"]).items() if value != values.get(name)]
        raise ResultsError(f"run {run} was analyzed with --aggregate-only: it keeps the report '{report.name}' as it was made then, "
                           f"with {', '.join(then)}, and no persons to ask it anew")
    few = values.get("min_persons", LEAST)
    return _table(rows, few, answer.schema)


def answer_over_all(results: Path | S3Folder, report: SqlReport, values: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The answer of a report over all runs, with what runs without persons have kept of it. Raises ResultsError."""
    runs = catalog.fetch(results, WITHOUT_PERSONS)["run"] if report.name in KEPT else []
    answer = catalog.ask(results, report.sql, None, dict(values))
    if not len(runs):
        return answer
    others = answer.read_all()
    others = others.filter(pc.invert(pc.is_in(others["run"], runs)))  # of runs without faces some reports say that there are none
    rows = catalog.fetch(results, ROWS, None, {"report": report.name}).to_pylist()
    kept = _table([row for row in rows if row["asked"] == asked(values)], values.get("min_persons", LEAST), others.schema)
    return pa.concat_tables([others.cast(kept.schema), kept]).to_reader()


def needs_persons(run: str, what: str) -> ResultsError:
    """The error of what cannot be had from a run without persons."""
    return ResultsError(f"run {run} was analyzed with --aggregate-only and keeps no persons, which {what} needs; "
                        f"`crowdmood report {run}` shows what it keeps")


def asked(values: Mapping[str, Any]) -> str:
    """A report's parameters as JSON, but for those that only mark figures as few."""
    plain = {name: float(value) if isinstance(value, int) else value for name, value in values.items() if name != "min_persons"}
    return json.dumps(plain, sort_keys=True)


def _table(rows: Sequence[Mapping[str, Any]], few: int, form: pa.Schema) -> pa.Table:
    """Rows of `aggregates` as the answer they are of."""
    return pa.Table.from_pylist([_told(json.loads(row["figures"]), few) for row in rows], pa.schema(map(_column, form)))


def _column(column: pa.Field) -> pa.Field:
    """Sums are decimals in DuckDB's answers, and floats or whole numbers in JSON."""
    if not pa.types.is_decimal(column.type):
        return column
    return column.with_type(pa.float64() if column.type.scale else pa.int64())


def _told(row: dict[str, Any], few: int) -> dict[str, Any]:
    return row | {"few": row["persons"] < few} if "few" in row else row
