"""Bodies of requests as they come in: not too large, not for ever, and what the first field of a form says."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from urllib.parse import unquote_plus

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from crowdmood.web.refusals import Refusal, TooLarge

STALL_S = 60  # of silence within a body
DISCARDED, DISCARD_S = 32_000_000, 10  # bytes and seconds of a refused body that are taken
PEEK = 4096  # bytes of a form within which its field `csrf` stands
FIELD = re.compile(rb'(?:^|&)csrf=([^&]*)|name="csrf"\r\n\r\n([^\r]*)\r\n')
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Body:
    """A body of at most `most` bytes. Hand on `receive`: what has been looked at comes again."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._taken, self._more = 0, True
        self._seen: list[Message] = []

    async def receive(self) -> Message:
        """The next message, as ASGI has it. Raises TooLarge behind the last byte that is taken, Refusal where nothing comes."""
        return self._seen.pop(0) if self._seen else await self._next()

    async def form_proof(self, headers: Headers) -> str:
        """What the field `csrf` of a form says, '' where there is none near its beginning."""
        if not headers.get("content-type", "").startswith(FORMS):
            return ""
        start = b""
        while self._more and len(start) < PEEK:
            self._seen.append(await self._next())
            start += self._seen[-1].get("body", b"")
        found = FIELD.search(start[:PEEK])
        return unquote_plus((found[1] or found[2] or b"").decode("latin-1")) if found else ""

    async def discard(self) -> None:
        """Take what is still to come, if it is not much: who is still sending does not read the answer."""
        self._most = self._taken + DISCARDED
        with suppress(TimeoutError, TooLarge):
            async with asyncio.timeout(DISCARD_S):
                while self._more:
                    await self._next()

    async def _next(self) -> Message:
        try:  # behind the end of the body only the visitor's going is waited for, which may take long
            message = await asyncio.wait_for(self._receive(), STALL_S if self._more else None)
        except TimeoutError:
            raise Refusal(f"Nothing has come for {STALL_S} s; send it again.") from None
        self._taken, self._more = self._taken + len(message.get("body", b"")), message.get("more_body", False)
        if self._taken > self._most:
            raise too_large(self._most)
        return message


def too_large(most: int) -> TooLarge:
    """The error that says how many bytes are taken."""
    return TooLarge(f"This is larger than the {size(most)} that are taken here.")


def size(count: int) -> str:
    """Bytes as people read them."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} bytes"
