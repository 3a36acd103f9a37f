"""The answer of an SQL report as a page or a picture."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from crowdmood.canvas import save
from crowdmood.charts import chart
from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.pages import clock, inline, render
from crowdmood.sql_reports import SqlReport

MOST_ROWS = 1000


def write_page(report: SqlReport, values: Mapping[str, Any], answer: pa.Table, path: Path) -> None:
    """One HTML file: title, description, chart (if the report has a plot line), and the rows, the first MOST_ROWS of them.

    values: of the report's parameters, as asked. Raises ResultsError when the file cannot be written.
    """
    figure = chart(report, answer)
    columns = [(field.name, pa.types.is_integer(field.type) or pa.types.is_floating(field.type)) for field in answer.schema]
    rows = [[text_of(name, value) for name, value in row.items()] for row in answer.slice(0, MOST_ROWS).to_pylist()]
    asked = [(name.replace("_", " "), value) for name, value in values.items() if value not in ("", []) and not isinstance(value, list)]
    page = render("table.html.j2", report=report, chart=inline(figure) if figure else "", columns=columns, rows=rows,
                  total=len(answer), asked=asked)
    try:
        with write_aside(path) as aside:
            aside.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror or error}") from error


def write_picture(report: SqlReport, answer: pa.Table, path: Path) -> None:
    """The report's chart as PNG, or as SVG where the path ends so.

    Raises ResultsError when the report is not drawn, has no rows, or the file cannot be written.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        raise ResultsError(f"{path}: a picture's name ends with .png or .svg")
    figure = chart(report, answer)
    if figure is None:
        raise ResultsError(f"the report '{report.name}' " + ("has no rows here, so there is nothing to draw" if report.plot
                           else "has no '-- plot:' line, so it is not drawn; --html writes its table"))
    try:
        save(figure, path)
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror or error}") from error


def text_of(name: str, value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "\u2013"
    if isinstance(value, float):
        return clock(value) if name.endswith("_s") and name not in ("seen_s", "step_s", "gap_s") else f"{value:.4g}".replace("-", "\u2212")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if name in ("person", "frame") else f"{value:,}"
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)
