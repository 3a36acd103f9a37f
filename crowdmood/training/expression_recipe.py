"""Recipes: what may be tuned of a training, as TOML that people can read and change."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import tomli_w

from crowdmood.errors import CrowdmoodError
from crowdmood.files import write_aside
from crowdmood.training.expression_state import Settings

FILE = "recipe.toml"
STAGES = 4


def _whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(low: float, high: float) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _four(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and len(value) == STAGES and all(map(_whole(low, high), value))


# name: (what it must be, in words; the test)
RECIPE = {
    "widths": ("four whole numbers from 4 to 2048", _four(4, 2048)),
    "blocks": ("four whole numbers from 1 to 16", _four(1, 16)),
    "units": ("a whole number from 0 (no such layer) to 4096", _whole(0, 4096)),
    "dropout": ("a number from 0 to 0.95", _number(0, 0.95)),
    "rate": ("a number from 1e-5 to 10", _number(1e-5, 10)),
    "weight_decay": ("a number from 0 to 1", _number(0, 1)),
    "batch": ("a whole number from 2 to 65536", _whole(2, 65536)),
    "augmentation": ("a number from 0 (mirrored only) to 1 (every face is changed)", _number(0, 1)),
    "class_weights": ("none, balanced, or like fear=3,disgust=4", lambda value: isinstance(value, str) and _words(value) is not None),
}


def read_recipe(path: Path) -> dict:
    """The settings that a recipe has, any of RECIPE. Raises one CrowdmoodError for what is wrong in it."""
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CrowdmoodError(f"{path}: cannot be read as a recipe ({error})") from error
    unknown = sorted(set(recipe) - set(RECIPE))
    if unknown:
        raise CrowdmoodError(f"{path}: a recipe knows no {', '.join(unknown)}; known: {', '.join(RECIPE)}")
    for name, value in recipe.items():
        words, fits = RECIPE[name]
        if not fits(value):
            raise CrowdmoodError(f"{path}: {name} = {value!r} must be {words}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in recipe.items()}


def recipe_of(settings: Settings) -> dict:
    """The part of the settings that a recipe has."""
    values = {name: getattr(settings, name) for name in RECIPE}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def write_recipe(path: Path, recipe: dict, words: list[str]) -> None:
    """Write a recipe with lines of comment above it."""
    text = "".join(f"# {line}\n" for line in words) + tomli_w.dumps(recipe, multiline_strings=False)
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def weights_of(text: str, labels: tuple[str, ...]) -> dict[str, float] | None:
    """'fear=3,disgust=4' -> {'fear': 3.0, ...}; None for 'none' and 'balanced'. Raises CrowdmoodError."""
    found = _words(text)
    if found is None:
        raise CrowdmoodError(f"--class-weights {text}: give none, balanced, or like fear=3,disgust=4")
    unknown = [name for name in found if name not in labels]
    if unknown:
        raise CrowdmoodError(f"--class-weights {text}: no label {unknown[0]!r}; known: {', '.join(labels)}")
    return None if text in ("none", "balanced") else found


def _words(text: str) -> dict[str, float] | None:
    """The weights by name, {} for none and balanced of all, None where the text is neither."""
    if text in ("none", "balanced"):
        return {}
    pairs = [word.split("=") for word in text.split(",")]
    try:
        found = {name.strip().lower(): float(value) for name, value in pairs}
    except ValueError:
        return None
    return found if all(0 < value <= 1000 for value in found.values()) else None
