"""The report of a run, and of several: what it says is what SQL says, and it needs nothing else."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crowdmood import answers, tables
from crowdmood.answers import MOST_PERSONS
from crowdmood.comparison import compare_runs
from crowdmood.errors import ResultsError, VideoError
from crowdmood.files import sha256_of
from crowdmood.labels import EXPRESSIONS
from crowdmood.pages import interval, measured, signed
from crowdmood.palette import STACK_ORDER
from crowdmood.report import PICTURES, build_report
from crowdmood.results import Run
from crowdmood.row_groups import write_table
from crowdmood.segments import read_segments
from crowdmood.sql_reports import report_sql, shipped_reports
from crowdmood.thumbnails import MOST as MOST_MOMENTS
from tests.big_runs import BIG, make_big_run
from tests.forks import forked
from tests.made_runs import FRAMES, RUN, make_parts, make_run
from tests.pages import EVIL, Page, crowd_run, picture

figures, headline = cache(answers.figures), cache(answers.headline)


@pytest.fixture(scope="module")
def run(reported, tmp_path_factory) -> Run:
    return Run(RUN, Path(shutil.copytree(reported, tmp_path_factory.mktemp("run") / "results")))


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def test_the_page_is_whole_and_needs_nothing_else(run):
    text = run.report.read_text()
    page = Page(run.report)
    assert page.open == [] and page.wrong == []
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"(?s)<script>.*?</script>", "", text))
    addresses = [value for _, attributes in page.elements for name, value in attributes.items()
                 if name in ("src", "href", "srcset", "action", "data")]
    assert {address for address in addresses if not address.startswith("data:image/jpeg;base64,")} == {"#main", "data:,"}
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    assert not re.search(r"url\((?!#)|@import", text)


def test_headlines_are_what_sql_says(run):
    text = Page(run.report).text
    faces, usable, persons = run.sql("SELECT count(*), count(*) FILTER (usable), count(DISTINCT person) FROM faces"
                                     ).to_pylist()[0].values()
    assert f"Persons {persons} " in text
    assert re.search(f"Faces read {percent(usable / faces)} (95 %: [0-9]+ to [0-9]+ % )?coverage: {usable} of {faces} faces", text)
    best = run.sql("SELECT * FROM timeline ORDER BY happy DESC LIMIT 1").to_pylist()[0]
    assert f"Happiest second 0:0{best['second']} {percent(best['happy'])} happy · {best['usable_faces']} faces" in text


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_shares_are_what_sql_says(run, name):
    share, faces, persons = run.sql(
        f"SELECT avg({name}) FILTER (usable), count(*) FILTER (expression = '{name}'), "
        f"count(DISTINCT person) FILTER (expression = '{name}') FROM faces").to_pylist()[0].values()
    assert re.search(rf" {name} {percent(share, 1)} [0-9]+ to [0-9]+ % {faces} {persons} ", Page(run.report).text)


def test_uncertain_faces_are_counted_but_have_no_share(run):
    uncertain = run.sql("SELECT count(*) AS n FROM faces WHERE NOT usable")["n"][0].as_py()
    assert re.search(rf" uncertain not counted: [a-z, ]+ {uncertain} 3 ", Page(run.report).text)


def test_bins_are_the_seconds_of_the_timeline_when_put_together(run):
    bins = run.sql(f"SELECT floor(start_s + 1e-6) AS second, sum(usable_faces * (end_s - start_s) * 5) AS faces, "
                   f"sum(happy * usable_faces) / sum(usable_faces) AS happy FROM ({report_sql('bins')}) GROUP BY 1 ORDER BY 1")
    seconds = run.sql("SELECT second, usable_faces, happy FROM timeline ORDER BY second")
    assert bins["second"].to_pylist() == seconds["second"].to_pylist()
    assert bins["faces"].to_pylist() == pytest.approx(seconds["usable_faces"].to_pylist())
    assert bins["happy"].to_pylist()[:6] == pytest.approx(seconds["happy"].to_pylist()[:6], rel=1e-5)
    assert bins["happy"].to_pylist()[-1] is None


def test_the_steps_of_the_page_are_the_bins(run):
    steps = json.loads(re.search(r'id="steps">(.*?)</script>', run.report.read_text())[1])
    bins = figures(run)["bins"].to_pylist()
    assert len(steps) == len(bins) == FRAMES
    for step, row in zip(steps, bins, strict=True):
        assert step[0] == pytest.approx(row["start_s"], abs=0.006)
        mix = [row[name] for name in STACK_ORDER]
        assert step[2] == ([None] * 7 if row["happy"] is None else [round(1000 * share) for share in mix])


def test_a_frame_counts_for_as_long_as_it_is_shown(tmp_path):
    """Slides: three frames, shown for 1, 8 and 1 seconds; no step in between is empty."""
    run = crowd_run(tmp_path, 2, 3)
    catalog_rows = run.sql("SELECT * REPLACE ([0.0, 1.0, 9.0][frame // 6 + 1] AS time_s, "
                           "[1.0, 8.0, 1.0][frame // 6 + 1] AS shown_s) FROM frames ORDER BY frame")
    write_table(tables.table_path(tmp_path, "frames", RUN), tables.FRAMES, [catalog_rows])
    bins = run.sql(report_sql("bins")).to_pylist()
    assert bins[-1]["end_s"] == 10 and all(row["faces"] == 2 for row in bins)
    assert {row["happy"] for row in bins if 1 <= row["start_s"] < 9} == {bins[len(bins) // 2]["happy"]}


def test_faces_that_cannot_be_read_are_said(tmp_path):
    run = crowd_run(tmp_path, 1, 50, usable=False)
    assert "No face is clear enough to be read" in Page(build_report(run)).text


@pytest.mark.parametrize("measure", ["positivity", "presence"])
def test_cards_have_value_interval_and_who_stands_behind_them(run, measure):
    row = headline(run, 5)[measure]
    words = f"{measured(row['value'], measure)} 95 %: {interval(row)}".replace("\u202f", " ")
    text = Page(run.report).text
    assert f"{measure.capitalize()} {words}" in text
    assert f"{row['faces']} faces of {row['persons']} persons few" in text[text.index(words):][:200]
    assert row["meaning"] in text


@pytest.fixture(scope="module")
def crowd(crowd_reported, tmp_path_factory) -> Run:
    """Twelve persons over four minutes with a planted moment: with synchrony, moments and a heat map."""
    return Run(BIG, Path(shutil.copytree(crowd_reported, tmp_path_factory.mktemp("crowd") / "results")))


def test_moments_are_those_of_sql_strongest_first(crowd):
    page, moments = Page(crowd.report), figures(crowd)["moments"]
    assert moments
    buttons = [float(attributes["data-at"]) for tag, attributes in page.elements if attributes.get("class") == "go"]
    assert buttons == [row["peak_s"] for row in moments[:MOST_MOMENTS]]
    first = moments[0]
    assert f"{first['direction']} {first['expression']} {signed(first['strength'])} {first['persons']} / {first['present']} " in page.text


def test_windows_and_heat_of_the_page_are_those_of_sql(crowd):
    text, answers = crowd.report.read_text(), figures(crowd)
    windows = json.loads(re.search(r'id="windows">(.*?)</script>', text)[1])
    rows = answers["synchrony"].to_pylist()
    assert len(windows) == len(rows) > 5
    for window, row in zip(windows, rows, strict=True):
        assert window == [row["start_s"], row["end_s"], pytest.approx(row["synchrony"], abs=6e-4),
                          pytest.approx(row["usual"], abs=6e-4), row["persons"], int(row["significant"])]
    heat = json.loads(re.search(r'id="heat">(.*?)</script>', text)[1])
    cells = {person: row.split(",") for person, row in heat["rows"].items()}
    for row in answers["heat"].to_pylist():
        shown = cells[str(row["person"])][round((row["start_s"] - heat["start"]) // heat["step"])]
        assert shown == "x" if row["positivity"] is None else int(shown) == pytest.approx(100 * row["positivity"], abs=0.501)


def test_segments_are_compared(crowd, tmp_path):
    (tmp_path / "songs.csv").write_text("name,start,end\n<b>One</b>,0,1:30\nTwo & three,1:30,00:03:59.5\n")
    page = Page(build_report(crowd, segments=read_segments(tmp_path / "songs.csv", 240.0)))
    happy, faces, persons = crowd.sql("SELECT avg(happy), count(*), count(DISTINCT person) FROM faces WHERE usable AND time_s < 90"
                                      ).to_pylist()[0].values()
    assert "<b>One</b>" in page.text and page.wrong == []
    assert re.search(rf"<b>One</b> 0:00 – 1:30 .*?[−+0-9.]+ [−+0-9.]+ to [−+0-9.]+ {persons} {faces:,} ", page.text)
    label = next(a["aria-label"] for tag, a in page.elements if tag == "span" and a.get("role") == "img")
    assert label.replace("\u202f", " ").startswith(f"happy {percent(happy)}")
    build_report(crowd)
    assert "Two &" not in crowd.report.read_text()


@pytest.mark.parametrize(("text", "words"), [
    ("name,begin,end\nx,0,1\n", "line 1: the column start is missing"),
    ("name,start,end\n\nx,soon,1\n", "line 3: 'soon' is no time"),
    ("name,start,end\nx,5,5\n", "line 2: 'x' ends at 0:05, not after its start at 0:05"),
    ("name,start,end\nx,0,1\nx,1,2\n", "line 3: there is already a segment called 'x'"),
    ("name,start,end\n,0,1\n", "line 2: the segment has no name"),
    ("name,start,end\nx,9:00,10:00\n", "line 2: 'x' starts at 9:00, but the recording ends at 4:00"),
    ("name,start,end\n", "has no segments; write a line such as"),
    ("", "line 1: the column name is missing"),
])
def test_wrong_segments_are_one_sentence_with_the_line(text, words, tmp_path):
    (tmp_path / "songs.csv").write_text(text)
    with pytest.raises(ResultsError, match=re.escape(words)):
        read_segments(tmp_path / "songs.csv", 240.0)


def test_segments_that_are_not_there_or_no_text(tmp_path):
    with pytest.raises(ResultsError, match="cannot be read: No such file"):
        read_segments(tmp_path / "no.csv")
    (tmp_path / "latin.csv").write_bytes("name,start,end\nGrüße,0,1".encode("utf-16"))
    with pytest.raises(ResultsError, match="cannot be read"):
        read_segments(tmp_path / "latin.csv")


def stills_of(page: Page) -> list[np.ndarray]:
    addresses = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))).astype(int) for address in addresses]


def test_thumbnails_show_the_moment_with_every_face_pixelated(clip, tmp_path):
    facts = {"path": str(clip), "digest": sha256_of(clip), "size_bytes": clip.stat().st_size}
    make_big_run(tmp_path, 12, 10, 5, **facts)
    run = Run(BIG, tmp_path)
    covered, open_ = stills_of(Page(build_report(run))), stills_of(Page(build_report(run, faces=True)))
    assert len(covered) == len(open_) > 0
    apart = np.abs(covered[0] - open_[0]).max(axis=2)
    scale = apart.shape[1] / 1280
    box = run.sql("SELECT min(x1), min(y1), max(x2), max(y2) FROM faces").to_pylist()[0].values()
    left, top, right, bottom = (round(edge * scale) for edge in box)
    assert apart[top:bottom, left:right].max() > 25  # pixelated there
    far = apart.copy()
    far[max(0, top - 25):bottom + 25, max(0, left - 25):right + 25] = 0
    assert far.max() < 25  # and nowhere else


def test_a_recording_that_is_gone_or_changed_gives_a_sentence(crowd, clip, tmp_path):
    assert "No pictures: the recording is no longer where it was, or has changed" in Page(crowd.report).text
    make_big_run(tmp_path, 12, 10, 5, path=str(clip), digest="0" * 64, size_bytes=clip.stat().st_size)
    assert stills_of(Page(build_report(Run(BIG, tmp_path)))) == []
    with pytest.raises(VideoError, match="content differs"):
        build_report(Run(BIG, tmp_path), video=clip)


def test_runs_are_compared(tmp_path):
    make_run(tmp_path)
    make_run(tmp_path, "ff00ff00ff00", seed=5)
    one, other = Run(RUN, tmp_path), Run("ff00ff00ff00", tmp_path)
    index = compare_runs([one, other])
    page = Page(index)
    assert page.wrong == [] and "2 recordings compared" in page.text and "concert.mp4 ab12cd concert.mp4 ff00ff" in page.text
    for run in (one, other):
        value = run.sql(report_sql("overview"))["happy"][0].as_py()
        assert f" {percent(value)} 95 %: " in page.text
    for name in ("positivity", "mix"):
        assert picture(index.with_name(f"{name}.png")).shape == (900, 1600, 3)
        assert index.with_name(f"{name}.svg").stat().st_size > 3000
    assert compare_runs([other, one]) != index  # another order is another page
    with pytest.raises(ResultsError, match="not with itself"):
        compare_runs([one, one])


def test_few_persons_are_said_to_be_few(run, tmp_path):
    assert "These figures stand on 3 persons." in Page(run.report).text
    assert "These figures stand on" not in Page(build_report(crowd_run(tmp_path, 6, 20))).text


def test_a_long_list_of_persons_ends(tmp_path):
    page = Page(build_report(crowd_run(tmp_path, MOST_PERSONS + 4, 12)))
    assert sum("data-person" in attributes for _, attributes in page.elements) == MOST_PERSONS
    assert "and 4 more" in page.text


def test_a_file_name_is_text(tmp_path):
    page = Page(build_report(crowd_run(tmp_path, 1, 10, EVIL)))
    assert EVIL in page.text
    assert not any(tag == "img" for tag, _ in page.elements)
    assert sum(tag == "script" for tag, _ in page.elements) == 5 and page.wrong == []


def test_no_faces_is_said_and_shown(tmp_path):
    index = build_report(crowd_run(tmp_path, 0, 20, "empty hall.mp4"))
    page = Page(index)
    assert "No faces were found" in page.text and "20 frames were looked at" in page.text and page.wrong == []
    assert picture(index.with_name("timeline.png")).shape == (900, 1600, 3)


def test_an_unfinished_run_has_no_report_yet(tmp_path):
    make_parts(tmp_path)
    with pytest.raises(ResultsError, match="is not complete; `crowdmood analyze"):
        build_report(Run(RUN, tmp_path))


def test_figures_of_fewer_persons_than_asked_are_few(crowd, tmp_path):
    assert "These figures stand on" not in Page(crowd.report).text
    make_big_run(tmp_path, 12, 30, 2)
    text = Page(build_report(Run(BIG, tmp_path), min_persons=13)).text
    assert re.search(r"These figures stand on [0-9]+ persons\.", text) and " persons few " in text


def crowdmood(*arguments: str, results: Path):
    return forked.crowdmood("report", *arguments, CROWDMOOD_RESULTS=str(results))


def test_the_command_builds_the_newest_run_and_prints_the_path(run):
    ended = subprocess.run([sys.executable, "-m", "crowdmood", "report"], capture_output=True, text=True, check=False,
                           env=os.environ | {"CROWDMOOD_RESULTS": str(run.results)})
    assert (ended.returncode, ended.stdout) == (0, f"{run.report}\n"), ended.stderr
    ended = crowdmood("concert.mp4", "--json", results=run.results)
    assert json.loads(ended.stdout) == {"run": RUN, "recording": "concert.mp4", "report": str(run.report),
                                        **{name: str(run.report.with_name(f"{name}.png")) for name in PICTURES}}


def test_the_command_prints_sql_reports(run):
    assert [row["name"] for row in json.loads(crowdmood("--list", "--json", results=run.results).stdout)] == sorted(shipped_reports())
    assert all(name in crowdmood("--list", results=run.results).stdout for name in shipped_reports())
    rows = json.loads(crowdmood("mix", "--json", results=run.results).stdout)
    assert {row["expression"] for row in rows} == {*EXPRESSIONS, "uncertain"}
    rows = json.loads(crowdmood("reaction", "--at", "0:02", "--window=1", "--run", RUN, "--json", results=run.results).stdout)
    assert {row["expression"] for row in rows} == set(EXPRESSIONS)
    assert crowdmood("happiest", "--csv", results=run.results).stdout.startswith("run,span,start_s,length_s,happy,faces,persons\n")


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (("nosuch",), 1, "no run matches 'nosuch'; known: ab12cd34ef56 (concert.mp4)"),
    (("concert.mp4", "--csv"), 2, "--csv, --parquet, --html, --png and parameters are for SQL reports"),
    (("concert.mp4", "--html", "x.html"), 2, "are for SQL reports"),
    (("concert.mp4", "concert.mp4"), 1, "not with itself"),
    (("concert.mp4", RUN, "--faces"), 2, "are for the report of one run"),
    (("concert.mp4", "--segments", "/no/such.csv"), 1, "segments /no/such.csv cannot be read: No such file or directory"),
    (("concert.mp4", "--min-persons", "0"), 2, "0 is not in the range"),
    (("dictionary", "--png", "x.png"), 1, "is not drawn; --html writes its table"),
    (("mix", "--faces"), 2, "--faces is for the report of a run"),
    (("mix", "--open"), 2, "--open is for the report of a run"),
    (("mix", "--csv", "--json"), 2, "exclude each other")])
def test_the_command_says_what_is_wrong(run, arguments, code, message):
    ended = crowdmood(*arguments, results=run.results)
    assert ended.returncode == code and message in ended.stderr and ended.stdout == ""


def test_the_command_writes_sql_reports_as_page_and_picture(run, tmp_path):
    ended = crowdmood("minutes", "--step", "2", "--html", str(tmp_path / "m.html"), "--png", str(tmp_path / "m.png"), results=run.results)
    assert ended.stdout.split() == [str(tmp_path / "m.html"), str(tmp_path / "m.png")], ended.stderr
    assert "step 2" in Page(tmp_path / "m.html").text and picture(tmp_path / "m.png").shape == (900, 1600, 3)


def test_the_command_compares_segments(run, tmp_path):
    (tmp_path / "songs.csv").write_text("name,start,end\nFirst,0,3\nThen,3,5\n")
    ended = crowdmood("segments", "--segments", str(tmp_path / "songs.csv"), "--json", results=run.results)
    rows = json.loads(ended.stdout)
    assert {row["segment"] for row in rows} == {"First", "Then"}
    shown = {(row["segment"], row["measure"]): row["value"] for row in rows}
    assert shown["First", "happy"] == pytest.approx(
        run.sql("SELECT avg(happy) AS v FROM faces WHERE usable AND time_s < 3")["v"][0].as_py(), abs=1e-6)


def test_a_long_recording_shows_its_engagement_with_the_formula(run, tmp_path):
    make_big_run(tmp_path, persons=8, seconds=300, fps=2)
    long = Run(BIG, tmp_path)
    page = build_report(long).read_text()
    stretches = json.loads(re.search(r'id="stretches">(.*?)</script>', page)[1])
    asked = long.ask("engagement").to_pylist()
    assert len(stretches) == 10
    assert [row[2] for row in stretches] == [pytest.approx(row["engagement"], abs=0.005) for row in asked]
    assert [row[3] for row in stretches] == [pytest.approx(row["low"], abs=0.005) for row in asked]
    assert asked[0]["formula"] in page
    assert 'id="engagement"' not in run.report.read_text()  # eight seconds have no stretches to compare


def test_smiling_together_is_what_sql_says(tmp_path):
    make_big_run(tmp_path, persons=12, seconds=240, fps=2)
    long = Run(BIG, tmp_path)
    windows = long.ask("smiles").to_pylist()
    row = headline(long, 5)["smile_synchrony"]
    assert row["windows"] == len(windows) > 0 and row["sure"] == sum(window["significant"] for window in windows)
    assert row["value"] == pytest.approx(np.mean([window["synchrony"] for window in windows]))
    assert f"Smiling together {signed(row['value'])}" in Page(build_report(long)).text
