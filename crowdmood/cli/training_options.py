"""What all commands that train an expression net ask for, and how that becomes settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

DATA = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FORMS = "Faces: a FER2013 CSV (with fer2013new.csv of FERPlus beside it: votes), a folder per class, or a Parquet table."

TRAINING = (
    click.option("--recipe", type=FILE, help="Widths, dropout, units, rate ... as `crowdmood tune` writes them (TOML)."),
    click.option("--labels", metavar="A,B,..", help="Train on some of the seven only, as on happy,sad.  [default: all]"),
    click.option("--early-stopping", metavar="[EPOCHS]", type=click.IntRange(min=1), is_flag=False, flag_value=10,
                 help="End after so many epochs (10) without a smaller loss on public_test; the best weights are kept."),
    click.option("--class-weights", metavar="HOW", help="none, balanced (rare labels count more), or fear=3,disgust=4.  [default: none]"),
    click.option("--batch", type=click.IntRange(min=2), help="Faces per step.  [default: 128]"),
    click.option("--seed", default=0, show_default=True, help="Of weights, order and augmentation."),
    click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1), help="CPU threads."),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N."),
)  # fmt: skip
SPLIT_SEED = click.option("--split-seed", type=int, help="Draws the splits that DATA does not have.  [default: 0]")


def training_options(command: Callable) -> Callable:
    """Add the options of TRAINING."""
    for option in reversed(TRAINING):
        command = option(command)
    return command


def settings_of(*, recipe: Path | None, labels: str | None, split_seed: int | None, **options):
    """Settings from options; what is not given comes from the recipe, then from the defaults. Raises CrowdmoodError."""
    from crowdmood.training.expression_data import said_labels
    from crowdmood.training.expression_recipe import read_recipe, weights_of
    from crowdmood.training.expression_state import Settings

    given = {name: value for name, value in options.items() if value is not None}
    chosen = {"labels": said_labels(labels)} if labels else {}
    settings = Settings(**(read_recipe(recipe) if recipe else {}) | given | chosen, split_seed=split_seed or 0)
    weights_of(settings.class_weights, settings.labels)
    return settings
