"""Keep the C library from hoarding memory while pictures of many megabytes come and go."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's mallopt(3)
LARGE = 1 << 20  # bytes


def steady_memory() -> None:
    """Give blocks of a megabyte and more back to the system as soon as they are freed.

    glibc raises that limit by itself whenever a large block is freed, and then keeps batches of frames on its heaps:
    two runs of one film differed by 30 MiB. For programs only; does nothing where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_ARENA_MAX, 4)
