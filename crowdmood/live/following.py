"""Faces of one camera followed from picture to picture, and what each has shown in the last moments.

A reading of one picture is noisy: a face's figures are a mean in which a reading counts a third as much after SMOOTH_S. A face that
cannot be read in a picture is uncertain there, whatever it showed before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood.expressions import names
from crowdmood.live.sight import Seen
from crowdmood.tracks import NONE_ALIVE, LinkSettings, follow

SMOOTH_S = 0.3
NUMBERED = 3  # pictures in which a face must have been seen to get a number: a false face is gone by then
FORGOTTEN_S = 5.0
LINKING = LinkSettings(lost_s=2.0)  # a face turned away for longer than that comes back as another


@dataclass(frozen=True)
class Followed:
    """The faces of one picture, aligned with the rows of Seen. number: int64 (m,), 1, 2, ... by appearance, 0 for a face that has
    just come; probability: float32 (m, 7), the mean of the last moments; name: str (m,), the expression that is largest in it,
    'uncertain' where the face cannot be read.
    """

    number: np.ndarray
    probability: np.ndarray
    name: np.ndarray


@dataclass
class _Face:
    """One track. time: when it was seen last; read: when it was read last; mean: float32 (7,)."""

    seen: int = 0
    number: int = 0
    time: float = 0.0
    read: float = 0.0
    mean: np.ndarray | None = None


class Follower:
    """Follows the faces of one viewer's pictures."""

    def __init__(self, linking: LinkSettings = LINKING) -> None:
        self.linking, self.alive = linking, NONE_ALIVE
        self.faces: dict[int, _Face] = {}
        self.numbers = 0

    def see(self, seen: Seen, time: float) -> Followed:
        """The next picture. time: seconds, rising."""
        self.alive, track = follow(self.alive, seen.box, seen.score, time, self.linking)
        number, probability = np.zeros(len(track), np.int64), seen.probability.copy()
        for row in np.flatnonzero(track >= 0):
            face = self.faces.setdefault(int(track[row]), _Face())
            number[row] = self._number(face, time)
            if seen.usable[row]:
                probability[row] = _mean(face, seen.probability[row], time)
        self.faces = {name: face for name, face in self.faces.items() if face.time >= time - FORGOTTEN_S}
        return Followed(number, probability, names(probability, seen.usable))

    def _number(self, face: _Face, time: float) -> int:
        face.seen, face.time = face.seen + 1, time
        if face.seen == NUMBERED:
            self.numbers += 1
            face.number = self.numbers
        return face.number


def _mean(face: _Face, reading: np.ndarray, time: float) -> np.ndarray:
    old = 0.0 if face.mean is None else np.exp(-(time - face.read) / SMOOTH_S)
    face.mean = reading if face.mean is None else old * face.mean + (1 - old) * reading
    face.read = time
    return face.mean
