"""Runs and persons that are removed are gone from everywhere; whatever is killed on the way ends with the same command."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import crowdmood
from crowdmood import catalog, schemas, tables
from crowdmood.cli import crowdmood as commands
from crowdmood.erasure import erase, traces
from crowdmood.errors import CrowdmoodError, ResultsError, RunBusy
from crowdmood.locks import lock, lock_path
from crowdmood.persons import Links
from crowdmood.removal import interrupted, named, outdated, remove
from crowdmood.results import Run, find_run, list_runs
from crowdmood.row_groups import write_table
from tests.made_runs import (
    EMPTY,
    FRAMES,
    PERSONS,
    RUN,
    STARTED,
    face_columns,
    frame_columns,
    links,
    make_parts,
    make_run,
    run_row,
)

ROOT = Path(__file__).parents[1]
OTHER = "cd99cd99cd99"
FINAL = ("faces", "frames", "persons", "timeline")
FACES = (FRAMES - EMPTY) * PERSONS


def invoke(*arguments: object) -> tuple[int, str, str]:
    """Exit code (1: an error that is said in a sentence), stdout, stderr."""
    done = CliRunner().invoke(commands, [str(one) for one in arguments], standalone_mode=False)
    if isinstance(done.exception, CrowdmoodError):
        return 1, done.stdout, str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.return_value or 0, done.stdout, done.stderr


def every_file(results: Path) -> dict[str, bytes]:
    return {path.relative_to(results).as_posix(): path.read_bytes() for path in sorted(results.rglob("*")) if path.is_file()}


def leave_parts(results: Path) -> None:
    """Put the parts of the complete run back, as a process that was killed leaves them."""
    row = tables.read_run(results, RUN)
    make_parts(results)
    tables.write_run(results, row)


def add_report(results: Path, run: str = RUN, recording: str = "concert.mp4") -> Path:
    folder = results / "reports" / recording / run
    folder.mkdir(parents=True)
    for name in ("index.html", "timeline.png"):
        (folder / name).write_text("an old report")
    return folder


def add_comparison(results: Path, name: str, *runs: str) -> Path:
    folder = results / "reports" / "comparisons" / name
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(" ".join(f"<code>{run}</code>" for run in runs))
    (folder / "mix.png").write_text("a picture")
    return folder


@pytest.fixture
def results(tmp_path) -> Path:
    """A results folder with two complete runs."""
    make_run(tmp_path / "results")
    make_run(tmp_path / "results", OTHER, seed=1)
    catalog.refresh(tmp_path / "results")
    return tmp_path / "results"


# Whole runs


def test_a_removed_run_leaves_nothing_and_takes_nothing_of_others(tmp_path):
    results = tmp_path / "results"
    make_run(results, OTHER, seed=1)
    catalog.refresh(results)
    add_report(results, OTHER)
    add_comparison(results, "0123456789ab", OTHER, "ee11ee11ee11")
    (results / "jobs.sqlite").write_bytes(b"a ledger")
    before = every_file(results)
    make_run(results)
    leave_parts(results)
    add_report(results)
    add_comparison(results, "ba9876543210", OTHER, RUN)
    (results / "faces" / f"run={RUN}" / ".part-000001.parquet.77.tmp").write_bytes(b"cut short")
    (results / "timeline" / f".run={RUN}.parquet.77.tmp").write_bytes(b"cut short")
    lock_path(results, RUN).touch()
    (target,) = named(results, [RUN, RUN[:5]])
    assert (target.run, target.recording, target.status) == (RUN, "concert.mp4", "complete")
    assert target.size_bytes == sum(len(content) for name, content in every_file(results).items() if RUN in name)
    remove(results, RUN)
    assert every_file(results) == before
    assert [row["run"] for row in list_runs(results)] == [OTHER] and interrupted(results) == []
    assert not [path for path in results.rglob("*") if RUN in path.name or path.name == "ba9876543210"]
    with duckdb.connect(str(results / "crowdmood.duckdb"), read_only=True) as client:
        assert client.execute("SELECT DISTINCT run FROM faces UNION SELECT run FROM timeline").fetchall() == [(OTHER,)]


def test_a_run_that_was_never_finished_goes_too(tmp_path):
    make_parts(tmp_path, edges=(10, 20))
    make_run(tmp_path, OTHER)
    assert [one.status for one in named(tmp_path, [RUN])] == ["unfinished"]
    remove(tmp_path, RUN)
    assert not [name for name in every_file(tmp_path) if RUN in name]
    assert catalog.fetch(tmp_path, "SELECT DISTINCT run FROM faces").to_pylist() == [{"run": OTHER}]


def test_a_run_that_is_being_analyzed_stays_and_the_others_go(results):
    with lock(results, RUN):
        with pytest.raises(RunBusy, match="is being analyzed"):
            remove(results, RUN)
        code, out, err = invoke("runs", "rm", RUN, OTHER, "--yes", "--json", "--results", results)
    assert code == 3 and "is being analyzed" in err
    assert [(one["run"], one["removed"]) for one in json.loads(out)] == [(RUN, False), (OTHER, True)]
    assert [row["run"] for row in list_runs(results)] == [RUN] and len(find_run(results, RUN).faces) == FACES


def test_who_opened_the_lock_of_a_removed_run_does_not_get_it(results, monkeypatch):
    import fcntl

    taken = fcntl.flock

    def removed_meanwhile(file, how):
        lock_path(results, RUN).unlink()
        taken(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with pytest.raises(RunBusy, match="just being removed"), lock(results, RUN):
        pass


def killed(tmp_path: Path, template: Path, action: str, *more: str) -> list[Path]:
    """Copies of a results folder in which the action was killed, each one step later; the last one is done. more: see tests.kills"""
    command = [sys.executable, "-m", "tests.kills", str(template), str(tmp_path / "copies"), action, *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [tmp_path / "copies" / str(step) for step in range(int(done.stdout))]


def test_killed_at_any_step_a_run_is_whole_or_gone_and_the_same_command_ends_it(tmp_path):
    template = tmp_path / "template"
    make_run(template)
    leave_parts(template)
    make_run(template, OTHER, seed=1)
    add_report(template)
    expected = every_file(template)
    whole = []
    for results in killed(tmp_path, template, "crowdmood.removal.remove(results, run)"):
        listed = {row["run"] for row in list_runs(results)}
        whole.append(RUN in listed)
        if RUN in listed:
            assert {name: content for name, content in every_file(results).items() if not name.endswith(".lock")} == expected
        assert catalog.fetch(results, f"SELECT count(*) AS n FROM faces WHERE run = '{OTHER}'").to_pylist() == [{"n": FACES}]
        if RUN in listed or interrupted(results):
            (again,) = named(results, [RUN])
            remove(results, again.run)
        assert [name for name in every_file(results) if RUN in name] == []
        assert [path for path in results.rglob("*") if RUN in path.name] == []
    assert whole[0] and whole == sorted(whole, reverse=True) and whole.count(False) > 10, "killed too seldom to show anything"


def test_a_half_removed_run_is_found_by_its_recording_and_by_prune(results):
    os.rename(tables.table_path(results, "runs", RUN), results / "runs" / f".run={RUN}.removed")
    with pytest.raises(ResultsError, match=rf"2 runs match 'concert.mp4': {RUN} \(concert.mp4, half removed\)"):
        named(results, ["concert.mp4"])
    tables.write_run(results, tables.read_run(results, OTHER) | {"recording": "talk.mp4", "path": "talk.mp4", "finished": datetime.now(UTC)})
    assert [(one.run, one.status) for one in named(results, ["concert.mp4"])] == [(RUN, "half removed")]
    assert [one.run for one in outdated(results, timedelta(days=1))] == [RUN]
    code, out, err = invoke("runs", "--results", results)
    assert code == 0 and RUN not in out and f"is half removed; `crowdmood runs rm {RUN}`" in err
    assert invoke("runs", "rm", "concert.mp4", "--yes", "--results", results)[0] == 0
    assert not [name for name in every_file(results) if RUN in name]


def test_readers_get_an_answer_while_runs_are_removed(tmp_path):
    runs = [f"{number:012x}" for number in range(1, 6)]
    make_run(tmp_path, OTHER, seed=1)
    for number, run in enumerate(runs):
        make_run(tmp_path, run, seed=number)
    done, answers, failures = threading.Event(), [], []

    def read() -> None:
        while not done.is_set() or not answers:
            try:
                answers.append(catalog.fetch(tmp_path, "SELECT run, count(*) AS n FROM faces GROUP BY run").to_pylist())
                list_runs(tmp_path)
            except ResultsError as error:
                failures.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for run in runs:
        remove(tmp_path, run)
    done.set()
    reader.join(60)
    assert failures == []
    assert all(row["n"] == FACES for rows in answers for row in rows) and all(OTHER in str(rows) for rows in answers)


def old_run(results: Path, run: str, days: float, **changes) -> None:
    when = datetime.now(UTC) - timedelta(days=days)
    tables.write_run(results, run_row(run, started=when, finished=when, status="complete") | changes)


def test_prune_takes_what_everything_applies_to(tmp_path):
    old_run(tmp_path, "a1", 100)
    old_run(tmp_path, "a2", 50)
    old_run(tmp_path, "a3", 10)
    old_run(tmp_path, "b1", 100, digest="e" * 64)
    old_run(tmp_path, "b2", 3, digest="e" * 64, status="failed", error="cut short")
    old_run(tmp_path, "b3", 1, digest="e" * 64, status="running", finished=None)

    def taken(age: float | None = None, *statuses: str, keep: int | None = None) -> list[str]:
        return [one.run for one in outdated(tmp_path, age and timedelta(days=age), statuses, keep)]

    assert taken(90) == ["a1", "b1"] and taken(5) == ["a1", "b1", "a2", "a3"]
    assert taken(None, "failed") == ["b2"] and taken(2, "failed", "unfinished") == ["b2"]
    assert taken(None, "failed", "unfinished") == ["b2", "b3"]
    assert taken(keep=1) == ["a1", "a2"] and taken(keep=2) == ["a1"] and taken(keep=3) == []
    assert taken(2, keep=1) == ["a1", "a2", "b2"]


def test_prune_and_rm_say_what_goes_and_ask(results):
    tables.write_run(results, tables.read_run(results, OTHER) | {"finished": datetime.now(UTC)})
    code, out, _ = invoke("runs", "prune", "--older-than", "12w", "--dry-run", "--results", results)
    assert code == 0 and RUN in out and "concert.mp4" in out and "kB" in out and OTHER not in out
    code, out, err = invoke("runs", "rm", RUN, "--results", results)
    assert code == 1 and "no terminal to ask on; --yes" in err and RUN in out
    assert len(list_runs(results)) == 2
    code, out, _ = invoke("runs", "--results", results, "rm", RUN, "--dry-run", "--json")
    assert code == 0 and json.loads(out)[0]["removed"] is False and len(list_runs(results)) == 2
    code, _, err = invoke("runs", "rm", "opera.mp4", RUN, "--yes", "--results", results)
    assert code == 1 and "no run matches 'opera.mp4'" in err and len(list_runs(results)) == 2
    code, _, err = invoke("runs", "--results", results, "rm", RUN, "--yes")
    assert code == 0 and "1 run removed" in err and [row["run"] for row in list_runs(results)] == [OTHER]
    assert "nothing to remove" in invoke("runs", "prune", "--failed", "--results", results)[2]
    for wrong in ([], ["--older-than", "soon"]):
        done = CliRunner().invoke(commands, ["runs", "prune", "--results", str(results), *wrong])
        assert done.exit_code == 2


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 2), (b"y\n", 1)])
def test_on_a_terminal_it_asks(results, answer, left):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "crowdmood", "runs", "rm", RUN, "--results", str(results)]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        os.write(ours, answer)
        _, said = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert b"Remove 1 run?" in said and len(list_runs(results)) == left
    assert process.returncode == (0 if left == 1 else 1)


def test_runs_without_a_command_lists(results):
    code, out, err = invoke("runs", "--results", results)
    assert code == 0 and RUN in out and OTHER in out and err == ""


# Persons


def without(results: Path, persons: list[int]) -> None:
    """The same run, made as if these persons had not been found."""
    faces, where = face_columns(), links()
    kept = ~np.isin(where.person, persons)
    faces = {name: column[kept] for name, column in faces.items()}
    tables.write_run(results, run_row())
    tables.write_part(results, RUN, 0, tables.part_table("frames", RUN, frame_columns(faces)), tables.part_table("faces", RUN, faces))
    tables.complete(results, RUN, Links(where.track[kept], where.person[kept], where.cut), finished=STARTED, seconds=1.0)


def state(results: Path) -> list:
    """What readers see of the run: a digest of each table, and what is in its row."""
    digests = ", ".join(f"(SELECT bit_xor(hash({table})) FROM {table}) AS {table}" for table in (*FINAL, "runs"))
    return [*catalog.fetch(results, f"SELECT {digests}", RUN).to_pylist(), tables.read_run(results, RUN)]


@pytest.mark.parametrize("persons", [[2], [1, 3], [1, 2, 3]])
def test_an_erased_person_was_never_found(tmp_path, persons):
    make_run(tmp_path / "run")
    without(tmp_path / "expected", persons)
    erase(Run(RUN, tmp_path / "run"), persons)
    for table in FINAL:
        one, two = (tables.table_path(tmp_path / name, table, RUN).read_bytes() for name in ("run", "expected"))
        assert one == two, table
    row, before = (tables.read_run(tmp_path / name, RUN) for name in ("run", "expected"))
    assert row == before | {"erased": len(persons), "chunks": 2, "chunks_done": 2}
    assert row["persons"] == PERSONS - len(persons) and row["faces"] == (FRAMES - EMPTY) * row["persons"]


def test_nothing_of_the_person_is_left_in_any_file(results):
    leave_parts(results)
    add_report(results)
    compared = add_comparison(results, "0123456789ab", RUN, OTHER)
    others = add_comparison(results, "ba9876543210", OTHER, "ee11ee11ee11")
    moments = results / "best" / "of"
    moments.mkdir(parents=True)
    for name in ("01_0-01_happy.jpg", "01_0-01_happy.mp4", "mine.txt"):
        (moments / name).write_text("a picture")
    said = {"run": RUN, "moments": [{"still": "01_0-01_happy.jpg", "clip": "01_0-01_happy.mp4"}, {"still": "../../runs/x", "clip": None}]}
    (moments / "moments.json").write_text(json.dumps(said))
    mine = face_columns()["x1"][links().person == 2].astype(np.float32)
    code, out, _ = invoke("runs", "erase-person", "ab12", 2, "--yes", "--results", results)
    assert code == 0 and "best/of/ (3 files)" in out and "look at them yourself: best/of/ (1 file)" in out
    for path in results.rglob("*.parquet"):
        rows = pq.ParquetFile(path).read()
        if "x1" in rows.column_names and RUN in rows["run"].to_pylist():
            assert not np.isin(mine, rows["x1"].to_numpy()).any(), path
        if "person" in rows.column_names and RUN in rows["run"].to_pylist():
            assert 2 not in rows["person"].to_pylist(), path
    assert not compared.exists() and others.exists()
    assert [path.name for path in moments.iterdir()] == ["mine.txt"]
    page = find_run(results, RUN).report.read_text()
    assert "an old report" not in page and "<html" in page
    assert not [path for path in results.rglob("*") if path.suffix == ".tmp" or path.name.startswith((".staged", ".committed"))]
    assert find_run(results, OTHER).info["erased"] is None and len(find_run(results, OTHER).faces) == FACES


def test_erasing_again_and_more(results):
    run = find_run(results, RUN)
    assert invoke("runs", "erase-person", RUN, 2, "--yes", "--results", results)[0] == 0
    code, _, err = invoke("runs", "erase-person", RUN, 2, "--results", results)
    assert code == 0 and "already" in err
    code, out, _ = invoke("runs", "erase-person", RUN, 2, 3, "--yes", "--json", "--results", results)
    assert code == 0 and json.loads(out) | {"files": []} == {
        "run": RUN, "recording": "concert.mp4", "persons": [3], "faces": FRAMES - EMPTY, "files": [], "unknown": [], "erased": True}
    assert run.info["erased"] == 2 and run.persons["person"].to_pylist() == [1] and run.report is None
    with pytest.raises(ResultsError, match="has no person 4"):
        traces(run, [1, 4])
    assert catalog.fetch(results, "SELECT erased FROM runs ORDER BY run").to_pylist() == [{"erased": 2}, {"erased": None}]


def test_what_cannot_be_done_changes_nothing(results):
    before = every_file(results)
    assert invoke("runs", "erase-person", RUN, 2, "--results", results)[0] == 1
    assert invoke("runs", "erase-person", RUN, 2, "--dry-run", "--results", results)[0] == 0
    assert invoke("runs", "erase-person", RUN, 7, "--yes", "--results", results)[0] == 1
    with lock(results, RUN):
        assert "is being analyzed" in invoke("runs", "erase-person", RUN, 2, "--yes", "--results", results)[2]
    assert {name: content for name, content in every_file(results).items() if not name.endswith(".lock")} == before
    make_parts(results, "ee11ee11ee11")
    assert "is not complete" in invoke("runs", "erase-person", "ee11", 2, "--yes", "--results", results)[2]


@pytest.mark.slow
def test_killed_at_any_step_a_person_is_there_or_gone_from_everything(tmp_path):
    template, expected = tmp_path / "template", tmp_path / "expected"
    make_run(template)
    leave_parts(template)
    make_run(expected)
    before = state(expected)
    erase(Run(RUN, expected), [2])
    after, gone = state(expected), []
    final = {name: content for name, content in every_file(expected).items() if not name.endswith(".lock")}
    for results in killed(tmp_path, template, "crowdmood.erasure.erase(Run(run, results), [2])", r"(?<!\.tmp)$"):
        seen = state(results)
        assert seen in (before, after), results
        gone.append(seen == after)
        erase(Run(RUN, results), [2])
        assert {name: content for name, content in every_file(results).items() if not name.endswith(".lock")} == final
    assert not gone[0] and gone == sorted(gone) and 3 < gone.index(True) < len(gone) - 4, "killed too seldom to show anything"


@pytest.mark.slow
def test_no_report_shows_an_erased_person_and_a_new_one_is_made_in_the_end(tmp_path):
    template = tmp_path / "template"
    make_run(template)
    add_report(template)
    action = "crowdmood.erasure.erase(Run(run, results), [2])"
    (stopped,) = killed(tmp_path, template, action, rf"/\.staged/run={RUN}$", "1")
    run = find_run(stopped, RUN)
    assert len(run.persons) == PERSONS and run.report is None  # the old one went just before the new tables were to count
    erase(run, [2])
    assert len(run.persons) == PERSONS - 1 and "<html" in run.report.read_text()


def test_readers_get_an_answer_while_a_person_is_erased(results):
    done, answers, failures = threading.Event(), set(), []

    def read() -> None:
        while not done.is_set() or not answers:
            try:
                query = "SELECT (SELECT count(*) FROM faces) AS faces, (SELECT sum(faces) FROM timeline) AS looked"
                answers.add(tuple(catalog.fetch(results, query, RUN).to_pylist()[0].values()))
            except ResultsError as error:
                failures.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for person in range(1, PERSONS + 1):
        erase(Run(RUN, results), [person])
    done.set()
    reader.join(60)
    known = {FACES - erased * (FRAMES - EMPTY) for erased in range(PERSONS + 1)}
    assert failures == [] and {number for answer in answers for number in answer} <= known


def test_rows_written_before_there_was_a_column_for_it_are_read(tmp_path):
    make_run(tmp_path)
    path = tables.table_path(tmp_path, "runs", RUN)
    older = pa.schema([field for field in schemas.RUNS if field.name != "erased"], metadata=schemas.RUNS.metadata)
    rows = pq.ParquetFile(path).read().select(older.names)
    write_table(path, older, [rows])
    catalog.refresh(tmp_path)
    assert catalog.fetch(tmp_path, "SELECT persons, erased FROM runs").to_pylist() == [{"persons": PERSONS, "erased": None}]
    assert len(list_runs(tmp_path)) == 1
    make_run(tmp_path, OTHER)
    with duckdb.connect(str(tmp_path / "crowdmood.duckdb"), read_only=True) as client:
        assert client.execute("SELECT count(*), count(erased) FROM runs").fetchone() == (2, 0)
    erase(Run(RUN, tmp_path), [1])
    with duckdb.connect(str(tmp_path / "crowdmood.duckdb"), read_only=True) as client:
        assert client.execute("SELECT sum(erased) FROM runs").fetchone() == (1,)


@pytest.mark.slow
def test_an_erased_run_is_neither_analyzed_again_nor_trusted_to_cover_faces(clip, tmp_path):
    settings = {"results": tmp_path, "end_s": 1.0, "sample_fps": 3.0, "imgsz": 320}
    run = crowdmood.analyze(clip, **settings)
    erase(run, [1])
    before = every_file(tmp_path)
    assert crowdmood.analyze(clip, **settings).info["erased"] == 1
    assert {name: content for name, content in every_file(tmp_path).items() if not name.startswith("crowdmood.duckdb")} == {
        name: content for name, content in before.items() if not name.startswith("crowdmood.duckdb")}
    code, _, err = invoke("render", run.id, "--anonymize", "-o", tmp_path / "film.mp4", "--results", tmp_path)
    assert code == 1 and "would stay uncovered" in err and not (tmp_path / "film.mp4").exists()
    from crowdmood.thumbnails import thumbnails

    pictures, why = thumbnails(run, [{"peak_s": 0.4}])
    assert pictures == {} and "persons were erased" in why
