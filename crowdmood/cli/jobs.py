"""`crowdmood jobs`: a group of its own; what runs jobs is in job_runs.py, what writes and shows them in job_files.py."""

from __future__ import annotations

import click

from crowdmood.cli import Lazy

JOBS = {
    "list": ("job_files", "List the jobs and when they are due."),
    "show": ("job_files", "Show what a job would do: settings, next due times, recordings."),
    "new": ("job_files", "Write a job file with a comment on every line."),
    "run": ("job_runs", "Run a job now."),
    "due": ("job_runs", "Run what is due, then end."),
    "daemon": ("job_runs", "Run what is due, and go on."),
    "history": ("job_runs", "Show what jobs have done."),
    "retry": ("job_runs", "Try again what was set aside."),
    "cancel": ("job_runs", "Stop a job that is running."),
    "install": ("job_install", "Print a unit for systemd, a line for cron, a manifest for Kubernetes."),
}


@click.group(cls=Lazy, table=JOBS)
def jobs() -> None:
    """Analyze recordings at set times, or as they come. A job is a file, jobs/NAME.toml.

    \b
      crowdmood jobs new nightly
      crowdmood jobs show nightly
      crowdmood jobs run nightly
      crowdmood jobs daemon
    """
