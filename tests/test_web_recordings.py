"""Recordings over HTTP, against a real server: the queue, its child processes, and what becomes of them when somebody kills something."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from tests.made_runs import RUN
from tests.web_server import serving

PATIENCE_S = 180
ASKED = {"context": "event", "sample_fps": 0.25}
BROKEN = b"\0\0\0\x18ftypisom" + bytes(20_000)


def upload(client, film: bytes, name: str, analysis: dict | None = None) -> dict:
    """Send a film in two pieces."""
    made = client.post("/api/uploads", json={"name": name, "size_bytes": len(film), "analysis": analysis})
    assert made.status_code == 201, made.text
    state = made.json()
    while not state["whole"]:
        at = state["received"]
        answer = client.patch(f"/api/uploads/{state['id']}", content=film[at:at + max(len(film) // 2, 1)], headers={"Upload-Offset": str(at)})
        assert answer.status_code == 200, answer.text
        state = answer.json()
    return state


def until(look, what: str):
    """What `look` returns once that is true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come")


def analysis_is(client, upload: str, *statuses: str) -> dict:
    def look():
        state = client.get(f"/api/uploads/{upload}/analysis").json()
        return state if state["status"] in statuses else None

    return until(look, f"{statuses} of {upload}")


def children(pid: int) -> list[int]:
    """Analyses that a server has started and that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = path.read_text().rpartition(")")[2].split()
            if int(facts[1]) == pid and facts[0] != "Z" and b"analyze" in (path.parent / "cmdline").read_bytes():
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def results(tmp_path_factory, reported):
    folder = tmp_path_factory.mktemp("web") / "results"
    shutil.copytree(reported, folder)
    return folder


@pytest.fixture(scope="module")
def server(results):
    with serving(results, "--upload-limit", "50MB") as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def client(server):
    with server.program() as client:
        yield client


def test_runs_are_listed_and_found_by_name_or_id(client):
    found = client.get("/api/recordings").json()
    assert found["total"] == 1
    assert {name: found["recordings"][0][name] for name in ("run", "recording", "status", "persons", "faces", "upload")} == {
        "run": RUN, "recording": "concert.mp4", "status": "complete", "persons": 3, "faces": 90, "upload": None}
    for search, total in (("CONC", 1), ("ab12", 1), ("12cd", 0), ("%", 0), ("'; DROP", 0)):
        assert client.get("/api/recordings", params={"search": search}).json()["total"] == total, search
    assert client.get("/api/recordings", params={"start": 1}).json() == {"recordings": [], "total": 1}


def test_the_page_shows_a_run_with_its_mix(client):
    page = client.get("/recordings").text
    assert f'href="/recordings/{RUN}"' in page and "data:image/png;base64," in page and "<b>90</b> faces" in page and "<b>3</b> persons" in page
    rows = client.get("/recordings", headers={"HX-Request": "true"}).text
    assert rows.strip().startswith('<div id="rows"') and f'href="/recordings/{RUN}"' in rows
    assert "No recording is called <b>&lt;i&gt;</b>" in client.get("/recordings", params={"search": "<i>"}).text


@pytest.mark.parametrize(("body", "status"), [
    ({"name": "a.mp4", "size_bytes": 0}, 422), ({"name": "", "size_bytes": 1}, 422), ({"name": "a.mp4", "size_bytes": 10**9}, 413),
    ({"name": "a.mp4", "size_bytes": 9, "analysis": {}}, 422), ({"name": "a.mp4", "size_bytes": 9, "analysis": {"context": "party"}}, 422),
    ({"name": "a.mp4", "size_bytes": 9, "analysis": ASKED | {"start_s": 5, "end_s": 4}}, 400),
    ({"name": "a.mp4", "size_bytes": 9, "analysis": ASKED | {"tiles": "99x1"}}, 422), ({"name": "a.mp4", "size_bytes": 9, "analysis": ASKED | {"detector": "/x.pt"}}, 422),
])
def test_what_makes_no_sense_is_refused_before_anything_is_sent(client, body, status):
    answer = client.post("/api/uploads", json=body)
    assert answer.status_code == status and len(answer.json()["error"]) > 10, answer.text
    assert client.get("/api/uploads").json() == []


def test_pieces_over_http(client):
    made = client.post("/api/uploads", json={"name": "../../etc/a b.mp4", "size_bytes": len(BROKEN)}).json()
    place = f"/api/uploads/{made['id']}"
    assert (made["recording"], made["received"], made["whole"]) == ("a b.mp4", 0, False)
    assert client.patch(place, content=BROKEN[:5000], headers={"Upload-Offset": "0"}).json()["received"] == 5000
    wrong = client.patch(place, content=BROKEN[5000:], headers={"Upload-Offset": "0"})
    assert (wrong.status_code, wrong.json()["error"]) == (409, "5000 bytes of a b.mp4 are here; go on from there.")
    assert client.patch(place, content=b"x").status_code == 422
    assert client.patch(place, content=bytes(8 * 2**20 + 1), headers={"Upload-Offset": "5000"}).status_code == 413
    assert [one["status"] for one in client.get("/api/recordings").json()["recordings"]].count("uploading") == 1
    assert client.post(f"{place}/analysis", json=ASKED).status_code == 409
    assert client.delete(place).status_code == 204 and client.get(place).status_code == 404
    picture = client.post("/api/uploads", json={"name": "a.mp4", "size_bytes": 9}).json()["id"]
    assert client.patch(f"/api/uploads/{picture}", content=b"\x89PNG\r\n\x1a\n!", headers={"Upload-Offset": "0"}).status_code == 415
    assert client.get(f"/api/uploads/{picture}").status_code == 404


@pytest.mark.slow
def test_a_broken_film_fails_with_a_sentence_and_the_next_one_goes_on(client, server, results, clip):
    """One after the other: the first is no film but for its beginning, the second waits, is stopped, begun again, killed, begun again, stopped and removed."""
    broken = upload(client, BROKEN, "broken.mp4", ASKED)["id"]
    good = upload(client, clip.read_bytes(), "good.mp4", ASKED)
    assert good["analysis"]["status"] == "waiting" and client.delete(f"/api/uploads/{good['id']}/analysis").json()["status"] == "stopped"
    assert client.delete(f"/api/uploads/{good['id']}/analysis").status_code == 409
    failed = analysis_is(client, broken, "failed", "done")
    assert failed["status"] == "failed" and failed["error"].startswith("broken.mp4: ") and "Traceback" not in failed["error"]
    page = client.get("/recordings").text
    assert "Try again" in page and "Go on" in page and failed["error"].split(": ")[1] in page
    assert client.post(f"/api/uploads/{good['id']}/analysis", json=ASKED).status_code == 202
    assert client.post(f"/api/uploads/{good['id']}/analysis", json=ASKED).status_code == 409
    child = until(lambda: children(server.process.pid), "an analysis")
    assert client.delete(f"/api/uploads/{good['id']}").status_code == 409  # it is being analyzed
    os.kill(child[0], signal.SIGKILL)
    crashed = analysis_is(client, good["id"], "failed")
    assert "SIGKILL" in crashed["error"] and client.get("/healthz").json() == {"ok": True}
    with server.visitor() as visitor:  # as the button does
        again = visitor.post(f"/recordings/uploads/{good['id']}/analyze", data={"again": "yes"}, headers={"HX-Request": "true"}, follow_redirects=True)
        assert again.status_code == 200 and again.text.strip().startswith('<div id="rows"')
        assert 'class="waiting"' in again.text or 'class="analyzing"' in again.text
        stopped = visitor.post(f"/recordings/uploads/{good['id']}/stop", follow_redirects=True)
        assert "Stopped. What was finished is kept." in stopped.text
    for one in (good["id"], broken):
        until(lambda one=one: client.delete(f"/api/uploads/{one}").status_code == 204, "the end of the analysis")
    assert client.get("/api/uploads").json() == [] and client.get("/api/recordings").json()["total"] == 1
    assert not list(results.glob("uploads/*/upload.json")) and not list(results.rglob("good.mp4"))


@pytest.mark.slow
def test_a_killed_server_takes_up_where_it_was(tmp_path, long_clip):
    """SIGKILL: the analysis ends, too; the next server goes on with its finished chunks, and with what waited."""
    film = long_clip.read_bytes()
    with serving(tmp_path) as server, server.program() as client:
        first = upload(client, film, "first.mp4", ASKED)["id"]
        second = upload(client, BROKEN, "second.mp4", ASKED)["id"]
        third = client.post("/api/uploads", json={"name": "third.mp4", "size_bytes": len(BROKEN)}).json()["id"]
        client.patch(f"/api/uploads/{third}", content=BROKEN[:9000], headers={"Upload-Offset": "0"})
        until(lambda: client.get(f"/api/uploads/{first}/analysis").json()["chunks_done"], "a finished chunk")
        child, = children(server.process.pid)
        server.process.kill()
        server.process.wait()
        until(lambda: not lives(child), "the end of the analysis")
    row = json.loads((tmp_path / "uploads" / first / "analysis.json").read_text())
    assert row["status"] == "waiting", row
    with serving(tmp_path) as server, server.program() as client:
        assert client.get(f"/api/uploads/{third}").json()["received"] == 9000
        done, seen = follow(client, first)
        assert done["status"] == "done" and analysis_is(client, second, "failed")["place"] == 0
        assert min(one["chunks_done"] for one in seen if one["chunks"]) >= 1 and done["chunks"] == 4
        assert [one["percent"] for one in seen] == sorted((one["percent"] for one in seen), key=lambda percent: percent or 0)
        row, = (one for one in client.get("/api/recordings").json()["recordings"] if one["status"] == "complete")
        assert (row["run"], row["recording"], row["context"], row["upload"]) == (done["run"], "first.mp4", "event", first)
        with server.visitor() as visitor:
            assert "The uploaded film goes" in visitor.get(f"/recordings/{done['run']}/remove").text
            assert visitor.post(f"/recordings/{done['run']}/remove").status_code == 303
        assert client.get(f"/api/uploads/{first}").status_code == 404 and not list(tmp_path.rglob(f"*{done['run']}*"))
        client.patch(f"/api/uploads/{third}", content=BROKEN[9000:], headers={"Upload-Offset": "9000"})
        assert client.post(f"/api/uploads/{third}/analysis", json=ASKED).status_code == 202
        for pid in (*until(lambda: children(server.process.pid), "an analysis"), server.process.pid):  # as systemd ends a service
            os.kill(pid, signal.SIGTERM)
        server.process.wait(60)
        assert json.loads((tmp_path / "uploads" / third / "analysis.json").read_text())["status"] == "waiting"
        assert "Traceback" not in server.log.read_text()


def follow(client, upload: str) -> tuple[dict, list[dict]]:
    """The last state of an analysis and all before it, as events."""
    seen, kind = [client.get(f"/api/uploads/{upload}/analysis").json()], None
    if seen[-1]["status"] not in ("done", "failed"):
        with client.stream("GET", "/api/analyses/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
                if line.startswith("data: ") and kind == "analysis" and (state := json.loads(line[6:]))["upload"] == upload:
                    seen.append(state)
                    if state["status"] in ("done", "failed"):
                        break
    return seen[-1], seen
