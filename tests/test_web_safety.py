"""What keeps the web application safe, tried against a real server: as a stranger, as another web site, as a careless program."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from crowdmood.web.safety.sessions import Sessions
from tests.pages import Page
from tests.photo_files import png_bomb
from tests.processes import alive
from tests.web_server import proof, serving

TOKEN = "one two three four"
SECRET = "what lies beside the results folder"


@pytest.fixture(scope="module")
def results(reported, tmp_path_factory):
    """A results folder, and a file beside it that nobody may see."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "secret.txt").write_text(SECRET)
    shutil.copytree(reported, folder / "results")
    return folder / "results"


@pytest.fixture(scope="module")
def local(results):
    """A server without a token."""
    with serving(results) as server:
        yield server
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def guarded(results):
    """A server with a token."""
    with serving(results, token=TOKEN) as server:
        yield server
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def everywhere(results):
    """A server that listens on all addresses, with a token that it made; each visitor may ask 50 times at once."""
    with serving(results, "--host", "0.0.0.0", "--rate-limit", "5") as server:
        yield server
        assert "Traceback" not in server.log.read_text()


def made_token(server) -> str:
    return re.search(r"token: (\S{20,})\n", server.said)[1]


def visitor_from(address: str, server) -> httpx.Client:
    """Somebody at another address of this machine."""
    return httpx.Client(base_url=f"http://127.0.0.1:{urlsplit(server.address).port}", headers={"Accept": "application/json"},
                        timeout=60, transport=httpx.HTTPTransport(local_address=address))


def until(status: int, ask: Callable[[], httpx.Response], seconds: float = 60) -> httpx.Response:
    """The first answer with this status."""
    deadline = time.monotonic() + seconds
    while (answer := ask()).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer


def raw(server, request: str) -> tuple[int, str]:
    """Status and text of an answer to a request sent as it stands here, line by line."""
    address = urlsplit(server.address)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall((request.replace("\n", "\r\n") + "\r\nConnection: close\r\n\r\n").encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode("utf-8", "replace")
    return int(answer.split()[1]), answer


# Where it listens, and who may ask

def test_it_listens_on_this_machine_only(local):
    port = urlsplit(local.address).port
    listening = [line.split()[1] for name in ("tcp", "tcp6") for line in Path(f"/proc/{local.process.pid}/net/{name}").read_text().splitlines()[1:]
                 if line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == port]
    assert listening == [f"0100007F:{port:04X}"]  # 127.0.0.1, as the kernel writes it


def test_every_other_address_needs_a_token(everywhere):
    made = made_token(everywhere)
    assert f"login#token={made}" in everywhere.said and "Plain http" in everywhere.said
    with visitor_from("127.0.0.5", everywhere) as client:
        assert client.get("/api/openapi.json").status_code == 401
        assert client.get("/api/openapi.json", headers={"Authorization": f"Bearer {made}"}).status_code == 200


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")
def test_https_with_a_certificate(results, tmp_path):
    pem, key = tmp_path / "shows.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", pem, "-days", "3", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=120)
    with serving(results, "--certificate", str(pem), "--key", str(key), token=TOKEN) as server:
        assert server.address.startswith("https://")
        with httpx.Client(base_url=server.address, verify=ssl.create_default_context(cafile=pem)) as client:
            answer = client.post("/login", data={"csrf": proof(client), "token": TOKEN}, headers={"Origin": server.address})
            assert answer.status_code == 303 and "Secure" in answer.headers["set-cookie"]
            assert client.get("/api/openapi.json").status_code == 200
    alone = subprocess.run([sys.executable, "-m", "crowdmood", "serve", "--port", "0", "--results", results, "--certificate", pem],
                           capture_output=True, text=True, timeout=120, check=False)
    assert alone.returncode == 1 and "--key" in alone.stderr and len(alone.stderr.splitlines()) == 1 and not alone.stdout


