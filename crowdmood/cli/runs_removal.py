"""`crowdmood runs rm`, `prune` and `erase-person`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import click

from crowdmood.cli.settings import results_option

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Age(click.ParamType):
    """How long ago: 36h, 90d, 12w."""

    name = "36h|90d|12w"

    def convert(self, value, param, context) -> timedelta:
        if isinstance(value, timedelta):
            return value
        number, unit = value[:-1].strip(), UNITS.get(value[-1:])
        if unit is None or not number.isdecimal() or not 0 < int(number) < 100_000:
            self.fail(f"'{value}' is no age; write hours (36h), days (90d) or weeks (12w)", param, context)
        return timedelta(**{unit: int(number)})


def confirmed(command):
    """Give a command the options of what removes."""
    for option in (
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
            click.option("--dry-run", is_flag=True, help="Only say what would go."),
            click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal."),
            results_option):
        command = option(command)
    return command


@click.command(short_help="Remove runs.")
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@confirmed
def rm(names: tuple[str, ...], results: str | None, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Remove each RUN: its rows in every table, its report, comparisons it is in, and local copies of a run on S3.

    RUN is a run's id, the beginning of it, or the name of its recording. The recording stays, and so do films, stills and exports
    made from the run. A run that is being analyzed is not removed. A removal that was killed ends when the same command is
    given again.

    \b
      crowdmood runs rm 3fb2a90c17de
      crowdmood runs rm concert.mp4 rehearsal.mp4 --dry-run
      crowdmood runs rm concert.mp4 --yes --results s3://bucket/shows
    """
    from crowdmood.removal import named

    folder = place(results)
    return finish(folder, named(folder, names), (yes, dry_run, as_json))


@click.command(short_help="Remove old, failed or unfinished runs.")
@click.option("--older-than", "age", metavar="AGE", type=Age(), help="Runs to which nothing was done for so long: 36h, 90d, 12w.")
@click.option("--failed", is_flag=True, help="Only runs that failed.")
@click.option("--unfinished", is_flag=True, help="Only runs that were stopped and never finished.")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Keep the N newest complete runs of each recording.")
@confirmed
def prune(age: timedelta | None, failed: bool, unfinished: bool, keep: int | None, results: str | None, **how) -> int:
    """Remove the runs to which everything applies that is asked for.

    --failed and --unfinished together mean either. --keep alone removes complete runs only: of each recording (the same
    content, whatever it is called) all but the newest N. Runs that are being analyzed stay. What an interrupted removal has left
    goes, too.

    \b
      crowdmood runs prune --older-than 90d --dry-run
      crowdmood runs prune --older-than 12w --keep 1 --yes
      crowdmood runs prune --failed --unfinished --older-than 7d
      crowdmood runs prune --keep 1
    """
    from crowdmood.removal import outdated

    if not (age or failed or unfinished or keep):
        raise click.UsageError("say which runs: --older-than 90d, --failed, --unfinished or --keep N")
    folder = place(results)
    statuses = [status for status, asked in (("failed", failed), ("unfinished", unfinished)) if asked]
    found = outdated(folder, age, statuses, keep) if folder.is_dir() else []
    return finish(folder, found, (how["yes"], how["dry_run"], how["as_json"]))


