"""What the process that decodes may use, set by itself before it looks at any file."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
from pathlib import Path

MOST_MEMORY = 6 << 30
"""Bytes of address space: enough for 8K pictures in many threads and for one of 100 million pixels in a few."""
KILL_ME_FIRST = "1000"


def confine(lifeline: int) -> None:
    """Limit this process, and let it end with its parent, who holds the other end of ``lifeline``, a pipe.

    It can write no files and leaves no core dumps. Where the machine runs out of memory all the same, the kernel takes
    this process before any other. Ctrl-C is for the parent, who ends this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    allow_more_memory(0)
    try:
        Path("/proc/self/oom_score_adj").write_text(KILL_ME_FIRST)
    except OSError:
        pass  # not to be had everywhere
    # The kernel kills this process when the other end is closed, even while native code runs for ever.
    # (PR_SET_PDEATHSIG would do so when the thread ends that started it.)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:
        raise SystemExit("the parent has ended already")


def allow_more_memory(size: int) -> None:
    """Set the limit of address space, with so many bytes on top that are shared with the parent."""
    most, (_, hard) = memory_limit() + size, resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def memory_limit() -> int:
    """Bytes of address space that decoding may take: at most three quarters of the machine's memory."""
    return min(MOST_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4)
