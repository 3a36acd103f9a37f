"""SQL reports: headings, parameters, answers; and how they are drawn and laid out as pages."""

from __future__ import annotations

import itertools
import re

import pytest

from crowdmood import catalog
from crowdmood.answer_pages import write_page, write_picture
from crowdmood.charts import chart, plot_of
from crowdmood.errors import ResultsError
from crowdmood.labels import EXPRESSIONS
from crowdmood.results import Run
from crowdmood.sql_reports import find_report, report_sql, shipped_reports
from tests.big_runs import BIG, make_big_run
from tests.made_runs import RUN, make_run
from tests.pages import Page, coloured, picture

GIVEN = {"segments": {"segments": [{"name": "First", "start_s": 0.0, "end_s": 3.0}, {"name": "Then", "start_s": 3.0, "end_s": 5.0}]},
         "reaction": {"at": "0:03"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    results = tmp_path_factory.mktemp("results")
    make_run(results)
    return Run(RUN, results)


@pytest.mark.parametrize("name", sorted(shipped_reports()))
def test_every_report_has_a_heading_and_answers_over_many_runs(name, tmp_path):
    title, description = shipped_reports()[name].title, shipped_reports()[name].description
    assert title and len(description) > 40 and "--" not in description
    make_run(tmp_path)
    make_run(tmp_path, "ff00ff00ff00", seed=5)
    values = shipped_reports()[name].values(GIVEN.get(name, {}))
    both = catalog.fetch(tmp_path, report_sql(name), None, values).to_pylist()
    if both and "run" not in both[0]:  # about all runs together, or about none
        return
    apart = [row for one in (RUN, "ff00ff00ff00") for row in catalog.fetch(tmp_path, report_sql(name), one, values).to_pylist()]
    if name == "compare":  # the best run first
        both, apart = (sorted(rows, key=lambda row: row["run"]) for rows in (both, apart))
    for one, other in itertools.zip_longest(both, apart):
        assert {key: pytest.approx(value) if isinstance(value, float) else value for key, value in other.items()} == one


def test_a_report_on_a_folder_without_runs_is_empty(tmp_path):
    rows = {name: catalog.fetch(tmp_path, one.sql, None, one.values(GIVEN.get(name, {}))).num_rows for name, one in shipped_reports().items()}
    assert {name for name, count in rows.items() if count} == {"dictionary"}


def answer(run, name: str, **given: str) -> list[dict]:
    report = find_report(name)
    return catalog.fetch(run.results, report.sql, run.id, report.values(given)).to_pylist()


def test_parameters_are_typed_bound_and_have_defaults(run):
    whole = {row["expression"]: row for row in answer(run, "reaction", at="0:02", window="2")}
    assert set(whole) == set(EXPRESSIONS)
    before, after = (run.sql(f"SELECT avg(happy) AS m, count(*) AS n FROM faces WHERE usable AND time_s >= {low} AND "
                             f"time_s < {low + 2}").to_pylist()[0] for low in (0, 2))
    assert whole["happy"]["before"] == pytest.approx(before["m"]) and whole["happy"]["after"] == pytest.approx(after["m"])
    assert (whole["happy"]["faces_before"], whole["happy"]["faces_after"]) == (before["n"], after["n"])
    assert len(answer(run, "minutes", step="1")) > len(answer(run, "minutes")) == 1


@pytest.mark.parametrize(("given", "words"), [
    ({"till": "3"}, "has no parameter --till; it has: --at, --window"),
    ({"at": "soon"}, "--at soon: needs a value of the kind 'time'"),
    ({"window": "1) OR (1=1"}, "needs a value of the kind 'number'"),
])
def test_wrong_parameters_are_one_sentence(run, given, words):
    with pytest.raises(ResultsError, match=re.escape(words)):
        answer(run, "reaction", **given)


def test_an_own_sql_file_is_a_report(run, tmp_path):
    mine = tmp_path / "mine.sql"
    mine.write_text("-- title: Mine\n-- description: Faces after\n-- an instant.\n-- parameter at: time: when\n"
                    "-- parameter word: text = it's: any\nSELECT count(*) AS n, $word AS word FROM faces WHERE time_s >= $at\n")
    report = find_report(str(mine))
    assert (report.title, report.description, len(report.parameters)) == ("Mine", "Faces after an instant.", 2)
    assert answer(run, str(mine), at="1:00", word="'; DROP TABLE x") == [{"n": 0, "word": "'; DROP TABLE x"}]
    with pytest.raises(ResultsError, match=r"needs --at \(when\)"):
        answer(run, str(mine))
    mine.write_text("-- parameter at: moment: when\nSELECT 1")
    with pytest.raises(ResultsError, match="is not of the form 'parameter NAME: KIND"):
        find_report(str(mine))


def test_spells_that_a_short_one_parted_are_one(run):
    rows = answer(run, "transitions", least="0")
    assert all(row["expression"] != row["next"] and row["persons"] >= 1 for row in rows)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> Run:
    """Twelve persons over four minutes, so that every report has rows."""
    results = tmp_path_factory.mktemp("crowd")
    make_big_run(results, 12, 240, 2)
    return Run(BIG, results)


@pytest.mark.parametrize("name", sorted(name for name, one in shipped_reports().items() if one.plot))
def test_every_plot_line_draws_a_picture_and_a_page(crowd, name, tmp_path):
    report = shipped_reports()[name]
    values = report.values(GIVEN.get(name, {}))
    rows = catalog.fetch(crowd.results, report.sql, crowd.id, values)
    if not len(rows):
        pytest.skip(f"{name} has no rows here")
    write_picture(report, rows, tmp_path / "one.png")
    write_picture(report, rows, tmp_path / "one.svg")
    write_picture(report, rows, tmp_path / "two.svg")
    pixels = picture(tmp_path / "one.png")
    assert pixels.shape == (900, 1600, 3) and len({tuple(colour) for colour in pixels[::9, ::9].reshape(-1, 3)}) > 8
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    write_page(report, values, rows, tmp_path / "one.html")
    page = Page(tmp_path / "one.html")
    assert page.wrong == [] and page.open == [] and report.title in page.text
    assert sum(tag == "tr" for tag, _ in page.elements) == 1 + min(len(rows), 1000)
    assert any(tag == "svg" for tag, _ in page.elements)


def test_a_stack_is_as_high_as_the_shares(crowd, tmp_path):
    report = find_report("compare")
    rows = catalog.fetch(crowd.results, report.sql, crowd.id, None)
    write_picture(report, rows, tmp_path / "compare.png")
    areas = {name: coloured(picture(tmp_path / "compare.png"), name) for name in EXPRESSIONS}
    shares = {name: rows[name][0].as_py() for name in EXPRESSIONS}
    for name in EXPRESSIONS:
        assert areas[name] / sum(areas.values()) == pytest.approx(shares[name], abs=0.01), name


@pytest.mark.parametrize(("plot", "words"), [
    ("pie a b", "is not of the form line|stack X Y"), ("bar a", "is not of the form"), ("heat a b", "is not of the form"),
    ("line n missing", "the column 'missing' of its plot line is not in its answer")])
def test_a_wrong_plot_line_is_one_sentence(run, plot, words, tmp_path):
    (tmp_path / "mine.sql").write_text(f"-- title: Mine\n-- plot: {plot}\nSELECT 1 AS n, 2 AS m")
    report = find_report(str(tmp_path / "mine.sql"))
    with pytest.raises(ResultsError, match=re.escape(words)):
        chart(report, catalog.fetch(run.results, report.sql))


def test_what_is_not_drawn_is_said(run, tmp_path):
    report = find_report("dictionary")
    assert plot_of(report) is None
    rows = catalog.fetch(run.results, report.sql)
    with pytest.raises(ResultsError, match="has no '-- plot:' line, so it is not drawn; --html writes its table"):
        write_picture(report, rows, tmp_path / "x.png")
    with pytest.raises(ResultsError, match="ends with .png or .svg"):
        write_picture(report, rows, tmp_path / "x.gif")
    write_page(report, {}, rows, tmp_path / "x.html")
    assert "Data dictionary" in Page(tmp_path / "x.html").text
