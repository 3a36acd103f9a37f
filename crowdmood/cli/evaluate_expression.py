"""`crowdmood evaluate expression`: measures an expression net on labelled faces and on whole photographs, or a recipe by
K-fold cross-validation.
"""

from __future__ import annotations

from pathlib import Path

import click

from crowdmood.cli.training_options import DATA, FORMS, SPLIT_SEED, training_options

TABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
SPLIT = "private_test"
FOLDED = ("recipe", "early_stopping", "class_weights", "batch", "epochs", "minutes", "out")
MODELLED = ("photos", "model", "by", "against", "detector", "split", "write")


@click.command("expression")
@click.option("--data", type=DATA, help=FORMS)
@click.option(
    "--photos", type=TABLE, help="Table of photographs and labels (Parquet), seen by the detector first."
)
@click.option("--model", type=FOLDER, help="Model folder.  [default: the shipped one]")
@click.option("--split", help="Rows of DATA to measure on.  [default: private_test, that is `test`]")
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
@click.option("--kfold", metavar="K", type=click.IntRange(min=2), help="Train and measure K nets instead, each on the faces of the others.")
@click.option("--repeats", default=1, show_default=True, type=click.IntRange(min=1), help="Of --kfold, each time with other folds.")
@click.option("--epochs", type=click.IntRange(min=1), help="Of each training of --kfold.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Of each training of --kfold, instead of --epochs.")
@training_options
@SPLIT_SEED
@click.option("--out", type=FOLDER, help="Folder for figures and pictures; needed with --kfold, which goes on there when it was killed.")
@click.option("--fresh", is_flag=True, help="Begin --kfold anew.")
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON.")
@click.option("--write", is_flag=True, help="Put the figures into the model's card, README and pictures.")
def expression(as_json: bool, **options) -> None:
    """Measure an expression net on labelled faces and whole photographs: accuracy with intervals,
    macro F1, each label, calibration, sizes, what is 'uncertain', groups of people, and another network beside it.

    With --kfold no model is measured but a recipe: K nets are trained, each measured on a part of DATA that it did not see;
    mean and 95 % interval of all figures. Identical pictures, and those of one `subject` where DATA has such a column, are
    always on one side.

    \b
      crowdmood evaluate expression --data fer2013.csv --out figures
      crowdmood evaluate expression --data faces/ --labels happy,sad --model my-net
      crowdmood evaluate expression --data faces/ --kfold 5 --repeats 2 --epochs 20 --recipe tuned/recipe.toml --out folds
      crowdmood evaluate expression --data fer2013.parquet --by skin_tone --model my-net
      crowdmood evaluate expression --photos people.parquet --against other.parquet --write
    """
    data, photos = options["data"], options["photos"]
    if options["kfold"]:
        _only(MODELLED, options, "--kfold trains nets of its own: leave out")
        _cross_validate(as_json, options)
    elif data is None and photos is None:
        raise click.UsageError("give --data, --photos, or both")
    else:
        _only([name for name in FOLDED if name != "out"], options, "only with --kfold:")
        _measure(as_json, options)


def _only(names, options: dict, words: str) -> None:
    """Refuse options that make no sense together."""
    given = [f"--{name.replace('_', '-')}" for name in names if options[name]]
    if given:
        raise click.UsageError(f"{words} {', '.join(given)}")


def _cross_validate(as_json: bool, options: dict) -> None:
    import json

    from crowdmood.cli.training_display import reporter
    from crowdmood.cli.training_options import settings_of
    from crowdmood.training.expression_data import data_digest, read_faces
    from crowdmood.training.expression_folds import Plan, cross_validate, forget
    from crowdmood.training.expression_tables import folds_text

    data, out = options["data"], options["out"]
    if data is None or out is None or (options["minutes"] is None) == (options["epochs"] is None):
        raise click.UsageError("--kfold needs --data, --out, and --epochs or --minutes")
    used = ("recipe", "labels", "split_seed", "early_stopping", "class_weights", "batch", "seed", "threads", "device", "epochs", "minutes")
    settings = settings_of(**{name: options[name] for name in used})
    faces = read_faces(data, settings.labels)
    if options["fresh"]:
        forget(out)
    plan = Plan(options["kfold"], options["repeats"], data_digest(data, faces))
    with reporter() as report:
        figures = cross_validate(faces, out, settings, plan, report)
    click.echo(json.dumps(figures, indent=2) if as_json else folds_text(figures))


def _measure(as_json: bool, options: dict) -> None:
    import json

    from crowdmood.models import EXPRESSION_NET, find_model
    from crowdmood.training.expression_tables import figures_text, photos_text

    data, photos = options["data"], options["photos"]
    found = find_model(EXPRESSION_NET, options["model"], whole=photos is not None)
    asked = ("data", "photos", "split", "by", "against", "detector", "labels", "threads")
    command = _command(**{name: options[name] for name in asked})
    parts = {}
    if data is not None:
        parts["faces"] = {"command": command} | _faces(data, found, options)
    if photos is not None:
        parts["photos"] = {"command": command} | _photos(photos, found, options)
    if options["by"] and not any("by" in part for part in parts.values()):
        raise click.UsageError(
            f"no column '{options['by']}' in {', '.join(p.name for p in (data, photos) if p)}"
        )
    _keep(found, parts, options)
    if as_json:
        click.echo(
            json.dumps({"model": found.name, **parts.get("faces", {}), **_without(parts, "faces")}, indent=2)
        )
    else:
        texts = {"faces": figures_text, "photos": photos_text}
        click.echo("\n\n".join(texts[name](part) for name, part in parts.items()))


def _keep(model, parts: dict, options: dict) -> None:
    """Write what was measured: into the model's folder, into another, or nowhere."""
    if options["write"]:
        from crowdmood.training.expression_figures import add_figures

        add_figures(model.folder, **parts)
    if options["out"]:
        from crowdmood.training.expression_figures import write_figures

        write_figures(options["out"], {"model": model.name} | parts)


def _faces(data: Path, model, options: dict) -> dict:
    from crowdmood.training import expression_comparison as comparison
    from crowdmood.training.expression_data import read_faces, said_labels
    from crowdmood.training.expression_evaluation import ask, known_labels, measure

    labels = said_labels(options["labels"]) if options["labels"] else known_labels(model)
    seed = options["split_seed"]
    faces = read_faces(data, labels, model.card.get("training", {}).get("split_seed", 0) if seed is None else seed)
    split = options["split"] or SPLIT
    answers = ask(faces, model, split, options["threads"])
    rows, figures = faces.split == split, measure(answers)
    if options["by"] and (group := comparison.read_column(data, options["by"])) is not None:
        figures["by"] = {options["by"]: comparison.compare_groups(answers, group[faces.row][rows])}
    if options["against"]:
        number = comparison.read_column(data, "row")
        if number is None:
            raise click.UsageError(f"--against needs a column 'row' in {data.name}")
        figures["against"] = comparison.compare(answers, number[faces.row][rows], options["against"])
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
        if value is not None and (name, value) not in {("split", SPLIT), ("threads", 1)}
    ]
    return " ".join(["crowdmood evaluate expression", *words])


def _without(parts: dict, name: str) -> dict:
    return {key: part for key, part in parts.items() if key != name}
