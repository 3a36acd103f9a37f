"""`crowdmood tune expression`: tries recipes and writes the best one."""

from __future__ import annotations

from pathlib import Path

import click

from crowdmood.cli.training_options import DATA, FORMS, SPLIT_SEED, training_options


@click.command("expression")
@click.option("--data", required=True, type=DATA, help=FORMS)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for study, recipe and plot.")
@click.option("--trials", default=30, show_default=True, type=click.IntRange(min=1), help="How many in all, those of before included.")
@click.option("--epochs", default=10, show_default=True, type=click.IntRange(min=1), help="Of each trial.")
@click.option("--goal", default="macro-f1", show_default=True, type=click.Choice(["accuracy", "macro-f1", "loss"]), help="What counts, on public_test.")
@click.option("--widths", default="0.25,0.5,0.75,1", show_default=True, metavar="A,B,..", help="Widths to try, as factors of the usual ones.")
@training_options
@SPLIT_SEED
def expression(data: Path, out: Path, trials: int, goal: str, widths: str, **options) -> None:
    """Search for the best widths, dropout, units, learning rate and share of augmentation on DATA, with Optuna.

    OUT gets recipe.toml (the best so far), trials.png (all of them) and study.db (SQLite, for optuna-dashboard too). The
    recipe that is given, else the usual one, is the first trial. Killed in the middle, the same command goes on; started in
    several terminals at once, all work on the same search. What --class-weights, --batch and --labels say is not searched.

    \b
      crowdmood tune expression --data faces/ --out tuned --trials 30
      crowdmood train expression --data faces/ --out my-net --epochs 60 --recipe tuned/recipe.toml
    """
    from crowdmood.cli.training_display import reporter
    from crowdmood.cli.training_options import settings_of
    from crowdmood.training.expression_data import data_digest, read_faces
    from crowdmood.training.expression_tuning import Search, tune

    settings = settings_of(**options)
    faces = read_faces(data, settings.labels, settings.split_seed)
    search = Search(trials, goal, _factors(widths), data_digest(data, faces))
    with reporter() as report:
        found = tune(faces, out, settings, search, report)
    if found.best is None:
        click.echo("no trial was trained to its end yet")
        return
    best = ", ".join(f"{name} {value:.4g}" for name, value in found.params[found.best].items())
    click.echo(f"best of {len(found.number)} trials: number {found.number[found.best] + 1}, {goal} {found.value[found.best]:.4f} ({best})")
    click.echo(f"recipe  {out / 'recipe.toml'}\nplot    {out / 'trials.png'}")


def _factors(text: str) -> tuple[float, ...]:
    try:
        found = tuple(sorted({float(word) for word in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not all(0.05 <= factor <= 4 for factor in found):
        raise click.UsageError("--widths: factors from 0.05 to 4, as 0.25,0.5,1")
    return found
