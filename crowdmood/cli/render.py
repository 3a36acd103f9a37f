"""`crowdmood render`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

import click

from crowdmood.cli.settings import Time, results_option
from crowdmood.files import bare_name


@click.command(short_help="Write the recording as a film, annotated or with all faces covered.")
@click.argument("run", required=False)
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="The film, .mp4.  [default: ./RECORDING.annotated.mp4, or .anonymized.mp4]")
@click.option("--anonymize", is_flag=False, flag_value="pixelate", metavar="[blur|pixelate]",
              type=click.Choice(["blur", "pixelate"]), help="Cover every face.  [pixelate]")
@click.option("--no-boxes", is_flag=True, help="Do not frame and label faces.")
@click.option("--no-curve", is_flag=True, help="No strip with the course of the recording below the picture.")
@click.option("--start", "start_s", type=Time(), default=0.0, help="Where to begin: 90, 1:30, 00:01:30.5.")
@click.option("--end", "end_s", type=Time(), help="Where to stop.")
@click.option("--height", type=int, metavar="PIXELS", help="Height of the picture, the strip not included.  [as it is]")
@click.option("--crf", type=click.IntRange(0, 51), default=20, show_default=True,
              help="Quality of the film: 0 is best and large, 51 worst and small.")
@click.option("--video", metavar="PATH", type=click.Path(path_type=Path),
              help="Where the recording is now.  [where it was when it was analyzed]")
@click.option("--force", is_flag=True, help="Replace a film that is there already.")
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about the film.")
def render(run: str | None, output: Path | None, results: str | None, video: Path | None, force: bool, as_json: bool,
           no_boxes: bool, no_curve: bool, **look) -> None:
    """Write the recording of RUN as a film: each face framed in the colour of the expression shown, with the person's
    number, and the course of the whole recording below.

    RUN is a run's id, the beginning of it, or the name of its recording; without it, the newest complete run.
    --anonymize covers every face that was found, also between two sightings. Nobody finds all faces: look at the film
    before you pass it on. Voices are kept.

    \b
      crowdmood render concert.mp4
      crowdmood render concert.mp4 -o moods.mp4 --start 12:00 --end 13:30
      crowdmood render concert.mp4 --anonymize
      crowdmood render concert.mp4 --anonymize blur --no-boxes --no-curve
    """
    from crowdmood.errors import ResultsError
    from crowdmood.film import Look
    from crowdmood.film import render as render_film
    from crowdmood.report import newest_run
    from crowdmood.results import find_run, results_folder

    folder = results_folder(results)
    found = find_run(folder, run) if run else newest_run(folder)
    target = output or default_name(found.info["recording"], look["anonymize"])
    if target.exists() and not force:
        raise ResultsError(f"{target} is there already; --force replaces it")
    with Bar(target.name) as bar:
        film = render_film(found, target, Look(boxes=not no_boxes, curve=not no_curve, **look), video, bar.progress)
    show(found, film, as_json)


def default_name(recording: str, anonymize: str | None) -> Path:
    """The film's name, in the working folder."""
    return Path(f"{bare_name(recording)}.{'anonymized' if anonymize else 'annotated'}.mp4")


class Bar:
    """Frames done and how fast, on a terminal."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        errors = Console(stderr=True)
        self.bar = Progress(TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[speed]}"),
                            TimeRemainingColumn(), console=errors, transient=True, disable=not errors.is_terminal)
        self.task, self.began = self.bar.add_task(name, total=None, speed="opening"), None

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        self.bar.stop()

    def progress(self, done: int, frames: int, recorded_s: float) -> None:
        """Show how far the film is and how fast it is made."""
        from time import monotonic

        self.began = self.began or (monotonic(), done, recorded_s)
        seconds = max(monotonic() - self.began[0], 1e-3)
        speed = f"{(done - self.began[1]) / seconds:.0f} frames/s, {(recorded_s - self.began[2]) / seconds:.1f} x real time"
        self.bar.update(self.task, completed=done, total=frames, speed=speed)


def show(run, film, as_json: bool) -> None:
    """Print where the film is, and what it holds."""
    if as_json:
        click.echo(json.dumps({
            "run": run.id, "recording": run.info["recording"], "film": str(film.path.absolute()), "frames": film.frames,
            "frames_missing": film.missing, "duration_s": film.recorded_s, "seconds": round(film.seconds, 3),
            "frames_per_second": round(film.frames / film.seconds, 1), "times_real_time": round(film.recorded_s / film.seconds, 2),
        }, ensure_ascii=False))
        return
    click.echo(str(film.path))
    click.echo(f"{film.frames:,} frames in {film.seconds:.1f} s: {film.frames / film.seconds:.0f} frames/s, "
               f"{film.recorded_s / film.seconds:.1f} x real time", err=True)
    if film.missing:
        click.echo(f"crowdmood: {film.missing} frames of the recording cannot be decoded and are missing", err=True)
