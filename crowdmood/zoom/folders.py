"""The files of a folder sorted out: what Zoom's cloud made of each stretch of recording, and what it made on a computer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from crowdmood.zoom.movie_header import read_header
from crowdmood.zoom.names import (
    FILM_ENDINGS,
    FILMS,
    LOCAL_SIGN,
    Named,
    in_local_order,
    is_local_film,
    local_start,
    read_name,
    side_kind,
)

UNCONVERTED = ".zoom"


@dataclass(frozen=True)
class Session:
    """What Zoom's cloud has made of one stretch of recording: its films and its side files, by what their names say."""

    films: dict[Path, Named]
    side: dict[Path, Named]

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.films, *self.side)

    @property
    def started(self) -> datetime | None:
        return next(iter((self.films or self.side).values())).started

    @property
    def title(self) -> str | None:
        return next((one.title for one in self.films.values() if one.title), None)

    @property
    def seconds(self) -> float | None:
        """How long it is, where a film or the sound says it."""
        sounds = [path for path, one in self.side.items() if one.kind == "audio"]
        return max((seconds for path in (*self.films, *sounds) if (seconds := read_header(path).seconds)), default=None)

    @property
    def kinds(self) -> set[str]:
        return {one.kind for one in self.films.values()}

    def film(self, kind: str) -> Path:
        """Its film of a kind: of several the largest, of equal ones that which is no copy."""
        return min((-one.pixels, one.copy, path.name, path) for path, one in self.films.items() if one.kind == kind)[-1]


@dataclass(frozen=True)
class Folder:
    """What lies in a folder. sessions: from the cloud, by time; films: recorded on a computer, in order; loose: side files whose
    names hold no time, and their kind; unconverted: what Zoom has still to make films of.
    """

    path: Path
    sessions: list[Session]
    films: list[Path]
    loose: dict[Path, str]
    unconverted: list[Path]

    @classmethod
    def of(cls, path: Path, files: Sequence[Path]) -> Folder:
        files = sorted(files)
        named = {file: name for file in files if (name := read_name(file))}
        loose = {file: kind for file in files if file not in named and (kind := side_kind(file))}
        return cls(path, _sessions(named), _local_films(path, files), loose, [file for file in files if file.suffix.lower() == UNCONVERTED])


def _sessions(named: dict[Path, Named]) -> list[Session]:
    """Files of one recording together, by time; those of unknown time come last."""
    sessions: dict[str, Session] = {}
    for path, name in named.items():
        session = sessions.setdefault(name.key, Session({}, {}))
        (session.films if name.kind in FILMS else session.side)[path] = name
    return sorted(sessions.values(), key=lambda one: (one.started is None, one.started or one.files[0]))


def _local_films(folder: Path, files: Sequence[Path]) -> list[Path]:
    """The films of a folder that Zoom made on a computer. In one of its folders a single film may have been given a name."""
    signs = [file for file in files if LOCAL_SIGN.fullmatch(file.name)]
    numbered = [file for file in files if is_local_film(file) and (signs or local_start(folder) or file.name.lower().startswith("zoom"))]
    others = [file for file in files if file.suffix.lower() in FILM_ENDINGS] if local_start(folder) and signs else []
    return sorted(numbered, key=in_local_order) or (others if len(others) == 1 else [])
