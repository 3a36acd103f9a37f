"""What the web application is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from crowdmood.options import Execution, Options


@dataclass(frozen=True)
class WebSettings:
    """results: the results folder; everything that is uploaded lies in its folder `uploads`. token: what a visitor must know,
    None where only this machine can ask. host, port: where it listens. analyses: recordings analyzed at a time; waiting: those
    that may wait for it. upload_bytes, photo_bytes: the largest recording and the largest photo taken. options, execution: how
    recordings are analyzed unless a visitor says otherwise.
    """

    results: Path
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    analyses: int = 1
    waiting: int = 20
    upload_bytes: int = 20_000_000_000
    photo_bytes: int = 50_000_000
    options: Options = field(default_factory=Options)
    execution: Execution = field(default_factory=Execution)

    @property
    def uploads(self) -> Path:
        """Where uploaded files lie."""
        return self.results / "uploads"
