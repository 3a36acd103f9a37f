"""The whole job: a recording in, a complete run out; resumable at every step.

    probe -> plan -> scan the chunks that are not there yet -> link -> complete tables -> catalog
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import numpy as np

from crowdmood import __version__, catalog, persons, tables
from crowdmood.errors import CrowdmoodError, ResultsError, VideoError
from crowdmood.executors import EXECUTORS
from crowdmood.models import EXPRESSION_NET, Model, find_model
from crowdmood.options import Execution, Options
from crowdmood.own_detector import find_detector
from crowdmood.results import Run, find_run, local_folder, results_folder
from crowdmood.runtimes import Device, choose_device
from crowdmood.s3 import S3Folder
from crowdmood.scan import CHUNK_S, Chunk, Outcome, Scan, plan
from crowdmood.uploads import read_row, uploading
from crowdmood.video import DECODERS, FROM_THE_START, Recording, Sampling, probe, select


@dataclass(frozen=True)
class Job:
    """Everything decided before the first frame is decoded. local: where the run is made, `results` itself unless on S3."""

    recording: Recording
    options: Options
    execution: Execution
    device: Device
    results: Path | S3Folder
    local: Path
    run: str
    models: dict[str, str]
    chunks: list[Chunk]


@dataclass(frozen=True)
class Progress:
    """How far a run is: chunks of all chunks, faces found by this process, and what it is doing ('scan' or 'link')."""

    chunks_done: int
    chunks: int
    faces: int
    step: str


Report = Callable[[Progress], None]


def analyze(path: str | Path, options: Options = Options(), execution: Execution = Execution(),
            results: str | Path | S3Folder | None = None, progress: Report = lambda _: None) -> Run:
    """Analyze one recording and return its complete run.

    The same recording with the same options and models is the same run: running again goes on where a stopped run
    ended, and does nothing when it is complete. results: the results folder; None is $CROWDMOOD_RESULTS or
    ./crowdmood-results. progress is called after each finished chunk.
    Raises VideoError, ModelError, ResultsError or CrowdmoodError; what was finished stays.
    """
    folder = results_folder(results)
    if isinstance(folder, S3Folder):
        folder.reach()  # before a long look at the recording
    job = prepare(path, options, execution, folder)
    with lock(job.local, job.run):
        catalog.refresh(job.results)  # first, so that SQL sees the run while it goes on
        if isinstance(job.results, S3Folder):
            work_on_s3(job, job.results, progress)
        else:
            work(job, progress)
    return find_run(job.results, job.run)


def work(job: Job, progress: Report) -> None:
    """What is left to be done of a run, in its local folder."""
    if not is_complete(job):
        scan(job, progress)
        link(job)
    tables.remove_parts(job.local, job.run)


def work_on_s3(job: Job, results: S3Folder, progress: Report) -> None:
    """The same for a run on S3: what others finished is fetched, and each chunk uploaded when it is finished."""
    with uploading(results, job.run) as upload:
        if (read_row(results, job.run) or {}).get("status") == "complete":
            return upload.clean()
        if not is_complete(job):
            upload.fetch()

        def grown(done: Progress) -> None:
            progress(done)
            upload.grow()

        try:
            work(job, grown)
        except CrowdmoodError:
            upload.fail()
            raise
        upload.finish()


def prepare(path: str | Path, options: Options, execution: Execution, results: str | Path | S3Folder | None) -> Job:
    """Look at the recording and decide what is to be done. Writes nothing."""
    if options.decoder not in DECODERS:
        raise VideoError(f"unknown decoder '{options.decoder}'; known: {', '.join(DECODERS)}")
    models = [find_detector(options.detector), find_model(EXPRESSION_NET, options.expression)]
    device = choose_device(execution.device, execution.runtime, execution.threads)
    recording = probe(Path(path))
    wanted = select(recording, Sampling(options.sample_fps), options.start_s, options.end_s)
    if not len(wanted):
        raise VideoError(f"{recording.path.name}: no frame between {options.start_s:g} s and the end asked for; "
                         f"the recording is {recording.duration_s or recording.time[-1]:.1f} s long")
    chunks = plan(recording, wanted, math.inf if options.decoder in FROM_THE_START else CHUNK_S)
    folder = results_folder(results)
    return Job(recording, options, execution, device, folder, local_folder(folder), run_id(recording, options, models),
               {model.name: model.weights for model in models}, chunks)


def run_id(recording: Recording, options: Options, models: list[Model]) -> str:
    """The digest (12 hexadecimal digits) of all that decides a run's rows."""
    facts = [recording.digest, options.rows(), [model.identity for model in models],
             tables.SCHEMA_VERSION]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


