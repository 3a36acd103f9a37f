"""One viewer: the newest picture that it has given, and what was seen in its pictures so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np

from crowdmood.labels import EXPRESSIONS
from crowdmood.live.following import Followed, Follower
from crowdmood.live.mood import RunningMix, mix_of
from crowdmood.live.pace import Pace
from crowdmood.live.selfie import Trigger, Wish
from crowdmood.live.sight import Seen

Picture = bytes | np.ndarray  # a JPEG, or uint8 (h, w, 3) RGB


@dataclass(frozen=True)
class Shown:
    """A picture that a viewer has given. number: of its pictures, from 0; given: when, seconds of `monotonic`; time: seconds of
    the recording, or since the first one."""

    picture: Picture
    number: int
    given: float
    time: float


@dataclass(frozen=True)
class View:
    """What was seen in a picture: what `answer` says as an object for JSON; due: whether a smart selfie is to be taken of it."""

    shown: Shown
    answer: dict[str, Any]
    due: bool = False


Deliver = Callable[[View], None]


class Viewer:
    """The loop asks it. deliver: takes each view, on the loop's thread, and must not take long."""

    def __init__(self, deliver: Deliver, wish: Wish | None) -> None:
        self.deliver = deliver
        self.waiting: Shown | None = None
        self.served = -np.inf
        self.count, self.first = 0, None
        self.follower, self.running, self.pace = Follower(), RunningMix(), Pace()
        self.trigger = Trigger(wish) if wish else None

    def wish(self, wish: Wish | None) -> None:
        """From now on take smart selfies of this; None: none."""
        self.trigger = Trigger(wish) if wish else None

    def take(self, picture: Picture, time: float | None) -> None:
        """A new picture takes the place of one that still waits."""
        now = monotonic()
        self.first = now if self.first is None else self.first
        self.pace.dropped += self.waiting is not None
        self.waiting = Shown(picture, self.count, now, now - self.first if time is None else time)
        self.count += 1

    def see(self, shown: Shown, seen: Seen, began: float) -> View:
        """What is to be told of a picture that was looked at from a time on."""
        followed = self.follower.see(seen, shown.time)
        self.running.see(seen, shown.time)
        trigger = self.trigger
        held, due = trigger.see(followed.name, shown.time) if trigger else (0.0, False)
        self.pace.look(shown.given, began, now := monotonic())
        answer = {
            "picture": shown.number, "time_s": round(shown.time, 3), "width": seen.width, "height": seen.height,
            "faces": _faces(seen, followed), "read": int(seen.usable.sum()), "mix": _named(mix_of(seen)),
            "running": {"seconds": self.running.window_s, "readings": self.running.faces, "mix": _named(self.running.mix)},
            "selfie": {"expression": trigger.wish.expression, "held_s": round(held, 3), "due": due} if trigger else None,
            "pace": {"per_second": round(self.pace.rate(now), 2), "dropped": self.pace.dropped,
                     "waited_ms": round(1000 * (began - shown.given), 1), "took_ms": round(1000 * (now - began), 1)},
        }
        return View(shown, answer, due)


def refused(shown: Shown, sentence: str) -> View:
    """What is told of a picture that could not be looked at."""
    return View(shown, {"picture": shown.number, "error": sentence})


def _faces(seen: Seen, followed: Followed) -> list[dict[str, Any]]:
    return [{"number": int(number) or None, "expression": str(name), "score": round(float(score), 3),
             "box": [round(float(edge), 1) for edge in box], "probability": _named(probability)}
            for number, name, score, box, probability
            in zip(followed.number, followed.name, seen.score, seen.box, followed.probability, strict=True)]


def _named(probability: np.ndarray | None) -> dict[str, float] | None:
    if probability is None:
        return None
    return {name: round(float(value), 4) for name, value in zip(EXPRESSIONS, probability, strict=True)}
