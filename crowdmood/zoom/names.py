"""What the name of a file says that Zoom has written, in its cloud or on somebody's computer.

    GMT20260115-140003_Recording_gallery_1920x1080.mp4    a film of the meeting whose recording began then, in UTC
    GMT20260115-140003_Recording.transcript.vtt           what was said in it
    Weekly sync - shared_screen_with_gallery_view.mp4     fetched by a program that uses the words of Zoom's interface
    2026-01-15 14.00.03 Weekly sync 123456789/zoom_0.mp4  recorded on a computer, in its local time
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FILMS = ("gallery", "gallery with share", "speaker", "speaker with share", "share")
"""The films that Zoom's cloud makes of one meeting, best first for reading faces: in the gallery everybody is seen."""
LETTERS = {"gvo": "gallery", "gallery": "gallery with share", "avo": "speaker", None: "speaker with share", "as": "share"}
TYPES = {
    "shared_screen_with_gallery_view": "gallery with share", "shared_screen_with_speaker_view": "speaker with share",
    "gallery_view": "gallery", "speaker_view": "speaker", "active_speaker": "speaker", "shared_screen": "share",
    "audio_only": "audio", "audio_transcript": "transcript", "closed_caption": "captions", "chat_file": "chat", "timeline": "timeline",
}
SIDES = ("transcript", "captions", "timeline", "chat", "audio")
FILM_ENDINGS, SOUND_ENDINGS = (".mp4", ".mov", ".m4v"), (".m4a", ".mp3")

STAMP = re.compile(r"(?P<title>.*?)[ _-]*GMT(?P<stamp>\d{8}-\d{6})(?P<rest>.*)", re.DOTALL)
TYPE = re.compile(rf"(?P<before>.+?)[ _-]+(?P<type>{'|'.join(TYPES)})(?:\(CC\))?(?P<after>.*)", re.DOTALL)
FILM = re.compile(r"_(?P<topic>.+?)(?:_(?P<letters>gallery|gvo|avo|as))?(?:_(?P<width>\d{3,5})x(?P<height>\d{3,5}))?")
RESOLUTION = re.compile(r"_\d{3,5}x\d{3,5}")
COPY = re.compile(r"(?: ?\((\d+)\)| - Copy(?: \((\d+)\))?| copy(?: (\d+))?)$")
LOCAL_FOLDER = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}\.\d{2}\.\d{2})\b")
LOCAL_FILM = re.compile(r"(?:zoom_(\d+)|video(\d{6,}))\.mp4", re.IGNORECASE)
LOCAL_SIGN = re.compile(r"playback\d*\.m3u|audio_only(_\d+)?\.m4a|audio\d{6,}\.m4a|(meeting_saved_(new_)?)?chat\.txt|recording\.conf",
                        re.IGNORECASE)
SEPARATE_SOUND = "Audio Record"  # the folder of one file for each participant


@dataclass(frozen=True)
class Named:
    """What a name says.

    kind: one of FILMS or SIDES; started: UTC, None where it is not said; title: what the meeting is called there, or None;
    key: the same for files of one recording; pixels: of a film, 0 where it is not said; copy: 0, or the number that a browser
    or a file manager has given to a further copy.
    """

    kind: str
    started: datetime | None
    title: str | None
    key: str
    pixels: int = 0
    copy: int = 0


def read_name(path: Path) -> Named | None:
    """What the name of a file says that came from Zoom's cloud; None for all others."""
    ending = path.suffix.lower()
    stem, copy = path.name[:len(path.name) - len(ending)], 0
    if found := COPY.search(stem):
        stem, copy = stem[:found.start()], int(next(filter(None, found.groups()), 1))
    stamped, typed = STAMP.fullmatch(stem), TYPE.fullmatch(stem)
    started = _time(stamped["stamp"], "%Y%m%d-%H%M%S") if stamped else None
    if typed:
        return _by_type(typed, started, ending, copy)
    if started is None:
        return None
    film = FILM.fullmatch(stamped["rest"]) if ending in FILM_ENDINGS else None
    kind = _film(film) if film else _side_kind(stamped["rest"], ending)
    if kind is None:
        return None
    topic = film["topic"] if film else ""
    title = stamped["title"] or (topic if topic != "Recording" else None)
    return Named(kind, started.replace(tzinfo=UTC), title or None, stamped["stamp"], _pixels(film), copy)


def side_kind(path: Path) -> str | None:
    """The kind of a side file whose name holds no time; None for other files."""
    name, ending = path.name.lower(), path.suffix.lower()
    if ending == ".vtt":
        return "captions" if "cc." in name or "caption" in name else "transcript"
    if ending == ".txt":
        return "chat" if "chat" in name else None
    if ending == ".json":
        return "timeline" if "timeline" in name else None
    sound = ending in SOUND_ENDINGS and (path.parent.name == SEPARATE_SOUND or name.startswith("audio"))
    return "audio" if sound else None


def is_local_film(path: Path) -> bool:
    """Whether Zoom names films so that it records on a computer: zoom_0.mp4, video1234567890.mp4."""
    return LOCAL_FILM.fullmatch(path.name) is not None


def in_local_order(path: Path) -> tuple:
    """A key that sorts zoom_2 before zoom_10."""
    return tuple(int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", path.name))


def local_start(folder: Path) -> datetime | None:
    """When a meeting that was recorded on a computer began, on the clock of its wall; None where the folder does not say."""
    found = LOCAL_FOLDER.match(folder.name)
    return _time(found[1], "%Y-%m-%d %H.%M.%S") if found else None


def _time(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _by_type(found: re.Match, started: datetime | None, ending: str, copy: int) -> Named | None:
    kind = TYPES[found["type"]]
    if (kind in FILMS) != (ending in FILM_ENDINGS):
        return None
    return Named(kind, started and started.replace(tzinfo=UTC), None if started else found["before"], found["before"], copy=copy)


def _film(found: re.Match) -> str | None:
    topic = found["topic"]
    if topic.startswith("Recording_separate"):
        return "audio"
    if topic.startswith("Recording_") or RESOLUTION.search(topic):
        return None  # somebody has cut or converted it: a recording of its own
    return LETTERS[found["letters"]]


def _side_kind(rest: str, ending: str) -> str | None:
    words = rest.lower()
    if ending == ".vtt":
        return "captions" if words.endswith((".cc", "_cc")) or "caption" in words else "transcript"
    if ending in SOUND_ENDINGS:
        return "audio"
    kind = {".txt": "chat", ".json": "timeline"}.get(ending)
    return kind if kind and (kind in words or "." not in words) else None


def _pixels(found: re.Match | None) -> int:
    return int(found["width"]) * int(found["height"]) if found and found["width"] else 0
