"""A run belongs to one process at a time: a file beside its row that only one can hold."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crowdmood.errors import ResultsError, RunBusy


def lock_path(results: Path, run: str) -> Path:
    """The file that is held. Only a process that holds it may remove it."""
    return results / "runs" / f".run={run}.lock"


@contextmanager
def lock(results: Path, run: str) -> Iterator[None]:
    """Keep a run to one process at a time; the lock ends with the process. Raises RunBusy when it is taken."""
    path = lock_path(results, run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w")  # noqa: SIM115 closed below
    except OSError as error:
        raise ResultsError(f"results folder {results} cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunBusy(f"run {run} is being analyzed by another process; wait for it or stop it") from error
        if not _is_at(path, file.fileno()):  # the run was removed since it was opened, and another process may hold a new one
            raise RunBusy(f"run {run} was just being removed by another process; try again")
        yield


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
