"""The processes that probe and decode, seen from the one that asks: started, watched, used again, and ended.

A child that stands still, takes too long, crashes or runs out of memory is an exception here and nothing else. It ends
with this process, however that ends, and at once when a request is given up. None of its memory has a name in the file
system, so that nothing stays behind.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crowdmood.errors import VideoError
from crowdmood.video.confinement import memory_limit
from crowdmood.video.recording import Recording
from crowdmood.video.ring import Ring
from crowdmood.video.wire import (
    LENGTHS,
    Message,
    lengths,
    pack_recording,
    packed,
    unpacked,
)

STALL_S = 30.0
"""Seconds without a sign of life after which a child counts as hanging; $CROWDMOOD_STALL_S changes it."""
READ_BYTES = 1 << 16
STEP_S = 0.2
"""So often a waiting thread looks whether it is to stop."""
KEPT = 2
"""Children that wait for the next request; more of them work while more threads ask."""
KEPT_BYTES = 256_000_000
"""A child with more shared memory than this is not kept."""
START = "import sys; sys.path[:] = sys.argv[2:]; from crowdmood.video.child import main; main(int(sys.argv[1]))"
INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
# One thread for what numpy might compute, and few heaps: both would only take address space.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4",
               "DECORD_DUPLICATE_WARNING_THRESHOLD": "0"}


class Failure(Exception):
    """A child did not answer; the text says what it did instead, such as 'crashed (SIGSEGV)'."""


class Starved(Failure):
    """A child had no memory, or was killed: what it was looking at need not be the reason."""


class Child:
    """A process that runs ``crowdmood.video.child``. One request at a time. refused: the last one, with a sentence."""

    def __init__(self) -> None:
        self.holds: Recording | None = None
        self.ring: Ring | None = None
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        self._poll, self._received = select.poll(), bytearray()
        paths = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", START, str(theirs.fileno()), *paths],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={name: os.environ[name] for name in INHERITED if name in os.environ} | ENVIRONMENT,
            )
        self.expect(0)

    def expect(self, limit_s: float) -> None:
        """Begin to count: the next answers may take so many seconds of waiting together."""
        self._limit_s, self._spent, self._quiet = limit_s, 0.0, 0.0
        self.refused = False

    def say(self, message: Message, *descriptors: int) -> None:
        """Send a request, and descriptors of files with it. Raises Failure."""
        left = memoryview(packed(message))
        while left:
            try:
                left = left[socket.send_fds(self._socket, [left], descriptors):]
                descriptors = ()
            except BlockingIOError:
                self._wait(select.POLLOUT)
            except OSError:
                raise self._death() from None

    def remember(self, recording: Recording) -> None:
        """Tell the child of a recording unless it is the one that it has."""
        if self.holds is not recording:
            self.say(pack_recording("recording", recording))
            self.holds = recording

    def hear(self) -> Message:
        """The next message that is no mere sign of life. Raises Failure, and the VideoError that the child tells."""
        while True:
            try:
                line, body = lengths(self._bytes(LENGTHS.size))
                message = unpacked(self._bytes(line), self._bytes(body))
            except (ValueError, TypeError, KeyError):
                raise Failure("gave an answer that makes no sense") from None
            self._quiet = 0.0
            if message.kind == "error":
                self.refused = True
                raise VideoError(str(message.facts.get("text")))
            if message.kind == "memory":
                raise Starved(f"needs more than {memory_limit() / 2**30:.1f} GiB of memory")
            if message.kind == "bug":
                raise Failure(f"failed ({message.facts.get('text')})") from RuntimeError(message.facts.get("trace"))
            if message.kind != "beat":
                return message

    def ring_of(self, slot_bytes: int) -> Ring:
        """The memory to paint into, in slots of this size."""
        if self.ring is None or self.ring.slot_bytes != slot_bytes or not self.ring.has_room:
            self.forget_ring()
            self.ring = Ring(slot_bytes)
            self.say(Message("ring", {"size": self.ring.slots * slot_bytes}), self.ring.descriptor)
        return self.ring

    def forget_ring(self) -> None:
        """Begin with new memory the next time."""
        if self.ring is not None:
            self.ring.close()
        self.ring = None

    @property
    def bytes_shared(self) -> int:
        """Of memory that it has been painting into."""
        return self.ring.used * self.ring.slot_bytes if self.ring else 0

    def is_well(self) -> bool:
        """Whether an idle child still waits for a request: it may have been killed."""
        try:
            self._socket.recv(1)
        except BlockingIOError:  # as it should be: it has nothing to say
            return self.process.poll() is None
        except OSError:
            pass
        return False

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass  # it hangs in the kernel, on a dead disk; it ends when that lets it go
        self.process.stdin.close()
        self._socket.close()
        self.forget_ring()

    def _bytes(self, length: int) -> bytearray:
        while len(self._received) < length:
            try:
                got = self._socket.recv(max(length - len(self._received), READ_BYTES))
            except BlockingIOError:
                self._wait(select.POLLIN)
                continue
            except OSError:
                got = b""
            if not got:
                raise self._death()
            self._received += got
        content = self._received[:length]
        del self._received[:length]
        return content

    def _wait(self, event: int) -> None:
        """Wait a step for the socket. Raises Failure where the child is silent or at work for too long.

        Only time in which this process waited counts, step by step: neither that of a slow consumer, nor that in which both
        were stopped by Ctrl-Z.
        """
        start = time.monotonic()
        self._poll.register(self._socket, event)
        ready = self._poll.poll(STEP_S * 1000)
        waited = min(time.monotonic() - start, 2 * STEP_S)
        self._spent += waited
        if self._spent >= self._limit_s > 0:
            raise Failure(f"took longer than {self._limit_s / 60:.0f} minutes")
        if getattr(_here, "stop", None) is not None and _here.stop.is_set():
            raise Failure("was stopped")
        if ready:
            return
        self._quiet += waited
        stall_s = float(os.environ.get("CROWDMOOD_STALL_S") or STALL_S)
        if self._quiet >= stall_s:
            raise Failure(f"made no progress for {stall_s:g} seconds")

    def _death(self) -> Failure:
        """The channel is closed: the process has ended, or is about to."""
        try:
            code = self.process.wait(1)
        except subprocess.TimeoutExpired:
            code = None
        if code == -signal.SIGKILL:
            return Starved("was killed (SIGKILL), most likely for lack of memory")
        if code is not None and code < 0:
            return Failure(f"crashed ({signal.Signals(-code).name})")
        return Failure("ended unexpectedly")


_here = threading.local()
_lock = threading.Lock()
_idle: list[Child] = []


def stop_by(event: threading.Event) -> None:
    """Let this thread give up waiting for a child when the event is set."""
    _here.stop = event


def get_ready() -> None:
    """Start a child for the first request while something else is done, such as loading a network."""
    child = _take() or _started()
    if not _keep(child):
        child.end()


@contextmanager
def borrowed(again: bool = True) -> Iterator[Child]:
    """A child for some requests: an idle one, or a new one. When the block fails or is left early, it is ended.

    again: whether it may have worked for others and may work for others; if not, it is a fresh one, ended in any case.
    """
    child = (_take() if again else None) or _started()
    well = False
    try:
        yield child
        well = child.bytes_shared <= KEPT_BYTES
    except VideoError:
        child.forget_ring()  # nobody knows which slots are free
        well = child.refused  # it said in good order that the file is of no use
        raise
    finally:
        if not (well and again and _keep(child)):
            child.end()


def _started() -> Child:
    try:
        return Child()
    except OSError as error:
        raise VideoError(f"no process for decoding can be started ({error.strerror}); close other programs") from error


def _take() -> Child | None:
    while True:
        with _lock:
            if not _idle:
                return None
            child = _idle.pop()
        if child.is_well():
            return child
        child.end()


def _keep(child: Child) -> bool:
    with _lock:
        if len(_idle) < KEPT:
            _idle.append(child)
            return True
    return False


@atexit.register
def _end_idle() -> None:
    while (child := _take()) is not None:
        child.end()


def _forget() -> None:
    """In a process that was forked: the children are the parent's."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


os.register_at_fork(after_in_child=_forget)
