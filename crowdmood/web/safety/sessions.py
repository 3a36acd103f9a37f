"""Who has said the token, and what only a page of ours knows. Nothing is stored: both can be recomputed from a key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

SESSION_S = 7 * 24 * 3600
ENDED = 10_000  # sessions that were ended before their time and are remembered


class Sessions:
    """token: what a visitor must know, None where nobody needs one. With the same token sessions outlive the server."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._key = _stretched(token) if token else secrets.token_bytes(32)
        self._ended: dict[str, None] = {}

    @property
    def needed(self) -> bool:
        """Whether a visitor must know a token."""
        return self._token is not None

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes as long for a wrong one."""
        return hmac.compare_digest(self._mark("token", token), self._mark("token", self._token or ""))

    def start(self) -> str:
        """A new session, as the cookie holds it."""
        session = f"{secrets.token_urlsafe(18)}.{int(time.time()) + SESSION_S}"
        return f"{session}.{self._mark('session', session)}"

    def open(self, cookie: str) -> bool:
        """Whether the cookie is of a session that goes on."""
        session, _, mark = cookie.rpartition(".")
        expires = session.rpartition(".")[2]
        return (hmac.compare_digest(mark.encode(), self._mark("session", session).encode()) and expires.isdigit()
                and time.time() < int(expires) and cookie not in self._ended)

    def end(self, cookie: str) -> None:
        """The session is over, also for whoever has copied the cookie."""
        if self.open(cookie):
            self._ended[cookie] = None
        if len(self._ended) > ENDED:
            del self._ended[next(iter(self._ended))]

    def proof(self, cookie: str) -> str:
        """What forms and scripts of this session's pages send along, so that no other page can ask in its name (CSRF token)."""
        return self._mark("form", cookie if self.needed else "")

    def is_proof(self, proof: str, cookie: str) -> bool:
        """Whether a page of this session has sent it."""
        return hmac.compare_digest(proof.encode(), self.proof(cookie).encode())

    def _mark(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def _stretched(token: str) -> bytes:
    """A key that costs much to guess the token from."""
    return hashlib.scrypt(token.encode("utf-8", "surrogateescape"), salt=b"crowdmood serve", n=1 << 14, r=8, p=1)
