"""The walk through the results runs, and what it shows is what SQL says; and so does the Python interface it uses."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import crowdmood
from crowdmood.errors import ResultsError
from crowdmood.labels import EXPRESSIONS
from tests.made_runs import FRAMES, RUN, make_parts, make_run

WALK = Path(__file__).resolve().parents[1] / "docs" / "walkthrough.py"
OTHER = "ff12cd34ef56"


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> dict:
    """Everything the notebook has defined after it was run on the demo clip, as a user runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("walk")))
        patch.setattr("sys.argv", [str(WALK)])
        patch.setenv("MPLBACKEND", "agg")
        spec = importlib.util.spec_from_file_location("walkthrough", WALK)
        notebook = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(notebook)
        return notebook.app.run()[1]


@pytest.mark.slow
def test_the_walk_shows_what_sql_says(walked):
    run = walked["run"]
    best = run.sql("""SELECT second, happy FROM timeline
                      WHERE usable_faces >= (SELECT median(usable_faces) / 2 FROM timeline) ORDER BY happy DESC LIMIT 3""")
    assert walked["happiest"].second.tolist() == best["second"].to_pylist()
    persons = run.sql("SELECT person, usable_frames, happy, neutral FROM persons WHERE usable_frames > 0 ORDER BY happy DESC")
    assert walked["persons"]["person"].to_list() == persons["person"].to_pylist()
    assert walked["persons"]["usable_faces"].to_list() == persons["usable_frames"].to_pylist()
    assert walked["persons"]["happy"].to_list() == pytest.approx(persons["happy"].to_pylist(), rel=1e-5)
    assert walked["coverage"] == run.sql("SELECT avg(usable::INTEGER) AS x FROM faces")["x"][0].as_py()
    assert walked["largest"] == run.sql("SELECT max(size_px) AS x FROM faces")["x"][0].as_py()
    counts = run.sql("SELECT expression, count(*) AS faces FROM faces GROUP BY ALL ORDER BY ALL").to_pandas()
    pd.testing.assert_frame_equal(walked["by_expression"], counts, check_dtype=False)


@pytest.mark.slow
def test_the_walk_asks_reports_and_all_runs(walked):
    run, reaction = walked["run"], walked["reaction"].set_index("expression")
    assert set(reaction.index) == set(EXPRESSIONS)
    after = run.sql("SELECT avg(happy) AS x FROM faces WHERE usable AND time_s >= 6 AND time_s < 10")["x"][0].as_py()
    assert reaction.after["happy"] == pytest.approx(after)
    assert walked["recordings"].to_pylist()[0]["seconds"] == len(walked["timeline"]) == 12


@pytest.mark.slow
def test_the_chart_is_the_timeline(walked):
    names = [text.get_text() for text in walked["axes"].get_legend().get_texts()]
    assert sorted(names) == sorted(EXPRESSIONS)
    top = walked["axes"].collections[-1].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(1, abs=1e-3)
    happy = walked["axes"].collections[0].get_paths()[0].vertices[:, 1].max()
    assert happy == pytest.approx(walked["timeline"].happy.max(), abs=1e-6)


@pytest.mark.slow
def test_the_walk_exports_cues(walked):
    import webvtt

    assert len(webvtt.read(walked["moods"]).captions) >= 2


def test_the_notebook_is_sound():
    ended = subprocess.run([sys.executable, "-m", "marimo", "check", "--strict", str(WALK)], capture_output=True, text=True,
                           check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_the_notebook_becomes_a_page(clip, tmp_path):
    words = ["export", "html", str(WALK), "-o", str(tmp_path / "walk.html"), "--", "--recording", str(clip)]
    ended = subprocess.run([sys.executable, "-m", "marimo", *words], capture_output=True, text=True, check=False,
                           env=os.environ | {"TMPDIR": str(tmp_path)})
    assert ended.returncode == 0, ended.stderr
    page = (tmp_path / "walk.html").read_text(encoding="utf-8")
    for text in ("A walk through the results", "image/png", "WEBVTT", "liveliest"):
        assert text in page
    assert "vnd.marimo+error" not in page


def test_a_run_answers_reports(tmp_path):
    make_run(tmp_path)
    make_run(tmp_path, OTHER, seed=1)
    run = crowdmood.open_run(RUN, tmp_path)
    rows = run.ask("reaction", at="0:03", window=2).to_pylist()
    assert {row["run"] for row in rows} == {RUN}
    expected = run.sql("SELECT avg(happy) AS x FROM faces WHERE usable AND time_s >= 3 AND time_s < 5")["x"][0].as_py()
    assert next(row["after"] for row in rows if row["expression"] == "happy") == pytest.approx(expected)
    assert run.ask("reaction", at=3, window=2.0) == run.ask("reaction", at="3", window="2")
    everywhere = crowdmood.ask("reaction", tmp_path, at="0:03", window=2).to_pylist()
    assert {row["run"] for row in everywhere} == {RUN, OTHER}


def test_a_users_own_sql_file_is_a_report(tmp_path):
    make_run(tmp_path)
    (tmp_path / "mine.sql").write_text("-- parameter after: time: when\nSELECT count(*) AS n FROM frames WHERE time_s >= $after")
    run = crowdmood.open_run(RUN, tmp_path)
    assert run.ask(str(tmp_path / "mine.sql"), after="0:02")["n"].to_pylist() == [FRAMES - 10]


def test_wrong_reports_are_one_sentence(tmp_path):
    make_run(tmp_path)
    run = crowdmood.open_run(RUN, tmp_path)
    with pytest.raises(ResultsError, match="no report is called 'mood'; known: "):
        run.ask("mood")
    with pytest.raises(ResultsError, match="has no parameter --att"):
        crowdmood.ask("reaction", tmp_path, att=3)


def test_all_runs_can_be_asked_and_listed(tmp_path, monkeypatch):
    make_run(tmp_path)
    make_parts(tmp_path, OTHER)
    assert crowdmood.runs(tmp_path) == [crowdmood.open_run(RUN, tmp_path), crowdmood.open_run(OTHER, tmp_path)]
    counts = crowdmood.sql("SELECT run, count(*) AS n FROM frames GROUP BY run ORDER BY run", tmp_path)
    assert counts.to_pylist() == [{"run": RUN, "n": FRAMES}, {"run": OTHER, "n": FRAMES}]
    monkeypatch.setenv("CROWDMOOD_RESULTS", str(tmp_path))
    assert crowdmood.sql("SELECT count(*) AS n FROM runs")["n"].to_pylist() == [2]
    with pytest.raises(ResultsError):
        crowdmood.sql("DROP TABLE runs")


def test_a_run_is_exported_from_python(tmp_path):
    make_run(tmp_path)
    crowdmood.export(crowdmood.open_run(RUN, tmp_path), "json", tmp_path / "persons.json", table="persons")
    assert [row["person"] for row in json.loads((tmp_path / "persons.json").read_text())] == [1, 2, 3]
