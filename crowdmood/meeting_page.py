"""The meeting's part of a report page: what crowdmood.meeting_answers says, drawn and ready for the template meeting.html.j2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from crowdmood.law import notice
from crowdmood.meeting_answers import MOST_QUESTIONS, MOST_SPEAKERS
from crowdmood.shipped import shipped

MOST_LANES = 8
SOURCES = {"transcript": "told apart by the transcript", "timeline": "told apart by the timeline that the meeting's software wrote",
           "spotlight": "told apart by the tile that the picture marks"}


def meeting_section(found: Mapping[str, Any] | None, info: Mapping[str, Any], span: tuple[float, float]) -> dict[str, Any] | None:
    """What the template wants of a meeting, from `meeting_answers.meeting`; None of a film. info: the run's row. span: seconds."""
    if found is None:
        return None
    context = info.get("context")
    speakers = found["speakers"]
    return dict(found) | {
        "law": notice(context), "context": context, "most_speakers": MOST_SPEAKERS, "most_questions": MOST_QUESTIONS,
        "lanes": [{"who": who, "path": _lane(turns, span)} for who, turns in found["lanes"][:MOST_LANES]],
        "strip": [_part(row, span) for row in found["layouts"]],
        "source": SOURCES.get(speakers[0].get("source")) if speakers else None,
        "unknown": any(row["person"] is None for row in speakers),
        "style": Markup((shipped("reports") / "templates" / "meeting.css").read_text(encoding="utf-8")),
    }


def _lane(turns: Sequence[tuple[float, float]], span: tuple[float, float]) -> str:
    """SVG path of spans of time: x 0..1000 over the run's time, y 0..10; each at least half a unit wide."""
    edges = [[min(max(1000 * (time - span[0]) / (span[1] - span[0]), 0), 1000) for time in turn] for turn in turns]
    return "".join(f"M{left:.1f} 0H{max(right, left + 0.5):.1f}V10H{left:.1f}z" for left, right in edges)


def _part(row: Mapping[str, Any], span: tuple[float, float]) -> dict[str, Any]:
    left, right = (min(max(100 * (row[side] - span[0]) / (span[1] - span[0]), 0), 100) for side in ("start_s", "end_s"))
    shared = " and a shared screen" if row["shared"] and row["layout"] != "share" else ""
    return {"left": left, "width": right - left, "text": f"{row['layout']}{shared}, {row['cameras']} of {row['tiles']} cameras on"}
