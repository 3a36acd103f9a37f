"""Photos that visitors send, album by album: each looked at before it is taken, and kept under a name of ours.

    <results>/uploads/albums/<id>/album.json          when it was begun
                                  <name>/001 beach.jpg
                                  asked               while it waits to be ranked, or is
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from crowdmood.albums import PHOTO_EXTENSIONS
from crowdmood.errors import VideoError
from crowdmood.files import write_aside
from crowdmood.video import PhotoFacts, look_at_photo
from crowdmood.web.recordings.film_files import clean_name
from crowdmood.web.recordings.uploads import ID, SPARE_BYTES, writing
from crowdmood.web.refusals import NotFound, TooLarge, WrongType
from crowdmood.web.safety.bodies import size

MOST_PHOTOS = 2000  # of one album
LONGEST_NAME = 80  # letters
ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif", "GIF": ".gif", "TIFF": ".tif", "BMP": ".bmp",
           "HEIF": ".heic"}


@dataclass(frozen=True)
class SentAlbum:
    """An album. folder: all that belongs to it; photos: how many there are; asked: whether it waits to be ranked, or is."""

    id: str
    folder: Path
    name: str
    begun: datetime
    photos: int
    asked: bool

    @property
    def pictures(self) -> Path:
        """Where its photos lie."""
        return self.folder / self.name


class SentAlbums:
    """The albums in a folder. Operations raise NotFound for an id that is none, NoRoom where the disk is full."""

    def __init__(self, folder: Path, photo_bytes: int) -> None:
        self.folder, self.photo_bytes = folder, photo_bytes
        self._numbering = threading.Lock()

    def begin(self, name: str) -> SentAlbum:
        """An empty album."""
        name = _clean(name) or f"Photos of {datetime.now():%d %b %Y, %H-%M}"
        folder = self.folder / secrets.token_hex(6)
        with writing():
            (folder / name).mkdir(parents=True)
            with write_aside(folder / "album.json") as aside:
                aside.write_text(json.dumps({"begun": datetime.now(UTC).isoformat()}), encoding="utf-8")
        return self.find(folder.name)

    def find(self, album: str) -> SentAlbum:
        """The album with this id."""
        folder = self.folder / album
        try:
            facts = json.loads((folder / "album.json").read_bytes()) if re.fullmatch(ID, album) else None
            pictures = next(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")) if facts else None
            count = len(os.listdir(pictures)) if pictures else 0
        except (OSError, ValueError, StopIteration):
            pictures = None
        if pictures is None:
            raise NotFound("There is no such album; it was removed.")
        return SentAlbum(album, folder, pictures.name, datetime.fromisoformat(facts["begun"]), count, (folder / "asked").exists())

    def rename(self, album: str, name: str) -> SentAlbum:
        """Give an album another name, if there is anything in it."""
        found, name = self.find(album), _clean(name)
        if name and name != found.name:
            with self._numbering, writing():
                os.rename(found.pictures, found.folder / name)
        return self.find(album)

    def all(self) -> list[SentAlbum]:
        """Every album, the newest first."""
        found = []
        for path in self.folder.glob("*/album.json"):
            with suppress(NotFound):
                found.append(self.find(path.parent.name))
        return sorted(found, key=lambda album: album.begun, reverse=True)

    async def add(self, album: str, name: str, pieces: AsyncIterator[bytes]) -> tuple[str, PhotoFacts]:
        """Add a photo; returns the name it has now and what its header says.

        Raises TooLarge, WrongType where it is no photo that can be read (a bomb is none).
        """
        place = await run_in_threadpool(self._incoming, album, name)
        try:
            await self.receive(place, pieces)
            return await run_in_threadpool(self._take, album, place)
        finally:
            shutil.rmtree(place.parent, ignore_errors=True)

    def _incoming(self, album: str, name: str) -> Path:
        found = self.find(album)
        if found.photos >= MOST_PHOTOS:
            raise TooLarge(f"An album takes {MOST_PHOTOS:,} photos; begin another one, or rank the folder with `crowdmood photos rank`.")
        with writing():
            if shutil.disk_usage(self.folder).free < SPARE_BYTES + self.photo_bytes:
                raise TooLarge("There is no room for more photos on the server's disk; remove some that are no longer needed.")
            place = found.folder / f".{secrets.token_hex(6)}"
            place.mkdir()
        return place / (clean_name(name)[-LONGEST_NAME:].strip(" .-") if _clean(name) else "photo")

    async def receive(self, place: Path, pieces: AsyncIterator[bytes]) -> None:
        """Write what comes to a new file. Raises TooLarge, NoRoom."""
        taken = 0
        with writing():
            file = await run_in_threadpool(open, place, "xb")
        with file:
            async for piece in pieces:
                taken += len(piece)
                if taken > self.photo_bytes:
                    raise TooLarge(f"{place.name} is larger than the {size(self.photo_bytes)} that are taken here.")
                with writing():
                    await run_in_threadpool(file.write, piece)
            with writing():
                await run_in_threadpool(file.flush)

    def _take(self, album: str, place: Path) -> tuple[str, PhotoFacts]:
        """Look at what has come, in a process that may crash, and give it its place in the album."""
        try:
            facts = look_at_photo(place)
        except VideoError as error:
            raise WrongType(str(error)) from error
        with self._numbering, writing():
            found = self.find(album)
            taken = [int(number) for name in os.listdir(found.pictures) if (number := name.partition(" ")[0]).isdecimal()]
            name = f"{max(taken, default=0) + 1:03} {_clean(place.name) or 'photo'}{ENDINGS.get(facts.format, '.jpg')}"
            os.rename(place, found.pictures / name)
        return name, facts

    def ask(self, album: str, asked: bool) -> None:
        """Note whether an album waits to be ranked, for the next server."""
        note = self.find(album).folder / "asked"
        with writing():
            note.touch() if asked else note.unlink(missing_ok=True)

    def remove(self, album: str) -> None:
        """Remove an album with its photos."""
        with writing():
            shutil.rmtree(self.find(album).folder)

    def of(self, path: str) -> SentAlbum | None:
        """The album whose photos lie in a folder, None where it is none of ours."""
        place = Path(path)
        with suppress(NotFound):
            if place.parent.parent == self.folder and (found := self.find(place.parent.name)).pictures == place:
                return found
        return None


def _clean(name: str) -> str:
    """A visitor's name without path, ending and what file systems dislike; '' where nothing is left."""
    if not name.strip(" ./\\"):
        return ""
    stem, point, ending = clean_name(name).rpartition(".")
    kept = stem if point and f".{ending.lower()}" in PHOTO_EXTENSIONS else clean_name(name)
    return kept[:LONGEST_NAME].strip(" .-")
