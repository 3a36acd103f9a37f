"""What a cluster costs, and where it ends: figures for docs/scale.md, all in one run.

    python tests/bench_scale.py                    overheads, plan, link, questions and cost, on invented rows; some minutes
    python tests/bench_scale.py --full             the same with 10 hours of 200 persons and 10,000 recordings; an hour, 20 GB
    python tests/bench_scale.py --scaling [VIDEO]  1 -> 2 workers, processes and Ray, a thread each; needs two idle cores
    python tests/bench_scale.py --only link,plan   some of: overhead, plan, link, questions, cost
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from crowdmood import analysis, catalog, nodes, persons, tables  # noqa: E402
from crowdmood.demo import write_clip  # noqa: E402
from crowdmood.options import Execution, Options  # noqa: E402
from crowdmood.ray_cluster import Place, disconnect, on_ray  # noqa: E402
from crowdmood.row_groups import write_table
from crowdmood.scan import CHUNK_S, Scan  # noqa: E402
from crowdmood.schemas import TABLES  # noqa: E402
from tests.bench_sql import HAPPIEST  # noqa: E402
from tests.big_runs import make_big_run  # noqa: E402
from tests.clips import repeat  # noqa: E402

HOURS = 10_000  # what is simulated, as recordings of one hour
SCALING_S = 600  # of recording
PRICE = 0.04  # per core and hour, in the example


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--full", action="store_true")
    arguments.add_argument("--only", default="overhead,plan,link,questions,cost")
    arguments.add_argument("--scaling", nargs="?", const="", metavar="VIDEO")
    arguments.add_argument("--scaling-turns", type=int, default=2)
    arguments.add_argument("--measure", help=argparse.SUPPRESS)  # one measurement in a process of its own
    given = arguments.parse_args()
    if given.measure:
        name, *values = json.loads(given.measure)
        print(json.dumps(MEASURED[name](*values)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.scaling is not None:
            scaling(Path(folder), Path(given.scaling) if given.scaling else None, given.scaling_turns)
            return
        for part in given.only.split(","):
            PARTS[part](Path(folder), given.full)


def timed(work: Callable) -> tuple[float, object]:
    start = perf_counter()
    got = work()
    return perf_counter() - start, got


def worked(work: Callable) -> tuple[float, object]:
    """CPU seconds of this process and those it started, which other programs on the machine do not change much; what was got."""
    start = cpu_s()
    got = work()
    return cpu_s() - start, got


def cpu_s() -> float:
    """CPU seconds so far, of children that wait for more as well as of those that have ended."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if os.getsid(int(stat.parent.name)) == os.getsid(0) and descends(int(stat.parent.name)):
                ticks += sum(map(int, stat.read_text().rpartition(") ")[2].split()[11:15]))
        except OSError:  # it has ended
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def descends(process: int) -> bool:
    while process not in (0, 1, os.getpid()):
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[1])
    return process == os.getpid()


