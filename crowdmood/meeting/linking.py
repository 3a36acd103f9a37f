"""Link a meeting: its tiles become segments of layout, persons and spotlights. No pixels, no files.

A tile is one participant, and so the face in it one person, however often it is lost; only where a camera shows
several faces at once are there several. Participants are known again across changes of layout by their tiles.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from crowdmood.cuts import FrameRows
from crowdmood.meeting.changes import find_changes
from crowdmood.meeting.joins import join
from crowdmood.meeting.live import live_rows, settle
from crowdmood.meeting.name_pictures import gather_names
from crowdmood.meeting.passing import passing, strangers
from crowdmood.meeting.persons import (
    faces_in_tiles,
    false_faces,
    numbered,
    persons_in_tiles,
    tracks_of,
)
from crowdmood.meeting.roles import steady_roles
from crowdmood.meeting.segments import Segments, TileRows, find_segments, misfits, split
from crowdmood.meeting.spans import (
    Seen,
    Spotlights,
    TileSegments,
    end_times,
    list_segments,
    list_spotlights,
    tile_numbers,
)
from crowdmood.persons import Links, link
from crowdmood.tracks import FaceRows, LinkSettings

__all__ = ["MeetingLinks", "MeetingSettings", "Spotlights", "TileRows", "TileSegments", "link_meeting"]

OUTSIDE_S = 5.0       # a face beside all tiles is believed if it stays so long
STEADY_S = 2.0        # a layout that lasts less proves nothing
GRID_SHARE = 0.2      # a meeting shows its grid in so much of its time,
GRID_S, GRID_NAMED = 60.0, 0.5  # ... or so long, with names in so many tiles


@dataclass(frozen=True)
class MeetingSettings:
    """meeting: 'auto' decides from the tiles, 'on' takes it for a meeting, 'off' never does. link: how faces are followed
    inside a tile, and which are believed."""

    meeting: str = "auto"
    link: LinkSettings = field(default_factory=LinkSettings)


@dataclass(frozen=True)
class MeetingLinks:
    """What linking a meeting found.

    links: tracks and persons of all m faces, and `cut` (n,): True at the first frame of each segment but the first,
        and at cuts within segments without tiles.
    live: bool (m,), False where the face is a picture (an avatar, a photo, something on a shared screen) or the second
        picture of a person who is on the stage as well: it is no face to be counted.
    tile: int16 (m,), the number of the face's tile in its segment, -1 outside of all. segments, spotlights: their tables.
    """

    links: Links
    live: np.ndarray
    tile: np.ndarray
    segments: TileSegments
    spotlights: Spotlights


def link_meeting(faces: FaceRows, frames: FrameRows, tiles: TileRows,
                 settings: MeetingSettings = MeetingSettings()) -> MeetingLinks | None:
    """Give every face its track and its person by the tile it is in; None where the recording is no meeting.

    faces: m faces sorted by frame, tiles: k tiles sorted by frame, all of frames in `frames`, n in order.
    No two faces of a frame share a track or a person. The same rows give the same numbers.
    """
    if settings.meeting == "off" or not len(frames.time):
        return None
    tiles = replace(tiles, role=steady_roles(tiles))
    found = find_segments(tiles, frames)
    if settings.meeting != "on" and not _is_meeting(tiles, found, frames):
        return None
    live = live_rows(tiles, found)
    pictures = gather_names(tiles, found.frame_of)
    found = split(found, find_changes(tiles, found, live, pictures, frames), tiles)
    found = split(found, passing(tiles, found, len(frames.time)), tiles)
    joined = join(tiles, found, live, pictures)
    found = replace(found, role=joined.role)
    live = settle(live, tiles, found, joined.participant)
    tile, shown = faces_in_tiles(faces, frames, found, live, joined.participant)
    whose = np.column_stack([tile, np.append(joined.participant, -1)[tile]])
    sure = shown & ~_doubtful(faces, frames, tiles, found, tile)
    person = persons_in_tiles(faces, found, frames, np.where(sure[:, None], whose, -1), settings.link)
    shown &= ~(false_faces(faces, tile, person) & sure)
    outside, cuts = _outside(faces, frames, found, tile, settings.link)
    person = numbered(np.where(outside > 0, outside + person.max(initial=0), person))
    links = Links(tracks_of(faces, person, tile, frames, settings.link), person, _cuts(found, cuts))
    seen = Seen(np.searchsorted(frames.frame, faces.frame), tile, person)
    table = list_segments(found, frames, live, joined, seen)
    return MeetingLinks(links, shown, tile_numbers(found)[tile], table, list_spotlights(found, frames, tiles, table))


def _is_meeting(tiles: TileRows, found: Segments, frames: FrameRows) -> bool:
    """Whether a grid of two tiles or more stands still for long enough; a film has one for moments at most."""
    edges = end_times(found, frames)
    lasting, total = np.diff(edges), edges[-1] - edges[0]
    steady = (np.bincount(found.segment, minlength=len(lasting)) > 1) & (lasting >= min(STEADY_S, total / 2))
    grid = float(lasting[steady].sum())
    if not steady.any():
        return False
    named = tiles.label[np.append(steady[found.segment], False)[found.tile_of]].any(axis=1)
    return grid >= GRID_SHARE * total or (grid >= GRID_S and named.mean() >= GRID_NAMED)


def _doubtful(faces: FaceRows, frames: FrameRows, tiles: TileRows, found: Segments, tile: np.ndarray) -> np.ndarray:
    """Return bool (m,): faces in frames, or in tiles of a frame, that show others than their segment says. tile: (m,)."""
    misfit, strange = misfits(found, len(frames.time)), strangers(tiles, found)
    width = len(found.segment) + 1
    at = np.searchsorted(frames.frame, faces.frame)
    return misfit[at] | np.isin(at * width + tile, found.frame_of[strange] * width + found.tile_of[strange])


def _outside(faces: FaceRows, frames: FrameRows, found: Segments, tile: np.ndarray,
             settings: LinkSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return int32 (m,), persons of the faces outside of all tiles as in any film, -1 for the others; and bool (n,),
    the cuts where there are no tiles. Where there are, a face beside them is at most in a tile that was not seen for long.
    """
    rows = np.flatnonzero(tile < 0)
    links = link(FaceRows(faces.frame[rows], faces.time[rows], faces.box[rows], faces.score[rows]), frames, settings)
    beside = np.isin(np.searchsorted(found.start, np.arange(len(frames.time)), side="right") - 1, found.segment)
    number = np.maximum(links.person, 0)
    first, last = np.full(number.max(initial=0) + 1, np.inf), np.full(number.max(initial=0) + 1, -np.inf)
    np.minimum.at(first, number, faces.time[rows])
    np.maximum.at(last, number, faces.time[rows])
    short = beside[np.searchsorted(frames.frame, faces.frame[rows])] & ((last - first)[number] < OUTSIDE_S)
    person = np.full(len(tile), -1, np.int32)
    person[rows] = np.where(short, -1, links.person)
    return person, links.cut & ~beside


def _cuts(found: Segments, elsewhere: np.ndarray) -> np.ndarray:
    cut = elsewhere.copy()
    cut[found.start[1:]] = True
    return cut
