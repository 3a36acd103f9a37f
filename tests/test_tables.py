"""Parts, completion, and what a kill leaves behind."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crowdmood import catalog, schemas, signature, tables
from crowdmood.errors import ResultsError
from crowdmood.labels import EXPRESSIONS
from crowdmood.persons import Links
from crowdmood.row_groups import ROW_GROUP, write_table
from tests.forks import forked
from tests.made_runs import (
    EMPTY,
    FRAMES,
    PERSONS,
    RUN,
    face_columns,
    frame_columns,
    links,
    make_parts,
    make_run,
    run_row,
)

FINAL = ("faces", "frames", "persons", "timeline")
# Completes a run and kills itself just before its n-th rename or removal.
KILLED = """
import os, signal, sys
from pathlib import Path
from crowdmood import tables
from tests.made_runs import RUN, STARTED, links
left = int(sys.argv[2])
def watch(event, _):
    global left
    if event in ("os.rename", "os.remove", "os.rmdir"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
tables.complete(Path(sys.argv[1]), RUN, links(), finished=STARTED, seconds=1.0)
print("done")
"""


def final_bytes(results: Path, run: str = RUN) -> dict[str, bytes]:
    return {table: tables.table_path(results, table, run).read_bytes() for table in FINAL}


def hand_drawn(results: Path) -> None:
    """Two persons in three frames at 0.0, 0.4 and 1.0 s; the recording lasts 1.2 s.

    Person 1: neutral 0.9 and happy 0.1, then neutral 0.5 and happy 0.5, then an unusable face.
    Person 2 only in the second frame, angry 0.6 and happy 0.4. A flicker in the third is nobody.
    """
    mix = {"neutral": [0.9, 0.5, 0, 0.0, 1], "happy": [0.1, 0.5, 0.4, 1.0, 0], "angry": [0, 0, 0.6, 0, 0]}
    rows = 5
    faces = {name: np.zeros(rows) for name in schemas.FACES_PART.names if name != "run"}
    faces |= {name: np.array(mix.get(name, [0] * rows), np.float32) for name in EXPRESSIONS}
    faces |= {
        "frame": np.array([0, 12, 12, 30, 30]),
        "pts": np.zeros(rows, np.int64),
        "face": [0, 0, 1, 0, 1],
        "time_s": np.array([0.0, 0.4, 0.4, 1.0, 1.0]),
        "usable": np.array([True, True, True, False, False]),
        "size_px": np.array([10, 20, 40, 60, 5]),
        "expression": ["neutral", "happy", "angry", *["uncertain"] * 2],
        "valence": np.array([0.1, 0.5, -0.2, 1.0, 0]),
    }
    frames = {
        "frame": np.array([0, 12, 30]),
        "pts": np.zeros(3, np.int64),
        "time_s": np.array([0.0, 0.4, 1.0]),
        "faces": np.array([1, 2, 2]),
        "usable_faces": np.array([1, 2, 0]),
        "signature": np.zeros((3, 180)),
        "tiles": [b""] * 3,
    }
    tables.write_run(results, run_row(duration_s=1.2, chunks=1))
    tables.write_part(
        results, RUN, 0, tables.part_table("frames", RUN, frames), tables.part_table("faces", RUN, faces)
    )
    person = np.array([1, 1, 2, 1, -1], np.int32)
    tables.complete(
        results, RUN, Links(np.array([1, 1, 2, 3, -1], np.int32), person, np.array([0, 0, 1], bool))
    )


def rows_of(results: Path, table: str) -> list[dict]:
    return pq.ParquetFile(tables.table_path(results, table, RUN)).read().to_pylist()


def near(expected):
    """As exact as probabilities are stored (schemas.STEPS); positivity and means have a little of several."""
    return pytest.approx(expected, abs=1 / 4096)


def test_every_column_has_a_unit_and_a_description():
    for schema in (*schemas.TABLES.values(), *schemas.PARTS.values()):
        assert schema.metadata[b"description"]
        for field in schema:
            assert field.metadata[b"description"] and b"unit" in field.metadata, field.name
    assert schemas.SIGNATURE_BYTES == signature.SIGNATURE_BYTES


def test_the_table_reference_says_what_the_schemas_say():
    text = (Path(__file__).parents[1] / "docs" / "tables.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    for table, schema in schemas.TABLES.items():
        assert schema.metadata[b"description"].decode() in sections[table]
        lines = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", sections[table], re.M)
        kinds = {name: (kind, unit, text) for name, kind, unit, text in lines}
        assert list(kinds) == schema.names
        for field in schema:
            said = tuple(field.metadata[key].decode() for key in (b"unit", b"description"))
            assert kinds[field.name] == (catalog.sql_type(field), *said), f"{table}.{field.name}"


def test_the_units_are_in_the_files(tmp_path):
    make_run(tmp_path)
    for table in FINAL:
        assert pq.read_schema(tables.table_path(tmp_path, table, RUN)).equals(
            schemas.TABLES[table], check_metadata=True
        )
    column = pq.read_metadata(tables.table_path(tmp_path, "faces", RUN)).row_group(0).column(0)
    assert column.compression == "ZSTD" and column.has_dictionary_page


def test_part_table_refuses_columns_that_do_not_fit():
    columns = face_columns()
    with pytest.raises(ValueError, match="smile"):
        tables.part_table("faces", RUN, columns | {"smile": columns["happy"]})
    with pytest.raises(ValueError, match="score"):
        tables.part_table("faces", RUN, {name: column for name, column in columns.items() if name != "score"})
    frames = frame_columns(columns)
    with pytest.raises(ValueError, match="180"):
        tables.part_table("frames", RUN, frames | {"signature": np.zeros((FRAMES, 179), np.uint8)})


def test_nan_becomes_null():
    columns = face_columns() | {"sharpness": np.full((FRAMES - EMPTY) * PERSONS, np.nan)}
    assert tables.part_table("faces", RUN, columns)["sharpness"].null_count == (FRAMES - EMPTY) * PERSONS


def test_parts_come_back_in_time_order_as_arrays(tmp_path):
    make_parts(tmp_path, edges=(7, 20, 33))
    faces = tables.read_parts(tmp_path, RUN, "faces", ["frame", "x1", "usable"])
    expected = face_columns()
    np.testing.assert_array_equal(faces["frame"], expected["frame"])
    np.testing.assert_array_equal(faces["x1"], expected["x1"].astype(np.float32))
    assert faces["usable"].dtype == bool
    signatures = tables.read_parts(tmp_path, RUN, "frames", ["signature"])["signature"]
    assert signatures.dtype == np.uint8
    np.testing.assert_array_equal(signatures, np.tile(np.arange(180), (FRAMES, 1)))


def test_no_parts_are_arrays_without_rows(tmp_path):
    found = tables.read_parts(tmp_path, RUN, "frames", ["frame", "signature"])
    assert found["frame"].shape == (0,) and found["frame"].dtype == np.int64
    assert found["signature"].shape == (0, 180)
    assert tables.parts_done(tmp_path, RUN) == set()


@pytest.mark.parametrize("table", ["faces", "frames"])
@pytest.mark.parametrize("damage", ["empty", "cut short", "gone"])
def test_a_damaged_part_is_not_done_and_is_dropped(tmp_path, table, damage):
    make_parts(tmp_path, edges=(10, 20))
    part = tables.part_path(tmp_path, table, RUN, 1)
    if damage == "gone":
        part.unlink()
    else:
        part.write_bytes(b"" if damage == "empty" else part.read_bytes()[:-100])
    assert tables.parts_done(tmp_path, RUN) == {0, 2}
    assert not any(tables.part_path(tmp_path, name, RUN, 1).exists() for name in ("faces", "frames"))


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    with pytest.raises(ResultsError, match="cannot be written: Not a directory"):
        make_parts(tmp_path / "results")


def test_a_runs_row_comes_back(tmp_path):
    tables.write_run(tmp_path, run_row())
    row = tables.read_run(tmp_path, RUN)
    assert row["options"] == {"imgsz": 640} and row["started"] == run_row()["started"]
    assert row["schema_version"] == schemas.SCHEMA_VERSION and row["width"] is None
    assert tables.read_run(tmp_path, "another") is None
    with pytest.raises(ValueError, match="colour"):
        tables.write_run(tmp_path, run_row(colour="red"))


def test_faces_of_a_complete_run(tmp_path):
    hand_drawn(tmp_path)
    faces = rows_of(tmp_path, "faces")
    assert [row["person"] for row in faces] == [1, 1, 2, 1, None]
    assert [row["track"] for row in faces] == [1, 1, 2, 3, None]
    # Person 1 is usable twice: the median of neutral 0.9 and 0.5 is 0.7.
    assert [row["expressiveness"] for row in faces] == [near(-0.2), near(0.2), near(0.0), None, None]


def test_frames_of_a_complete_run(tmp_path):
    hand_drawn(tmp_path)
    frames = rows_of(tmp_path, "frames")
    assert [row["shown_s"] for row in frames] == [near(0.4), near(0.6), near(0.2)]  # the last ends at 1.2 s
    assert [row["persons"] for row in frames] == [1, 2, 1]
    assert [row["cut"] for row in frames] == [False, False, True]
    assert [row["happy"] for row in frames] == [near(0.1), near(0.45), None]
    assert [row["positivity"] for row in frames] == [near(0.1), near(0.15), None]
    assert "signature" not in frames[0]


def test_persons_of_a_complete_run(tmp_path):
    hand_drawn(tmp_path)
    first, second = rows_of(tmp_path, "persons")
    assert (first["person"], first["first_s"], first["last_s"], first["seen_s"]) == (1, 0.0, 1.0, near(1.2))
    assert (first["frames"], first["usable_frames"], first["tracks"], first["size_px"]) == (3, 2, 2, 20)
    assert (first["neutral"], first["happy"], first["expression"]) == (near(0.7), near(0.3), "neutral")
    assert (second["frames"], second["expression"], second["positivity"]) == (1, "angry", near(-0.2))


def test_timeline_of_a_complete_run(tmp_path):
    hand_drawn(tmp_path)
    first, second = rows_of(tmp_path, "timeline")
    assert (first["second"], first["frames"], first["faces"], first["usable_faces"]) == (0, 2, 3, 3)
    assert (first["persons"], first["happy"], first["coverage"]) == (2, near(1 / 3), 1)
    assert (first["valence"], first["positivity"]) == (near(0.4 / 3), near(1 / 3 - 0.2))
    assert (second["second"], second["faces"], second["usable_faces"], second["coverage"]) == (1, 2, 0, 0)
    assert second["happy"] is None and second["persons"] == 1


def test_a_second_without_frames_has_a_row(tmp_path):
    frame = np.array([0, 90])
    frames = {
        "frame": frame,
        "pts": frame,
        "time_s": np.array([0.0, 3.0]),
        "faces": np.zeros(2),
        "usable_faces": np.zeros(2),
        "signature": np.zeros((2, 180)),
        "tiles": [b""] * 2,
    }
    none = {name: column[:0] for name, column in face_columns().items()}
    tables.write_run(tmp_path, run_row())
    tables.write_part(
        tmp_path, RUN, 0, tables.part_table("frames", RUN, frames), tables.part_table("faces", RUN, none)
    )
    nobody = np.zeros(0, np.int32)
    tables.complete(tmp_path, RUN, Links(nobody, nobody, np.zeros(2, bool)))
    seconds = rows_of(tmp_path, "timeline")
    assert [(row["second"], row["frames"], row["coverage"]) for row in seconds] == [
        (0, 1, None),
        (1, 0, None),
        (2, 0, None),
        (3, 1, None),
    ]
    assert rows_of(tmp_path, "persons") == []


def test_the_row_of_a_complete_run(tmp_path):
    make_parts(tmp_path)
    tables.complete(tmp_path, RUN, links(), seconds=12.5)
    row = tables.read_run(tmp_path, RUN)
    assert row["status"] == "complete" and row["seconds"] == 12.5 and row["chunks_done"] == 2
    assert (row["faces"], row["persons"], row["frames_analyzed"]) == (
        (FRAMES - EMPTY) * PERSONS,
        PERSONS,
        FRAMES,
    )
    assert not (tmp_path / "frames" / f"run={RUN}").exists()
    assert [path.name for path in (tmp_path / "faces" / f"run={RUN}").iterdir()] == ["faces.parquet"]


def test_links_that_do_not_fit_change_nothing(tmp_path):
    make_parts(tmp_path)
    good = links()
    for bad in (
        Links(good.track[1:], good.person[1:], good.cut),
        Links(good.track, good.person, good.cut[1:]),
    ):
        with pytest.raises(ValueError, match="for"):
            tables.complete(tmp_path, RUN, bad)
    assert tables.read_run(tmp_path, RUN)["status"] == "running"
    assert tables.parts_done(tmp_path, RUN) == {0, 1}
    assert not list(tmp_path.rglob("*.tmp")) and not tables.table_path(tmp_path, "faces", RUN).exists()


def test_other_chunks_give_the_same_bytes(tmp_path):
    for folder, edges in {"one": (), "again": (), "many": (1, 2, 13, 39)}.items():
        make_parts(tmp_path / folder, edges=edges)
        tables.complete(tmp_path / folder, RUN, links())
    assert final_bytes(tmp_path / "one") == final_bytes(tmp_path / "again") == final_bytes(tmp_path / "many")


def test_row_groups_are_cut_anew(tmp_path):
    schema = pa.schema([schemas.FACES.field("run"), schemas.FACES.field("frame")])
    rows = pa.table({"run": ["a"] * 150_000 + ["b"] * 150_000, "frame": np.arange(300_000)})
    for name, step in {"one": 300_000, "many": 70_001}.items():
        pieces = (rows[start : start + step] for start in range(0, 300_000, step))
        assert write_table(tmp_path / name, schema, pieces) == 300_000
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()
    index = pq.read_metadata(tmp_path / "one")
    assert [index.row_group(i).num_rows for i in range(index.num_row_groups)] == [
        ROW_GROUP,
        ROW_GROUP,
        300_000 - 2 * ROW_GROUP,
    ]
    assert pq.ParquetFile(tmp_path / "one").read()["run"].cast(pa.string()).equals(rows["run"])


def counts_through(ask) -> list[tuple]:
    return [
        ask(f"SELECT count(*), count(DISTINCT ({key})) FROM {table}")
        for table, key in (("faces", "frame, face"), ("frames", "frame"))
    ]


def check_views(results: Path) -> None:
    """Every row exactly once, for us and for any DuckDB client."""
    faces = (FRAMES - EMPTY) * PERSONS
    expected = [(faces, faces), (FRAMES, FRAMES)]
    assert (
        counts_through(lambda query: tuple(catalog.fetch(results, query).to_pylist()[0].values())) == expected
    )
    with duckdb.connect(str(results / "crowdmood.duckdb"), read_only=True) as client:
        assert counts_through(lambda query: client.execute(query).fetchone()) == expected


@pytest.mark.slow
def test_killed_at_any_step_every_row_is_there_once_and_the_next_try_ends_the_same(tmp_path):
    make_parts(tmp_path / "whole")
    tables.complete(tmp_path / "whole", RUN, links())
    expected = final_bytes(tmp_path / "whole")
    statuses = []
    for step in range(100):
        results = tmp_path / str(step)
        make_parts(results)
        catalog.refresh(results)
        ended = forked.run(KILLED, results, step)
        check_views(results)
        statuses.append(tables.read_run(results, RUN)["status"])
        if statuses[-1] != "complete":
            assert tables.parts_done(results, RUN) == {0, 1}
            tables.complete(results, RUN, links())
        tables.remove_parts(results, RUN)
        check_views(results)
        assert final_bytes(results) == expected
        assert not list(results.rglob("*.tmp")) and not list(results.glob("*/run=*/part-*"))
        if ended.returncode == 0:
            break
        assert ended.returncode == -9, ended.stderr
    assert ended.stdout == "done\n"
    assert "running" in statuses[4:] and "complete" in statuses[:-2], "killed too seldom to show anything"
