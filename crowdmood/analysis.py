"""The whole job: a recording in, a complete run out; resumable at every step.

    probe -> plan -> scan the chunks that are not there yet -> link -> complete tables -> catalog
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from crowdmood import __version__, catalog, tables
from crowdmood.downloads import S3File, local_copy
from crowdmood.errors import CrowdmoodError, ResultsError, VideoError
from crowdmood.executors import EXECUTORS
from crowdmood.files import as_text
from crowdmood.later import add_later, add_later_on_s3, speak_now
from crowdmood.linking import link_run
from crowdmood.locks import lock
from crowdmood.models import Model
from crowdmood.options import Execution, Options
from crowdmood.results import Run, find_run, local_folder, results_folder
from crowdmood.runtimes import Device, choose_device
from crowdmood.s3 import S3Folder, is_on_s3
from crowdmood.scan import CHUNK_S, Chunk, Outcome, Scan, chosen_models, plan
from crowdmood.schemas import ALWAYS
from crowdmood.sources import options_for
from crowdmood.speech.name_lists import check_names
from crowdmood.still import check_still, probe_still
from crowdmood.uploads import read_row, uploading
from crowdmood.video import (
    DECODERS,
    FROM_THE_START,
    Recording,
    Sampling,
    get_ready,
    select,
)
from crowdmood.zoom.meetings import Meeting

ARRIVE_S = 90.0  # how long a shared folder may take to show what another machine has written
_alone: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # recordings of equal content, side by side


@dataclass(frozen=True)
class Job:
    """Everything decided before the first frame is decoded. local: where the run is made, `results` itself unless on S3;
    source: what the recording was read from, with the side files of a meeting; address: where it is found again, its path or
    s3:// address; file: its identity when it was looked at.
    """

    recording: Recording
    source: Path | Meeting
    options: Options
    execution: Execution
    device: Device
    results: Path | S3Folder
    local: Path
    run: str
    models: dict[str, str]
    chunks: list[Chunk]
    address: str
    file: tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """How far a run is: chunks of all chunks, faces found by this process, and what it is doing ('scan' or 'link')."""

    chunks_done: int
    chunks: int
    faces: int
    step: str


Report = Callable[[Progress], None]


def analyze(path: str | Path | S3File | Meeting, options: Options = Options(), execution: Execution = Execution(),
            results: str | Path | S3Folder | None = None, progress: Report = lambda _: None) -> Run:
    """Analyze one recording and return its complete run.

    The same recording with the same options and models is the same run: running again goes on where a stopped run
    ended, and does nothing when it is complete. path: also an s3:// address, or a meeting. results: the results folder; None is
    $CROWDMOOD_RESULTS or ./crowdmood-results. progress is called after each finished chunk.
    Raises VideoError, ModelError, ResultsError or CrowdmoodError; what was finished stays.
    """
    folder = results_folder(results)
    if isinstance(folder, S3Folder):
        folder.reach()  # before a long look at the recording
    with local_copy(path) as local:
        job = prepare(local, options, execution, folder)
        if is_on_s3(path):
            job = replace(job, address=str(path))
        with _alone[job.run], lock(job.local, job.run):
            with _alone["catalog"]:
                catalog.refresh(job.results)  # first, so that SQL sees the run while it goes on
            if isinstance(job.results, S3Folder):
                work_on_s3(job, job.results, progress)
            else:
                work(job, progress)
    return find_run(job.results, job.run)


def work(job: Job, progress: Report, fetch: Callable[[], None] = lambda: None) -> None:
    """What is left to be done of a run, in its local folder. fetch: brings parts there that were written elsewhere."""
    if not is_complete(job):
        try:
            make(job, progress, fetch)
        except tables.DamagedParts as damage:
            logging.getLogger("crowdmood").warning("%s: chunks are damaged on the disk (%s), and done again", job.recording.path.name,
                                                   ", ".join(map(str, damage.chunks)))
            make(job, progress, fetch)
    tables.remove_parts(job.local, job.run)
    add_later(job.local, job.run, job.source, job.options, job.recording)


def make(job: Job, progress: Report, fetch: Callable[[], None]) -> None:
    """Scan and link. Raises DamagedParts where finished chunks cannot be read any more: they are to be done again."""
    scan(job, progress)
    if job.execution.executor == "ray":
        gather(job, fetch)
    try:
        link_run(job.local, job.run, job.options,
                 lambda folder: speak_now(folder, job.run, job.source, job.options, job.recording))
    except tables.DamagedParts as damage:
        tables.drop_parts(job.local, job.run, damage.chunks)
        raise


def work_on_s3(job: Job, results: S3Folder, progress: Report) -> None:
    """The same for a run on S3: what others finished is fetched, and each chunk uploaded when it is finished."""
    with uploading(results, job.run) as upload:
        if (read_row(results, job.run) or {}).get("status") == "complete":
            add_later_on_s3(results, job.run, job.source, job.options, job.recording)
            return upload.clean()
        if not is_complete(job):
            upload.fetch()

        def grown(done: Progress) -> None:
            progress(done)
            upload.grow()

        try:
            work(job, grown, upload.fetch)
        except CrowdmoodError:
            upload.fail()
            raise
        upload.finish()


def prepare(path: str | Path | Meeting, options: Options, execution: Execution, results: str | Path | S3Folder | None) -> Job:
    """Look at the recording and decide what is to be done. Writes nothing."""
    if options.decoder not in DECODERS:
        raise VideoError(f"unknown decoder '{options.decoder}'; known: {', '.join(DECODERS)}")
    check_names(options.names)
    get_ready()
    models = chosen_models(options)
    device = device_for(execution)
    source = path if isinstance(path, Meeting) else Path(path)
    options = options_for(source, options)
    file, recording = probe_still(source)
    wanted = select(recording, Sampling(options.sample_fps), options.start_s, options.end_s)
    if not len(wanted):
        raise VideoError(f"{recording.path.name}: no frame between {options.start_s:g} s and the end asked for; "
                         f"the recording is {recording.duration_s or recording.time[-1]:.1f} s long")
    chunks = plan(recording, wanted, math.inf if options.decoder in FROM_THE_START else CHUNK_S)
    folder = results_folder(results)
    return Job(recording, source, options, execution, device, folder, local_folder(folder), run_id(recording.digest, options, models),
               {model.name: model.weights for model in models}, chunks, as_text(recording.path.absolute()), file)


def run_id(digest: str, options: Options, models: list[Model]) -> str:
    """The digest (12 hexadecimal digits) of all that decides a run's rows. digest: sha256 of the recording's content."""
    facts = [digest, options.rows(), [model.identity for model in models],
             tables.SCHEMA_VERSION]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def is_complete(job: Job) -> bool:
    """Whether the run's row says so, and its tables are there, each to its last byte."""
    complete = (tables.read_run(job.local, job.run) or {}).get("status") == "complete"
    return complete and all(tables.is_whole(tables.table_path(job.local, table, job.run)) for table in ALWAYS)


