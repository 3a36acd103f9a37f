"""Single frames of a recording, exact, by presentation number; and whether the recording is still the analyzed one.

    recording = recording_of(run.info)
    for number, image in stills(recording, [12, 250]):
        write_still(Path(f"{number}.jpg"), image)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crowdmood.errors import VideoError
from crowdmood.files import write_aside
from crowdmood.options import PARTS
from crowdmood.s3 import is_on_s3
from crowdmood.still import probe_still
from crowdmood.video import Recording, decode, probe
from crowdmood.zoom.meetings import VIEWS, Meeting, find_meetings

FORMATS = {".jpg": ("JPEG", {"quality": 92, "subsampling": 0}), ".png": ("PNG", {"compress_level": 3})}
WHERE = "--video PATH says where it is now"


def recording_of(info: Mapping[str, Any], video: str | Path | None = None) -> Recording:
    """The recording that a run was made from, probed. info: the run's row; video: where it is now, None: where it was.

    Raises VideoError when it is not there, or is not, byte for byte, what was analyzed.
    """
    path = Path(video) if video is not None else Path(info["path"])
    name = info["recording"]
    if info.get("layout") == "photos":
        raise VideoError(f"run {info['run']} is of photos, not of a recording; `crowdmood photos rank {info['path']}` shows its best")
    if video is None and is_on_s3(info["path"]):
        raise VideoError(f"{name} is on S3 ({info['path']}): download it, and {WHERE}")
    if not path.exists():
        raise VideoError(f"{path}: there is no such file" if video is not None
                         else f"{name} is no longer at {path}; {WHERE}")
    for source in sources_of(path, info.get("size_bytes")):
        recording = probe_still(source)[1]
        if recording.digest == info["digest"]:
            return recording
    raise VideoError(f"{path} is not the recording that run {info['run']} ({name}) was made from: its content differs; "
                     + (WHERE if video is None else "give the very file that was analyzed, or analyze this one"))


def sources_of(path: Path, size_bytes: int | None) -> Iterator[Path | Meeting]:
    """The recordings at a path, a file or a folder with meetings, of this size: told at once, before gigabytes are read."""
    if not path.is_dir():
        if size_bytes in (None, path.stat().st_size):
            yield path
        return
    files, seen = [file for file in path.iterdir() if file.is_file()], set()
    for view, parts in product(VIEWS, PARTS):
        for meeting in find_meetings(files, view, parts)[0]:
            if meeting.parts not in seen and size_bytes in (None, sum(part.path.stat().st_size for part in meeting.parts)):
                seen.add(meeting.parts)
                yield meeting


def stills(recording: Path | Recording, frames: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Frame numbers and pictures, uint8 (h, w, 3) RGB as displayed (rotation applied), rising, each number once.

    frames: numbers in presentation order, from 0, as in faces.frame. A frame that cannot be decoded is left out. Only what
    is needed is decoded, from the keyframe before each. Raises VideoError when the recording cannot be read or is shorter.
    """
    if not isinstance(recording, Recording):
        recording = probe(recording)
    wanted = np.unique(np.asarray(frames, dtype=np.int64))
    absent = wanted[(wanted < 0) | (wanted >= len(recording))]
    if len(absent):
        raise VideoError(f"{recording.path.name}: there is no frame {absent[0]}; its frames are 0..{len(recording) - 1}")
    for batch in decode(recording, wanted, batch=1):
        yield int(batch.frame[0]), batch.images[0]


def write_still(path: Path, image: np.ndarray) -> None:
    """Write uint8 (h, w, 3) RGB as JPEG or PNG, after the path's ending. Raises VideoError when it cannot be written."""
    form, options = FORMATS[path.suffix.lower()]
    try:
        with write_aside(path) as aside:
            Image.fromarray(image).save(aside, form, **options)
    except OSError as error:
        raise VideoError(f"{path} cannot be written: {error.strerror or error}") from error
