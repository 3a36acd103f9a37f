"""`crowdmood tune`: a group of its own, one module per model kind."""

from __future__ import annotations

import click

from crowdmood.cli import Lazy

TUNABLE = {"expression": ("tune_expression", "Search for the best recipe of the expression net.")}


@click.group(cls=Lazy, table=TUNABLE)
def tune() -> None:
    """Search for the best recipe of a training: try many short ones, keep what was best."""
