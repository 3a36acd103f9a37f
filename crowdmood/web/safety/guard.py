"""What stands before every page and operation: who may ask, from where, how often, how much; and what browsers are told.

A visitor is let in by the cookie of a session or by `Authorization: Bearer TOKEN`; without a token in the settings only this
machine can ask, and needs neither. What changes something, and every WebSocket, must come from a page of ours.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crowdmood.web.error_answers import answer
from crowdmood.web.refusals import Busy, NotAllowed, Refusal, SignInNeeded
from crowdmood.web.safety.bodies import Body, too_large
from crowdmood.web.safety.browser_rules import HEADERS
from crowdmood.web.safety.limits import largest_body
from crowdmood.web.safety.rates import Rates, visitor_of
from crowdmood.web.safety.sessions import Sessions
from crowdmood.web.settings import WebSettings

OPEN = ("/login", "/static/", "/healthz", "/favicon.ico")  # what a visitor sees who has not said the token
READS = ("GET", "HEAD", "OPTIONS")
HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?")
NAMES = ("localhost", "127.0.0.1", "[::1]")
AT_ONCE = 250  # requests of one visitor that may be under way
KNOWN = 1000  # visitors who have said the token and are remembered
GUESSES, GUESSES_PER_S = 5, 1 / 20  # wrong tokens, of one visitor
ALL_GUESSES, ALL_GUESSES_PER_S = 100, 1  # and of all


class Guard:
    """ASGI middleware; it reads nothing of a body but the beginning of a form, and holds back nothing of an answer."""

    def __init__(self, app: ASGIApp, settings: WebSettings, sessions: Sessions) -> None:
        self.app, self.settings, self.sessions = app, settings, sessions
        self.rates = Rates(10 * settings.rate, settings.rate)
        self.guesses, self.all_guesses = Rates(GUESSES, GUESSES_PER_S), Rates(ALL_GUESSES, ALL_GUESSES_PER_S)
        self.under_way: Counter[str] = Counter()  # requests, also streams, of each visitor
        self.known: dict[str, None] = {}  # visitors who have said the token: others' guesses do not keep them out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        visitor = HTTPConnection(scope)
        who = whose(visitor)
        self.under_way[who] += 1
        try:
            await self._answer(visitor, receive, send)
        finally:
            self.under_way[who] -= 1
            if not self.under_way[who]:
                del self.under_way[who]

    async def _answer(self, visitor: HTTPConnection, receive: Receive, send: Send) -> None:
        scope = visitor.scope
        cookie = visitor.cookies.get(cookie_name(self.settings), "")
        self._tell_pages(scope, cookie)
        if scope["type"] == "websocket":
            return await self._websocket(visitor, cookie, receive, send)
        body, send = Body(receive, largest_body(scope["path"], self.settings)), _with_headers(send, scope["path"])
        try:
            self._check(visitor, cookie)
            await self._check_proof(visitor, cookie, body)
        except Refusal as refusal:
            await body.discard()
            return await answer(Request(scope), refusal)(scope, receive, send)
        await self.app(scope, body.receive, send)

    async def _websocket(self, visitor: HTTPConnection, cookie: str, receive: Receive, send: Send) -> None:
        try:
            self._check(visitor, cookie)
        except Refusal as refusal:
            await receive()
            return await send({"type": "websocket.close", "code": 1008, "reason": str(refusal)[:120]})
        await self.app(visitor.scope, receive, send)

    def _tell_pages(self, scope: Scope, cookie: str) -> None:
        """What pages know of the visitor, as `request.state`."""
        signed_in = self.sessions.needed and self.sessions.open(cookie)
        scope.setdefault("state", {}).update(
            csrf=self.sessions.proof(cookie), session=cookie, sessions=self.sessions, guard=self, signed_in=signed_in,
            inside=signed_in or not self.sessions.needed)

    def _check(self, visitor: HTTPConnection, cookie: str) -> None:
        """Raises Refusal unless this visitor may ask for this address now."""
        who, headers = whose(visitor), visitor.headers
        path = visitor.scope["path"]  # and not that of visitor.url, which the Host header can forge
        if not HOST.fullmatch(headers.get("host", "")):
            raise Refusal("The header Host does not name a server.")
        if self.under_way[who] > AT_ONCE:
            raise Busy(f"You ask for more than {AT_ONCE} things at once; close some pages and try again.")
        if wait := self.rates.take(who):
            raise Busy("You ask faster than this server answers; wait a moment and try again.", wait)
        if not self.sessions.needed:
            self._check_local(visitor)
        elif not path.startswith(OPEN) and not self.sessions.open(cookie) and not self._knows(headers, who):
            raise SignInNeeded("Sign in with the token that `crowdmood serve` printed; programs send it as `Authorization: Bearer TOKEN`.")
        if not _asked_by_us(visitor):
            raise NotAllowed("Another web site asked for this; open the page here and try again.")

    def _check_local(self, visitor: HTTPConnection) -> None:
        """Without a token only this machine may ask, and only by its own name: else a page elsewhere could name this machine
        as its own and so read it (DNS rebinding)."""
        if not is_loopback(visitor.client.host if visitor.client else ""):
            raise NotAllowed("This server answers only to the machine it runs on; start it with --token to ask from elsewhere.")
        name = re.sub(r":\d*$", "", visitor.headers.get("host", "")).lower()
        if name not in NAMES and name != self.settings.host and not is_loopback(name.strip("[]")):
            raise NotAllowed("This server answers to localhost only; start it with --token to give it another name.")

    def _knows(self, headers: Headers, who: str) -> bool:
        """Whether a program has sent the token. Raises Busy after too many wrong ones."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.tell(token.strip(), who)

    def tell(self, token: str, who: str) -> bool:
        """Whether this is the token. Raises Busy after too many wrong ones, and then for the right one too."""
        if wait := max(self.guesses.wait(who), 0 if who in self.known else self.all_guesses.wait("all")):
            raise Busy(f"Too many wrong tokens; try again in {math.ceil(wait)} s.", wait)
        if self.sessions.knows(token):
            self.known[who] = None
            if len(self.known) > KNOWN:
                del self.known[next(iter(self.known))]
            return True
        self.guesses.take(who)
        self.all_guesses.take("all")
        return False

    async def _check_proof(self, visitor: HTTPConnection, cookie: str, body: Body) -> None:
        """Raises Refusal unless a page of ours or a program sent what changes something, and no more than is taken."""
        headers, most = visitor.headers, largest_body(visitor.scope["path"], self.settings)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            raise too_large(most)
        if visitor.scope["method"] in READS or _is_program(headers):
            return
        proof = headers.get("x-csrf-token")
        if proof is None:
            proof = await body.form_proof(headers)
        if not self.sessions.is_proof(proof, cookie):
            raise NotAllowed("This page is older than the server's memory of it; load it again and repeat what you did.")


