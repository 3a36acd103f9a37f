"""The meetings that lie in a folder as Zoom leaves them: which film of each is read, its parts, its side files, one clock for all.

In the cloud a recording that is stopped and begun again makes further files, named by the time at which each began. Recordings
of one folder are parts of one meeting when each begins within PAUSE_S after the end of the one before; `parts` says otherwise:
'join' makes all of a folder one meeting, 'apart' none. On a computer each meeting has a folder of its own, whose films are parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate, pairwise
from pathlib import Path

from crowdmood.zoom.folders import UNCONVERTED, Folder, Session
from crowdmood.zoom.movie_header import read_header
from crowdmood.zoom.names import (
    FILMS,
    LOCAL_SIGN,
    SEPARATE_SOUND,
    is_local_film,
    local_start,
    read_name,
)

VIEWS = {
    "auto": FILMS,
    "gallery": ("gallery", "gallery with share"),
    "speaker": ("speaker", "speaker with share"),
    "share": ("share", "speaker with share"),
}
"""What can be asked for, and the films that are taken for it, best first."""
PAUSE_S = 15 * 60.0
OVERLAP_S = 5.0  # a name tells whole seconds, and a header's duration is that of the longer of sound and picture
CONVERT = ("Zoom has not converted this recording yet; open {} with Zoom on the computer that recorded it, wait for the MP4, and run "
           "this again")
SOUND_ONLY = "this meeting was recorded as sound only, so there are no faces to read; record the gallery view next time"


@dataclass(frozen=True)
class Part:
    """A film of a meeting. start_s: where it begins on the meeting's clock; known_by: 'name', 'metadata' or 'order' (back to back)."""

    path: Path
    start_s: float
    known_by: str


@dataclass(frozen=True)
class SideFile:
    """A file beside the films. kind: 'transcript', 'timeline', 'chat' or 'audio'; start_s: where its clock begins on that of the
    meeting, None where the file tells the time of day.
    """

    path: Path
    kind: str
    start_s: float | None


@dataclass(frozen=True)
class Meeting:
    """A recorded meeting.

    folder: where it lies; name: what users see; view: the kind of film that is read, one of zoom_names.FILMS or 'recorded' (on a
    computer: as it was set there); parts: its films in order; side: its side files; started: UTC, None where only the computer's
    own clock is known; wall: that clock then (without a zone), None where it is not known; files: all that belongs to it, films of
    other views too; problem: a sentence why it cannot be analyzed, None where it can; it has no parts then.
    """

    folder: Path
    name: str
    view: str = "recorded"
    parts: tuple[Part, ...] = ()
    side: tuple[SideFile, ...] = ()
    started: datetime | None = None
    wall: datetime | None = None
    files: tuple[Path, ...] = ()
    problem: str | None = None

    def __str__(self) -> str:
        """Where it is found again: its only film, else its folder."""
        if self.problem:
            return str(self.files[0])
        return str(self.parts[0].path if len(self.parts) == 1 else self.folder)


def find_meetings(paths: Iterable[Path], view: str = "auto", parts: str = "auto") -> tuple[list[Meeting], list[Path]]:
    """The meetings among files, and the files that belong to none. One that cannot be analyzed says so as its `problem`.

    view: a key of VIEWS; parts: one of options.PARTS.
    """
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        folders[path.parent.parent if path.parent.name == SEPARATE_SOUND else path.parent].append(path)
    meetings, others = [], []
    for path, files in folders.items():
        found = list(_meetings(Folder.of(path, files), view, parts))
        belonging = {file for meeting in found for file in meeting.files}
        meetings += found
        others += [file for file in files if file not in belonging]
    return meetings, others


def comes_from_zoom(path: Path) -> bool:
    """Whether a file has a name, or lies in a folder, as Zoom gives it."""
    return bool(read_name(path) or is_local_film(path) or path.suffix.lower() == UNCONVERTED or local_start(path.parent))


