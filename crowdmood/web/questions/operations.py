"""Operations on tables, reports and SQL, for programs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi import Path as InAddress
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from crowdmood.schemas import TABLES
from crowdmood.sql_reports import SqlReport, shipped_reports
from crowdmood.views import sql_type
from crowdmood.web.questions.processes import FILE_ROWS, Question, Questions
from crowdmood.web.refusals import NotFound
from crowdmood.web.results.found_runs import PATTERN

LONGEST = 100_000  # letters of a query
KINDS = {"csv": "text/csv", "json": "application/json", "parquet": "application/vnd.apache.parquet"}
router = APIRouter(prefix="/api", tags=["sql"])
Form = Literal["rows", "csv", "json", "parquet"]
RunChoice = Annotated[str, Field(pattern=f"^({PATTERN})?$", description="A run's id: the tables are that run's alone. Empty: all runs.")]
Rows = Annotated[int, Field(ge=1, le=10_000, description="So many rows at most, where the format is rows; files have all.")]
AsForm = Annotated[Form, Field(description="rows: columns and rows, to be shown; csv, json or parquet: the whole answer as a file.")]


class Column(BaseModel):
    """A column of a table."""

    name: str
    type: str = Field(description="Its type in SQL.")
    unit: str = Field(description="Unit or range; empty where there is none.")
    meaning: str


class Table(BaseModel):
    """A table, and what is in it."""

    name: str
    meaning: str
    columns: list[Column]


class ReportParameter(BaseModel):
    """What can be asked of a report."""

    name: str
    kind: str = Field(description="time (seconds or minutes:seconds), number, integer, text, weight, or segments: the text of a CSV file with name, start, end.")
    default: str | None = Field(description="null: it must be given.")
    meaning: str


class Report(BaseModel):
    """A question that ships."""

    name: str
    title: str
    description: str
    parameters: list[ReportParameter]
    sql: str


class AnswerColumn(BaseModel):
    """A column of an answer."""

    name: str
    type: str = Field(description="Its Arrow type.")


class Answer(BaseModel):
    """The first rows of an answer."""

    columns: list[AnswerColumn]
    rows: list[list[Any]] = Field(description="Values in the order of the columns; times are ISO 8601 in UTC, NaN is null.")
    more: bool = Field(description="Whether there are more rows.")


class SqlQuestion(BaseModel):
    """A question in SQL."""

    query: str = Field(min_length=1, max_length=LONGEST, description="One query of DuckDB's dialect that reads.", examples=["SELECT * FROM runs"])
    run: RunChoice = ""
    rows: Rows = 1000
    format: AsForm = "rows"


class ReportQuestion(BaseModel):
    """What is asked of a report."""

    values: dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=LONGEST)]] = Field(
        default={}, max_length=100, description="Values of the report's parameters, as text.", examples=[{}])
    run: RunChoice = ""
    rows: Rows = 1000
    format: AsForm = "rows"


FILES: dict[int | str, dict[str, Any]] = {200: {"description": "The answer; where `format` says so a file: JSON (a list of rows), CSV or Parquet.",
                                               "content": {kind: {"schema": {"type": "string", "format": "binary"}} for form, kind in KINDS.items()
                                                           if form != "json"}}}


@router.get("/tables")
def tables() -> list[Table]:
    """The tables that SQL knows, and what their columns mean."""
    return [Table(**table) for table in described_tables()]


@router.get("/reports")
def reports() -> list[Report]:
    """The reports that ship."""
    return [_described(report) for report in shipped_reports().values()]


@router.post("/reports/{name}", response_model=Answer | list[dict[str, Any]], responses=FILES)
async def ask_report(request: Request, name: Annotated[str, InAddress(max_length=100, description="See /api/reports.", examples=["overview"])],
                     asked: ReportQuestion) -> Any:
    """The answer of a report, over all runs or one."""
    if name not in shipped_reports():
        raise NotFound(f"There is no report called {name}; GET /api/reports lists them.")
    return await _answer(request, Question("", name, asked.values, asked.run, asked.format, asked.rows))


@router.post("/sql", response_model=Answer | list[dict[str, Any]], responses=FILES)
async def ask_sql(request: Request, asked: SqlQuestion) -> Any:
    """The answer to a query. It can only read, only the results folder, and takes limited time and memory."""
    return await _answer(request, Question(asked.query, run=asked.run, form=asked.format, rows=asked.rows))


async def asked_file(request: Request, question: Question) -> Response:
    """The whole answer as a file, removed when it has been sent."""
    questions: Questions = request.app.state.questions
    file = questions.file_of(question)
    try:
        await questions.write(question, file)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return FileResponse(file, media_type=KINDS[question.form], filename=f"{question.name or 'answer'}.{question.form}",
                        background=BackgroundTask(file.unlink, missing_ok=True))


def described_tables() -> list[dict[str, Any]]:
    """name, meaning and columns (name, type, unit, meaning) of each table."""
    return [{"name": name, "meaning": schema.metadata[b"description"].decode(), "columns": [
        {"name": field.name, "type": sql_type(field), "unit": field.metadata[b"unit"].decode(), "meaning": field.metadata[b"description"].decode()}
        for field in schema]} for name, schema in TABLES.items()]


async def _answer(request: Request, question: Question) -> Any:
    if question.form != "rows":
        return await asked_file(request, Question(question.query, question.name, question.values, question.run, question.form, FILE_ROWS))
    questions: Questions = request.app.state.questions
    return await questions.shown(question)


def _described(report: SqlReport) -> Report:
    parameters = [ReportParameter(name=one.name, kind=one.kind, default=one.default, meaning=one.meaning) for one in report.parameters]
    return Report(name=report.name, title=report.title, description=report.description, parameters=parameters, sql=report.sql)
