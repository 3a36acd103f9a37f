"""What Zoom leaves: names from real life, folders of many shapes, parts on one clock, and what cannot be analyzed."""

from __future__ import annotations

import os
import random
import struct
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from crowdmood.files import bare_name
from crowdmood.options import VIEWS
from crowdmood.sources import Nothing, expand, look, look_again, only
from crowdmood.zoom.meetings import VIEWS as FILMS_OF_VIEW
from crowdmood.zoom.meetings import Meeting, find_meetings, meeting_of
from crowdmood.zoom.movie_header import MovieHeader, read_header
from crowdmood.zoom.names import read_name, side_kind
from tests.videos import Clip, write

START = datetime(2026, 1, 15, 14, 0, 3, tzinfo=UTC)
HOUR = 3600
CLOUD = (
    "GMT20260115-140003_Recording_gallery_1920x1080.mp4",
    "GMT20260115-140003_Recording_1920x1080.mp4",
    "GMT20260115-140003_Recording_avo_640x360.mp4",
    "GMT20260115-140003_Recording_as_1600x900.mp4",
    "GMT20260115-140003_Recording.m4a",
    "GMT20260115-140003_Recording.transcript.vtt",
    "GMT20260115-140003_Recording.cc.vtt",
    "GMT20260115-140003_RecordingnewChat.txt",
    "GMT20260115-140003_Recording.timeline.json",
)


