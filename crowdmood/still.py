"""A recording has to stay what it is while it is read: one that is still being written would give rows of no file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from crowdmood.errors import VideoError
from crowdmood.files import identity
from crowdmood.video import Recording, join, probe
from crowdmood.zoom.meetings import Meeting


def probe_still(source: Path | Meeting) -> tuple[tuple[int, ...], Recording]:
    """A recording, or that of a meeting, and the identity of its files. Raises VideoError where that changes meanwhile."""
    if isinstance(source, Meeting):
        return _probe_meeting(source)
    try:
        before = identity(source)
    except OSError:
        before = ()  # probe says what is wrong with it
    recording = probe(source)
    check_same(source, before)
    return before, recording


def check_same(path: Path, before: tuple[int, ...]) -> None:
    """Raise VideoError where a file is not what it was. One that was removed can still be read by who has it open."""
    with suppress(OSError):
        if identity(path) != before:
            raise VideoError(f"{path.name}: it changed while it was read; if it is still being written, run this again later")


def check_still(recording: Recording, before: tuple[int, ...]) -> None:
    """The same for all files of a recording, and what `probe_still` has said of them."""
    each = len(before) // len(recording.files)
    for at, file in enumerate(recording.files):
        check_same(file.path, before[at * each:(at + 1) * each])


def _probe_meeting(meeting: Meeting) -> tuple[tuple[int, ...], Recording]:
    if meeting.problem:
        raise VideoError(meeting.problem)
    found = [probe_still(part.path.absolute()) for part in meeting.parts]
    if len(found) == 1:
        return found[0]
    exact = all(part.known_by != "order" for part in meeting.parts)
    recording = join(meeting.folder.absolute(), [one for _, one in found], [part.start_s for part in meeting.parts], exact)
    return tuple(number for before, _ in found for number in before), recording
