"""Removing from results on S3, on a real server on loopback."""

from __future__ import annotations

import pytest

pytest.importorskip("s3fs", reason="the extra 's3' is not installed")
pytest.importorskip("moto.server", reason="the extra 'test' is not installed")

from crowdmood import catalog
from crowdmood.erasure import erase
from crowdmood.errors import ResultsError, RunBusy
from crowdmood.removal import interrupted, named, remove
from crowdmood.results import Run, find_run, list_runs
from crowdmood.uploads import Upload, uploading
from tests.made_runs import EMPTY, FRAMES, PERSONS, RUN, make_parts, make_run
from tests.test_s3 import bucket, folder, server, upload_run  # noqa: F401 fixtures

OTHER = "cd99cd99cd99"
FACES = (FRAMES - EMPTY) * PERSONS
PAGE = f"reports/concert.mp4/{RUN}/index.html"
COMPARISON = "reports/comparisons/0123456789ab/index.html"


def test_a_run_on_s3_goes_from_there_and_from_the_local_folder(server, folder, monkeypatch, tmp_path):  # noqa: F811
    upload_run(folder, OTHER, seed=1)
    before = {name: folder.read(name) for name in folder.files("")}
    upload_run(folder)
    make_parts(folder.local)
    Upload(folder, RUN).grow()  # parts there and here, as after a kill
    for name in (f"reports/concert.mp4/{RUN}/index.html", COMPARISON):
        folder.write(name, f"<code>{RUN}</code>".encode())
    (target,) = named(folder, ["ab12"])
    assert target.size_bytes == sum(entry["size"] for name, entry in folder.files("").items() if RUN in name)
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        with uploading(folder, RUN):
            patch.undo()
            with pytest.raises(RunBusy, match="is being analyzed by"):
                remove(folder, RUN)
    posts: list[str] = []
    server.refuses = lambda method, path: method == "POST" and (posts.append(path) or len(posts) > 1)  # the row goes, then nothing
    with pytest.raises(ResultsError):
        remove(folder, RUN)
    server.refuses = lambda method, path: False
    assert [row["run"] for row in list_runs(folder)] == [OTHER] and [row["run"] for row in interrupted(folder)] == [RUN]
    remove(folder, named(folder, [RUN])[0].run)
    assert {name: folder.read(name) for name in folder.files("")} == before
    assert not [path for path in folder.local.rglob("*") if RUN in path.name]


def test_a_person_is_erased_from_a_run_on_s3(server, folder, tmp_path):  # noqa: F811
    upload_run(folder)
    make_run(tmp_path / "here")
    run = find_run(folder, RUN)
    server.refuses = lambda method, path: method == "PUT" and "timeline" in path
    with pytest.raises(ResultsError):
        erase(run, [2])
    assert 2 in run.persons["person"].to_pylist(), "what is not finished cannot be told from what is"
    server.refuses = lambda method, path: False
    for name in (PAGE, PAGE.replace("index.html", "old.png"), COMPARISON):
        folder.write(name, f"an old page of {RUN}".encode())
    erase(run, [2])
    erase(Run(RUN, tmp_path / "here"), [2])
    for table in ("faces", "frames", "persons", "timeline"):
        assert getattr(run, table).equals(getattr(Run(RUN, tmp_path / "here"), table)), table
    assert run.info == find_run(tmp_path / "here", RUN).info
    assert (run.info["erased"], run.info["persons"]) == (1, PERSONS - 1)
    assert b"<html" in folder.read(PAGE) and not folder.files(COMPARISON, PAGE.replace("index.html", "old.png"))
    assert not [path for path in folder.local.rglob("*.parquet") if path.parts[-2] != "empty"], "copies stay here"
    assert not list(folder.local.rglob("*.tmp")) and not any(name.endswith(".lease") for name in folder.files("runs/"))
    assert catalog.fetch(folder, "SELECT count(*) AS n FROM faces").to_pylist() == [{"n": FACES - FRAMES + EMPTY}]
