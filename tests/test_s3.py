"""Results folders on S3, on a real server on loopback: real requests, real processes, real kills."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

pytest.importorskip("s3fs", reason="the extra 's3' is not installed")
pytest.importorskip("moto.server", reason="the extra 'test' is not installed")

import crowdmood
from crowdmood import catalog, schemas, tables
from crowdmood.cli import crowdmood as commands
from crowdmood.errors import ResultsError
from crowdmood.results import find_run, list_runs, publish, results_folder
from crowdmood.row_groups import ROW_GROUP, write_table
from crowdmood.s3 import S3Folder
from crowdmood.uploads import Upload, uploading
from tests.forks import CROWDMOOD, forked
from tests.made_runs import (
    EMPTY,
    FRAMES,
    PERSONS,
    RUN,
    face_columns,
    links,
    make_parts,
    make_run,
)
from tests.s3_server import Server, new_bucket, serving

ROOT = Path(__file__).parents[1]
FACES = (FRAMES - EMPTY) * PERSONS
FINAL = ("faces", "frames", "persons", "timeline")
SETTINGS = {"sample_fps": 1.0, "imgsz": 320}  # those of the fixture `unbroken`
FLAGS = ["--sample-fps", "1", "--imgsz", "320", "--no-report", "--quiet"]
FINISH = """
import sys
from crowdmood.s3 import S3Folder
from crowdmood.uploads import uploading
with uploading(S3Folder(sys.argv[1]), sys.argv[2]) as upload:
    upload.finish()
