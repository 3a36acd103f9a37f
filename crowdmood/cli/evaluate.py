"""`crowdmood evaluate`: a group of its own, one module per model kind."""

from __future__ import annotations

import click

from crowdmood.cli import Lazy

MEASURABLE = {
    "expression": ("evaluate_expression", "Measure the expression net on labelled faces and photographs."),
    "detector": ("evaluate_detector", "Measure the face detector on pictures with boxes."),
    "end-to-end": ("evaluate_end_to_end", "Measure what the product loses against clean crops."),
}


@click.group(cls=Lazy, table=MEASURABLE)
def evaluate() -> None:
    """Measure a model on data it was not trained on."""
