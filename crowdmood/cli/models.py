"""`crowdmood models`."""

from __future__ import annotations

from collections.abc import Iterator

import click


@click.command()
@click.argument("folders", nargs=-1, metavar="[FOLDER]...")
@click.option("--json", "as_json", is_flag=True, help="Print the cards as JSON.")
def models(folders: tuple[str, ...], as_json: bool) -> None:
    """List the models that ship, or those in FOLDERS; check their weights, run them once, show figures and limits.

    \b
      crowdmood models
      crowdmood models --json
      crowdmood models ./my-expression-net
    """
    import json

    from crowdmood.models import list_models, read_model

    found = [read_model(folder, whole=False) for folder in folders] if folders else list_models()
    for model in found:
        _try(model)
    if as_json:
        click.echo(json.dumps([model.card for model in found], indent=2, default=str))
        return
    for model in found:
        card = model.card
        click.echo(f"{model.name}: {model.kind}, " + ", ".join(
            str(card[key]) for key in ("architecture", "licence") if key in card))
        for name, value in figures(card):
            click.echo(f"  {name}: {value}")
        click.echo(f"  limits: {card.get('limits', 'not stated')}")
        click.echo(f"  weights are as the card says, and run; {model.folder}")


def _try(model) -> None:
    """Check every file and let the network look at one black picture. Raises ModelError."""
    import numpy as np

    from crowdmood.errors import ModelError
    from crowdmood.expressions import CROPS_PER_REQUEST
    from crowdmood.models import EXPRESSION_NET, POPULARITY_HEAD
    from crowdmood.runtimes import Device, load_network

    for name in model.card["files"]:
        model.file(name)
    if model.kind == POPULARITY_HEAD:
        from crowdmood.photos.popularity import load_head

        load_head(model)
        return
    device, shape = Device("cpu", "openvino", 1), model.card["input"]
    if model.kind == EXPRESSION_NET:
        black = np.zeros((1, shape["size"], shape["size"], shape["channels"]), np.uint8)
        fits = load_network(model, device, CROPS_PER_REQUEST)(black).shape == (1, len(model.card["labels"]))
    else:
        fits = load_network(model, device)(np.zeros((1, 96, 64, 3), np.uint8)).shape[:2] == (1, 5)
    if not fits:
        raise ModelError(f"{model.folder} runs, but its output has another shape than a {model.kind} gives")


def figures(card: dict) -> Iterator[tuple[str, str]]:
    """A card's own figures, one line each; a line for each band of a detector. Its README has the intervals."""
    metrics = card.get("metrics", {})
    for name, value in metrics.get(card["name"], metrics).items():
        if isinstance(value, dict):
            for band, found in value.items():
                yield f"{name} boxes, {band} px", f"AP {found['ap']:.3f}, recall {found['recall']:.3f} at precision 0.9"
        elif isinstance(value, float) and not name.endswith(("_low", "_high")):
            low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
            behind = "" if low is None else f" (95 %: {low:.3f} to {high:.3f})"
            yield name.replace("_", " "), f"{value:.3f}{behind}"
