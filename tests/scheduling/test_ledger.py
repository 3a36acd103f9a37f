"""The ledger file: versions, damage, and several processes at once."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from crowdmood.errors import ResultsError
from crowdmood.scheduling.ledger import LEDGER, Ledger, restored, stored
from crowdmood.scheduling.migrations import MIGRATIONS, NEWEST

OLD_ROWS = """
INSERT INTO jobs (job, since) VALUES ('nightly', 1000.0);
INSERT INTO turns (job, cause, due, state) VALUES ('nightly', 'schedule', 2000.0, 'done');
INSERT INTO recordings (job, run, path, size, mtime, digest, state) VALUES ('nightly', 'ab12', '/in/a.mp4', 1, 2.0, 'd', 'set aside');
INSERT INTO attempts (turn, job, run, path, started, outcome, error) VALUES (1, 'nightly', 'ab12', '/in/a.mp4', 2001.0, 'failed', 'why');
"""
HOLD = """
import sys
from pathlib import Path
from crowdmood.scheduling.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(40):
    with ledger.writing() as database:
        count = database.execute("SELECT since FROM jobs WHERE job = 'count'").fetchone()[0]
        database.execute("UPDATE jobs SET since = ? WHERE job = 'count'", (count + 1,))
"""


def shape(path: Path) -> list[tuple]:
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return [(table, *column) for table in tables for column in database.execute(f"PRAGMA table_info({table})")]


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_a_ledger_of_each_version_becomes_the_newest_and_keeps_its_rows(tmp_path, version):
    with closing(sqlite3.connect(tmp_path / LEDGER)) as database:
        database.executescript("\n".join(MIGRATIONS[:version]) + OLD_ROWS + f"PRAGMA user_version = {version}")
    ledger = Ledger(tmp_path)
    assert ledger.set_aside is None
    with ledger.reading() as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == NEWEST
        assert database.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert tuple(database.execute("SELECT job, since, look_again FROM jobs").fetchone()) == ("nightly", 1000.0, None)
        assert tuple(database.execute("SELECT run, state FROM recordings").fetchone()) == ("ab12", "set aside")
        assert tuple(database.execute("SELECT outcome, error FROM attempts").fetchone()) == ("failed", "why")
    assert shape(ledger.path) == shape(Ledger(tmp_path / "new").path)


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / LEDGER)) as database:
        database.executescript("CREATE TABLE future (x); PRAGMA user_version = 99")
    before = (tmp_path / LEDGER).read_bytes()
    with pytest.raises(ResultsError, match="newer crowdmood .version 99"):
        Ledger(tmp_path)
    assert (tmp_path / LEDGER).read_bytes() == before


@pytest.mark.parametrize("damage", [
    lambda content: b"not a database" * 1000, lambda content: b"", lambda content: content[: len(content) // 2],
    lambda content: content[:4096] + b"\xff" * (len(content) - 4096)], ids=["text", "empty", "cut short", "overwritten"])
def test_a_damaged_ledger_is_set_aside_and_said(tmp_path, damage, caplog):
    path = Ledger(tmp_path).path
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    ledger = Ledger(tmp_path)
    assert ledger.set_aside.read_bytes() == damaged
    assert "damaged" in caplog.text
    with ledger.writing() as database:
        database.execute("INSERT INTO jobs (job, since) VALUES ('nightly', 1.0)")
    assert Ledger(tmp_path).set_aside is None


def test_what_raises_changes_nothing(tmp_path):
    ledger = Ledger(tmp_path)
    with pytest.raises(ValueError, match="stop"), ledger.writing() as database:
        database.execute("INSERT INTO jobs (job, since) VALUES ('nightly', 1.0)")
        raise ValueError("stop")
    with ledger.reading() as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone()[0] == 0


def test_rows_that_make_no_sense_are_refused(tmp_path):
    ledger = Ledger(tmp_path)
    for wrong in ("INSERT INTO turns (job, cause, due) VALUES ('unknown', 'schedule', 1.0)",
                  "INSERT INTO jobs (job, since) VALUES ('nightly', 'yesterday')"):
        with pytest.raises(ResultsError, match="cannot be used"), ledger.writing() as database:
            database.execute(wrong)


def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path):
    with Ledger(tmp_path).writing() as database:
        database.execute("INSERT INTO jobs (job, since) VALUES ('count', 0.0)")
    writers = [subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)]) for _ in range(3)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    with Ledger(tmp_path).reading() as database:
        assert database.execute("SELECT since FROM jobs").fetchone()[0] == 120.0


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"):
        Ledger(tmp_path / "file" / "results")


@pytest.mark.parametrize("name", ["/in/a b.mp4", "/in/новый\n'\"--.mp4", "/in/caf\udce9.mp4", "s3://bucket/a.mp4"])
def test_names_come_back_as_they_were(tmp_path, name):
    ledger = Ledger(tmp_path)
    with ledger.writing() as database:
        database.execute("INSERT INTO files VALUES (?, 1, 2, 3, 'd')", (stored(name),))
    with ledger.reading() as database:
        assert restored(database.execute("SELECT path FROM files WHERE path = ?", (stored(name),)).fetchone()[0]) == name
