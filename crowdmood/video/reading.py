"""Probing and decoding as everyone else uses them: the work is done in a process of its own, under limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from crowdmood.errors import VideoError
from crowdmood.files import sha256_of
from crowdmood.video.checking import check_file
from crowdmood.video.frames import DecodeCount, FrameBatch
from crowdmood.video.isolation import Child, Failure, Starved, borrowed
from crowdmood.video.joined import Joined
from crowdmood.video.recording import Recording
from crowdmood.video.wire import Message, unpack_recording

DECODERS = ("av", "decord")
FROM_THE_START = ("decord",)
"""Decoders that read from the start at each call: call them once for all wanted frames, not chunk by chunk."""
BEGIN_S, PACKET_S, BYTE_S = 300.0, 1.0, 1e-5
"""Seconds that a request may take, however little it asks for; and more per packet to decode, or byte to look through."""
COPY = "copy or convert it again"
MORE_MEMORY = "run the same command again to go on, with fewer --workers or with other programs closed"


def probe(path: Path | str) -> Recording:
    """Find out everything about a recording that decoding needs.

    Demuxes the packets of the video stream once and decodes the first frames. Where the packets' times cannot
    be relied on (missing, repeated, out of order, or not what the decoder gives) all frames are decoded once.
    Raises VideoError with one sentence that says what is wrong.
    """
    path = Path(path)
    check_file(path)
    with borrowed() as child:
        child.expect(BEGIN_S + path.stat().st_size * BYTE_S)
        try:
            child.say(Message("probe", {"path": str(path.absolute())}))
            told = unpack_recording(child.hear())
        except (Failure, ValueError, TypeError, KeyError) as error:
            advice = MORE_MEMORY if isinstance(error, Starved) else f"the file is damaged or not what it seems, {COPY}"
            raise VideoError(f"{path.name}: looking at its frames {_reason(error)}; {advice}") from error
        recording = child.holds = replace(told, path=path, digest=sha256_of(path))
    return recording


def decode(
    recording: Recording,
    wanted: np.ndarray,
    *,
    decoder: str = "av",
    batch: int = 8,
    count: DecodeCount | None = None,
) -> Iterator[FrameBatch]:
    """Decode the wanted frames, ``batch`` of them at a time: the same pixels however they are shared out.

    ``wanted`` holds increasing frame numbers (a share of ``select()``). A frame that cannot be decoded is
    left out and counted in ``count.missing``. Raises VideoError: for an unknown decoder or numbers out of
    range at once; where the file cannot be read any more, the decoder is not made for it, hangs or crashes,
    on the way.
    """
    if decoder not in DECODERS:
        raise VideoError(f"unknown decoder '{decoder}'; known: {', '.join(DECODERS)}")
    wanted = np.asarray(wanted, dtype=np.int64)
    if len(wanted) and (wanted[0] < 0 or wanted[-1] >= len(recording) or (np.diff(wanted) <= 0).any()):
        name, last = recording.path.name, len(recording) - 1
        raise VideoError(f"{name}: the wanted frame numbers must increase within 0..{last}")
    if batch < 1:
        raise VideoError(f"a batch holds at least one frame, not {batch}")
    count = count if count is not None else DecodeCount()
    if isinstance(recording, Joined):
        return _of_parts(recording, wanted, decoder, batch, count)
    return _batches(recording, wanted, decoder, batch, count)


def _of_parts(recording: Joined, wanted: np.ndarray, decoder: str, batch: int, count: DecodeCount) -> Iterator[FrameBatch]:
    for part, first, numbers in recording.shares(wanted):
        for found in _batches(part, numbers, decoder, batch, count):
            frame = found.frame + first
            yield FrameBatch(images=found.images, frame=frame, pts=recording.pts[frame], time=recording.time[frame])
            del found  # its memory is used again as soon as nobody looks at it


def _batches(recording: Recording, wanted: np.ndarray, decoder: str, batch: int, count: DecodeCount
             ) -> Iterator[FrameBatch]:
    if not len(wanted):
        return
    at, batch = 0, min(batch, len(wanted))
    with borrowed(again=decoder not in FROM_THE_START) as child:
        try:
            child.expect(_limit(recording, wanted, decoder))
            child.remember(recording)
            for numbers, images in _painted(child, wanted, decoder, (batch, recording.height, recording.width, 3), count):
                if (np.diff(numbers) <= 0).any() or not np.isin(numbers, wanted[at:]).all():
                    raise Failure("gave frames that were not asked for")
                at = int(np.searchsorted(wanted, numbers[-1])) + 1
                count.decoded += len(numbers)
                yield FrameBatch(images=images, frame=numbers, pts=recording.pts[numbers], time=recording.time[numbers])
                del images  # its memory is used again as soon as nobody looks at it
        except (Failure, ValueError, TypeError, KeyError) as error:
            raise _error(recording, int(wanted[min(at, len(wanted) - 1)]), decoder, error) from error


def _painted(child: Child, wanted: np.ndarray, decoder: str, shape: tuple[int, ...], count: DecodeCount
             ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The frame numbers int64 (k,) and pictures (k, h, w, 3) of batches, as the child paints them. Raises Failure."""
    ring = child.ring_of(int(np.prod(shape)))
    slots = [slot for _ in range(ring.ahead) if (slot := ring.free_slot()) is not None]
    child.say(Message("decode", {"decoder": decoder, "batch": shape[0], "slots": slots}, {"wanted": wanted}))
    while (told := child.hear()).kind == "batch":
        numbers, slot = told.arrays["numbers"], told.facts["slot"]
        slots.remove(slot)
        if not 0 < len(numbers) <= shape[0]:
            raise Failure(f"gave {len(numbers)} frames at once")
        fresh, size = ring.free_slot(), len(numbers) * int(np.prod(shape[1:]))
        images = ring.copied(slot, size) if fresh is None else ring.lent(slot, size)
        slots.append(slot if fresh is None else fresh)
        child.say(Message("slot", {"slot": slots[-1]}))
        yield numbers, images.reshape(-1, *shape[1:])
        del images  # or its slot would be kept while the next one is awaited
    for slot in slots:
        ring.give_back(slot)
    count.damaged_packets += int(told.facts["damaged_packets"])
    count.missing += int(told.facts["missing"])


def _limit(recording: Recording, wanted: np.ndarray, decoder: str) -> float:
    packets = recording.packet[wanted]
    first = 0 if decoder in FROM_THE_START else int(packets.min())
    return BEGIN_S + PACKET_S * (int(packets.max()) - first + 1)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Failure) else "gave an answer that makes no sense"


def _error(recording: Recording, frame: int, decoder: str, error: Exception) -> VideoError:
    name, place = recording.path.name, f"near {recording.time[frame]:.1f} s (frame {frame})"
    if isinstance(error, Starved):
        return VideoError(f"{name}: decoding {_reason(error)} {place}; {MORE_MEMORY}")
    if decoder != "av":
        return VideoError(f"{name}: {decoder} cannot be relied on here, it {_reason(error)} {place}; use --decoder av")
    return VideoError(f"{name}: decoding {_reason(error)} {place}; the file is probably damaged there: {COPY}, or leave that part "
                      "out with --start and --end")
