"""`crowdmood models`."""

from __future__ import annotations

from collections.abc import Iterator

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the cards as JSON.")
def models(as_json: bool) -> None:
    """List the models that ship, check their weights, and show their figures and limits.

    \b
      crowdmood models
      crowdmood models --json
    """
    import json

    from crowdmood.models import list_models

    for model in list_models():
        for name in model.card["files"]:
            model.file(name)
    if as_json:
        click.echo(json.dumps([model.card for model in list_models()], indent=2, default=str))
        return
    for model in list_models():
        card = model.card
        click.echo(f"{model.name}: {model.kind}, {card['architecture']}, {card['parameters']:,} parameters, {card['licence']}")
        for name, value in figures(card["metrics"]):
            click.echo(f"  {name}: {value}")
        click.echo(f"  limits: {card['limits']}")
        click.echo(f"  {model.folder}")


def figures(table: dict, prefix: str = "") -> Iterator[tuple[str, float | str]]:
    """The single values of nested tables, each with its path."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from figures(value, f"{prefix}{key} ")
        elif not isinstance(value, list):
            yield f"{prefix}{key}", value