"""
BIG = 3 * ROW_GROUP


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The server; the environment leads this process and its children to it."""
    with serving(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def bucket(server, request):
    """A new bucket, and all names of the server's requests forgotten."""
    return new_bucket(server, f"b{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]}")


@pytest.fixture
def folder(bucket, monkeypatch, tmp_path) -> S3Folder:
    """An empty results folder on S3, as seen from a machine that has never seen it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return results_folder(f"s3://{bucket}/shows/2026")


@pytest.fixture
def complete(folder) -> S3Folder:
    """The same with a complete run, and beside it what is none of its business."""
    upload_run(folder)
    S3Folder(f"s3://{folder.address.split('/')[2]}/secret").write("hidden.txt", b"hush")
    S3Folder(f"{folder}-b").write("hidden.txt", b"hush")
    folder.write("../hidden.txt", b"hush")
    return folder


def upload_run(folder: S3Folder, run: str = RUN, seed: int = 0) -> None:
    make_run(folder.local, run, seed)
    catalog.refresh(folder)
    with uploading(folder, run) as upload:
        upload.finish()


def contents(folder: S3Folder) -> dict[str, str]:
    """The tables of a results folder on S3 (not the run's row, which holds clock times) and their content."""
    names = [name for name in folder.files("") if name.endswith(".parquet") and not name.startswith("runs/") and "empty" not in name]
    return {name: hashlib.sha256(folder.read(name)).hexdigest() for name in sorted(names)}


def local_contents(results: Path) -> dict[str, str]:
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(results.rglob("*.parquet"))
            if path.relative_to(results).parts[0] != "runs" and "empty" not in str(path.relative_to(results))}


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return forked.crowdmood(*arguments, **environment)


def one(folder: S3Folder, query: str):
    (row,) = catalog.fetch(folder, query).to_pylist()
    (value,) = row.values()
    return value


# Writing


def analysis(clip: Path, folder: S3Folder) -> list[str]:
    return [CROWDMOOD, "analyze", str(clip), "--results", str(folder), *FLAGS]


def killed_when(server: Server, which, command: list[str]) -> None:
    """Start a command (code, arguments) and kill it while the server holds the request of which `which` is true."""
    with server.holding(which) as arrived:
        process = forked.start(command[0], command[1:])
        assert arrived.wait(240), f"the request to be held never came: {process.says('stderr')}"
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait().returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_while_it_scans_and_while_it_uploads_the_same_command_ends_with_the_local_bytes(
        server, folder, long_clip, unbroken):
    command = analysis(long_clip, folder)
    killed_when(server, lambda method, path: method == "PUT" and path.endswith("part-000002.parquet"), command)
    (row,) = list_runs(folder)
    assert (row["status"], row["chunks"]) == ("unfinished", 4) and row["chunks_done"] in (2, 3) and row["faces"] > 0
    server.forget()
    killed_when(server, lambda method, path: method == "PUT" and path.endswith("faces.parquet"), command)
    put = [request.path for request in server.requests if request.method == "PUT"]
    assert not any(path.endswith(("part-000000.parquet", "part-000001.parquet")) for path in put), "finished chunks were sent again"
    assert list_runs(folder)[0]["status"] == "unfinished"
    server.forget()
    ended = forked.run(*command)
    assert ended.returncode == 0, ended.stderr
    assert contents(folder) == local_contents(unbroken.results)
    assert not [path for path in folder.local.rglob("*") if path.suffix in (".parquet", ".tmp")], "local copies stay"
    assert not any(name.endswith(".lease") for name in folder.files("runs/"))
    run = crowdmood.open_run("long.mp4", str(folder))
    assert run.id == unbroken.id and run.info["status"] == "complete" and run.timeline.equals(unbroken.timeline)
    server.forget()
    assert crowdmood.analyze(long_clip, results=str(folder), **SETTINGS).id == run.id
    assert not any(request.method == "PUT" and request.path.endswith(".parquet") for request in server.requests), "done again"


@pytest.mark.slow
def test_another_machine_waits_and_then_goes_on_with_what_is_there(server, folder, long_clip, unbroken, monkeypatch, tmp_path):
    command = analysis(long_clip, folder)
    killed_when(server, lambda method, path: method == "PUT" and "faces" in path and path.endswith("part-000002.parquet"), command)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    refused = forked.run(*command)
    assert refused.returncode == 1 and "is being analyzed by" in refused.stderr and "Traceback" not in refused.stderr
    lease = f"runs/.run={unbroken.id}.lease"
    assert f"remove {folder}/{lease})" in refused.stderr
    folder.remove([lease])
    server.forget()
    ended = forked.run(*command)
    assert ended.returncode == 0, ended.stderr
    fetched = {request.path.rpartition("/")[2] for request in server.requests if request.method == "GET" and "part-0" in request.path}
    assert {"part-000000.parquet", "part-000001.parquet"} <= fetched
    sent = {request.path.rpartition("/")[2] for request in server.requests if request.method == "PUT" and "part-0" in request.path}
    assert "part-000003.parquet" in sent and not sent & {"part-000000.parquet", "part-000001.parquet"}
    assert contents(folder) == local_contents(unbroken.results)


@pytest.mark.slow
def test_killed_at_any_upload_readers_see_every_row_once_and_the_next_try_ends_the_same(server, folder):
    make_run(folder.local)
    expected = local_contents(folder.local)
    names = [*(tables.table_path(Path(), table, RUN).as_posix() for table in FINAL), f"runs/run={RUN}.parquet"]
    for step, name in enumerate(names):
        there = S3Folder(f"{folder}/{step}")
        make_parts(there.local)
        Upload(there, RUN).grow()
        make_run(there.local)
        command = [FINISH, str(there), RUN]
        killed_when(server, lambda method, path, name=name: method == "PUT" and path.endswith(f"{step}/{name}"), command)  # noqa: B023
        assert (one(there, "SELECT count(*) FROM faces"), one(there, "SELECT count(*) FROM frames")) == (FACES, FRAMES)
        ended = forked.run(*command)
        assert ended.returncode == 0, ended.stderr
        assert contents(there) == expected and find_run(there, RUN).info["status"] == "complete"
        assert (one(there, "SELECT count(*) FROM faces"), one(there, "SELECT count(*) FROM frames")) == (FACES, FRAMES)


@pytest.mark.slow
def test_an_outage_while_scanning_is_said_once_and_made_up_for(server, folder, caplog):
    make_parts(folder.local, edges=(10, 20))
    with uploading(folder, RUN) as upload, caplog.at_level(logging.WARNING, "crowdmood"):
        server.refuses = lambda method, path: method == "PUT"
        upload.grow()
        upload.grow()
        assert len(caplog.messages) == 1 and "what is missing is uploaded later" in caplog.text and str(folder) in caplog.text
        server.refuses = lambda method, path: False
        upload.grow()
        assert (row := list_runs(folder)[0])["chunks_done"] == 3 and row["faces"] == FACES


def test_an_outage_at_the_end_keeps_the_run_and_says_so(server, folder):
    make_run(folder.local)
    server.refuses = lambda method, path: method == "PUT" and "persons" in path
    with uploading(folder, RUN) as upload, pytest.raises(ResultsError) as caught:
        upload.finish()
    assert str(folder.local) in str(caught.value) and "the same command uploads it" in str(caught.value)
    assert tables.read_run(folder.local, RUN)["status"] == "complete"
    server.refuses = lambda method, path: False
    with uploading(folder, RUN) as upload:
        upload.finish()
    assert len(find_run(folder, RUN).faces) == FACES


def test_a_lease_that_was_not_renewed_for_long_no_longer_counts(folder, monkeypatch, tmp_path):
    from datetime import timedelta

    from crowdmood import uploads

    with uploading(folder, RUN):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        with pytest.raises(ResultsError, match=f"is being analyzed by {socket.gethostname()}; wait"), uploading(folder, RUN):
            pass
        monkeypatch.setattr(uploads, "LEASE", timedelta(0))
        with uploading(folder, RUN):
            assert str(folder.local) in folder.read(f"runs/.run={RUN}.lease").decode()


# Reading


def test_runs_and_tables_are_those_of_a_local_folder(complete, tmp_path):
    make_run(tmp_path)
    make_parts(tmp_path, "cd99", seed=1)
    make_parts(complete.local, "cd99", seed=1)
    Upload(complete, "cd99").grow()
    here, there = find_run(tmp_path, RUN), find_run(str(complete), "ab1")
    assert here.info == there.info and there.results == complete and there.report is None
    for table in FINAL:
        assert getattr(there, table).equals(getattr(here, table), check_metadata=True)
        query = f"SELECT * FROM {table} ORDER BY ALL"
        assert catalog.fetch(complete, query).equals(catalog.fetch(tmp_path, query))
    assert list_runs(complete) == list_runs(tmp_path)
    assert len(list_runs(complete)) == 2
    with pytest.raises(ResultsError, match=f"no run matches 'film'; known: {RUN}"):
        find_run(complete, "film")


@pytest.mark.slow
def test_the_commands_answer_as_with_a_local_folder(complete, tmp_path):
    make_run(tmp_path)
    for command in (["runs", "--json"], ["sql", "SELECT second, happy FROM timeline", "--json"], ["sql", "FROM persons", "--csv"],
                    ["sql", "DESCRIBE faces"], ["report", "persons", "--csv"]):
        here, there = (CliRunner().invoke(commands, [*command, "--results", str(results)]) for results in (tmp_path, complete))
        assert there.exit_code == 0 and there.stdout == here.stdout and len(there.stdout) > 100, there.stderr
    by_environment = run_command("runs", CROWDMOOD_RESULTS=f"{complete}/")
    assert RUN in by_environment.stdout and by_environment.stderr == ""


def test_an_empty_folder_is_said(folder):
    ended = run_command("runs", "--results", str(folder))
    assert (ended.returncode, ended.stdout) == (0, "") and f"no runs in {folder} yet" in ended.stderr
    with pytest.raises(ResultsError, match=f"there is no results folder {folder}"):
        catalog.fetch(folder, "FROM runs")


@pytest.mark.slow
def test_a_report_is_uploaded_and_its_address_is_printed(complete):
    ended = run_command("report", "--results", str(complete), "--json")
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    name = f"reports/concert.mp4/{RUN}/index.html"
    assert said["report"] == f"{complete}/{name}" == find_run(complete, RUN).report
    assert complete.read(name) == (complete.local / name).read_bytes() and b"<html" in complete.read(name)
    assert set(complete.files(f"reports/concert.mp4/{RUN}/")) == {
        path.relative_to(complete.local).as_posix() for path in (complete.local / name).parent.iterdir()}
    assert all(said[key].startswith(str(complete)) for key in ("report", "timeline"))


def test_a_report_of_a_local_run_stays_where_it_is(tmp_path):
    assert publish(tmp_path, tmp_path / "index.html") == tmp_path / "index.html"


def test_a_run_that_is_finished_while_a_query_looks_is_there_once(server, folder):
    make_parts(folder.local)
    upload = Upload(folder, RUN)
    upload.grow()
    tables.complete(folder.local, RUN, links())
    answers = []
    with server.holding(lambda method, path: method == "GET" and path.endswith("part-000000.parquet")) as arrived:
        query = threading.Thread(target=lambda: answers.append(one(folder, "SELECT count(*) FROM faces")))
        query.start()
        assert arrived.wait(60)
        upload.finish()
    query.join()
    assert answers == [FACES]


# Nothing but reading, and nothing but the folder


@pytest.mark.parametrize(
    "query",
    [
        "COPY faces TO '{folder}/out.csv'",
        "COPY (SELECT 1) TO '/tmp/crowdmood-out.csv'",
        "WITH x AS (COPY (SELECT 1) TO '{folder}/out.csv') SELECT * FROM x",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/crowdmood.duckdb' AS c",
        "SET allowed_directories = ['s3://']",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_text('file:///etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_text('{folder}/../secret/hidden.txt')",
        "SELECT * FROM read_text('{folder}/../hidden.txt')",
        "SELECT * FROM read_text('{folder}-b/hidden.txt')",
        "SELECT * FROM read_text('s3://{bucket}/secret/hidden.txt')",
        "SELECT * FROM read_text('s3://another-bucket/hidden.txt')",
        "SELECT * FROM read_text('s3a://{bucket}/secret/hidden.txt')",
        "SELECT * FROM glob('s3://{bucket}/*')",
        "SELECT * FROM glob('s3://*/*')",
        "SELECT * FROM read_csv('{server}/{bucket}/secret/hidden.txt')",
    ],
)
def test_a_query_can_neither_write_nor_read_elsewhere(server, complete, query):
    bucket = complete.address.split("/")[2]
    everything = S3Folder(f"s3://{bucket}")
    before = {name: entry["ETag"] for name, entry in everything.files("").items()}
    server.forget()
    with pytest.raises(ResultsError) as caught:
        catalog.fetch(complete, query.format(folder=complete, bucket=bucket, server=server.url))
    assert "\n" not in str(caught.value) and "hush" not in str(caught.value)
    assert all(request.method == "GET" for request in server.requests)
    assert all((request.listing or request.path.removeprefix(f"/{bucket}/")).startswith("shows/2026/") for request in server.requests
               if request.path != f"/{bucket}" or request.listing), "something else was looked at"
    assert {name: entry["ETag"] for name, entry in everything.files("").items()} == before
    assert not Path("/tmp/crowdmood-out.csv").exists()


@pytest.mark.parametrize("statement", ["COPY (SELECT 1) TO '{folder}/faces/out.csv'", "ATTACH '{folder}/crowdmood.duckdb' AS c",
                                       "COPY (SELECT 1) TO '/tmp/crowdmood-out.csv'", "ATTACH '/tmp/crowdmood-out.db' AS c",
                                       "SELECT * FROM read_text('s3://{bucket}/secret/hidden.txt')",
                                       "SELECT * FROM read_text('{folder}/../hidden.txt')",
                                       "SET enable_external_access = true"])
def test_even_a_bare_connection_is_locked(server, complete, statement):
    server.forget()
    with catalog.connect(complete) as database, pytest.raises((duckdb.Error, OSError)):
        database.execute(statement.format(folder=complete, bucket=complete.address.split("/")[2])).fetchall()
    assert all(request.method == "GET" for request in server.requests)
    assert not list(Path("/tmp").glob("crowdmood-out*"))


def test_files_of_the_folder_can_be_read_by_name(complete):
    assert one(complete, f"SELECT count(*) FROM read_parquet('{complete}/faces/*/faces.parquet')") == FACES


def test_a_client_with_a_file_system_for_s3_reads_the_catalog(complete, tmp_path):
    """DuckDB's own, httpfs, has to be downloaded; s3fs stands in for it. The catalog is copied, since ATTACH wants httpfs."""
    import s3fs

    (tmp_path / "crowdmood.duckdb").write_bytes(complete.read("crowdmood.duckdb"))
    make_parts(complete.local, "cd99", seed=1)
    Upload(complete, "cd99").grow()
    with duckdb.connect(str(tmp_path / "crowdmood.duckdb"), read_only=True) as client:
        client.register_filesystem(s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], use_listings_cache=False))
        assert client.sql("SELECT run, count(*) FROM faces GROUP BY run ORDER BY run").fetchall() == [(RUN, FACES), ("cd99", FACES)]
        assert client.sql("SELECT recording, status FROM runs ORDER BY run").fetchall() == [
            ("concert.mp4", "complete"), ("concert.mp4", "running")]


