"""Pages of photos: drop pictures, see them ranked, the best three as an album's cover, and each photo with its faces."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from crowdmood.labels import EXPRESSIONS
from crowdmood.photos.page import TITLES, scored, title_of
from crowdmood.photos.popularity import (
    find_popularity,
    how_good,
    there_is_popularity,
)
from crowdmood.web.made_once import MadeOnce
from crowdmood.web.photos import operations as photo_api
from crowdmood.web.photos.albums import SentAlbums
from crowdmood.web.photos.operations import RunId, answer
from crowdmood.web.photos.rankings import Rankings
from crowdmood.web.photos.values import (
    Asked,
    asked,
    cover_picture,
    order_key,
    photo_runs,
    picture,
    picture_file,
    ranking,
    run_of_photos,
    with_faces,
)
from crowdmood.web.refusals import NotFound
from crowdmood.web.web_pages import page

router = APIRouter()
router.include_router(photo_api.router)
A_PAGE = 24  # photos
KEPT, DECODERS = 300, 2  # pictures as they were sent last; how many are made at a time
COLUMNS = ("place", "file", "score", "happy", "sad", "surprise", "positivity", "faces", "uncertain", "width", "height", "taken")
How = Annotated[Asked, Depends(asked)]
Frame = Annotated[int, InPath(ge=0, le=10_000_000)]


@dataclass(frozen=True)
class Photos:
    """What these pages keep while the server runs. pictures: JPEGs; showing: taken while one photo is looked at for a program."""

    albums: SentAlbums
    rankings: Rankings
    pictures: MadeOnce
    showing: asyncio.Semaphore


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Rank albums beside the pages."""
    settings = app.state.settings
    albums = SentAlbums(settings.uploads / "albums", settings.photo_bytes)
    rankings = Rankings(albums, settings)
    app.state.photos = Photos(albums, rankings, MadeOnce(KEPT, DECODERS), asyncio.Semaphore(1))
    rankings.begin()
    try:
        yield
    finally:
        await run_in_threadpool(rankings.end)


@router.get("/photos", include_in_schema=False)
def albums_page(request: Request) -> HTMLResponse:
    """Drop pictures; what was sent and is not ranked yet; what is."""
    sent = [answer(request, album) for album in request.app.state.photos.albums.all()]
    return page(request, "photos_page.html.j2", runs=photo_runs(request.app.state.settings.results), waiting=[one for one in sent if one.status != "done"],
                most_bytes=request.app.state.settings.photo_bytes, popularity=there_is_popularity())


@router.get("/photos/{run}", include_in_schema=False)
def ranked_page(request: Request, run: RunId, asked: How, part: Annotated[int, Query(ge=1, le=100_000)] = 1) -> HTMLResponse:
    """A run's photos in order."""
    found = run_of_photos(request.app.state.settings.results, run)
    ranked, others = ranking(found, asked)
    rows = with_faces(found, ranked[(part - 1) * A_PAGE:part * A_PAGE], asked.labels)
    return page(request, "photo_ranking.html.j2", run=run, info=found.info, rows=rows, total=len(ranked), others=others, asked=asked, part=part,
                parts=-(-len(ranked) // A_PAGE), title=title_of(asked.by, asked.group, len(ranked)), popularity=there_is_popularity(),
                sent=request.app.state.photos.albums.of(found.info["path"]) is not None,
                how_good=how_good(find_popularity()) if asked.by == "popularity" else "", **_words())


@router.get("/photos/{run}/photo/{frame}", include_in_schema=False)
def photo_page(request: Request, run: RunId, frame: Frame, asked: How) -> HTMLResponse:
    """One photo and all its faces."""
    found = run_of_photos(request.app.state.settings.results, run)
    ranked = ranking(found, asked)[0]
    at = next((at for at, row in enumerate(ranked) if row["frame"] == frame), None)
    if at is None:
        raise NotFound("This photo is not in this order.")
    row = with_faces(found, [ranked[at]], asked.labels)[0]
    beside = {"before": ranked[at - 1] if at else None, "after": ranked[at + 1] if at + 1 < len(ranked) else None}
    return page(request, "photo.html.j2", run=run, info=found.info, row=row, total=len(ranked), asked=asked, **beside, **_words())


@router.get("/photos/{run}/picture/{frame}", include_in_schema=False)
async def picture_answer(request: Request, run: RunId, frame: Frame, side: Literal["360", "720", "1600"] = "720") -> Response:
    """A photo as JPEG."""
    file = await run_in_threadpool(_picture_file, request, run, frame)
    return _jpeg(await request.app.state.photos.pictures.get((run, frame, side), None, picture, file, int(side)))


def _picture_file(request: Request, run: str, frame: int):
    return picture_file(run_of_photos(request.app.state.settings.results, run), frame)


@router.get("/photos/{run}/cover.jpg", include_in_schema=False)
async def cover_answer(request: Request, run: RunId, asked: How) -> Response:
    """The best three as one picture."""
    found = await run_in_threadpool(run_of_photos, request.app.state.settings.results, run)
    key = await run_in_threadpool(order_key, found, asked)
    return _jpeg(await request.app.state.photos.pictures.get((run, "cover", asked.by, asked.group), key, cover_picture, found, asked))


@router.get("/photos/{run}/ranking.csv", include_in_schema=False)
def table_answer(request: Request, run: RunId, asked: How) -> Response:
    """The order as CSV."""
    ranked = ranking(run_of_photos(request.app.state.settings.results, run), asked)[0]
    written = io.StringIO()
    rows = csv.DictWriter(written, COLUMNS, extrasaction="ignore")
    rows.writeheader()
    rows.writerows(ranked)
    return Response(written.getvalue(), media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="photos-{run}-{asked.by}.csv"'})


def _jpeg(content: bytes) -> Response:
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})


def _words() -> dict[str, object]:
    return {"scored": scored, "titles": TITLES, "expressions": EXPRESSIONS}