@pytest.mark.parametrize("token", ["short", " one two three "])
def test_a_token_that_is_easily_guessed_is_refused(results, token):
    done = subprocess.run([sys.executable, "-m", "crowdmood", "serve", "--port", "0", "--results", results, "--token", token],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "12 letters" in done.stderr and "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_a_sentence(local, results):
    done = subprocess.run([sys.executable, "-m", "crowdmood", "serve", "--port", str(urlsplit(local.address).port), "--results", results],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "another program listens there" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_stranger_sees_the_login_page_and_nothing_else(guarded):
    with httpx.Client(base_url=guarded.address) as stranger:
        for path in addresses(guarded):
            answer = stranger.get(path)
            assert answer.status_code in (401, 303), path
            assert answer.status_code == 401 or answer.headers["location"].startswith("/login?next="), path
            assert SECRET not in answer.text and "concert" not in answer.text
        assert stranger.get("/healthz").json() == {"ok": True}
        page = stranger.get("/login").text
        assert "Recordings" not in page and "Sign in" in page


def test_a_host_header_does_not_open_an_address(guarded, local):
    for host in ("x/static/", "x/login?", "x/static/#", "127.0.0.1/static/a?"):
        status, text = raw(guarded, f"GET /api/openapi.json HTTP/1.1\nHost: {host}")
        assert status in (400, 401) and "openapi" not in text.split("\r\n\r\n")[1], host
        assert raw(local, f"GET /api/openapi.json HTTP/1.1\nHost: {host}")[0] in (400, 403), host


def test_no_name_but_its_own_without_a_token(local):
    """A page elsewhere that calls this machine by its own name (DNS rebinding) learns nothing."""
    port = urlsplit(local.address).port
    for host in ("attacker.example", f"attacker.example:{port}", "127.0.0.1.attacker.example", "[::1].attacker.example", "[", "", "a b"):
        assert raw(local, f"GET /recordings HTTP/1.1\nHost: {host}")[0] in (400, 403), host
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}"):
        assert raw(local, f"GET /healthz HTTP/1.1\nHost: {host}")[0] == 200, host


def test_nobody_elsewhere_through_a_proxy_without_a_token(local):
    assert httpx.get(f"{local.address}/recordings", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403


# Sessions

def test_the_cookie_is_for_this_site_and_not_for_scripts(guarded):
    cookies = []
    for _ in range(2):
        with httpx.Client(base_url=guarded.address) as client:
            answer = client.post("/login", data={"csrf": proof(client), "token": TOKEN, "next": "/sql?a=1"})
            assert answer.status_code == 303 and answer.headers["location"] == "/sql?a=1"
            cookies.append(answer.headers["set-cookie"])
    for cookie in cookies:
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie and "Max-Age=" in cookie
        assert TOKEN not in cookie and TOKEN.replace(" ", "+") not in cookie
    assert cookies[0].split(";")[0] != cookies[1].split(";")[0]


def test_behind_tls_the_cookie_stays_there(guarded):
    with httpx.Client(base_url=guarded.address, headers={"X-Forwarded-Proto": "https"}) as client:
        assert "Secure" in client.post("/login", data={"csrf": proof(client), "token": TOKEN}).headers["set-cookie"]


@pytest.mark.parametrize("elsewhere", ["https://attacker.example/", "//attacker.example/", "/\\attacker.example", "javascript:alert(1)", "/a\r\nX: y"])
def test_signing_in_does_not_lead_elsewhere(guarded, elsewhere):
    with httpx.Client(base_url=guarded.address) as client:
        assert client.post("/login", data={"csrf": proof(client), "token": TOKEN, "next": elsewhere}).headers["location"] == "/"


def test_a_forged_an_old_and_an_ended_session_are_none(guarded):
    with guarded.visitor() as client:
        name, cookie = next(iter(client.cookies.items()))
        assert client.get("/api/openapi.json").status_code == 200
        nonce, expires, mark = cookie.split(".")
        for forged in (f"{nonce}.{int(expires) + 1}.{mark}", f"{nonce}x.{expires}.{mark}", f"{nonce}.{expires}.{'0' * 64}", "", "..", cookie + "x",
                       Sessions("another token").start(), Sessions(None).start()):
            assert httpx.get(f"{guarded.address}/api/openapi.json", headers={"Cookie": f"{name}={forged}"}).status_code == 401, forged
        client.post("/logout", follow_redirects=False)
        assert httpx.get(f"{guarded.address}/api/openapi.json", headers={"Cookie": f"{name}={cookie}"}).status_code == 401


def test_a_session_has_an_end(monkeypatch):
    sessions = Sessions(TOKEN)
    cookie = sessions.start()
    assert sessions.open(cookie) and Sessions(TOKEN).open(cookie)  # also after a new start of the server
    monkeypatch.setattr("time.time", lambda: int(cookie.split(".")[1]) + 1)
    assert not sessions.open(cookie)


def test_guessing_is_slow(everywhere):
    token = made_token(everywhere)
    right, wrong = {"Authorization": f"Bearer {token}"}, {"Authorization": "Bearer wrong"}
    with visitor_from("127.0.0.6", everywhere) as client:
        assert [client.get("/api/openapi.json", headers=wrong).status_code for _ in range(5)] == [401] * 5
        answer = client.post("/login", data={"csrf": proof(client), "token": token})
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 5 and "Too many wrong tokens" in answer.json()["error"]
        assert client.get("/api/openapi.json", headers=right).status_code == 429
    with visitor_from("127.0.0.7", everywhere) as other:
        assert other.get("/api/openapi.json", headers=right).status_code == 200


# What other web sites can make a browser do

def attempts(server, client):
    """Requests that change something, each with what a page of another site can and cannot do."""
    own, other = server.address, "http://attacker.example"
    good = proof(client)
    yield 403, {"Origin": other, "X-CSRF-Token": good}
    yield 403, {"Origin": "null", "X-CSRF-Token": good}
    yield 403, {"Origin": "http://[", "X-CSRF-Token": good}
    yield 403, {"Origin": own.replace("127.0.0.1", "localhost"), "X-CSRF-Token": good}
    yield 403, {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": good}
    yield 403, {"Sec-Fetch-Site": "same-site", "Origin": own, "X-CSRF-Token": good}
    yield 403, {"Origin": own}
    yield 403, {"Origin": own, "X-CSRF-Token": ""}
    yield 403, {"Origin": own, "X-CSRF-Token": "0" * 64}
    yield 403, {"Origin": own, "Authorization": "Basic eDp5"}
    yield 303, {"Origin": own, "X-CSRF-Token": good}


@pytest.mark.parametrize("which", ["local", "guarded"])
def test_only_our_own_pages_change_anything(which, request):
    server = request.getfixturevalue(which)
    with server.visitor() as client:
        del client.headers["X-CSRF-Token"], client.headers["Origin"], client.headers["Sec-Fetch-Site"]
        for expected, headers in list(attempts(server, client)):
            assert client.post("/logout", headers=headers).status_code == expected, headers


def test_the_proof_of_one_session_is_not_that_of_another(guarded):
    with guarded.visitor() as one, guarded.visitor() as other:
        assert one.headers["X-CSRF-Token"] != other.headers["X-CSRF-Token"]
        assert one.post("/logout", headers={"X-CSRF-Token": other.headers["X-CSRF-Token"]}).status_code == 403


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
def test_forms_prove_it_in_their_first_field(local, kind):
    with local.visitor() as client:
        good = client.headers.pop("X-CSRF-Token")
        for value, expected in ((good, 303), ("wrong", 403), ("", 403)):
            body = {"data": {"csrf": value}} if kind == "urlencoded" else {"files": [("csrf", (None, value)), ("file", ("a", b"x" * 100_000))]}
            assert client.post("/logout", **body).status_code == expected


def test_programs_need_no_proof(local, guarded):
    for server in (local, guarded):
        with server.program() as client:
            assert client.post("/logout").status_code == 303


def test_other_sites_cannot_embed_what_is_here(local):
    for headers in ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}):
        assert httpx.get(f"{local.address}/recordings", headers=headers).status_code == 403
    assert httpx.get(f"{local.address}/healthz", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200


def handshake(server, *lines: str) -> int:
    """Status of the answer to a WebSocket's beginning; 101 is a yes."""
    address = urlsplit(server.address)
    request = ("GET /api/live/pictures HTTP/1.1", f"Host: {address.netloc}", "Upgrade: websocket", "Connection: Upgrade",
               "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *lines, "", "")
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall("\r\n".join(request).encode())
        return int(connection.recv(100).split()[1])


def test_no_other_site_opens_a_websocket(local, guarded):
    for origin in ("http://attacker.example", "null", local.address.replace("127.0.0.1", "localhost"), f"{local.address}.attacker.example"):
        assert handshake(local, f"Origin: {origin}") == 403, origin
    assert handshake(local, "Sec-Fetch-Site: cross-site") == 403
    assert handshake(local, f"Origin: {local.address}") == 101 and handshake(local) == 101
    with guarded.visitor() as client:
        name, cookie = next(iter(client.cookies.items()))
    own = f"Origin: {guarded.address}"
    assert handshake(guarded, own) == 403 and handshake(guarded, own, f"Cookie: {name}=x{cookie}") == 403
    assert handshake(guarded, own, f"Cookie: {name}={cookie}") == 101 and handshake(guarded, f"Authorization: Bearer {TOKEN}") == 101


# What browsers are told

def addresses(server) -> list[str]:
    """All addresses that can be asked for, as the server's description and its navigation name them."""
    with server.program() as client:
        paths = client.get("/api/openapi.json").json()["paths"]
    found = {re.sub(r"\{[^}]*\}", "ab12cd34ef56", path) for path, item in paths.items() if "get" in item}
    return sorted((found | {"/", "/recordings", "/photos", "/live", "/sql", "/api", "/recordings/ab12cd34ef56", "/nowhere"}) - {"/healthz"})


def test_every_answer_tells_browsers_the_rules(local):
    with local.program() as client:
        for path in [*addresses(local), "/static/crowdmood.css", "/login", "/healthz"]:
            if path.endswith("events"):
                continue  # goes on for ever
            with client.stream("GET", path) as answer:
                rules = answer.headers["content-security-policy"]
                assert "default-src 'none'" in rules and answer.headers["x-content-type-options"] == "nosniff", path
                assert "unsafe-inline" not in re.search(r"script-src[^;]*", rules)[0] and "unsafe-eval" not in rules, path
                assert answer.headers["x-frame-options"] == "DENY" and answer.headers["referrer-policy"] == "same-origin"
                assert answer.headers["cross-origin-resource-policy"] == "same-origin" and "server" not in answer.headers


def test_pages_have_no_script_of_their_own(local, tmp_path):
    with local.program(follow_redirects=True) as client:
        for path in ("/recordings", "/recordings/ab12cd34ef56", "/photos", "/live", "/sql", "/api", "/login", "/nowhere"):
            (tmp_path / "page.html").write_text(client.get(path).text)
            for tag, attributes in Page(tmp_path / "page.html").elements:
                assert not [name for name in attributes if name.startswith("on")], (path, tag)
                assert tag != "script" or "src" in attributes or attributes.get("type") == "application/json", path
                for name in ("src", "href", "action"):
                    assert not re.match(r"(?i)(https?:)?//|javascript:", attributes.get(name) or ""), (path, tag, attributes)


# Paths, sizes, speed

CLIMBS = ("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "..%5csecret.txt", "....//secret.txt", "%252e%252e%252fsecret.txt",
          "../../secret.txt", "..%2f..%2fsecret.txt", "{root}secret.txt", "%2f{root}secret.txt", "ab12cd34ef56/../../../secret.txt", "%00", "secret.txt%00.png")


def test_no_address_leads_out_of_the_results_folder(local, results):
    root = str(results.parent) + "/"
    starts = {"/static/", "/recordings/", "/photos/", "/api/"} | {path[:path.rindex("ab12cd34ef56")] for path in addresses(local) if "ab12cd34ef56" in path}
    host = urlsplit(local.address).netloc
    for start in sorted(starts):
        for climb in CLIMBS:
            status, text = raw(local, f"GET {start}{climb.format(root=root)} HTTP/1.1\nHost: {host}")
            assert SECRET not in text and status in (400, 401, 403, 404, 405, 422), (start, climb, status)


def test_no_query_leads_out_of_the_results_folder_or_changes_it(local, results):
    secret = results.parent / "secret.txt"
    queries = [f"SELECT * FROM read_text('{secret}')", "SELECT * FROM read_text('../secret.txt')", f"COPY (SELECT 1) TO '{secret}'",
               "SELECT * FROM read_csv('/proc/self/environ')", "INSTALL httpfs", "ATTACH ':memory:' AS m", "DROP TABLE runs", "SELECT 1; DROP VIEW runs"]
    with local.program() as client:
        for query in queries:
            answer = client.post("/api/sql", json={"query": query})
            assert answer.status_code == 400 and answer.json()["error"] and SECRET not in answer.text, query
    assert secret.read_text() == SECRET


def test_bodies_are_limited(local):
    with local.program() as client:
        announced = client.post("/logout", content=b"x" * 1_000_001)
        assert announced.status_code == 413 and "1 MB" in announced.text
        unannounced = client.post("/login", content=(b"x" * 100_000 for _ in range(11)), headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert unannounced.status_code == 413 and "Traceback" not in unannounced.text


def test_what_is_sent_is_known_by_its_content(local, tmp_path):
    """No page, program or archive is taken for a film or a photo, whatever it is called; and no picture that would fill the memory."""
    wrong = [b"<html><script>alert(1)</script>" * 300, b"PK\x03\x04" + bytes(9000), b"\x7fELF" + bytes(9000), b"%PDF-1.7\n" + bytes(9000)]
    png_bomb(tmp_path / "bomb.png")
    with local.program() as client:
        for content in wrong:
            upload = client.post("/api/uploads", json={"name": "film.mp4", "size_bytes": len(content)}).json()["id"]
            answer = client.patch(f"/api/uploads/{upload}", content=content, headers={"Upload-Offset": "0", "Content-Type": "application/octet-stream"})
            assert answer.status_code == 415 and answer.json()["error"], content[:10]
            client.delete(f"/api/uploads/{upload}")
        for content in [*wrong, (tmp_path / "bomb.png").read_bytes()]:
            answer = client.post("/api/photos/show", content=content, headers={"Content-Type": "image/png"})
            assert 400 <= answer.status_code < 500 and answer.json()["error"], content[:10]


def test_lying_about_a_size_is_refused(local):
    host = urlsplit(local.address).netloc
    for line in ("Content-Length: -1", "Content-Length: 9" + "9" * 30, "Content-Length: 1\nContent-Length: 2"):
        assert raw(local, f"POST /logout HTTP/1.1\nHost: {host}\n{line}")[0] in (400, 413)


def test_who_asks_too_fast_waits(everywhere):
    with visitor_from("127.0.0.8", everywhere) as client, visitor_from("127.0.0.9", everywhere) as other:
        answers = [client.get("/healthz") for _ in range(80)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert [answer.status_code for answer in answers[:50]] == [200] * 50 and refused
        assert int(refused[0].headers["retry-after"]) >= 1 and "faster" in refused[0].json()["error"]
        assert other.get("/healthz").status_code == 200


def test_nobody_takes_all_places(local):
    """Whoever leaves many requests unfinished keeps only himself out, and only as long."""
    address = urlsplit(local.address)
    unfinished = f"POST /login HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(251):
            connection = stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=60))
            connection.sendall(unfinished.encode())
        answer = until(429, lambda: httpx.get(f"{local.address}/healthz", headers={"Accept": "application/json"}))
        assert "at once" in answer.json()["error"]
        with httpx.Client(base_url=local.address, transport=httpx.HTTPTransport(local_address="127.0.0.11")) as other:
            assert other.get("/healthz").status_code == 200
    until(200, lambda: httpx.get(f"{local.address}/healthz"))


def test_nonsense_over_the_network_is_not_logged_and_does_no_harm(local):
    address = urlsplit(local.address)
    before = local.log.read_text()
    for nonsense in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"A" * 200_000, os.urandom(5000) + b"\r\n\r\n"):
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            try:
                connection.sendall(nonsense)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1000)
            except OSError:
                pass  # hung up on
    assert httpx.get(f"{local.address}/healthz").status_code == 200 and local.log.read_text() == before


def test_visitors_who_go_away_are_no_mistake(local):
    address = urlsplit(local.address)
    before = local.log.read_text()
    with local.program() as client:
        album = client.post("/api/photos/albums", json={"name": "begun"}).json()["album"]
    for line in (f"POST /api/photos/albums/{album}/photos", "POST /api/photos/show", "POST /login", "POST /api/sql", "GET /api/analyses/events"):
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            more = "" if line.startswith("GET") else "Content-Length: 900000\r\n"
            connection.sendall(f"{line} HTTP/1.1\r\nHost: {address.netloc}\r\n{more}\r\n{'x' * 1000 if more else ''}".encode())
            if not more:
                connection.recv(10)  # it has begun
    with local.program() as client:
        assert client.delete(f"/api/photos/albums/{album}").status_code == 204
    assert local.log.read_text() == before


def test_deep_json_does_no_harm(local):
    """Every operation that takes JSON says what is wrong with it."""
    with local.program() as client:
        paths = client.get("/api/openapi.json").json()["paths"]
        taking = [(method, re.sub(r"\{[^}]*\}", "ab12cd34ef56", path)) for path, item in paths.items() for method, operation in item.items()
                  if "application/json" in operation.get("requestBody", {}).get("content", {})]
        for method, path in taking:
            for body in (b"[" * 400_000, b'{"a":' * 100_000, b"\xff\xfe", b"1e999999", b'"' + b"\\ud800" * 10 + b'"'):
                answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
                assert 400 <= answer.status_code < 500 and answer.json()["error"], (path, body[:10])


# Mistakes, and the end

def test_a_mistake_of_ours_is_told_without_its_traceback(tmp_path):
    from crowdmood.web.app import make_app
    from crowdmood.web.settings import WebSettings

    app = make_app(WebSettings(tmp_path))

    @app.get("/api/broken")
    @app.get("/broken")
    def broken():
        raise RuntimeError("an inner secret")

    async def ask(path):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    for path in ("/api/broken", "/broken"):
        answer = asyncio.run(ask(path))
        assert answer.status_code == 500 and "inner secret" not in answer.text and "not your fault" in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_ctrl_c_ends_it_also_while_somebody_is_asking(results):
    with serving(results) as server:
        address = urlsplit(server.address)
        with (socket.create_connection((address.hostname, address.port)) as slow, ThreadPoolExecutor(8) as pool,
              socket.create_connection((address.hostname, address.port)) as stream):
            stream.sendall(f"GET /api/analyses/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())  # goes on for ever
            stream.recv(10)
            slow.sendall(f"POST /logout HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 100\r\n\r\n".encode())  # and nothing more
            list(pool.map(lambda _: httpx.get(f"{server.address}/healthz"), range(20)))
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(30) == 130
        assert not alive(server.process.pid) and server.log.read_text() == "crowdmood: stopped; run the same command again to go on\n"
