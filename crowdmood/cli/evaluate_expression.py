"""`crowdmood evaluate expression`: measures an expression net on labelled faces."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("expression")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table of labelled faces (Parquet).",
)
@click.option(
    "--model",
    type=click.Path(file_okay=False, path_type=Path),
    help="Model folder.  [default: the shipped one]",
)
@click.option("--split", default="private_test", show_default=True, help="Rows to measure on.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1), help="CPU threads.")
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON.")
def expression(data: Path, model: Path | None, split: str, threads: int, as_json: bool) -> None:
    """Measure an expression net on the faces in DATA: accuracy with intervals, calibration, sizes, confusion.

    \b
    crowdmood evaluate expression --data fer2013.parquet
    crowdmood evaluate expression --data fer2013.parquet --model models/expression-2 --json
    """
    import json

    from crowdmood.models import EXPRESSION_NET, find_model
    from crowdmood.training.expression_card import figures_text
    from crowdmood.training.expression_data import read_faces
    from crowdmood.training.expression_evaluation import evaluate

    found = find_model(EXPRESSION_NET, model)
    figures = evaluate(read_faces(data), found, split, threads)
    click.echo(json.dumps({"model": found.name, **figures}, indent=2) if as_json else figures_text(figures))
