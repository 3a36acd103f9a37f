"""SQL in the browser: an editor beside the tables, shipped reports as buttons, answers as table, chart and file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from crowdmood.answer_pages import text_of
from crowdmood.errors import CrowdmoodError, told
from crowdmood.results import list_runs
from crowdmood.sql_reports import SqlReport, shipped_reports
from crowdmood.web.questions import operations as query_operations
from crowdmood.web.questions.operations import LONGEST, asked_file, described_tables
from crowdmood.web.questions.processes import Question, Questions
from crowdmood.web.refusals import NotFound, Refusal
from crowdmood.web.results.found_runs import PATTERN
from crowdmood.web.web_pages import page

LONGEST_CELL = 300  # letters shown of a value
ROWS = 1000
EXAMPLES = (
    ("The happiest seconds", "SELECT recording, second, happy, usable_faces\nFROM timeline JOIN runs USING (run)\nWHERE usable_faces >= 5\nORDER BY happy DESC\nLIMIT 10"),
    ("Expressions over time", "SELECT second, happy, surprise, neutral, sad, fear, disgust, angry\nFROM timeline\nORDER BY second"),
    ("Who smiles most", "SELECT person, happy, positivity, seen_s\nFROM persons\nWHERE usable_frames > 10\nORDER BY happy DESC\nLIMIT 20"),
    ("Runs", "SELECT recording, started, duration_s, faces, persons\nFROM runs\nORDER BY started DESC"),
)
router = APIRouter()
router.include_router(query_operations.router)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Questions wait for their places here."""
    app.state.questions = Questions(app.state.settings)
    yield


@router.get("/sql", include_in_schema=False)
def sql_page(request: Request, run: Annotated[str, Query(pattern=f"^({PATTERN})?$")] = "", query: Annotated[str, Query(max_length=LONGEST)] = "",
             report: Annotated[str, Query(max_length=100)] = "") -> HTMLResponse:
    """The page: with a query or a report's form filled in, and one run chosen, where the address says so."""
    return _whole(request, Question(query, report, run=run))


@router.get("/sql/reports/{name}", include_in_schema=False)
def report_form(request: Request, name: str) -> HTMLResponse:
    """The form of a report: what it tells, its parameters, its SQL."""
    return page(request, "sql_report.html.j2", chosen=_report(name))


def _question(run: Annotated[str, Form(pattern=f"^({PATTERN})?$")] = "", query: Annotated[str, Form(max_length=LONGEST)] = "",
              name: Annotated[str, Form(max_length=100)] = "") -> Question:
    return Question(query, name, run=run)


async def _asked(request: Request, question: Annotated[Question, Depends(_question)]) -> Question:
    """What a form of the page asks. The parameters of a report are its fields that begin with p_; one that is left empty has its default."""
    form = await request.form(max_files=0)
    given = {key.removeprefix("p_"): value for key, value in form.items() if key.startswith("p_") and isinstance(value, str) and value.strip()}
    return Question(question.query, question.name, given, question.run)


Asked = Annotated[Question, Depends(_asked)]


@router.post("/sql/answer", include_in_schema=False)
async def answer(request: Request, question: Asked) -> HTMLResponse:
    """The answer as a part of the page, or with the whole page where no script asks; a sentence where there is none."""
    questions: Questions = request.app.state.questions
    shown = Question(question.query, question.name, question.values, question.run, rows=ROWS, chart=True)
    try:
        said = await questions.shown(shown)
    except Refusal:
        raise
    except CrowdmoodError as error:
        values: dict[str, Any] = {"error": told(error)}
    else:
        values = {"error": None, "title": _report(question.name).title if question.name else "Answer", **_readable(said, question)}
    if "hx-request" in request.headers:
        return page(request, "sql_answer.html.j2", question=question, **values)
    return await asyncio.to_thread(_whole, request, question, values)


@router.post("/sql/file/{form}", include_in_schema=False)
async def answer_file(request: Request, question: Asked, form: str) -> Response:
    """The whole answer as a file."""
    if form not in ("csv", "json", "parquet"):
        raise NotFound("Answers are given as csv, json or parquet.")
    return await asked_file(request, Question(question.query, question.name, question.values, question.run, form, query_operations.FILE_ROWS))


def _whole(request: Request, question: Question, answer: dict[str, Any] | None = None) -> HTMLResponse:
    """The page with what was asked, and the answer where there is one."""
    runs = [row for row in reversed(list_runs(request.app.state.settings.results)) if row["status"] == "complete"]
    return page(request, "sql.html.j2", runs=runs, run=question.run, query=question.query, question=question, reports=list(shipped_reports().values()),
                examples=EXAMPLES, tables=described_tables(), chosen=_report(question.name) if question.name else None,
                limits=request.app.state.settings, answered=answer is not None, **answer or {})


def _report(name: str) -> SqlReport:
    reports = shipped_reports()
    if name not in reports:
        raise NotFound(f"There is no report called {name}.")
    return reports[name]


def _readable(said: dict[str, Any], question: Question) -> dict[str, Any]:
    """An answer as people read it. columns: name, type, whether it is a number; rows: texts."""
    columns = [column | {"number": column["type"].startswith(("int", "uint", "float", "double", "decimal"))} for column in said["columns"]]
    hidden = {"run"} if question.name and question.run else set()  # it is the same in all rows of a report of one run
    rows = [[_cut(text_of(column["name"], value)) for column, value in zip(columns, row, strict=True) if column["name"] not in hidden]
            for row in said["rows"]]
    columns = [column for column in columns if column["name"] not in hidden]
    return {"columns": columns, "rows": rows, "more": said["more"], "chart": Markup(said["chart"] or "")}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL - 1] + "…"


