"""Which packets have to be decoded to get the wanted frames."""

from __future__ import annotations

import numpy as np

from crowdmood.video.recording import Recording

WORTH_A_JUMP = 12
"""Packets. Entering the stream anew costs about as much as decoding so many frames."""


def plan(recording: Recording, wanted: np.ndarray) -> list[np.ndarray]:
    """Cut the wanted frame numbers into runs, each decoded in one go from the keyframe before its first one.

    Between two runs so many packets can be left out that it pays to begin anew.
    """
    entry = _entries_of(recording, wanted)
    skipped = entry[1:] - recording.packet[wanted[:-1]]
    return np.split(wanted, np.flatnonzero(skipped > WORTH_A_JUMP) + 1)


def group_length(recording: Recording, wanted: np.ndarray) -> int:
    """How many of the wanted frames, from the first on, are decoded from the same keyframe as the first."""
    entry = _entries_of(recording, wanted)
    return int(np.searchsorted(entry, entry[0], side="right"))


def entry_for(recording: Recording, frame: int) -> int:
    """The ordinal of the last packet at which decoding may begin to get a frame: a keyframe, or 0."""
    return int(_entries_of(recording, np.array([frame]))[0])


def earlier_entry(recording: Recording, entry: int, steps: int) -> int:
    """The packet ``steps`` entry points before ``entry``, or 0."""
    entries, _ = entry_points(recording)
    at = int(np.searchsorted(entries, entry)) - steps
    return int(entries[at]) if at > 0 else 0


def entry_points(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Packets at which decoding may begin, and the first frame number that is right when it begins there.

    Frames displayed before a keyframe but stored behind it (open groups of pictures) need what came before;
    so a keyframe serves only the frames from itself on.
    """
    positions = np.flatnonzero(recording.keyframe)
    entries = recording.packet[positions]
    rising = (np.diff(entries, prepend=-1) > 0) & (np.diff(positions, prepend=-1) > 0)
    entries, positions = entries[rising], positions[rising]
    if not len(entries) or entries[0] != 0:
        entries, positions = np.insert(entries, 0, 0), np.insert(positions, 0, 0)
    return entries, positions


def _entries_of(recording: Recording, wanted: np.ndarray) -> np.ndarray:
    """For each wanted frame the ordinal of the last packet at which decoding may begin for it."""
    entries, positions = entry_points(recording)
    by_time = np.searchsorted(positions, wanted, side="right") - 1
    by_packet = np.searchsorted(entries, recording.packet[wanted], side="right") - 1
    return entries[np.maximum(np.minimum(by_time, by_packet), 0)]
