"""Models as they ship: a folder with weights and a card that says what they are.

A card (``card.toml``) holds ``kind``, ``name``, ``[input]``, ``labels``, ``[files]`` with a sha256 per file, licence,
provenance, limits and measured figures. Every file is checked against its sha256 before it is loaded.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from crowdmood.errors import ModelError
from crowdmood.files import sha256_of
from crowdmood.shipped import shipped

FACE_DETECTOR = "face detector"
EXPRESSION_NET = "expression net"


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


def read_model(folder: Path | str) -> Model:
    """Read the card of one model folder. Raises ModelError when there is none or it cannot be read."""
    card = Path(folder) / "card.toml"
    try:
        return Model(Path(folder), tomllib.loads(card.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelError(f"no model in {folder}: {card.name} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{card}: not a valid model card ({error})") from error


def list_models() -> list[Model]:
    """The models that ship with the package, by folder name."""
    return [read_model(card.parent) for card in sorted(shipped("models").glob("*/card.toml"))]


def find_model(kind: str, folder: Path | str | None = None) -> Model:
    """The model in ``folder``, or the newest shipped one of this kind. Raises ModelError when it does not fit."""
    if folder is not None:
        model = read_model(folder)
        if model.kind != kind:
            raise ModelError(f"{folder} holds: {model.kind}; needed: {kind}")
        return model
    known = [model for model in list_models() if model.kind == kind]
    if not known:
        raise ModelError(f"no {kind} is installed in {shipped('models')}; reinstall crowdmood")
    return max(known, key=lambda model: model.card.get("version", 0))
