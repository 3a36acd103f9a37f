"""Signing in with the token, and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from crowdmood.web.safety.guard import cookie_name, whose
from crowdmood.web.safety.sessions import SESSION_S
from crowdmood.web.web_pages import page

router = APIRouter()


class Session(BaseModel):
    """What a page of ours needs to know of its session."""

    signed_in: bool = Field(description="Whether a token has been said, or none is needed.")
    csrf: str = Field(description="What scripts send as X-CSRF-Token.")


@router.get("/login", include_in_schema=False)
def login(request: Request, next: Annotated[str, Query(max_length=4000)] = "/") -> Response:
    """The form that asks for the token."""
    if not request.state.sessions.needed or request.state.sessions.open(request.state.session):
        return RedirectResponse(own_address(next), 303)
    return page(request, "login.html.j2", next=own_address(next), wrong=False)


@router.post("/login", include_in_schema=False)
async def sign_in(request: Request, token: Annotated[str, Form(max_length=1000)] = "",
                  next: Annotated[str, Form(max_length=4000)] = "/") -> Response:
    """Start a session, if the token is right."""
    if not request.state.guard.tell(token.strip(), whose(request)):
        return page(request, "login.html.j2", 401, next=own_address(next), wrong=True)
    answer = RedirectResponse(own_address(next), 303)
    answer.set_cookie(cookie_name(request.app.state.settings), request.state.sessions.start(), max_age=SESSION_S, httponly=True,
                      samesite="strict", secure=request.url.scheme == "https")
    return answer


@router.post("/logout", include_in_schema=False)
async def sign_out(request: Request) -> Response:
    """End the session."""
    request.state.sessions.end(request.state.session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(request.app.state.settings), httponly=True, samesite="strict")
    return answer


@router.get("/login/session", include_in_schema=False)
async def session(request: Request) -> Session:
    """For pages that are older than the server, or came by a link from elsewhere, with which browsers send no cookie."""
    known = request.state.sessions.open(request.state.session)
    return Session(signed_in=known or not request.state.sessions.needed, csrf=request.state.csrf)


def own_address(address: str) -> str:
    """An address of this server; the front page, if it would lead elsewhere."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours else "/"
