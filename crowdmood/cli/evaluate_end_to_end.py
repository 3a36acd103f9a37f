"""`crowdmood evaluate end-to-end`: what the product loses against clean crops."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("end-to-end")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table of labelled faces (Parquet).",
)
@click.option("--model", type=FOLDER, help="Expression net's folder.  [default: the shipped one]")
@click.option(
    "--detector", type=click.Path(path_type=Path), help="Face detector.  [default: the shipped one]"
)
@click.option("--split", default="private_test", show_default=True, help="Rows of DATA to take faces from.")
@click.option(
    "--faces", default=300, show_default=True, type=click.IntRange(min=1), help="How many, at each side."
)
@click.option(
    "--seed", default=0, show_default=True, help="Of the choice of faces, their places and the scenes."
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON.")
@click.option("--write", is_flag=True, help="Put the figures into the expression net's card and README.")
def end_to_end(
    data: Path, model: Path | None, detector: Path | None, as_json: bool, write: bool, **options
) -> None:
    """Paste labelled faces at known places into a film, compress it as a video call would be, analyze it as
    any recording, and compare with the net's answers on the clean crops, by size.

    \b
    crowdmood evaluate end-to-end --data fer2013.parquet
    crowdmood evaluate end-to-end --data fer2013.parquet --faces 600 --detector my-detector --json
    """
    import json

    import numpy as np

    from crowdmood.models import EXPRESSION_NET, find_model
    from crowdmood.training.end_to_end import evaluate
    from crowdmood.training.expression_data import read_faces
    from crowdmood.training.expression_tables import end_to_end_text
    from crowdmood.training.film import FilmSettings

    found = find_model(EXPRESSION_NET, model)
    faces = read_faces(data)
    rows = np.flatnonzero((faces.split == options["split"]) & faces.clear)
    rows = np.sort(np.random.default_rng(options["seed"]).permutation(rows)[: options["faces"]])
    settings = FilmSettings(seed=options["seed"])
    figures = evaluate(faces.where(rows), found, detector and str(detector), settings, options["threads"])
    figures["split"] = options["split"]
    figures["command"] = f"crowdmood evaluate end-to-end --data {data.name} --faces {options['faces']}"
    figures["command"] += f" --seed {options['seed']}" + (f" --detector {detector.name}" if detector else "")
    if write:
        from crowdmood.training.expression_figures import add_figures

        add_figures(found.folder, end_to_end=figures)
    click.echo(json.dumps(figures, indent=2) if as_json else end_to_end_text(figures))
