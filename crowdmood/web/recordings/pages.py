"""Recordings, for people: what there is, sending more, how far their analyses are, removing them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from crowdmood.clock import parse_time
from crowdmood.web.recordings import operations as recording_api
from crowdmood.web.recordings.analyses import Analyses
from crowdmood.web.recordings.asked import LAW, MEANINGS, MEETINGS, RATES, TILES, Asked
from crowdmood.web.recordings.listing import RecordingList
from crowdmood.web.recordings.operations import Recordings, Run, UploadId
from crowdmood.web.recordings.removal import remove_run, remove_upload
from crowdmood.web.recordings.uploads import Uploads
from crowdmood.web.refusals import NotFound, Refusal
from crowdmood.web.safety.bodies import size
from crowdmood.web.web_pages import page

router = APIRouter()
router.include_router(recording_api.router)
pages = APIRouter(prefix="/recordings", include_in_schema=False)
AT_ONCE = 30  # recordings on a page
CHOICES = {"meanings": MEANINGS, "law": LAW, "rates": RATES, "tiles": TILES, "meetings": MEETINGS}

NOTHING = dict.fromkeys(Asked.model_fields)  # was asked for yet


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """The queue of analyses."""
    settings = app.state.settings
    uploads = Uploads(settings.uploads, settings.upload_bytes)
    analyses = Analyses(uploads, settings)
    app.state.recordings = RecordingList(settings.results, uploads, analyses)
    analyses.begin()
    try:
        yield
    finally:
        analyses.end()


@pages.get("")
def show(request: Request, recordings: Recordings, search: Annotated[str, Query(max_length=200)] = "",
         start: Annotated[int, Query(ge=0, le=10**6)] = 0) -> HTMLResponse:
    """The list, with a place where recordings are dropped; only the list where a script asks."""
    found = recordings.find(search, start, AT_ONCE)
    values: dict[str, Any] = {
        "recordings": found.recordings, "total": found.total, "search": search, "start": start, "at_once": AT_ONCE,
        "strips": recordings.strips.of([row for row in recordings.rows() if row["run"] in {one.run for one in found.recordings}]),
        "here": _address(search, start), "older": _address(search, start + AT_ONCE), "newer": _address(search, max(0, start - AT_ONCE)),
        "size": size, "settings": request.app.state.settings}
    if "hx-request" in request.headers:
        return page(request, "recording_rows.html.j2", **values)
    return page(request, "recordings.html.j2", usual=request.app.state.settings.options, given=NOTHING, **CHOICES, **values)


@pages.get("/uploads/{upload}")
def ask(request: Request, recordings: Recordings, upload: UploadId) -> HTMLResponse:
    """What an upload is to be analyzed with."""
    found = recordings.uploads.find(upload)
    known = next((one for one in recordings.analyses.all() if one.upload == upload), None)
    return page(request, "recording_options.html.j2", upload=found, analysis=known, usual=request.app.state.settings.options,
                given=NOTHING | ((known.asked if known else found.asked) or {}), size=size, **CHOICES)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


@pages.post("/uploads/{upload}/analyze")
def analyze(recordings: Recordings, upload: UploadId, form: Annotated[dict[str, str], Depends(form_of)]) -> RedirectResponse:
    """Have it analyzed: with the options in the form, or with those of the last time."""
    known = recordings.analyses.find(upload) if form.get("again") else None
    recordings.analyses.ask(recordings.uploads.find(upload), known.asked if known else _asked(form).kept())
    return _list()


@pages.post("/uploads/{upload}/stop")
def stop(recordings: Recordings, upload: UploadId) -> RedirectResponse:
    """Stop its analysis."""
    recordings.analyses.stop(upload)
    return _list()


@pages.get("/uploads/{upload}/remove")
def ask_to_remove_upload(request: Request, recordings: Recordings, upload: UploadId) -> HTMLResponse:
    """Whether an upload is really to be removed."""
    found = recordings.uploads.find(upload)
    return page(request, "recording_remove.html.j2", name=found.name, upload=found, run=None, films=[found], size=size)


@pages.post("/uploads/{upload}/remove")
def take_away_upload(recordings: Recordings, upload: UploadId) -> RedirectResponse:
    """Remove it."""
    remove_upload(recordings, upload)
    return _list()


@pages.get("/{run}/remove")
def ask_to_remove_run(request: Request, recordings: Recordings, run: Run) -> HTMLResponse:
    """Whether a run is really to be removed."""
    row = recordings.row(run)
    if row is None:
        raise NotFound("There is no such recording; it may just have been removed.")
    return page(request, "recording_remove.html.j2", name=row["recording"], upload=None, run=row, films=recordings.uploads_of(run), size=size)


@pages.post("/{run}/remove")
def take_away_run(recordings: Recordings, run: Run) -> RedirectResponse:
    """Remove it."""
    remove_run(recordings, run)
    return _list()


def _asked(form: dict[str, str]) -> Asked:
    """What was chosen in a form; what was left empty is as usual. Raises Refusal."""
    given: dict[str, Any] = {name: value for name, value in form.items() if value.strip() and name in Asked.model_fields}
    try:
        given |= {name: parse_time(given[name]) for name in ("start_s", "end_s") if name in given}
        return Asked.model_validate(given)
    except ValidationError as error:
        wrong = error.errors()[0]["loc"][0]
        raise Refusal("Say first what the analysis is for." if wrong == "context" else f"{wrong}: this value makes no sense.") from None
    except ValueError as error:
        raise Refusal(f"{error}.") from None


def _list() -> RedirectResponse:
    return RedirectResponse("/recordings", 303)


def _address(search: str, start: int) -> str:
    asked = {name: value for name, value in (("search", search), ("start", start)) if value}
    return "/recordings" + (f"?{urlencode(asked)}" if asked else "")


router.include_router(pages)
