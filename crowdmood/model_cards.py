"""What a report says about the models of a run: card and measured figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crowdmood.models import list_models

MOST_FIGURES = 24


def cards(info: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The run's models: name and sha256 as recorded, and the card of the installed model that has that very file."""
    installed = list_models()
    for name, digest in sorted((info["models"] or {}).items()):
        card = next((model.card for model in installed if digest in model.card.get("files", {}).values()), None)
        yield {"name": name, "sha256": digest, "card": card, "figures": list(_measured(card or {}))[:MOST_FIGURES]}


def _measured(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values of what was measured; of a comparison of models only the card's own column."""
    metrics = card.get("metrics", {})
    yield from _flat(metrics.get(card.get("name"), metrics))
    yield from _flat(card.get("held_out", {}), "held out: ")


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Numbers as text; a number's interval and n (x_low, x_high, x_n, x_interval) stand behind it."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key} ")
        elif isinstance(value, (int, float, str)) and not _belongs_to_another(key, table):
            low, high = table.get(f"{key}_interval") or (table.get(f"{key}_low"), table.get(f"{key}_high"))
            behind = [] if low is None or high is None else [f"{low:.4g} to {high:.4g}"]
            behind += [f"n {table[f'{key}_n']:,}"] if f"{key}_n" in table else []
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            yield f"{prefix}{key}".replace("_", " "), f"{text} ({', '.join(behind)})" if behind else text


def _belongs_to_another(key: str, table: dict[str, Any]) -> bool:
    name, _, last = key.rpartition("_")
    return last in ("low", "high", "n") and name in table
