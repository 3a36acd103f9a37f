"""`crowdmood evaluate`: a group of its own, one module per model kind."""

from __future__ import annotations

import click

from crowdmood.cli import Lazy

MEASURABLE = {
    "expression": ("evaluate_expression", "Measure the expression net on labelled faces."),
    "detector": ("evaluate_detector", "Measure the face detector on pictures with boxes."),
}


@click.group(cls=Lazy, table=MEASURABLE)
def evaluate() -> None:
    """Measure a model on data it was not trained on."""
