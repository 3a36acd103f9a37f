"""The list of recordings in a real browser: a film is dropped, the page is left and comes back, the film goes on, is analyzed, and is removed."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("fastapi")

from tests.browser import PROGRAM, Browser
from tests.made_runs import RUN
from tests.web_server import serving

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="no chromium")]
STATUS = "document.querySelector('#rows li[data-upload]')?.className"


@pytest.fixture(scope="module")
def server(tmp_path_factory, reported):
    results = tmp_path_factory.mktemp("web-browser") / "results"
    shutil.copytree(reported, results)
    with serving(results) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def film(clip, tmp_path_factory):
    """The demo clip with a box at its end that players skip: some 3 MB, three pieces."""
    path = tmp_path_factory.mktemp("film") / "our concert.mp4"
    path.write_bytes(clip.read_bytes() + (2**21).to_bytes(4, "big") + b"free" + bytes(2**21 - 8))
    return path


def throttle(browser, bytes_per_s: int) -> None:
    browser.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=bytes_per_s)


def choose_context(browser, context: str) -> None:
    browser.evaluate(f"(() => {{ const select = document.getElementById('context'); select.value = '{context}'; "
                     "select.dispatchEvent(new Event('change', {bubbles: true})); })()")


def test_a_dropped_film_survives_a_reload_and_becomes_a_result(server, browser, film, tmp_path):
    browser.open(f"{server.address}/recordings")
    assert browser.wait_for("document.querySelectorAll('#rows li').length") == 1
    browser.drop_files("#send .drop", film)
    browser.wait_for("!document.getElementById('ask').hidden")
    assert browser.evaluate("document.activeElement.id") == "context"
    browser.click("#ask button[type=submit]")
    assert browser.evaluate("document.getElementById('send').checkValidity()") is False  # nothing is chosen, nothing is sent
    assert not [one for one in browser.requested() if one.endswith("/api/uploads")]
    choose_context(browser, "work")
    assert "Art. 5(1)(f)" in browser.wait_for("document.querySelector('[data-law]:not([hidden])')?.textContent")
    choose_context(browser, "event")
    assert browser.evaluate("document.querySelectorAll('[data-law]:not([hidden])').length") == 0
    browser.evaluate("document.querySelector('.how').open = true; document.getElementById('sample_fps').value = '1'")
    throttle(browser, 600_000)
    browser.click("#ask button[type=submit]")
    browser.wait_for("/[1-9]\\d? % of 3/.test(document.querySelector('#chosen .says').textContent)")
    throttle(browser, 1000)
    with server.program() as client:
        browser.open(f"{server.address}/recordings", 390)
        throttle(browser, -1)
        upload, = client.get("/api/uploads").json()
        assert 0 < upload["received"] < upload["size_bytes"]
        assert "choose the same file again" in browser.wait_for("document.querySelector('#rows li.uploading')?.textContent")
        browser.give_files("#files", film)
        browser.wait_for("!document.getElementById('ask').hidden")
        choose_context(browser, "event")
        browser.click("#ask button[type=submit]")
        browser.wait_for(f"{STATUS} === 'analyzing' && document.querySelector('#rows progress')")
        assert [one["id"] for one in client.get("/api/uploads").json()] == [upload["id"]]
        assert not [one for one in browser.requested() if one.endswith("/api/uploads")]  # it was gone on with, not begun anew
        browser.wait_for("/finding faces|following persons/.test(document.querySelector('#rows .says').textContent)")
        browser.wait_for(f"{STATUS} === 'complete'", 180)
    assert "is analyzed" in browser.evaluate("document.getElementById('notices').textContent")
    line = browser.evaluate("document.querySelector('#rows li[data-upload]').innerText")
    assert "our concert.mp4" in line and "persons" in line and "event" in line
    assert browser.evaluate("document.querySelector('#rows li[data-upload] h3 a').getAttribute('href')").startswith("/recordings/")
    assert browser.evaluate("document.querySelector('#rows li[data-upload] .seen img').naturalWidth") > 100
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    assert browser.complaints() == []


def test_what_is_no_film_is_said_beside_it(server, browser, tmp_path):
    browser.open(f"{server.address}/recordings")
    notes = tmp_path / "notes.mp4"
    notes.write_text("This is no film. " * 500)
    (tmp_path / "empty.mp4").touch()
    browser.give_files("#files", notes, tmp_path / "empty.mp4")
    assert "empty.mp4 is empty" in browser.wait_for("document.getElementById('notices').textContent")
    choose_context(browser, "private")
    browser.click("#ask button[type=submit]")
    assert "notes.mp4 is not a film" in browser.wait_for("document.querySelector('#chosen .bad')?.textContent")
    browser.click("#chosen button")
    browser.wait_for("!document.querySelector('#chosen li')")
    with server.program() as client:
        assert [one["recording"] for one in client.get("/api/uploads").json() if not one["whole"]] == []


def test_the_list_is_searched_as_one_types_and_kept_in_the_address(server, browser):
    browser.open(f"{server.address}/recordings")
    browser.click("#search")
    browser.type("nothing like it")
    browser.wait_for("document.querySelector('#rows .empty')")
    assert browser.evaluate("new URLSearchParams(location.search).get('search')") == "nothing like it"
    browser.open(f"{server.address}/recordings?search=concert")
    assert browser.evaluate("document.getElementById('search').value") == "concert"
    browser.wait_for("document.querySelector('#rows li')")


def test_a_recording_is_removed_after_asking(server, browser):
    browser.open(f"{server.address}/recordings")
    browser.click(f"#recording-{RUN} .actions a")
    assert "cannot be undone" in browser.wait_for("document.readyState === 'complete' && document.querySelector('form.ask')?.textContent")
    browser.click("form.ask a.button")
    browser.wait_for(f"document.readyState === 'complete' && document.getElementById('recording-{RUN}')")
    browser.click(f"#recording-{RUN} .actions a")
    browser.wait_for("document.readyState === 'complete' && document.querySelector('form.ask')")
    browser.click("form.ask button.danger")
    browser.wait_for(f"location.pathname === '/recordings' && !document.getElementById('recording-{RUN}')")
    with server.program() as client:
        assert RUN not in client.get("/api/recordings").text
