"""The moments of a run: found by a condition or by the SQL report `moments`, and ranked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from crowdmood import catalog
from crowdmood.condition_sql import held
from crowdmood.conditions import parse
from crowdmood.errors import ConditionError
from crowdmood.results import FEW_PERSONS, Run

FILES = {"still": pa.string(), "clip": pa.string(), "clip_start_s": pa.float64(), "clip_end_s": pa.float64()}
SPANS = """,
islands AS (SELECT *, sum((NOT holds)::INTEGER) OVER (ORDER BY frame) AS island, $direction * value AS worth FROM held),
placed AS (
    SELECT *, row_number() OVER (
        PARTITION BY piece, island ORDER BY worth DESC NULLS LAST, usable_faces DESC, frame) AS place
    FROM islands WHERE holds
),
spans AS (
    SELECT
        min(time_s) AS start_s, max(time_s + counted_s) AS end_s, sum(counted_s) AS shown_s,
        any_value(time_s) FILTER (place = 1) AS peak_s, any_value(worth) FILTER (place = 1) AS worth,
        any_value(value) FILTER (place = 1) AS value, $label AS expression,
        NULL::BIGINT AS persons
    FROM placed GROUP BY piece, island
)"""
# spans: start_s, end_s, shown_s, peak_s, expression, value, worth, persons (NULL: those who could be read are counted).
NO_SPAN = {"start_s": 0.0, "end_s": 0.0, "peak_s": 0.0, "persons": 0, "shown_s": 0.0, "expression": "", "value": 0.0, "worth": 0.0}
TOLD = """,
best AS MATERIALIZED (
    SELECT
        row_number() OVER (ORDER BY worth DESC NULLS LAST, peak.usable_faces DESC, spans.shown_s DESC, start_s) AS rank,
        spans.*, peak.frame, peak.usable_faces AS faces, peak.faces AS faces_seen
    FROM spans ASOF JOIN frames AS peak ON peak.time_s <= spans.peak_s + 1e-6
    WHERE spans.shown_s >= $least_s - 1e-6
    ORDER BY rank LIMIT $top
),
inside AS MATERIALIZED (  -- by way of the frames: comparing each face's time with each moment's takes minutes
    SELECT rank, frames.frame FROM best JOIN frames ON time_s >= start_s - 1e-6 AND time_s < end_s - 1e-6
),
behind AS (
    SELECT rank, count(DISTINCT faces.person) AS persons, count(*) AS readings
    FROM inside JOIN faces USING (frame) WHERE faces.usable GROUP BY rank
)
SELECT
    rank, start_s, end_s, shown_s, peak_s, frame, expression, value, faces, faces_seen,
    coalesce(best.persons, behind.persons, 0) AS persons, coalesce(best.persons, behind.persons, 0) < $few AS few,
    coalesce(readings, 0) AS readings
FROM best LEFT JOIN behind USING (rank) ORDER BY rank
"""


@dataclass(frozen=True)
class Moments:
    """What was found. table: one row per moment, best first.

    rank (1 is the best), start_s, end_s, shown_s (how long it was shown), peak_s and frame (its best frame), expression (a
    word for what it is about), value (what moments are ranked by, in that frame), faces (readable ones in that frame), faces_seen (all in it),
    persons (who could be read during the moment; for the SQL report `moments` who changed), few (fewer than 5 persons),
    readings (readable faces in all its frames). condition: None for the SQL report. ranked_by: what value is, in words.
    """

    table: pa.Table
    condition: str | None
    least_s: float
    ranked_by: str

    def with_files(self, moments: list[dict[str, Any]]) -> Moments:
        """The same with the names of the files they were saved in: still, clip; and clip_start_s, clip_end_s."""
        table = self.table
        for name, kind in FILES.items():
            table = table.append_column(name, pa.array([one[name] for one in moments], kind))
        return replace(self, table=table)

    def why_none(self, run: Run) -> str:
        """A sentence for a run without such moments."""
        if self.condition is None:
            return f"run {run.id} has no moments: nothing changed enough"
        short = find_moments(run, self.condition, 0.0, 10**9).table
        if not len(short):
            return "in no frame of the run does the condition hold"
        longest = max(short["shown_s"].to_pylist())
        return (f"the condition holds {len(short)} times, but for at most {longest:.2f} s; `--for {longest:.2f}s` finds "
                "the longest")


def find_moments(run: Run, when: str | None = None, least_s: float = 0.5, top: int = 10) -> Moments:
    """The moments of a complete run, best first, at most `top`.

    when: a condition (see crowdmood.conditions) that holds for at least least_s seconds of shown time, without a cut or a gap
    in between; without it the moments of the SQL report `moments`. Raises ConditionError, ResultsError.
    """
    info = run.require_complete()
    run.require_persons("the search for moments")
    values = {"few": FEW_PERSONS, "top": top}
    if when is None:
        spans = [_span(row) for row in run.ask("moments").to_pylist()]
        values |= {"spans": spans or [NO_SPAN], "least_s": 0.0, "top": top if spans else 0}
        query = f"WITH spans AS (SELECT unnest($spans, max_depth := 2)){TOLD}"
        return Moments(catalog.fetch(run.results, query, run.id, values), None, 0.0, "strength")
    _check_persons(when, info["persons"])
    sql, bound, ranking = held(when)
    values |= bound | {"least_s": least_s, "direction": 1 if ranking.more else -1, "label": ranking.label}
    table = catalog.fetch(run.results, f"{sql}{SPANS}{TOLD}", run.id, values)
    return Moments(table, when, least_s, ranking.text if ranking.more else f"{ranking.text}, least first")


def _span(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the SQL report as a span."""
    return {
        **{name: row[name] for name in ("start_s", "end_s", "peak_s", "persons")}, "shown_s": row["end_s"] - row["start_s"],
        "expression": f"less {row['expression']}" if row["direction"] == "less" else row["expression"],
        "value": row["strength"], "worth": row["strength"],
    }


def _check_persons(when: str, persons: int) -> None:
    """Raise ConditionError where a condition names a person whom the run does not have."""
    for node in parse(when).walk():
        if node.op == "person" and not 1 <= node.value <= persons:
            known = f"its persons are 1 to {persons}" if persons else "it has no persons"
            raise ConditionError(f"there is no person {node.value:g} in this run; {known}")
