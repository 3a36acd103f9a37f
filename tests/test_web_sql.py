"""SQL over the web: right answers, sentences for wrong questions, and nothing that a question can do to the server."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crowdmood import catalog
from crowdmood.errors import ResultsError
from crowdmood.results import Run
from crowdmood.schemas import TABLES
from crowdmood.sql_reports import shipped_reports
from crowdmood.web.questions.chosen_chart import chosen_plot
from crowdmood.web.questions.processes import Question, Questions
from crowdmood.web.refusals import Busy
from crowdmood.web.settings import WebSettings
from tests.made_runs import RUN, make_run
from tests.web_server import serving

OTHER = "bbbbbbbbbbbb"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("asked") / "results"
    make_run(folder)
    make_run(folder, OTHER, seed=2)
    catalog.refresh(folder)
    (folder.parent / "secret.csv").write_text("word\nhush-hush\n")
    return folder


@pytest.fixture(scope="module")
def server(results):
    with serving(results) as one:
        yield one
        assert "Traceback" not in one.log.read_text()


@pytest.fixture(scope="module")
def client(server):
    with server.program() as one:
        yield one


def asked(client, query, **more):
    return client.post("/api/sql", json={"query": query} | more)


def test_an_answer_has_columns_rows_and_says_when_there_are_more(client, results):
    answer = asked(client, "SELECT second, happy, 'ä' AS text, TIMESTAMP '2026-01-02' AS day FROM timeline ORDER BY second", run=RUN, rows=3).json()
    expected = Run(RUN, results).timeline
    assert [column["name"] for column in answer["columns"]] == ["second", "happy", "text", "day"] and answer["columns"][0]["type"] == "int32"
    assert [row[0] for row in answer["rows"]] == expected["second"].to_pylist()[:3] and answer["more"]
    assert answer["rows"][0][1] == pytest.approx(expected["happy"][0].as_py(), abs=1e-6) and answer["rows"][0][2:] == ["ä", "2026-01-02T00:00:00"]
    counts = asked(client, "SELECT count(*), count(DISTINCT run) FROM timeline").json()
    assert counts["rows"] == [[2 * len(expected), 2]] and not counts["more"]


@pytest.mark.parametrize(("form", "read"), [("csv", lambda answer: [int(row["second"]) for row in csv.DictReader(io.StringIO(answer.text))]),
                                            ("parquet", lambda answer: pq.read_table(io.BytesIO(answer.content))["second"].to_pylist())])
def test_files_have_all_rows(client, results, form, read):
    answer = asked(client, "SELECT second FROM timeline ORDER BY second", run=RUN, rows=1, format=form)
    assert read(answer) == Run(RUN, results).timeline["second"].to_pylist()
    assert answer.headers["content-disposition"] == f'attachment; filename="answer.{form}"'


@pytest.mark.parametrize(("query", "words"), [
    ("SELECT nonsense FROM timeline", "nonsense"),
    ("SELEC 1", "syntax error"),
    ("CREATE TABLE t AS SELECT 1", "only one query that reads"),
    ("SELECT 1; SELECT 2", "only one query that reads"),
    ("COPY runs TO 'stolen.csv'", "only one query that reads"),
    ("SELECT * FROM read_text('/etc/passwd')", "only files in the results folder"),
    ("SELECT * FROM '../secret.csv'", "only files in the results folder"),
    ("SELECT repeat('x', 1000000) FROM range(100000)", ""),
    ("   ", "empty"),
])
def test_what_is_wrong_is_a_sentence(client, query, words):
    answer = asked(client, query)
    assert answer.status_code == 400 and words in answer.json()["error"] and "Traceback" not in answer.text and "hush" not in answer.text
    assert "--" not in answer.json()["error"]  # no options of the command line


def test_a_query_that_takes_too_long_or_too_much_is_ended(results):
    questions = Questions(WebSettings(results, query_s=1.0))
    for query, words in (("SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3", "longer than 1 s"),):
        with pytest.raises(ResultsError, match=words):
            asyncio.run(questions.shown(Question(query)))
    assert asyncio.run(questions.shown(Question("SELECT 1 AS one")))["rows"] == [[1]]


def test_memory_of_a_question_is_limited(results):
    questions = Questions(WebSettings(results, queries=64))
    with pytest.raises(ResultsError, match="(?i)memory"):
        asyncio.run(questions.shown(Question("SELECT sum(len(x)) FROM (SELECT repeat('x', 2000000000) AS x FROM range(40))")))


def test_few_are_answered_at_a_time_and_others_are_sent_away(results):
    async def ask():
        questions = Questions(WebSettings(results, queries=1, query_queue=1))
        answers = [asyncio.ensure_future(questions.shown(Question("SELECT 1"))) for _ in range(3)]
        return await asyncio.gather(*answers, return_exceptions=True)

    first, second, third = asyncio.run(ask())
    assert first["rows"] == second["rows"] == [[1]] and isinstance(third, Busy)


def test_no_answer_is_left_behind(results, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    questions = Questions(WebSettings(results))
    asyncio.run(questions.shown(Question("SELECT 1")))
    with pytest.raises(ResultsError):
        asyncio.run(questions.shown(Question("SELECT")))
    assert not list(tmp_path.glob("crowdmood-answer-*"))


def test_tables_and_reports_are_described(client):
    tables = {table["name"]: table for table in client.get("/api/tables").json()}
    assert set(tables) == set(TABLES) and {"name": "second", "type": "INTEGER", "unit": "s"}.items() <= tables["timeline"]["columns"][1].items()
    reports = {report["name"]: report for report in client.get("/api/reports").json()}
    assert set(reports) == set(shipped_reports()) and reports["reaction"]["parameters"][0]["kind"] == "time"


def test_reports_are_answered_as_by_the_command(client, results):
    answer = client.post("/api/reports/mix", json={"run": RUN}).json()
    assert [row[1] for row in answer["rows"]] == Run(RUN, results).ask("mix")["expression"].to_pylist()
    reaction = client.post("/api/reports/reaction", json={"run": RUN, "values": {"at": "0:03", "window": "2"}}).json()
    assert len(reaction["rows"]) == len(Run(RUN, results).ask("reaction", at=3.0, window=2.0))
    text = "name,start,end\nfirst,0:00,0:03\nsecond,0:03,0:06\n"
    segments = client.post("/api/reports/segments", json={"run": RUN, "values": {"segments": text}}).json()
    assert {row[[one["name"] for one in segments["columns"]].index("segment")] for row in segments["rows"]} == {"first", "second"}


@pytest.mark.parametrize(("name", "values", "status", "words"), [
    ("nosuch", {}, 404, "no report called nosuch"),
    ("..%2Fparts%2Fwindows", {}, 404, ""),
    ("reaction", {"at": "noon"}, 400, "noon"),
    ("reaction", {"nosuch": "1"}, 400, "no parameter"),
    ("segments", {"segments": "../secret.csv"}, 400, "the column name is missing"),
    ("heat", {"steps": "many"}, 400, "steps many"),
])
def test_wrong_questions_to_reports(client, name, values, status, words):
    answer = client.post(f"/api/reports/{name}", json={"run": RUN, "values": values})
    assert answer.status_code == status and words in answer.json()["error"] and "hush" not in answer.text and "--" not in answer.text


def test_the_page_works_without_scripts(server):
    with server.visitor() as visitor:
        page = visitor.get("/sql", params={"run": RUN, "query": "SELECT 42 AS answer"})
        assert "SELECT 42 AS answer" in page.text and f'value="{RUN}" selected' in page.text
        proof = visitor.headers.pop("X-CSRF-Token")
        answer = visitor.post("/sql/answer", data={"csrf": proof, "query": "SELECT 42 AS answer, '<b>' AS bold", "run": ""})
        assert answer.status_code == 200 and "<!doctype html>" in answer.text and ">42</td>" in answer.text and "&lt;b&gt;" in answer.text
        wrong = visitor.post("/sql/answer", data={"csrf": proof, "query": "SELECT x"})
        assert 'role="alert"' in wrong.text and "Binder Error" in wrong.text
        file = visitor.post("/sql/file/csv", data={"csrf": proof, "name": "mix", "run": RUN})
        assert file.text.startswith("run,expression,share")
        assert visitor.post("/sql/file/exe", data={"csrf": proof, "query": "SELECT 1"}).status_code == 404
        assert visitor.post("/sql/answer", data={"query": "SELECT 1"}).status_code == 403


EXPRESSIONS = ("happy", "surprise", "neutral", "sad", "fear", "disgust", "angry")


@pytest.mark.parametrize(("columns", "plot"), [
    ({"second": [0, 1, 2], "happy": [0.1, 0.2, 0.3], "sad": [0.1, 0.1, 0.1]}, "line second happy sad"),
    ({"second": [0, 1, 2], "happy": [0.1, 0.2, 0.3], "faces": [400, 500, 600]}, "line second happy"),
    ({"second": [0, 1, 2]} | {name: [0.1, 0.2, 0.3] for name in EXPRESSIONS}, "stack second " + " ".join(EXPRESSIONS)),
    ({"recording": ["a", "b"], "persons": [3, 9]}, "bar recording persons"),
    ({"person": [3, 1, 2], "happy": [0.9, 0.2, 0.1]}, "bar person happy"),
    ({"second": [0, 0, 1, 1], "person": [1, 2, 1, 2], "happy": [0.1, 0.2, 0.3, 0.4]}, "heat second person happy"),
    ({"recording": ["a", "a"], "persons": [3, 9]}, ""),
    ({"persons": [3]}, ""),
    ({"recording": ["a", "b"]}, ""),
    ({"second": [], "happy": []}, ""),
    ({"second": [0, None, 2], "happy": [0.1, None, 0.3]}, ""),
    ({"recording": ["a", "b"], "faces": [1.0, float("inf")]}, ""),
    ({"list": [[1], [2]], "faces": [1, 2]}, ""),
    ({"list": [[1], [2]], "recording": ["a", "b"], "faces": [1, 2]}, "bar recording faces"),
])
def test_what_is_drawn(columns, plot):
    assert chosen_plot(pa.table(columns)) == plot