def whose(connection: HTTPConnection) -> str:
    """The visitor, for what is counted for each."""
    return visitor_of(connection.client.host if connection.client else "")


def cookie_name(settings: WebSettings) -> str:
    """Two servers on one machine share their cookies: each needs a name of its own."""
    return f"crowdmood-{settings.port}"


def is_loopback(host: str) -> bool:
    """Whether this address is of the machine itself."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    return bool((getattr(ip, "ipv4_mapped", None) or ip).is_loopback)


def _asked_by_us(visitor: HTTPConnection) -> bool:
    """Whether a page of ours, a person or a program asks, and not another site's page. A link from elsewhere may be followed."""
    headers, kind = visitor.headers, visitor.scope["type"]
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "navigate")
    reads = kind == "http" and visitor.scope["method"] in READS
    if reads:
        return site in ("none", "same-origin") or mode == "navigate"
    origin = headers.get("origin")
    return site in ("none", "same-origin") and (origin is None or origin.partition("://")[2] == headers.get("host"))


def _is_program(headers: Headers) -> bool:
    """Whether no browser asks: browsers tell where a request comes from, and cannot be made to send a token for another site."""
    return headers.get("authorization", "").lower().startswith("bearer ") or not any(name in headers for name in ("origin", "sec-fetch-site", "cookie"))


def _with_headers(send: Send, path: str) -> Send:
    """Tells browsers the rules; our own files may be kept, if asked for whether they have changed."""
    rules = HEADERS | ({"Cache-Control": "no-cache"} if path.startswith("/static/") else {})

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in rules.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
