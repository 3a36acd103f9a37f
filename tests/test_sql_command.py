"""`crowdmood sql` and `crowdmood runs`, as a user calls them."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crowdmood import tables
from tests.forks import forked
from tests.made_runs import EMPTY, FRAMES, PERSONS, RUN, make_parts, make_run, run_row

FACES = (FRAMES - EMPTY) * PERSONS
ALL_KINDS = """
SELECT 'nan'::FLOAT AS nan, 'inf'::DOUBLE AS inf, NULL AS nothing, 0.1::FLOAT AS tenth,
       0.1::DECIMAL(4, 2) AS decimal, started, sum(1) AS huge, [0.5, 'nan'::FLOAT] AS list,
       {'a': DATE '2026-01-02'} AS struct, 'é;"' || chr(10) AS text, true AS yes,
       'ab'::BLOB AS bytes, 1 AS twice, 2 AS twice
FROM runs GROUP BY started
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    make_run(folder)
    return folder


def crowdmood(*arguments: str, results: Path, stdin: str | None = None, **environment: str):
    return forked.crowdmood(*arguments, stdin=stdin or "", CROWDMOOD_RESULTS=str(results), **environment)


def test_a_table(results):
    ended = crowdmood(
        "sql", "SELECT person, frames, run, NULL AS x FROM persons ORDER BY person LIMIT 2", results=results
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "person  frames  run           x",
        "──────  ──────  ────────────  ────",
        f"     1      30  {RUN}  NULL",
        f"     2      30  {RUN}  NULL",
    ]


def test_a_table_says_what_it_leaves_out(results):
    ended = crowdmood("sql", "SELECT frame FROM frames ORDER BY frame", "--rows", "3", results=results)
    assert [line.strip() for line in ended.stdout.splitlines()[2:]] == ["0", "6", "12"]
    assert "only the first 3 rows are shown" in ended.stderr
    assert crowdmood("sql", "FROM frames LIMIT 3", "--rows", "3", results=results).stderr == ""


def test_a_table_fits_the_terminal(results):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "crowdmood", "sql", "FROM faces LIMIT 1"],
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"CROWDMOOD_RESULTS": str(results), "COLUMNS": "60"},
    )
    process.wait(timeout=60)
    os.close(theirs)
    lines = os.read(ours, 100_000).decode().splitlines()
    os.close(ours)
    assert lines[0].startswith("run") and max(map(len, lines[:3])) <= 60
    assert "size_px" not in lines[0] and lines[3].startswith("not shown: ") and "size_px" in lines[3]


def test_json(results):
    (row,) = json.loads(crowdmood("sql", ALL_KINDS, "--json", results=results).stdout)
    assert row == {
        "nan": None,
        "inf": None,
        "nothing": None,
        "tenth": 0.1,
        "decimal": 0.1,
        "started": "2026-01-02T03:04:05Z",
        "huge": 1,
        "list": [0.5, None],
        "struct": {"a": "2026-01-02"},
        "text": 'é;"\n',
        "yes": True,
        "bytes": "6162",
        "twice": 1,
        "twice_1": 2,
    }
    assert json.loads(crowdmood("sql", "FROM runs WHERE false", "--json", results=results).stdout) == []
    assert len(json.loads(crowdmood("sql", "FROM faces", "--json", results=results).stdout)) == FACES


def test_csv(results):
    header, row = csv.reader(io.StringIO(crowdmood("sql", ALL_KINDS, "--csv", results=results).stdout))
    assert dict(zip(header, row, strict=True)) == {
        "nan": "nan",
        "inf": "inf",
        "nothing": "",
        "tenth": "0.1",
        "decimal": "0.1",
        "started": "2026-01-02T03:04:05Z",
        "huge": "1",
        "list": "[0.5, null]",
        "struct": '{"a": "2026-01-02"}',
        "text": 'é;"\n',
        "yes": "true",
        "bytes": "6162",
        "twice": "1",
        "twice_1": "2",
    }


