"""Linking a meeting: segments of layout, persons by tile, cameras on and off, spotlights - from rows, and once from a real gallery."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import crowdmood
from crowdmood.meeting.linking import MeetingLinks, MeetingSettings, link_meeting
from crowdmood.tracks import FaceRows
from tests.meeting_rows import FACE, FULL, SHARE, STAGE, Rows, Show, gallery, grid, see

ROOM = ((0.2, 0.5, 0.25), (0.5, 0.45, 0.25), (0.8, 0.5, 0.25))
STRIP = [(k * 210.0, 0.0, k * 210.0 + 200, 112.0) for k in range(6)]
BIG = (200.0, 130.0, 1080.0, 620.0)


def linked(rows: Rows, meeting: str = "auto") -> MeetingLinks:
    found = link_meeting(rows.faces, rows.frames, rows.tiles, MeetingSettings(meeting))
    assert found is not None
    assert_sound(rows, found)
    return found


def assert_sound(rows: Rows, found: MeetingLinks) -> None:
    """What holds of every meeting."""
    person, frame = found.links.person, rows.faces.frame
    for label in (person, found.links.track):
        pairs = np.column_stack([frame, label])[label > 0]
        assert len(np.unique(pairs, axis=0)) == len(pairs), "two faces of a frame share a label"
    assert set(np.unique(person[person > 0])) == set(range(1, person.max(initial=0) + 1))
    assert (person[~found.live] == -1).all()
    assert not found.links.cut[:1].any()
    seen = found.segments
    assert (seen.end_s > seen.start_s).all() or len(rows.frames.time) == 1
    assert list(np.unique(seen.segment)) == list(range(1, found.links.cut.sum() + 2))
    assert (found.spotlights.end_s - found.spotlights.start_s >= 0.4 - 1e-6).all()


def pairs(rows: Rows, found: MeetingLinks) -> set[tuple[int, int]]:
    """(true person, number given) of all faces that were given one."""
    given = found.links.person > 0
    return set(zip(rows.who[given].tolist(), found.links.person[given].tolist(), strict=True))


def assert_one_number_each(rows: Rows, found: MeetingLinks, people: int) -> None:
    assert len(pairs(rows, found)) == people
    assert len({number for _, number in pairs(rows, found)}) == people


def boundaries(rows: Rows, found: MeetingLinks) -> list[float]:
    return rows.frames.time[found.links.cut].round(2).tolist()


def test_a_film_is_no_meeting():
    rows = see([Show(3, 3.6, box, who) for who, box in enumerate(grid(4))], 60)
    assert link_meeting(rows.faces, rows.frames, rows.tiles) is None
    short = see([Show(10, 14, box, who) for who, box in enumerate(grid(4))], 60)  # a split screen
    assert link_meeting(short.faces, short.frames, short.tiles) is None
    nothing = see([Show(0, 0, FULL, 0)], 20)
    assert link_meeting(nothing.faces, nothing.frames, nothing.tiles) is None


def test_on_and_off_decide_against_the_tiles():
    film = see([Show(3, 3.6, box, who) for who, box in enumerate(grid(4))], 60)
    assert boundaries(film, linked(film, "on")) == []
    assert set(linked(film, "on").segments.layout) <= {"none", "single"}
    nothing = see([Show(0, 0, FULL, 0)], 20)
    assert linked(nothing, "on").segments.layout.tolist() == ["none"]
    rows = see(gallery(0, 20, [0, 1, 2, 3]), 20)
    assert link_meeting(rows.faces, rows.frames, rows.tiles, MeetingSettings("off")) is None


def test_a_meeting_that_begins_alone_or_with_a_shared_screen():
    alone = see([Show(0, 30, FULL, 0), *gallery(30, 60, [0, 1, 2, 3])], 60)
    assert_one_number_each(alone, linked(alone), 4)
    assert boundaries(alone, linked(alone)) == [30.0]
    assert linked(alone).segments.layout[0] == "single"
    shared = [Show(0, 60, FULL, 9, SHARE, faces=()), Show(0, 60, STRIP[5], 0)]
    rows = see([*shared, *gallery(60, 90, [0, 1, 2])], 90)
    assert boundaries(rows, linked(rows)) == [60.0]
    assert list(dict.fromkeys(linked(rows).segments.layout)) == ["share", "gallery"]


@pytest.mark.parametrize("named", [True, False])
def test_boundaries_are_exact_and_persons_stay_where_tiles_flicker(named):
    shows = [*gallery(0, 20, [0, 1, 2, 3]), *gallery(20, 40, [3, 1, 4, 0, 2])]
    rows = see(shows, 40, missed=0.1, blind=(10, 11), named=named)
    found = linked(rows)
    assert boundaries(rows, found) == [20.0]
    assert_one_number_each(rows, found, 5)
    second = found.segments.joined_by[found.segments.segment == 2].tolist()
    assert second == (["label", "label", "new", "label", "label"] if named else ["look", "look", "new", "look", "look"])
    assert np.nanmin(found.segments.confidence) >= 0.5


def test_people_who_change_places_in_the_same_boxes_make_a_boundary():
    rows = see([*gallery(0, 12, [0, 1, 2, 3]), *gallery(12, 24, [2, 0, 1, 3])], 24)
    assert boundaries(rows, linked(rows)) == [12.0]
    assert_one_number_each(rows, linked(rows), 4)


def test_a_name_that_is_drawn_otherwise_is_nobody_else():
    rows = see(gallery(0, 24, [0, 1, 2, 3]), 24)
    label = rows.tiles.label.copy()
    second = (np.arange(len(label)) % 4 == 1) & (rows.tiles.time >= 9)  # a mute sign before the name
    label[second] = np.random.default_rng(1).integers(0, 256, label.shape[1], np.uint8)
    muted = replace(rows, tiles=replace(rows.tiles, label=label))
    assert boundaries(muted, linked(muted)) == []
    assert_one_number_each(muted, linked(muted), 4)


def test_a_camera_that_goes_off_is_no_boundary_and_a_photo_is_no_face():
    shows = [*gallery(0, 30, [0, 1, 2, 3])[:3], Show(0, 10, grid(4)[3], 3), Show(10, 20, grid(4)[3], 4, still=True),
             Show(20, 30, grid(4)[3], 3)]
    rows = see(shows, 30)
    tiles = rows.tiles
    fourth = tiles.box[:, 0] + tiles.box[:, 1] > 900
    label = tiles.label.copy()
    label[fourth] = label[fourth][0]  # the photo has the participant's name
    rows = replace(rows, tiles=replace(tiles, label=label))
    found = linked(rows)
    assert boundaries(rows, found) == []
    assert not found.live[rows.who == -1].any()
    assert found.live[rows.who >= 0].all()
    assert_one_number_each(rows, found, 4)
    seen = found.segments
    rows_of = seen.tile == 4
    assert seen.live[rows_of].tolist() == [True, False, True]
    assert seen.start_s[rows_of].tolist() == [0, 10, 20]
    assert len(set(seen.person[rows_of])) == 1, "who switches the camera off is still there"
    assert seen.person[rows_of][0] > 0


def test_who_sits_still_for_long_is_live():
    box = grid(3)[2]
    shows = [*gallery(0, 60, [0, 1, 2])[:2], Show(0, 15, box, 2), Show(15, 55, box, 2, frozen=True), Show(55, 60, box, 2)]
    found = linked(see(shows, 60))
    assert found.live.all()
    assert found.segments.live.all()


def test_a_segment_too_short_to_tell_counts_as_live():
    rows = see([*gallery(0, 20, [0, 1, 2]), *gallery(20, 20.6, [0, 1, 2, 3]), *gallery(20.6, 40, [0, 1, 2])], 40)
    assert linked(rows).live.all()


def test_faces_on_a_shared_screen_are_none():
    shows = [Show(0, 30, FULL, 9, SHARE, faces=((0.4, 0.5, 0.5),)), *[Show(0, 30, box, who) for who, box in enumerate(STRIP[:4])]]
    rows = see(shows, 30)
    found = linked(rows)
    assert (found.live == (rows.who >= 0)).all()
    assert_one_number_each(rows, found, 4)
    assert set(found.segments.layout) == {"share"}


def test_a_meeting_room_is_several_persons_also_after_a_change_of_layout():
    first = [Show(0, 20, box, who, faces=ROOM if who == 1 else FACE) for who, box in enumerate(grid(4))]
    second = [Show(20, 40, box, who, faces=ROOM if who == 1 else FACE) for who, box in zip((1, 0, 5, 2, 3), grid(5), strict=True)]
    rows = see([*first, *second], 40, lost=0.25)
    found = linked(rows)
    assert_one_number_each(rows, found, 7)
    room = found.segments.tile[found.segments.segment == 2].tolist()
    assert room.count(1) == 3


def test_somebody_who_looks_in_for_a_moment_is_no_person():
    box = grid(2)[1]
    shows = [*gallery(0, 40, [0, 1])[:1], Show(0, 20, box, 1), Show(20, 20.8, box, 1, faces=(*FACE, (0.85, 0.3, 0.2))), Show(20.8, 40, box, 1)]
    rows = see(shows, 40)
    assert linked(rows).links.person.max() == 2
    assert (linked(rows).links.person[rows.who == 101] == -1).all()


def test_a_face_that_is_lost_for_long_is_the_same_person_in_its_tile():
    box = grid(2)[1]
    shows = [*gallery(0, 60, [0, 1])[:1], Show(0, 15, box, 1), Show(15, 45, box, 1, faces=()), Show(45, 60, box, 1, faces=((0.2, 0.6, 0.4),))]
    rows = see(shows, 60)
    found = linked(rows)
    assert_one_number_each(rows, found, 2)
    assert len(np.unique(found.links.track[rows.who == 100])) >= 2, "a track has no long breaks"


@pytest.mark.parametrize("named", [True, False])
def test_who_leaves_and_returns_is_the_same_person(named):
    rows = see([*gallery(0, 15, [0, 1, 2, 3]), *gallery(15, 30, [0, 1, 3]), *gallery(30, 45, [0, 1, 3, 2])], 45, named=named)
    assert_one_number_each(rows, linked(rows), 4)


def test_a_new_participant_in_an_old_place_is_a_new_person():
    rows = see([*gallery(0, 15, [0, 1, 2, 3]), *gallery(15, 30, [0, 1, 4, 3])], 30)
    assert boundaries(rows, linked(rows)) == [15.0]
    assert_one_number_each(rows, linked(rows), 5)


def test_without_names_order_tells_avatars_apart():
    shows = [*gallery(0, 15, [0, 1, 2, 3, 4], off=(2,)), *gallery(15, 30, [0, 1, 2, 3]), *gallery(30, 45, [0, 1, 2, 3, 5])]
    rows = see(shows, 45, named=False)
    found = linked(rows)
    assert boundaries(rows, found) == [15.0, 30.0]
    assert_one_number_each(rows, found, 6)
    third = (found.segments.segment == 2) & (found.segments.tile == 3)
    assert found.segments.joined_by[third].tolist() == ["order"]
    assert 0 < found.segments.confidence[third][0] < 0.5


def test_the_stage_shows_one_speaker_after_the_other():
    spans = [(0, 8, 0), (8, 13, 2), (13, 21, 1), (21, 30, 0)]
    strip = [Show(0, 30, box, who) for who, box in enumerate(STRIP[:4])]
    rows = see([*strip, *[Show(a, b, BIG, who, STAGE) for a, b, who in spans]], 30)
    found = linked(rows)
    assert boundaries(rows, found) == [8.0, 13.0, 21.0]
    assert set(found.segments.layout) == {"speaker"}
    assert_one_number_each(rows, found, 4)
    for a, b, who in spans:  # whoever is on the stage and in the strip is counted once, on the stage
        there = (rows.faces.time >= a) & (rows.faces.time < b) & (rows.who == who * 100)
        on_stage = rows.faces.box[:, 1] > 130
        assert found.live[there & on_stage].all()
        assert found.live[there & ~on_stage].mean() < 0.3
    lit = found.spotlights
    assert lit.start_s.tolist() == [0, 8, 13, 21]
    number = dict(pairs(rows, found))
    assert lit.person.tolist() == [number[who * 100] for _, _, who in spans]


def test_spotlights_follow_the_speaker_frame():
    def speaking(time: float) -> int:
        return 0 if time < 5 else 2 if time < 12 else 1

    shows = [Show(a, b, box, who, active=who == speaking(a)) for a, b in ((0, 5), (5, 12), (12, 20)) for who, box in enumerate(grid(4))]
    rows = see(shows, 20, missed=0.05)
    active = rows.tiles.active.copy()
    active[np.flatnonzero(rows.tiles.time == 8.0)] = (1, 0, 0, 0)[:len(active[rows.tiles.time == 8.0])]  # a flicker
    lit = linked(replace(rows, tiles=replace(rows.tiles, active=active))).spotlights
    assert lit.tile.tolist() == [1, 3, 2]
    np.testing.assert_allclose(lit.start_s, [0, 5, 12], atol=0.41)
    np.testing.assert_allclose(lit.end_s, [5, 12, 20], atol=0.41)


def test_a_face_that_no_tile_has_is_a_person_if_it_stays():
    outside = [Show(0, 30, (900, 400, 1200, 700), 3)]
    rows = see([*[Show(0, 30, box, who) for who, box in enumerate(STRIP[:3])], *outside], 30)
    keep = rows.tiles.box[:, 1] < 300
    rows = replace(rows, tiles=replace(rows.tiles, **{f.name: getattr(rows.tiles, f.name)[keep] for f in fields(rows.tiles)}))
    found = linked(rows)
    assert_one_number_each(rows, found, 4)
    assert (found.tile[rows.who == 300] == -1).all()


def test_the_order_of_faces_in_a_frame_changes_no_person():
    rows = see([*gallery(0, 10, [0, 1, 2, 3]), *gallery(10, 20, [1, 0, 4, 2, 3])], 20)
    order = np.lexsort((-rows.faces.box[:, 0], rows.faces.frame))
    turned = FaceRows(*(getattr(rows.faces, f.name)[order] for f in fields(FaceRows)))
    first, second = linked(rows).links.person[order], linked(replace(rows, faces=turned, who=rows.who[order])).links.person
    same = {(int(a), int(b)) for a, b in zip(first, second, strict=True)}
    assert len(same) == len({a for a, _ in same}) == len({b for _, b in same})


def test_no_faces_and_one_frame():
    rows = see(gallery(0, 10, [0, 1, 2]), 10, lost=1.0)
    assert linked(rows).segments.person.tolist() == [-1, -1, -1]
    single = see(gallery(0, 0.2, [0, 1, 2, 3]), 0.2, lost=0)
    assert linked(single, "on").segments.tile.tolist() == [1, 2, 3, 4]
    assert_one_number_each(single, linked(single, "on"), 4)


@pytest.mark.parametrize("seed", range(6))
def test_meetings_of_chance(seed):
    """Joins, leaves, returns, other orders and layouts, cameras off; some tiles are missed in some frames."""
    shows, seconds, true = by_chance(seed)
    rows = see(shows, seconds, seed=seed, missed=0.03)
    found = linked(rows)
    given = np.array(boundaries(rows, found))
    assert np.abs(np.subtract.outer(true, given)).min(axis=1).max() <= 0.41, "each boundary is found"
    assert len(given) <= len(true) + 1
    assert idf1(rows, found) >= 0.98


def by_chance(seed: int) -> tuple[list[Show], float, np.ndarray]:
    """Shows, their seconds, and when boundaries are."""
    rng = np.random.default_rng(seed)
    people, off, newest = list(range(int(rng.integers(3, 12)))), set(), 12
    shows, at, before, true, layout = [], 0.0, None, [], "gallery"
    while at < 80:
        event = rng.choice(["join", "leave", "order", "layout", "camera"])
        if event == "join":
            newest += 1
            people.insert(int(rng.integers(len(people) + 1)), newest if rng.random() < 0.6 else int(rng.integers(12)))
            people = list(dict.fromkeys(people))
        elif event == "leave" and len(people) > 2:
            people.pop(int(rng.integers(len(people))))
        elif event == "order":
            people = rng.permutation(people).tolist()
        elif event == "layout":
            layout = str(rng.choice(["gallery", "speaker", "share"]))
        else:
            off ^= {people[0]}
        small = grid(len(people)) if layout == "gallery" else STRIP
        tiles = [(box, who, 0) for box, who in zip(small, people, strict=False)]
        tiles += {"gallery": [], "speaker": [(BIG, people[-1], STAGE)], "share": [((0.0, 120.0, 1280.0, 720.0), 99, SHARE)]}[layout]
        end = at + float(rng.choice([2, 4, 8, 12]))
        shows += [Show(at, end, box, who, role, camera=who not in off) for box, who, role in tiles]
        if before is not None and before != tiles:
            true.append(at)
        before, at = tiles, end
    return shows, at, np.array(true)


def idf1(rows: Rows, found: MeetingLinks) -> float:
    """IDF1 of the persons; who is on the stage and in the strip is one face, the larger."""
    who, size = rows.who.copy(), rows.faces.box[:, 2] - rows.faces.box[:, 0]
    order = np.lexsort((-size, who, rows.faces.frame))
    again = (np.diff(who[order]) == 0) & (np.diff(rows.faces.frame[order]) == 0)
    who[order[1:][again]] = -1
    number = np.where(found.live, found.links.person, -1)
    true, given = np.unique(who[who >= 0]), np.unique(number[number > 0])
    table = np.array([[((who == a) & (number == b)).sum() for b in given] for a in true])
    right = table[linear_sum_assignment(-table)].sum()
    return 2 * right / ((who >= 0).sum() + (number > 0).sum())


@pytest.mark.slow
def test_a_real_gallery(media, tmp_path):
    recording = media / "meeting" / "b01_zoom_gallery_2x2.mp4"
    if not recording.is_file():
        pytest.skip(f"{recording} is not there")
    run = crowdmood.analyze(recording, results=tmp_path)
    faces = run.sql("SELECT tile, person FROM faces WHERE person IS NOT NULL").to_pylist()
    assert sorted({row["tile"] for row in faces}) == [1, 2, 3, 4]
    assert len({(row["tile"], row["person"]) for row in faces}) == 4, "one person in each tile"
    assert run.sql("SELECT count(*) AS n FROM frames WHERE cut").to_pylist() == [{"n": 0}]
    assert run.sql("SELECT DISTINCT layout, live FROM tiles").to_pylist() == [{"layout": "gallery", "live": True}]
