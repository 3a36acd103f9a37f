"""Answers to what went wrong: a page for people, {"error": sentence} for programs; never a traceback."""

from __future__ import annotations

import math
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from crowdmood.errors import CrowdmoodError, told
from crowdmood.web.refusals import Busy, Refusal, SignInNeeded
from crowdmood.web.safety.browser_rules import HEADERS
from crowdmood.web.web_pages import login_address, page

TITLES = {401: "Sign in first", 403: "Not from here", 404: "Not found", 405: "Not like this", 409: "Not as things stand",
          413: "Too large", 415: "Not this kind", 422: "Something is missing", 429: "Too fast", 500: "Our mistake"}
SENTENCES = {404: "There is no such page.", 405: "This address cannot be asked in this way.",
             500: "Something went wrong in this server, and it is not your fault; what happened stands in its log."}


class ErrorAnswer(BaseModel):
    """What an operation answers that did not work."""

    error: str = Field(description="One sentence that says what is wrong and what to do.")


ANSWERS = {status: {"model": ErrorAnswer, "description": TITLES.get(status, "Refused")}
           for status in (400, 401, 403, 404, 409, 413, 415, 422, 429)}
"""The errors that any operation may answer with, for OpenAPI."""


def add_error_answers(app: FastAPI) -> None:
    """Let the application answer every error."""
    app.add_exception_handler(CrowdmoodError, answer)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _mistake)


def answer(request: Request, error: CrowdmoodError) -> Response:
    """What a user can act on is a sentence."""
    status = error.status if isinstance(error, Refusal) else 400
    if isinstance(error, SignInNeeded) and _for_people(request) and request.method == "GET":
        return RedirectResponse(login_address(request), 303)
    headers = {"Retry-After": str(math.ceil(error.seconds))} if isinstance(error, Busy) else {}
    if isinstance(error, SignInNeeded):
        headers["WWW-Authenticate"] = "Bearer"
    return _answer(request, status, told(error), headers)


def _for_people(request: Request) -> bool:
    """Whether a page is wanted, and not data."""
    accepted = request.headers.get("accept", "*/*")
    return not request.scope["path"].startswith("/api/") and "hx-request" not in request.headers and (
        "text/html" in accepted or "*/*" in accepted)


def _answer(request: Request, status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    if not _for_people(request):
        return JSONResponse({"error": sentence}, status, headers)
    made: Response = page(request, "refused.html.j2", status, title=TITLES.get(status, "That did not work"), sentence=sentence)
    made.headers.update(headers or {})
    return made


def _http_error(request: Request, error: HTTPException) -> Response:
    """What the framework refuses: an unknown address, a method, a body that is no form; or a body that became too large."""
    if isinstance(error.__cause__, CrowdmoodError):
        return answer(request, error.__cause__)
    status = error.status_code
    known = f"{HTTPStatus(status).phrase}." if status in list(HTTPStatus) else "Refused."
    sentence = SENTENCES.get(status) or (f"{error.detail}." if status == 400 else known)
    return _answer(request, status, sentence, dict(error.headers or {}))


def _invalid(request: Request, error: RequestValidationError) -> Response:
    """The first thing that does not fit, named."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return _answer(request, 422, f"{place}: {first['msg']}.")


def _gone(request: Request, error: ClientDisconnect) -> Response:
    """Nobody reads this: the visitor went away while sending."""
    return Response(status_code=400)


def _mistake(request: Request, error: Exception) -> Response:
    """A bug: its traceback is for the log. This answer is made outside the guard."""
    made = _answer(request, 500, SENTENCES[500])
    made.headers.update(HEADERS)
    return made