def test_parquet(results, tmp_path):
    ended = crowdmood(
        "sql",
        "SELECT frame, happy, 1 AS frame FROM faces",
        "--parquet",
        str(tmp_path / "out.parquet"),
        results=results,
    )
    assert ended.returncode == 0 and ended.stdout == "" and ended.stderr.startswith(f"{FACES} rows written")
    rows = pq.ParquetFile(tmp_path / "out.parquet").read()
    assert rows.column_names == ["frame", "happy", "frame_1"] and len(rows) == FACES
    (tmp_path / "file").touch()
    ended = crowdmood(
        "sql", "FROM faces", "--parquet", str(tmp_path / "file" / "out.parquet"), results=results
    )
    assert ended.returncode == 1 and "out.parquet cannot be written: " in ended.stderr


def test_the_query_from_stdin(results):
    ended = crowdmood(
        "sql", "-", "--csv", results=results, stdin="-- how many?\nSELECT count(*) AS n\nFROM faces;\n"
    )
    assert ended.stdout == f"n\n{FACES}\n"


@pytest.mark.parametrize(
    "query", ["COPY runs TO 'x.csv'", "SELECT hapy FROM faces", "SELECT expression::INTEGER FROM faces"]
)
@pytest.mark.parametrize("way", ["--csv", "--json"])
def test_errors_are_one_line_and_exit_1(results, query, way):
    ended = crowdmood("sql", query, way, results=results)
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr.startswith("crowdmood: ") and ended.stderr.count("\n") == 1


def test_two_formats_are_refused(results):
    assert crowdmood("sql", "FROM runs", "--csv", "--json", results=results).returncode == 2


def test_asking_makes_the_catalog(results):
    (results / "crowdmood.duckdb").unlink(missing_ok=True)
    assert crowdmood("sql", "SELECT 1", results=results).returncode == 0
    assert (results / "crowdmood.duckdb").is_file()


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    for command in (["sql", "FROM runs"], ["runs"]):
        crowdmood(*command, results=tmp_path / "nowhere")
    assert crowdmood("sql", "FROM runs", results=tmp_path / "nowhere").returncode == 1
    assert not (tmp_path / "nowhere").exists()


def test_runs(tmp_path):
    make_run(tmp_path)
    make_parts(tmp_path, "cd99", seed=1)
    tables.write_run(tmp_path, run_row("cd99", recording="x" * 200 + ".mp4", chunks=40, duration_s=None))
    tables.write_run(tmp_path, run_row("ee00", status="failed", error="the disk\nis full", chunks=40))
    ended = crowdmood("runs", results=tmp_path, TZ="UTC")
    assert ended.returncode == 0, ended.stderr
    header, _, first, second, third = ended.stdout.splitlines()
    assert header.split() == ["run", "recording", "started", "length", "frames", "faces", "persons", "status"]
    assert first.split() == [
        RUN,
        "concert.mp4",
        "2026-01-02",
        "03:04",
        "0:08",
        str(FRAMES),
        str(FACES),
        "3",
        "complete",
    ]
    assert second.endswith("unfinished, 2 of 40 chunks") and len(second) < 140
    assert third.endswith("failed: the disk is full")


def test_runs_as_json(results):
    (row,) = json.loads(crowdmood("runs", "--json", results=results).stdout)
    assert (row["run"], row["status"], row["started"]) == (RUN, "complete", "2026-01-02T03:04:05Z")
    assert (row["faces"], row["frames"], row["persons"]) == (FACES, FRAMES, PERSONS)


def test_no_runs_is_no_error(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        ended = crowdmood("runs", results=folder)
        assert ended.returncode == 0 and "crowdmood analyze" in ended.stderr
    assert json.loads(crowdmood("runs", "--json", results=tmp_path).stdout) == []


def test_help_loads_nothing_heavy():
    for command in ("sql", "runs"):
        script = (
            f"import sys\nfrom crowdmood.cli import crowdmood\ntry: crowdmood(['{command}', '--help'])\n"
            "except SystemExit: pass\n"
            "print(sorted({'duckdb', 'pyarrow', 'numpy', 'torch'} & set(sys.modules)))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
        )
        assert ended.stdout.splitlines()[-1] == "[]"