def scan(job: Job, progress: Report) -> None:
    """Scan the chunks that have no part yet. A failure is written into the run's row and raised."""
    done = tables.parts_done(job.local, job.run)
    tasks = [chunk for chunk in job.chunks if chunk.number not in done]
    before = tables.read_run(job.local, job.run) or {}
    row = describe(job) | {"started": before.get("started") or datetime.now(UTC), "chunks_done": len(done),
                           "seconds": before.get("seconds") or 0.0, "context": job.options.context or before.get("context")}
    tables.write_run(job.local, row)
    began, faces = monotonic(), 0
    progress(Progress(len(done), len(job.chunks), faces, "scan"))
    try:
        for outcome in watched(job, tasks):
            done.add(outcome.chunk)
            faces += outcome.faces
            progress(Progress(len(done), len(job.chunks), faces, "scan"))
    except CrowdmoodError as error:
        row |= {"status": "failed", "error": str(error), "finished": datetime.now(UTC)}
        raise
    finally:
        tables.write_run(job.local, row | {"chunks_done": len(done), "seconds": row["seconds"] + monotonic() - began})
    progress(Progress(len(done), len(job.chunks), faces, "link"))


def watched(job: Job, tasks: list[Chunk]) -> Iterator[Outcome]:
    """Scan chunks as long as the recording stays what it is. If it changes, what was scanned now is dropped.

    Raises VideoError then, and CrowdmoodError where memory ends.
    """
    try:
        with closing(outcomes(job, tasks)) as found:  # whatever stops us, workers end before the run's lock does
            yield from found
    except MemoryError as error:
        raise CrowdmoodError(f"{job.recording.path.name}: there is not enough memory; use fewer --workers, a smaller --imgsz "
                             "or --tiles off, and run the same command again to go on") from error
    finally:
        try:
            check_still(job.recording, job.file)
        except VideoError:
            tables.drop_parts(job.local, job.run, [chunk.number for chunk in tasks])
            raise