# How often S3 is asked


@pytest.mark.slow
def test_of_many_runs_each_file_is_asked_for_once_and_only_where_the_query_looks(server, folder):
    catalog.refresh(folder)
    runs = [f"{number:012x}" for number in range(20)]
    for run in runs:
        make_run(folder.local, run)
        Upload(folder, run).finish()
    server.forget()
    ended = run_command("sql", "SELECT run, avg(happy) AS happy, any_value(recording) AS recording FROM timeline JOIN runs "
                               "USING (run) GROUP BY ALL", "--results", str(folder), "--json")
    assert len(json.loads(ended.stdout)) == 20, ended.stderr
    asked = Counter((request.method, request.path) for request in server.requests if request.listing is None)
    expected = [tables.table_path(Path(), table, run).as_posix() for table in ("timeline", "runs") for run in runs]
    assert asked == {("GET", f"/{folder.address[5:]}/{name}"): 1 for name in expected}
    assert len(server.requests) - len(expected) <= 4  # the first contact, whether anything is there, two listings


def test_of_a_large_file_only_the_row_groups_that_are_needed_are_read(server, folder):
    columns = face_columns(0, BIG // PERSONS)
    rows = {name: columns.get(name, np.ones(BIG)) for name in schemas.FACES.names if name not in ("run", "expression")}
    rows |= {"run": [RUN] * BIG, "expression": columns["expression"]}
    path = tables.table_path(folder.local, "faces", RUN)
    path.parent.mkdir(parents=True)
    plain = [pa.array(rows[field.name], pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in schemas.FACES]
    write_table(path, schemas.FACES, [pa.Table.from_arrays(plain, schemas.FACES.names)])
    folder.upload({f"faces/run={RUN}/faces.parquet": path})
    server.forget()
    until = (BIG // 3 // PERSONS - 1) * 6 / 30  # the first of three row groups
    rows = one(folder, f"SELECT count(happy) FROM faces WHERE time_s <= {until}")
    assert rows == BIG // 3
    group_bytes = path.stat().st_size / 3
    fetched = sum(request.bytes for request in server.requests if request.path.endswith("faces.parquet"))
    assert 0 < fetched < group_bytes / 2, f"{fetched} of {path.stat().st_size} bytes for one column of one row group"


# What goes wrong


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_sentence(server, clip, tmp_path):
    for command in (["runs"], ["sql", "FROM runs"], ["analyze", str(clip), *FLAGS], ["report"]):
        ended = run_command(*command, "--results", "s3://no-such-bucket/shows", XDG_CACHE_HOME=str(tmp_path))
        assert ended.returncode == 1 and "there is no bucket 'no-such-bucket' at" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1 and ended.stderr.startswith("crowdmood: s3://no-such-bucket/shows: ")


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["refused", "silent"])
def test_a_server_that_cannot_be_reached_is_one_sentence_soon(server, clip, tmp_path, monkeypatch, trouble):
    with socket.create_server(("127.0.0.1", 0)) as listening:  # takes connections and never answers
        port = listening.getsockname()[1]
        if trouble == "refused":
            listening.close()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        started = time.monotonic()
        with pytest.raises(ResultsError, match="does not answer"):
            results_folder("s3://bucket/shows").reach()
        assert time.monotonic() - started < 60  # botocore itself would try for five minutes
        ended = run_command("analyze", str(clip), *FLAGS, "--results", "s3://bucket/shows", XDG_CACHE_HOME=str(tmp_path))
    assert ended.returncode == 1 and "does not answer" in ended.stderr and "AWS_ENDPOINT_URL" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_no_keys_and_wrong_keys_are_one_sentence(server, bucket, tmp_path):
    import urllib.request

    names = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": str(tmp_path / "none")}
    ended = run_command("runs", "--results", f"s3://{bucket}/shows", **names)
    assert ended.returncode == 1 and "set AWS_ACCESS_KEY_ID" in ended.stderr and len(ended.stderr.splitlines()) == 1
    ended = run_command("runs", "--results", f"s3://{bucket}/shows", AWS_PROFILE="nobody")
    assert ended.returncode == 1 and "nobody" in ended.stderr and len(ended.stderr.splitlines()) == 1
    checked = lambda count: urllib.request.urlopen(
        urllib.request.Request(f"{server.url}/moto-api/reset-auth", data=count, method="POST", headers={"Content-Type": "text/plain"})).read()
    checked(b"0")
    try:
        ended = run_command("runs", "--results", f"s3://{bucket}/shows")
    finally:
        checked(b"inf")
    assert ended.returncode == 1 and "access denied by" in ended.stderr and len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("address", ["s3:", "s3://", "s3://bucket/../other"])
def test_an_address_that_makes_no_sense_is_one_sentence(address):
    with pytest.raises(ResultsError, match="s3://bucket/prefix"):
        results_folder(address)


def test_addresses_are_written_in_one_way():
    assert results_folder("s3://bucket/a//b/") == results_folder(Path("s3://bucket/a/b")) == S3Folder("s3://bucket/a/b")
    assert results_folder("s3://bucket") == S3Folder("s3://bucket")


def test_without_the_extra_one_sentence_says_what_to_install(server):
    script = "import sys; sys.modules['s3fs'] = None; sys.argv[1:] = ['runs', '--results', 's3://b/p']; from crowdmood.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 1
    assert ended.stderr == "crowdmood: s3://b/p: S3 needs s3fs; `pip install 'crowdmood[s3]'`\n"
