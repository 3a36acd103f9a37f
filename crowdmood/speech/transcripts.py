"""What Zoom writes beside a recording about who said what: transcript (WebVTT), timeline (JSON) and chat (text), as rows.

Pure text in, a `Said` out. What can be read is read; what cannot is left out, counted, and told in `Said.left_out`.

    said = read_said(path, "transcript")
    for start, speaker in zip(said.start_s, said.speaker): ...

A question is a text in which a sentence ends with a question mark: ? and its Chinese, Arabic, Armenian and Greek forms.
"""

from __future__ import annotations

import codecs
import csv
import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import webvtt
from webvtt.models import Timestamp

from crowdmood.clock import parse_time

LONGEST_NAME = 200
LAST_S = 1.0  # how long the last entry of a timeline counts: none follows that would end it
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]+([^<>]*)>")
TAG = re.compile(r"</?(?:[bcisuv]|ruby|rt|lang)(?:[.\s][^<>]*)?>|<[\d:.]+>")
SPEAKER = re.compile(r"\s*([^:：\n]{1,64}?)\s*[:：](?:\s+|$)")
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|(?:(?![\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])[^\W_])+(?:['’.,-][^\W_]+)*")
ASKED = re.compile(r"[?\u037e](?=$|[\s\"'”’»)\]?!…])|[？؟՞]")
GREEK, ASKED_IN_GREEK = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"), re.compile(r";(?=$|\s)")  # its sign's normal form is a semicolon
HALF_A_DAY_S = 43_200.0
TIME = r"\s*(?:\d{4}-\d\d-\d\d\s+)?(?P<time>\d{1,3}:\d\d:\d\d)(?:\s*(?P<half>[AaPp][Mm]))?\s+"
FROM = re.compile(TIME + r"From\s+(?P<head>[^:：]+?)\s*[:：]\s*(?P<text>.*)")
ELAPSED = re.compile(TIME + r"(?P<name>[^\t]{1,80}?):(?:\t\s*|\s+)(?P<text>.*)")
TO = re.compile(r"\s+to\s+", re.IGNORECASE)
PRIVATE = re.compile(r"\s*\((?:direct message|privately|private)\)", re.IGNORECASE)
FOR_ALL = re.compile(r"^(?:everyone|all|attendees|meeting group chat)\b", re.IGNORECASE)
QUOTED = re.compile(r"^\s*Replying to \"[^\n]*?\"(?=\s|$)")
REACTION = re.compile(r"Reacted to \".*\" with |Removed an? .* (?:reaction )?from \"", re.IGNORECASE)


class Line(NamedTuple):
    """Something said: from when to when, in seconds of the file's own clock, by whom (None: nobody is named), what."""

    start_s: float
    end_s: float
    speaker: str | None
    text: str


@dataclass(frozen=True)
class Said:
    """Struct of arrays, k rows by time: what a side file says.

    start_s, end_s: float64 (k,), seconds of the file's own clock; speaker: names, None where nobody is named; text: '' in a
    timeline; kind: 'transcript', 'timeline' or 'chat'; question: bool (k,); words: int32 (k,). left_out: what is missing, as
    '2 damaged cues'. wall: the times are those of a clock on the wall, seconds from midnight.
    """

    start_s: np.ndarray
    end_s: np.ndarray
    speaker: list[str | None]
    text: list[str]
    kind: list[str]
    question: np.ndarray
    words: np.ndarray
    left_out: tuple[str, ...] = ()
    wall: bool = False

    def __len__(self) -> int:
        return len(self.start_s)


def read_said(path: Path, kind: str) -> Said:
    """The rows of a side file. kind: 'transcript', 'timeline' or 'chat'. Raises OSError only."""
    return READERS[kind](decoded(path.read_bytes()))


def decoded(content: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, else the old Western one; line ends as they are here."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def is_question(text: str) -> bool:
    """Whether a sentence in the text ends with a question mark (not one inside an address)."""
    return bool(ASKED.search(text) or (GREEK.search(text) and ASKED_IN_GREEK.search(text)))


def words_of(text: str) -> int:
    """How many words a text has; in Chinese and Japanese, which do not part them, each character is one."""
    return len(WORD.findall(text))


def said_of(kind: str, lines: Iterable[Line], left_out: Sequence[tuple[int, str, str]] = (), wall: bool = False) -> Said:
    """The rows of these lines, by time. left_out: counts, and what was counted: one, several."""
    ordered = sorted(lines, key=lambda line: line.start_s)
    texts = [line.text for line in ordered]
    return Said(np.array([line.start_s for line in ordered], np.float64), np.array([line.end_s for line in ordered], np.float64),
                [line.speaker and line.speaker[:LONGEST_NAME] for line in ordered], texts, [kind] * len(ordered), np.array(list(map(is_question, texts)), bool),
                np.array(list(map(words_of, texts)), np.int32),
                tuple(f"{count:,} {what if count == 1 else several}" for count, what, several in left_out if count), wall)


def read_transcript(text: str) -> Said:
    """The rows of a WebVTT transcript: a row per cue, several where several voices are in it.

    The speaker is the cue's voice (`<v Name>`), or what stands before the first colon as Zoom writes it. Cues that overlap stay
    as they are; those without words are passed over.
    """
    lines = _mended(text)
    captions = webvtt.from_string("\n".join(lines)).captions
    times = [(_seconds(one.start), _seconds(one.end)) for one in captions]
    damaged = sum("-->" in line for line in lines) - sum(start <= end for start, end in times)
    spoken = [(start, end, name, _plain(words)) for (start, end), one in zip(times, captions, strict=True) if start <= end
              for name, words in _voices(one.raw_text)]
    before = [SPEAKER.match(words) if name is None else None for *_, name, words in spoken]
    names = _speakers([found[1] for found in before if found], len(spoken))
    rows = []
    for (start, end, name, words), found in zip(spoken, before, strict=True):
        if found and found[1] in names:
            name, words = found[1], words[found.end():]
        if words:
            rows.append(Line(start, end, name, words))
    return said_of("transcript", rows, [(damaged, "damaged cue", "damaged cues")])


def read_timeline(text: str) -> Said:
    """The rows of Zoom's timeline: a row per span in which a user speaks, with several at a time where they do.

    Each entry says who speaks from its time on until the next one; nobody: silence.
    """
    try:
        entries = json.loads(text)["timeline"]
        if not isinstance(entries, list):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        return said_of("timeline", [], [(1, "file that is no timeline", "")])
    read = [_entry(entry) for entry in entries]
    known = sorted((entry for entry in read if entry), key=lambda entry: entry[0])
    rows, since = [], {}
    for time, users in [*known, (known[-1][0] + LAST_S, set())] if known else ():
        rows += [Line(since.pop(name), time, name, "") for name in sorted(set(since) - users, key=str)]
        since = dict.fromkeys(users, time) | since
    return said_of("timeline", (row for row in rows if row.end_s > row.start_s), [(read.count(None), "damaged entry", "damaged entries")])


def _entry(entry: object) -> tuple[float, set[str | None]] | None:
    """The time and the users' names of an entry of a timeline; None: it is damaged."""
    try:
        users = entry["users"] or []
        return parse_time(str(entry["ts"])), {(user.get("username") or "").strip() or None for user in users}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _mended(text: str) -> list[str]:
    """The lines of a transcript, with what the format asks for: its name in the first one, blank lines before cues, points
    in times."""
    lines: list[str] = []
    for line in text.split("\n"):
        if "-->" in line:
            line = re.sub(r"(\d),(\d{3})", r"\1.\2", line)
            if len(lines) > 1 and lines[-1].strip().isdecimal() and lines[-2].strip():
                lines.insert(-1, "")
        lines.append(line)
    return lines if lines[0].startswith("WEBVTT") else ["WEBVTT", "", *lines]


def _seconds(time: str) -> float:
    return Timestamp.from_string(time).in_milliseconds() / 1000


def _voices(text: str) -> list[tuple[str | None, str]]:
    """A cue's text by voice; None: before the first one."""
    first, *rest = VOICE.split(text)
    return [(None, first)] * bool(first.strip()) + [(html.unescape(name).strip() or None, words)
                                                    for name, words in zip(rest[::2], rest[1::2], strict=True)]


def _plain(text: str) -> str:
    return " ".join(html.unescape(TAG.sub("", text)).split())


def _speakers(before: Sequence[str], cues: int) -> set[str]:
    """Which texts before a colon are names: those that come again, and where most cues have one, all that could be one."""
    counts = Counter(before)
    able = {name for name in counts if not re.search(r"[?!;\"]|^[\W\d]*$", name)}
    mostly = 2 * len(before) >= cues
    return {name for name in able if counts[name] > 1 or (mostly and len(name.split()) <= 5)}


def read_chat(text: str) -> Said:
    """The rows of a saved chat: a row per message to everyone; one to fewer is private and left out.

    Both forms: seconds from the beginning and a name, or the clock on the wall and 'From NAME to EVERYONE:'. Of a reply only
    what is new counts. Reactions are rows without words: nobody asks with them.
    """
    messages, unread = _messages(text.split("\n"))
    lines, private, midnights = [], 0, 0
    for before, one in zip([None, *messages], messages, strict=False):
        midnights += before is not None and one.start_s < before.start_s - HALF_A_DAY_S
        if one.private:
            private += 1
        elif words := " ".join(QUOTED.sub("", "\n".join(one.lines)).split()):
            start = one.start_s + midnights * 2 * HALF_A_DAY_S
            lines.append(Line(start, start, one.name, words))
    left_out = [(private, "private message", "private messages"), (unread, "unreadable line", "unreadable lines")]
    said = said_of("chat", lines, left_out, any(one.wall for one in messages))
    reacted = np.array([bool(REACTION.match(words)) for words in said.text], bool)
    return replace(said, question=said.question & ~reacted, words=np.where(reacted, 0, said.words).astype(np.int32))


def read_participants(text: str) -> list[str]:
    """The names in Zoom's list of participants (CSV), as they were shown in the meeting; none where it is another file."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.split("\n")) if row]
    heads = [number for number, row in enumerate(rows) if row[0].lower().startswith("name")]
    if not heads:
        return []
    named = [row[0] for row in rows[heads[0] + 1:] if row[0]]
    original = "original" in rows[heads[0]][0].lower()  # 'now (before)'
    return list(dict.fromkeys(re.sub(r"\s*\([^()]*\)$", "", name) if original else name for name in named))


class Message(NamedTuple):
    """A message of a chat; lines: what was written."""

    start_s: float
    name: str
    private: bool
    wall: bool
    lines: list[str]


def _messages(lines: Iterable[str]) -> tuple[list[Message], int]:
    """The messages of a chat, and how many lines belong to none. What comes after a message's first line is its own."""
    messages: list[Message] = []
    unread = 0
    for line in lines:
        if found := FROM.match(line):
            name, *to = TO.split(found["head"])
            names, target = (" to ".join([name, *to[:-1]]), to[-1]) if to else (name, "Everyone")
            secret = bool(PRIVATE.search(found["head"])) or not FOR_ALL.search(target)
            messages.append(Message(_clock(found["time"], found["half"]), PRIVATE.sub("", names).strip(), secret, True, [found["text"]]))
        elif found := ELAPSED.match(line):
            messages.append(Message(_clock(found["time"]), found["name"].strip(), False, False, [found["text"]]))
        elif messages:
            messages[-1].lines.append(line)
        else:
            unread += bool(line.strip())
    return messages, unread


def _clock(time: str, half: str | None = None) -> float:
    """Seconds from '10:01:00', or from '02:01:00' and 'PM'."""
    hours, minutes, seconds = map(int, time.split(":"))
    if half:
        hours = hours % 12 + 12 * (half.upper() == "PM")
    return hours * 3600.0 + minutes * 60 + seconds


READERS: dict[str, Callable[[str], Said]] = {"transcript": read_transcript, "timeline": read_timeline, "chat": read_chat}