def peak_mib() -> float:
    """The most memory this process had since `forget_peak`."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def alone(name: str, *values: object, cores: list[int] | None = None) -> dict:
    """A measurement in a process of its own, on these cores: {'seconds': ..., 'mib': peak, ...}."""
    done = subprocess.run([sys.executable, __file__, "--measure", json.dumps([name, *map(str, values)])], check=True, text=True,
                          stdout=subprocess.PIPE, preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None)
    return json.loads(done.stdout.splitlines()[-1])


def clip(folder: Path, seconds: float) -> Path:
    """720p, 25 frames a second: the demo clip, again and again."""
    if not (folder / "demo.mp4").exists():
        write_clip(folder / "demo.mp4")
    return repeat(folder / "demo.mp4", folder / f"{seconds:.0f}.mp4", seconds)


@dataclass(frozen=True)
class Nothing:
    """Work that does nothing, to see what the way to it costs. ballast: as large as what a scan sends along."""

    ballast: np.ndarray

    def __call__(self, tasks: list) -> Iterator[int]:
        yield from tasks


def overhead(folder: Path, full: bool) -> None:
    """What Ray adds to a chunk, and what travels."""
    job = analysis.prepare(clip(folder, 600), Options(), Execution(executor="ray"), folder / "r")
    sent = nodes.elsewhere(Scan(job.recording, job.options, job.device, job.results, job.run), job.models, job.address)
    size = len(pickle.dumps(sent, protocol=5))
    print(f"\nsent once per node: {6 * size / 1e6:.1f} MB per hour of recording at 25 frames/s; with each chunk "
          f"{len(pickle.dumps(job.chunks[0], protocol=5)) / 1e3:.1f} kB; back {100} bytes or so")
    place, work = Place("local"), Nothing(np.zeros(6 * size, np.uint8))
    first, _ = timed(lambda: list(on_ray(work, [0], None, place)))
    seconds, _ = timed(lambda: list(on_ray(work, range(500), None, place)))
    print(f"Ray: {first:.1f} s until a local cluster has done its first task, then {seconds / 500 * 1e3:.1f} ms per chunk")
    disconnect()


def plan(folder: Path, full: bool) -> None:
    """Probing, sha256 and cutting into chunks, by the driver."""
    print("\nplan (driver)            CPU s   per hour     MB/s   packets list MB")
    for minutes in (10, 60):
        video = clip(folder, minutes * 60)
        seconds, job = worked(lambda video=video: analysis.prepare(video, Options(), Execution(), folder / "r"))
        size = len(pickle.dumps(job.recording, protocol=5)) / 1e6
        print(f"{minutes:>3} min, 720p25        {seconds:>8.2f} {seconds * 60 / minutes:>10.2f} "
              f"{video.stat().st_size / 1e6 / seconds:>8.0f} {size:>17.1f}", flush=True)
        video.unlink()


def link(folder: Path, full: bool) -> None:
    """Following persons and writing the final tables, by the driver, on invented rows; each in a process of its own."""
    print("\nlink (driver)            rows       link     tables   CPU s per hour   peak MiB")
    for hours, crowd in ((1, 20), (1, 200)) + (((10, 200),) if full else ()):
        got = alone("link", hours, crowd)
        print(f"{hours:>2} h of {crowd:>3} persons {got['rows']:>10,} {got['link']:>10.1f} {got['tables']:>10.1f} "
              f"{(got['link'] + got['tables']) / hours:>16.1f} {got['mib']:>10.0f}", flush=True)


def measure_link(hours: str, crowd: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        parts: list[tuple] = []
        complete = tables.complete
        tables.complete = lambda *given, **facts: parts.append((given, facts))  # stop before the end: parts, no tables
        make_big_run(results, int(crowd), 3600 * float(hours), moving=True, run="big")
        tables.complete = complete
        forget_peak()
        faces = tables.read_parts(results, "big", "faces", ["frame", "time_s", "x1", "y1", "x2", "y2", "score"])
        frames = tables.read_parts(results, "big", "frames", ["frame", "time_s", "signature"])
        box = np.stack([faces[side] for side in ("x1", "y1", "x2", "y2")], axis=1)
        linked, links = worked(lambda: persons.link(persons.FaceRows(faces["frame"], faces["time_s"], box, faces["score"]),
                                                   persons.FrameRows(frames["frame"], frames["time_s"], frames["signature"])))
        (_, _, _), facts = parts[0]
        written, _ = worked(lambda: tables.complete(results, "big", links, **facts))
        return {"rows": len(faces["frame"]), "link": linked, "tables": written, "mib": peak_mib()}


def questions(folder: Path, full: bool) -> None:
    """SQL over many recordings: what the number of files costs. Runs of a minute with two persons."""
    print("\nquestions               files   refresh s   runs list s   happiest minute of all s   one run's faces s")
    results, made = folder / "many", 0
    for count in (100, 1000) + ((HOURS,) if full else ()):
        for number in range(made, count):
            add_run(results, number)
        made = count
        refresh, _ = timed(lambda: catalog.refresh(results))
        asked = [timed(lambda query=query, run=run: catalog.fetch(results, query, run))[0]
                 for query, run in (("SELECT * FROM runs", None), (HAPPIEST, None), ("SELECT count(*) FROM faces", name(made // 2)))]
        print(f"{count:>6} recordings {5 * count:>10,} {refresh:>11.2f} {asked[0]:>13.2f} {asked[1]:>26.2f} {asked[2]:>19.2f}",
              flush=True)
    keys = 5 * HOURS
    print(f"S3 lists 1,000 names per request: {keys // 1000} requests for {HOURS:,} recordings, one after the other")


def name(number: int) -> str:
    return f"{number:05d}ab12cd3"


def add_run(results: Path, number: int) -> None:
    if number == 0:
        make_big_run(results, 2, 60, run=name(0), recording="night0.mp4")
        return
    for table in sorted(TABLES, key=lambda table: table == "runs"):
        rows = pq.ParquetFile(tables.table_path(results, table, name(0))).read()
        column = pa.array([name(number)] * len(rows)).cast(TABLES[table].field("run").type)
        path = tables.table_path(results, table, name(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, TABLES[table], [rows.set_column(rows.schema.get_field_index("run"), TABLES[table].field("run"), column)])


def cost(folder: Path, full: bool) -> None:
    """Core-hours for 1,000 hours, from the speed of one core on the demo clip."""
    minutes = 10 if full else 3
    got = alone("scan", clip(folder, minutes * 60), folder / "cost", "serial", 1, cores=[max(os.sched_getaffinity(0))])
    factor = got["cpu_per_chunk"] / CHUNK_S
    print(f"\ncost: an hour of 720p25 with 3 to 5 faces, 5 frames/s, takes {factor:.3f} core-hours\n"
          f"      1,000 hours: {1000 * factor:,.0f} core-hours; at {PRICE} each {1000 * factor * PRICE:,.2f}")


def measure_scan(video: str, results: str, executor: str, workers: str) -> dict:
    """Seconds of a scan: all of it, and from the end of the first chunk of every worker to the last one's."""
    count, seen = int(workers), []
    threads = 1 if executor == "ray" else count
    execution = Execution(device="cpu", executor=executor, workers=count, threads=threads,
                          ray_address="local" if executor == "ray" else None)
    seconds, _ = timed(lambda: analysis.analyze(video, Options(), execution, results,
                                                lambda done: seen.append((perf_counter(), cpu_s(), done))))
    scanned = np.array([(when, cpu, done.chunks_done) for when, cpu, done in seen if done.step == "scan"])
    warm = scanned[np.argmax(scanned[:, 2] >= count)]  # the networks are loaded
    steady = (scanned[-1] - warm) / (scanned[-1, 2] - warm[2])
    return {"whole": seconds, "scan": scanned[-1, 0] - scanned[0, 0], "per_chunk": steady[0], "cpu_per_chunk": steady[1]}