@contextmanager
def lock(results: Path, run: str) -> Iterator[None]:
    """Keep a run to one process at a time; the lock ends with the process. Raises ResultsError when it is taken."""
    path = results / "runs" / f".run={run}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w")  # noqa: SIM115 closed below; it stays, since removing it would let two in
    except OSError as error:
        raise ResultsError(f"results folder {results} cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResultsError(f"run {run} is being analyzed by another process; wait for it or stop it") from error
        yield


def is_complete(job: Job) -> bool:
    return (tables.read_run(job.local, job.run) or {}).get("status") == "complete"


def scan(job: Job, progress: Report) -> None:
    """Scan the chunks that have no part yet. A failure is written into the run's row and raised."""
    done = tables.parts_done(job.local, job.run)
    tasks = [chunk for chunk in job.chunks if chunk.number not in done]
    before = tables.read_run(job.local, job.run) or {}
    row = describe(job) | {"started": before.get("started") or datetime.now(UTC), "chunks_done": len(done),
                           "seconds": before.get("seconds") or 0.0}
    tables.write_run(job.local, row)
    began, faces = monotonic(), 0
    progress(Progress(len(done), len(job.chunks), faces, "scan"))
    try:
        for outcome in outcomes(job, tasks):
            done.add(outcome.chunk)
            faces += outcome.faces
            progress(Progress(len(done), len(job.chunks), faces, "scan"))
    except CrowdmoodError as error:
        row |= {"status": "failed", "error": str(error), "finished": datetime.now(UTC)}
        raise
    finally:
        tables.write_run(job.local, row | {"chunks_done": len(done), "seconds": row["seconds"] + monotonic() - began})
    progress(Progress(len(done), len(job.chunks), faces, "link"))


def outcomes(job: Job, tasks: list[Chunk]) -> Iterator[Outcome]:
    """Scan chunks with as many workers as were asked for, the threads shared out between them."""
    workers = min(job.execution.workers, len(tasks))
    executor = EXECUTORS["processes" if workers > 1 else "serial"]
    device = replace(job.device, threads=max(1, job.device.threads // max(1, workers)))
    return executor(Scan(job.recording, job.options, device, job.local, job.run), tasks, workers)


def link(job: Job) -> None:
    """Give every face its track and person, and write the run's final tables."""
    began = monotonic()
    faces = tables.read_parts(job.local, job.run, "faces", ["frame", "time_s", "x1", "y1", "x2", "y2", "score"])
    frames = tables.read_parts(job.local, job.run, "frames", ["frame", "time_s", "signature"])
    if not len(frames["frame"]):
        raise VideoError(f"{job.recording.path.name}: none of its frames could be decoded")
    box = np.stack([faces[side] for side in ("x1", "y1", "x2", "y2")], axis=1)
    links = persons.link(persons.FaceRows(faces["frame"], faces["time_s"], box, faces["score"]),
                         persons.FrameRows(frames["frame"], frames["time_s"], frames["signature"]))
    row = tables.read_run(job.local, job.run) or {}
    tables.complete(job.local, job.run, links, finished=datetime.now(UTC),
                    seconds=row["seconds"] + monotonic() - began, **tables.part_counts(job.local, job.run))


def describe(job: Job) -> dict:
    """The run's row, as far as it is known before the scan."""
    video = job.recording
    return {
        "run": job.run, "recording": video.path.name, "path": str(video.path.absolute()), "digest": video.digest,
        "size_bytes": video.size_bytes, "container": video.container, "codec": video.codec, "width": video.width,
        "height": video.height, "rotation": video.rotation, "duration_s": video.duration_s,
        "time_base": str(video.time_base), "frames_promised": video.frames_promised, "frames_found": len(video),
        "decoder": job.options.decoder, "device": job.device.name, "runtime": job.device.runtime,
        "sample_fps": job.options.sample_fps, "options": job.options.rows(), "models": job.models,
        "version": __version__, "status": "running", "chunks": len(job.chunks),
    }
