"""Which photos of a run show most of an expression, and why others are not in the order."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from crowdmood import catalog
from crowdmood.errors import CrowdmoodError
from crowdmood.results import Run

MEASURES = ("happy", "sad", "surprise", "positivity")
"""What faces show; `popularity.rank_by_popularity` is of whole photos, and needs a model."""
LEFT_OUT = """
SELECT
    file, digest, coalesce(faces, 0) AS faces,
    error IS NOT NULL AS error,
    CASE
        WHEN error IS NOT NULL THEN error
        WHEN faces = 0 THEN 'no face was found'
        WHEN usable_faces = 0 THEN 'no face is clear enough to be read'
    END AS reason
FROM photos LEFT JOIN frames USING (run, frame)
ORDER BY frame
"""


def rank(run: Run, by: str = "happy", group: bool = False) -> list[dict[str, Any]]:
    """The photos with readable faces, the best first.

    Each a dict: place from 1, frame, file, page, width, height, taken, digest, score, mean and worst over its faces, happy, sad, surprise and
    positivity (means over readable faces), faces, uncertain (of them, not readable), background, unclear. by: one of MEASURES. group:
    only photos of two and more, scored (mean + worst) / 2 over all faces, unclear ones counting less: see sql/photo_ranking.sql.
    Raises CrowdmoodError for another measure, ResultsError.
    """
    if by not in MEASURES:
        raise CrowdmoodError(f"photos cannot be ranked by '{by}'; known: {', '.join(MEASURES)}")
    query = (files("crowdmood") / "sql" / "photo_ranking.sql").read_text(encoding="utf-8")
    return catalog.fetch(run.results, query, run.id, {"by": by, "group": group}).to_pylist()


def left_out(run: Run, ranked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The files that are not in the order `ranked`. Dicts: file, faces, reason, and error, whether it could not be read at all."""
    shown, alike = {row["file"] for row in ranked}, {row["digest"] for row in ranked}
    rows: dict[str, dict[str, Any]] = {}
    for row in run.sql(LEFT_OUT).to_pylist():
        if row["file"] not in shown:
            other = "it is the same picture as another" if row["digest"] in alike else "there are not two faces in it"
            rows.setdefault(row["file"], {"file": row["file"], "faces": row["faces"], "reason": row["reason"] or other, "error": row["error"]})
    return list(rows.values())
