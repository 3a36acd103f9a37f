"""Leases: who is at what, so that two processes never do the same work.

A lease ends when its owner has not renewed it for a while, as one does that was killed. It goes by the machine's steady
clock, so setting the time of day, forward or back, does not touch it.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from crowdmood.errors import CrowdmoodError
from crowdmood.scheduling.ledger import Ledger

LEASE_S = 60.0
BEATS = 5  # renewals within the length of a lease
TAKE = """
INSERT INTO leases VALUES (:what, :owner, :boot, :now + :length)
ON CONFLICT (what) DO UPDATE SET owner = :owner, boot = :boot, until = :now + :length
WHERE owner = :owner OR boot <> :boot OR until <= :now
"""


class Leases:
    """This process's leases in a ledger. length_s: for how long others wait when it is killed."""

    def __init__(self, ledger: Ledger, length_s: float = LEASE_S) -> None:
        self.ledger = ledger
        self.length_s = length_s
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.boot = _boot()
        self._ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True, name="leases").start()

    def take(self, what: str) -> bool:
        """Take a lease, or renew it; False when another process has it."""
        with self.ledger.writing() as database:
            return database.execute(TAKE, self._facts(what)).rowcount == 1

    def has(self, what: str) -> bool:
        """Whether this process still has a lease: a process that was halted for long may have lost it."""
        with self.ledger.reading() as database:
            row = database.execute("SELECT 1 FROM leases WHERE what = ? AND owner = ? AND boot = ? AND until > ?",
                                   (what, self.owner, self.boot, time.monotonic())).fetchone()
        return row is not None

    def holder(self, what: str) -> str | None:
        """Which process has a lease, as 'host:pid'; None when nobody has."""
        with self.ledger.reading() as database:
            row = database.execute("SELECT owner FROM leases WHERE what = ? AND boot = ? AND until > ?",
                                   (what, self.boot, time.monotonic())).fetchone()
        return row["owner"].rpartition(":")[0] if row else None

    def give_up(self, what: str) -> None:
        """End a lease, if this process still has it."""
        with self.ledger.writing() as database:
            database.execute("DELETE FROM leases WHERE what = ? AND owner = ?", (what, self.owner))

    def end(self) -> None:
        """End all of them."""
        self._ended.set()
        with suppress(CrowdmoodError), self.ledger.writing() as database:
            database.execute("DELETE FROM leases WHERE owner = ?", (self.owner,))

    def renew(self) -> None:
        """Renew all of them. One that has expired is kept, unless another process has taken it."""
        with self.ledger.writing() as database:
            database.execute("UPDATE leases SET until = ? WHERE owner = ?", (time.monotonic() + self.length_s, self.owner))

    def _beat(self) -> None:
        while not self._ended.wait(self.length_s / BEATS):
            try:
                self.renew()
            except CrowdmoodError as error:
                logging.getLogger("crowdmood.jobs").warning("leases cannot be renewed", extra={"facts": {"error": str(error)}})

    def _facts(self, what: str) -> dict:
        return {"what": what, "owner": self.owner, "boot": self.boot, "now": time.monotonic(), "length": self.length_s}


def _boot() -> str:
    """This start of this machine."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""
