"""The tables of a meeting's layout: which gallery tiles there were, who was in them, and whom the picture marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from crowdmood.meeting.linking import MeetingLinks
from crowdmood.meeting_schemas import SPOTLIGHTS, TILES
from crowdmood.schemas import table_of
from crowdmood.tables import write_rows


def write_meeting(results: Path, run: str, links: MeetingLinks) -> None:
    """Write tiles and spotlights of a run; the same links give the same bytes. Raises ResultsError."""
    seen, lit = links.segments, links.spotlights
    box = dict(zip(("x1", "y1", "x2", "y2"), seen.box.T, strict=True))
    write_rows(results, "tiles", run, table_of(TILES, run, {
        "segment": seen.segment, "layout": seen.layout, "start_s": seen.start_s, "end_s": seen.end_s, "tile": _or_null(seen.tile),
        "role": seen.role, **box, "live": seen.live, "person": _or_null(seen.person), "joined_by": seen.joined_by,
        "confidence": seen.confidence}))
    write_rows(results, "spotlights", run, table_of(SPOTLIGHTS, run, {
        "start_s": lit.start_s, "end_s": lit.end_s, "segment": lit.segment, "tile": lit.tile, "person": _or_null(lit.person)}))


def _or_null(number: np.ndarray) -> pa.Array:
    return pa.array(number, pa.int32(), mask=np.asarray(number) < 0)
