"""The server that runs the application."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import threading
from types import FrameType

import uvicorn

from crowdmood.errors import CrowdmoodError
from crowdmood.web.app import make_app
from crowdmood.web.settings import WebSettings

GRACE_S = 1  # for answers under way when the server is asked to end; streams go on for ever
FILES = 65_536  # that may be open: every visitor takes one or more
LAST_S = 8.0  # then the server ends as it is, which loses nothing that was finished


def make_server(settings: WebSettings, tls: tuple[str, str | None] | None = None) -> Server:
    """A server that says nothing of requests; a bug's traceback goes to stderr. tls: files of the certificate and of its key, None
    where that lies in the first too. Raises CrowdmoodError when they do not fit."""
    certificate, key = tls or (None, None)
    config = uvicorn.Config(make_app(settings), log_level="warning", access_log=False, server_header=False,
                            timeout_graceful_shutdown=GRACE_S, timeout_keep_alive=20, ws_max_size=8_000_000, lifespan="on",
                            ssl_certfile=certificate, ssl_keyfile=key)
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise CrowdmoodError(f"{certificate}: not a certificate in PEM format with its key, or the key does not fit it; give both files with "
                             "--certificate and --key") from error
    return Server(config)


def run(server: Server, listening: socket.socket) -> None:
    """Answer until a signal comes."""
    logging.getLogger("uvicorn.error").addFilter(_tells_something)
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(most, FILES)
    if usual < wanted and usual != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # the terminal was closed
        signal.signal(signal.SIGHUP, server.handle_exit)
    server.run([listening])


class Server(uvicorn.Server):
    """A server that has ended a few seconds after a signal, whatever is still under way."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        super().handle_exit(sig, frame)
        last = threading.Timer(LAST_S, os._exit, (128 + sig,))
        last.daemon = True
        last.start()


def _tells_something(record: logging.LogRecord) -> bool:
    """Not that answers were still under way when the server was asked to end, nor nonsense that came over the network."""
    text, kind = record.getMessage(), record.exc_info[0] if record.exc_info else None
    if kind and issubclass(kind, asyncio.CancelledError):
        return False
    return not text.startswith(("Cancel ", "Invalid HTTP request", "ASGI callable returned without completing"))
