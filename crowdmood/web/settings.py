"""What the web application is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from crowdmood.options import Execution, Options


@dataclass(frozen=True)
class WebSettings:
    """results: the results folder; everything that is uploaded lies in its folder `uploads`. token: what a visitor must know,
    None where only this machine can ask. host, port: where it listens. analyses: recordings analyzed at a time; waiting: those
    that may wait for it. rate: requests a second that one visitor may make, ten times as many at once. upload_bytes, photo_bytes: the largest recording and the largest photo taken. viewers: cameras
    that are looked at at a time. queries: of SQL, answered at a time; query_queue: those that may wait for it; query_s: seconds that one
    may take. options, execution: how recordings are analyzed unless a visitor says otherwise.
    """

    results: Path
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    analyses: int = 1
    waiting: int = 20
    rate: float = 200.0
    upload_bytes: int = 20_000_000_000
    photo_bytes: int = 50_000_000
    viewers: int = 16
    queries: int = 2
    query_queue: int = 20
    query_s: float = 20.0
    options: Options = field(default_factory=Options)
    execution: Execution = field(default_factory=Execution)

    @property
    def uploads(self) -> Path:
        """Where uploaded files lie."""
        return self.results / "uploads"
