"""Side files of Zoom: transcripts, timelines, chats, participants; whole, odd and damaged."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from crowdmood.speech.transcripts import (
    READERS,
    decoded,
    is_question,
    read_chat,
    read_participants,
    read_said,
    read_timeline,
    read_transcript,
    words_of,
)

CUES = """WEBVTT

1
00:00:04.859 --> 00:00:07.410
Anders Nilsson: Okay, so we're recording: shall we?

2
00:00:06.540 --> 00:00:12.990
Mary-Kate O'Neil (she/her): We have that setup.
It has two lines.
"""


def rows(said) -> list[tuple]:
    return list(zip(said.start_s.tolist(), said.end_s.tolist(), said.speaker, said.text, strict=True))


def test_a_transcript_of_zoom():
    said = read_transcript(CUES)
    assert rows(said) == [(4.859, 7.41, "Anders Nilsson", "Okay, so we're recording: shall we?"),
                          (6.54, 12.99, "Mary-Kate O'Neil (she/her)", "We have that setup. It has two lines.")]
    assert said.question.tolist() == [True, False] and said.words.tolist() == [6, 8]
    assert said.kind == ["transcript"] * 2 and said.left_out == () and not said.wall


@pytest.mark.parametrize("changed", [
    CUES.replace("\n", "\r\n").encode(), CUES.encode("utf-8-sig"), CUES.encode("utf-16"), CUES.replace("\n", "\r").encode(),
    CUES.replace("WEBVTT\n", "").encode(), CUES.replace(".859", ",859").encode(), CUES.replace("\n\n2", "\n2").encode(),
    CUES.replace("WEBVTT\n", "WEBVTT - made by\nKind: captions\n\nNOTE nothing of this\nis said: ever\n\nSTYLE\n::cue { color: red }\n").encode()])
def test_the_same_transcript_written_in_other_ways(changed, tmp_path):
    (tmp_path / "a.vtt").write_bytes(changed)
    assert rows(read_said(tmp_path / "a.vtt", "transcript")) == rows(read_transcript(CUES))


def test_voices_tags_and_letters_written_as_signs():
    said = read_transcript("WEBVTT\n\n00:01.000 --> 100:00:02.500 align:start\n<v.loud Ana Ruiz>Q&amp;A <i>now</i></v> <v Bo>3 < 4 &lt; 5\n")
    assert rows(said) == [(1.0, 360002.5, "Ana Ruiz", "Q&A now"), (1.0, 360002.5, "Bo", "3 < 4 < 5")]


def test_what_stands_before_a_colon_is_a_name_only_where_it_can_be():
    said = read_transcript("WEBVTT\n\n" + "\n\n".join(f"00:0{at}.000 --> 00:0{at}.500\n{text}" for at, text in enumerate(
        ["It is 10:30 now", "One thing I have to say: no", "http://x.org: look", "Who is it? Me: Bo", "A: yes", "A: no", "plain", "plain"])))
    assert said.speaker == [None, None, None, None, "A", "A", None, None]
    zoom = read_transcript("WEBVTT\n\n" + "\n\n".join(f"00:0{at}.000 --> 00:0{at}.500\n{text}" for at, text in enumerate(
        ["iPhone: hello", "Dr. Dana Fox: A point: it rains", "José Álvarez: sí", "without a name"])))
    assert zoom.speaker == ["iPhone", "Dr. Dana Fox", "José Álvarez", None] and zoom.text[1] == "A point: it rains"


def test_damaged_cues_are_counted_and_the_others_read():
    said = read_transcript("WEBVTT\n\n00:01.000 --> 00:0x.000\nlost\n\n00:05.000 --> 00:04.000\nbackwards\n\n00:06.000 --> 00:07.000\nkept\n\n"
                           "00:08.000 --> 00:09.000\n   \n\n00:61.000 --> 00:62.000\nno such second\n")
    assert rows(said) == [(6.0, 7.0, None, "kept")] and said.left_out == ("3 damaged cues",)
    for nothing in ("", "WEBVTT", "\0\0\0", "{}", "-->"):
        assert not len(read_transcript(nothing))


@pytest.mark.parametrize("text", ["<v " * 50_000, "<v." * 50_000, "a:" * 50_000, "x" * 200_000 + ": y", "<i" * 50_000, "?" * 200_000, "ά" * 50_000])
def test_no_text_takes_long(text):
    """Patterns that look far ahead from everywhere would need minutes for these."""
    assert len(read_transcript(f"WEBVTT\n\n00:01.000 --> 00:02.000\n{text}\n")) == 1
    read_chat(f"10:00:00 From A to Everyone: {text}\n00:00:01\tA:\t{text}\n10:00:00 From {text}\nReplying to \"{text}")


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_damaged_is_read_as_far_as_it_goes(seed):
    rng = np.random.default_rng(seed)
    whole = {"transcript": CUES * 5, "timeline": timeline(("00:00:01", "Ana"), ("00:00:02", "Bo"), ("00:00:03",)),
             "chat": "00:21:14\tAna:\tHello\n10:01:00 From A to Everyone:\n\tReplying to \"x\" y\n" * 5}
    for kind, text in whole.items():
        content = bytearray(text.encode())
        for at in rng.integers(0, len(content), 12):
            content[at:at + int(rng.integers(0, 9))] = rng.bytes(int(rng.integers(0, 4)))
        said = READERS[kind](decoded(bytes(content)))
        assert (said.end_s >= said.start_s).all() and len(said.text) == len(said.speaker) == len(said) == len(said.question)


@pytest.mark.parametrize(("text", "asks"), [
    ("Really?", True), ("Was it? I think so.", True), ("He asked “why?”", True), ("(Is it?)", True), ("what?!", True), ("你好吗？好", True),
    ("هل تسمعني؟", True), ("Πού είσαι\u037e", True), ("Πού είσαι;", True), ("Wait; what", False), ("see http://x.org/?q=1", False),
    ("No.", False), ("", False), ("a?b", False)])
def test_questions_end_with_a_question_mark(text, asks):
    assert is_question(text) is asks


@pytest.mark.parametrize(("text", "count"), [("We'll get 3.5 of them - now", 6), ("你好吗", 3), ("ok 👍 👍", 1), ("", 0), ("e-mail it", 2)])
def test_words(text, count):
    assert words_of(text) == count


def timeline(*entries) -> str:
    return json.dumps({"timeline": [{"ts": time, "users": [{"username": name, "multiple_people": False} for name in names]}
                                    for time, *names in entries]})


def test_a_timeline_says_who_speaks_until_the_next_entry():
    said = read_timeline(timeline(("00:00:01.500", "Ana"), ("00:00:02.000", "Ana"), ("00:00:04.000", "Ana", "Bo"), ("00:00:05.000", "Bo"),
                                  ("00:00:06.000",), ("01:00:00.000", "Ana")))
    assert rows(said) == [(1.5, 5.0, "Ana", ""), (4.0, 6.0, "Bo", ""), (3600.0, 3601.0, "Ana", "")]
    assert not said.question.any() and not said.words.any() and said.kind == ["timeline"] * 3


def test_a_timeline_in_disorder_or_damaged():
    entries = json.loads(timeline(("00:00:04.000",), ("00:00:01.000", "Ana"), ("00:00:02.000", "Bo")))["timeline"]
    entries += [{"ts": "soon", "users": []}, {"users": []}, 3, {"ts": "00:00:03.000", "users": [{"username": None}]}]
    said = read_timeline(json.dumps({"timeline": entries}))
    assert rows(said) == [(1.0, 2.0, "Ana", ""), (2.0, 3.0, "Bo", ""), (3.0, 4.0, None, "")] and said.left_out == ("3 damaged entries",)
    for broken in ("", "[" * 100_000, "[]", "{}", '{"timeline": 3}', '{"timeline": [{"ts'):
        assert not len(read_timeline(broken)) and read_timeline(broken).left_out == ("1 file that is no timeline",)
    assert not len(read_timeline('{"timeline": []}')) and read_timeline('{"timeline": []}').left_out == ()


def test_a_chat_by_time_of_the_recording():
    said = read_chat("00:21:14\tAnders Nilsson:\tHello: can you hear me?\r\n and a second line\r\n01:02:03\tBo (he/him):\tyes".replace("\r", ""))
    assert rows(said) == [(1274.0, 1274.0, "Anders Nilsson", "Hello: can you hear me? and a second line"), (3723.0, 3723.0, "Bo (he/him)", "yes")]
    assert said.question.tolist() == [True, False] and not said.wall


def test_a_chat_by_the_clock_on_the_wall():
    said = read_chat("""nothing yet
