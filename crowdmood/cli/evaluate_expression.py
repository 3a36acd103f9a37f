"""`crowdmood evaluate expression`: measures an expression net on labelled faces and on whole photographs."""

from __future__ import annotations

from pathlib import Path

import click

TABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("expression")
@click.option("--data", type=TABLE, help="Table of labelled faces (Parquet).")
@click.option(
    "--photos", type=TABLE, help="Table of photographs and labels (Parquet), seen by the detector first."
)
@click.option("--model", type=FOLDER, help="Model folder.  [default: the shipped one]")
@click.option("--split", default="private_test", show_default=True, help="Rows of DATA to measure on.")
@click.option(
    "--by", metavar="COLUMN", help="Accuracy by the values of a column: groups of people, for example."
)
@click.option(
    "--against", type=TABLE, help="Another network's predictions on DATA: row and seven probabilities."
)
@click.option(
    "--detector",
    type=click.Path(path_type=Path),
    help="Face detector for PHOTOS.  [default: the shipped one]",
)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1), help="CPU threads.")
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON.")
@click.option("--write", is_flag=True, help="Put the figures into the model's card, README and pictures.")
def expression(
    data: Path | None, photos: Path | None, model: Path | None, as_json: bool, write: bool, **options
) -> None:
    """Measure an expression net on labelled faces and whole photographs: accuracy with intervals,
    calibration, sizes, what is 'uncertain', groups of people, and another network beside it.

    \b
      crowdmood evaluate expression --data fer2013.parquet
      crowdmood evaluate expression --data fer2013.parquet --by skin_tone --model my-net
      crowdmood evaluate expression --photos people.parquet --against other.parquet --write
    """
    import json

    from crowdmood.models import EXPRESSION_NET, find_model
    from crowdmood.training.expression_tables import figures_text, photos_text

    if data is None and photos is None:
        raise click.UsageError("give --data, --photos, or both")
    found = find_model(EXPRESSION_NET, model)
    command = _command(data=data, photos=photos, **options)
    parts = {}
    if data is not None:
        parts["faces"] = {"command": command} | _faces(data, found, options)
    if photos is not None:
        parts["photos"] = {"command": command} | _photos(photos, found, options)
    if options["by"] and not any("by" in part for part in parts.values()):
        raise click.UsageError(
            f"no column '{options['by']}' in {', '.join(p.name for p in (data, photos) if p)}"
        )
    if write:
        from crowdmood.training.expression_figures import add_figures

        add_figures(found.folder, **parts)
    if as_json:
        click.echo(
            json.dumps({"model": found.name, **parts.get("faces", {}), **_without(parts, "faces")}, indent=2)
        )
    else:
        texts = {"faces": figures_text, "photos": photos_text}
        click.echo("\n\n".join(texts[name](part) for name, part in parts.items()))


def _faces(data: Path, model, options: dict) -> dict:
    from crowdmood.training import expression_comparison as comparison
    from crowdmood.training.expression_data import read_faces
    from crowdmood.training.expression_evaluation import ask, measure

    faces = read_faces(data)
    answers = ask(faces, model, options["split"], options["threads"])
    rows, figures = faces.split == options["split"], measure(answers)
    if options["by"] and (group := comparison.read_column(data, options["by"])) is not None:
        figures["by"] = {options["by"]: comparison.compare_groups(answers, group[rows])}
    if options["against"]:
        number = comparison.read_column(data, "row")
        if number is None:
            raise click.UsageError(f"--against needs a column 'row' in {data.name}")
        figures["against"] = comparison.compare(answers, number[rows], options["against"])
    return figures


def _photos(photos: Path, model, options: dict) -> dict:
    from crowdmood.options import Options
    from crowdmood.training import expression_photos

    detector = None if options["detector"] is None else str(options["detector"])
    looked = Options(expression=str(model.folder), detector=detector)
    seen = expression_photos.read_photos(photos, looked, options["threads"])
    figures = expression_photos.measure_photos(seen)
    if options["by"]:
        groups = expression_photos.compare_photo_groups(seen, photos, options["by"])
        figures |= {"by": {options["by"]: groups}} if groups else {}
    return figures


def _command(**options) -> str:
    """The command that was given, files by their names only."""
    words = [
        f"--{name} {value.name if isinstance(value, Path) else value}"
        for name, value in options.items()
        if value is not None and (name, value) not in {("split", "private_test"), ("threads", 1)}
    ]
    return " ".join(["crowdmood evaluate expression", *words])


def _without(parts: dict, name: str) -> dict:
    return {key: part for key, part in parts.items() if key != name}
