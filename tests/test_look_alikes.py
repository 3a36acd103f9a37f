"""People who look alike, names that are misread, and marks that disturb a tile: who is who all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crowdmood.layout.finding import ROLES
from crowdmood.meeting.linking import MeetingLinks, MeetingSettings, link_meeting
from crowdmood.meeting.name_pictures import gather_names
from crowdmood.meeting.segments import TileRows
from crowdmood.tracks import FaceRows
from tests.meeting_rows import FULL, SHARE, STAGE, Rows, Show, gallery, grid, see

THUMBNAIL = (1066.0, 0.0, 1280.0, 120.0)
BIG = (200.0, 130.0, 1080.0, 620.0)
STRIP = [(k * 210.0, 0.0, k * 210.0 + 200, 112.0) for k in range(3)]


def linked(rows: Rows) -> MeetingLinks:
    return link_meeting(rows.faces, rows.frames, rows.tiles, MeetingSettings("on"))


def boundaries(rows: Rows, found: MeetingLinks) -> list[float]:
    return rows.frames.time[found.links.cut].round(2).tolist()


def assert_one_number_each(rows: Rows, found: MeetingLinks, people: int) -> None:
    given = found.links.person > 0
    pairs = set(zip(rows.who[given].tolist(), found.links.person[given].tolist(), strict=True))
    assert len(pairs) == len({who for who, _ in pairs}) == len({number for _, number in pairs}) == people


def changed(rows: Rows, **columns: np.ndarray) -> Rows:
    return replace(rows, tiles=replace(rows.tiles, **columns))


def share(start: float, end: float, who: int) -> list[Show]:
    return [Show(start, end, FULL, 9, SHARE, faces=()), Show(start, end, THUMBNAIL, who)]


def test_two_thumbnails_that_look_alike_are_two_people_by_their_names():
    rows = see([*share(0, 8, 0), *share(8, 16, 1), *share(16, 24, 0)], 24, lost=0)
    small = np.flatnonzero(rows.tiles.role != SHARE)
    look, first = rows.tiles.look.copy(), rows.tiles.look[small[0]]
    other = (rows.tiles.time[small] >= 8) & (rows.tiles.time[small] < 16)
    look[small] = first + np.where(other, 7, 0)[:, None].astype(np.uint8)  # 0.027 apart
    found = linked(changed(rows, look=look))
    assert boundaries(rows, found) == [8.0, 16.0]
    assert_one_number_each(rows, found, 2)


def test_a_swap_is_seen_though_the_speaker_frame_comes_with_it_and_motion_is_unknown():
    rows = see([*gallery(0, 12, [0, 1, 2, 3]), *gallery(12, 24, [2, 1, 0, 3])], 24, lost=0)
    at, tile = np.isclose(rows.tiles.time, 12), np.arange(len(rows.tiles.time)) % 4
    speaks = tile == np.where(rows.tiles.time < 12, 2, 0)  # the speaker takes the frame along
    found = linked(changed(rows, motion=np.where(at, np.nan, rows.tiles.motion).astype(np.float32), active=speaks.astype(np.float32)))
    assert boundaries(rows, found) == [12.0]
    assert_one_number_each(rows, found, 4)


def test_a_name_seen_for_a_moment_only_before_another_picture_is_another_person():
    rows = see([*share(0, 0.6, 0), *share(0.6, 12, 1), *gallery(12, 24, [0, 1, 2])], 24, lost=0)
    label, small = rows.tiles.label.copy(), np.flatnonzero(rows.tiles.role != SHARE)
    label[small[0]] = np.random.default_rng(3).integers(1, 256, label.shape[1], np.uint8)
    found = linked(changed(rows, label=label))
    assert boundaries(rows, found) == [0.6, 12.0]
    assert_one_number_each(rows, found, 3)


def test_a_stage_that_is_taken_for_a_shared_screen_for_a_while_makes_no_boundary():
    shows = [Show(0, 20, BIG, 3, STAGE), *(Show(0, 20, box, who) for who, box in enumerate(STRIP))]
    rows = see([*shows, *gallery(20, 30, [0, 1, 2, 3])], 30, lost=0)
    stage = rows.tiles.role == STAGE
    misread = stage & (rows.tiles.time >= 8) & (rows.tiles.time < 12)
    look = rows.tiles.look.copy()
    look[stage] = look[np.flatnonzero(stage)[0]]
    found = linked(changed(rows, look=look, role=np.where(misread, SHARE, rows.tiles.role).astype(np.int8)))
    assert boundaries(rows, found) == [20.0]
    assert_one_number_each(rows, found, 4)


def test_a_photo_for_a_moment_between_two_pictures_of_the_camera_is_no_face():
    rows = see([*share(0, 10, 0), Show(10, 12, FULL, 9, SHARE, faces=()), Show(10, 12, THUMBNAIL, 1, still=True), *share(12, 20, 0)],
               20, fps=2.5, lost=0)
    label, small = rows.tiles.label.copy(), rows.tiles.role != SHARE
    label[small] = label[np.flatnonzero(small)[0]]
    found = linked(changed(rows, label=label))
    assert boundaries(rows, found) == []
    assert not found.live[rows.who == -1].any()
    assert found.live[rows.who >= 0].all()


def test_a_neck_that_is_taken_for_a_face_is_left_out_but_a_neighbour_is_not():
    rows = see(gallery(0, 20, [0, 1, 2, 3]), 20, lost=0)
    faces = rows.faces
    often = np.flatnonzero((rows.who == 0) & (faces.time > 8) & (faces.time < 10))
    side = faces.box[often, 2:] - faces.box[often, :2]
    necks, beside = (faces.box[often] + np.tile(side * shift, 2) for shift in ((0, 0.8), (1.4, 0)))
    order = np.argsort(np.concatenate([faces.frame, *[faces.frame[often]] * 2]), kind="stable")
    more = FaceRows(*(np.concatenate(parts)[order] for parts in (
        (faces.frame, faces.frame[often], faces.frame[often]), (faces.time, faces.time[often], faces.time[often]),
        (faces.box, necks, beside), (faces.score, np.full(len(often), 0.4), np.full(len(often), 0.4)))))
    kind = np.concatenate([np.zeros(len(faces.frame)), np.ones(len(often)), np.full(len(often), 2)])[order].astype(int)
    found = linked(replace(rows, faces=more.__class__(more.frame, more.time, more.box.astype(np.float32), more.score.astype(np.float32))))
    assert found.live[kind == 0].all()
    assert not found.live[kind == 1].any()
    assert found.live[kind == 2].all()
    assert found.links.person.max() == 4


def test_who_sits_in_a_meeting_room_does_not_take_the_number_of_the_next_seat():
    room = ((0.2, 0.5, 0.28), (0.5, 0.5, 0.28), (0.8, 0.5, 0.28))
    boxes = grid(4)
    rows = see([Show(0, 20, boxes[0], 0, faces=room), *(Show(0, 20, box, who + 1) for who, box in enumerate(boxes[1:]))], 20, fps=3,
               lost=0)
    first, second = (np.unique(rows.faces.frame)[number] for number in (0, 1))
    missed = ((rows.faces.frame == first) & (rows.who == 1)) | ((rows.faces.frame == second) & (rows.who == 0))
    kept = ~missed
    faces = FaceRows(rows.faces.frame[kept], rows.faces.time[kept], rows.faces.box[kept], rows.faces.score[kept])
    rows = replace(rows, faces=faces, who=rows.who[kept])
    assert_one_number_each(rows, linked(rows), 6)


def test_names_side_by_side_are_of_two_people_but_not_what_one_of_them_is_misread_as():
    rows = see(gallery(0, 10, [0, 1, 2]), 10)
    label = rows.tiles.label[:3]
    names = gather_names(rows.tiles, np.searchsorted(rows.frames.frame, rows.tiles.frame))
    assert names.strangers(label[:1], label[1:2])
    assert not names.strangers(label[:1], label[:1])
    assert not names.agreed([label[:2]]).strangers(label[:1], label[1:2])
    alone = rows.tiles.role == ROLES.index("stage")
    assert not gather_names(TileRows(*(getattr(rows.tiles, name)[alone] for name in TileRows.__dataclass_fields__)),
                            np.zeros(0, np.int64)).strangers(label[:1], label[1:2])