def scaling(folder: Path, video: Path | None, turns: int) -> None:
    """1 -> 2 workers with a thread each, on one and on two cores, in turns; the best turn of each counts."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit("--scaling needs two cores")
    video = video or clip(folder, SCALING_S)
    best: dict[tuple[str, int], dict] = {}
    print(f"{video.name}, cores {cores}; seconds         whole   scan   per chunk", flush=True)
    for turn in range(turns):
        for executor in ("processes", "ray"):
            for workers in (1, 2):
                got = alone("scan", video, folder / f"{executor}{workers}{turn}", executor, workers, cores=cores[:workers])
                print(f"turn {turn + 1}: {executor:<10} {workers} worker{'s' * (workers > 1):<10} {got['whole']:>8.1f} "
                      f"{got['scan']:>6.1f} {got['per_chunk']:>11.2f}", flush=True)
                known = best.setdefault((executor, workers), got)
                best[executor, workers] = {key: min(known[key], got[key]) for key in got}
    for executor in ("processes", "ray"):
        one, two = best[executor, 1], best[executor, 2]
        print(f"{executor}: 2 workers are {one['scan'] / two['scan']:.2f} x as fast as 1 over the scan, start included "
              f"({one['per_chunk'] / two['per_chunk']:.2f} x once warm); bar 1.7")


PARTS = {"overhead": overhead, "plan": plan, "link": link, "questions": questions, "cost": cost}
MEASURED = {"link": measure_link, "scan": measure_scan}


if __name__ == "__main__":
    main()
