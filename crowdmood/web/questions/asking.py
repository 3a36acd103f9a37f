"""The process that answers one question of a visitor and ends: whatever a query does, it does it to this process.

    python -m crowdmood.web.questions.asking < question.json

The question is a JSON object; see `Question` in crowdmood.web.questions.processes, with which `file` is given, where the answer goes. What is wrong
is a sentence on stderr after the word "crowdmood: ", with exit status 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from crowdmood import catalog, rows
from crowdmood.errors import CrowdmoodError, ResultsError, told
from crowdmood.query_limits import limit_memory, limit_time
from crowdmood.results import Run, answer_of
from crowdmood.segments import parse_segments
from crowdmood.sql_reports import SqlReport, shipped_reports
from crowdmood.tables import read_run

SHOWN_BYTES = 20_000_000
OPTION = re.compile(r"(?<![\w-])--(?=[a-z_]+\b)")  # reports call their parameters options of the command line


def main() -> None:
    """Answer what stands on stdin."""
    asked = json.load(sys.stdin)
    limit_memory(asked["at_once"])
    try:
        with limit_time(asked["limit_s"]):
            _answer(asked, Path(asked["file"]))
    except CrowdmoodError as error:
        sys.exit(f"crowdmood: {OPTION.sub('', told(error))}")
    except MemoryError:
        sys.exit("crowdmood: the answer needs more memory than a question may take here; ask for fewer rows or shorter values")
    except (OverflowError, duckdb.Error) as error:
        sys.exit(f"crowdmood: a value makes no sense here: {str(error).splitlines()[0]}")


def _answer(asked: dict[str, Any], file: Path) -> None:
    report = _report(asked)
    results = Path(asked["results"])
    run = Run(asked["run"], results) if asked["run"] else None
    if run is not None and read_run(results, run.id) is None:
        raise ResultsError(f"there is no run {run.id} here; it may have been deleted")
    if asked["name"]:
        answer = answer_of(results, run, report, _values(report, asked["values"]))
    else:
        answer = catalog.ask(results, report.sql, asked["run"] or None, limit_s=asked["limit_s"])
    if asked["form"] == "rows":
        file.write_text(json.dumps(_shown(answer, report, asked), ensure_ascii=False), encoding="utf-8")
    else:
        _write(answer, asked["form"], file, asked["rows"])


def _report(asked: dict[str, Any]) -> SqlReport:
    """The report that is asked for, or the query as one."""
    if not asked["name"]:
        return SqlReport("", "", "", (), asked["query"])
    reports = shipped_reports()
    if asked["name"] not in reports:  # never a path: only what ships
        raise ResultsError(f"no report is called '{asked['name']}'; known: {', '.join(reports)}")
    return reports[asked["name"]]


def _values(report: SqlReport, given: dict[str, str]) -> dict[str, Any]:
    """The values of a report's parameters. Segments are given as the text of the file, not as its path."""
    kinds = {parameter.name: parameter.kind for parameter in report.parameters}
    return report.values({name: parse_segments(text) if kinds.get(name) == "segments" and text else text for name, text in given.items()})


def _shown(answer: pa.RecordBatchReader, report: SqlReport, asked: dict[str, Any]) -> dict[str, Any]:
    """The first rows and their chart. more: whether there are others."""
    most, batches, size = asked["rows"], [], 0
    for batch in answer:
        batches.append(batch)
        size += batch.nbytes
        if size > SHOWN_BYTES:
            raise ResultsError("the answer is too large to be shown; ask for fewer rows or columns, or shorter values")
        if sum(map(len, batches)) > most:
            break
    table = pa.Table.from_batches(batches, answer.schema).combine_chunks()
    more, table = len(table) > most, table.slice(0, most)
    names = rows.names(table.schema)
    columns = [{"name": name, "type": str(field.type)} for name, field in zip(names, table.schema, strict=True)]
    values = [[rows.jsonable(value) for value in row] for row in rows.values(table.to_reader())]
    return {"columns": columns, "rows": values, "more": more, "chart": _chart(table, report) if asked["chart"] else None}


def _chart(table: pa.Table, report: SqlReport) -> str | None:
    """An SVG element, in the page's colours; None where there is nothing to draw."""
    from dataclasses import replace

    from crowdmood.charts import chart
    from crowdmood.pages import inline
    from crowdmood.web.questions.chosen_chart import chosen_plot

    if not report.plot:
        plot = chosen_plot(table)
        kind, *drawn = plot.split() or [""]
        over = {"heat": "by", "bar": "for each"}.get(kind, "over")
        title = f"{', '.join(drawn[1:])} {over} {drawn[0]}".replace("_", " ") if plot else ""
        report = replace(report, plot=plot, title="Expressions over " + drawn[0] if kind == "stack" else title)
    if not report.plot or not len(table):
        return None
    try:
        figure = chart(report, table)
        drawn = str(inline(figure)) if figure is not None else None
    except (TypeError, ValueError, ArithmeticError):  # of values that nobody thought of; the rows are what was asked for
        return None
    return drawn and drawn.replace("; --run gives another", "; choose one above")


def _write(answer: pa.RecordBatchReader, form: str, file: Path, most: int) -> None:
    """The whole answer as a file; one that has more rows than `most` is refused, not cut."""
    whole = pa.RecordBatchReader.from_batches(answer.schema, _counted(answer, most))
    if form == "parquet":
        rows.write_parquet(whole, file)
        return
    with open(file, "w", encoding="utf-8", newline="") as out:
        (rows.write_csv if form == "csv" else rows.write_json)(whole, out)


def _counted(answer: pa.RecordBatchReader, most: int) -> Iterator[pa.RecordBatch]:
    count = 0
    for batch in answer:
        count += len(batch)
        if count > most:
            raise ResultsError(f"the answer has more than {most:,} rows, which is the most that this server gives as a file; use "
                               "`crowdmood sql` on its machine, or ask for less")
        yield batch


if __name__ == "__main__":
    main()
