"""The views: of a results folder, of one run, and in crowdmood.duckdb for any client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from crowdmood import catalog, tables
from crowdmood.errors import ResultsError
from crowdmood.results import find_run, list_runs, results_folder
from crowdmood.schemas import TABLES
from tests.made_runs import EMPTY, FRAMES, PERSONS, RUN, face_columns, links, make_parts, make_run, run_row

FACES = (FRAMES - EMPTY) * PERSONS
OTHER = "cd99"
AWKWARD = "it's [a] *strange* ?folder"


def one(results: Path, query: str):
    (row,) = catalog.fetch(results, query).to_pylist()
    (value,) = row.values()
    return value


def outside(results: Path, query: str) -> list[tuple]:
    """What a DuckDB client gets that knows only crowdmood.duckdb."""
    with duckdb.connect(str(results / "crowdmood.duckdb"), read_only=True) as client:
        return client.sql(query).fetchall()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a complete run, beside a file that is none of its business. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    make_run(folder / "results")
    (folder / "hidden.txt").write_text("hush")
    return folder / "results"


@pytest.fixture(params=["results", AWKWARD])
def results(request, made, tmp_path) -> Path:
    """A folder with a complete run, and one of which parts are there."""
    folder = tmp_path / request.param
    shutil.copytree(made, folder)
    make_parts(folder, OTHER, seed=1)
    catalog.refresh(folder)
    return folder


def test_views_have_complete_and_unfinished_runs(results):
    for table, rows in {
        "faces": 2 * FACES,
        "frames": 2 * FRAMES,
        "persons": PERSONS,
        "timeline": 8,
        "runs": 2,
    }.items():
        query = f"SELECT count(*) FROM {table}"
        assert one(results, query) == rows
        assert outside(results, query) == [(rows,)]
    unfinished = f"SELECT count(*) FROM faces WHERE person IS NULL AND run = '{OTHER}'"
    assert one(results, unfinished) == outside(results, unfinished)[0][0] == FACES


def test_views_have_the_types_of_the_schemas_with_and_without_files(results, tmp_path):
    catalog.refresh(tmp_path / "none yet")
    for table, schema in TABLES.items():
        expected = [(field.name, catalog.sql_type(field)) for field in schema]
        for folder in (results, tmp_path / "none yet"):
            query = f"SELECT column_name, column_type FROM (DESCRIBE {table})"
            assert [tuple(row.values()) for row in catalog.fetch(folder, query).to_pylist()] == expected
            assert outside(folder, query) == expected
        assert outside(tmp_path / "none yet", f"FROM {table}") == []


def test_the_catalog_explains_its_columns(results):
    comments = dict(
        outside(results, "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'faces'")
    )
    assert comments["size_px"] == "square root of the box's area [px]"
    assert all(comments.values())
    views = dict(outside(results, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"))
    assert views == {table: schema.metadata[b"description"].decode() for table, schema in TABLES.items()}


def test_the_catalog_opens_from_any_folder_and_sees_new_runs(results, tmp_path):
    make_run(results, "ef01", seed=2)
    script = (
        f"import duckdb; print(duckdb.connect({str(results / 'crowdmood.duckdb')!r}, read_only=True).sql("
        "'SELECT count(DISTINCT run) FROM persons').fetchall())"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    printed = subprocess.run(
        [sys.executable, "-c", script], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert printed.stdout == "[(2,)]\n"


def test_the_catalog_is_made_anew_when_the_folder_has_moved_and_only_then(results, tmp_path):
    path = results / "crowdmood.duckdb"
    before = path.stat().st_ino
    assert catalog.refresh(results) == path and path.stat().st_ino == before
    moved = tmp_path / "moved"
    shutil.move(results, moved)
    catalog.refresh(moved)
    assert outside(moved, "SELECT count(*) FROM faces") == [(2 * FACES,)]


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 1000])
def test_a_broken_catalog_is_made_anew(results, content):
    (results / "crowdmood.duckdb").write_bytes(content)
    catalog.refresh(results)
    assert outside(results, "SELECT count(*) FROM runs") == [(2,)]


def test_a_reader_is_not_disturbed_by_a_new_catalog(tmp_path):
    make_run(tmp_path)
    catalog.refresh(tmp_path)
    with duckdb.connect(str(tmp_path / "crowdmood.duckdb"), read_only=True) as client:
        (tmp_path / "crowdmood.duckdb").rename(tmp_path / "old")
        catalog.refresh(tmp_path)
        assert client.sql("SELECT count(*) FROM faces").fetchall() == [(FACES,)]


def test_parts_and_file_of_one_run_count_once(tmp_path):
    make_parts(tmp_path)
    for table in ("faces", "frames"):
        shutil.copytree(tmp_path / table, tmp_path / "kept" / table)
    tables.complete(tmp_path, RUN, links())
    shutil.copytree(
        tmp_path / "kept", tmp_path, dirs_exist_ok=True
    )  # as when killed before the parts are removed
    catalog.refresh(tmp_path)
    for table, rows in (("faces", FACES), ("frames", FRAMES)):
        assert one(tmp_path, f"SELECT count(*) FROM {table}") == rows
        assert outside(tmp_path, f"SELECT count(*) FROM {table}") == [(rows,)]


@pytest.mark.parametrize(
    "query",
    [
        "COPY faces TO '{results}/out.csv'",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "EXPORT DATABASE '{results}/out'",
        "WITH x AS (COPY (SELECT 1) TO '{results}/out.csv') SELECT * FROM x",
        "SELECT * FROM (WITH x AS (COPY (SELECT 1) TO '{results}/out.csv') SELECT * FROM x)",
        "PIVOT (WITH x AS (COPY (SELECT 1) TO '{results}/out.csv') FROM x) ON count",
        "SELECT * FROM query('WITH x AS (COPY (SELECT 1) TO ''{results}/out.csv'') FROM x')",
        "WITH x AS (INSERT INTO runs (run) VALUES ('x') RETURNING *) FROM x",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{results}/out.csv'",
        "EXPLAIN SELECT 1",
        "CREATE TABLE t (i INTEGER)",
        "CREATE VIEW v AS SELECT 1",
        "INSERT INTO runs (run) VALUES ('x')",
        "DROP VIEW faces",
        "DELETE FROM faces",
        "ATTACH '{results}/out.db'",
        "ATTACH '{results}/crowdmood.duckdb' AS c",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA enable_external_access",
        "CALL enable_logging()",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY (SELECT 1) TO '{results}/out.csv'",
        "SELECT 1) ; COPY (SELECT 1) TO '{results}/out.csv'; SELECT * FROM (SELECT 1",
        "BEGIN",
        "CHECKPOINT",
        "USE memory",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_text('{results}/../hidden.txt')",
        "FROM '{results}/../hidden.txt'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "FROM of_python",
    ],
)
def test_a_query_can_neither_write_nor_read_elsewhere(made, query):
    before = {path: path.read_bytes() for path in made.parent.rglob("*") if path.is_file()}
    of_python = pa.table({"value": ["hush"]})
    with pytest.raises(ResultsError) as caught:
        catalog.fetch(made, query.format(results=made))
    assert of_python and "\n" not in str(caught.value) and "hush" not in str(caught.value)
    assert {path: path.read_bytes() for path in made.parent.rglob("*") if path.is_file()} == before
    assert not Path("/tmp/out.csv").exists()


@pytest.mark.parametrize(
    "query, rows",
    [
        ("FROM faces", FACES),
        ("SELECT 'a;b' AS \"c;d\"; -- and a remark; with ;", 1),
        ("/* é; */ SELECT 1;", 1),
        ("WITH x AS (FROM frames) SELECT * FROM x ORDER BY frame DESC", FRAMES),
        ("DESCRIBE faces", len(TABLES["faces"])),
        ("SUMMARIZE persons", len(TABLES["persons"])),
        ("SHOW TABLES", len(TABLES)),
        ("VALUES (1), (2)", 2),
        ("PIVOT faces ON expression USING count(*) GROUP BY person", PERSONS),
    ],
)
def test_queries_that_read_are_answered(made, query, rows):
    assert len(catalog.fetch(made, query)) == rows


def test_the_order_asked_for_is_the_order_given(made):
    frames = catalog.fetch(made, "SELECT frame FROM frames ORDER BY frame DESC")["frame"].to_pylist()
    assert frames == sorted(frames, reverse=True)


@pytest.mark.parametrize(
    "query, message",
    [
        ("SELECT hapy FROM faces", r'"hapy" not found.*Candidate bindings: "happy"'),
        ("SELECT * FROM face", r"Table with name face does not exist! Did you mean \"faces\"\?"),
        ("SELEC 1", r'syntax error at or near "SELEC"'),
        ("SELECT expression::INTEGER FROM faces", "Could not convert string"),
        ("", "the query is empty"),
        (" ; -- nothing", "the query is empty"),
    ],
)
def test_a_wrong_query_is_one_sentence(made, query, message):
    with pytest.raises(ResultsError, match=message) as caught:
        catalog.fetch(made, query)
    assert "\n" not in str(caught.value) and "LINE" not in str(caught.value)


def test_a_query_that_does_not_fit_into_memory_spills(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with catalog.connect(made, memory_limit="100MB") as database:
        rows = database.sql("SELECT i, repeat(i::VARCHAR, 5) FROM range(4_000_000) t(i) ORDER BY hash(i)")
        assert sum(len(batch) for batch in pa.RecordBatchReader.from_stream(rows)) == 4_000_000
    assert not list(tmp_path.iterdir())


def test_a_run_has_its_tables_alone(results):
    run = find_run(results, RUN)
    assert len(run.faces) == FACES and len(run.frames) == FRAMES and len(run.persons) == PERSONS
    assert run.timeline["second"].to_pylist() == list(range(8))
    for table in ("faces", "frames", "persons", "timeline"):
        assert getattr(run, table).schema.equals(TABLES[table], check_metadata=True)
    assert run.sql("SELECT DISTINCT run FROM faces").to_pylist() == [{"run": RUN}]
    assert run.sql("SELECT count(*) AS n FROM runs").to_pylist() == [{"n": 1}]
    assert isinstance(run.persons.to_pandas(), pd.DataFrame)
    pd.testing.assert_series_equal(
        run.faces.to_pandas()["happy"], pd.Series(face_columns()["happy"].astype("float32"), name="happy")
    )


def test_an_unfinished_run_has_what_was_scanned(results):
    run = find_run(results, OTHER)
    assert len(run.faces) == FACES and len(run.frames) == FRAMES
    assert len(run.persons) == 0 and len(run.timeline) == 0
    assert run.info["status"] == "running" and run.report is None


def test_a_runs_report_is_found(results):
    run = find_run(results, RUN)
    assert run.report is None
    run.report_folder.mkdir(parents=True)
    (run.report_folder / "index.html").write_text("<html>")
    assert run.report == results / "reports" / "concert.mp4" / RUN / "index.html"


def test_runs_are_found_by_id_beginning_and_recording(tmp_path):
    make_run(tmp_path)
    tables.write_run(tmp_path, run_row(OTHER, recording="talk.mkv", path="/films/talk.mkv"))
    for name in (RUN, "ab1", "concert.mp4", "concert", "/films/concert.mp4"):
        assert find_run(tmp_path, name).id == RUN
    assert find_run(tmp_path, "talk").id == OTHER
    with pytest.raises(
        ResultsError, match=rf"no run matches 'film'; known: {RUN} \(concert.mp4\), {OTHER} \(talk.mkv\)"
    ):
        find_run(tmp_path, "film")


def test_a_name_that_fits_two_runs_is_refused(results):
    with pytest.raises(ResultsError, match=f"2 runs match 'concert': .*{RUN}.*give an id"):
        find_run(results, "concert")


def test_a_missing_or_empty_results_folder_is_said(tmp_path):
    with pytest.raises(ResultsError, match="no results folder"):
        find_run(tmp_path / "nowhere", "concert")
    with pytest.raises(ResultsError, match="no runs in"):
        find_run(tmp_path, "concert")
    assert not (tmp_path / "nowhere").exists()


def test_runs_are_listed_with_how_far_they_are(results):
    tables.write_run(results, run_row("ee", status="failed", error="no space", chunks=40))
    listed = {row["run"]: row for row in list_runs(results)}
    assert listed[RUN]["status"] == "complete" and listed[RUN]["persons"] == PERSONS
    assert (listed[OTHER]["status"], listed[OTHER]["chunks_done"], listed[OTHER]["faces"]) == (
        "unfinished",
        2,
        FACES,
    )
    assert (listed["ee"]["status"], listed["ee"]["error"], listed["ee"]["chunks_done"]) == (
        "failed",
        "no space",
        0,
    )


def test_the_results_folder_that_was_asked_for(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROWDMOOD_RESULTS", raising=False)
    assert results_folder() == tmp_path / "crowdmood-results"
    monkeypatch.setenv("CROWDMOOD_RESULTS", os.fspath(tmp_path / "elsewhere"))
    assert results_folder() == tmp_path / "elsewhere"
    assert results_folder("given") == tmp_path / "given"
