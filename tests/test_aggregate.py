"""--aggregate-only: nothing of single persons is left in any file, what is left stands on five persons, and the rest says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import crowdmood
from crowdmood import aggregate, exports, moments, staging, tables
from crowdmood.answers import figures
from crowdmood.cli.display import figures as summary
from crowdmood.erasure import traces
from crowdmood.errors import ResultsError
from crowdmood.film.rendering import render
from crowdmood.kept import KEPT, LEAST
from crowdmood.labels import EXPRESSIONS
from crowdmood.meeting_answers import meeting
from crowdmood.report import build_report
from crowdmood.results import Run
from crowdmood.sql_reports import shipped_reports
from crowdmood.thumbnails import thumbnails
from tests.made_meetings import (
    PERSONS,
    aggregate_meeting,
    complete_meeting,
    make_meeting,
    make_meeting_parts,
)
from tests.made_runs import RUN, make_run
from tests.meetings import Spec, make
from tests.pages import Page

OF_ONE = {"person", "track", "tile", "face", "x1", "y1", "name", "text", "own_positivity", "spoken_s", "words", "speaks"}
OPTIONS = {"aggregate_only": True}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    results = tmp_path_factory.mktemp("aggregate")
    aggregate_meeting(results, context="research")
    return Run(RUN, results)


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Run:
    results = tmp_path_factory.mktemp("full")
    make_meeting(results)
    return Run(RUN, results)


@pytest.fixture(scope="module")
def index(run) -> Path:
    return build_report(run)


def test_no_file_of_the_results_folder_has_rows_of_single_persons(run, index):
    """Every file, whatever its name; a kind of file that is not known here fails too."""
    seen = set()
    for path in (path for path in run.results.rglob("*") if path.is_file()):
        seen.add(path.suffix)
        if path.suffix == ".parquet":
            table = pq.ParquetFile(path).read()
            assert not len(table) or not OF_ONE & set(table.column_names), path
        elif path.suffix == ".html":
            text = path.read_text()
            assert "Participant" not in text and "data-person" not in text and "data:image/" not in text
        else:
            assert path.suffix in (".png", ".svg", ".lock"), path
    assert {".parquet", ".html"} <= seen
    assert not list(run.results.rglob("part-*")) and not list(run.results.rglob(".staged*"))
    for table in ("tiles", "spotlights", "speech", "names"):
        assert not (run.results / table).exists() and len(run.sql(f"FROM {table}")) == 0
    assert len(run.faces) == len(run.persons) == 0


def test_every_row_that_is_kept_stands_on_five_persons_and_is_of_none(run):
    rows = run.sql("FROM aggregates").to_pylist()
    assert {row["report"] for row in rows} == set(KEPT) and min(row["persons"] for row in rows) >= LEAST
    for row in rows:
        told = json.loads(row["figures"])
        assert not {name for name, value in told.items() if value is not None} & (OF_ONE - {"spoken_s"} if row["report"] == "agenda" else OF_ONE)
        assert not isinstance(told.get("persons"), int) or told["persons"] >= LEAST, row


def test_frames_and_seconds_have_figures_only_of_five_persons(full, tmp_path):
    """Six are there in the first minute, five in the second, at last four; and one of ten faces cannot be read."""
    links = make_meeting_parts(tmp_path, persons=6, options=OPTIONS)
    with aggregate.place(tmp_path, RUN, True) as place:
        complete_meeting(place, RUN, 6, links)
        behind = tables.read_run(place, RUN)["persons"], Run(RUN, place).sql(
            "SELECT frame, count(*) FILTER (usable) AS n FROM faces GROUP BY frame").to_pylist()
    shown = {row["frame"]: row for row in Run(RUN, tmp_path).frames.to_pylist()}
    few = [row["frame"] for row in behind[1] if row["n"] < LEAST]
    assert few and len(few) < len(behind[1])
    for row in behind[1]:
        told = [shown[row["frame"]][name] is not None for name in (*EXPRESSIONS, "positivity")]
        assert told == [row["n"] >= LEAST] * len(told)
        assert shown[row["frame"]]["usable_faces"] == row["n"]
    assert behind[0] == Run(RUN, tmp_path).info["persons"] == 6
    seconds = Run(RUN, tmp_path).timeline.to_pylist()
    assert [row["second"] for row in seconds if row["happy"] is None] == list(range(110, 120))
    assert all((row["valence"] is None) == (row["positivity"] is None) == (row["happy"] is None) for row in seconds)


def test_what_is_kept_is_what_the_same_sql_says_of_the_full_run(run, full):
    for report in ("headline", "synchrony", "engagement", "overview", "bins", "layouts"):
        expected, told = full.ask(report).to_pylist(), run.ask(report).to_pylist()
        assert len(told) == len(expected) > 0
        for one, other in zip(told, expected, strict=True):
            assert one == {name: pytest.approx(float(value), rel=1e-6) if isinstance(value, float) else value for name, value in other.items()}
    assert run.ask("headline").schema.field("value").type == full.ask("headline").schema.field("value").type
    ours, theirs = ({row["speaker"]: row for row in one.ask("speakers").to_pylist()} for one in (run, full))
    for number, row in theirs.items():
        kept = {name: row[name] for name in ("persons", "faces", "positivity", "positivity_low", "expressiveness", "presence", "coverage")}
        assert {name: ours[number][name] for name in kept} == pytest.approx(kept)
        assert ours[number]["person"] is ours[number]["spoken_s"] is ours[number]["own_positivity"] is None
    assert all(row["few"] for row in run.ask("headline", min_persons=PERSONS + 1).to_pylist())


def test_over_all_runs_what_is_kept_stands_beside_the_others(run, tmp_path):
    make_run(tmp_path, "ff00ff00ff00")
    aggregate_meeting(tmp_path)
    for name in ("headline", "overview", "speakers", "mix"):
        told = crowdmood.ask(name, tmp_path).to_pylist()
        assert [row for row in told if row["run"] == RUN] == run.ask(name).to_pylist()
        assert [row for row in told if row["run"] != RUN] == Run("ff00ff00ff00", tmp_path).ask(name).to_pylist()
    assert {row["run"] for row in crowdmood.ask("persons", tmp_path).to_pylist()} == {"ff00ff00ff00"}
    few = crowdmood.ask("headline", tmp_path, min_persons=9).to_pylist()
    assert len(few) > 20 and all(row["few"] for row in few)


def test_counts_of_fewer_than_five_are_hidden(run, full):
    assert {row["expression"]: row["persons"] for row in full.ask("mix").to_pylist()}["sad"] == 0
    told = {row["expression"]: row for row in run.ask("mix").to_pylist()}
    assert told["sad"]["persons"] is told["sad"]["faces"] is None and told["sad"]["share"] == pytest.approx(0.0156, abs=1e-3)
    assert told["happy"]["persons"] == PERSONS


@pytest.mark.parametrize("name", sorted(shipped_reports()))
def test_each_report_answers_or_says_in_a_sentence_that_it_needs_persons(run, name):
    report = shipped_reports()[name]
    given = {"segments": {"segments": [{"name": "a", "start_s": 0.0, "end_s": 9.0}]}}.get(name, {})
    if name in KEPT or name in ("minutes", "dictionary"):
        assert run.ask(name, **given).num_rows > 0
        return
    with pytest.raises(ResultsError, match=f"--aggregate-only and keeps no persons, which the report '{report.name}' needs") as error:
        run.ask(name, **given)
    assert "\n" not in str(error.value)


def test_a_kept_report_cannot_be_asked_anew(run):
    with pytest.raises(ResultsError, match="as it was made then, with --every 30, and no persons to ask it anew"):
        run.ask("engagement", every=10)


def test_the_minutes_count_only_what_they_may(run, full):
    for one, other in zip(run.ask("minutes").to_pylist(), full.ask("minutes").to_pylist(), strict=True):
        assert one["happy"] == pytest.approx(other["happy"], abs=0.01) and one["usable_faces"] == other["usable_faces"]


def test_all_that_shows_persons_refuses(run, tmp_path):
    for act in (lambda: moments.find_moments(run), lambda: moments.find_moments(run, "all:happy"), lambda: exports.export(run, "csv", tmp_path / "a.csv"),
                lambda: exports.export(run, "vtt", tmp_path / "a.vtt"), lambda: exports.export(run, "json", tmp_path / "a", table="persons"),
                lambda: render(run, tmp_path / "a.mp4"), lambda: traces(run, [1])):
        with pytest.raises(ResultsError, match="--aggregate-only and keeps no persons") as error:
            act()
        assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    exports.export(run, "csv", tmp_path / "seconds.csv", table="timeline")
    assert "person," not in (tmp_path / "seconds.csv").read_text().splitlines()[0]
    assert thumbnails(run, run.ask("moments").to_pylist(), show_faces=True) == ({}, "the run keeps no persons, and no pictures of any are made")


def test_the_page_shows_what_is_kept(run, index):
    page, told = Page(index), figures(run)
    assert page.open == [] and page.wrong == [] and told["persons"] == [] and len(told["heat"]) == 0
    second = next(row for row in meeting(run)["speakers"] if row["speaker"] == 2)
    for words in ("analyzed with --aggregate-only", f"Speaker 2 +{second['positivity']:.2f}", "After questions", "no pictures of any are made",
                  "Hatched: no usable face, or fewer than five persons", "gallery, 7 of 9 cameras on"):
        assert words in page.text, words
    assert "Who was in the picture" not in page.text and "Own face" not in page.text
    assert summary(run)["happiest"]["persons"] >= LEAST and summary(run)["mix"]["happy"] is not None


def test_fewer_than_five_persons_leave_nothing(tmp_path):
    aggregate_meeting(tmp_path, persons=3)
    run = Run(RUN, tmp_path)
    assert run.sql("SELECT count(*) AS n FROM aggregates")["n"].to_pylist() == [0]
    assert run.sql("SELECT count(happy) + count(positivity) AS n FROM frames")["n"].to_pylist() == [0]
    page = Page(build_report(run))
    assert "Fewer than five persons." in page.text and "3 persons" not in page.text and page.wrong == []
    assert summary(run)["happiest"] is None


def test_killed_at_any_step_it_is_done_again_and_gives_the_same(tmp_path, run, monkeypatch):
    """A process that ends within the block, and one that ends before the row says complete."""
    links = make_meeting_parts(tmp_path, options={"imgsz": 640, **OPTIONS}, context="research")
    with pytest.raises(KeyboardInterrupt), aggregate.place(tmp_path, RUN, True) as place:
        complete_meeting(place, RUN, PERSONS, links)
        raise KeyboardInterrupt
    assert tables.part_numbers(tmp_path, "faces", RUN) == tables.part_numbers(tmp_path, "frames", RUN) and not staging.staged(tmp_path, RUN).exists()
    assert tables.read_run(tmp_path, RUN)["status"] == "running" and Run(RUN, tmp_path).sql("SELECT count(person) AS n FROM faces")["n"].to_pylist() == [0]
    script = f"""
