"""Models as they ship: a folder with weights and a card that says what they are.

A card (``card.toml``) holds ``kind``, ``name``, ``[input]``, ``labels``, ``[files]`` with a sha256 per file, licence,
provenance, limits and measured figures. Every file is checked against its sha256 before it is loaded.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from crowdmood.errors import ModelError
from crowdmood.files import sha256_of
from crowdmood.labels import EXPRESSIONS
from crowdmood.shipped import shipped

FACE_DETECTOR = "face detector"
EXPRESSION_NET = "expression net"
POPULARITY_HEAD = "popularity head"


# Weight files a model folder may hold, and what runs them; the first that is there stands for the model.
WEIGHTS = ("weights.safetensors", "model.onnx", "model.torchscript")
NEEDED = {
    FACE_DETECTOR: ("name", "input", "files"),
    EXPRESSION_NET: ("name", "input", "files", "labels"),
    POPULARITY_HEAD: ("name", "input", "files"),
}
DECISIVE = ("kind", "labels", "temperature", "input", "output", "detect", "usable", "files")
FACTS = {"name": str, "input": dict, "labels": list, "files": dict}
NEEDED_INPUT = {FACE_DETECTOR: (), EXPRESSION_NET: ("size", "channels", "margin", "shift_y"), POPULARITY_HEAD: ("features",)}


@dataclass(frozen=True)
class Model:
    """A model folder and its card. ``card`` is the parsed TOML."""

    folder: Path
    card: dict

    @property
    def name(self) -> str:
        return self.card["name"]

    @property
    def kind(self) -> str:
        return self.card["kind"]

    @property
    def weights(self) -> str:
        """sha256 of the weights."""
        return next(self.card["files"][name] for name in WEIGHTS if name in self.card["files"])

    @property
    def identity(self) -> dict:
        """All of the card that decides what the model gives; figures and words do not."""
        return {key: self.card[key] for key in DECISIVE if key in self.card}

    def has(self, name: str) -> bool:
        """Whether the card lists a file."""
        return name in self.card["files"]

    def file(self, name: str) -> Path:
        """The path of one of the model's files, its content checked against the card.

        Raises ModelError when the card does not list the file, it is missing, or its sha256 differs.
        """
        expected = self.card.get("files", {}).get(name)
        path = self.folder / name
        if expected is None or not path.is_file():
            raise ModelError(f"{self.kind} {self.name}: {name} is missing from {self.folder}")
        found = sha256_of(path)
        if found != expected:
            raise ModelError(f"{self.kind}: {name} has sha256 {found[:8]}.. but the card says {expected[:8]}..; "
                             f"restore {self.folder}")
        return path


def read_model(folder: Path | str, whole: bool = True) -> Model:
    """Read the card of one model folder. Raises ModelError when there is none, it cannot be read, or lacks something.

    whole: an expression net must know all seven expressions, as tables have them; else two of them will do.
    """
    path = Path(folder) / "card.toml"
    try:
        card = parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"no model in {folder}: {path.name} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not a valid model card ({error})") from error
    _check_card(card, path, whole)
    return Model(Path(folder), card)


@lru_cache(maxsize=16)
def parsed(text: str) -> dict:
    """A card's facts, not to be changed; a batch asks for the same ones for every recording."""
    return tomllib.loads(text)


def _check_card(card: dict, path: Path, whole: bool) -> None:
    kind = card.get("kind")
    if not isinstance(kind, str) or kind not in NEEDED:
        raise ModelError(f"{path}: kind is {kind!r}; known: {', '.join(map(repr, NEEDED))}")
    missing = [key for key in NEEDED[kind] if key not in card]
    wrong = [key for key, kind_of_fact in FACTS.items() if not isinstance(card.get(key, kind_of_fact()), kind_of_fact)]
    if wrong:
        raise ModelError(f"{path}: {', '.join(wrong)} is not what it should be; docs/models.md describes a card")
    missing += [f"input.{key}" for key in NEEDED_INPUT[kind] if key not in card.get("input", {})]
    if missing:
        raise ModelError(f"{path} lacks {', '.join(missing)}; docs/models.md describes a card")
    unknown = [name for name in EXPRESSIONS if kind == EXPRESSION_NET and name not in card["labels"]]
    if unknown and (whole or len(unknown) > len(EXPRESSIONS) - 2):
        raise ModelError(f"{path}: labels lack {', '.join(unknown)}; needed: {', '.join(EXPRESSIONS)}, in any order; a net that knows "
                         "some of them can only be measured (crowdmood evaluate expression)")
    _check_files(card["files"], path)


def _check_files(files: dict, path: Path) -> None:
    for name, digest in files.items():
        if Path(name).name != name or name == "..":
            raise ModelError(f"{path}: a file's name has no folder in it, unlike {name!r}")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ModelError(f"{path}: [files] must give the sha256 of {name}, 64 hexadecimal digits")
    if not any(name in files for name in WEIGHTS):
        raise ModelError(f"{path}: [files] lists none of {', '.join(WEIGHTS)} with its sha256")


def list_models() -> list[Model]:
    """The models that ship with the package, by folder name."""
    return [read_model(card.parent) for card in sorted(shipped("models").glob("*/card.toml"))]


def find_model(kind: str, folder: Path | str | None = None, whole: bool = True) -> Model:
    """The model in ``folder``, or the newest shipped one of this kind; whole: as `read_model` says. Raises ModelError
    when it does not fit.
    """
    if folder is not None:
        model = read_model(folder, whole)
        if model.kind != kind:
            raise ModelError(f"{folder} holds: {model.kind}; needed: {kind}")
        return model
    known = [model for model in list_models() if model.kind == kind]
    if not known:
        raise ModelError(f"no {kind} is installed in {shipped('models')}; reinstall crowdmood")
    return max(known, key=lambda model: model.card.get("version", 0))
