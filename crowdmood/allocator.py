"""What the C library does with memory while pictures of many megabytes come and go: give it back at once, or use it again."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of glibc's mallopt(3)
LARGE = 1 << 20  # bytes
LARGEST, KEPT = 1 << 25, 1 << 27  # glibc keeps no larger block on its heap; what a process keeps for the next picture


def steady_memory() -> None:
    """Give blocks of a megabyte and more back to the system as soon as they are freed.

    glibc raises that limit by itself whenever a large block is freed, and then keeps batches of frames on its heaps:
    two runs of one film differed by 30 MiB. For programs only; does nothing where the C library is another one.
    """
    mallopt = _mallopt()
    mallopt(M_MMAP_THRESHOLD, LARGE)
    mallopt(M_ARENA_MAX, 4)


@cache
def reuse_memory() -> None:
    """Keep the memory of one picture for the next. For processes that do nothing but read pictures, one after the other.

    Pages that are given back and taken again must be emptied each time: a fifth of the time that reading a photo takes.
    """
    mallopt = _mallopt()
    mallopt(M_MMAP_THRESHOLD, LARGEST)
    mallopt(M_TRIM_THRESHOLD, KEPT)


def _mallopt() -> Callable[[int, int], int]:
    return getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)
