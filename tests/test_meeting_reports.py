"""What reports say of a meeting whose speakers, audience and layout are known; and that films are left as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crowdmood import law
from crowdmood.options import CONTEXTS, Execution
from crowdmood.pages import signed
from crowdmood.report import build_report
from crowdmood.results import Run
from crowdmood.scheduling import attempts
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.workers import Outcome
from tests import browser
from tests.made_meetings import (
    PERSONS,
    SECONDS,
    SPEECH,
    happy_of,
    make_meeting,
    there,
    tiles,
    write,
)
from tests.made_runs import RUN, make_run
from tests.pages import EVIL, Page


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    results = tmp_path_factory.mktemp("meeting")
    make_meeting(results, context="research", names={3: EVIL})
    return Run(RUN, results)


def rows(run: Run, report: str, **values) -> list[dict]:
    return run.ask(report, **values).to_pylist()


def positivity(run: Run, persons: list[int], spans: list[tuple[float, float]]) -> float:
    """From the faces themselves: the mean of happy less that of sad, which all negative ones are alike to."""
    spoken = " OR ".join(f"time_s >= {start} AND time_s < {end}" for start, end in spans)
    told = run.sql(f"SELECT avg(happy) - avg(sad) AS p FROM faces WHERE usable AND person IN ({', '.join(map(str, persons))}) AND ({spoken})")
    return told["p"].to_pylist()[0]


def test_speakers_are_told_with_their_time_and_turns_by_the_best_source(run):
    told = {row["speaker"]: row for row in rows(run, "speakers")}
    assert {number: (row["spoken_s"], row["turns"], row["questions"], row["words"]) for number, row in told.items()} == {
        1: (24.0, 2, 1, 45), 2: (22.0, 1, 1, 51), 3: (16.0, 1, 0, 30)}  # the timeline says of 2 the same again, and counts nothing
    assert sum(row["share"] for row in told.values()) == pytest.approx(1)
    assert [told[number]["who"] for number in (1, 2, 3)] == ["Participant 1", "Participant 2", "Speaker 3"]
    assert {row["source"] for row in told.values()} == {"transcript"}


def test_the_audience_is_all_others_and_the_speaking_face_stands_apart(run):
    told = {row["speaker"]: row for row in rows(run, "speakers")}
    assert told[2]["positivity"] == pytest.approx(positivity(run, [1, 3, 4, 5, 6], [(24, 46)]), abs=1e-4)
    assert told[2]["persons"] == 5 and not told[2]["few"]
    assert told[2]["positivity_low"] <= told[2]["positivity"] <= told[2]["positivity_high"] < 0.6
    assert told[2]["own_positivity"] == pytest.approx(positivity(run, [2], [(24, 46)]), abs=1e-4) and told[2]["own_positivity"] > 0.8
    assert told[3]["person"] is None and told[3]["own_positivity"] is None and told[3]["own_faces"] == 0
    assert told[3]["persons"] == 7  # whoever speaks is not known, and all who are there listen
    assert {row["few"] for row in rows(run, "speakers", min_persons=6)} == {False, True}


def test_presence_is_over_all_persons_also_those_whose_camera_is_off(run):
    second = next(row for row in rows(run, "speakers") if row["speaker"] == 2)
    assert second["presence"] == pytest.approx(5 / 7)  # 7 and 8 come later
    assert second["coverage"] == pytest.approx(0.9)


def test_somebody_who_speaks_too_is_not_audience(tmp_path):
    """Two speak at once: the timeline says that 4 speaks while the transcript has 2."""
    make_meeting(tmp_path, speech=[*SPEECH, (30.0, 46.0, 4, 4, "timeline", None, None)])
    run = Run(RUN, tmp_path)
    second = next(row for row in rows(run, "speakers") if row["speaker"] == 2)
    faces = run.sql("""SELECT count(*) AS n FROM faces WHERE usable AND time_s >= 24 AND time_s < 46 AND person <> 2
                       AND NOT (person = 4 AND time_s >= 30)""")["n"].to_pylist()[0]
    assert second["faces"] == faces


def test_where_only_the_picture_says_who_speaks_persons_are_the_speakers(tmp_path):
    make_meeting(tmp_path, speech=[(10.0, 20.0, None, 4, "spotlight", None, None), (22.0, 30.0, None, 4, "spotlight", None, None),
                                   (30.0, 40.0, None, 2, "spotlight", None, None)], names={2: "Ada"})
    told = rows(Run(RUN, tmp_path), "speakers")
    assert [(row["who"], row["person"], row["speaker"], row["spoken_s"], row["turns"]) for row in told] == [
        ("Participant 4", 4, None, 18.0, 1), ("Ada", 2, None, 10.0, 1)]


def test_a_question_changes_the_audience(run):
    told = rows(run, "questions")
    assert [(row["question"], row["end_s"], row["kind"], row["who"]) for row in told] == [
        (1, 46.0, "transcript", "Participant 2"), (2, 90.0, "transcript", "Participant 1"), (3, 100.0, "chat", "Speaker 3"),
        (None, None, None, None)]
    times = {side: np.arange(2 * start, 2 * end) / 2 for side, (start, end) in {"before": (74, 84), "after": (90, 100)}.items()}
    # The first person asks from 84 on and is not asked about while speaking; all others who are there are compared with themselves.
    expected = np.mean([np.diff([happy_of(person, times[side]).mean() for side in ("before", "after")]) for person in (1, 2, 3, 4, 5, 7, 8)])
    assert told[1]["positivity_change"] == pytest.approx(expected * 1.02, abs=0.01)
    assert told[1]["positivity_low"] > 0.35 and told[1]["persons"] == 7 and told[0]["persons"] == 5
    assert told[3]["persons"] == 8 and told[3]["faces"] == sum(row["faces"] for row in told[:3])


def test_the_agenda_is_what_is_given_or_the_layouts(run, tmp_path):
    agenda = tmp_path / "agenda.csv"
    agenda.write_text("name,start,end\nGreeting,0,24\nReport,0:24,0:50\nRest,0:50,2:00\n")
    told = rows(run, "agenda", segments=str(agenda))
    assert [(row["item"], row["speakers"], row["questions"]) for row in told] == [("Greeting", 1, 0), ("Report", 1, 1), ("Rest", 2, 2)]
    assert told[1]["spoken_s"] == pytest.approx(22) and told[1]["talk"] == pytest.approx(22 / 26)
    assert told[1]["positivity"] > told[0]["positivity"] + 0.2
    assert [row["item"] for row in rows(run, "agenda")] == ["1 gallery", "2 gallery"]


def test_attendance_and_layouts(run):
    told = {row["person"]: row for row in rows(run, "attendance")}
    assert set(told) == set(range(1, PERSONS + 1)) and told[3]["who"] == EVIL and told[1]["who"] == "Participant 1"
    assert (told[6]["in_s"], told[6]["camera"], told[6]["face"]) == (120.0, 0.5, pytest.approx(0.5))  # the camera is off after a minute
    assert (told[7]["in_s"], told[7]["camera"], told[7]["joins"], told[7]["leaves"]) == (60.0, 1.0, 1, 0)
    assert told[1]["readable"] == pytest.approx(0.9) and told[1]["spoken_s"] == 24.0
    assert [(row["tiles"], row["cameras"], row["persons"]) for row in rows(run, "layouts")] == [(6, 6, 6), (9, 7, 8)]


def test_who_goes_before_the_end_leaves_and_who_comes_back_joins_again(tmp_path):
    make_meeting(tmp_path)
    run = Run(RUN, tmp_path)
    columns = tiles(PERSONS)
    again = [index for index, (segment, person) in enumerate(zip(columns["segment"], columns["person"], strict=True)) if segment == 1 and person in (1, 2)]
    third = {name: [*column, *(column[index] for index in again)] for name, column in columns.items()}
    for index in range(len(columns["tile"]), len(third["tile"])):  # 130 s: only 1 and 2, of whom 2 was away in between
        third["segment"][index], third["start_s"][index], third["end_s"][index] = 3, 120.0, 130.0
    keep = [index for index in range(len(third["tile"])) if not (third["segment"][index] == 2 and third["person"][index] == 2)]
    write(tmp_path, "tiles", RUN, {name: [column[index] for index in keep] for name, column in third.items()})
    told = {row["person"]: row for row in rows(run, "attendance")}
    assert (told[1]["joins"], told[1]["leaves"]) == (1, 0) and (told[2]["joins"], told[2]["leaves"]) == (2, 1)
    assert (told[7]["joins"], told[7]["leaves"]) == (1, 1)


def test_measures_of_a_meeting_leave_out_who_speaks(run):
    told = {row["measure"]: row for row in rows(run, "headline")}
    listening = run.sql("""SELECT avg(happy) - avg(sad) AS p, count(*) AS n FROM faces WHERE usable
        AND NOT (person = 1 AND (time_s >= 5 AND time_s < 15 OR time_s >= 16 AND time_s < 24 OR time_s >= 84 AND time_s < 90))
        AND NOT (person = 2 AND time_s >= 24 AND time_s < 46)""").to_pylist()[0]
    assert told["positivity"]["value"] == pytest.approx(listening["p"], abs=1e-4) and told["positivity"]["faces"] == listening["n"]
    assert told["coverage"]["value"] == pytest.approx(0.9)  # of all faces
    share = {row["expression"]: row["share"] for row in rows(run, "mix")}
    assert share["happy"] == pytest.approx(told["happy"]["value"])
    expected = np.mean([there(person, np.arange(0, SECONDS, 0.5)).mean() for person in range(1, PERSONS + 1)])
    assert told["presence"]["value"] == pytest.approx(expected)


@pytest.fixture(scope="module")
def index(run) -> Path:
    return build_report(run)


def test_the_page_tells_of_the_meeting(run, index):
    page = Page(index)
    assert page.open == [] and page.wrong == []
    second = next(row for row in rows(run, "speakers") if row["speaker"] == 2)
    for words in ("Declared context: research. The operator says so; nobody has checked it.", "3 speakers, told apart by the transcript",
                  "Participant 1 0:24 39 %", f"Participant 2 0:22 35 % 1 1 {signed(second['positivity'])}", "not known",
                  "gallery, 7 of 9 cameras on", " ".join(EVIL.split())):
        assert words in page.text, words
    assert not [attributes for tag, attributes in page.elements if tag == "img"]  # a name is no HTML


def test_the_page_says_that_no_context_was_declared(tmp_path):
    make_meeting(tmp_path, persons=3)
    text = Page(build_report(Run(RUN, tmp_path))).text
    assert f"No context was declared. {law.notice(None)}." in text and "These figures stand on 3 persons" in text


@pytest.mark.parametrize("context", [None, *CONTEXTS])
def test_the_notice_of_a_context_says_what_it_changes(context):
    words = law.notice(context)
    assert (words is None) == (context in ("research", "event", "media", "consented", "private"))
    if context in (None, "work", "education"):
        assert "5(1)(f)" in words and "medical or safety reasons" in words
    if context in ("work", "education"):
        assert "also where they consent" in words and "makes nothing lawful" in words


def test_a_film_has_no_such_section(tmp_path):
    make_run(tmp_path)
    run = Run(RUN, tmp_path)
    text = build_report(run).read_text()
    assert "Meeting" not in text and ".lanes" not in text and "Declared context" not in text
    for name in ("speakers", "questions", "agenda", "attendance", "layouts", "turns"):
        assert rows(run, name) == []


@pytest.mark.skipif(browser.PROGRAM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_a_browser_shows_it_on_every_width(index):
    with browser.Browser() as chromium:
        for width in (1280, 390):
            chromium.open(index, width)
            assert chromium.evaluate("document.documentElement.scrollWidth") <= width and chromium.complaints() == []
            lane = chromium.evaluate("(() => { const a = document.querySelector('.lanes svg').getBoundingClientRect(),"
                                     " b = document.querySelector('.mix svg').getBoundingClientRect(); return [a.left - b.left, a.right - b.right]; })()")
            assert max(map(abs, lane)) < 1  # who speaks stands under the time at which it is
        chromium.evaluate("document.querySelector('.questions .go').click()")
        assert chromium.evaluate("document.getElementById('when').textContent").startswith("0:46")


@pytest.mark.parametrize("context", [None, *CONTEXTS])
def test_the_law_is_said_where_it_is_to_be_said(context):
    words = law.warning("meeting", context)
    assert (words is None) == (context not in (None, "work", "education"))
    assert law.warning(None, None) is None and (context not in law.FORBIDDEN or law.warning(None, context) == words)
    if context is None:
        assert "5(1)(f)" in words and "--context" in words and all(one in words for one in CONTEXTS) and "\n" not in words


def test_the_law_is_said_once_a_command_and_on_stderr(tmp_path):
    """A command over three meetings, as `crowdmood analyze` shows them."""
    for number, digest in enumerate("abc"):
        make_meeting(tmp_path, digest * 12, persons=3, recording=f"{number}.mp4")
    told = subprocess.run([sys.executable, "-c", f"""