23:59:58 From Ana Ruiz to Everyone:
\tAny questions?
23:59:59 From  Bo to Bo  to  Everyone : In one line
00:00:01 From Ana Ruiz To Everyone:
\tReplying to "Any questions?"\n
\tNone.
00:00:02 From Cy to Everyone:
\tReacted to "Any questions?" with 👍
00:00:02 From Cy to Everyone:
\tRemoved a 👍 reaction from "Any questions?"
00:00:03 From Cy to Ana Ruiz(Direct Message):
\tsecret
and more of it
00:00:03 From Cy to Ana Ruiz (Privately) : secret
00:00:04 From Cy to Hosts: also not for all
00:00:05\t From Dee : in the old form
""")
    day = 86_400
    assert [(start, name) for start, _, name, _ in rows(said)] == [
        (day - 2, "Ana Ruiz"), (day - 1, "Bo to Bo"), (day + 1, "Ana Ruiz"), (day + 2, "Cy"), (day + 2, "Cy"), (day + 5, "Dee")]
    assert said.text[2] == "None." and said.question.tolist() == [True] + [False] * 5 and said.words.tolist() == [2, 3, 1, 0, 0, 4]
    assert said.left_out == ("3 private messages", "1 unreadable line") and said.wall
    assert "secret" not in " ".join(said.text)


def test_a_clock_of_twelve_hours_and_a_date():
    assert read_chat("2026-01-15 02:03:04 PM From Ana to Everyone: hi\n12:00:01 AM From Bo to Everyone: ho").start_s.tolist() == [50584.0, 86401.0]


def test_participants():
    assert read_participants('Meeting ID,Topic\n1,"A, B"\n\nName (Original Name),User Email\nAna (Wings),a@x\nBo,\n') == ["Ana", "Bo"]
    assert read_participants("Name,Join Time\nAna's iPad (2),1\nAna's iPad (2),2\n") == ["Ana's iPad (2)"]
    assert read_participants("a,b\n1,2\n") == [] == read_participants("")


def test_old_western_letters_and_what_is_no_text(tmp_path):
    assert decoded("José".encode("cp1252")) == "José"
    (tmp_path / "a.txt").write_bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes())
    for kind in ("transcript", "timeline", "chat"):
        read_said(tmp_path / "a.txt", kind)


@pytest.fixture(scope="module")
def side_files(media) -> Path:
    folder = media / "meeting" / "side_files"
    return folder if folder.is_dir() else pytest.skip(f"{folder} is not there")


def test_real_side_files(side_files):
    lines = (side_files / "zgs_meeting001_participants.csv").read_text("utf-8-sig").splitlines()
    listed = [row[0].split(" (")[0] for row in csv.reader(lines[lines.index("Name (Original Name),User Email,Total Duration (Minutes),Guest") + 1:])]
    said = read_said(side_files / "zgs_meeting001_transcript.vtt", "transcript")
    assert len(said) == 300 and said.left_out == () and set(said.speaker) == {*listed[:5], None}
    chat = read_said(side_files / "zgs_meeting001_chat.txt", "chat")
    assert len(chat) == 10 and chat.start_s[0] == 1274 and set(chat.speaker) <= set(said.speaker)
    threads = read_said(side_files / "newchat_reactions_threads.txt", "chat")
    assert len(threads) == 14 and threads.left_out == ("1 private message",) and (threads.words == 0).sum() == 2 and threads.wall
    spans = read_said(side_files / "symbl_timeline_scrubbed.json", "timeline")
    assert set(spans.speaker) == {"Person A", "Person B", "Person C"} and (spans.end_s > spans.start_s).all() and spans.left_out == ()
    engager = read_said(side_files / "engager_no_blank_lines.vtt", "transcript")
    assert len(engager) == 13 and len(set(engager.speaker)) == 8 and engager.question.sum() == 2 and "4" not in engager.text
    names = read_participants(decoded((side_files / "zgs_meeting001_participants.csv").read_bytes()))
    assert len(names) == 10 and names == listed


def test_odd_and_damaged_real_transcripts(side_files):
    """Every cue that is whole and has words is read."""
    read = {path.stem: read_said(path, "transcript") for path in sorted((side_files / "webvtt_cases").glob("*.vtt"))}
    counts = {"comments": 13, "concatenation": 12, "empty": 0, "empty2": 0, "header": 13, "invalid1": 1, "invalid2": 0, "invalid3": 1, "invalid4": 1,
              "invalid5": 2, "multiline-header": 6, "overlapping-middle": 4, "spaces": 6, "spec-example-basic": 13, "spec-example-comment": 2,
              "spec-example-identifier": 2, "spec-example-multiple-lines": 3, "spec-example-nested": 6, "spec-example-voice": 4,
              "timestamps-invalid": 2, "timestamps": 3}
    assert {name: len(read[name]) for name in counts} == counts
    assert {name: said.left_out for name, said in read.items() if said.left_out} == {
        "timestamps-invalid": ("1 damaged cue",), "timestamps": ("3 damaged cues",)}
    assert Counter(read["spec-example-voice"].speaker) == {"Esme": 2, "Mary": 2}
    assert Counter(read["spec-example-basic"].speaker) == {"Roger Bingham": 11, "Neil deGrasse Tyson": 2}
    assert read["timestamps"].end_s.max() == 12345 * 3600 + 24
