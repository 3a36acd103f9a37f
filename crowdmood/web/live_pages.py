"""The camera in the browser: a page that sends small pictures over a WebSocket, and is told what was seen in each.

A picture that comes in is one binary message, a JPEG. Each is answered by one text message, JSON, unless a newer one came before its
turn. A text message that comes in is a setting, {"selfie": {"expression": "happy", "least": 2, "hold_s": 0.5}}; null: none.
Nothing of a picture is kept.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, ValidationError

from crowdmood.labels import EXPRESSIONS
from crowdmood.live.jpeg import MOST_BYTES, MOST_PIXELS
from crowdmood.live.loop import Loop
from crowdmood.live.selfie import Wish
from crowdmood.live.sight import IMGSZ
from crowdmood.live.viewer import View, Viewer
from crowdmood.pages import as_json
from crowdmood.palette import EXPRESSION_COLOURS, LABEL_INKS, STACK_ORDER
from crowdmood.web.settings import WebSettings
from crowdmood.web.web_pages import page

ADDRESS = "/api/live/pictures"
IDLE_S = 120.0  # a viewer who sends nothing for so long makes room for others
UNREAD = 8  # answers that wait for a viewer who does not take them; older ones are dropped
FULL, TOO_LARGE, SENSELESS = 1013, 1009, 1008  # codes with which a WebSocket is closed
Expression = Annotated[str, Field(pattern="^(" + "|".join(EXPRESSIONS) + ")$")]

router = APIRouter()


class Selfie(BaseModel, extra="forbid"):
    """When a smart selfie is due: at least `least` readable faces, all showing `expression` for `hold_s` seconds."""

    expression: Expression = "happy"
    least: Annotated[int, Field(ge=1, le=1000)] = 1
    hold_s: Annotated[float, Field(ge=0, le=60)] = 0.5


class Setting(BaseModel, extra="forbid"):
    """What a viewer may say in a text message."""

    selfie: Selfie | None


class LiveState(BaseModel):
    """How the live pictures of all viewers are doing. Figures are of the last three seconds, null where nothing was looked at."""

    address: Annotated[str, Field(description="WebSocket: send JPEGs, one a message; each is answered by JSON, or dropped for a newer one")]
    viewers: int
    most_viewers: int
    most_bytes: Annotated[int, Field(description="of one picture")]
    most_pixels: Annotated[int, Field(description="of one picture")]
    pictures_per_second: float
    dropped: Annotated[int, Field(description="pictures of the viewers who are here now that a newer one has replaced")]
    latency_ms: Annotated[float | None, Field(description="from a picture's arrival to its answer, median")]
    latency_p95_ms: float | None


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """The loop that looks at pictures; it loads the networks when the first visitor opens the page."""
    settings: WebSettings = app.state.settings
    app.state.live = Loop(replace(settings.options, imgsz=min(settings.options.imgsz, IMGSZ), tiles="off", meeting="off"), settings.execution)
    try:
        yield
    finally:
        await asyncio.to_thread(app.state.live.stop)


@router.get("/live", include_in_schema=False)
def live(request: Request) -> HTMLResponse:
    """The page."""
    request.app.state.live.get_ready()
    facts = {"address": ADDRESS, "colours": EXPRESSION_COLOURS, "inks": LABEL_INKS, "order": STACK_ORDER}
    return page(request, "live.html.j2", expressions=EXPRESSIONS, facts=as_json(facts))


@router.get("/api/live", tags=["Live"])
def live_state(request: Request) -> LiveState:
    """How many are looking at their camera now, how fast their pictures are looked at, and where to send pictures."""
    loop: Loop = request.app.state.live
    figures = loop.figures()
    return LiveState(address=ADDRESS, most_viewers=request.app.state.settings.viewers, most_bytes=MOST_BYTES, most_pixels=MOST_PIXELS, **figures)


@router.websocket(ADDRESS)
async def pictures(socket: WebSocket) -> None:
    """Look at the pictures of one viewer."""
    await socket.accept()
    loop: Loop = socket.app.state.live
    most = socket.app.state.settings.viewers
    if len(loop.viewers) >= most:
        return await _close(socket, FULL, f"{most} cameras are being looked at already; try again when another one is closed")
    outbox = _Outbox()
    viewer = loop.join(outbox.put)
    telling = asyncio.create_task(outbox.send(socket))
    try:
        await _listen(socket, loop, viewer)
    except WebSocketDisconnect:
        pass
    finally:
        loop.leave(viewer)
        telling.cancel()


async def _listen(socket: WebSocket, loop: Loop, viewer: Viewer) -> None:
    """Take a viewer's messages until it leaves, says nonsense, or is silent for too long."""
    while True:
        try:
            message = await asyncio.wait_for(socket.receive(), IDLE_S)
        except TimeoutError:
            return await _close(socket, FULL, f"no picture came for {IDLE_S:.0f} s; start again when you are ready")
        if message["type"] == "websocket.disconnect":
            return None
        content = message.get("bytes")
        if content is None:
            try:
                viewer.wish(_wish(message["text"]))
            except (ValidationError, ValueError):
                return await _close(socket, SENSELESS, 'text is a setting such as {"selfie": {"expression": "happy", "least": 2}}')
        elif len(content) > MOST_BYTES:
            return await _close(socket, TOO_LARGE, f"a live picture has {MOST_BYTES / 1e6:.0f} MB at most")
        else:
            loop.show(viewer, content)


def _wish(text: str) -> Wish | None:
    selfie = Setting.model_validate_json(text).selfie
    return Wish(selfie.expression, selfie.least, selfie.hold_s) if selfie else None


async def _close(socket: WebSocket, code: int, sentence: str) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # the viewer may be gone
        await socket.send_json({"error": sentence})
        await socket.close(code, sentence[:120])


class _Outbox:
    """Answers on their way from the loop's thread to one viewer."""

    def __init__(self) -> None:
        self.server = asyncio.get_running_loop()
        self.answers: deque[dict[str, Any]] = deque(maxlen=UNREAD)
        self.some = asyncio.Event()

    def put(self, view: View) -> None:
        """For the loop's thread."""
        self.answers.append(view.answer)
        with suppress(RuntimeError):  # the server is gone
            self.server.call_soon_threadsafe(self.some.set)

    async def send(self, socket: WebSocket) -> None:
        """Send answers as they come, until the task is cancelled or the viewer is gone."""
        while True:
            await self.some.wait()
            self.some.clear()
            while self.answers:
                try:
                    await socket.send_text(json.dumps(self.answers.popleft()))
                except (WebSocketDisconnect, RuntimeError):
                    return