def meeting_of(path: Path, known: dict[Path, Folder]) -> Meeting | None:
    """The meeting of a film that is named by itself: this film alone, and the side files of its recording.

    None for a file that does not come from Zoom. known: folders that were looked at before, filled. Raises OSError.
    """
    if not comes_from_zoom(path):
        return None
    if path.parent not in known:
        found = [*path.parent.iterdir(), *path.parent.glob(f"{SEPARATE_SOUND}/*")]
        known[path.parent] = Folder.of(path.parent, [one for one in found if one.is_file()])
    folder = known[path.parent]
    if path in folder.unconverted:
        return _unconverted(folder, [path])
    if sum(bool(session.films) for session in folder.sessions) + len(folder.films) > 1:
        folder = replace(folder, loose={})
    if path in folder.films:
        return _local(folder, [path])
    for session in folder.sessions:
        if path in session.films:
            return _cloud(folder, [replace(session, films={path: session.films[path]})], "auto")
    return None


def _meetings(folder: Folder, view: str, parts: str) -> Iterator[Meeting]:
    if folder.unconverted:
        yield _unconverted(folder, folder.unconverted)
    groups, apart = _groups(folder.sessions, parts), parts == "apart"
    local = [[one] for one in folder.films] if apart else [folder.films] if folder.films else []
    # What does not say when it began belongs to the only meeting there is, or to none.
    folder = folder if len(groups) + len(local) <= 1 else replace(folder, loose={})
    for sessions in groups:
        yield _cloud(folder, sessions, view)
    for films in local:
        yield _local(folder, films)
    sounds = [path for path, kind in folder.loose.items() if kind == "audio" and LOCAL_SIGN.fullmatch(path.name)]
    if sounds and not groups and not local and not folder.unconverted:
        yield _problem(folder, sounds, f"{_name(folder.path)}: {SOUND_ONLY}")


def _groups(sessions: Sequence[Session], parts: str) -> list[list[Session]]:
    """The recordings of each meeting. Side files alone, such as a transcript without its film, are no meeting."""
    groups: list[list[Session]] = []
    for session in sessions:
        if not session.films and not any(one.kind == "audio" for one in session.side.values()):
            if groups and _lies_in(session, groups[-1][-1]):
                groups[-1][-1] = replace(groups[-1][-1], side=groups[-1][-1].side | session.side)
            continue
        if groups and parts != "apart" and (parts == "join" or _goes_on(groups[-1][-1], session)):
            groups[-1].append(session)
        else:
            groups.append([session])
    return groups


def _lies_in(side: Session, session: Session) -> bool:
    """Whether side files begin while a recording goes on."""
    known = side.started and session.started and session.seconds
    return bool(known) and 0 <= (side.started - session.started).total_seconds() < session.seconds


def _goes_on(before: Session, after: Session) -> bool:
    """Whether a recording is the next part of the same meeting."""
    if before.started is None or after.started is None or before.seconds is None or before.title != after.title:
        return False
    return -OVERLAP_S <= (after.started - before.started).total_seconds() - before.seconds <= PAUSE_S


def _cloud(folder: Folder, sessions: Sequence[Session], view: str) -> Meeting:
    """The meeting of some recordings of the cloud. view: a key of VIEWS."""
    filmed = [session for session in sessions if session.films]
    files = tuple(path for session in sessions for path in session.files)
    name = _cloud_name(folder.path, sessions)
    if not filmed:
        return _problem(folder, files, f"{name}: {SOUND_ONLY}")
    common = set.intersection(*(session.kinds for session in filmed))
    kind = next((kind for kind in VIEWS[view] if kind in common), None)
    wrong = _missing(filmed, view, common) if kind is None else _wrong_clock(filmed)
    if wrong:
        return _problem(folder, files, f"{name}: {wrong}")
    starts = [(session.started - filmed[0].started).total_seconds() if len(filmed) > 1 else 0.0 for session in filmed]
    parts = tuple(Part(session.film(kind), start, "name") for session, start in zip(filmed, starts, strict=True))
    side = [one for session in sessions for one in _stamped(session, filmed[0].started)]
    loose = _loose(folder, wall_chats="meeting_saved")
    return Meeting(folder.path, name, kind, parts, (*side, *loose), filmed[0].started, None, (*files, *folder.loose))


