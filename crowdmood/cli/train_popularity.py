"""`crowdmood train popularity`: trains a head that scores photos and writes its model folder."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("popularity")
@click.option("--data", required=True, type=FOLDER, help="Folder with selfie_dataset.txt and images/.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Model folder to write.  [default: where `photos --by popularity` looks]")
@click.option("--kfold", default=10, show_default=True, type=click.IntRange(3, 50), help="Folds.")
@click.option("--repeats", default=1, show_default=True, type=click.IntRange(1, 100), help="How often the folds are drawn.")
@click.option("--seed", default=0, show_default=True, help="Of the folds.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all cores]")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Where what was found in the pictures is kept, to go on there.  [default: the cache folder]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="No progress display.")
def popularity(data: Path, out: Path | None, keep: Path | None, as_json: bool, quiet: bool, **options) -> None:
    """Train a head that tells more popular pictures from less popular ones, and measure it by K-fold against guessing.

    DATA is laid out as the UCF Selfie data set: selfie_dataset.txt has a line per picture (its name, its popularity, and attributes,
    which are not used), images/ has the pictures. Popular is what lies above the median. What is learned from: light and colours of
    the picture, and place, size and expression of its largest face.

    The score tells how much a picture is like those that were popular there. It is no measure of a picture's or a person's worth,
    and it takes over the prejudices of the audience that made it.

    \b
      crowdmood train popularity --data Selfie-dataset/
      crowdmood photos rank holiday/ --by popularity
      crowdmood train popularity --data Selfie-dataset/ --out my-head --kfold 5 --repeats 4 --json
      crowdmood photos show portrait.jpg --by popularity --popularity my-head
    """
    import json

    from crowdmood.cli.photo_display import PhotoBar
    from crowdmood.files import cache_folder
    from crowdmood.options import Execution
    from crowdmood.photos.popularity import usual_folder, verdict
    from crowdmood.training.popularity import measured, read_rated, whole_head
    from crowdmood.training.popularity_card import write_model

    out, keep = out or usual_folder(), keep or cache_folder() / "popularity"
    with PhotoBar(quiet or as_json) as bar:
        rated = read_rated(data, keep, Execution(device=options["device"], threads=options["threads"]), bar.progress)
        figures = measured(rated, options["kfold"], options["repeats"], options["seed"], bar.progress)
        head = whole_head(rated)
    words = f"crowdmood train popularity --data {shlex.quote(data.resolve().name)} --kfold {options['kfold']} --repeats {options['repeats']} --seed {options['seed']}"
    write_model(out, head, rated, figures, words)
    if as_json:
        click.echo(json.dumps(figures | {"model": str(out), "lacking": rated.lacking}))
        return
    click.echo(f"{verdict(figures)}\nmodel written to {out}")
    if rated.lacking:
        click.echo(f"crowdmood: {rated.lacking:,} lines of the table have no picture that can be read", err=True)
