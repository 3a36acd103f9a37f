"""The application: its pages, and what runs beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from crowdmood import __version__
from crowdmood.errors import CrowdmoodError, told
from crowdmood.web import live_pages, photo_pages, query_pages, recording_pages, result_pages
from crowdmood.web.settings import WebSettings
from crowdmood.web.web_pages import HERE, page

PARTS = (recording_pages, result_pages, photo_pages, live_pages, query_pages)


def make_app(settings: WebSettings) -> FastAPI:
    """The application. Each part has a `router` and `running(app)`, which is entered when the application starts and left when
    it ends; what it needs while it runs is in `app.state`."""
    app = FastAPI(title="crowdmood", version=__version__, lifespan=_lifespan, docs_url=None, redoc_url=None,
                  openapi_url="/api/openapi.json")
    app.state.settings = settings
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for part in PARTS:
        app.include_router(part.router)
    app.add_exception_handler(CrowdmoodError, _refused)
    app.add_api_route("/", _home, include_in_schema=False)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as running:
        for part in PARTS:
            await running.enter_async_context(part.running(app))
        yield


def _home() -> RedirectResponse:
    return RedirectResponse("/recordings")


def _refused(request: Request, error: CrowdmoodError) -> Response:
    """What a user can act on is a sentence."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": told(error)}, 400)
    answer: HTMLResponse = page(request, "refused.html.j2", 400, sentence=told(error))
    return answer