def _missing(sessions: Sequence[Session], view: str, common: set[str]) -> str:
    there = [word for word, kinds in VIEWS.items() if word != "auto" and common.intersection(kinds)]
    if there:
        return f"there is no {view} view of it, only {' and '.join(there)}; give --view {there[0]}, or leave it out"
    each = "; ".join(f"{session.started:%H.%M.%S}: {', '.join(sorted(session.kinds))}" for session in sessions)
    return f"no view is there for all of its parts ({each}); --parts apart analyzes each part by itself"


def _wrong_clock(sessions: Sequence[Session]) -> str | None:
    """Why recordings cannot be put on one clock."""
    for before, after in pairwise(sessions):
        if before.started is None or after.started is None:
            return "its parts do not say when they began, so they cannot be joined; leave out --parts join"
        if (after.started - before.started).total_seconds() < (before.seconds or 0.0) - OVERLAP_S:
            return (f"the recording of {after.started:%H.%M.%S} begins before that of {before.started:%H.%M.%S} has ended, so they "
                    "are not parts of one meeting; leave out --parts join")
    return None


def _stamped(session: Session, first: datetime | None) -> Iterator[SideFile]:
    """A recording's side files on the clock that begins with the first part; of each kind but sound the best."""
    kinds = {name.kind for name in session.side.values()}
    seen = {"captions"} if "transcript" in kinds else set()
    for path, name in sorted(session.side.items(), key=lambda item: (item[1].copy, item[0].name)):
        if name.kind not in seen:
            seen |= {name.kind} - {"audio"}
            start = (name.started - first).total_seconds() if name.started and first else 0.0
            yield SideFile(path, "transcript" if name.kind == "captions" else name.kind, start)


def _local(folder: Folder, films: Sequence[Path]) -> Meeting:
    """The meeting of films that were recorded on a computer."""
    headers = {film: read_header(film) for film in films}
    made = sorted((header.created, film) for film, header in headers.items() if header.created)
    known = len(films) > 1 and len(made) == len(films) and all(
        (after - before).total_seconds() >= (headers[film].seconds or 0.0) - OVERLAP_S for (before, film), (after, _) in pairwise(made))
    if known:  # else it is when they were converted, one after the other
        parts = [Part(film, (created - made[0][0]).total_seconds(), "metadata") for created, film in made]
    else:
        ends = accumulate((headers[film].seconds or 0.0 for film in films), initial=0.0)
        parts = [Part(film, start, "order" if start or len(films) > 1 else "name") for film, start in zip(films, ends, strict=False)]
    name = _name(folder.path) if len(films) > 1 or folder.films == list(films) else f"{_name(folder.path)} {films[0].stem}"
    side = tuple(_loose(folder, wall_chats=""))
    return Meeting(folder.path, name, "recorded", tuple(parts), side, made[0][0] if known else None, local_start(folder.path),
                   (*films, *folder.loose))


def _loose(folder: Folder, wall_chats: str) -> Iterator[SideFile]:
    """Side files that do not say when they begin: with the meeting, but chats of a computer, which tell the time of day."""
    kinds = set(folder.loose.values())
    seen = {"captions"} if "transcript" in kinds else set()
    for path, kind in folder.loose.items():
        if kind not in seen:
            seen |= {kind} - {"audio"}
            wall = kind == "chat" and path.name.lower().startswith(wall_chats)
            yield SideFile(path, "transcript" if kind == "captions" else kind, None if wall else 0.0)


def _problem(folder: Folder, files: Sequence[Path], sentence: str) -> Meeting:
    return Meeting(folder.path, _name(folder.path), files=tuple(files), problem=sentence)


def _unconverted(folder: Folder, files: Sequence[Path]) -> Meeting:
    return _problem(folder, files, f"{_name(folder.path)}: {CONVERT.format(files[0].name)}")


def _name(folder: Path) -> str:
    return folder.absolute().name or "recording"


def _cloud_name(folder: Path, sessions: Sequence[Session]) -> str:
    """What a meeting is called, by its files or their folder, and when it was: a folder may hold many."""
    name = next((session.title for session in sessions if session.title), None) or _name(folder)
    began = sessions[0].started
    if began is None:
        return name
    dated = any(f"{began:{form}}" in name for form in ("%Y-%m-%d", "%Y%m%d", "%Y.%m.%d", "%Y_%m_%d"))
    return f"{name} {began:%H.%M} GMT" if dated else f"{name} {began:%Y-%m-%d %H.%M} GMT"
