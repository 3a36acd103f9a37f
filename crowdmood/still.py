"""A recording has to stay what it is while it is read: one that is still being written would give rows of no file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from crowdmood.errors import VideoError
from crowdmood.files import identity
from crowdmood.video import Recording, probe


def probe_still(path: Path) -> tuple[tuple[int, ...], Recording]:
    """A recording and the identity of its file. Raises VideoError where that changes meanwhile."""
    try:
        before = identity(path)
    except OSError:
        before = ()  # probe says what is wrong with it
    recording = probe(path)
    check_same(path, before)
    return before, recording


def check_same(path: Path, before: tuple[int, ...]) -> None:
    """Raise VideoError where a file is not what it was. One that was removed can still be read by who has it open."""
    with suppress(OSError):
        if identity(path) != before:
            raise VideoError(f"{path.name}: it changed while it was read; if it is still being written, run this again later")
