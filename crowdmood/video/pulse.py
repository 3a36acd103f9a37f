"""Signs of life of the process that decodes: whoever watches over it hears of them at most twice a second."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_S = 0.5


class Pulse:
    """``beat()`` where work goes on; ``tell`` is called then, not too often. Without a listener nothing happens."""

    def __init__(self) -> None:
        self.tell: Callable[[], None] | None = None
        self._last = 0.0

    def beat(self) -> None:
        if self.tell is None:
            return
        now = time.monotonic()
        if now - self._last >= EVERY_S:
            self._last = now
            self.tell()


pulse = Pulse()
"""That of this process: demuxing and decoding have one place where they go on, and nobody else to hand it to."""
