"""Photos in the web application: sent, refused, ranked, shown and removed, by programs and in a real browser."""

from __future__ import annotations

import io
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from crowdmood.options import Execution
from crowdmood.web.photos.albums import SentAlbums
from crowdmood.web.photos.rankings import Rankings
from crowdmood.web.refusals import NotFound
from crowdmood.web.settings import WebSettings
from tests.browser import PROGRAM, Browser
from tests.photo_files import photograph, png_bomb
from tests.rated_pictures import write_brightness_model
from tests.web_server import Server, serving


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Photos to be sent, and files that are none."""
    folder = tmp_path_factory.mktemp("pictures")
    photograph("hopper", 300).save(folder / "hopper.jpg", quality=90)
    photograph("pair", 300).save(folder / "pair of <b>two.png")
    photograph("hopper", 240).point(lambda value: value // 4).save(folder / "dark.webp", quality=90)
    png_bomb(folder / "bomb.png")
    (folder / "text.jpg").write_text("no photo")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a popularity model."""
    folder = tmp_path_factory.mktemp("photo-server")
    write_brightness_model(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROWDMOOD_POPULARITY", str(folder / "model"))
        with serving(folder / "results") as running:
            yield running


def begin(client: httpx.Client, name: str = "Party") -> str:
    return client.post("/api/photos/albums", json={"name": name}).raise_for_status().json()["album"]


def put(client: httpx.Client, album: str, path: Path, name: str | None = None) -> httpx.Response:
    return client.post(f"/api/photos/albums/{album}/photos", params={"name": name or path.name}, content=path.read_bytes(),
                       headers={"Content-Type": "application/octet-stream"})


def ranked(client: httpx.Client, album: str) -> str:
    """Have an album ranked, and wait for its run."""
    client.post(f"/api/photos/albums/{album}/ranking").raise_for_status()
    until = time.monotonic() + 180
    while (state := client.get(f"/api/photos/albums/{album}").json())["status"] in ("waiting", "reading") and time.monotonic() < until:
        time.sleep(0.2)
    assert state["status"] == "done", state
    return state["run"]


def results_of(server: Server) -> Path:
    """The server's results folder."""
    command = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().decode().split("\0")
    return Path(command[command.index("--results") + 1])


@pytest.fixture(scope="module")
def party(server, pictures) -> tuple[str, str]:
    """A ranked album that stays: its id and its run."""
    with server.program() as client:
        album = begin(client)
        for name in ("hopper.jpg", "pair of <b>two.png", "dark.webp"):
            assert put(client, album, pictures / name).status_code == 201
        return album, ranked(client, album)


def test_an_album_is_sent_ranked_and_read(server, party, pictures):
    with server.program() as client:
        everything = client.get("/api/photos").json()
        assert party[1] in [run["run"] for run in everything["runs"]] and everything["popularity"] is True
        order = client.get(f"/api/photos/runs/{party[1]}").json()
        assert order["name"] == "Party" and order["total"] == 3 and not order["left_out"]
        assert {row["file"] for row in order["photos"]} == {"001 hopper.jpg", "002 pair of _b_two.png", "003 dark.webp"}
        assert [row["place"] for row in order["photos"]] == [1, 2, 3] and all(row["boxes"] for row in order["photos"])
        some = client.get(f"/api/photos/runs/{party[1]}", params={"labels": ["happy", "neutral"], "count": 1, "start": 1}).json()
        (row,) = some["photos"]
        assert row["place"] == 2 and all(sum(share for _, share in face["bars"]) == pytest.approx(1) for face in row["boxes"])
        assert [[name for name, _ in face["bars"]] for face in row["boxes"]] == [["happy", "neutral"]] * len(row["boxes"])
        groups = client.get(f"/api/photos/runs/{party[1]}", params={"group": "true"}).json()
        assert groups["total"] == 1 and "pair" in groups["photos"][0]["file"]
        bright = client.get(f"/api/photos/runs/{party[1]}", params={"by": "popularity"}).json()["photos"]
        assert "dark" in bright[-1]["file"] and bright[-1]["popularity"] < 0.2 < bright[0]["popularity"]


def test_pictures_cover_and_table_are_sent(server, party):
    with server.program() as client:
        frame = client.get(f"/api/photos/runs/{party[1]}").json()["photos"][0]["frame"]
        with Image.open(io.BytesIO(client.get(f"/photos/{party[1]}/picture/{frame}", params={"side": "360"}).raise_for_status().content)) as image:
            assert image.format == "JPEG" and max(image.size) == 360
        with Image.open(io.BytesIO(client.get(f"/photos/{party[1]}/cover.jpg").raise_for_status().content)) as cover:
            assert cover.size == (1600, 1600)
        table = client.get(f"/photos/{party[1]}/ranking.csv").raise_for_status()
        assert len(table.text.splitlines()) == 4 and table.headers["content-type"].startswith("text/csv")
        for path, status in ((f"/photos/{party[1]}/picture/99", 404), (f"/photos/{party[1]}/photo/99", 404), ("/photos/ffffffffffff", 404),
                             ("/photos/..%2f..%2fetc", 404), (f"/photos/{party[1]}?labels=happy", 400), (f"/photos/{party[1]}?by=beauty", 422)):
            assert client.get(path).status_code == status, path


def test_one_photo_is_told_and_not_kept(server, pictures):
    with server.program() as client:
        told = client.post("/api/photos/show", params={"by": "popularity"}, content=(pictures / "hopper.jpg").read_bytes()).raise_for_status().json()
        assert len(told["faces"]) == 1 and told["format"] == "JPEG" and told["popularity"] > 0.2
        assert client.post("/api/photos/show", content=b"nothing").status_code == 415


def test_what_is_no_photo_is_refused(server, pictures):
    with server.program() as client:
        album = begin(client, "Bad")
        for name, words in (("bomb.png", "60000 x 60000 is too large"), ("text.jpg", "no picture of a kind that can be read")):
            answer = put(client, album, pictures / name)
            assert answer.status_code == 415 and words in answer.json()["error"]
        assert client.get(f"/api/photos/albums/{album}").json()["photos"] == 0
        assert client.post(f"/api/photos/albums/{album}/ranking").status_code == 409
        large = client.post(f"/api/photos/albums/{album}/photos", content=(b"\xff\xd8\xff" + bytes(1_000_000) for _ in range(60)))
        assert large.status_code == 413
        assert put(client, "0" * 12, pictures / "hopper.jpg").status_code == 404
        folder = results_of(server) / "uploads" / "albums" / album
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
        assert client.delete(f"/api/photos/albums/{album}").status_code == 204 and not folder.exists()


@pytest.mark.parametrize("name", ["../../../up.jpg", "/etc/passwd", "..", "a\0b.jpg", ".hidden.jpg", "x" * 299, "   ", "C:\\win.jpg", "\u202egpj.exe"])
def test_names_lead_nowhere(server, pictures, name):
    with server.program() as client:
        album = begin(client, name[:200])
        answer = put(client, album, pictures / "hopper.jpg", name)
        assert answer.status_code == 201
        taken = answer.json()["photo"]
        place = results_of(server) / "uploads" / "albums" / album
        (inside,) = (path for path in place.rglob("*") if path.name == taken)
        assert inside.parent.parent == place and taken.startswith("001 ") and taken.endswith(".jpg") and "/" not in taken
        client.delete(f"/api/photos/albums/{album}")


def test_what_was_changed_is_not_shown_and_an_album_is_removed_with_all_that_was_found(server, pictures):
    with server.program() as client:
        album = begin(client, "Short")
        put(client, album, pictures / "hopper.jpg")
        run = ranked(client, album)
        (path,) = (results_of(server) / "uploads" / "albums" / album).rglob("001*")
        photograph("pair", 200).save(path)
        assert client.get(f"/photos/{run}/picture/0").status_code == 404 and client.get(f"/photos/{run}").status_code == 200
        put(client, album, pictures / "dark.webp")
        assert client.get(f"/api/photos/albums/{album}").json()["status"] == "open"  # there is one more than was ranked
        assert client.delete(f"/api/photos/runs/{run}").status_code == 204
        left = client.get("/api/photos").json()
        assert run not in [row["run"] for row in left["runs"]] and album not in [one["album"] for one in left["albums"]]
        assert not (results_of(server) / "uploads" / "albums" / album).exists()


def test_albums_know_their_folders(tmp_path):
    albums = SentAlbums(tmp_path, 1000)
    album = albums.begin("../Party.jpg")
    assert albums.of(str(album.pictures)).id == album.id and album.pictures.parent.parent == tmp_path
    for path in (tmp_path, tmp_path / album.id, tmp_path.parent, album.pictures / "x", Path("/etc")):
        assert albums.of(str(path)) is None
    assert albums.begin("").name.startswith("Photos of ")
    assert albums.rename(album.id, "../Sunday").name == "Sunday" and albums.rename(album.id, " ").pictures.is_dir()


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")
def test_pictures_are_dropped_and_seen_ranked(server, pictures):
    with Browser() as browser:
        browser.open(f"{server.address}/photos")
        browser.drop_files("label.drop", pictures / "hopper.jpg", pictures / "pair of <b>two.png", pictures / "text.jpg")
        browser.wait_for("document.querySelectorAll('#sent .here').length === 2 && document.querySelectorAll('#sent .refused').length === 1", 60)
        assert "text.jpg" in browser.evaluate("document.getElementById('notices').textContent")
        browser.wait_for("document.getElementById('sent-state').textContent === '2 photos here, 1 refused'")
        browser.click("#album-name")
        browser.type("Sunday")
        browser.click("#send-photos [type=submit]")
        browser.wait_for("document.querySelectorAll('.photos .photo').length === 2 && document.readyState === 'complete'", 180)
        assert browser.evaluate("document.querySelector('h1').textContent") == "Sunday"
        browser.wait_for("document.querySelector('.cover-picture img').naturalWidth === 1600")
        browser.click("#show-boxes")
        browser.wait_for("getComputedStyle(document.querySelector('.photo .boxes')).opacity === '1'")
        browser.click(".photo .shot")
        browser.wait_for("document.querySelector('.one-photo img')?.naturalWidth > 0")
        assert browser.evaluate("document.querySelectorAll('.faces .card').length === document.querySelectorAll('.frame rect').length")
        browser.evaluate("history.back()")
        browser.wait_for("document.getElementById('remove') && document.readyState === 'complete'")
        browser.click("#remove")
        browser.wait_for("document.getElementById('ask-remove').open")
        browser.click("#really")
        browser.wait_for("location.pathname === '/photos' && document.getElementById('send-photos')")
        assert not [said for said in browser.complaints() if "415" not in said]


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")
def test_pages_fit_and_are_named(server, party):
    frame = httpx.get(f"{server.address}/api/photos/runs/{party[1]}").json()["photos"][0]["frame"]
    pages = ("/photos", f"/photos/{party[1]}?labels=happy&labels=sad", f"/photos/{party[1]}/photo/{frame}")
    with Browser() as browser:
        for address, width in ((address, width) for address in pages for width in (1280, 390)):
            browser.open(server.address + address, width)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert browser.evaluate("[...document.querySelectorAll('img')].every(image => image.hasAttribute('alt'))")
            assert browser.evaluate("[...document.querySelectorAll('input:not([type=hidden]), select')].every(one => one.labels.length)")
            assert browser.evaluate("document.querySelectorAll('h1').length") == 1 and not browser.complaints()


def test_what_an_earlier_server_has_left_is_taken_up(tmp_path):
    settings = WebSettings(tmp_path / "results", execution=Execution(threads=1))
    albums = SentAlbums(settings.uploads / "albums", 1_000_000)
    album, removed = albums.begin("Left"), albums.begin("Removed")
    photograph("hopper", 200).save(album.pictures / "001 hopper.jpg")
    for one in (removed, album):
        albums.ask(one.id, True)
    rankings = Rankings(albums, settings)
    rankings.begin()
    try:
        albums.remove(removed.id)
        until = time.monotonic() + 180
        while rankings.is_held(album.id) and time.monotonic() < until:
            time.sleep(0.1)
        found = rankings.of(albums.find(album.id))
        assert (found.status, found.done) == ("done", 1) and not albums.find(album.id).asked
        with pytest.raises(NotFound):
            albums.find(removed.id)
    finally:
        rankings.end()
    assert Rankings(albums, settings).of(albums.find(album.id)).run == found.run  # the next server knows it too
