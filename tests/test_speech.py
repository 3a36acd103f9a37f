"""Speech and names from side files and finished tables: clocks, numbers, who is who, made again only where something differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from crowdmood import tables
from crowdmood.cli import crowdmood as commands
from crowdmood.errors import CrowdmoodError, RunBusy
from crowdmood.forgetting import MARK, forget_names
from crowdmood.locks import lock
from crowdmood.meeting_schemas import SPOTLIGHTS, TILES
from crowdmood.options import Options
from crowdmood.results import Run
from crowdmood.speech.attribution import Spans, attribute
from crowdmood.speech.utterances import numbered, utterances
from crowdmood.speech.writing import write_speech
from crowdmood.tables import write_rows
from crowdmood.video import probe
from crowdmood.zoom.meetings import Meeting, SideFile
from tests.made_runs import PERSONS, RUN, make_run

LENGTH_S = 60.0
NAMES = ("Ana Ruiz", "Bo", "Cy Young")
TURNS = [(float(at), at + 4.5, at // 5 % PERSONS) for at in range(0, 55, 5)]  # who speaks, each marked half a second later


def stamp(seconds: float) -> str:
    return f"{int(seconds // 3600):02}:{int(seconds // 60) % 60:02}:{seconds % 60:06.3f}"


def cues(turns=TURNS, names=NAMES) -> str:
    return "WEBVTT\n\n" + "".join(f"{stamp(start)} --> {stamp(end)}\n{names[who]}: Shall we go on?\n\n" for start, end, who in turns)


def side(folder: Path, start_s: float | None = 0.0, wall: datetime | None = None, started: datetime | None = None, **texts: str) -> Meeting:
    """A meeting with these side files."""
    files = []
    for kind, text in texts.items():
        (folder / f"a.{kind}").write_text(text, encoding="utf-8")
        files.append(SideFile(folder / f"a.{kind}", kind, start_s))
    return Meeting(folder, "a meeting", side=tuple(files), wall=wall, started=started)


@pytest.fixture
def results(tmp_path) -> Path:
    """A complete run of a meeting: three persons in three tiles for a minute, marked as TURNS say."""
    folder = tmp_path / "results"
    make_run(folder)
    tables.write_run(folder, tables.read_run(folder, RUN) | {"duration_s": LENGTH_S, "layout": "meeting"})
    tiles = [{"run": RUN, "segment": 1, "layout": "gallery", "start_s": 0.0, "end_s": LENGTH_S, "tile": who + 1, "role": "tile", "x1": who * 100.0,
              "y1": 0.0, "x2": who * 100.0 + 100, "y2": 60.0, "live": True, "person": who + 1} for who in range(PERSONS)]
    lit = [{"run": RUN, "start_s": start + 0.5, "end_s": end + 0.4, "segment": 1, "tile": who + 1, "person": who + 1} for start, end, who in TURNS]
    write_rows(folder, "tiles", RUN, pa.Table.from_pylist(tiles, TILES))
    write_rows(folder, "spotlights", RUN, pa.Table.from_pylist(lit, SPOTLIGHTS))
    return folder


@pytest.fixture(scope="module")
def recording(clip):
    return probe(clip)


def rows(results: Path, table: str, columns: str = "*") -> list[tuple]:
    return [tuple(row.values()) for row in Run(RUN, results).sql(f"SELECT {columns} FROM {table}").to_pylist()]


def content(results: Path) -> dict[str, bytes]:
    return {name: tables.table_path(results, name, RUN).read_bytes() for name in ("speech", "names") if tables.table_path(results, name, RUN).exists()}


def test_one_number_for_a_speaker_in_all_side_files_and_the_person_who_it_is(results, recording, tmp_path):
    users = [{"ts": stamp(at), "users": [{"username": NAMES[who]}] if who >= 0 else []} for start, end, who in TURNS for at, who in ((start, who), (end, -1))]
    meeting = side(tmp_path, transcript=cues(), timeline=json.dumps({"timeline": users}),
                   chat="00:00:07\tana  RUIZ (she/her):\thello\n00:00:18\tDee:\tWho is Bo?")
    assert write_speech(results, RUN, meeting, Options(), recording)
    found = rows(results, "speech", "kind, speaker, person, question, words, text")
    assert {(kind, speaker, person) for kind, speaker, person, *_ in found if kind != "chat"} == {
        (kind, who + 1, who + 1) for kind in ("transcript", "timeline") for who in range(PERSONS)}
    assert [row[1:5] for row in found if row[0] == "chat"] == [(1, 1, False, 1), (4, None, True, 3)]
    assert all(text is None for *_, text in found)
    assert {row[3:5] for row in found if row[0] == "timeline"} == {(None, None)} and {row[3:5] for row in found if row[0] == "transcript"} == {(True, 4)}
    assert min(rows(results, "speech", "person_confidence"), key=lambda row: row[0] or 1)[0] > 0.8
    assert "names" not in content(results)


def test_words_are_kept_only_where_they_are_asked_for(results, recording, tmp_path):
    meeting = side(tmp_path, transcript=cues())
    write_speech(results, RUN, meeting, Options(transcript_text=True), recording)
    assert {text for (text,) in rows(results, "speech", "text")} == {"Shall we go on?"}
    assert write_speech(results, RUN, meeting, Options(), recording), "asked anew without them, they go"
    assert {text for (text,) in rows(results, "speech", "text")} == {None} and b"Shall" not in content(results)["speech"]


def test_without_side_files_the_picture_says_who_speaks(results, recording, tmp_path):
    for meeting in (None, side(tmp_path, chat="00:00:07\tBo:\thello")):
        assert write_speech(results, RUN, meeting, Options(), recording)
        found = [row for row in rows(results, "speech", "kind, speaker, person, start_s, question, words") if row[0] == "spotlight"]
        assert found == [("spotlight", None, who + 1, start + 0.5, None, None) for start, _, who in TURNS]


def test_made_again_only_where_something_differs_and_byte_equal(results, recording, tmp_path):
    (tmp_path / "names.csv").write_text("number,name\n1,Ana Ruiz\n3,Cy\n")
    meeting, options = side(tmp_path, transcript=cues()), Options(names=str(tmp_path / "names.csv"))
    assert write_speech(results, RUN, meeting, options, recording) and not write_speech(results, RUN, meeting, options, recording)
    first = content(results)
    for table in first:
        tables.table_path(results, table, RUN).unlink()
        assert write_speech(results, RUN, meeting, options, recording) and content(results) == first
    changes = [lambda: (tmp_path / "names.csv").write_text("number,name\n1,Ana\n"), lambda: (tmp_path / "a.transcript").write_text(cues(TURNS[1:])),
               lambda: write_rows(results, "spotlights", RUN, SPOTLIGHTS.empty_table())]
    for change in changes:
        change()
        assert write_speech(results, RUN, meeting, options, recording) and content(results) != first
        first = content(results)
    assert write_speech(results, RUN, meeting, Options(), recording) and set(content(results)) == {"speech"}


def test_runs_with_erased_persons_or_without_any_stay_as_they_are(results, recording, tmp_path):
    meeting = side(tmp_path, transcript=cues())
    assert not write_speech(results, RUN, meeting, Options(aggregate_only=True), recording)
    tables.write_run(results, tables.read_run(results, RUN) | {"erased": 1})
    assert not write_speech(results, RUN, meeting, Options(names="labels"), recording) and not content(results)


def test_names_decide_who_a_speaker_is_even_where_the_picture_marks_nobody(results, recording, tmp_path, caplog):
    write_rows(results, "spotlights", RUN, SPOTLIGHTS.empty_table())
    (tmp_path / "names.csv").write_text("number;name\n1;Ana Ruiz (she/her)\n2;BO\n9;Nobody\n")
    write_speech(results, RUN, side(tmp_path, transcript=cues()), Options(names=str(tmp_path / "names.csv")), recording)
    assert {row for row in rows(results, "speech", "speaker, person, person_confidence")} == {(1, 1, 1.0), (2, 2, 1.0), (3, None, None)}
    assert rows(results, "names", "kind, number, name, read_by") == [
        ("person", 1, "Ana Ruiz (she/her)", "file"), ("person", 2, "BO", "file"), ("speaker", 1, "Ana Ruiz", "transcript"),
        ("speaker", 2, "Bo", "transcript"), ("speaker", 3, "Cy Young", "transcript")]
    assert "there is no person 9" in caplog.text


def test_of_two_persons_of_one_name_the_one_who_is_there(results, recording, tmp_path):
    """Somebody who left and came back may have two numbers; people who share a tile share its name."""
    halves = [{"run": RUN, "segment": half + 1, "layout": "gallery", "start_s": half * 30.0, "end_s": half * 30.0 + 30, "tile": 1, "role": "tile",
               "x1": 0.0, "y1": 0.0, "x2": 9.0, "y2": 9.0, "live": True, "person": half + 1} for half in range(2)]
    (tmp_path / "names.csv").write_text("number,name\n1,Bo\n2,Bo\n")
    for tiles, person in ((halves, {1, 2}), ([halves[0], halves[0] | {"person": 2}], {None})):
        write_rows(results, "tiles", RUN, pa.Table.from_pylist(tiles, TILES))
        write_speech(results, RUN, side(tmp_path, transcript=cues()), Options(names=str(tmp_path / "names.csv")), recording)
        assert {one for one, start in rows(results, "speech", "person, start_s") if start % 15 == 5} == person


@pytest.mark.parametrize(("meeting", "at"), [
    ({"start_s": 12.5}, 22.5), ({"start_s": -4.0}, 6.0),
    ({"start_s": None, "wall": datetime(2026, 1, 15, 10, 0, 40)}, 20.0), ({"start_s": None, "wall": datetime(2026, 1, 15, 23, 59, 50)}, 20.0),
    ({"start_s": None, "started": datetime(2026, 1, 15, 3, 30, 45, tzinfo=UTC)}, 15.0)])
def test_each_file_on_the_meetings_clock(tmp_path, meeting, at):
    clock = {40: "10:01:00", 50: "00:00:10", 45: "10:01:00"}[meeting.get("wall", meeting.get("started")).second] if meeting["start_s"] is None else ""
    text = f"{clock} From Bo to Everyone: hi" if clock else "00:00:10\tBo:\thi"
    (found,) = utterances(side(tmp_path, chat=text, **meeting), LENGTH_S)
    assert (found.start_s, found.end_s, found.name, found.words) == (at, at, "Bo", 1)
    (led,) = utterances(side(tmp_path, chat=text, **meeting), LENGTH_S, lead_s=1.5)  # the picture begins after the sound
    assert led.start_s == at - 1.5


def test_what_lies_outside_or_cannot_be_read_is_told(tmp_path, caplog):
    late = cues([(50.0, 70.0, 0), (61.0, 62.0, 1)]) + "00:01.000 --> nonsense\nBo: lost\n"
    meeting = side(tmp_path, transcript=late, chat="10:00:00 From Bo to Everyone: never", timeline="{")
    meeting = Meeting(tmp_path, "a", side=(meeting.side[0], SideFile(tmp_path / "a.chat", "chat", None), meeting.side[2],
                                          SideFile(tmp_path / "gone.vtt", "transcript", 0.0), SideFile(tmp_path / "a.m4a", "audio", 0.0)))
    assert [(one.start_s, one.end_s, one.name) for one in utterances(meeting, LENGTH_S)] == [(50.0, 60.0, "Ana Ruiz")]
    for told in ("a.transcript: left out: 1 damaged cue, 1 of 2 outside of the recording", "a.chat is left out: it tells the time of day",
                 "a.timeline: left out: 1 file that is no timeline", "gone.vtt is left out: it cannot be read"):
        assert told in caplog.text
    assert len(caplog.records) == 4
    assert numbered(utterances(None, 1.0)) == {}


def talk(rng: np.random.Generator, people: int, minutes: float) -> tuple[Spans, Spans, np.ndarray]:
    """A meeting: what a transcript says of it, whom the picture marks, and whose camera is on. Person k + 1 is speaker k."""
    on = rng.random(people) > 0.2
    weight = rng.permutation(1 / np.arange(1, people + 1))
    turns, at = [], 0.0
    while at < minutes * 60:
        length = float(np.exp(rng.normal(1.6, 0.9))) if rng.random() > 0.2 else float(rng.uniform(0.4, 1))  # also just a 'yes'
        turns.append((at, at + length, int(rng.choice(people, p=weight / weight.sum()))))
        at += length + rng.exponential(0.7) - (0.6 if rng.random() < 0.1 else 0)
    lit: list[list[float]] = []
    for start, end, who in turns:
        if end - start > 1 or rng.random() < 0.3:
            begins = start + rng.uniform(0.4, 1.2)
            lit = [[first, min(last, begins), person] for first, last, person in lit[-1:]] and [*lit[:-1], [lit[-1][0], min(lit[-1][1], begins), lit[-1][2]]]
            lit.append([begins, end + rng.exponential(1.0) + 0.8, who + 1 if on[who] else -1])
    said = [(start + rng.normal(0.2, 0.25), end + rng.normal(0.2, 0.25), who if rng.random() > 0.03 else rng.integers(people))
            for start, end, who in turns]
    one, other = (np.array([row for row in spans if row[0] < row[1]]) for spans in (said, lit))
    return Spans(one[:, 0], one[:, 1], one[:, 2].astype(int)), Spans(other[:, 0], other[:, 1], other[:, 2].astype(int)), on


def test_speakers_are_the_persons_that_the_picture_marks():
    """20 meetings of ten minutes; transcripts are inexact, pictures late, some cameras off."""
    rng, right, wrong, all_of = np.random.default_rng(5), 0, 0, 0
    for people in range(2, 22):
        spoken, lit, on = talk(rng, people, 10)
        person, confidence = attribute(spoken, lit, people)
        enough = np.array([on[who] and (lit.end_s - lit.start_s)[lit.who == who + 1].sum() > 10 for who in range(people)])
        right += int((person[enough] == np.arange(1, people + 1)[enough]).sum())
        wrong += int(((person != np.arange(1, people + 1)) & (person >= 0)).sum())
        all_of += int(enough.sum())
        assert ((confidence > 0) == (person >= 0)).all() and confidence.max() <= 1
    assert all_of > 100 and right >= 0.95 * all_of and wrong <= 0.01 * all_of, (right, wrong, all_of)


def test_nobody_is_named_without_reason():
    rng = np.random.default_rng(1)
    start = np.arange(0, 600, 5.0)
    spoken, lit = (Spans(start, start + 4, rng.integers(0, 4, len(start)) + first) for first in (0, 1))
    assert (attribute(spoken, lit, 4)[0] == -1).all()
    none = Spans(np.zeros(0), np.zeros(0), np.zeros(0, int))
    assert attribute(none, lit, 4)[0].tolist() == [-1] * 4 == attribute(spoken, none, 4)[0].tolist() and not len(attribute(spoken, lit, 0)[0])
    assert attribute(Spans(start[:1], start[:1] + 0.3, np.array([0])), Spans(start[:1], start[:1] + 0.3, np.array([1])), 1)[0][0] == -1, "too little"


def invoke(*arguments: object) -> tuple[str, str]:
    done = CliRunner().invoke(commands, [str(one) for one in arguments], standalone_mode=False)
    assert done.exception is None and not done.return_value, done.exception
    return done.stdout, done.stderr


def test_forget_names(results, recording, tmp_path):
    (tmp_path / "names.csv").write_text("number,name\n1,Ana Ruiz\n")
    meeting, options = side(tmp_path, transcript=cues()), Options(names=str(tmp_path / "names.csv"), transcript_text=True)
    write_speech(results, RUN, meeting, options, recording)
    _, told = invoke("runs", "forget-names", "concert", "--results", results)
    assert "4 names of run ab12cd34ef56 of concert.mp4 forgotten\n" in told and "11 rows" in told and "--transcript-text" in told
    assert rows(results, "names") == [] and rows(results, "speech", "count(person)") == [(len(TURNS),)]
    assert not [path for path in (results / "names").rglob("*") if RUN in path.name]
    out, _ = invoke("runs", "forget-names", RUN, RUN, "--results", results, "--json")
    assert json.loads(out) == [{"run": RUN, "recording": "concert.mp4", "names": 0, "report": None, "words": len(TURNS)}]
    assert "has no names; nothing to forget" in invoke("runs", "--results", results, "forget-names", RUN)[1]
    assert write_speech(results, RUN, meeting, options, recording) and len(rows(results, "names")) == 4, "asked for again, they are back"


def test_forgetting_that_was_killed_goes_on(results, recording, tmp_path):
    (tmp_path / "names.csv").write_text("number,name\n1,Ana Ruiz\n")
    write_speech(results, RUN, None, Options(names=str(tmp_path / "names.csv")), recording)
    tables.table_path(results, "names", RUN).rename(results / MARK.format(run=RUN))  # as it is left
    page = Run(RUN, results).report_folder / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("a report with Ana Ruiz in it")
    with lock(results, RUN), pytest.raises(RunBusy):
        forget_names(Run(RUN, results))
    gone = forget_names(Run(RUN, results))
    assert (gone.names, gone.report) == (1, page) and rows(results, "names") == []
    assert "<html" in page.read_text() and "Ana" not in page.read_text() and not (results / MARK.format(run=RUN)).exists() and forget_names(Run(RUN, results)).names == 0


def test_a_wrong_file_of_names_changes_nothing(results, recording, tmp_path):
    write_speech(results, RUN, None, Options(), recording)
    before = content(results)
    (tmp_path / "names.csv").write_text("what,ever\n1,2\n")
    with pytest.raises(CrowdmoodError, match="must have the columns number,name"):
        write_speech(results, RUN, None, Options(names=str(tmp_path / "names.csv")), recording)
    assert content(results) == before
