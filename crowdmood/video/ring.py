"""Memory that a decoding child paints batches into and that is handed on without a copy.

It is cut into slots of one batch each. A slot that somebody still looks at is not used again; when all are looked at,
what comes is copied out instead. The memory has no name in the file system and goes when the last picture of it does.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref
from collections import deque

import numpy as np

SLOTS, LEAST_SLOTS, MOST_BYTES = 8, 2, 1 << 30
"""As many slots as reading ahead keeps busy, fewer where they are large. Memory is taken when a slot is first used."""
AHEAD, AHEAD_BYTES = 2, 64_000_000
"""Batches that a child may have ready or be painting; one of those that are larger than this."""


class Ring:
    """The slots of one child. slot_bytes: the size of each; used: how many were given out at least once."""

    def __init__(self, slot_bytes: int) -> None:
        self.slot_bytes = slot_bytes
        self.slots = max(LEAST_SLOTS, min(SLOTS, MOST_BYTES // slot_bytes))
        self.ahead = AHEAD if slot_bytes <= AHEAD_BYTES else 1
        self.used = 0
        self.descriptor = os.memfd_create("crowdmood", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, self.slots * slot_bytes)
        # What we look at cannot be taken away under our eyes.
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self._memory = mmap.mmap(self.descriptor, self.slots * slot_bytes)
        self._free: deque[int] = deque()

    @property
    def has_room(self) -> bool:
        """Whether there is a slot that nobody looks at."""
        return bool(self._free) or self.used < self.slots

    def free_slot(self) -> int | None:
        """A slot that nobody looks at; None when there is none."""
        if self._free:
            return self._free.popleft()
        if self.used == self.slots:
            return None
        self.used += 1
        return self.used - 1

    def give_back(self, slot: int) -> None:
        """Nobody looks at the slot any more."""
        self._free.append(slot)

    def lent(self, slot: int, size: int) -> np.ndarray:
        """The first bytes of a slot, uint8 (size,). The slot is free again when the last view of them has gone."""
        pixels = np.frombuffer(self._memory, np.uint8, size, slot * self.slot_bytes)
        weakref.finalize(pixels, self._free.append, slot).atexit = False
        return pixels

    def copied(self, slot: int, size: int) -> np.ndarray:
        """A copy of the same; the slot stays the caller's."""
        return np.frombuffer(self._memory, np.uint8, size, slot * self.slot_bytes).copy()

    def close(self) -> None:
        """Close the descriptor; pictures that are still looked at stay."""
        os.close(self.descriptor)
