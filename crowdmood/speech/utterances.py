"""What the side files of a meeting say, brought onto the meeting's clock: one list of utterances, and speakers by number.

    spoken = utterances(meeting, duration_s=3600.0)
    numbers = numbered(spoken)      # {"anna berg": 1, ...}
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from crowdmood.speech.name_lists import name_key
from crowdmood.speech.transcripts import READERS, Said, read_said
from crowdmood.zoom.meetings import Meeting, SideFile

A_DAY_S = 86_400.0
ZONE_S = 900.0  # the world's clocks differ by multiples of this
ZONES = sorted(range(-48, 57), key=lambda shift: (shift % 4, abs(shift)))  # whole hours are likelier
SLACK_S = 120.0  # a chat may begin before the recording, and go on after it


class Utterance(NamedTuple):
    """Something said, on the meeting's clock, in seconds; name: as it is written, None where nobody is named.

    question and words are None in a timeline, which has no words.
    """

    start_s: float
    end_s: float
    kind: str
    name: str | None
    question: bool | None
    words: int | None
    text: str | None


def side_files(meeting: Meeting | None) -> list[SideFile]:
    """The side files that are read."""
    return [file for file in meeting.side if file.kind in READERS] if meeting else []


def utterances(meeting: Meeting | None, duration_s: float, lead_s: float = 0.0) -> list[Utterance]:
    """What the side files say, by time. What cannot be read, or lies outside of the recording, is left out and told.

    lead_s: how long after the beginning of the recording, from which side files count, its first frame comes, from which we do.
    """
    found = [one for file in side_files(meeting) for one in _of_file(meeting, file, duration_s, lead_s)]
    return sorted(found, key=lambda one: (one.start_s, one.end_s, one.kind, one.name or "", one.text or ""))


def numbered(spoken: Iterable[Utterance]) -> dict[str, int]:
    """The speakers by `name_key`, numbered from 1 in order of their first words in any side file."""
    return {key: number for number, key in enumerate(dict.fromkeys(name_key(one.name) for one in spoken if one.name), 1)}


def _of_file(meeting: Meeting, file: SideFile, duration_s: float, lead_s: float) -> list[Utterance]:
    log = logging.getLogger("crowdmood")
    try:
        said = read_said(file.path, file.kind)
    except OSError as error:
        log.warning("%s is left out: it cannot be read (%s)", file.path.name, error.strerror or error)
        return []
    offset = _offset(meeting, file, said, duration_s)
    if offset is None:
        log.warning("%s is left out: it tells the time of day, and no time zone puts it into the recording", file.path.name)
        return []
    offset -= lead_s
    there = (said.end_s + offset >= 0) & (said.start_s + offset < duration_s)
    missing = [*said.left_out, *([f"{(~there).sum():,} of {len(there):,} outside of the recording"] if not there.all() else [])]
    if missing:
        log.warning("%s: left out: %s", file.path.name, ", ".join(missing))
    return [_utterance(said, at, offset, duration_s) for at in np.flatnonzero(there)]


def _utterance(said: Said, at: int, offset: float, duration_s: float) -> Utterance:
    start, end = (min(max(round(float(time) + offset, 3), 0.0), duration_s) for time in (said.start_s[at], said.end_s[at]))
    wordless = said.kind[at] == "timeline"
    return Utterance(start, end, said.kind[at], said.speaker[at], None if wordless else bool(said.question[at]),
                     None if wordless else int(said.words[at]), None if wordless else said.text[at])


def _offset(meeting: Meeting, file: SideFile, said: Said, duration_s: float) -> float | None:
    """Where the file's zero lies on the meeting's clock, in seconds; None where that cannot be known."""
    last = said.end_s.max(initial=0)
    if file.start_s is not None and not (said.wall and file.start_s + last > duration_s + SLACK_S):
        return file.start_s
    if not len(said):
        return 0.0
    began = meeting.wall or (meeting.started and meeting.started.astimezone())
    if began is None:
        return None
    first = said.start_s[0] - _seconds_of_day(began)
    if meeting.wall is None:  # the zone of the computer that saved the chat is not known: ours, else one in which it fits
        room = duration_s + SLACK_S - (last - said.start_s[0])
        shift = next((shift for shift in ZONES if (first + shift * ZONE_S + SLACK_S) % A_DAY_S - SLACK_S <= room), None)
        if shift is None:
            return None
        first += shift * ZONE_S
    first = (first + A_DAY_S / 2) % A_DAY_S - A_DAY_S / 2  # past midnight, or a little before the recording
    return first - said.start_s[0]


def _seconds_of_day(moment: datetime) -> float:
    return timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second).total_seconds()
