"""`crowdmood jobs list`, `show` and `new`: job files, and what they come to."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from crowdmood.cli.settings import jobs_option, results_option

if TYPE_CHECKING:
    from crowdmood.scheduling.spec import JobSpec

COLUMNS = ("job", "when", "next due", "sources", "results")
NEXT = 3  # due times that are shown
MOST_SHOWN = 10  # recordings


@click.command("list", short_help="List the jobs and when they are due.")
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
@click.pass_context
def list(context: click.Context, jobs: str | None, as_json: bool) -> None:
    """List the jobs of the folder, with the time at which each is due next.

    Where there are none, the examples that ship are listed; they run as they are.

    \b
      crowdmood jobs list
      crowdmood jobs list --jobs /etc/crowdmood/jobs --json
    """
    from crowdmood.rows import write_aligned
    from crowdmood.scheduling.spec import jobs_folder, list_examples, list_jobs

    specs, errors = list_jobs(jobs)
    none = not specs and not errors
    if none:
        specs = list_examples()
    if as_json:
        click.echo(_json([as_object(spec) | {"example": none} for spec in specs]))
    elif specs:
        write_aligned(COLUMNS, [cells(spec) for spec in specs], (), sys.stdout)
    if none:
        click.echo(f"no jobs in {jobs_folder(jobs)} yet, these are examples; `crowdmood jobs new NAME` writes one of your own", err=True)
    for error in errors:
        click.echo(f"crowdmood: {error}", err=True)
    if errors:
        context.exit(1)


@click.command(short_help="Show what a job would do: settings, next due times, recordings.")
@click.argument("name")
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(name: str, jobs: str | None, as_json: bool) -> None:
    """Show what the job NAME comes to: its settings, when it is due next, and the recordings that are there now.

    Nothing is analyzed, and nothing downloaded.

    \b
      crowdmood jobs show nightly
      crowdmood jobs show nightly --json
    """
    from crowdmood.scheduling.spec import find_job
    from crowdmood.sources import look

    spec = find_job(name, jobs)
    recordings, errors = look(spec.sources)
    if as_json:
        click.echo(_json(as_object(spec) | {"recordings": [str(one) for one in recordings], "errors": [str(error) for error in errors]}))
        return
    for title, text in [*settings(spec), ("now", f"{len(recordings):,} recording{'s' * (len(recordings) != 1)} in the sources")]:
        click.echo(f"{title:<10} {text}")
    for one in recordings[:MOST_SHOWN]:
        click.echo(f"{'':<10} {_line(str(one))}")
    if len(recordings) > MOST_SHOWN:
        click.echo(f"{'':<10} ... and {len(recordings) - MOST_SHOWN:,} more (--json has all)")
    for error in errors:
        click.echo(f"crowdmood: {error}", err=True)


@click.command(short_help="Write a job file with a comment on every line.")
@click.argument("name")
@click.option("--like", default="nightly", show_default=True, metavar="EXAMPLE", help="After which example: demo, nightly, watch, webinars.")
@jobs_option
@results_option
def new(name: str, like: str, jobs: str | None, results: str | None) -> None:
    """Write the job file NAME.toml, explained line by line, and print its path.

    It can be run as it is, on the demo clip; edit it to make it yours. A file that is there is left alone.

    \b
      crowdmood jobs new nightly
      crowdmood jobs new zoom --like watch
    """
    from crowdmood.scheduling.spec import jobs_folder, read_job
    from crowdmood.scheduling.writing import write_job

    path = write_job(name, jobs_folder(jobs), like, results)
    read_job(path)
    click.echo(str(path))
    click.echo(f"edit it, then: crowdmood jobs show {name}", err=True)


def as_object(spec: JobSpec) -> dict[str, Any]:
    """A job for programs: its settings by their names in the file; due times as ISO 8601 in UTC."""
    from dataclasses import asdict, fields

    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    values |= {"options": asdict(spec.options), "execution": asdict(spec.execution), "path": str(spec.path), "results": str(spec.results)}
    return values | {"next_due": [moment.isoformat().replace("+00:00", "Z") for moment in next_times(spec)]}


def cells(spec: JobSpec) -> tuple[str, ...]:
    from crowdmood.rows import cut

    due = next_times(spec)
    return (spec.name, when(spec), _local(spec, due[0]) if due else "", cut(", ".join(spec.sources), 50), cut(str(spec.results), 50))


def settings(spec: JobSpec) -> list[tuple[str, str]]:
    """Title and text of each line about a job."""
    from crowdmood.clock import format_time

    pauses = [min(spec.pause_s * 2**n, spec.longest_pause_s) for n in range(min(spec.retries, 6))]
    after = ", ".join(map(format_time, pauses)) + (", ..." if spec.retries > 6 else "")
    lines = [
        ("job", f"{spec.name}, {spec.path}"),
        ("sources", ", ".join(map(_line, spec.sources))),
        ("results", str(spec.results)),
        ("analyze", changed(spec)),
        ("reports", ", ".join(spec.reports) or "none"),
        ("when", when(spec) + {"once": "; times missed: once for all", "all": "; times missed: each", "skip": "; times missed: skipped"}[
            spec.catch_up] * bool(spec.schedule)),
        ("next due", ", ".join(_local(spec, moment) for moment in next_times(spec)) or "when you say so" * (not spec.watch)),
        ("at once", f"{spec.parallel}" + (f", each at most {format_time(spec.time_limit_s)}" if spec.time_limit_s else "")),
        ("retries", f"{spec.retries}, after {after}" if spec.retries else "none"),
        ("failures", ", ".join([*([spec.webhook] if spec.webhook else []), *([_line(" ".join(spec.command))] if spec.command else [])])),
    ]
    return [(title, text) for title, text in lines if text]


def when(spec: JobSpec) -> str:
    """In words: by hand, the schedule and its time zone, or as they come."""
    if spec.watch:
        return f"as they come, looking every {spec.poll_s:g} s"
    return f"{spec.schedule} {spec.time_zone}" if spec.schedule else "by hand"


def changed(spec: JobSpec) -> str:
    """The settings that are not the defaults."""
    from dataclasses import fields

    from crowdmood.options import Execution, Options

    told = [f"{field.name.removesuffix('_s') if field.name in ('start_s', 'end_s') else field.name} "
            f"{'all' if field.name == 'sample_fps' and value is None else value}"
            for mine, usual in ((spec.options, Options()), (spec.execution, Execution()))
            for field in fields(mine) if (value := getattr(mine, field.name)) != getattr(usual, field.name)]
    return ", ".join(told) or "as `crowdmood analyze` does without options"


def next_times(spec: JobSpec) -> list:
    """The next due times, aware, in UTC."""
    from datetime import UTC, datetime

    from crowdmood.scheduling.times import next_time

    times = [next_time(spec, datetime.now(UTC))]
    while times[-1] is not None and len(times) < NEXT:
        times.append(next_time(spec, times[-1]))
    return [moment for moment in times if moment is not None]


def _local(spec: JobSpec, moment) -> str:
    from zoneinfo import ZoneInfo

    return f"{moment.astimezone(ZoneInfo(spec.time_zone)):%a %Y-%m-%d %H:%M}"


def _line(text: str) -> str:
    """A path on one line, whatever it is called."""
    return text if text.isprintable() else json.dumps(text)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=str)  # in ASCII: a path may hold bytes that are no text
