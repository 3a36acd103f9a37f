"""The mix of expressions over the last seconds: the mean probabilities of all faces that could be read."""

from __future__ import annotations

from collections import deque

import numpy as np

from crowdmood.live.sight import Seen

WINDOW_S = 10.0


class RunningMix:
    """The mix of one viewer's last pictures."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self.window_s = window_s
        self.pictures: deque[tuple[float, np.ndarray, int]] = deque()

    def see(self, seen: Seen, time: float) -> None:
        """The next picture. time: seconds, rising."""
        read = seen.probability[seen.usable]
        self.pictures.append((time, read.sum(axis=0, dtype=np.float64), len(read)))
        while self.pictures[0][0] < time - self.window_s:
            self.pictures.popleft()

    @property
    def faces(self) -> int:
        """How many readings stand behind the mix."""
        return sum(count for *_, count in self.pictures)

    @property
    def mix(self) -> np.ndarray | None:
        """float64 (7,), sums to 1; None where no face could be read."""
        return sum(total for _, total, _ in self.pictures) / self.faces if self.faces else None


def mix_of(seen: Seen) -> np.ndarray | None:
    """The mix of one picture, float32 (7,); None where no face could be read."""
    return seen.probability[seen.usable].mean(axis=0) if seen.usable.any() else None
