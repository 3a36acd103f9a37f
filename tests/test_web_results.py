"""The page of a run and the operations on runs: the right film and no other, figures as SQL has them, files to take away."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
from urllib.parse import unquote
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from PIL import Image

from crowdmood.answers import figures
from crowdmood.results import Run
from crowdmood.web.made_once import MadeOnce
from crowdmood.web.web_pages import part
from tests.made_runs import RUN
from tests.pages import EVIL, Page
from tests.web_runs import (
    BROKEN,
    CHANGED,
    GONE,
    ODD,
    PHOTOS,
    SIZE,
    UNFINISHED,
    make_results,
    tell,
)
from tests.web_server import serving


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="module")
def server(results):
    with serving(results) as one:
        yield one
        assert "Traceback" not in one.log.read_text()


@pytest.fixture(scope="module")
def client(server):
    with server.program() as one:
        yield one


@pytest.fixture(scope="module")
def run(results) -> Run:
    return Run(RUN, results)


@pytest.fixture(scope="module")
def known(run) -> dict:
    return figures(run)


def page_of(client, address, tmp_path) -> Page:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    (tmp_path / "page.html").write_text(answer.text, encoding="utf-8")
    return Page(tmp_path / "page.html")


def test_the_page_says_what_the_report_says(client, known, tmp_path):
    page, said = page_of(client, f"/recordings/{RUN}", tmp_path), known
    assert ("video", "/api/runs/" + RUN + "/film") in [(tag, facts.get("src")) for tag, facts in page.elements]
    for words in ("concert.mp4", "Over time", "Persons", "Take it away", f"{said['overview']['persons']}", f"{said['overview']['usable_faces']} usable faces",
                  "Method, models, limits, law", "expressions shown, not emotions felt"):
        assert words in page.text
    inline = [facts for tag, facts in page.elements if tag == "script" and "src" not in facts and facts.get("type") != "application/json"]
    handlers = [name for _, facts in page.elements for name in facts if name.startswith("on")]
    assert not inline and not handlers


def test_what_is_no_run_is_not_found(client):
    assert client.get("/recordings/0123456789ab").status_code == 404
    assert "no run 0123456789ab" in client.get("/api/runs/0123456789ab").json()["error"]
    for wrong in ("..%2F..%2Fetc", "ab12cd34ef5", "AB12CD34EF56", "ab12cd34ef56%00"):
        assert client.get(f"/recordings/{wrong}").status_code in (404, 422)
        assert client.get(f"/api/runs/{wrong}/film").status_code in (404, 422)


def test_ranges_of_the_film(client, results):
    content = (results.parent / "concert.mp4").read_bytes()
    whole = client.get(f"/api/runs/{RUN}/film")
    assert whole.content == content and whole.headers["content-type"] == "video/mp4" and whole.headers["accept-ranges"] == "bytes"
    part = client.get(f"/api/runs/{RUN}/film", headers={"Range": "bytes=100-1099"})
    assert part.status_code == 206 and part.content == content[100:1100] and part.headers["content-range"] == f"bytes 100-1099/{len(content)}"
    assert client.get(f"/api/runs/{RUN}/film", headers={"Range": "bytes=-50"}).content == content[-50:]
    assert client.get(f"/api/runs/{RUN}/film", headers={"Range": f"bytes={len(content)}-"}).status_code == 416


@pytest.mark.parametrize(("which", "why"), [(GONE, "is no longer where it was"), (CHANGED, "has changed since it was analyzed")])
def test_only_what_was_analyzed_is_played(client, which, why, tmp_path):
    refused = client.get(f"/api/runs/{which}/film")
    assert refused.status_code == 404 and why in refused.json()["error"]
    page = page_of(client, f"/recordings/{which}", tmp_path)
    assert why in page.text and "Everything else on this page works without it" in page.text and "Over time" in page.text
    assert "video" not in [tag for tag, _ in page.elements]


def test_a_film_that_is_replaced_is_played_no_more(client, results, tmp_path):
    film = results.parent / "other.mp4"
    film.write_bytes(b"a" * 5000)
    tell(results, ODD, film, recording=EVIL)
    assert client.get(f"/api/runs/{ODD}/film").content == b"a" * 5000
    film.write_bytes(b"b" * 5000)
    refused = client.get(f"/api/runs/{ODD}/film")
    assert refused.status_code == 404 and "changed" in refused.json()["error"]
    film.write_bytes(b"a" * 5000)
    assert client.get(f"/api/runs/{ODD}/film").status_code == 200


def test_tables_as_files(client, run):
    parquet = client.get(f"/api/runs/{RUN}/tables/faces")
    assert pq.read_table(io.BytesIO(parquet.content)).num_rows == len(run.faces)
    assert parquet.headers["content-disposition"] == 'attachment; filename="concert-faces.parquet"'
    rows = list(csv.DictReader(io.StringIO(client.get(f"/api/runs/{RUN}/tables/timeline", params={"format": "csv"}).text)))
    assert [int(row["second"]) for row in rows] == run.timeline["second"].to_pylist()
    persons = client.get(f"/api/runs/{RUN}/tables/persons", params={"format": "json"}).json()
    assert [row["person"] for row in persons] == run.persons["person"].to_pylist()
    assert client.get(f"/api/runs/{RUN}/tables/tiles").status_code == 404
    assert client.get(f"/api/runs/{RUN}/tables/..%2Fruns").status_code in (404, 422)


def test_a_name_that_is_an_attack_is_a_name(client, tmp_path):
    page = page_of(client, f"/recordings/{ODD}", tmp_path)
    assert EVIL.replace("  ", " ") in page.text and "img" not in [tag for tag, facts in page.elements if "onerror" in facts]
    name = client.get(f"/api/runs/{ODD}/tables/persons?format=csv").headers["content-disposition"].partition("utf-8''")[2]
    assert unquote(name) == EVIL.removesuffix(".mp4") + "-persons.csv"


def test_report_pictures_and_subtitles(client, run):
    report = client.get(f"/api/runs/{RUN}/report")
    assert "attachment" in report.headers["content-disposition"] and "<h1>concert.mp4</h1>" in report.text
    assert Image.open(io.BytesIO(client.get(f"/api/runs/{RUN}/pictures/mix").content)).size == (1600, 900)
    assert ElementTree.fromstring(client.get(f"/api/runs/{RUN}/pictures/timeline?format=svg").content).tag.endswith("svg")
    assert run.report is not None and client.get(f"/api/runs/{RUN}/pictures/other").status_code == 422
    assert client.get(f"/api/runs/{RUN}/moods").text.startswith("WEBVTT")


def test_what_programs_are_told(client, known):
    assert {row["run"]: row["status"] for row in client.get("/api/runs").json()} | {UNFINISHED: "unfinished", RUN: "complete"} == {
        row["run"]: row["status"] for row in client.get("/api/runs").json()}
    assert [row["run"] for row in client.get("/api/runs", params={"contains": "BROKEN"}).json()] == [BROKEN]
    facts, said = client.get(f"/api/runs/{RUN}").json(), client.get(f"/api/runs/{RUN}/figures").json()
    assert facts["recording"] == "concert.mp4" and facts["options"] == {"imgsz": 640} and facts["started"] == "2026-01-02T03:04:05Z"
    assert said["overview"]["persons"] == known["overview"]["persons"] and said["mix"][0]["share"] == pytest.approx(known["mix"][0]["share"])
    assert {row["measure"]: row["persons"] for row in said["headline"]} == {name: row["persons"] for name, row in known["headline"].items()}


def test_pictures_of_moments_are_jpegs(client, known):
    moments = known["moments"]
    assert moments
    picture = Image.open(io.BytesIO(client.get(f"/api/runs/{RUN}/moments/0").content))
    assert picture.format == "JPEG" and picture.size == SIZE
    assert client.get(f"/api/runs/{RUN}/moments/{len(moments)}").status_code == 404
    assert client.get(f"/api/runs/{GONE}/moments/0").status_code == 404


def test_faces_of_a_stretch_are_those_of_the_table(client, run):
    frames = client.get(f"/api/runs/{RUN}/faces", params={"start": 1, "length": 2}).json()
    expected = run.sql("SELECT time_s, count(*) AS faces, any_value(x1) FILTER (face = 0) AS x1 FROM faces WHERE time_s >= 1 AND time_s < 3 GROUP BY time_s ORDER BY time_s").to_pylist()
    assert [(frame["time_s"], len(frame["faces"]), frame["faces"][0]["x1"]) for frame in frames] == [(row["time_s"], row["faces"], row["x1"]) for row in expected]
    unusable = {frame["time_s"] for frame in frames for face in frame["faces"] if face["expression"] == "uncertain" and face["share"] is None}
    assert unusable == set(run.sql("SELECT DISTINCT time_s FROM faces WHERE NOT usable AND time_s >= 1 AND time_s < 3")["time_s"].to_pylist())
    assert client.get(f"/api/runs/{RUN}/faces", params={"start": 7, "length": 1}).json()[0]["faces"] == []  # the last frames show nobody
    assert client.get(f"/api/runs/{RUN}/faces", params={"length": 31}).status_code == 422


def test_photos_and_what_is_not_complete(client):
    assert client.get(f"/recordings/{PHOTOS}").headers["location"] == f"/photos/{PHOTOS}"
    page = client.get(f"/recordings/{UNFINISHED}")
    assert page.status_code == 200 and "Not analyzed to its end yet" in page.text
    for operation in ("figures", "tables/faces", "report", "pictures/mix", "moods", "moments/0"):
        refused = client.get(f"/api/runs/{UNFINISHED}/{operation}")
        assert refused.status_code == 409 and "no figures of it yet" in refused.json()["error"]


def test_a_run_that_changes_has_another_page(client, results):
    before = client.get(f"/recordings/{BROKEN}").text
    tell(results, BROKEN, results.parent / "broken.mp4", recording="renamed.mp4")
    assert "renamed.mp4" not in before and "renamed.mp4" in client.get(f"/recordings/{BROKEN}").text


def test_a_run_that_never_had_five_persons_at_a_time_says_so():
    said = part("timeline.html.j2", steps="[]")
    assert "At no time could five persons be read" in said and "chart" not in said


def test_what_many_ask_for_is_made_once():
    async def ask():
        gate, made, once = threading.Event(), [], MadeOnce(2)

        def make(value):
            gate.wait(60)
            made.append(value)
            return 10 // value

        asked = [asyncio.ensure_future(once.get("a", "now", make, 1)) for _ in range(50)]
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.gather(*asked) == [10] * 50 and made == [1]
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await once.get("b", "now", make, 0)
        assert made == [1, 0, 0]  # a failure is not kept
        assert await once.get("a", "now", make, 2) == 10 and await once.get("a", "later", make, 2) == 5  # what it is made of has changed
        for key in "cda":
            assert await once.get(key, "later", make, 5) == 2  # the oldest is forgotten

    asyncio.run(ask())
