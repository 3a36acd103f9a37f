"""Many visitors at once, and what that costs a server."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import httpx

from tests.web_server import Server

PIECE = 4_000_000  # bytes that an upload sends at once


@dataclass
class Round:
    """What visitors met. seconds: of every request; wrong: answers that are errors, or none; memory: the server's, in bytes, afterwards."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    memory: int = 0

    def ask(self, client: httpx.Client, method: str, path: str, **options) -> httpx.Response | None:
        """Ask, and note how that went."""
        started = perf_counter()
        try:
            answer = client.request(method, path, **options)
        except httpx.HTTPError as error:
            self.wrong.append(f"{method} {path}: {error!r}")
            return None
        self.seconds.append(perf_counter() - started)
        if answer.status_code >= 400:
            self.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer


def load(server: Server, run: str, viewers: int, films: list[Path]) -> Round:
    """Have so many visitors look at a run's page, with everything it loads, while others send films, and remove them again."""
    made = Round()
    with ThreadPoolExecutor(viewers + len(films)) as pool:
        tasks = [pool.submit(_view, server, run, made) for _ in range(viewers)]
        tasks += [pool.submit(_send, server, film, made) for film in films]
        for task in tasks:
            task.result()
    made.memory = memory_of(server.process.pid)
    return made


def memory_of(pid: int) -> int:
    """Bytes of a process that lie in memory."""
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def _view(server: Server, run: str, made: Round) -> None:
    with server.visitor() as client:
        page = made.ask(client, "GET", f"/recordings/{run}")
        loaded = re.findall(r'(?:src|href)="(/(?:static|parts|api/runs)/[^"#]+)"', page.text) if page else []
        for address in dict.fromkeys(loaded):
            if "/film" in address:
                made.ask(client, "GET", address, headers={"Range": "bytes=0-999999"})
            elif "/tables/" not in address and "/report" not in address:  # downloads
                made.ask(client, "GET", address)
        made.ask(client, "GET", f"/api/runs/{run}/figures")
        made.ask(client, "GET", "/recordings")


def _send(server: Server, film: Path, made: Round) -> None:
    size = film.stat().st_size
    with server.visitor() as client, film.open("rb") as pieces:
        begun = made.ask(client, "POST", "/api/uploads", json={"name": film.name, "size_bytes": size})
        if not begun or begun.status_code >= 400:
            return
        upload = begun.json()["id"]
        for offset in range(0, size, PIECE):
            made.ask(client, "PATCH", f"/api/uploads/{upload}", content=pieces.read(PIECE),
                     headers={"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"})
        state = made.ask(client, "GET", f"/api/uploads/{upload}")
        if state and not state.json().get("whole"):
            made.wrong.append(f"{film.name} did not arrive: {state.text}")
        made.ask(client, "DELETE", f"/api/uploads/{upload}")
