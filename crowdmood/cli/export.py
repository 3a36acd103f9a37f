"""`crowdmood export`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from crowdmood.cli.settings import results_option

FORMATS = ("csv", "json", "fex", "openface", "deepface", "mot", "vtt")
TABLES = ("faces", "frames", "persons", "timeline", "runs", "tiles", "spotlights", "speech", "names", "aggregates", "photos")
BY_ENDING = {".json": "json", ".vtt": "vtt", ".txt": "mot"}


@click.command(short_help="Write a run in the format of another tool.")
@click.argument("run")
@results_option
@click.option("--format", "form", type=click.Choice(FORMATS), metavar="FORMAT",
              help="csv, json, fex, openface, deepface, mot or vtt.  [default: from FILE's ending, else csv]")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Where to write.  [default: stdout]")
@click.option("--table", type=click.Choice(TABLES), metavar="TABLE",
              help="What csv and json hold: faces, frames, persons, timeline, runs or another table.  [default: faces]")
@click.option("--every", "every_s", type=click.FloatRange(0.1, 3600), metavar="SECONDS",
              help="How often a cue of vtt may change.  [default: 5]")
def export(run: str, results: str | None, form: str | None, output: str | None, table: str | None,
           every_s: float | None) -> None:
    """Write RUN (a run's id, the beginning of it, or its recording's name) in the format of another tool.

    \b
      csv, json   one of the tables (docs/tables.md)
      fex         CSV that py-feat's read_feat opens
      openface    CSV with OpenFace's columns, as far as they are measured
      deepface    JSON as deepface's analyze() gives it, a list of faces for each analyzed frame
      mot         MOT text, for tools that draw or compare tracks
      vtt         a WebVTT track of moods, for video players

    \b
      crowdmood export concert.mp4 -o moods.vtt
      crowdmood export concert.mp4 --format csv --table timeline > timeline.csv
      crowdmood export concert.mp4 --format fex -o concert_fex.csv
    """
    from crowdmood import exports
    from crowdmood.results import find_run, results_folder

    form = form or BY_ENDING.get(Path(output or "").suffix.lower(), "csv")
    if table and form not in ("csv", "json"):
        raise click.UsageError(f"--table is for csv and json; {form} always holds the same")
    if every_s and form != "vtt":
        raise click.UsageError("--every is for vtt")
    settings = {"table": table or "faces", "every_s": every_s or exports.EVERY_S}
    found = find_run(results_folder(results), run)
    if output is None:
        exports.write(found, form, sys.stdout, **settings)
    else:
        from rich.console import Console

        with Console(stderr=True).status(f"writing {output}"):
            exports.export(found, form, output, **settings)
    if form in exports.LEFT_OUT:
        click.echo(exports.LEFT_OUT[form], err=True)

