"""`crowdmood jobs install`."""

from __future__ import annotations

import click

from crowdmood.cli.settings import jobs_option

SYSTEMD = """\
# Put each file below into ~/.config/systemd/user (or /etc/systemd/system, then without --user), then:
#   systemctl --user daemon-reload && systemctl --user enable --now {unit}
# A user's units end with the last session, unless: loginctl enable-linger
# Keys for S3 are not written here: `systemctl --user edit {name}.service` takes EnvironmentFile=PATH
# below [Service].
"""
CRON = "# Add this line with `crontab -e`; what it says is in the system's log: journalctl -t {title}\n"


@click.command(short_help="Print a unit for systemd, a line for cron, a manifest for Kubernetes.")
@click.option("--systemd", "form", flag_value="systemd", help="A service that runs what is due, and its timer.")
@click.option("--cron", "form", flag_value="cron", help="A line for crontab.")
@click.option("--kubernetes", "form", flag_value="kubernetes", help="A CronJob, and a ConfigMap with the job files.")
@click.option("--daemon", is_flag=True, help="With --systemd: a service that runs all the time, needed for jobs that watch at short intervals.")
@click.option("--image", default="crowdmood:latest", show_default=True, help="With --kubernetes: the image to run.")
@click.option("--name", default="crowdmood", show_default=True, help="What the unit is called, where there are several.")
@jobs_option
def install(form: str | None, daemon: bool, image: str, name: str, jobs: str | None) -> None:
    """Print what makes this machine or a cluster run the jobs by itself. Nothing is installed; the first lines say how.

    All jobs of the folder are run; a machine takes up those that are added later, too.

    \b
      crowdmood jobs install --systemd
      crowdmood jobs install --systemd --daemon
      crowdmood jobs install --cron --jobs /etc/crowdmood/jobs
      crowdmood jobs install --kubernetes --image registry.example.org/crowdmood:1 > crowdmood.yaml
    """
    from crowdmood.errors import JobError
    from crowdmood.scheduling import units
    from crowdmood.scheduling.spec import jobs_folder, list_jobs

    if form is None:
        raise click.UsageError("say for what: --systemd, --cron or --kubernetes")
    if daemon and form != "systemd":
        raise click.UsageError("--daemon goes with --systemd")
    folder = jobs_folder(jobs)
    specs, errors = list_jobs(folder)
    if errors:
        raise errors[0]
    if not specs:
        raise JobError(f"no jobs in {folder} yet; `crowdmood jobs new NAME` writes one")
    call = units.call_here(folder, name)
    if form == "cron":
        click.echo(CRON.format(title=call.title) + units.cron_line(call))
    elif form == "kubernetes":
        texts = {spec.path.name: spec.path.read_text(encoding="utf-8") for spec in specs}
        click.echo(units.kubernetes_manifest(call, texts, image), nl=False)
    else:
        files = units.systemd_daemon(call) if daemon else units.systemd_timer(call)
        click.echo(SYSTEMD.format(unit=list(files)[-1], name=name), nl=False)
        for file, text in files.items():
            click.echo(f"\n# ===== {file}\n{text}", nl=False)
