"""Alarms reach a real server and a real command, and never stop a job."""

import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from crowdmood.scheduling.alarms import alarm
from tests.scheduling.job_specs import job


class Server(ThreadingHTTPServer):
    """Keeps what was posted; /fail answers 500, /file leads to a file."""

    def __init__(self):
        self.got = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response({"/fail": 500, "/file": 302}.get(self.path, 204))
        if self.path == "/file":
            self.send_header("Location", "file:///etc/hostname")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "crowdmood")
    return lambda: [(record.getMessage(), record.facts.get("error")) for record in caplog.records]


def test_a_webhook_gets_json(server, tmp_path, told):
    alarm(job(tmp_path, webhook=f"{server.address}/hook"), "recording set aside", recording="/in/a\udce9.mp4", failures=4)
    (path, kind, message), = server.got
    assert (path, kind) == ("/hook", "application/json")
    assert message["event"] == "recording set aside" and message["job"] == "nightly" and message["failures"] == 4
    assert message["results"] == str(tmp_path / "out") and message["recording"] == "/in/a\udce9.mp4"
    assert told() == [("alarm sent", None)]


@pytest.mark.parametrize(("where", "text"), [("/fail", "500"), ("/file", "Redirection")])
def test_a_webhook_that_fails_is_logged(server, tmp_path, told, where, text):
    alarm(job(tmp_path, webhook=server.address + where), "job failed")
    (event, error), = told()
    assert event == "alarm failed" and text in error


def test_nobody_listens(server, tmp_path, told):
    address = server.address
    server.shutdown()
    server.server_close()
    alarm(job(tmp_path, webhook=address), "job failed")
    (event, error), = told()
    assert event == "alarm failed" and "refused" in error


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/", "nonsense"])
def test_only_http_is_spoken(tmp_path, told, address):
    alarm(job(tmp_path, webhook=address), "job failed")
    assert told() == [("alarm failed", "the address is neither http nor https")]


def test_a_command_gets_json_on_its_standard_input(tmp_path, told):
    target = tmp_path / "a b;$HOME.json"
    script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    alarm(job(tmp_path, command=(sys.executable, "-c", script, str(target))), "job failed", error="sources are missing")
    assert json.loads(target.read_text())["error"] == "sources are missing"
    assert told() == [("alarm sent", None)]


@pytest.mark.parametrize(("command", "text"), [
    ((sys.executable, "-c", "import sys; sys.exit('no mail server')"), "ended with code 1: no mail server"),
    (("/nowhere/mail",), "/nowhere/mail: No such file or directory")])
def test_a_command_that_fails_is_logged(tmp_path, told, command, text):
    alarm(job(tmp_path, command=command), "job failed")
    (event, error), = told()
    assert event == "alarm failed" and text in error