import os
from pathlib import Path
from crowdmood import aggregate, tables
from tests.made_meetings import PERSONS, _faces, complete_meeting
from crowdmood.persons import Links
import numpy as np
faces, person = _faces(PERSONS)
tables.remove_parts = lambda *_: os._exit(9) if _[0] == results else None
results = Path({str(tmp_path)!r})
with aggregate.place(results, {RUN!r}, True) as place:
    complete_meeting(place, {RUN!r}, PERSONS, Links(person, person, np.zeros(240, bool)))
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert killed.returncode == 9 and staging.staged(tmp_path, RUN).exists()
    tables.write_run(tmp_path, tables.read_run(tmp_path, RUN) | {"status": "running"})
    with aggregate.place(tmp_path, RUN, True) as place:
        complete_meeting(place, RUN, PERSONS, links)
    assert not staging.staged(tmp_path, RUN).exists()
    assert len(Run(RUN, tmp_path).sql("FROM aggregates")) == len(run.sql("FROM aggregates"))
    for table in ("faces", "frames", "persons", "timeline"):
        ours, theirs = (tables.table_path(one, table, RUN) for one in (tmp_path, run.results))
        assert ours.read_bytes() == theirs.read_bytes(), table


def test_without_links_between_files_parts_are_copied(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError("no hard links here")

    links = make_meeting_parts(tmp_path, persons=5, options=OPTIONS)
    before = [path.read_bytes() for path in sorted(tmp_path.rglob("part-*"))]
    monkeypatch.setattr(os, "link", refused)
    with aggregate.place(tmp_path, RUN, True) as place:
        assert [path.read_bytes() for path in sorted(place.rglob("part-*"))] == before
        complete_meeting(place, RUN, 5, links)
    assert Run(RUN, tmp_path).info["status"] == "complete" and not list(tmp_path.rglob("part-*"))


def test_a_film_is_linked_where_it_is(tmp_path):
    with aggregate.place(tmp_path, RUN, False) as place:
        assert place == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_recording_is_analyzed_so_from_beginning_to_end(tmp_path):
    """A generated meeting of seven with transcript and timeline, whose drawn faces are found and sometimes read."""
    make(Spec(seed=3, people=7, seconds=10, events=0, off=0, size=(960, 540)), tmp_path / "meeting")
    run = crowdmood.analyze(tmp_path / "meeting", results=tmp_path / "results", aggregate_only=True, context="event", sample_fps=1, threads=1)
    assert (run.info["status"], run.info["layout"], run.info["context"]) == ("complete", "meeting", "event")
    assert run.ask("layouts").to_pylist()[0]["tiles"] == 7 and run.info["persons"] == 7
    assert {row["measure"]: row["persons"] for row in run.ask("headline").to_pylist()}["presence"] == 7
    assert len(run.faces) == len(run.persons) == 0
    of_run = {path.relative_to(tmp_path / "results").parts[0] for path in (tmp_path / "results").rglob("*.parquet") if run.id in str(path)}
    assert of_run == {"aggregates", "faces", "frames", "persons", "runs", "timeline"}