def movie(path: Path, seconds: float = HOUR, made: datetime | None = None) -> Path:
    """A file with the header of an MP4 and nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    created = int((made - datetime(1904, 1, 1, tzinfo=UTC)).total_seconds()) if made else 0
    header = struct.pack(">I4sIIIII", 8 + 100, b"mvhd", 0, created, created, 1000, round(seconds * 1000)) + bytes(80)
    media = struct.pack(">I4s", 8 + 64, b"mdat") + bytes(64)
    path.write_bytes(struct.pack(">I4s", 16, b"ftyp") + b"isom\0\0\0\0" + media + struct.pack(">I4s", 8 + len(header), b"moov") + header)
    return path


def fill(folder: Path, *names: str, seconds: float = HOUR) -> Path:
    for name in names:
        if name.endswith((".mp4", ".m4a")):
            movie(folder / name, seconds)
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")
    return folder


def parts_of(meeting: Meeting) -> list[tuple[str, float]]:
    return [(part.path.name, part.start_s) for part in meeting.parts]


def sides_of(meeting: Meeting) -> dict[str, tuple[str, float | None]]:
    return {side.path.name: (side.kind, side.start_s) for side in meeting.side}


@pytest.mark.parametrize(("name", "kind", "pixels"), [
    ("GMT20260115-140003_Recording_gallery_1920x1080.mp4", "gallery with share", 1920 * 1080),
    ("GMT20260115-140003_Recording_gvo_1280x720.mp4", "gallery", 1280 * 720),
    ("GMT20260115-140003_Recording_avo_640x360.mp4", "speaker", 640 * 360),
    ("GMT20260115-140003_Recording_as_3686x2304.mp4", "share", 3686 * 2304),
    ("GMT20260115-140003_Recording_1920x1020.mp4", "speaker with share", 1920 * 1020),
    ("GMT20260115-140003_Recording.mp4", "speaker with share", 0),
    ("GMT20200401-140003_Weekly-Sy_gallery_1920x1080.mp4", "gallery with share", 1920 * 1080),
    ("GMT20200401-140003_Weekly-Sy_1760x900.mp4", "speaker with share", 1760 * 900),
    ("Week 3 - GMT20260115-140003_Recording_gallery_1920x1080.MP4", "gallery with share", 1920 * 1080),
    ("GMT20260115-140003_Recording_gallery_1920x1080 (1).mp4", "gallery with share", 1920 * 1080),
    ("GMT20260115-140003_Recording_gallery_1920x1080 - Copy.mp4", "gallery with share", 1920 * 1080),
    ("GMT20260115-140003_Recording.m4a", "audio", 0),
    ("GMT20260115-140003_Recording_separate2.m4a", "audio", 0),
    ("GMT20260115-140003_Recording_separate2.mp4", "audio", 0),
    ("GMT20260115-140003_Recording.transcript.vtt", "transcript", 0),
    ("GMT20260115-140003_Recording.transcript (1).vtt", "transcript", 0),
    ("GMT20260115-140003_Recording.cc.vtt", "captions", 0),
    ("GMT20260115-140003_RecordingnewChat.txt", "chat", 0),
    ("GMT20260115-140003_Recording.txt", "chat", 0),
    ("GMT20200401-140003_Weekly-Sy.txt", "chat", 0),
    ("GMT20260115-140003_Recording.timeline.json", "timeline", 0),
    ("2021.05.05 - 10.00 AM UTC - Weekly - shared_screen_with_gallery_view - 1a2b3c4d.mp4", "gallery with share", 0),
    ("Weekly-shared_screen_with_speaker_view(CC).mp4", "speaker with share", 0),
    ("Weekly_active_speaker.mp4", "speaker", 0),
    ("Weekly_gallery_view.mp4", "gallery", 0),
    ("Weekly_audio_transcript.vtt", "transcript", 0),
])
def test_names(name, kind, pixels):
    found = read_name(Path(name))
    assert (found.kind, found.pixels) == (kind, pixels)


@pytest.mark.parametrize("name", [
    "concert.mp4", "GMT.mp4", "GMT20269999-140003_Recording_gallery_1920x1080.mp4", "GMT20260115-140003_Recording_gallery_1920x1080_cut.mp4",
    "GMT20260115-140003_Recording_gallery_1920x1080 Wsys.mp4", "GMT20260115-140003_Recording.transcript.summary.txt", "gallery_view.txt",
    "GMT20260115-140003_Recording.jpg", "notes.txt",
])
def test_other_names_are_not_of_zoom(name):
    assert read_name(Path(name)) is None


def test_side_files_without_a_time():
    kinds = {name: side_kind(Path(name)) for name in (
        "chat.txt", "meeting_saved_chat.txt", "notes.txt", "audio_only.m4a", "audio1234567.m4a", "song.m4a", "Audio Record/audioJohn987.m4a",
        "timeline.json", "package.json", "closed_caption.vtt", "talk.vtt")}
    assert kinds == {
        "chat.txt": "chat", "meeting_saved_chat.txt": "chat", "notes.txt": None, "audio_only.m4a": "audio", "audio1234567.m4a": "audio",
        "song.m4a": None, "Audio Record/audioJohn987.m4a": "audio", "timeline.json": "timeline", "package.json": None,
        "closed_caption.vtt": "captions", "talk.vtt": "transcript"}


def test_the_options_know_the_views():
    assert tuple(FILMS_OF_VIEW) == VIEWS


def test_a_meeting_of_the_cloud(tmp_path):
    folder = fill(tmp_path / "Weekly sync", *CLOUD)
    (meeting,) = expand([str(folder)])
    assert (meeting.name, meeting.view, meeting.started, meeting.problem) == ("Weekly sync 2026-01-15 14.00 GMT", "gallery with share", START, None)
    assert parts_of(meeting) == [(CLOUD[0], 0.0)]
    assert str(meeting) == str(folder / CLOUD[0])
    assert {path.name for path in meeting.files} == set(CLOUD)
    assert sides_of(meeting) == {
        "GMT20260115-140003_Recording.m4a": ("audio", 0.0), "GMT20260115-140003_Recording.transcript.vtt": ("transcript", 0.0),
        "GMT20260115-140003_RecordingnewChat.txt": ("chat", 0.0), "GMT20260115-140003_Recording.timeline.json": ("timeline", 0.0)}


@pytest.mark.parametrize(("view", "film"), [("gallery", 0), ("speaker", 2), ("share", 3), ("auto", 0)])
def test_views(tmp_path, view, film):
    (meeting,) = expand([str(fill(tmp_path, *CLOUD))], view)
    assert parts_of(meeting) == [(CLOUD[film], 0.0)]


def test_the_gallery_without_a_share_is_better():
    gvo = Path("x/GMT20260115-140003_Recording_gvo_1280x720.mp4")
    (meeting,), rest = find_meetings([gvo, Path("x") / CLOUD[0], Path("x/other.mp4")])
    assert [part.path for part in meeting.parts] == [gvo]
    assert rest == [Path("x/other.mp4")]


@pytest.mark.parametrize(("films", "best"), [((1, 2, 3), 2), ((1, 3), 1), ((3,), 3)])
def test_auto_takes_the_best_there_is(tmp_path, films, best):
    (meeting,) = expand([str(fill(tmp_path, *(CLOUD[one] for one in films)))])
    assert parts_of(meeting) == [(CLOUD[best], 0.0)]


def test_a_view_that_is_not_there(tmp_path):
    fill(tmp_path / "a", CLOUD[1], CLOUD[2])
    fill(tmp_path / "b", CLOUD[0])
    without, with_it = expand([str(tmp_path)], "gallery")
    assert without.problem == ("a 2026-01-15 14.00 GMT: there is no gallery view of it, only speaker and share; give --view speaker, "
                               "or leave it out")
    assert parts_of(with_it) == [(CLOUD[0], 0.0)]


def test_of_the_same_film_the_largest_and_no_copy_is_read(tmp_path):
    fill(tmp_path, "GMT20260115-140003_Recording_gallery_640x360.mp4", CLOUD[0], CLOUD[0].replace(".mp4", " (1).mp4"))
    assert parts_of(*expand([str(tmp_path)])) == [(CLOUD[0], 0.0)]
    (tmp_path / CLOUD[0]).unlink()
    assert parts_of(*expand([str(tmp_path)])) == [(CLOUD[0].replace(".mp4", " (1).mp4"), 0.0)]


def later(names: tuple[str, ...], stamp: str) -> list[str]:
    return [name.replace("140003", stamp) for name in names]


def test_a_recording_that_was_stopped_and_begun_again(tmp_path):
    fill(tmp_path / "Talk", *CLOUD)
    fill(tmp_path / "Talk", *later(CLOUD, "151003"), seconds=600)
    (meeting,) = expand([str(tmp_path)])
    assert parts_of(meeting) == [(CLOUD[0], 0.0), (later(CLOUD, "151003")[0], 4200.0)]
    assert [part.known_by for part in meeting.parts] == ["name", "name"]
    assert str(meeting) == str(tmp_path / "Talk")
    sides = sides_of(meeting)
    assert sides["GMT20260115-140003_Recording.transcript.vtt"] == ("transcript", 0.0)
    assert sides["GMT20260115-151003_Recording.transcript.vtt"] == ("transcript", 4200.0)
    assert sides["GMT20260115-151003_RecordingnewChat.txt"] == ("chat", 4200.0)


@pytest.mark.parametrize(("stamp", "meetings"), [("145900", 2), ("150001", 1), ("151459", 1), ("151603", 2), ("180000", 2)])
def test_which_recordings_are_one_meeting(tmp_path, stamp, meetings):
    """The first ends at 15:00:03: what begins before that, or more than 15 minutes later, is another one."""
    fill(tmp_path, CLOUD[0], *later(CLOUD[:1], stamp))
    assert len(expand([str(tmp_path)])) == meetings
    assert len(expand([str(tmp_path)], parts="apart")) == 2


def test_join_makes_one_meeting_of_a_folder(tmp_path):
    fill(tmp_path, CLOUD[0], *later(CLOUD[:1], "180003"))
    (meeting,) = expand([str(tmp_path)], parts="join")
    assert [part.start_s for part in meeting.parts] == [0.0, 4 * HOUR]
    fill(tmp_path, *later(CLOUD[:1], "183003"))
    (meeting,) = expand([str(tmp_path)], parts="join")
    assert "the recording of 18.30.03 begins before that of 18.00.03 has ended" in meeting.problem


def test_recordings_with_other_titles_are_other_meetings(tmp_path):
    fill(tmp_path, "Choir GMT20260115-140003_Recording_1920x1080.mp4", "Board GMT20260115-150203_Recording_1920x1080.mp4")
    assert {one.name for one in expand([str(tmp_path)])} == {"Choir 2026-01-15 14.00 GMT", "Board 2026-01-15 15.02 GMT"}


def test_a_recording_of_unknown_length_stands_alone(tmp_path):
    (tmp_path / CLOUD[0]).touch()
    fill(tmp_path, *later(CLOUD[:1], "140103"))
    assert len(expand([str(tmp_path)])) == 2


def test_parts_that_have_no_view_in_common(tmp_path):
    fill(tmp_path, CLOUD[0], *later((CLOUD[2],), "150103"))
    (meeting,) = expand([str(tmp_path)])
    assert "14.00.03: gallery with share; 15.01.03: speaker" in meeting.problem
    assert not any(one.problem for one in expand([str(tmp_path)], parts="apart"))


def test_a_part_without_pictures_is_a_gap(tmp_path):
    fill(tmp_path, CLOUD[0], *later(CLOUD[4:6], "150503"), *later(CLOUD[:1], "160803"))
    (meeting,) = expand([str(tmp_path)])
    assert [part.start_s for part in meeting.parts] == [0.0, 7680.0]
    assert sides_of(meeting)["GMT20260115-150503_Recording.transcript.vtt"] == ("transcript", 3900.0)


def test_a_transcript_that_begins_later_has_its_own_clock(tmp_path):
    fill(tmp_path, CLOUD[0], *later((CLOUD[5],), "140103"))
    (meeting,) = expand([str(tmp_path)])
    assert sides_of(meeting) == {"GMT20260115-140103_Recording.transcript.vtt": ("transcript", 60.0)}


def test_a_semester_in_one_folder(tmp_path):
    for day in (15, 22, 29):
        fill(tmp_path / "Zoom", *(name.replace("20260115", f"202601{day}") for name in CLOUD))
    assert [one.name for one in expand([str(tmp_path)])] == [f"Zoom 2026-01-{day} 14.00 GMT" for day in (15, 22, 29)]


def test_side_files_without_a_time_belong_to_the_only_meeting(tmp_path):
    fill(tmp_path / "one", CLOUD[0], "chat.txt", "meeting_saved_chat.txt", "captions.vtt", "timeline.json")
    (one,) = expand([str(tmp_path / "one")])
    assert sides_of(one) == {"chat.txt": ("chat", 0.0), "captions.vtt": ("transcript", 0.0), "timeline.json": ("timeline", 0.0)}
    fill(tmp_path / "two", CLOUD[0], *later(CLOUD[:1], "180003"), "chat.txt")
    assert [one.side for one in expand([str(tmp_path / "two")])] == [(), ()]


def test_a_file_that_is_named_is_taken_alone_with_its_side_files(tmp_path):
    fill(tmp_path, *CLOUD, *later(CLOUD, "150103"))
    (meeting,) = expand([str(tmp_path / later(CLOUD, "150103")[2])])
    assert parts_of(meeting) == [(later(CLOUD, "150103")[2], 0.0)]
    assert meeting.view == "speaker"
    assert sides_of(meeting)["GMT20260115-150103_Recording.transcript.vtt"] == ("transcript", 0.0)
    assert len(expand([str(tmp_path / "*_gallery_*.mp4")])) == 2


def test_a_folder_and_its_only_film_are_the_same(tmp_path):
    fill(tmp_path, *CLOUD)
    assert len(expand([str(tmp_path), str(tmp_path / CLOUD[0])])) == 1
    assert meeting_of(tmp_path / CLOUD[0], {}).parts == expand([str(tmp_path)])[0].parts


def test_programs_that_fetch_recordings_use_other_names(tmp_path):
    fill(tmp_path, "2021.05.05 - 10.00 AM UTC - Weekly - shared_screen_with_gallery_view - 1a2b.mp4",
         "2021.05.05 - 10.00 AM UTC - Weekly - active_speaker - 3c4d.mp4", "2021.05.05 - 10.00 AM UTC - Weekly - audio_transcript - 5e6f.vtt",
         "2021.05.12 - 10.00 AM UTC - Weekly - gallery_view - 7a8b.mp4")
    first, second = expand([str(tmp_path)])
    assert (first.name, first.view, [one.kind for one in first.side]) == ("2021.05.05 - 10.00 AM UTC - Weekly", "gallery with share", ["transcript"])
    assert (second.name, second.view, second.side) == ("2021.05.12 - 10.00 AM UTC - Weekly", "gallery", ())


def test_headers(tmp_path):
    made = datetime(2026, 1, 15, 14, 0, 3, tzinfo=UTC)
    assert read_header(movie(tmp_path / "a.mp4", 12.5, made)) == MovieHeader(made, 12.5)
    assert read_header(movie(tmp_path / "b.mp4", 12.5)) == MovieHeader(None, 12.5)
    assert read_header(tmp_path / "none.mp4") == read_header(tmp_path) == MovieHeader()
    os.mkfifo(tmp_path / "pipe.mp4")
    assert read_header(tmp_path / "pipe.mp4") == MovieHeader()


def test_headers_of_real_films(tmp_path):
    with av.open(str(write(tmp_path / "real.mp4", Clip()))) as container:
        assert read_header(tmp_path / "real.mp4").seconds == pytest.approx(container.duration / av.time_base, abs=0.05)


def test_damaged_headers_say_nothing_or_something_else_and_do_no_harm(tmp_path):
    content, chance = bytearray(movie(tmp_path / "a.mp4", 60, START).read_bytes()), random.Random(1)
    for _ in range(500):
        damaged = bytearray(content[:chance.choice([len(content), chance.randrange(len(content))])])
        for _ in range(chance.randrange(6)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.choice([0, 1, 255, chance.randrange(256)])
        (tmp_path / "b.mp4").write_bytes(damaged)
        assert (read_header(tmp_path / "b.mp4").seconds or 0.0) >= 0


LOCAL = "2026-01-15 14.00.03 Weekly sync 123456789"


def test_a_meeting_of_a_computer(tmp_path):
    folder = fill(tmp_path / LOCAL, "zoom_0.mp4", "audio_only.m4a", "playback.m3u", "chat.txt", "Audio Record/audioAnn123.m4a", "recording.conf")
    (meeting,) = expand([str(tmp_path)])
    assert (meeting.name, meeting.view, meeting.started, meeting.wall) == (LOCAL, "recorded", None, datetime(2026, 1, 15, 14, 0, 3))
    assert parts_of(meeting) == [("zoom_0.mp4", 0.0)]
    assert str(meeting) == str(folder / "zoom_0.mp4")
    assert sides_of(meeting) == {"chat.txt": ("chat", None), "audio_only.m4a": ("audio", 0.0), "audioAnn123.m4a": ("audio", 0.0)}


@pytest.mark.parametrize("view", ["gallery", "speaker", "share"])
def test_a_computer_records_one_view(tmp_path, view):
    fill(tmp_path / LOCAL, "zoom_0.mp4")
    assert expand([str(tmp_path)], view)[0].problem is None


def test_parts_of_a_computer_follow_their_numbers(tmp_path):
    fill(tmp_path / LOCAL, *(f"zoom_{number}.mp4" for number in range(11)), seconds=60)
    (meeting,) = expand([str(tmp_path)])
    assert parts_of(meeting) == [(f"zoom_{number}.mp4", 60.0 * number) for number in range(11)]
    assert {part.known_by for part in meeting.parts} == {"order"}
    assert str(meeting) == str(tmp_path / LOCAL)
    assert [one.name for one in expand([str(tmp_path)], parts="apart")][1] == f"{LOCAL} zoom_1"


def test_parts_of_a_computer_that_say_when_they_were_made(tmp_path):
    movie(tmp_path / LOCAL / "video2123456789.mp4", 60, datetime(2026, 1, 15, 13, 2, 0, tzinfo=UTC))
    movie(tmp_path / LOCAL / "video1123456789.mp4", 60, datetime(2026, 1, 15, 13, 0, 0, tzinfo=UTC))
    (meeting,) = expand([str(tmp_path)])
    assert parts_of(meeting) == [("video1123456789.mp4", 0.0), ("video2123456789.mp4", 120.0)]
    assert [part.known_by for part in meeting.parts] == ["metadata", "metadata"]
    assert meeting.started == datetime(2026, 1, 15, 13, tzinfo=UTC)


def test_times_at_which_parts_were_converted_are_no_clock(tmp_path):
    movie(tmp_path / LOCAL / "zoom_1.mp4", 60, datetime(2026, 1, 15, 15, 0, 0, tzinfo=UTC))
    movie(tmp_path / LOCAL / "zoom_0.mp4", 60, datetime(2026, 1, 15, 15, 0, 9, tzinfo=UTC))
    (meeting,) = expand([str(tmp_path)])
    assert parts_of(meeting) == [("zoom_0.mp4", 0.0), ("zoom_1.mp4", 60.0)]
    assert [part.known_by for part in meeting.parts] == ["order", "order"]


def test_a_film_that_was_given_a_name_in_a_folder_of_zoom(tmp_path):
    fill(tmp_path / LOCAL, "Our meeting.mp4", "chat.txt", "audio_only.m4a")
    (meeting,) = expand([str(tmp_path)])
    assert parts_of(meeting) == [("Our meeting.mp4", 0.0)]
    assert expand([str(tmp_path / LOCAL / "Our meeting.mp4")]) == [meeting]


def test_other_numbered_films_are_no_meeting(tmp_path):
    fill(tmp_path, "video1234567890.mp4", "video1234567891.mp4", "clip.vtt")
    assert expand([str(tmp_path)]) == [tmp_path / "video1234567890.mp4", tmp_path / "video1234567891.mp4"]


def test_what_zoom_has_not_converted(tmp_path):
    fill(tmp_path / LOCAL, "double_click_to_convert_01.zoom", "double_click_to_convert_02.zoom", "recording.conf")
    fill(tmp_path / "b", "talk.mp4")
    waiting, talk = expand([str(tmp_path)])
    assert waiting.problem.startswith(f"{LOCAL}: Zoom has not converted this recording yet; open double_click_to_convert_01.zoom with Zoom")
    assert waiting.name == LOCAL
    assert talk == tmp_path / "b" / "talk.mp4"
    (named,) = expand([str(tmp_path / LOCAL / "double_click_to_convert_01.zoom")])
    assert named.problem == waiting.problem


def test_sound_only(tmp_path):
    fill(tmp_path / "cloud", *CLOUD[4:6])
    fill(tmp_path / LOCAL, "audio_only.m4a", "chat.txt")
    local, cloud = expand([str(tmp_path)])
    assert "cloud 2026-01-15 14.00 GMT: this meeting was recorded as sound only" in cloud.problem
    assert f"{LOCAL}: this meeting was recorded as sound only" in local.problem


def test_a_transcript_alone_is_nothing(tmp_path):
    fill(tmp_path, CLOUD[5])
    assert isinstance(look([str(tmp_path)])[1][0], Nothing)


def test_a_folder_of_everything(tmp_path):
    fill(tmp_path / "Weekly", *CLOUD, "holiday.mov")
    fill(tmp_path / LOCAL, "zoom_0.mp4", "chat.txt")
    fill(tmp_path / "films", "concert.mkv", "lecture.vtt")
    found = expand([str(tmp_path)])
    assert [one.name for one in found] == [LOCAL, "Weekly 2026-01-15 14.00 GMT", "holiday.mov", "concert.mkv"]
    assert len({one for one in found}) == 4  # a display keeps them apart


@pytest.mark.parametrize(("name", "bare"), [
    ("concert.mp4", "concert"), ("Weekly 2026-01-15 14.00 GMT", "Weekly 2026-01-15 14.00 GMT"), (LOCAL, LOCAL),
    ("2026-01-15 14.00.03", "2026-01-15 14.00.03"), (".hidden", ".hidden"), ("a.b.MKV", "a.b"), ("none", "none")])
def test_names_of_meetings_have_no_ending(name, bare):
    assert bare_name(name) == bare


def test_recordings_are_found_again_as_they_were_found(tmp_path):
    """A job tries what has failed again, by where it was: the view that is not there must not become one that was not asked for."""
    for name, films in (("one", CLOUD), ("no gallery", CLOUD[1:]), ("parts", (CLOUD[0], *later(CLOUD[:1], "150103"))), (LOCAL, ("zoom_0.mp4",))):
        fill(tmp_path / name, *films)
    fill(tmp_path / "other", "concert.mp4")
    fill(tmp_path / "unconverted", "double_click_to_convert_01.zoom")
    found = expand([str(tmp_path)], "gallery")
    places = [str(one) for one in found]
    assert look_again(places, [str(tmp_path)], "gallery") == (found, [])
    assert look_again(places[:1], [str(tmp_path)], "gallery") == (found[:1], [])
    (named,) = expand([str(tmp_path / "one" / CLOUD[2])], "gallery")
    assert look_again([str(named)], [str(named)], "gallery") == ([named], [])
    assert look_again([str(named)], [str(tmp_path / "*" / "*.mp4")], "gallery") == ([named], [])


def test_one_recording_is_meant(tmp_path):
    fill(tmp_path, *CLOUD)
    assert only(tmp_path).name.endswith("14.00 GMT")
    fill(tmp_path, "a.mp4")
    with pytest.raises(Exception, match="2 recordings are there, not one"):
        only(tmp_path)
