"""`crowdmood report`."""

from __future__ import annotations

import json

import click

from crowdmood.cli.settings import results_option


@click.command(short_help="Build or show the report of a run.")
@click.argument("name", required=False, metavar="[RUN|NAME]")
@results_option
@click.option("--list", "listed", is_flag=True, help="List the SQL reports that ship.")
@click.option("--open", "opened", is_flag=True, help="Open the report of a run in the browser.")
@click.option("--csv", "as_csv", is_flag=True, help="Print an SQL report as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an SQL report's rows, or where a run's report is.")
def report(name: str | None, results: str | None, listed: bool, opened: bool, as_csv: bool, as_json: bool) -> None:
    """Build the HTML report and timeline.png of RUN and print where they are, or print the SQL report NAME.

    RUN is a run's id, the beginning of it, or the name of its recording; without it, the newest complete run.
    NAME is one of those that --list shows, and is answered over all runs. A NAME wins over a RUN that is called the
    same: give the run's id, or the recording's name with its ending, then.

    \b
      crowdmood report
      crowdmood report concert.mp4 --open
      crowdmood report --list
      crowdmood report moments --csv > moments.csv
    """
    from crowdmood.sql_reports import shipped_reports

    if listed:
        return list_reports(as_json)
    if name in shipped_reports():
        if opened:
            raise click.UsageError(f"'{name}' is an SQL report; --open is for the report of a run")
        return print_answer(name, results, as_csv, as_json)
    if as_csv:
        raise click.UsageError("--csv is for SQL reports; `crowdmood report --list` names them")
    return print_path(name, results, opened, as_json)


def list_reports(as_json: bool) -> None:
    """Print the SQL reports that ship, with what they tell."""
    from crowdmood.sql_reports import shipped_reports

    reports = [{"name": name, "title": title, "description": text} for name, (title, text) in shipped_reports().items()]
    if as_json:
        click.echo(json.dumps(reports, indent=1, ensure_ascii=False))
        return
    formatter = click.HelpFormatter(width=100)
    formatter.write_dl([(row["name"], f"{row['title']}. {row['description']}") for row in reports])
    click.echo(formatter.getvalue(), nl=False)


def print_answer(name: str, results: str | None, as_csv: bool, as_json: bool) -> None:
    """Print the answer of an SQL report over all runs."""
    from crowdmood import catalog
    from crowdmood.cli.sql import show
    from crowdmood.results import results_folder
    from crowdmood.sql_reports import report_sql

    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    show(catalog.ask(results_folder(results), report_sql(name)), as_csv, as_json, None, 100)


def print_path(name: str | None, results: str | None, opened: bool, as_json: bool) -> None:
    """Build the report of a run and print where it is."""
    from crowdmood.report import build_report, newest_run
    from crowdmood.results import find_run, results_folder

    folder = results_folder(results)
    run = find_run(folder, name) if name else newest_run(folder)
    index = build_report(run)
    if as_json:
        click.echo(json.dumps({"run": run.id, "recording": run.info["recording"], "report": str(index),
                               "timeline": str(index.with_name("timeline.png"))}, ensure_ascii=False))
    else:
        click.echo(str(index))
    if opened:
        click.launch(index.as_uri())
