"""Layouts that are shown in a frame or two only, names that are misread for long, faces found twice, photos that a codec stirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crowdmood.meeting.linking import MeetingLinks, MeetingSettings, link_meeting
from crowdmood.tracks import FaceRows
from tests.meeting_rows import STAGE, Rows, Show, gallery, grid, see

STRIP = [(k * 210.0, 0.0, k * 210.0 + 200, 112.0) for k in range(4)]
BIG = (200.0, 130.0, 1080.0, 620.0)


def linked(rows: Rows) -> MeetingLinks:
    return link_meeting(rows.faces, rows.frames, rows.tiles, MeetingSettings("on"))


def boundaries(rows: Rows, found: MeetingLinks) -> list[float]:
    return rows.frames.time[found.links.cut].round(2).tolist()


def assert_one_number_each(rows: Rows, found: MeetingLinks, people: int) -> None:
    given = found.links.person > 0
    pairs = set(zip(rows.who[given].tolist(), found.links.person[given].tolist(), strict=True))
    assert len(pairs) == len({who for who, _ in pairs}) == len({number for _, number in pairs}) == people


def faces_at(rows: Rows, start: float, end: float) -> np.ndarray:
    return (rows.faces.time >= start - 1e-6) & (rows.faces.time < end - 1e-6)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_layout_of_a_frame_or_two_that_is_known_from_elsewhere_is_a_segment(frames):
    back = 10 + frames / 5
    rows = see([*gallery(0, 10, [0, 1, 2, 3]), *gallery(10, back, [4, 0, 1, 2, 3]), *gallery(back, 20, [0, 1, 2, 3]),
                *gallery(20, 30, [4, 0, 1, 2, 3])], 30, lost=0)
    found = linked(rows)
    assert boundaries(rows, found) == [10.0, round(back, 2), 20.0]
    assert_one_number_each(rows, found, 5)
    assert (found.links.person > 0).all()


def test_a_layout_of_one_frame_that_is_seen_nowhere_else_gives_its_faces_to_nobody():
    rows = see([*gallery(0, 10, [0, 1, 2, 3]), *gallery(10, 10.2, [3, 2, 1, 0, 4, 5, 6, 7, 8]), *gallery(10.2, 20, [0, 1, 2, 3])],
               20, lost=0)
    found = linked(rows)
    assert boundaries(rows, found) == []
    odd = faces_at(rows, 10, 10.2)
    assert odd.any()
    assert (found.links.person[odd] == -1).all()
    assert_one_number_each(rows, found, 4)
    assert (found.links.person[~odd] > 0).all()


@pytest.mark.parametrize("frames", [1, 2])
def test_people_who_change_places_for_a_frame_or_two_keep_their_numbers(frames):
    back = 12 + frames / 5
    rows = see([*gallery(0, 12, [0, 1, 2, 3]), *gallery(12, back, [2, 0, 1, 3]), *gallery(back, 24, [0, 1, 2, 3])], 24, lost=0)
    found = linked(rows)
    assert boundaries(rows, found) == [12.0, round(back, 2)]
    assert_one_number_each(rows, found, 4)


def test_a_stage_that_shows_another_speaker_in_one_frame_gives_nobody_anothers_number():
    def speaker(start: float, end: float, who: int) -> list[Show]:
        others = [one for one in range(4) if one != who]
        return [Show(start, end, BIG, who, STAGE), *(Show(start, end, box, one) for box, one in zip(STRIP, others, strict=False))]

    rows = see([*speaker(0, 8, 0), *speaker(8, 8.2, 1), *speaker(8.2, 16, 2)], 16, lost=0)
    found = linked(rows)
    assert boundaries(rows, found) == [8.0, 8.2]
    assert_one_number_each(rows, found, 4)


def test_one_name_read_as_anothers_makes_no_boundary_and_gives_that_face_to_nobody():
    rows = see(gallery(0, 20, [0, 1, 2, 3]), 20, lost=0)
    label = rows.tiles.label.copy()
    at = np.flatnonzero(np.abs(rows.tiles.time - 10) < 0.01)
    label[at[0]] = label[at[2]]
    found = linked(replace(rows, tiles=replace(rows.tiles, label=label)))
    assert boundaries(rows, found) == []
    assert_one_number_each(rows, found, 4)
    wrong = faces_at(rows, 10, 10.2) & (rows.who == 0)
    assert (found.links.person == -1).tolist() == wrong.tolist()


def test_who_has_another_name_and_look_in_one_segment_is_known_by_the_next():
    """Their tile moves, its name is misread there, its light changes; then others move, the name is read and the light returns."""
    rows = see([*gallery(0, 10, [0, 1, 2, 3, 4]), *gallery(10, 20, [3, 1, 2, 0, 4]), *gallery(20, 30, [3, 2, 1, 0, 4])], 30, lost=0)
    tiles = rows.tiles
    label, look = tiles.label.copy(), tiles.look.copy()
    mine = tiles.label[0]
    zero = np.unpackbits(label ^ mine, axis=1).sum(axis=1) < 20
    misread = zero & (tiles.time >= 10) & (tiles.time < 20)
    label[misread] = np.random.default_rng(5).integers(1, 256, label.shape[1], np.uint8)
    look[zero] = look[0]
    look[misread] += 10
    look[zero & (tiles.time >= 20)] += 6
    found = linked(replace(rows, tiles=replace(tiles, label=label, look=look)))
    assert boundaries(rows, found) == [10.0, 20.0]
    assert_one_number_each(rows, found, 5)


def test_a_face_that_is_found_twice_is_one_person():
    rows = see(gallery(0, 20, [0, 1, 2, 3]), 20, lost=0)
    faces = rows.faces
    again = np.flatnonzero((rows.who == 0) & (faces.time > 5))
    middle, half = (faces.box[again, :2] + faces.box[again, 2:]) / 2, (faces.box[again, 2:] - faces.box[again, :2]) / 2
    inner = np.column_stack([middle - 0.65 * half, middle + 0.65 * half]).astype(np.float32)
    order = np.argsort(np.concatenate([faces.frame, faces.frame[again]]), kind="stable")
    doubled = FaceRows(*(np.concatenate(parts)[order] for parts in ((faces.frame, faces.frame[again]), (faces.time, faces.time[again]),
                                                                   (faces.box, inner), (faces.score, faces.score[again] - 0.1))))
    second = np.concatenate([np.zeros(len(rows.who), bool), np.ones(len(again), bool)])[order]
    found = linked(replace(rows, faces=doubled))
    assert found.live.tolist() == (~second).tolist()
    assert found.links.person.max() == 4


def test_a_photo_that_a_codec_changes_evenly_is_no_camera_but_who_sits_still_is():
    box = grid(4)
    rows = see([*gallery(0, 20, [0, 1, 2, 3])[:2], Show(0, 20, box[2], 2, still=True), Show(0, 20, box[3], 3, frozen=True)], 20, lost=0)
    tile = np.arange(len(rows.tiles.time)) % 4
    motion, rng = rows.tiles.motion.copy(), np.random.default_rng(2)
    motion[tile == 2] = rng.uniform(0.07, 0.11, (tile == 2).sum())
    motion[tile == 3] = rng.gamma(3, 0.08, (tile == 3).sum())  # somebody hardly moves
    found = linked(replace(rows, tiles=replace(rows.tiles, motion=motion)))
    assert found.live.tolist() == (rows.who >= 0).tolist()
