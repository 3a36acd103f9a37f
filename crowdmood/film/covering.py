"""Which part of a recording can be anonymized: where an analysis has looked everywhere, and often enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from crowdmood.errors import ResultsError
from crowdmood.video import Recording, Sampling, select

LEAST_FPS = 2.0       # looked at less often, faces come and go unseen
LARGEST_MISSED = 24.0  # pixels: faces smaller than this cannot be recognised


def coverable(recording: Recording, numbers: np.ndarray, info: dict[str, Any]) -> np.ndarray:
    """Those of the frames `numbers` that a run has looked at. info: the run's row.

    Raises ResultsError where it has not looked in all places, at all sizes, or often enough: faces would stay uncovered.
    """
    options = info["options"]
    if erased := info.get("erased"):
        raise ResultsError(f"{erased} of the persons were erased from run {info['run']}, so their faces would stay uncovered; analyze "
                           f"{info['recording']} with another --sample-fps, cover with that run, and remove it")
    reason = _blind_spot(options, recording)
    if reason:
        raise ResultsError(f"run {info['run']} {reason}, so faces could stay uncovered; analyze {info['recording']} "
                           f"without that, then give the new run's id")
    looked = select(recording, Sampling(None), options.get("start_s") or 0.0, options.get("end_s"))
    both = np.intersect1d(numbers, looked, assume_unique=True)
    if not len(both):
        raise ResultsError(f"run {info['run']} has looked at another part of {info['recording']}; faces in this one are "
                           "not known")
    return both


def _blind_spot(options: dict[str, Any], recording: Recording) -> str | None:
    fps, largest = options.get("sample_fps"), options.get("min_face") or 0.0
    if options.get("roi"):
        return "looked at a part of the picture only (--roi)"
    if options.get("ignore"):
        return "passed over a part of the picture (--ignore)"
    if largest > LARGEST_MISSED:
        return f"passed over faces under {largest:g} pixels (--min-face)"
    if fps is not None and fps < min(LEAST_FPS, _rate(recording)):
        return f"looked only every {1 / fps:g} s (--sample-fps)"
    return None


def _rate(recording: Recording) -> float:
    """Frames per second of the recording: a slide show cannot be looked at more often than it changes."""
    return max(len(file) / float(file.shown_ticks * file.time_base) for file in recording.files)
