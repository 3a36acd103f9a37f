"""`crowdmood report`."""

from __future__ import annotations

import json

import click

from crowdmood.cli.settings import results_option


@click.command(short_help="Build or show the report of a run.", context_settings={"ignore_unknown_options": True})
@click.argument("name", required=False, metavar="[RUN|NAME|FILE.sql]")
@click.argument("given", nargs=-1, type=click.UNPROCESSED, metavar="[--PARAMETER VALUE]...")
@results_option
@click.option("--list", "listed", is_flag=True, help="List the SQL reports that ship.")
@click.option("--open", "opened", is_flag=True, help="Open the report of a run in the browser.")
@click.option("--csv", "as_csv", is_flag=True, help="Print an SQL report as CSV.")
@click.option("--parquet", metavar="FILE", type=click.Path(dir_okay=False), help="Write an SQL report as Parquet.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an SQL report's rows, or where a run's report is.")
def report(name: str | None, given: tuple[str, ...], results: str | None, listed: bool, opened: bool, as_csv: bool,
           as_json: bool, parquet: str | None) -> None:
    """Build the HTML report and timeline.png of RUN and print where they are, or print the SQL report NAME or FILE.sql.

    RUN is a run's id, the beginning of it, or the name of its recording; without it, the newest complete run.
    NAME is one of those that --list shows, and is answered over all runs, or over those of --run. A NAME wins over a RUN
    that is called the same: give the run's id, or the recording's name with its ending, then. Parameters of an SQL report
    are options: --list names them.

    \b
      crowdmood report
      crowdmood report concert.mp4 --open
      crowdmood report --list
      crowdmood report moments --csv > moments.csv
      crowdmood report reaction --at 12:30 --run concert.mp4
      crowdmood report ./mine.sql --json
    """
    from crowdmood.sql_reports import shipped_reports

    if listed:
        return list_reports(as_json)
    if name and (name in shipped_reports() or name.endswith(".sql")):
        if opened:
            raise click.UsageError(f"'{name}' is an SQL report; --open is for the report of a run")
        return print_answer(name, results, options_of(given), (as_csv, as_json, parquet))
    if as_csv or parquet or given:
        raise click.UsageError("--csv, --parquet and parameters are for SQL reports; `crowdmood report --list` names them")
    return print_path(name, results, opened, as_json)


def options_of(given: tuple[str, ...]) -> dict[str, str]:
    """--name value and --name=value as a dictionary."""
    words = [part for word in given for part in (word.split("=", 1) if word.startswith("--") else [word])]
    names, texts = words[::2], words[1::2]
    wrong = next((name for name in names if not name.startswith("--")), None)
    if wrong or len(names) != len(texts):
        raise click.UsageError(f"'{wrong or names[-1]}' is not --PARAMETER VALUE")
    return {name.removeprefix("--").replace("-", "_"): text for name, text in zip(names, texts, strict=True)}


def list_reports(as_json: bool) -> None:
    """Print the SQL reports that ship, with what they tell and their parameters."""
    from dataclasses import asdict

    from crowdmood.sql_reports import shipped_reports

    reports = [{key: value for key, value in asdict(one).items() if key != "sql"} for one in shipped_reports().values()]
    if as_json:
        click.echo(json.dumps(reports, indent=1, ensure_ascii=False))
        return
    formatter = click.HelpFormatter(width=100)
    formatter.write_dl([(row["name"], " ".join([f"{row['title']}. {row['description']}", *map(_words, row["parameters"])]))
                        for row in reports])
    click.echo(formatter.getvalue(), nl=False)


def _words(parameter: dict) -> str:
    default = "" if parameter["default"] is None else f" (default {parameter['default'] or 'all'})"
    return f"--{parameter['name'].replace('_', '-')} {parameter['kind'].upper()}{default}: {parameter['meaning']}."


def print_answer(name: str, results: str | None, given: dict[str, str], form: tuple) -> None:
    """Print the answer of an SQL report over all runs, or over the one of --run. form: csv, json, parquet file."""
    from crowdmood import catalog
    from crowdmood.cli.sql import show
    from crowdmood.results import find_run, results_folder
    from crowdmood.sql_reports import find_report

    if sum(map(bool, form)) > 1:
        raise click.UsageError("--csv, --json and --parquet exclude each other")
    report, folder = find_report(name), results_folder(results)
    run = find_run(folder, given.pop("run")).id if "run" in given else None
    show(catalog.ask(folder, report.sql, run, report.values(given)), *form, 100)


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