@click.command(short_help="Erase persons from a run.")
@click.argument("run")
@click.argument("persons", nargs=-1, required=True, type=click.IntRange(min=1), metavar="PERSON...")
@confirmed
def erase_person(run: str, persons: tuple[int, ...], results: str | None, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Erase each PERSON (a number) from RUN, as if the face had not been found: from every table, and from all that was made of them.

    Faces, the person's row, the counts and means of frames and seconds go or are computed anew; the report is built anew, without
    pictures and segments; comparisons and moments saved inside the results folder are removed. Other persons keep their numbers, and
    runs.erased says how many are missing. Analyzing the recording again changes nothing; removing the run and analyzing it again
    brings the person back. From then on, --anonymize refuses the run: it can no longer cover the erased face.

    It cannot reach the recording itself, files outside the results folder (films, stills, exports, sent reports), backups,
    other runs of the recording, and faces too brief to belong to any person. One human may have several numbers:
    `crowdmood render` writes them beside the faces, `crowdmood report persons` lists them.

    \b
      crowdmood runs erase-person concert.mp4 7
      crowdmood runs erase-person 3fb2a90c17de 7 12 31 --yes
      crowdmood runs erase-person concert.mp4 7 --dry-run
    """
    from crowdmood.erasure import erase, traces
    from crowdmood.results import find_run

    folder = place(results)
    of_run = find_run(folder, run)
    found = traces(of_run, persons)
    numbers = [row["person"] for row in found.persons]
    if found.persons and not as_json:
        show_persons(found)
    go = not dry_run and (not found.persons or agreed(f"Erase {counted(numbers, 'person')} from run {of_run.id}?", yes))
    if go:
        erase(of_run, persons)
    if as_json:
        click.echo(json.dumps({"run": of_run.id, "recording": of_run.info["recording"], "persons": numbers, "faces": found.faces,
                               "files": found.pictures, "unknown": found.unknown, "erased": go}, ensure_ascii=False))
    elif go:
        tell_erased(of_run, numbers)
    return 0 if go or dry_run else 1


def place(results: str | None):
    """The results folder: of this command, or given before its name (`crowdmood runs --results FOLDER rm ...`)."""
    from click.core import ParameterSource

    from crowdmood.results import results_folder

    context = click.get_current_context()
    above = context.parent
    if (context.get_parameter_source("results") is not ParameterSource.COMMANDLINE and above
            and above.get_parameter_source("results") is ParameterSource.COMMANDLINE):
        results = above.params["results"]
    return results_folder(results)


def finish(folder, targets: Sequence, how: tuple[bool, bool, bool]) -> int:
    """Say what is to be removed, ask, remove it; returns the exit code. how: yes, dry_run, as_json."""
    yes, dry_run, as_json = how
    if not as_json and targets:
        show_targets(targets)
    go = bool(targets) and not dry_run and agreed(f"Remove {counted(targets, 'run')}?", yes)
    errors = remove_all(folder, targets) if go else {}
    if as_json:
        click.echo(json.dumps([as_object(one, go, errors.get(one.run)) for one in targets], ensure_ascii=False, indent=1))
    elif not targets:
        click.echo(f"no such runs in {folder}; nothing to remove", err=True)
    elif go:
        click.echo(f"{counted([one for one in targets if one.run not in errors], 'run')} removed from {folder}", err=True)
    for error in errors.values():
        click.echo(f"crowdmood: {error}", err=True)
    if errors:
        return 3 if len(errors) < len(targets) else 1
    return 0 if go or dry_run or not targets else 1


def remove_all(folder, targets: Sequence) -> dict[str, str]:
    """Remove runs; those that cannot be removed, and why."""
    from crowdmood.errors import CrowdmoodError
    from crowdmood.removal import remove

    errors = {}
    for target in targets:
        try:
            remove(folder, target.run)
        except CrowdmoodError as error:
            errors[target.run] = str(error)
    return errors


def agreed(question: str, yes: bool) -> bool:
    """Whether to go on. Raises CrowdmoodError where nobody can be asked."""
    from crowdmood.errors import CrowdmoodError

    if yes:
        return True
    if not sys.stdin.isatty():
        raise CrowdmoodError("nothing was removed: there is no terminal to ask on; --yes goes on without asking, --dry-run only looks")
    if click.confirm(question, err=True):
        return True
    click.echo("nothing was removed", err=True)
    return False


def as_object(target, removed: bool, error: str | None) -> dict:
    """A run that was to be removed, for programs."""
    last = target.last and target.last.isoformat().replace("+00:00", "Z")
    return {"run": target.run, "recording": target.recording, "status": target.status, "last": last,
            "size_bytes": target.size_bytes, "removed": removed and error is None, "error": error}


def show_targets(targets: Sequence) -> None:
    """Print the runs that are to be removed."""
    from crowdmood.rows import cut, write_aligned

    cells = [[one.run, cut(one.recording, 40), f"{one.last.astimezone():%Y-%m-%d %H:%M}" if one.last else "", one.status,
              size(one.size_bytes)] for one in targets]
    if len(targets) > 1:
        cells.append(["", "", "", "together", size(sum(one.size_bytes for one in targets))])
    write_aligned(["run", "recording", "last worked on", "status", "size"], cells, {"size"}, sys.stdout)


def show_persons(found) -> None:
    """Print the persons that are to be erased, and the files that show them."""
    from crowdmood.clock import format_time
    from crowdmood.rows import write_aligned

    cells = [[str(row["person"]), format_time(row["first_s"]), format_time(row["last_s"]), f"{row['seen_s']:.1f} s", f"{row['frames']:,}"]
             for row in found.persons]
    header = ["person", "first seen", "last seen", "seen for", "faces"]
    write_aligned(header, cells, set(header), sys.stdout)
    if found.pictures:
        click.echo(f"removed or made anew: {listed(found.pictures)}")
    if found.unknown:
        click.echo(f"these may show them too, and stay; look at them yourself: {listed(found.unknown)}")


def tell_erased(run, numbers: list[int]) -> None:
    """Say what was done and what could not be reached."""
    if not numbers:
        return click.echo(f"erased from run {run.id} already; nothing is left to do", err=True)
    report = run.report
    click.echo(f"{counted(numbers, 'person')} erased from run {run.id}{f'; new report: {report}' if report else ''}", err=True)
    return click.echo("the recording, files outside the results folder and other runs of it still show them", err=True)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Files by folder: talk.csv, selfies/ (3 files)."""
    folders = Counter(name.rpartition("/")[0] for name in names)
    texts = sorted(name for name in names if "/" not in name)
    texts += [f"{folder}/ ({counted(range(count), 'file')})" for folder, count in sorted(folders.items()) if folder]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def counted(things: Sequence, name: str) -> str:
    return f"{len(things):,} {name}{'s' if len(things) != 1 else ''}"


def size(count: float) -> str:
    """12.3 MB"""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""
