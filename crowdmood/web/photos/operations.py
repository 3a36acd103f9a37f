"""Photos for programs: send an album, have it ranked, read the order; or send one photo and read what the faces in it show."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from crowdmood import removal
from crowdmood.errors import VideoError
from crowdmood.photos.answers import described
from crowdmood.photos.popularity import (
    find_popularity,
    popularity_of,
    there_is_popularity,
)
from crowdmood.photos.show import show_photo
from crowdmood.web.photos.albums import SentAlbum, SentAlbums
from crowdmood.web.photos.rankings import Rankings, photo_options
from crowdmood.web.photos.values import (
    RUN,
    Asked,
    asked,
    photo_runs,
    ranking,
    run_of_photos,
    runs_of,
    with_faces,
)
from crowdmood.web.recordings.uploads import ID
from crowdmood.web.refusals import Busy, Conflict, WrongType

router = APIRouter(prefix="/api/photos", tags=["photos"])
AlbumId = Annotated[str, InPath(pattern=ID, description="An album that was sent.")]
RunId = Annotated[str, InPath(pattern=RUN, description="A run of photos.")]
PHOTO_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


class Named(BaseModel):
    """An album to be begun."""

    name: str = Field("", max_length=200, description="What it is called; the day where it is left out.")


class AlbumAnswer(BaseModel):
    """An album that was sent, and how far it is."""

    album: str
    name: str
    photos: int = Field(description="How many photos it has.")
    status: str = Field(description="open (nobody has asked for its order), waiting, reading, done or failed.")
    step: str = Field(description="While reading: look, scan or features.")
    done: int = Field(description="Photos done in this step.")
    total: int = Field(description="Of so many.")
    run: str | None = Field(description="The run that has its order, once it is done.")
    error: str | None = Field(description="One sentence, where it failed.")


class PhotoAnswer(BaseModel):
    """A photo that was taken into an album."""

    photo: str = Field(description="Its name in the album.")
    format: str
    width: int
    height: int
    pages: int = Field(description="Frames of an animation, else 1.")


class RunAnswer(BaseModel):
    """A run of photos."""

    run: str
    name: str
    photos: int
    read: int = Field(description="Of them, those that could be read.")
    faces: int
    finished: datetime | None


class PhotosAnswer(BaseModel):
    """What there is."""

    albums: list[AlbumAnswer]
    runs: list[RunAnswer]
    popularity: bool = Field(description="Whether there is a model, so that photos can be ordered by popularity.")


class RankedAnswer(BaseModel):
    """The order of a run's photos. Scores are of expressions shown, 0..1 (positivity: -1..1)."""

    run: str
    name: str
    by: str
    group: bool
    labels: list[str]
    total: int = Field(description="Photos in the order.")
    photos: list[dict[str, Any]] = Field(description="From `start` on: place, frame, file, score, mean and worst over faces, happy, sad, surprise, "
                                                     "positivity, faces, uncertain, and `boxes`, its faces with box, expression and bars.")
    left_out: list[dict[str, Any]] = Field(description="Photos that are not in the order: file, faces, reason.")


@router.get("")
def everything(request: Request) -> PhotosAnswer:
    """Albums that were sent, runs of photos, and what they can be ordered by."""
    albums: SentAlbums = request.app.state.photos.albums
    runs = [RunAnswer(**{name: row[name] for name in RunAnswer.model_fields}) for row in photo_runs(request.app.state.settings.results)]
    return PhotosAnswer(albums=[answer(request, album) for album in albums.all()], runs=runs, popularity=there_is_popularity())


@router.post("/albums", status_code=201)
def begin(request: Request, named: Named) -> AlbumAnswer:
    """Begin an album."""
    return answer(request, request.app.state.photos.albums.begin(named.name))


@router.get("/albums/{album}")
def state(request: Request, album: AlbumId) -> AlbumAnswer:
    """How far an album is."""
    return answer(request, request.app.state.photos.albums.find(album))


@router.patch("/albums/{album}")
def rename(request: Request, album: AlbumId, named: Named) -> AlbumAnswer:
    """Give an album another name, as long as it has not been ranked."""
    photos = request.app.state.photos
    found = photos.albums.find(album)
    if photos.rankings.is_held(album) or runs_of(request.app.state.settings.results, found.pictures):
        raise Conflict(f"{found.name} has been ranked under this name; it keeps it.")
    return answer(request, photos.albums.rename(album, named.name))


