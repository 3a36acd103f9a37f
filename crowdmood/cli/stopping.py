"""Ctrl-C, SIGTERM and a closed terminal: what is under way is dropped, and the program has ended a few seconds later."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

GRACE_S = 4.0  # to drop what is under way; then the program ends as it is, which loses nothing that was finished
SHOW_CURSOR = "\x1b[?25h"  # progress bars hide it
HOW_TO_GO_ON = "stopped; run the same command again to go on"


class Stopped(BaseException):
    """A signal asked the program to end. number: SIGINT, SIGTERM or SIGHUP."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_asked: list[int] = []  # signals


@contextmanager
def stoppable() -> Iterator[None]:
    """Let the first signal raise Stopped in the main thread; a second one, or GRACE_S, ends the program at once.

    A signal that is ignored (nohup, the background of a shell) stays so. A block that does not end well after a signal
    ends the program, saying how to go on.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    # The interpreter runs handlers between its own steps only; this is told at once, also during a long query.
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard,), name="stopping", daemon=True).start()
    try:
        yield
    except BaseException:
        if _asked:  # and what is raised now may only be that the terminal is gone
            leave(_asked[0])
        raise


def stop_with_stdin() -> None:
    """Stop, as at SIGTERM, when standard input ends: the program that started this one holds its other end, and has died."""
    threading.Thread(target=_watch_stdin, name="stdin", daemon=True).start()


def leave(number: int) -> NoReturn:
    """Say how to go on and end the program, with the exit code of a program that a signal ended."""
    with suppress(OSError, ValueError):  # the terminal may be gone
        sys.stdout.flush()
    with suppress(OSError):
        os.write(2, f"{SHOW_CURSOR if os.isatty(2) else ''}crowdmood: {HOW_TO_GO_ON}\n".encode())
    os._exit(128 + number)


def _stop(number: int, _) -> NoReturn:
    _asked.append(number)
    raise Stopped(number)


def _watch_stdin() -> None:
    while os.read(sys.__stdin__.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _watch(heard: int) -> None:
    number = 0
    while signal.getsignal(number := os.read(heard, 1)[0]) is not _stop:
        pass  # a signal that a command deals with itself
    select.select([heard], [], [], GRACE_S)
    leave(number)
