"""Between two analyzed frames lies a cut: at which of the film's frames is it?"""

from __future__ import annotations

import numpy as np

from crowdmood.cuts import FrameRows, find_cuts
from crowdmood.signature import signature


class Scenes:
    """Watches the frames of a film go by, and tells for each whether the cut that is near has come.

    frame: int64 (n,), numbers of the analyzed frames. cut: bool (n,), True where a scene begins.
    """

    def __init__(self, frame: np.ndarray, cut: np.ndarray) -> None:
        begins = np.flatnonzero(cut & (np.arange(len(cut)) > 0))
        self.before, self.begins = frame[begins - 1], frame[begins]
        self._last, self._come, self._near = None, False, -1

    def cut_has_come(self, number: int, time: float, image: np.ndarray) -> bool:
        """Call it with every frame in order. image: uint8 (h, w, 3). A dissolve has come at its analyzed frame only."""
        near = int(np.searchsorted(self.begins, number, side="right"))
        if near == len(self.begins) or number < self.before[near]:
            return False
        if near != self._near:
            self._near, self._come, self._last = near, False, None
        seen = signature(image)
        if self._last is not None and not self._come:
            last_time, last = self._last
            pair = FrameRows(np.array([number - 1, number]), np.array([last_time, time]), np.stack([last, seen]))
            self._come = bool(find_cuts(pair)[1])
        self._last = time, seen
        return self._come
