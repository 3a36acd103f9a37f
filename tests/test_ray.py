"""Scans on a Ray cluster: real nodes on this machine, real workers, real kills."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import pytest

from crowdmood import analysis, nodes, ray_cluster, tables
from crowdmood.errors import CrowdmoodError
from crowdmood.options import Execution, Options
from crowdmood.ray_cluster import Place, on_ray
from crowdmood.s3 import S3Folder
from crowdmood.scan import Scan
from tests.clips import repeat
from tests.ray_nodes import Nodes, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"),
              pytest.mark.skipif(find_spec("ray") is None, reason="the extra 'ray' is not installed")]
OPTIONS = Options(sample_fps=1.0, imgsz=320)
FLAGS = ["--sample-fps", "1", "--imgsz", "320", "--no-report", "--json"]
ON_RAY = Execution(executor="ray")
SECONDS, CHUNKS = 240, 8


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An S3 server; the environment leads this process and all nodes to it."""
    pytest.importorskip("moto.server", reason="the extra 'test' is not installed")
    from tests.s3_server import Server

    server = Server()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "CROWDMOOD_RESULTS"))]:
            patch.delenv(name)
        for name, value in {"ENDPOINT_URL": server.url, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret",
                            "DEFAULT_REGION": "us-east-1", "EC2_METADATA_DISABLED": "true"}.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield server
        server.stop()


@pytest.fixture(scope="module")
def cluster(server):
    """A head without CPUs and two nodes of one each; the environment leads this process and its children there."""
    cluster = Nodes()
    try:
        cluster.start(2)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in cluster.environment.items():
                patch.setenv(name, value)
            wait_for(lambda: ray_cluster.slots(Place()) == 2, 120)
            yield cluster
            import ray  # not before: Ray looks at the environment when it is loaded

            ray.shutdown()
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def film(clip, tmp_path_factory) -> Path:
    """The demo clip, small and slow, again and again: 8 chunks."""
    folder = tmp_path_factory.mktemp("films")
    with av.open(str(clip)) as source, av.open(str(folder / "small.mp4"), "w") as sink:
        stream = sink.add_stream("libx264", rate=2, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.gop_size = 320, 180, 6
        for number, frame in enumerate(source.decode(video=0)):
            if number % 12 == 0 and number < 288:
                small = frame.reformat(320, 180, format="yuv420p")
                small.pts, small.time_base = number // 12, Fraction(1, 2)
                sink.mux(stream.encode(small))
        sink.mux(stream.encode())
    return repeat(folder / "small.mp4", folder / "film.mp4", SECONDS)


@pytest.fixture(scope="module")
def unbroken(film, tmp_path_factory) -> dict[str, str]:
    """The files of a run by this process alone."""
    results = tmp_path_factory.mktemp("serial")
    analysis.analyze(film, OPTIONS, Execution(executor="serial"), results)
    return digests(results)


def digests(results: Path) -> dict[str, str]:
    """The tables of a results folder (not the run's row, which holds clock times) and their content."""
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(results.rglob("*run=*.parquet")) + sorted(results.rglob("faces.parquet"))
            if path.parent.name != "runs" and "empty" not in str(path)}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "crowdmood", "analyze", *map(str, arguments), *FLAGS, "--executor", "ray"]


