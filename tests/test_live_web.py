"""The camera's page in a real browser, whose camera is a clip; and programs that send pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cv2
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from crowdmood.stills import stills
from tests.browser import PROGRAM, Browser
from tests.web_server import Server, serving

PICTURES = "/api/live/pictures"
CAMERAS = 3
TOKEN = "correct horse battery"
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def jpegs(clip) -> list[bytes]:
    """Half a second of the demo clip's gallery, 1280 x 720."""
    return [cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes() for _, image in stills(clip, range(0, 60, 5))]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Server:
    with serving(tmp_path_factory.mktemp("results"), "--cameras", str(CAMERAS), token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def browser(jpegs, tmp_path_factory, server) -> Browser:
    """A browser with a camera, signed in."""
    camera = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    camera.write_bytes(b"".join(jpegs))
    with Browser("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={camera}") as opened:
        opened.open(f"{server.address}/login#token={TOKEN}")
        opened.wait_for("document.querySelector('nav a[aria-current]')")
        yield opened


def line(server: Server, **options) -> ClientConnection:
    options.setdefault("additional_headers", {"Authorization": f"Bearer {TOKEN}"})
    return connect(server.address.replace("http", "ws") + PICTURES, **options)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@needs_browser
def test_the_page_shows_faces_rate_and_mix_and_nothing_leaves_the_server(browser, server):
    browser.open(f"{server.address}/live")
    assert browser.evaluate("['countdown', 'sound', 'armed'].map(id => document.getElementById(id).checked)") == [False, False, False]
    assert "Tell everyone" in browser.evaluate("document.querySelector('main').textContent")
    browser.evaluate("document.getElementById('start').focus()")
    browser.press("Enter", 13, "\r")
    browser.wait_for("document.querySelectorAll('#faces li').length >= 4", 120)
    browser.wait_for("Number(document.getElementById('pace').dataset.rate) > 0")
    assert browser.evaluate("document.activeElement.id") == "stop"
    words = browser.evaluate("document.querySelector('#faces li .what').textContent + document.querySelector('#faces li .bar').getAttribute('aria-label')")
    assert "neutral" in words
    browser.wait_for("document.querySelector('#mix [data-name=neutral] b').textContent.endsWith('%')")
    browser.wait_for("document.getElementById('spoken').textContent.includes('faces: ')")
    graph = "(() => { const c = document.getElementById('graph'); return [...c.getContext('2d').getImageData(c.width - 3, c.height / 2, 1, 1).data]; })()"
    browser.wait_for(f"{graph}.join() === '204,210,221,255'")  # neutral's colour, at the right end: now
    assert all(address.startswith((server.address, "blob:")) for address in browser.requested())
    browser.click("#stop")
    assert browser.evaluate("document.getElementById('pace').textContent + document.querySelectorAll('#faces li').length") == "The camera is off.0"
    assert browser.complaints() == []


@needs_browser
def test_a_selfie_is_taken_at_full_size_and_kept_until_it_is_saved(browser, server, tmp_path):
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(f"{server.address}/live")
    browser.evaluate("document.getElementById('expression').value = 'neutral'")
    browser.evaluate("document.getElementById('least').value = '3'")
    browser.click("#armed")
    browser.click("#start")
    browser.wait_for("document.querySelectorAll('#taken li').length", 120)
    browser.wait_for("document.querySelector('#taken img').complete")
    size = "(image => [image.naturalWidth, image.naturalHeight])(document.querySelector('#taken img'))"
    assert browser.evaluate(size) == [1280, 720]
    leaving = "(() => { const event = new Event('beforeunload', {cancelable: true}); dispatchEvent(event); return event.defaultPrevented; })()"
    assert browser.evaluate(leaving)
    name = browser.evaluate("document.querySelector('#taken a').download")
    assert name.startswith("crowdmood-") and name.endswith(".jpg")
    browser.click("#taken a")
    assert not browser.evaluate(leaving)
    wait_until(lambda: (tmp_path / name).exists())
    assert Image.open(tmp_path / name).size == (1280, 720)
    browser.evaluate("document.getElementById('armed').click()")
    browser.click("#countdown")
    browser.click("#now")
    browser.wait_for("!document.getElementById('counter').hidden && document.getElementById('counter').textContent === '1'")
    browser.wait_for("document.querySelectorAll('#taken li').length === 2")
    browser.click("#taken li button")
    assert browser.evaluate("document.querySelectorAll('#taken li').length") == 1
    browser.click("#stop")
    assert browser.complaints() == []


@needs_browser
def test_a_camera_that_is_refused_is_a_sentence(browser, server):
    browser.open(f"{server.address}/live")
    browser.evaluate("navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')), 1")
    browser.click("#start")
    assert "not allowed to use the camera" in browser.wait_for("document.getElementById('trouble').textContent")
    assert not browser.evaluate("document.getElementById('trouble').hidden || document.getElementById('start').disabled")


def test_a_program_sends_pictures_and_is_answered(server, jpegs):
    with line(server) as program:
        program.send('{"selfie": {"expression": "neutral", "least": 3, "hold_s": 0}}')
        program.send(jpegs[0])
        answer = json.loads(program.recv(120))
        assert answer["picture"] == 0 and len(answer["faces"]) >= 4 and answer["selfie"]["due"] is True
        program.send('{"selfie": null}')
        program.send(b"nonsense")
        assert "no JPEG" in json.loads(program.recv(60))["error"]
        program.send(jpegs[1])
        assert json.loads(program.recv(60))["selfie"] is None
        state = server.program().get("/api/live").json()
        assert state["viewers"] == 1 and state["pictures_per_second"] >= 0 and state["address"] == PICTURES


@pytest.mark.parametrize(("message", "code"), [('{"selfie": {"expression": "joy"}}', 1008), ("{", 1008), ('{"other": 1}', 1008), (bytes(3_000_001), 1009)])
def test_nonsense_ends_the_line_with_a_sentence(server, message, code):
    with line(server) as program:
        program.send(message)
        assert json.loads(program.recv(60))["error"]
        with pytest.raises(ConnectionClosed) as closed:
            program.recv(60)
        assert closed.value.rcvd.code == code and closed.value.rcvd.reason


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {TOKEN}", "Origin": "http://elsewhere.example"}])
def test_who_is_not_signed_in_or_comes_from_elsewhere_is_refused(server, headers):
    with pytest.raises((InvalidStatus, ConnectionClosed)), line(server, additional_headers=headers) as program:
        program.recv(60)


def test_more_cameras_than_there_is_room_for_are_refused_and_places_become_free(server):
    with ExitStack() as open_lines:
        for _ in range(CAMERAS):
            open_lines.enter_context(line(server))
        with line(server) as late:
            assert f"{CAMERAS} cameras" in json.loads(late.recv(60))["error"]
            with pytest.raises(ConnectionClosed) as closed:
                late.recv(60)
            assert closed.value.rcvd.code == 1013
    wait_until(lambda: server.program().get("/api/live").json()["viewers"] == 0)


def test_nothing_of_a_picture_is_kept(server, jpegs):
    folder = Path(server.process.args[server.process.args.index("--results") + 1])
    before = sorted(path for path in folder.rglob("*") if path.is_file())
    with line(server) as program:
        program.send(jpegs[0])
        program.recv(120)
    after = sorted(path for path in folder.rglob("*") if path.is_file())
    assert [path for path in after if path.suffix in (".jpg", ".jpeg", ".png")] == []
    assert len(after) == len(before)
