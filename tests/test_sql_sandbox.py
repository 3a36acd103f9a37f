"""`crowdmood sql` on text that somebody else wrote: attacks, each of which must end in one sentence and change nothing.

Statements that write and plain paths elsewhere are in test_catalog.py; here are the ways around.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import gettempdir

import pytest

from crowdmood import catalog
from crowdmood.errors import ResultsError
from tests.made_runs import make_run

HUSH = "hush-hush"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A results folder with links that lead out of it, and secrets around it."""
    around = tmp_path_factory.mktemp("around")
    folder = around / "results"
    make_run(folder)
    catalog.refresh(folder)
    (around / "secret.txt").write_text(HUSH)
    (around / "secret.csv").write_text(f"word\n{HUSH}\n")
    (around / "results-of-others").mkdir()
    (around / "results-of-others" / "secret.txt").write_text(HUSH)
    (folder / "link.txt").symlink_to(around / "secret.txt")
    (folder / "link.csv").symlink_to("../secret.csv")
    (folder / "faces" / "around").symlink_to(around)
    (folder / "proc").symlink_to("/proc/self")
    return folder


@pytest.mark.parametrize("query", [
    "FROM read_text('{results}/link.txt')",
    "FROM read_csv('{results}/link.csv')",
    "FROM '{results}/link.csv'",
    "FROM read_text('{results}/faces/around/secret.txt')",
    "FROM read_blob('{results}/proc/environ')",
    "FROM read_text('{results}/proc/cwd/setup.cfg')",
    "FROM glob('{results}/faces/around/*')",
    "FROM read_text('{results}/*/*/secret.txt')",
    "FROM read_text('{results}-of-others/secret.txt')",
    "FROM read_text('{results}//../secret.txt')",
    "FROM read_text('{results}/./../secret.txt')",
    "FROM read_text('{results}/faces/../../secret.txt')",
    "FROM read_text(['{results}/crowdmood.duckdb', '{results}/../secret.txt'])",
    "FROM read_text('file://{results}/../secret.txt')",
    "FROM read_csv('/dev/stdin')",
    "FROM read_csv('s3://bucket/x.csv')",
    "FROM read_json('https://127.0.0.1:9/x.json')",
    "FROM sniff_csv('{results}/../secret.csv')",
    "FROM parquet_metadata('{results}/../secret.csv')",
    "FROM query('FROM read_text(''{results}/../secret.txt'')')",
    "FROM query_table('{results}/../secret.csv')",
    "FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{results}/../secret.txt'')'))",
    "SELECT (SELECT content FROM read_text('{results}/../secret.txt'))",
    "SELECT getenv('PATH')",
    "SELECT getvariable('PATH') || (SELECT value FROM duckdb_secrets())",
    "FROM which_secret('s3://bucket', 's3')",
    "FROM sqlite_scan('{results}/../secret.csv', 'x')",
    "FROM enable_profiling()",
    "SELECT set_config('memory_limit', '1TB')",
    "PRAGMA memory_limit='1TB'",
    "SET SESSION temp_directory = '/'",
    "CREATE SECRET (TYPE s3)",
    "CREATE MACRO f() AS 1",
    "CREATE TEMP TABLE t AS FROM read_text('{results}/link.txt')",
    "PREPARE p AS COPY (SELECT 1) TO '{results}/out.csv'",
    "EXECUTE p",
    "IMPORT DATABASE '{results}'",
    "VACUUM",
    "LOAD '{results}/x.duckdb_extension'",
    "FORCE INSTALL httpfs",
    "UPDATE EXTENSIONS",
])
def test_there_is_no_way_around(results, query):
    before = state(results.parent)
    with pytest.raises(ResultsError) as caught:
        catalog.fetch(results, query.format(results=results))
    assert "\n" not in str(caught.value) and HUSH not in str(caught.value)
    assert state(results.parent) == before


def state(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def test_files_of_the_results_are_read_through_whatever_name_the_folder_has(results, tmp_path):
    (tmp_path / "name").symlink_to(results)
    rows = catalog.fetch(tmp_path / "name", "SELECT count(*) AS n FROM faces").to_pylist()
    assert rows == catalog.fetch(results, "SELECT count(*) AS n FROM faces").to_pylist() and rows[0]["n"] > 0


def test_a_query_that_takes_too_long_is_ended(results):
    start = time.monotonic()
    for query in ("SELECT count(*) FROM range(100000000) a, range(100000000) b", "SELECT sleep_ms(600000)",
                  "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT max(x) FROM t"):
        with pytest.raises(ResultsError, match="took longer than 0.5 s and was ended; --time-limit allows more"):
            catalog.ask(results, query, limit_s=0.5).read_all()
    assert time.monotonic() - start < 60
    assert threading.active_count() < 20


def test_a_query_in_time_is_answered(results):
    assert catalog.ask(results, "SELECT 1 AS one", limit_s=60).read_all().to_pylist() == [{"one": 1}]


def crowdmood(results: Path, *arguments: str, most_bytes: int | None = None) -> subprocess.CompletedProcess:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({most_bytes},) * 2); " if most_bytes else ""
    return subprocess.run([sys.executable, "-c", f"{limit}from crowdmood.cli import main; main()", "sql", *arguments],
                          capture_output=True, text=True, timeout=120, check=False,
                          env=os.environ | {"CROWDMOOD_RESULTS": str(results)})


def test_a_function_that_cannot_be_interrupted_ends_with_the_process(results):
    ended = crowdmood(results, "SELECT levenshtein(repeat('ab', 900000), repeat('ba', 900000))", "--time-limit", "0.5")
    assert ended.returncode == 1
    assert ended.stderr == "crowdmood: the query took longer than 0.5 s and was ended; --time-limit allows more\n"


@pytest.mark.parametrize("query", [
    "SELECT repeat('x', 20000000) || i FROM range(1000) t(i)",
    "SELECT list(repeat('x', 1000000) || i) FROM range(100000) t(i)",
    "SELECT range(i * 100000000) FROM range(10) t(i)",
])
def test_memory_of_the_machine_is_not_used_up(results, query):
    ended = crowdmood(results, query, "--csv", most_bytes=1 << 30)
    assert ended.returncode == 1 and "Out of Memory" in ended.stderr
    assert ended.stderr.startswith("crowdmood: ") and ended.stderr.count("\n") == 1 and "SET " not in ended.stderr


def test_the_process_gets_less_than_the_machine_has(results):
    code = ("import os, resource\nfrom crowdmood.query_limits import limit_memory\nlimit_memory()\n"
            "print(resource.getrlimit(resource.RLIMIT_DATA)[0] / (os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')))")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert 0 < float(said) <= 0.75


def test_the_database_has_shares_of_memory_and_disk(results):
    names = ("memory_limit", "max_temp_directory_size")
    (said,) = catalog.fetch(results, "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in names)).to_pylist()
    size = {"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}
    memory, disk = (float(text.split()[0]) * 2 ** size[text.split()[1]] for text in said.values())
    assert 0 < memory < 0.6 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < disk < 0.6 * shutil.disk_usage(gettempdir()).total


def test_the_folder_for_temporary_files_cannot_be_guessed(results):
    """In a folder that all may write to, a known name could be a link that somebody else made."""
    names = {catalog.fetch(results, "SELECT current_setting('temp_directory') AS name")["name"][0].as_py() for _ in range(2)}
    assert len(names) == 2 and not any(map(os.path.exists, names))
