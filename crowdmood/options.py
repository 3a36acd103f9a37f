"""What can be asked of an analysis. ``Options`` change the rows and so belong to a run's id; ``Execution`` does not."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from crowdmood.errors import CrowdmoodError

Rectangle = tuple[int, int, int, int]
EXECUTORS = ("auto", "serial", "processes", "ray")
MOST_WORKERS, MOST_ON_RAY = 1024, 100_000
CONTEXTS = ("research", "event", "media", "consented", "medical", "safety", "private", "work", "education")
VIEWS = ("auto", "gallery", "speaker", "share")
PARTS = ("auto", "join", "apart")
NOT_IN_ROWS = ("detector", "expression", "names", "transcript_text", "context", "view", "parts")


@dataclass(frozen=True)
class Options:
    """What is analyzed and how closely.

    sample_fps: frames analyzed per second of recording, None for every frame; start_s, end_s: seconds from the first
    displayed frame, end_s None for the end; imgsz: longer side of the detector's input, pixels, a multiple of 32;
    tiles: 'auto', 'off' or 'RxC'; min_face: smallest face kept, pixels; roi: x1 y1 x2 y2 in pixels; ignore: rectangles
    whose faces are dropped; decoder: 'av' or 'decord'; detector, expression: model folders, None for those that ship.
    meeting: 'auto' decides by the picture whether gallery tiles are persons, 'on' takes the recording for a meeting, 'off' for
    a film; aggregate_only: no figures of single persons are kept. Not part of the rows: names, who persons are called: 'none',
    'labels' or a CSV file; transcript_text: keep the words said; context: what the operator declared, of CONTEXTS; view: which
    of the films that Zoom leaves of one meeting is read, of VIEWS; parts: which films in a folder are one meeting, of PARTS.
    Raises CrowdmoodError when a value makes no sense.
    """

    sample_fps: float | None = 5.0
    start_s: float = 0.0
    end_s: float | None = None
    imgsz: int = 640
    tiles: str = "auto"
    min_face: float = 12.0
    roi: Rectangle | None = None
    ignore: tuple[Rectangle, ...] = ()
    decoder: str = "av"
    detector: str | None = None
    expression: str | None = None
    meeting: str = "auto"
    aggregate_only: bool = False
    names: str = "none"
    transcript_text: bool = False
    context: str | None = None
    view: str = "auto"
    parts: str = "auto"

    def __post_init__(self) -> None:
        if self.sample_fps is not None and not 0 < self.sample_fps <= 1000:
            raise CrowdmoodError(f"sample_fps must be above 0 and at most 1000, or 'all', not {self.sample_fps:g}")
        if self.start_s < 0 or (self.end_s is not None and self.end_s <= self.start_s):
            raise CrowdmoodError(f"the end ({self.end_s} s) must come after the start ({self.start_s} s)")
        if self.imgsz % 32 or not 64 <= self.imgsz <= 4096:
            raise CrowdmoodError(f"imgsz must be a multiple of 32 from 64 to 4096, not {self.imgsz}")
        if self.tiles not in ("auto", "off") and not re.fullmatch(r"[1-9]x[1-9]", self.tiles.lower()):
            raise CrowdmoodError(f"tiles must be auto, off, or rows x columns such as 2x3, not '{self.tiles}'")
        if not 1 <= self.min_face <= 10_000:
            raise CrowdmoodError(f"min_face must be from 1 to 10000 pixels, not {self.min_face:g}")
        if self.meeting not in ("auto", "on", "off"):
            raise CrowdmoodError(f"meeting must be auto, on or off, not '{self.meeting}'")
        if self.view not in VIEWS:
            raise CrowdmoodError(f"unknown view '{self.view}'; known: {', '.join(VIEWS)}")
        if self.parts not in PARTS:
            raise CrowdmoodError(f"parts must be {', '.join(PARTS)}, not '{self.parts}'")
        if self.context is not None and self.context not in CONTEXTS:
            raise CrowdmoodError(f"unknown context '{self.context}'; known: {', '.join(CONTEXTS)}")
        for x1, y1, x2, y2 in (*self.ignore, *([self.roi] if self.roi else [])):
            if not (0 <= x1 < x2 and 0 <= y1 < y2):
                raise CrowdmoodError(f"a rectangle is x1,y1,x2,y2 with x1 < x2 and y1 < y2, not {x1},{y1},{x2},{y2}")

    def rows(self) -> dict:
        """What goes into the run's id and its ``options`` column: what decides its rows but the model folders, whose content counts."""
        return {name: value for name, value in asdict(self).items() if name not in NOT_IN_ROWS}


@dataclass(frozen=True)
class Execution:
    """Where and how the work is done; the rows are the same.

    device: 'auto', 'cpu', 'cuda', 'cuda:N'; runtime: 'auto', 'openvino', 'onnx', 'torch'; workers: how many chunks are
    scanned at a time, None for 1 or, on a cluster, as many as it has room for; threads: CPU threads in all, None for every
    core this process may use; executor: 'serial', 'processes', 'ray', or 'auto' for processes where workers are several.
    With 'ray', threads are those of one chunk (None for 1), ray_address is the cluster ('auto', 'local', host:port,
    ray://host:port, None for $RAY_ADDRESS or 'auto') and gpus the part of a GPU that a chunk takes, 0..1.
    """

    device: str = "auto"
    runtime: str = "auto"
    workers: int | None = None
    threads: int | None = None
    executor: str = "auto"
    ray_address: str | None = None
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise CrowdmoodError(f"unknown executor '{self.executor}'; known: {', '.join(EXECUTORS)}")
        most = MOST_ON_RAY if self.executor == "ray" else MOST_WORKERS
        if self.workers is not None and not 1 <= self.workers <= most:
            raise CrowdmoodError(f"workers must be from 1 to {most}, not {self.workers}")
        if self.threads is not None and self.threads < 1:
            raise CrowdmoodError(f"threads must be at least 1, not {self.threads}")
        if not 0 <= self.gpus <= 1:
            raise CrowdmoodError(f"gpus is the part of a GPU that a chunk takes, from 0 to 1, not {self.gpus:g}")
        if self.executor != "ray" and (self.gpus or self.ray_address):
            raise CrowdmoodError("--gpus and --ray-address are for clusters; add --executor ray")
