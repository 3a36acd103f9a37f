"""What the web application refuses, and with which status.

    Refusal            400  what was asked makes no sense
      SignInNeeded     401  the visitor has not said the token
      NotAllowed       403  asked from elsewhere, or without what proves that a page of ours asked
      NotFound         404  there is no such thing
      Conflict         409  it cannot be done as things stand
      TooLarge         413  more bytes than are taken
      WrongType        415  not a kind of file or body that is taken
      Busy             429  too much at once; `seconds` says when to ask again
"""

from __future__ import annotations

from crowdmood.errors import CrowdmoodError


class Refusal(CrowdmoodError):
    """What was asked makes no sense. The sentence is what the visitor reads."""

    status = 400


class SignInNeeded(Refusal):
    """The visitor has not said the token."""

    status = 401


class NotAllowed(Refusal):
    """Asked from elsewhere, or without what proves that a page of ours asked."""

    status = 403


class NotFound(Refusal):
    """There is no such thing."""

    status = 404


class Conflict(Refusal):
    """It cannot be done as things stand."""

    status = 409


class TooLarge(Refusal):
    """More bytes than are taken."""

    status = 413


class WrongType(Refusal):
    """Not a kind of file or body that is taken."""

    status = 415


class Busy(Refusal):
    """Too much at once. seconds: when to ask again."""

    status = 429

    def __init__(self, sentence: str, seconds: float = 1.0) -> None:
        super().__init__(sentence)
        self.seconds = seconds
