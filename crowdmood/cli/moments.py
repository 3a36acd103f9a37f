"""`crowdmood moments`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from crowdmood.cli.settings import Time, results_option


class Seconds(Time):
    """Seconds, also written 0.5s, or minutes:seconds."""

    def convert(self, value, param, context) -> float:
        return super().convert(value.removesuffix("s").rstrip() if isinstance(value, str) else value, param, context)


@click.command(short_help="Find the moments that satisfy a condition, and save stills and clips of them.")
@click.argument("run", required=False)
@click.option("--when", metavar="CONDITION", help="What a moment shows.  [default: the moments of the report]")
@click.option("--for", "least_s", type=Seconds(), default=0.5, show_default="0.5s",
              help="How long it must be shown without a break.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="At most so many, the best ones.")
@click.option("--save", "folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Write a still and a clip of each, and moments.json, into this folder.")
@click.option("--clip", "clip_s", type=Seconds(), default=3.0, show_default="3s",
              help="Length of a clip, the best frame in its middle; 0: no clips.")
@click.option("--copy", is_flag=True, help="Copy clips from the keyframe before, without encoding: fast, lossless, longer.")
@click.option("--still", type=click.Choice(["jpg", "png"]), default="jpg", show_default=True, help="Format of stills.")
@click.option("--anonymize", is_flag=False, flag_value="pixelate", metavar="[blur|pixelate]",
              type=click.Choice(["blur", "pixelate"]), help="Cover every face in stills and clips.  [pixelate]")
@click.option("--video", metavar="PATH", type=click.Path(path_type=Path),
              help="Where the recording is now.  [where it was when it was analyzed]")
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def moments(run: str | None, when: str | None, least_s: float, top: int, folder: Path | None, results: str | None,
            as_json: bool, as_csv: bool, **wishes) -> None:
    """Find the moments of RUN in which CONDITION holds for a while, best first, and save them as stills and clips.

    RUN is a run's id, the beginning of it, or the name of its recording; without it, the newest complete run. A moment ends at
    a cut. The first comparison about expressions says which moment is best: `all:happy` looks for the picture in which even
    the least happy face is happy, share(happy) > 0.8 for the largest share.

    \b
    A CONDITION is made of and, or, not, ( ), < <= > >= == != and + - * /, numbers (0.8, 80 %, 2s, 1:30) and, per frame:
      all:E any:E most:E    all, any, most readable faces show the expression E
      share(E)              share of the readable faces that show E
      mean(E) least(E) most(E)   probability of E: mean, smallest, largest over the readable faces
      change(E, 2s)         mean(E) now minus what it was 2 s before
      persons faces usable coverage   persons, faces, readable faces, and their share
      positivity valence time cut person(3).E
    E is angry, disgust, fear, happy, sad, surprise or neutral.

    \b
      crowdmood moments concert.mp4 --when all:happy --save selfies
      crowdmood moments concert.mp4 --when "share(happy) > 0.8 and persons >= 4" --for 0.5s --save best --clip 5s
      crowdmood moments talk.mp4 --when "change(surprise, 2s) > 20 % and time > 1:30" --csv
      crowdmood moments talk.mp4 --save talk --anonymize
    """
    from crowdmood.moments import find_moments
    from crowdmood.results import find_run, results_folder

    if as_json and as_csv:
        raise click.UsageError("--csv and --json exclude each other")
    place = results_folder(results)
    of_run = find_run(place, run) if run else newest(place)
    found = find_moments(of_run, when, least_s, top)
    if folder:
        found = found.with_files(save(of_run, found, folder, wishes))
    show(of_run, found, as_json, as_csv)


def newest(place: Path):
    """The newest complete run; what finds it takes a second to import."""
    from crowdmood.report import newest_run

    return newest_run(place)


def save(run, found, folder: Path, wishes: dict) -> list[dict]:
    """Write the files, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from crowdmood.moment_files import Wishes, save_moments

    errors = Console(stderr=True)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(folder.name, total=None)
        return save_moments(run, found, folder, Wishes(**wishes),
                            lambda done, files: bar.update(task, completed=done, total=files))


def show(run, found, as_json: bool, as_csv: bool) -> None:
    """Print the moments; on stderr what a reader should know about them."""
    from crowdmood import rows

    if as_json:
        rows.write_json(found.table.to_reader(), sys.stdout)
    elif as_csv:
        rows.write_csv(found.table.to_reader(), sys.stdout)
    elif len(found.table):
        print_table(found)
    else:
        click.echo(found.why_none(run), err=True)


def print_table(found) -> None:
    """The moments side by side, and what their figures are."""
    from crowdmood.clock import format_time
    from crowdmood.rows import write_aligned

    header = ["", "best at", "from", "to", "shown", "value", "faces read", "persons"]
    cells = [[str(row["rank"]), *(format_time(round(row[name], 1)) for name in ("peak_s", "start_s", "end_s")),
              f"{row['shown_s']:.1f} s", "" if row["value"] is None else f"{row['value']:.2f}", f"{row['faces']:,} of {row['faces_seen']:,}",
              f"{row['persons']:,}{' (few)' if row['few'] else ''}"] for row in found.table.to_pylist()]
    for name, key in (("shows", "expression"), ("still", "still")):
        if key in found.table.column_names and (key == "still" or found.condition is None):
            header.append(name)
            cells = [[*line, row[key] or "cannot be decoded"] for line, row in zip(cells, found.table.to_pylist(), strict=True)]
    write_aligned(header, cells, set(header[:8]), sys.stdout)
    few = "; few: under 5, which says nothing about a crowd" if any(found.table["few"].to_pylist()) else ""
    click.echo(f"value: {found.ranked_by}, at its best; faces read: then, of those in the picture; persons: read during the moment{few}", err=True)
