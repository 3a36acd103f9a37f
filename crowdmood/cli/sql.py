"""`crowdmood sql`."""

from __future__ import annotations

import os
import shutil
import sys

import click

from crowdmood.cli.settings import results_option


@click.command(short_help="Ask a question of all results in SQL.")
@click.argument("query")
@results_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
@click.option("--parquet", metavar="FILE", type=click.Path(dir_okay=False), help="Write a Parquet file.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=100, show_default=True, help="Rows shown in a table."
)
@click.option("--time-limit", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), default=600,
              show_default=True, help="End the query after this.")
def sql(query: str, results: str | None, as_csv: bool, as_json: bool, parquet: str | None, rows: int, time_limit: float) -> None:
    """Ask a question of all results in SQL (DuckDB's dialect). QUERY is - to read it from stdin.

    The tables are faces, frames, persons, timeline and runs; docs/tables.md says what is in them, and so does
    `crowdmood sql "DESCRIBE faces"`. A query can only read, and only what is in the results folder; it may take three
    quarters of the machine's memory.

    \b
      crowdmood sql "SELECT second, happy FROM timeline ORDER BY happy DESC LIMIT 3"
      crowdmood sql "SELECT recording, person, seen_s FROM persons JOIN runs USING (run)" --csv > persons.csv
      crowdmood sql "FROM faces WHERE usable" --parquet usable.parquet
      crowdmood sql - --json < question.sql
    """
    from pathlib import Path

    from crowdmood import catalog
    from crowdmood.query_limits import limit_memory, limit_time
    from crowdmood.results import results_folder

    if as_csv + as_json + (parquet is not None) > 1:
        raise click.UsageError("--csv, --json and --parquet exclude each other")
    folder = results_folder(results)
    limit_memory()
    with limit_time(time_limit):
        answer = catalog.ask(folder, sys.stdin.read() if query == "-" else query, limit_s=time_limit)
        if isinstance(folder, Path) and os.access(folder, os.W_OK):
            catalog.refresh(folder)
        show(answer, as_csv, as_json, parquet, rows)


def show(answer, as_csv: bool, as_json: bool, parquet: str | None, most: int) -> None:
    """Print the answer in the way that was asked for."""
    from crowdmood import rows

    if as_json:
        rows.write_json(answer, sys.stdout)
    elif as_csv:
        rows.write_csv(answer, sys.stdout)
    elif parquet is not None:
        write_file(answer, parquet)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        left_out = rows.write_table(answer, sys.stdout, width, most)
        if left_out:
            click.echo(left_out, err=True)


def write_file(answer, path: str) -> None:
    """Write a Parquet file and say how much is in it."""
    from pathlib import Path

    from crowdmood import rows
    from crowdmood.errors import ResultsError

    try:
        count = rows.write_parquet(answer, Path(path))
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror or error}") from error
    click.echo(f"{count} rows written to {path}", err=True)
