"""What the report of a meeting's run says beyond that of a film: who spoke, what the others showed meanwhile, who was there."""

from __future__ import annotations

from typing import Any

from crowdmood.results import FEW_PERSONS, Run

MOST_SPEAKERS, MOST_QUESTIONS = 12, 20  # shown on the page; the SQL reports have all


def meeting(run: Run, few: int = FEW_PERSONS) -> dict[str, Any] | None:
    """speakers, questions, attendance, layouts: rows of the SQL reports of these names; all_questions: the row of all of them,
    None without any; lanes: (what a speaker is called, [(start_s, end_s), ...]) of those who spoke longest. None: not a meeting.

    A run that keeps no persons has no lanes and no attendance.
    """
    if run.info.get("layout") != "meeting":
        return None
    speakers, layouts = (run.ask(name, **given).to_pylist() for name, given in (("speakers", {"min_persons": few}), ("layouts", {})))
    questions = run.ask("questions", min_persons=few).to_pylist()
    return {
        "speakers": speakers, "layouts": layouts, "lanes": _lanes(run, speakers[:MOST_SPEAKERS]) if run.keeps_persons else [],
        "questions": [row for row in questions if row["question"] is not None],
        "all_questions": next((row for row in questions if row["question"] is None), None),
        "attendance": run.ask("attendance").to_pylist() if run.keeps_persons else [],
    }


def _lanes(run: Run, speakers: list[dict[str, Any]]) -> list[tuple[str, list[tuple[float, float]]]]:
    turns: dict[int, list[tuple[float, float]]] = {}
    for row in run.ask("turns").to_pylist():
        turns.setdefault(row["number"], []).append((row["start_s"], row["end_s"]))
    return [(row["who"], turns[_number(row)]) for row in speakers]


def _number(row: dict[str, Any]) -> int:
    return -row["person"] if row["speaker"] is None else row["speaker"]
