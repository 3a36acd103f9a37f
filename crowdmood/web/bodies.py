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


def limited(receive: Receive, most: int) -> Receive:
    """The body, which ends with TooLarge behind so many bytes, and with Refusal where it stalls."""
    taken, more = 0, True

    async def next_piece() -> Message:
        nonlocal taken, more
        try:  # behind the end of the body only the visitor's going is waited for, which may take long
            message = await asyncio.wait_for(receive(), STALL_S if more else None)
        except TimeoutError:
            raise Refusal(f"Nothing has come for {STALL_S} s; send it again.") from None
        taken, more = taken + len(message.get("body", b"")), message.get("more_body", False)
        if taken > most:
            raise too_large(most)
        return message

    return next_piece


async def discard(receive: Receive) -> None:
    """Take what is still to come of a body that is refused, if it is not much: who is still sending does not read the answer."""
    taken = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while taken < DISCARDED and (message := await receive()).get("more_body"):
                taken += len(message["body"])


def too_large(most: int) -> TooLarge:
    """The error that says how many bytes are taken."""
    return TooLarge(f"This is larger than the {size(most)} that are taken here.")


def size(count: int) -> str:
    """Bytes as people read them."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} bytes"


async def form_proof(headers: Headers, receive: Receive) -> tuple[str, Receive]:
    """What the first field of a form proves, '' for none, and the body as if nothing had been read of it."""
    if not headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return "", receive
    messages: list[Message] = []
    start, more = b"", True
    while more and len(start) < PEEK:
        messages.append(await receive())
        start += messages[-1].get("body", b"")
        more = messages[-1].get("more_body", False)
    found = FIELD.search(start[:PEEK])

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return unquote_plus((found[1] or found[2] or b"").decode("latin-1")) if found else "", again
