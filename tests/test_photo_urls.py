"""Pictures from the web: what is fetched, what is not, and from where."""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from PIL import Image

from crowdmood.cli.photos import photos as command
from crowdmood.web_files import Limits, WebError, fetch_picture, is_public

HERE = Limits(seconds=20, allowed=lambda address: str(address) == "127.0.0.1")


def picture() -> bytes:
    held = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(held, "PNG")
    return held.getvalue()


class Site(BaseHTTPRequestHandler):
    """Answers as servers do, and as they should not. Paths are what it does."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Site.asked.append(self.path)
        self.close_connection = True
        kind, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, f"answer_{kind}", self.answer_nothing)(rest)

    def answer_nothing(self, _: str) -> None:
        self.reply(404, {"Content-Type": "text/plain"}, b"no")

    def answer_picture(self, _: str) -> None:
        self.reply(200, {"Content-Type": "image/png; charset=binary"}, picture())

    def answer_page(self, _: str) -> None:
        self.reply(200, {"Content-Type": "text/html"}, b"<html>")

    def answer_packed(self, _: str) -> None:
        self.reply(200, {"Content-Type": "image/png", "Content-Encoding": "gzip"}, b"x")

    def answer_huge(self, _: str) -> None:
        self.head(200, {"Content-Type": "image/png", "Content-Length": str(10**12)})

    def answer_short(self, _: str) -> None:
        self.head(200, {"Content-Type": "image/png", "Content-Length": "1000"})
        self.wfile.write(b"only this")

    def answer_endless(self, _: str) -> None:
        self.head(200, {"Content-Type": "image/png", "Transfer-Encoding": "chunked"})
        self.drip(b"1000\r\n" + bytes(0x1000) + b"\r\n", 0.0)

    def answer_slow(self, _: str) -> None:
        self.head(200, {"Content-Type": "image/png"})
        self.drip(b"x", 0.05)

    def answer_slowhead(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.drip(b"x", 0.05)

    def answer_to(self, rest: str) -> None:
        self.reply(302, {"Location": unquote(rest)}, b"")

    def answer_relative(self, _: str) -> None:
        self.reply(301, {"Location": "../picture/moved.png"}, b"")

    def answer_round(self, _: str) -> None:
        self.reply(307, {"Location": "/round"}, b"")

    def answer_nowhere(self, _: str) -> None:
        self.reply(302, {}, b"")

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.head(status, headers | {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def drip(self, content: bytes, pause: float) -> None:
        until = time.monotonic() + 60
        try:
            while time.monotonic() < until:
                self.wfile.write(content)
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            pass  # the other side has had enough

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_picture_is_fetched_under_a_harmless_name(site, tmp_path):
    path = fetch_picture(f"{site}/picture/%2e%2e/my%20photo!.png?size=large#top", tmp_path, HERE)
    assert path.parent == tmp_path and path.name == "my20photo.png" and path.read_bytes() == picture()
    assert fetch_picture(f"{site}/picture/", tmp_path, HERE).name == "picture"


def test_redirects_are_followed_a_few_times(site, tmp_path):
    assert fetch_picture(f"{site}/relative/here", tmp_path, HERE).name == "moved.png"
    Site.asked.clear()
    with pytest.raises(WebError, match="redirected more than 5 times"):
        fetch_picture(f"{site}/round", tmp_path, HERE)
    assert Site.asked.count("/round") == 6
    with pytest.raises(WebError, match="redirects to nowhere"):
        fetch_picture(f"{site}/nowhere", tmp_path, HERE)


@pytest.mark.parametrize(("path", "words"), [
    ("page", "no picture but text/html"), ("missing", "the server answers 404"), ("packed", "packs the picture"),
    ("huge", "1,000,000 MB are more than the 50 MB"), ("short", "the connection broke off before the end"),
])
def test_what_is_no_whole_picture_is_refused(site, tmp_path, path, words):
    with pytest.raises(WebError, match=words) as told:
        fetch_picture(f"{site}/{path}", tmp_path, HERE)
    assert "\n" not in str(told.value)


def test_size_counts_also_where_it_is_not_told(site, tmp_path):
    with pytest.raises(WebError, match="larger than the 1 MB"):
        fetch_picture(f"{site}/endless", tmp_path, replace(HERE, most_bytes=1_000_000))


@pytest.mark.parametrize("path", ["slow", "slowhead"])
def test_time_counts_as_a_whole_however_it_drips(site, tmp_path, path):
    began = time.monotonic()
    with pytest.raises(WebError, match="it took too long"):
        fetch_picture(f"{site}/{path}", tmp_path, replace(HERE, seconds=1.0))
    assert time.monotonic() - began < 30  # the server goes on for 60


@pytest.mark.parametrize("place", ["http://127.0.0.2/", "http://localhost.localdomain@127.0.0.1/", "file:///etc/passwd", "ftp://127.0.0.1/",
                                   "http://169.254.169.254/latest", "//127.0.0.2/x", "gopher://127.0.0.1/", "http://[::1]/"])
def test_redirects_lead_to_no_place_that_is_not_allowed(site, tmp_path, place):
    with pytest.raises(WebError, match="no address of the open internet|only http|user name"):
        fetch_picture(f"{site}/to/{place}", tmp_path, HERE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
                                  "169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]",
                                  "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[ff02::1]"])
def test_private_addresses_are_refused_however_they_are_written(site, tmp_path, host):
    Site.asked.clear()
    with pytest.raises(WebError, match="no address of the open internet|no such host"):
        fetch_picture(f"http://{host}:{site.rpartition(':')[2]}/picture/a.png", tmp_path)
    assert Site.asked == []


def test_public_addresses_are_not_refused():
    assert all(is_public(ipaddress.ip_address(text)) for text in ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"))


@pytest.mark.parametrize(("url", "words"), [
    ("file:///etc/passwd", "only http"), ("s3://bucket/a.jpg", "only http"), ("http://", "no address"), ("http://host:99999/a", "no address"),
    ("http://me:secret@127.0.0.1/a.png", "user name or password"), ("http://nowhere.invalid/a.png", "no such host"),
])
def test_addresses_that_are_not_fetched(tmp_path, url, words):
    with pytest.raises(WebError, match=words) as told:
        fetch_picture(url, tmp_path, HERE)
    assert "secret" not in str(told.value)


def test_show_fetches_from_here_only_when_allowed(site, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    url = f"{site}/picture/a.png"
    done = CliRunner().invoke(command, ["show", url, "--threads", "1"])
    assert isinstance(done.exception, WebError) and "--allow-private fetches from there" in str(done.exception)
    done = CliRunner().invoke(command, ["show", url, "--threads", "1", "--allow-private"])
    assert done.exit_code == 0 and re.search(rf"{re.escape(url)}, PNG 64 x 64: no face was found", done.stdout)
    assert list(Path(tmp_path).iterdir()) == []
