"""The smart selfie: when all faces that can be read have shown an expression for a while, a picture is due."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.labels import EXPRESSIONS, UNCERTAIN

GAP_S = 1.0  # between two pictures further apart than this, nobody knows what was shown
PAUSE_S = 3.0  # between two pictures that are taken


@dataclass(frozen=True)
class Wish:
    """What a picture is taken of: at least `least` readable faces, all of which show the expression for `hold_s` seconds.

    Raises CrowdmoodError when a value makes no sense.
    """

    expression: str = "happy"
    least: int = 1
    hold_s: float = 0.5

    def __post_init__(self) -> None:
        if self.expression not in EXPRESSIONS:
            raise CrowdmoodError(f"'{self.expression}' is no expression; known: {', '.join(EXPRESSIONS)}")
        if not 1 <= self.least <= 1000:
            raise CrowdmoodError(f"at least how many faces is from 1 to 1000, not {self.least}")
        if not 0 <= self.hold_s <= 60:
            raise CrowdmoodError(f"the expression is held for 0 to 60 seconds, not {self.hold_s:g}")


class Trigger:
    """Says when a picture is due: once, and again when the faces have shown something else in between."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.since: float | None = None
        self.before = self.taken = -np.inf
        self.armed = True

    def see(self, names: np.ndarray, time: float) -> tuple[float, bool]:
        """The next picture. names: str (m,), what each face shows; time: seconds, rising.

        Returns for how long all have shown it, in seconds, and whether a picture is due now.
        """
        gap, self.before = time - self.before, time
        if not self._shown(names):
            self.since, self.armed = None, True
            return 0.0, False
        if self.since is None or gap > GAP_S:
            self.since = time
        held = time - self.since
        due = self.armed and held >= self.wish.hold_s - 1e-6 and time - self.taken >= PAUSE_S
        if due:
            self.armed, self.taken = False, time
        return held, due

    def _shown(self, names: np.ndarray) -> bool:
        read = names[names != UNCERTAIN]
        return len(read) >= self.wish.least and bool((read == self.wish.expression).all())
