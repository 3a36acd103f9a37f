"""How fast pictures are looked at: rate, waiting, work, and what was dropped."""

from __future__ import annotations

from collections import deque

import numpy as np

WINDOW_S = 3.0


class Pace:
    """Of the last seconds. All times in seconds of one clock."""

    def __init__(self) -> None:
        self.looks: deque[tuple[float, float, float]] = deque()  # end, waited, took
        self.looked = self.dropped = 0

    def look(self, given: float, began: float, ended: float) -> None:
        """A picture given at one time was looked at from another on, until a third."""
        self.looked += 1
        self.looks.append((ended, began - given, ended - began))
        self._forget(ended)

    def rate(self, now: float) -> float:
        """Pictures looked at per second."""
        self._forget(now)
        return (len(self.looks) - 1) / (self.looks[-1][0] - self.looks[0][0]) if len(self.looks) > 1 else 0.0

    def latency(self, now: float, share: float = 0.5) -> float | None:
        """Seconds from a picture that is given to its answer: the median, or another share (0..1); None where there is none."""
        self._forget(now)
        return float(np.quantile([waited + took for _, waited, took in self.looks], share)) if self.looks else None

    def _forget(self, now: float) -> None:
        while self.looks and self.looks[0][0] < now - WINDOW_S:
            self.looks.popleft()
