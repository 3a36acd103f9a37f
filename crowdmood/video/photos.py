"""Photos as everyone else reads them: the work is done in a process of its own, under limits, as with recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crowdmood.errors import VideoError
from crowdmood.video.checking import check_file
from crowdmood.video.isolation import Child, Failure, Starved, borrowed
from crowdmood.video.recording import LARGEST_PICTURE
from crowdmood.video.wire import Message

LIMIT_S = 120.0
"""Seconds that one photo may take."""
MOST_SIDE, SLOT_BYTES = 3840, 3840 * 3840 * 3
"""A picture's longest side as it is read (photo_reader.LONGEST), and room for the largest one."""


@dataclass(frozen=True)
class PhotoFacts:
    """What a photo's header says. width, height: pixels as displayed; pages: frames of an animation, else 1; taken: ISO 8601,
    by the camera's own clock, or None."""

    format: str
    width: int
    height: int
    pages: int
    taken: str | None


def look_at_photo(path: Path) -> PhotoFacts:
    """What a photo's header says; no pixels are read. Raises VideoError with one sentence."""
    check_file(path)
    with borrowed() as child:
        facts = _answer(child, path, Message("look", {"path": str(path.absolute())}), "facts").facts
        try:
            found = PhotoFacts(str(facts["format"]), int(facts["width"]), int(facts["height"]), int(facts["pages"]),
                               None if facts["taken"] is None else str(facts["taken"])[:30])
        except (KeyError, TypeError, ValueError) as error:
            raise _nonsense(path) from error
        if min(found.width, found.height, found.pages) < 1 or found.width * found.height > LARGEST_PICTURE:
            raise _nonsense(path)
        return found


def read_photo(path: Path, page: int = 0) -> np.ndarray:
    """A photo, or a page of an animation, uint8 (h, w, 3) RGB, upright, each side under MOST_SIDE: larger ones at half, a quarter ...

    Transparent parts are white. Raises VideoError with one sentence.
    """
    check_file(path)
    with borrowed() as child:
        ring = child.ring_of(SLOT_BYTES)
        slot = ring.free_slot()
        facts = _answer(child, path, Message("photo", {"path": str(path.absolute()), "page": page, "at": slot * SLOT_BYTES}),
                        "picture").facts
        width, height = facts.get("width"), facts.get("height")
        if not all(type(side) is int and 0 < side < MOST_SIDE for side in (width, height)):
            raise _nonsense(path)
        # Copied, so that one slot does for all photos: a child whose memory is looked at for long is not used again.
        pixels = ring.copied(slot, width * height * 3)
        ring.give_back(slot)
        return pixels.reshape(height, width, 3)


def _answer(child: Child, path: Path, request: Message, kind: str) -> Message:
    """The child's answer, of this kind. Raises VideoError, and what the child tells."""
    child.expect(LIMIT_S)
    try:
        child.say(request)
        answer = child.hear()
    except Starved as error:
        raise VideoError(f"{path.name}: reading it {error}; close other programs and run the same command again") from error
    except (Failure, ValueError, TypeError, KeyError) as error:
        said = str(error) if isinstance(error, Failure) else "gave an answer that makes no sense"
        raise VideoError(f"{path.name}: reading it {said}; the file is damaged or not what it seems, copy it again") from error
    if answer.kind != kind:
        raise _nonsense(path)
    return answer


def _nonsense(path: Path) -> VideoError:
    return VideoError(f"{path.name}: reading it gave an answer that makes no sense; the file is not what it seems")
