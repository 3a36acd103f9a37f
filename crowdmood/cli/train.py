"""`crowdmood train`: a group of its own, one module per model kind."""

from __future__ import annotations

import click

from crowdmood.cli import Lazy

TRAINABLE = {
    "expression": ("train_expression", "Train the expression net on labelled faces."),
    "detector": ("train_detector", "Train the face detector on pictures with boxes."),
    "popularity": ("train_popularity", "Train a head that scores photos, on pictures whose popularity is known."),
}


@click.group(cls=Lazy, table=TRAINABLE)
def train() -> None:
    """Train a model. Training goes on where it was stopped, and ends with a model folder and its card."""
