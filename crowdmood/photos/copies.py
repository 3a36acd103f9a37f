"""Copies of the best photos in a folder, in their order. No file that is there is ever written over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from crowdmood.errors import ResultsError
from crowdmood.files import sha256_of, why


def copy_best(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Copy photos as 1-NAME, 2-NAME, ... (01- where there are ten or more); returns the copies.

    A file of that name with the same content is left as it is; where another has it, the copy is called NAME-2 and so on. Raises
    ResultsError.
    """
    digits = len(str(len(paths)))
    copies = []
    for place, path in enumerate(paths, 1):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            copies.append(_copied(path, folder / f"{place:0{digits}}-{path.name}"))
        except OSError as error:
            raise ResultsError(f"{path.name} cannot be copied to {folder}: {why(error)}") from error
    return copies


def _copied(path: Path, wanted: Path) -> Path:
    for number in count(1):
        target = wanted if number == 1 else wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        if not os.path.lexists(target) and _place(path, target):
            return target
        if target.is_file() and target.stat().st_size == path.stat().st_size and sha256_of(target) == sha256_of(path):
            return target
    raise AssertionError("there are names without end")


def _place(path: Path, target: Path) -> bool:
    """Copy to a name that nobody has; False where somebody has taken it meanwhile."""
    aside = target.with_name(f".{target.name[:200]}.{os.getpid()}-{os.urandom(3).hex()}.tmp")
    try:
        shutil.copyfile(path, aside)
        shutil.copystat(path, aside)
        with suppress(PermissionError):  # what a disk that knows no links answers
            os.link(aside, target)  # unlike a rename, a link takes no other file's place
            return True
        with open(target, "xb") as file, open(aside, "rb") as source:
            shutil.copyfileobj(source, file)
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    return True
