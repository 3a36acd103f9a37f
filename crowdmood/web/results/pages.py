"""The page of a run: the film with the timeline under it, moments, persons, figures, and everything to take away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from crowdmood.errors import VideoError, told
from crowdmood.results import status_of
from crowdmood.shipped import shipped
from crowdmood.web.made_once import MadeOnce
from crowdmood.web.results import operations as run_operations
from crowdmood.web.results.found_runs import Found, FoundRun
from crowdmood.web.results.operations import checked_film, content
from crowdmood.web.web_pages import page

MOMENT_S = 0.6  # a film whose content is known by then is shown at once
router = APIRouter()
router.include_router(run_operations.router)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """What takes long to make for many visitors is made once: contents of pages, pictures of moments, digests of films, reports."""
    app.state.results = {"contents": MadeOnce(16, 2), "pictures": MadeOnce(16), "films": MadeOnce(1000), "reports": MadeOnce(100)}
    yield


@router.get("/recordings/{run}", include_in_schema=False)
async def result_page(request: Request, found: Found) -> Response:
    """The page of a run."""
    if found.info.get("layout") == "photos":
        return RedirectResponse(f"/photos/{found.run.id}")
    values = {"run": found.run.id, "info": found.info, "state": status_of(found.info)}
    if not found.complete:
        return page(request, "unfinished.html.j2", **values)
    return page(request, "result.html.j2", content=await content(request, found), **values, **await _player(request, found))


@router.get("/recordings/{run}/player", include_in_schema=False)
async def player(request: Request, found: Found) -> HTMLResponse:
    """The film, or why there is none: for a page that was shown while its content was looked at."""
    return page(request, "player.html.j2", run=found.run.id, info=found.info, **await _player(request, found))


async def _player(request: Request, found: FoundRun) -> dict[str, Any]:
    """film: a Film, None where there is none; checking: whether that is not known yet; why: why there is none."""
    looking = asyncio.ensure_future(checked_film(request, found))
    done, _ = await asyncio.wait([looking], timeout=MOMENT_S)
    said: dict[str, Any] = {"film": None, "checking": not done, "why": ""}
    if done:
        try:
            said["film"] = looking.result()
        except VideoError as error:
            said["why"] = told(error)
    else:
        looking.cancel()
    return said


@router.get("/parts/{name}", include_in_schema=False)
def report_part(name: str) -> Response:
    """What the page has of the report: its style and script."""
    kinds = {"report.css": "text/css", "report.js": "text/javascript", "meeting.css": "text/css"}
    if name not in kinds:
        return Response(status_code=404)
    return FileResponse(shipped("reports") / "templates" / name, media_type=kinds[name])
