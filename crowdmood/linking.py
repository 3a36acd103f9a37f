"""Link a run: the rows of its parts, in time order, get tracks and persons, and become the run's final tables. No pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import numpy as np

from crowdmood import persons, tables
from crowdmood.aggregate import place
from crowdmood.errors import VideoError
from crowdmood.meeting.linking import MeetingSettings, link_meeting
from crowdmood.meeting.rows import unpacked
from crowdmood.meeting.tables import write_meeting
from crowdmood.options import Options


def link_run(results: Path, run: str, options: Options, speak: Callable[[Path], object] = lambda _: None) -> None:
    """Give every face of a scanned run its track and person, and write its final tables.

    speak: writes who speaks when into the folder it is given; with aggregate_only it is needed now, later no persons are there.
    Raises VideoError where none of its frames could be decoded, DamagedParts, and ResultsError.
    """
    began, row = monotonic(), tables.read_run(results, run) or {}
    with place(results, run, options.aggregate_only) as folder:
        links = _links(folder, run, options, row["recording"])
        tables.complete(folder, run, links, finished=datetime.now(UTC), layout=None if links.tile is None else "meeting",
                        seconds=row["seconds"] + monotonic() - began, **tables.part_counts(folder, run))
        if options.aggregate_only:
            speak(folder)


def _links(results: Path, run: str, options: Options, recording: str) -> persons.Links:
    """The links of a film, or of a meeting, whose tables are written."""
    faces = tables.read_parts(results, run, "faces", ["frame", "time_s", "x1", "y1", "x2", "y2", "score"])
    frames = tables.read_parts(results, run, "frames", ["frame", "time_s", "signature", "tiles"])
    if not len(frames["frame"]):
        raise VideoError(f"{recording}: none of its frames could be decoded")
    box = np.stack([faces[side] for side in ("x1", "y1", "x2", "y2")], axis=1)
    face_rows = persons.FaceRows(faces["frame"], faces["time_s"], box, faces["score"])
    frame_rows = persons.FrameRows(frames["frame"], frames["time_s"], frames["signature"])
    tiles = unpacked(frames["tiles"], frames["frame"], frames["time_s"])
    found = link_meeting(face_rows, frame_rows, tiles, MeetingSettings(options.meeting))
    if found is None:
        return persons.link(face_rows, frame_rows)
    write_meeting(results, run, found)
    return replace(found.links, tile=found.tile, live=found.live)
