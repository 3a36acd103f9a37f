"""Many recordings, one after the other or side by side on a cluster: failures are collected, the rest is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from time import monotonic

from crowdmood import analysis
from crowdmood.downloads import S3File, local_copy
from crowdmood.errors import CrowdmoodError
from crowdmood.options import Execution, Options
from crowdmood.results import Run, publish
from crowdmood.workers import keep_workers

MOST_AT_ONCE = 64  # recordings, on a cluster; each has its list of packets in memory
LEAVE_S = 3.0  # for recordings under way to end cleanly when the others are given up


@dataclass(frozen=True)
class Item:
    """What became of one recording: a run (and its report), or an error."""

    path: Path
    run: Run | None = None
    report: Path | str | None = None
    error: CrowdmoodError | None = None


def analyze_all(paths: Sequence[Path], options: Options, execution: Execution, results: str | Path | None,
                report: bool, progress: Callable[[Path, analysis.Progress], None]) -> Iterator[Item]:
    """Analyze recordings, yielding each in order as it is done. A recording that fails does not stop the others.

    On a cluster several are under way at a time, and progress is called from their threads.
    """
    def analyze(path: Path) -> Item:
        try:
            return Item(path, analysis.analyze(path, options, execution, results, lambda done: progress(path, done)))
        except CrowdmoodError as error:
            return Item(path, error=error)

    with keep_workers():
        for item in (_side_by_side(analyze, paths, execution) if execution.executor == "ray" else _one_by_one(analyze, paths)):
            yield _with_report(item) if report and item.run is not None else item


def _with_report(item: Item) -> Item:
    from crowdmood.report import build_report  # and with it matplotlib, which an analysis alone does not need

    try:
        with local_copy(item.path) as local:
            return replace(item, report=publish(item.run.results, build_report(item.run, video=local if isinstance(item.path, S3File) else None)))
    except CrowdmoodError as error:
        return Item(item.path, error=error)


def _one_by_one(work: Callable[[Path | S3File], Item], paths: Sequence[Path | S3File]) -> Iterator[Item]:
    """Work on recordings in order. The copy of one on S3 is there until the next, so that its report has pictures."""
    for path in paths:
        with ExitStack() as kept:
            with suppress(CrowdmoodError):  # what is wrong with it is said by the work
                kept.enter_context(local_copy(path))
            yield work(path)


def _side_by_side(work: Callable[[Path], Item], paths: Sequence[Path], execution: Execution) -> Iterator[Item]:
    """Work on so many recordings at a time that a cluster always has something to do: short ones have one chunk each."""
    from crowdmood.nodes import place_of
    from crowdmood.ray_cluster import disconnect, slots, stop

    at_once = min(len(paths), MOST_AT_ONCE, 2 + (execution.workers or slots(place_of(execution))))
    items = [Future() for _ in paths]
    left = deque(zip(paths, items, strict=True))
    # Threads that end with this process: after Ctrl-C nobody waits for a long recording to be linked.
    threads = [Thread(target=_work_through, args=(work, left), daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    try:
        for item in items:
            yield item.result()
    except BaseException:  # whatever it is, also that nobody wants the rest
        left.clear()
        stop()
        until = monotonic() + LEAVE_S
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        if not any(thread.is_alive() for thread in threads):
            disconnect()
        raise


def _work_through(work: Callable[[Path], Item], left: deque[tuple[Path, Future]]) -> None:
    with suppress(IndexError):
        while True:
            path, item = left.popleft()
            try:
                item.set_result(work(path))
            except BaseException as error:  # raised again where the item is waited for
                item.set_exception(error)
