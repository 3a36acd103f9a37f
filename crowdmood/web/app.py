"""The application: its pages, and what runs beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from crowdmood import __version__
from crowdmood.web import api_pages, live_pages, login_pages
from crowdmood.web.error_answers import ANSWERS, add_error_answers
from crowdmood.web.photos import pages as photo_pages
from crowdmood.web.questions import pages as query_pages
from crowdmood.web.recordings import pages as recording_pages
from crowdmood.web.results import pages as result_pages
from crowdmood.web.safety.guard import Guard
from crowdmood.web.safety.sessions import Sessions
from crowdmood.web.settings import WebSettings
from crowdmood.web.web_pages import HERE

PARTS = (recording_pages, result_pages, photo_pages, live_pages, query_pages)


def make_app(settings: WebSettings) -> FastAPI:
    """The application. Each part has a `router` and `running(app)`, which is entered when the application starts and left when
    it ends; what it needs while it runs is in `app.state`."""
    app = FastAPI(title="crowdmood", version=__version__, lifespan=_lifespan, docs_url=None, redoc_url=None,
                  openapi_url="/api/openapi.json", description="Recordings, photos, the camera and SQL, for programs.")
    app.state.settings = settings
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for router in (api_pages.router, login_pages.router, *(part.router for part in PARTS)):
        app.include_router(router, responses=ANSWERS)
    add_error_answers(app)
    app.add_middleware(Guard, settings=settings, sessions=Sessions(settings.token))
    app.add_api_route("/", _home, include_in_schema=False)
    app.add_api_route("/favicon.ico", _icon, include_in_schema=False)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as running:
        for part in PARTS:
            await running.enter_async_context(part.running(app))
        yield


def _home() -> RedirectResponse:
    return RedirectResponse("/recordings")


def _icon() -> FileResponse:
    return FileResponse(HERE / "static" / "icon.svg", media_type="image/svg+xml")
