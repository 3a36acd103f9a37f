"""Uploads: what has arrived stays, what is no film is refused, and a name leads nowhere."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
from contextlib import contextmanager

import pytest

from crowdmood.options import Execution, Options
from crowdmood.settings import analysis_settings, split, typed
from crowdmood.sources import VIDEO_EXTENSIONS
from crowdmood.web.recordings.asked import Asked, options_from
from crowdmood.web.recordings.film_files import clean_name, film_ending
from crowdmood.web.recordings.uploads import KEPT, UNFINISHED, NoRoom, Uploads
from crowdmood.web.refusals import Busy, Conflict, NotFound, TooLarge, WrongType

FILM = b"\0\0\0\x18ftypisom" + bytes(20_000)


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path / "uploads", 10**12)


def test_pieces_make_the_file_and_another_server_goes_on(uploads, tmp_path):
    upload = uploads.begin("a film.mp4", len(FILM), {"context": "event"})
    assert uploads.add(upload.id, 0, FILM[:6000]).received == 6000
    after = Uploads(tmp_path / "uploads", 10**12)
    assert (after.find(upload.id).received, after.find(upload.id).is_whole, after.find(upload.id).asked) == (6000, False, {"context": "event"})
    whole = after.add(upload.id, 6000, FILM[6000:])
    assert whole.is_whole and whole.film.read_bytes() == FILM and whole.film.name == "a film.mp4"
    assert [one.id for one in after.all()] == [upload.id]


def test_only_the_next_piece_is_taken(uploads):
    upload = uploads.begin("film.mp4", len(FILM))
    uploads.add(upload.id, 0, FILM[:6000])
    for offset in (0, 5999, 6001, len(FILM)):
        with pytest.raises(Conflict, match="6000 bytes"):
            uploads.add(upload.id, offset, FILM[6000:])
    with pytest.raises(TooLarge):
        uploads.add(upload.id, 6000, FILM[6000:] + b"1")
    assert uploads.find(upload.id).received == 6000
    uploads.add(upload.id, 6000, FILM[6000:])
    with pytest.raises(Conflict, match="in full"):
        uploads.add(upload.id, len(FILM), b"")


def test_a_file_that_was_all_here_when_a_kill_came_is_finished_by_an_empty_piece(uploads):
    upload = uploads.begin("film.mp4", len(FILM))
    uploads.add(upload.id, 0, FILM[:6000])
    with open(upload.folder / "part", "ab") as part:  # the last bytes were written, and then the server was killed
        part.write(FILM[6000:])
    assert not uploads.find(upload.id).is_whole
    assert uploads.add(upload.id, len(FILM), b"").is_whole


def test_a_film_that_was_removed_by_hand_is_sent_again_from_the_beginning(uploads):
    upload = uploads.begin("film.mp4", len(FILM))
    uploads.add(upload.id, 0, FILM).film.unlink()
    assert (uploads.find(upload.id).received, uploads.find(upload.id).is_whole) == (0, False)
    assert uploads.add(upload.id, 0, FILM).film.read_bytes() == FILM


def test_one_window_at_a_time(uploads):
    upload = uploads.begin("film.mp4", len(FILM))
    held = os.open(upload.folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(Conflict, match="Another window"):
        uploads.add(upload.id, 0, FILM)
    os.close(held)
    assert uploads.add(upload.id, 0, FILM).is_whole


@pytest.mark.parametrize(("head", "what"), [
    (b"\xff\xd8\xff\xe0 JFIF", "a picture"), (b"\x89PNG\r\n\x1a\n", "a picture"), (b"\0\0\0\x18ftypheic", "a picture"), (b"RIFF....WEBPVP8 ", "a picture"),
    (b"RIFF....WAVEfmt ", "a sound"), (b"ID3\4", "a sound"), (b"\0\0\0\x18ftypM4A ", "a sound"), (b"PK\3\4", "not a film"),
    (b"<html><script>", "not a film"), (b"#!/bin/sh\n", "not a film"), (b"%PDF-1.7", "not a film"), (b"#EXTM3U\n/etc/passwd", "not a film"),
    (b"ffconcat version 1.0\nfile /etc/passwd", "not a film"), (b"v=0\r\no=- 0 0 IN IP4", "not a film"), (bytes(100), "not a film"), (b"x", "not a film"),
])
def test_what_is_no_film_is_refused_by_its_content_and_nothing_stays(uploads, head, what):
    upload = uploads.begin("film.mp4", len(head))
    with pytest.raises(WrongType, match=f"film.mp4 is {what}"):
        uploads.add(upload.id, 0, head)
    assert uploads.all() == [] and not upload.folder.exists()


def test_it_is_refused_before_the_whole_of_it_was_sent(uploads):
    upload = uploads.begin("film.mp4", 10**9)
    with pytest.raises(WrongType):
        uploads.add(upload.id, 0, b"GIF7" + bytes(5000))


def test_clips_of_all_kinds_are_known(clip, tmp_path):
    import av

    known = 0
    for ending in (".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".mpg", ".flv", ".wmv", ".ogv", ".gif", ".m2ts", ".mxf"):
        film = tmp_path / f"film{ending}"
        with av.open(str(film), "w", format={".wmv": "asf", ".ts": "mpegts", ".m2ts": "mpegts", ".mpg": "mpeg"}.get(ending)) as sink:
            codec = {".webm": "vp8", ".ogv": "theora", ".gif": "gif", ".flv": "flv1", ".mpg": "mpeg2video", ".mxf": "mpeg2video"}.get(ending, "mpeg4")
            try:
                stream = sink.add_stream(codec, 25)
            except (ValueError, av.FFmpegError):
                continue  # this FFmpeg cannot write it
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8" if ending == ".gif" else "yuv420p"
            for _ in range(30):
                sink.mux(stream.encode(av.VideoFrame(64, 48, stream.pix_fmt)))
            sink.mux(stream.encode())
        assert film_ending(film.read_bytes()[:4096], "film") in VIDEO_EXTENSIONS, ending
        known += 1
    assert known >= 9
    assert film_ending(clip.read_bytes()[:4096], "film") == ".mp4"


@pytest.mark.parametrize(("name", "kept"), [
    ("concert.mp4", "concert.mp4"), ("../../etc/passwd", "passwd"), ("C:\\films\\talk.MOV", "talk.MOV"), ("/a/b/c.mkv", "c.mkv"),
    (".hidden.mp4", "hidden.mp4"), ("--help.mp4", "help.mp4"), ("a\nb\0c\x1b[31m.mp4", "a_b_c__31m.mp4"), ("\u202egpj.mp4", "_gpj.mp4"), ("", "recording"), ("///", "recording"),
    ("<script>alert(1)</script>.mp4", "script_.mp4"), ("Überraschung 大会.mp4", "Überraschung 大会.mp4"), ("Weekly sync 14.00 GMT", "Weekly sync 14.00 GMT"),
    ("upload.json", "upload.json"), ("x" * 500 + ".mp4", "x" * 180 + ".mp4"), ("part", "part"), ("\ud800.mp4", "_.mp4"), ("film.mp4.exe", "film.mp4.exe"),
])
def test_names_are_cleaned(name, kept):
    assert clean_name(name) == kept


@pytest.mark.parametrize("name", ["upload.json", "part", "../x", "analysis.json", ".."])
def test_no_name_meets_our_own_files(uploads, name):
    upload = uploads.begin(name, len(FILM))
    whole = uploads.add(upload.id, 0, FILM)
    assert whole.is_whole and whole.film.parent == upload.folder and whole.film.suffix == ".mp4"
    assert sorted(path.name for path in upload.folder.iterdir()) == sorted(["upload.json", whole.name])


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"name": 1}', '{"name": "a", "size_bytes": "x"', "\0"])
def test_a_damaged_note_is_no_upload_and_harms_no_other(uploads, content):
    good, damaged = uploads.begin("good.mp4", 10), uploads.begin("damaged.mp4", 10)
    (damaged.folder / "upload.json").write_text(content)
    assert [one.id for one in uploads.all()] == [good.id]


@pytest.mark.parametrize("upload", ["../../runs", "0123456789ab", "", ".", "0" * 12 + "\n", "ABCDEF012345"])
def test_an_id_is_an_id(uploads, upload):
    for asking in (uploads.find, uploads.remove, lambda one: uploads.add(one, 0, b"x")):
        with pytest.raises(NotFound):
            asking(upload)


def test_what_has_no_room_is_refused_at_once(uploads, tmp_path):
    with pytest.raises(TooLarge, match="There is no room for film.mp4: it has 900 GB, and .* free"):
        uploads.begin("film.mp4", 900 * 10**9 if shutil.disk_usage(tmp_path).free < 800 * 10**9 else pytest.skip("too large a disk"))
    with pytest.raises(TooLarge, match=r"10 bytes are taken here"):
        Uploads(tmp_path, 10).begin("film.mp4", 11)


@contextmanager
def largest_file(size):
    """No file may become larger than so many bytes."""
    before, heard = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)


def test_a_full_disk_is_a_sentence_and_is_gone_on_from(uploads):
    upload = uploads.begin("film.mp4", len(FILM))
    uploads.add(upload.id, 0, FILM[:6000])
    with largest_file(9000), pytest.raises(NoRoom, match="disk is full; what has arrived is kept"):
        uploads.add(upload.id, 6000, FILM[6000:])
    assert uploads.find(upload.id).received == 6000
    assert uploads.add(upload.id, 6000, FILM[6000:]).film.read_bytes() == FILM


def test_unfinished_uploads_are_bounded_and_old_ones_go(uploads):
    made = [uploads.begin("film.mp4", 1000) for _ in range(UNFINISHED)]
    with pytest.raises(Busy):
        uploads.begin("film.mp4", 1000)
    old = KEPT.total_seconds() + 60
    for path in (made[0].folder / "part", made[0].folder / "upload.json"):
        os.utime(path, (path.stat().st_atime - old, path.stat().st_mtime - old))
    uploads.tidy()
    assert {one.id for one in uploads.all()} == {one.id for one in made[1:]}


def test_what_is_typed_is_read_the_same():
    import click

    options = Options(sample_fps=None, start_s=1.5, end_s=20.0, tiles="2x3", roi=(0, 0, 9, 9), ignore=((1, 2, 3, 4), (5, 6, 7, 8)), meeting="on",
                      aggregate_only=True, context="event", names="labels", transcript_text=True, imgsz=320)
    execution = Execution(workers=2, threads=3, device="cpu", executor="processes")
    parameters = analysis_settings(lambda: None).__click_params__
    for given in ((options, execution), (Options(), Execution())):
        read = click.Command("analyze", params=parameters).make_context("analyze", typed(*given))
        assert split(read.params) == given
    assert typed(Options(), Execution()) == []


def test_what_is_asked_changes_only_what_is_said():
    usual = Options(sample_fps=2.0, imgsz=960, tiles="2x2")
    assert options_from(usual, Asked(context="media").kept()) == Options(sample_fps=2.0, imgsz=960, tiles="2x2", context="media")
    assert options_from(usual, Asked(context="media", sample_fps="all", tiles="off").kept()) == Options(sample_fps=None, imgsz=960, tiles="off", context="media")
