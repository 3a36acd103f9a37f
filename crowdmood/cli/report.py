"""`crowdmood report`."""

from __future__ import annotations

import json

import click

from crowdmood.cli.settings import results_option


@click.command(short_help="Build or show the report of a run.", context_settings={"ignore_unknown_options": True})
@click.argument("names", nargs=-1, type=click.UNPROCESSED, metavar="[RUN...|NAME|FILE.sql] [--PARAMETER VALUE]...")
@results_option
@click.option("--segments", metavar="FILE", type=click.Path(dir_okay=False), help="CSV file with name, start, end: songs, talks, slides, compared in the report.")
@click.option("--min-persons", type=click.IntRange(min=1), metavar="N", help="Figures of fewer persons are called few.  [default: 5]")
@click.option("--faces", is_flag=True, help="Show faces in the pictures of moments; they are pixelated otherwise.")
@click.option("--video", metavar="PATH", type=click.Path(), help="Where the recording is now, if it has been moved.")
@click.option("--open", "opened", is_flag=True, help="Open the report of a run in the browser.")
@click.option("--list", "listed", is_flag=True, help="List the SQL reports that ship.")
@click.option("--csv", "as_csv", is_flag=True, help="Print an SQL report as CSV.")
@click.option("--parquet", metavar="FILE", type=click.Path(dir_okay=False), help="Write an SQL report as Parquet.")
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False), help="Write an SQL report as a page with its chart.")
@click.option("--png", metavar="FILE", type=click.Path(dir_okay=False), help="Draw an SQL report as PNG, or as SVG where FILE ends so.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an SQL report's rows, or where a run's report is.")
def report(names: tuple[str, ...], results: str | None, listed: bool, as_json: bool, **options) -> None:
    """Build the report of RUN (one HTML file, and pictures as PNG and SVG) and print where it is; compare several RUNs; or print
    the SQL report NAME or FILE.sql.

    RUN is a run's id, the beginning of it, or the name of its recording; without it, the newest complete run.
    NAME is one of those that --list shows, and is answered over all runs, or over those of --run. A NAME wins over a RUN
    that is called the same: give the run's id, or the recording's name with its ending, then. Parameters of an SQL report
    are options: --list names them.

    \b
      crowdmood report
      crowdmood report concert.mp4 --open
      crowdmood report concert.mp4 --segments songs.csv
      crowdmood report friday.mp4 saturday.mp4
      crowdmood report --list
      crowdmood report moments --csv > moments.csv
      crowdmood report reaction --at 12:30 --run concert.mp4
      crowdmood report minutes --run concert.mp4 --html minutes.html --png minutes.png
      crowdmood report ./mine.sql --json
    """
    from crowdmood.sql_reports import shipped_reports

    if listed:
        return list_reports(as_json)
    if names and (names[0] in shipped_reports() or names[0].endswith(".sql")):
        return print_answer(names[0], results, options_of(names[1:]), as_json, options)
    wrong = any(options[name] for name in ("as_csv", "parquet", "html", "png"))
    if wrong or any(name.startswith("--") for name in names):
        raise click.UsageError("--csv, --parquet, --html, --png and parameters are for SQL reports; `crowdmood report --list` "
                               "names them")
    return print_path(names, results, as_json, options)


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


def print_answer(name: str, results: str | None, given: dict[str, str], as_json: bool, options: dict) -> None:
    """Print the answer of an SQL report over all runs, or over the one of --run, or write it as a file."""
    from pathlib import Path

    from crowdmood.cli.sql import show
    from crowdmood.results import answer_of, find_run, results_folder
    from crowdmood.sql_reports import find_report

    as_csv, parquet, html, png = (options[key] for key in ("as_csv", "parquet", "html", "png"))
    if sum(map(bool, (as_csv, as_json, parquet, html or png))) > 1:
        raise click.UsageError("--csv, --json, --parquet and --html or --png exclude each other")
    for key in ("opened", "faces", "video"):
        if options[key]:
            raise click.UsageError(f"'{name}' is an SQL report; --{key.replace('opened', 'open')} is for the report of a run")
    report, folder = find_report(name), results_folder(results)
    given |= {key: str(options[key]) for key in ("segments", "min_persons") if options[key]}
    run = find_run(folder, given.pop("run")) if "run" in given else None
    values = report.values(given)
    if not html and not png:
        return show(answer_of(folder, run, report, values), as_csv, as_json, parquet, 100)
    from crowdmood.answer_pages import write_page, write_picture

    answer = answer_of(folder, run, report, values).read_all()
    if html:
        write_page(report, values, answer, Path(html))
        click.echo(html)
    if png:
        write_picture(report, answer, Path(png))
        click.echo(png)


def print_path(names: tuple[str, ...], results: str | None, as_json: bool, options: dict) -> None:
    """Build the report of a run, or the comparison of several, and print where it is."""
    from crowdmood.comparison import compare_runs
    from crowdmood.report import newest_run
    from crowdmood.results import FEW_PERSONS, find_run, publish, results_folder

    folder, few = results_folder(results), options["min_persons"] or FEW_PERSONS
    runs = [find_run(folder, name) for name in names] or [newest_run(folder)]
    if len(runs) > 1 and (options["segments"] or options["faces"] or options["video"]):
        raise click.UsageError("--segments, --faces and --video are for the report of one run")
    index = compare_runs(runs, few) if len(runs) > 1 else _build(runs[0], few, options)
    shown = publish(folder, index)
    if as_json:
        found = {"run": runs[0].id, "recording": runs[0].info["recording"]} if len(runs) == 1 else {"runs": [run.id for run in runs]}
        pictures = {path.stem: str(shown).removesuffix(index.name) + path.name for path in sorted(index.parent.glob("*.png"))}
        click.echo(json.dumps(found | {"report": str(shown)} | pictures, ensure_ascii=False))
    else:
        click.echo(str(shown))
    if options["opened"]:
        click.launch(index.as_uri())


def _build(run, few: int, options: dict):
    from pathlib import Path

    from crowdmood.report import build_report
    from crowdmood.segments import read_segments

    until = run.info["duration_s"]
    segments = read_segments(Path(options["segments"]), until) if options["segments"] else ()
    return build_report(run, segments=segments, min_persons=few, faces=options["faces"], video=options["video"])
