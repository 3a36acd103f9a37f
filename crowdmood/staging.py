"""New versions of several files of a run that take the place of the old ones all at once.

    .staged/run=<id>/...  written  ->  .committed/run=<id>/...  by one rename: these count now  ->  moved to their places

Readers (crowdmood.tables, crowdmood.catalog) take a committed file for the one in its place. Killed at any step, the old files
count or the new ones, all of them; `settle` ends what was committed.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from crowdmood.files import flush

STAGED, COMMITTED = ".staged", ".committed"


def staged(results: Path, run: str) -> Path:
    """The folder in which new files are made, named in it as in the results folder."""
    return Path(results) / STAGED / f"run={run}"


def committed(results: Path, run: str) -> Path:
    """The folder of new files that count, but are not in their places yet."""
    return Path(results) / COMMITTED / f"run={run}"


def place(path: str) -> str:
    """Where a committed file belongs."""
    return re.sub(rf"/{re.escape(COMMITTED)}/run=[^/]*/", "/", path, count=1)


def commit(results: Path, run: str) -> None:
    """Make all staged files of a run count."""
    source, target = staged(results, run), committed(results, run)
    for path in [*source.rglob("*"), source]:
        flush(path)
    target.parent.mkdir(exist_ok=True)
    os.rename(source, target)
    flush(target.parent)


def settle(results: Path, run: str) -> None:
    """Move committed files to their places, and forget those that were never committed."""
    folder = committed(results, run)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        target = Path(results) / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        flush(target.parent)
    discard(folder)
    discard(staged(results, run))


def discard(folder: Path) -> None:
    """Remove the folder of a run's staged or committed files."""
    if folder.exists():
        shutil.rmtree(folder)
    with suppress(OSError):  # there is none, or other runs are in it
        folder.parent.rmdir()