def outcomes(job: Job, tasks: list[Chunk]) -> Iterator[Outcome]:
    """Scan chunks with as many workers as were asked for, the threads shared out between them."""
    execution = job.execution
    if execution.executor == "ray":
        from crowdmood.nodes import elsewhere, place_of
        from crowdmood.ray_cluster import on_ray

        scan = Scan(job.recording, job.options, job.device, job.results, job.run)
        return on_ray(elsewhere(scan, job.models, job.address), tasks, execution.workers, place_of(execution))
    wanted = execution.workers or (job.device.threads if execution.executor == "processes" else 1)
    workers = min(wanted, len(tasks))
    several = execution.executor == "processes" or (execution.executor == "auto" and workers > 1)
    device = replace(job.device, threads=max(1, job.device.threads // max(1, workers))) if several else job.device
    executor = EXECUTORS["processes" if several else "serial"]
    return executor(Scan(job.recording, job.options, device, job.local, job.run), tasks, workers)


def gather(job: Job, fetch: Callable[[], None]) -> None:
    """See to it that all parts are here that other machines have written. Raises ResultsError when they do not come."""
    until = monotonic() + ARRIVE_S
    while True:
        fetch()
        missing = {chunk.number for chunk in job.chunks} - tables.parts_done(job.local, job.run)
        if not missing:
            return
        if monotonic() > until:
            raise ResultsError(f"{len(missing)} of {len(job.chunks)} chunks of {job.recording.path.name} were scanned, but have "
                               f"not arrived in {job.results}; all nodes must share this folder, or results must be s3://...")
        sleep(1)


def device_for(execution: Execution) -> Device:
    """What the networks run on. Raises CrowdmoodError when it is not there; the devices of a cluster show later."""
    if execution.executor != "ray":
        return choose_device(execution.device, execution.runtime, execution.threads)
    from crowdmood.nodes import device_of

    return device_of(execution)


def describe(job: Job) -> dict:
    """The run's row, as far as it is known before the scan."""
    video = job.recording
    return {
        "run": job.run, "recording": as_text(job.source.name), "path": job.address, "digest": video.digest,
        "size_bytes": video.size_bytes, "container": video.container, "codec": video.codec, "width": video.width,
        "height": video.height, "rotation": video.rotation, "duration_s": video.duration_s,
        "time_base": str(video.time_base), "frames_promised": video.frames_promised, "frames_found": len(video),
        "decoder": job.options.decoder, "device": job.device.name, "runtime": job.device.runtime,
        "sample_fps": job.options.sample_fps, "options": job.options.rows(), "models": job.models,
        "version": __version__, "status": "running", "chunks": len(job.chunks),
    }
