"""Jobs for tests."""

from __future__ import annotations

from pathlib import Path

from crowdmood.options import Options
from crowdmood.scheduling.spec import JobSpec


def job(folder: Path, **changes) -> JobSpec:
    """A job of the recordings in folder/in, with results in folder/out and quick settings."""
    facts = {"sources": (str(folder / "in"),), "results": folder / "out", "options": Options(sample_fps=1.0, imgsz=64, tiles="off"),
             "reports": (), "still_s": 0.0}
    return JobSpec("nightly", folder / "nightly.toml", **facts | changes)


class Clock:
    """A clock that the test sets."""

    def __init__(self, now: float) -> None:
        self.time = now

    def __call__(self) -> float:
        return self.time