@router.post("/albums/{album}/photos", status_code=201, openapi_extra=PHOTO_BODY)
async def add(request: Request, album: AlbumId, name: Annotated[str, Query(max_length=300, description="What the file is called.")] = "photo") -> PhotoAnswer:
    """Add a photo, the body of the request. What it is, is told by its content: JPEG, PNG, WebP, HEIC, AVIF, GIF, TIFF, BMP."""
    photos = request.app.state.photos
    known = await run_in_threadpool(photos.albums.find, album)
    if photos.rankings.is_held(album):
        raise Conflict(f"{known.name} is being ranked; add photos when that is done, or stop it.")
    taken, facts = await photos.albums.add(album, name, request.stream())
    return PhotoAnswer(photo=taken, format=facts.format, width=facts.width, height=facts.height, pages=facts.pages)


@router.post("/albums/{album}/ranking", status_code=202)
def ask(request: Request, album: AlbumId) -> AlbumAnswer:
    """Have an album ranked; `GET .../albums/{album}` tells how far it is. Only photos that are new are read."""
    photos = request.app.state.photos
    photos.rankings.ask(photos.albums.find(album))
    return state(request, album)


@router.delete("/albums/{album}/ranking")
def stop(request: Request, album: AlbumId) -> AlbumAnswer:
    """Stop it; what was read is kept, and asking again goes on."""
    photos = request.app.state.photos
    photos.rankings.stop(photos.albums.find(album))
    return state(request, album)


@router.delete("/albums/{album}", status_code=204, response_class=Response)
def remove(request: Request, album: AlbumId) -> None:
    """Remove an album: its photos, and everything that was found in them."""
    photos = request.app.state.photos
    remove_album(request, photos.albums.find(album))


@router.get("/runs/{run}")
def ranked(request: Request, run: RunId, asked: Annotated[Asked, Depends(asked)],
           start: Annotated[int, Query(ge=0, le=1_000_000, description="How many to skip.")] = 0,
           count: Annotated[int, Query(ge=1, le=200, description="So many at most.")] = 60) -> RankedAnswer:
    """The order of a run's photos, and the faces in them."""
    found = run_of_photos(request.app.state.settings.results, run)
    order, others = ranking(found, asked)
    return RankedAnswer(run=run, name=found.info["recording"], by=asked.by, group=asked.group, labels=list(asked.labels), total=len(order),
                        photos=with_faces(found, order[start:start + count], asked.labels), left_out=others)


@router.delete("/runs/{run}", status_code=204, response_class=Response)
def remove_run(request: Request, run: RunId) -> None:
    """Remove what was found in an album; the photos too where they were sent here, and not where they lie in a folder elsewhere."""
    settings, photos = request.app.state.settings, request.app.state.photos
    found = run_of_photos(settings.results, run)
    if album := photos.albums.of(found.info["path"]):
        return remove_album(request, album)
    removal.remove(settings.results, run)


@router.post("/show", openapi_extra=PHOTO_BODY)
async def show(request: Request, asked: Annotated[Asked, Depends(asked)]) -> dict[str, Any]:
    """What the faces in one photo show, the body of the request; with by=popularity its score too. Nothing is kept of it."""
    photos = request.app.state.photos
    if photos.showing.locked():
        raise Busy("Another photo is being looked at; try again in a moment.", 2)
    async with photos.showing:
        with TemporaryDirectory(prefix="crowdmood-") as folder:
            place = Path(folder) / "photo"
            await photos.albums.receive(place, request.stream())
            return await run_in_threadpool(_shown, request, place, asked)


def _shown(request: Request, place: Path, asked: Asked) -> dict[str, Any]:
    model = find_popularity() if asked.by == "popularity" else None
    try:
        photo = show_photo(place, (), *photo_options(request.app.state.settings))
    except VideoError as error:
        raise WrongType(str(error)) from error
    score = {"popularity": round(popularity_of(photo, model), 4)} if model else {}
    return described(photo.among(asked.labels) if asked.labels else photo, "photo") | score


def answer(request: Request, album: SentAlbum) -> AlbumAnswer:
    """An album as programs and the page see it."""
    rankings: Rankings = request.app.state.photos.rankings
    known = rankings.of(album)
    return AlbumAnswer(album=album.id, name=album.name, photos=album.photos, status=known.status, step=known.step, done=known.done,
                       total=known.total, run=known.run, error=known.error)


def remove_album(request: Request, album: SentAlbum) -> None:
    """Its runs first: whatever goes wrong, the photos are there to be removed again. Raises Conflict."""
    photos, results = request.app.state.photos, request.app.state.settings.results
    if photos.rankings.is_held(album.id):
        raise Conflict(f"{album.name} is being ranked; stop that first, and remove it then.")
    for run in runs_of(results, album.pictures):
        removal.remove(results, run)
    photos.albums.remove(album.id)
