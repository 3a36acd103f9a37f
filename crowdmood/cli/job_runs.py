"""`crowdmood jobs run | due | daemon | history | retry | cancel`."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from crowdmood.cli.settings import jobs_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from crowdmood.scheduling.runner import Summary
    from crowdmood.scheduling.spec import JobSpec
    from crowdmood.scheduling.supervisor import Caught, Supervisor

TO_STOP_S = 10.0  # how long `cancel` waits for the end

log_option = click.option("--log", "form", type=click.Choice(["text", "json"]),
                          help="Form of the log on stderr, one line per event.  [default: text on a terminal, else json]")
text_log_option = click.option("--log", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
                               help="Form of the log on stderr, one line per event.")
lease_option = click.option("--lease", "lease_s", type=click.FloatRange(min=1), default=60.0, show_default=True, metavar="SECONDS",
                            help="When this process is killed, another one goes on after so long.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("name")
@jobs_option
@click.option("--again", is_flag=True, help="Also what is done or set aside: runs that were removed are made again.")
@as_json_option
@text_log_option
@lease_option
def run(name: str, jobs: str | None, again: bool, as_json: bool, form: str, lease_s: float) -> None:
    """Run job NAME now. Only what is new or failed is analyzed; content decides, not the name of a file.

    What was set aside stays so: `crowdmood jobs retry` tries it again. Exit codes: 0 done, 3 some recordings failed, 1 none
    could be tried.

    \b
      crowdmood jobs run nightly
      crowdmood jobs run nightly --again
      crowdmood jobs run nightly --json
    """
    from crowdmood.scheduling import turns
    from crowdmood.scheduling.runner import run_turn
    from crowdmood.scheduling.spec import find_job

    spec = find_job(name, jobs)
    _run_alone(spec, lambda desk: run_turn(desk, spec, "hand", turns.add(desk.ledger, spec.name, "hand"), again),
               as_json, form, lease_s)


@click.command()
@click.argument("name")
@click.argument("recording", required=False)
@jobs_option
@as_json_option
@text_log_option
@lease_option
def retry(name: str, recording: str | None, jobs: str | None, as_json: bool, form: str, lease_s: float) -> None:
    """Try again, now, what job NAME has set aside, what failed and waits for its next try, and what was cancelled.

    RECORDING: only this one, by its file name, path or run.

    \b
      crowdmood jobs retry nightly
      crowdmood jobs retry nightly concert.mp4
    """
    from crowdmood.errors import JobError
    from crowdmood.scheduling.ledger import Ledger
    from crowdmood.scheduling.recordings import revive
    from crowdmood.scheduling.runner import run_turn
    from crowdmood.scheduling.spec import find_job

    spec = find_job(name, jobs)
    revived = revive(Ledger(spec.results), spec, recording)
    if recording and not revived:
        raise JobError(f"{name}: no recording '{recording}' has failed; `crowdmood jobs history {name} --failed` lists those that did")
    if not revived:
        return click.echo(f"{name}: nothing was set aside or failed", err=True)
    click.echo(f"{name}: trying {len(revived)} again", err=True)
    return _run_alone(spec, lambda desk: run_turn(desk, spec, "retry"), as_json, form, lease_s)


@click.command()
@jobs_option
@log_option
@lease_option
def due(jobs: str | None, form: str | None, lease_s: float) -> None:
    """Run what is due now, and end. To be called every few minutes, by cron, systemd or Kubernetes.

    Due are: times of a schedule that have come since the last call (a job's file says how those that were missed are caught
    up: catch_up), new files of jobs that watch, what failed and whose pause is over, and what a killed process left.
    Exit codes: 0 all done or nothing due, 3 some recordings failed, 1 a job could not be run.

    \b
      crowdmood jobs due
      crowdmood jobs due --jobs /etc/crowdmood --log json
    """
    from crowdmood.scheduling.daemon import run_due
    from crowdmood.scheduling.spec import jobs_folder

    _supervised(lambda supervisor, caught: run_due(jobs_folder(jobs), supervisor, caught), form, lease_s,
                "the next call of `crowdmood jobs due` goes on")


@click.command()
@jobs_option
@log_option
@lease_option
def daemon(jobs: str | None, form: str | None, lease_s: float) -> None:
    """Run what becomes due, until SIGTERM or Ctrl-C. Each event is one line on stderr.

    Job files may be changed, added and removed meanwhile. Several daemons may serve one results folder: no work is done twice.

    \b
      crowdmood jobs daemon
      crowdmood jobs daemon --jobs /etc/crowdmood --log json
    """
    from crowdmood.errors import JobError
    from crowdmood.scheduling.daemon import serve
    from crowdmood.scheduling.spec import jobs_folder

    folder = jobs_folder(jobs)
    if not folder.is_dir():
        raise JobError(f"there is no folder of jobs {folder}; `crowdmood jobs new NAME` makes a job, --jobs names another folder")
    _supervised(lambda supervisor, caught: serve(folder, supervisor, caught), form, lease_s,
                "`crowdmood jobs daemon` goes on")


@click.command()
@click.argument("name")
@jobs_option
def cancel(name: str, jobs: str | None) -> None:
    """Stop job NAME if it is running, and drop its due times that wait. What is finished stays.

    It goes on at its next due time, or with `crowdmood jobs run NAME`.

    \b
      crowdmood jobs cancel nightly
    """
    import time

    from crowdmood.scheduling import turns
    from crowdmood.scheduling.ledger import Ledger
    from crowdmood.scheduling.spec import find_job

    ledger = Ledger(find_job(name, jobs).results)
    asked = turns.cancel(ledger, name)
    until = time.monotonic() + TO_STOP_S
    while turns.is_running(ledger, name) and time.monotonic() < until:
        time.sleep(0.2)
    if turns.is_running(ledger, name):
        click.echo(f"{name}: was told to stop; if its process is gone, the next one ends it")
    else:
        click.echo(f"{name}: stopped; `crowdmood jobs run {name}` goes on" if asked else f"{name}: nothing is running or waiting")


@click.command()
@click.argument("name", required=False)
@jobs_option
@as_json_option
@click.option("--failed", is_flag=True, help="Only what went wrong.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="So many turns, the newest.")
def history(name: str | None, jobs: str | None, as_json: bool, failed: bool, limit: int) -> None:
    """Show what job NAME, or all jobs of these results, have done: each due time, each recording that was tried, and how it ended.

    \b
      crowdmood jobs history
      crowdmood jobs history nightly --failed
      crowdmood jobs history nightly --json
    """
    from crowdmood.cli.job_history import collected, show
    from crowdmood.scheduling.spec import find_job, list_jobs

    specs, errors = ([find_job(name, jobs)], []) if name else list_jobs(jobs)
    for error in errors:
        click.echo(f"crowdmood: {error}", err=True)
    found = collected(specs, specs[0].name if name else None, failed, limit)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=True))
    else:
        show(found, failed)


def _run_alone(spec: JobSpec, work: Callable, as_json: bool, form: str, lease_s: float) -> None:
    """Do a turn of one job, print how it ended, and exit with its code. Raises JobError when another process runs the job."""
    from crowdmood.errors import JobError
    from crowdmood.scheduling.attempts import lease_of
    from crowdmood.scheduling.runner import leased

    def locked(supervisor: Supervisor, caught: Caught) -> int:
        from crowdmood.scheduling.supervisor import wait_while

        desk = supervisor.desk(spec)
        with leased(desk, spec) as ours:
            if not ours:
                raise JobError(f"{spec.name} is being run by another process ({desk.leases.holder(lease_of(spec))}); wait for it (it "
                               f"also tries again what is due), or stop it with `crowdmood jobs cancel {spec.name}`")
            supervisor.start(spec.name, lambda: [work(desk)])
            wait_while(lambda: supervisor.is_running(spec.name), caught)
            if caught.signal is not None:
                supervisor.end()
        for error in supervisor.errors.values():
            raise error
        summary = next(iter(supervisor.summaries), None)
        if caught.signal is None:
            _print(spec, summary, as_json)
        return {"failed": 1, "some failed": 3, "cancelled": 1}.get(summary.state, 0) if summary else 0

    _supervised(locked, form, lease_s, f"`crowdmood jobs run {spec.name}` goes on")


def _print(spec: JobSpec, summary: Summary | None, as_json: bool) -> None:
    if summary is None:
        return click.echo(f"{spec.name}: nothing to do")
    facts = {name: getattr(summary, name) for name in ("state", "found", "new", "done", "failed", "growing", "error")}
    if as_json:
        return click.echo(json.dumps({"job": spec.name, "results": str(spec.results), **facts}))
    told = [f"{summary.found} {'recording' if summary.found == 1 else 'recordings'} found", f"{summary.done} analyzed", f"{summary.failed} failed" if summary.failed else "",
            f"{summary.growing} left out, still growing" if summary.growing else "", summary.error or ""]
    click.echo(f"{spec.name}: {summary.state}; {', '.join(filter(None, told))}")
    if summary.failed:
        click.echo(f"`crowdmood jobs history {spec.name} --failed` says what failed and when it is tried again", err=True)
    return None


def _supervised(work: Callable[[Supervisor, Caught], int | None], form: str | None, lease_s: float, how_on: str) -> None:
    """Do what needs a supervisor; exit with the code that it gives, or with that of the signal that ended it."""
    from crowdmood.allocator import steady_memory
    from crowdmood.scheduling.log import begin_log
    from crowdmood.scheduling.supervisor import Supervisor, catching

    steady_memory()
    form = form or ("text" if sys.stderr.isatty() else "json")
    begin_log(form)
    with catching() as caught:
        supervisor = Supervisor(form, lease_s)
        try:
            code = work(supervisor, caught) or 0
        finally:
            ended = supervisor.end()
    if caught.signal is not None:
        click.echo(f"crowdmood: stopped; {how_on}", err=True)
        code = 128 + caught.signal
    _leave(code, ended and caught.signal is None)


def _leave(code: int, tidily: bool) -> None:
    """Exit; at once if that was asked for or a thread hangs, for which Python would wait."""
    sys.stdout.flush()
    sys.stderr.flush()
    if not tidily:
        os._exit(code)
    sys.exit(code)
