"""Limits for questions that somebody else may have written: memory, room on the disk, and time."""

from __future__ import annotations

import os
import resource
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import gettempdir

from crowdmood.errors import ResultsError

GRACE_S = 5.0
"""A function that cannot be interrupted is given so much longer before the process is ended."""
PROCESS_SHARE, DATABASE_SHARE = 0.75, 0.5
"""Of the machine's memory: what the process may take, and beyond what DuckDB writes to the disk instead."""
DISK_SHARE = 0.5  # of what is free


def database_limits() -> dict[str, str]:
    """DuckDB's settings. The folder for what does not fit into memory has a name that nobody can guess and take first."""
    folder = gettempdir()
    return {
        "memory_limit": f"{int(_most_memory() / PROCESS_SHARE * DATABASE_SHARE) >> 20}MiB",
        "max_temp_directory_size": f"{int(shutil.disk_usage(folder).free * DISK_SHARE) >> 20}MiB",
        "temp_directory": f"{folder}/crowdmood-{os.getpid()}-{secrets.token_hex(8)}",
    }


def limit_memory(processes: int = 1) -> None:
    """Let this process take no more than its share: strings of gigabytes are not in DuckDB's own count.

    processes: how many of them there may be at a time.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (_most_memory() // processes, hard))


@contextmanager
def limit_time(seconds: float) -> Iterator[None]:
    """End this process, with exit status 1 and a sentence, where the block takes `GRACE_S` longer than that.

    For queries stuck in a function that DuckDB does not interrupt; `catalog.ask` ends all others in time.
    """
    timer = threading.Timer(seconds + GRACE_S, _end, [seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def too_long(seconds: float) -> ResultsError:
    """What a user is told."""
    return ResultsError(f"the query took longer than {seconds:g} s and was ended; --time-limit allows more")


def _end(seconds: float) -> None:
    os.write(2, f"crowdmood: {too_long(seconds)}\n".encode())
    os._exit(1)


def _most_memory() -> int:
    """Bytes that this process may take: its share of the machine's, or what it is limited to."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [limit for limit in resource.getrlimit(resource.RLIMIT_DATA) if limit != resource.RLIM_INFINITY]
    return min([int(machine * PROCESS_SHARE), *limits])
