"""A real S3 server on loopback (moto's), which remembers what it was asked, and can be made to hold or refuse a request."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response


@dataclass(frozen=True)
class Request:
    """method; path: /bucket/key; bytes: sent in answer; listing: the prefix that was listed, None if it was no listing."""

    method: str
    path: str
    bytes: int
    listing: str | None


class Server:
    """The server, in a thread. requests: those answered since the last `forget`."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.requests: list[Request] = []
        self.refuses: Callable[[str, str], bool] = lambda method, path: False
        self._held: Callable[[str, str], bool] = lambda method, path: False
        self._arrived, self._released = threading.Event(), threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def forget(self) -> None:
        self.requests.clear()

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()

    @contextmanager
    def holding(self, which: Callable[[str, str], bool]) -> Iterator[threading.Event]:
        """Answer the first request of which `which(method, path)` is true only at the end of the block, and do what it says
        only then. Yields an event that is set when it has come.
        """
        self._arrived.clear()
        self._released.clear()
        self._held = which
        try:
            yield self._arrived
        finally:
            self._released.set()

    def _answer(self, environ: dict, start_response: Callable) -> Iterator[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if self._held(method, path):
            self._held = lambda method, path: False
            self._arrived.set()
            self._released.wait(300)
        if self.refuses(method, path):
            return Response("down for a moment", 503)(environ, start_response)
        query = parse_qs(environ.get("QUERY_STRING", ""))
        answer = list(self._app(environ, start_response))
        prefix = query.get("prefix", [""])[0] if "list-type" in query else None
        self.requests.append(Request(method, path, sum(map(len, answer)), prefix))
        return answer


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """A server; the environment leads this process and its children to it. home: an empty folder."""
    server = Server()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", str(home / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
        patch.delenv("CROWDMOOD_RESULTS", raising=False)
        yield server
        server.stop()


def new_bucket(server: Server, name: str) -> str:
    """An empty bucket, and all of the server's requests forgotten."""
    import s3fs

    s3fs.S3FileSystem(endpoint_url=server.url).mkdir(name)
    server.refuses = lambda method, path: False
    server.forget()
    return name