def busy_worker(node: subprocess.Popen) -> int | None:
    """A process of a node that does a task."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.getsid(int(folder.name)) == node.pid and b"ray::do" in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except OSError:  # it has ended
            continue
    return None


def test_several_recordings_at_once_come_in_order_and_equal_ones_once(cluster, film, unbroken, tmp_path):
    same = tmp_path / "b.mp4"
    same.write_bytes(film.read_bytes())
    broken = tmp_path / "c.mp4"
    broken.write_bytes(b"no film")
    short = repeat(film.with_name("small.mp4"), tmp_path / "d.mp4", 24)
    done = subprocess.run(command(film, same, broken, short, "--results", tmp_path / "r"), capture_output=True, text=True)
    items = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(item["recording"]).name for item in items] == ["film.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert items[0]["run"] == items[1]["run"] != items[3]["run"]
    assert "error" in items[2] and done.returncode == 3
    assert done.stderr.count("\n") == 1 and "c.mp4" in done.stderr, "Ray is to be quiet"
    found = digests(tmp_path / "r")
    assert {name: found[name] for name in unbroken} == unbroken


def test_ctrl_c_ends_the_tasks_and_the_same_command_goes_on(cluster, film, unbroken, tmp_path):
    process = subprocess.Popen(command(film, "--results", tmp_path), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                               start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_for(lambda: len(list(tmp_path.glob("faces/run=*/part-*.parquet"))) >= 2 or process.poll() is not None, 120)
    os.killpg(process.pid, signal.SIGINT)
    _, says = process.communicate(timeout=60)
    assert process.returncode == 130 and "run the same command again to go on" in says and "Traceback" not in says
    wait_for(lambda: not any(map(busy_worker, cluster.started[1:])), 30)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("faces/run=*/part-*.parquet")}
    assert 2 <= len(kept) < CHUNKS

    def look(done: analysis.Progress) -> None:
        if done.step == "link":
            assert {path: path.stat().st_mtime_ns for path in kept} == kept, "finished chunks were done again"

    analysis.analyze(film, OPTIONS, ON_RAY, tmp_path, look)
    assert digests(tmp_path) == unbroken


def test_workers_write_to_s3_themselves_and_read_from_it(cluster, server, film, unbroken):
    import s3fs

    s3fs.S3FileSystem(endpoint_url=server.url).mkdir("shows")
    bucket = S3Folder("s3://shows")
    bucket.upload({"films/film.mp4": film})
    server.forget()
    puts: list[int] = []

    def look(done: analysis.Progress) -> None:
        local = S3Folder("s3://shows/results").local
        if done.step == "scan":
            assert not list(local.glob("*/run=*/part-*.parquet")), "parts went through the driver"
        puts.append(sum(request.method == "PUT" and "/run=" in request.path and "/part-" in request.path for request in server.requests))

    analysis.analyze("s3://shows/films/film.mp4", OPTIONS, ON_RAY, "s3://shows/results", look)
    assert puts[-1] == 2 * CHUNKS
    there = S3Folder("s3://shows/results")
    assert {name: hashlib.sha256(there.read(name)).hexdigest() for name in unbroken} == unbroken
    assert not [name for name in there.files("") if "/part-" in name and "empty" not in name]


def sent(film: Path, results: Path) -> tuple[nodes.Elsewhere, list]:
    """A scan as it is sent to the nodes, and its chunks."""
    job = analysis.prepare(film, OPTIONS, ON_RAY, results)
    tables.write_run(results, analysis.describe(job))
    scan = Scan(job.recording, job.options, job.device, job.results, job.run)
    return nodes.elsewhere(scan, job.models, job.address), job.chunks[:2]


@pytest.mark.parametrize(("change", "says"), [
    ("gone", "is not there .* a folder that all nodes share"),
    ("another", "is not the file that the work was planned with"),
    ("results", "all nodes must share it"),
    ("version", "crowdmood .* is installed, and 0.0.1 sent the work"),
    ("models", "is not the one that the work was planned with"),
    ("server", "set AWS_ENDPOINT_URL alike"),
])
def test_what_a_node_lacks_is_one_sentence_with_its_name(cluster, film, tmp_path, change, says):
    here = repeat(film.with_name("small.mp4"), tmp_path / "here.mp4", 60)
    work, chunks = sent(here, tmp_path / "results")
    if change == "gone":
        here.unlink()
    elif change == "another":
        here.write_bytes(here.read_bytes() + b"more")
    elif change == "results":
        tables.table_path(tmp_path / "results", "runs", work.scan.run).unlink()
    elif change == "version":
        work = replace(work, version="0.0.1")
    elif change == "models":
        work = replace(work, models=dict.fromkeys(work.models, "other"))
    else:
        work = replace(work, scan=replace(work.scan, results=S3Folder("s3://bucket/there")), server="http://elsewhere")
    with pytest.raises(CrowdmoodError, match=f"node {socket.gethostname()} .*{says}"):
        list(on_ray(work, chunks, None))


def test_a_node_that_lacks_a_package_is_one_sentence(cluster, tmp_path, monkeypatch):
    (tmp_path / "onlyhere.py").write_text("class Work:\n    def __call__(self, tasks):\n        return tasks\n")
    monkeypatch.syspath_prepend(tmp_path)
    from onlyhere import Work

    with pytest.raises(CrowdmoodError, match=r"a node of the Ray cluster lacks 'onlyhere'; install crowdmood \d.* on every node"):
        list(on_ray(Work(), [1], None))


def test_no_node_for_a_task_is_waited_for_and_then_said(cluster, monkeypatch):
    monkeypatch.setattr(ray_cluster, "PATIENCE_S", 1.0)
    with pytest.raises(CrowdmoodError, match="no node of the Ray cluster has 1 CPU and 0.25 GPU"):
        list(on_ray(len, [1], None, Place(gpus=0.25)))


def test_few_tasks_are_handed_over_and_the_first_come_is_first_served(cluster):
    queue = ray_cluster.Queue()
    queue.note(0, 3, 5)
    queue.note(1, 0, 5)
    assert queue.room(0, 4) == 1 and queue.room(1, 4) == 0
    queue.note(0, 3, 0)
    assert queue.room(1, 4) == 1
    queue.leave(0)
    assert queue.room(1, 4) == 4


def test_networks_are_loaded_once_in_each_worker(cluster):
    class Looks:
        def __call__(self, tasks):
            from crowdmood.options import Options
            from crowdmood.runtimes import Device
            from crowdmood.scan import open_eyes

            for _ in tasks:
                open_eyes(Options(), Device("cpu", "openvino", 1))
                yield os.getpid(), open_eyes.cache_info().misses, os.environ.get("OMP_NUM_THREADS")

    seen = list(on_ray(Looks(), range(12), None))
    assert len({pid for pid, _, _ in seen}) < len(seen) and max(misses for _, misses, _ in seen) <= 2


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path, film):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{free.getsockname()[1]}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {"RAY_TMPDIR": str(tmp_path)}
    done = subprocess.run([*command(film, "--results", tmp_path / "r"), "--ray-address", address], capture_output=True, text=True,
                          env=clean)
    assert done.returncode == 1 and "cannot be reached" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_killed_worker_and_a_killed_node_cost_their_chunks_only(cluster, film, unbroken, tmp_path):
    kept: dict[Path, int] = {}
    killed: list[int] = []

    def disturb(done: analysis.Progress) -> None:
        parts = {path: path.stat().st_mtime_ns for path in tmp_path.glob("faces/run=*/part-*.parquet")}
        if done.step == "link":
            assert parts | kept == parts and len(parts) == CHUNKS, "finished chunks were done again"
        elif done.chunks_done >= 1 and not killed:
            wait_for(lambda: busy_worker(cluster.started[1]), 60)
            killed.append(busy_worker(cluster.started[1]))
            os.kill(killed[0], signal.SIGKILL)
        elif done.chunks_done >= 3 and cluster.started[2].poll() is None:
            cluster.kill(cluster.started[2])
            kept.update(parts)

    run = analysis.analyze(film, OPTIONS, ON_RAY, tmp_path, disturb)
    assert killed and kept and cluster.started[2].poll() is not None
    assert digests(tmp_path) == unbroken
    assert run.info["chunks"] == run.info["chunks_done"] == CHUNKS


@pytest.mark.parametrize(("settings", "says"), [
    ({"gpus": 0.5}, "add --executor ray"), ({"executor": "ray", "gpus": 1.5}, "from 0 to 1"), ({"executor": "rays"}, "known: auto, serial")])
def test_settings_that_make_no_sense(settings, says):
    with pytest.raises(CrowdmoodError, match=says):
        Execution(**settings)


@pytest.mark.parametrize(("settings", "says"), [
    ({"device": "cuda"}, "needs --gpus"), ({"device": "cpu", "gpus": 0.5}, "contradict"), ({"runtime": "onnx", "gpus": 0.5}, "does not run on GPUs")])
def test_devices_that_make_no_sense_on_a_cluster(settings, says):
    with pytest.raises(CrowdmoodError, match=says):
        nodes.device_of(Execution(executor="ray", **settings))


def test_gpus_of_nodes_need_none_here():
    device = nodes.device_of(Execution(executor="ray", gpus=0.25, threads=2))
    assert (device.name, device.runtime, device.threads) == ("cuda", "torch", 2)
