"""`crowdmood runs forget-names`."""

from __future__ import annotations

import json

import click

from crowdmood.cli.runs_removal import counted, place
from crowdmood.cli.settings import results_option


@click.command(short_help="Forget what persons and speakers of a run are called.")
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
def forget_names(names: tuple[str, ...], results: str | None, as_json: bool) -> int:
    """Forget the names of each RUN that `crowdmood analyze --names` has read, and build its report anew without them.

    Persons are 'Participant 3' again, everywhere; their numbers and figures stay, and so does who of them is which speaker. A run
    without names stays as it is. Analyzing the recording again with --names brings the names back.

    It cannot reach what lies outside the results folder (films, exports, sent reports, the file of names itself), the recording
    with its side files, and names that somebody says in words that --transcript-text has kept.

    \b
      crowdmood runs forget-names board-meeting
      crowdmood runs forget-names 3fb2a90c17de 77aa01b2c3d4 --json
      crowdmood runs forget-names board-meeting --results s3://bucket/meetings
    """
    from crowdmood.forgetting import forget_names as forget
    from crowdmood.results import find_run

    folder = place(results)
    runs = {run.id: run for run in (find_run(folder, name) for name in names)}
    done = []
    for run in runs.values():
        gone = forget(run)
        done.append({"run": run.id, "recording": run.info["recording"], "names": gone.names, "report": gone.report and str(gone.report),
                     "words": gone.words})
        if not as_json:
            tell(done[-1])
    if as_json:
        click.echo(json.dumps(done, ensure_ascii=False, indent=1))
    return 0


def tell(gone: dict) -> None:
    """Say what was done and what could not be reached."""
    run = f"run {gone['run']} of {gone['recording']}"
    if not gone["names"]:
        return click.echo(f"{run} has no names; nothing to forget", err=True)
    made = f"; new report: {gone['report']}" if gone["report"] else ""
    click.echo(f"{counted(range(gone['names']), 'name')} of {run} forgotten{made}", err=True)
    if gone["words"]:
        click.echo(f"its speech still has words ({counted(range(gone['words']), 'row')}), in which names may be said; analyze again without "
                   "--transcript-text to drop them", err=True)
    return None