from pathlib import Path
from crowdmood.batch import Item
from crowdmood.cli.display import Display
from crowdmood.results import Run
from crowdmood.scheduling import attempts
from crowdmood.scheduling.spec import JobSpec
from crowdmood.scheduling.workers import Outcome
with Display(quiet=True) as display:
    for run in "abc":
        display.result(Item(Path(run), Run(run * 12, Path({str(tmp_path)!r}))), as_json=True)
"""], capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert told.stderr.count("Art. 5(1)(f)") == 1 and told.stderr.count("\n") == 1
    assert "Art. 5" not in told.stdout and told.stdout.count("\n") == 3


def test_a_job_says_it_once_in_its_log(caplog, tmp_path):
    """Of two recordings of which the workers say what the law says, as of one without."""
    desk = attempts.Desk(None, None, None)
    work = attempts.Work(JobSpec("nightly", tmp_path, (), tmp_path), None, "", Execution())
    with caplog.at_level("INFO", "crowdmood.jobs"):
        for words in (law.warning("meeting", None), law.warning("meeting", None), law.warning(None, None)):
            attempts._tell_law(desk, work, Outcome("done", {"run": RUN, "law": words}))
        attempts._tell_law(desk, work, Outcome("failed", error="no"))
    assert [record.facts["advice"] for record in caplog.records] == [law.warning("meeting", None)]


def test_a_segment_without_tiles_is_a_layout_too(tmp_path):
    make_meeting(tmp_path)
    columns = tiles(PERSONS)
    none = {"segment": 3, "layout": "none", "start_s": 120.0, "end_s": 130.0, "live": False, "confidence": np.nan}
    write(tmp_path, "tiles", RUN, {name: [*column, none.get(name, np.nan if name in ("x1", "y1", "x2", "y2") else None)] for name, column in columns.items()})
    last = rows(Run(RUN, tmp_path), "layouts")[-1]
    assert (last["layout"], last["tiles"], last["cameras"], last["shared"], last["persons"]) == ("none", 0, 0, False, 0)
