"""The server that runs the application."""

from __future__ import annotations

import logging
import socket

import uvicorn

from crowdmood.web.app import make_app
from crowdmood.web.settings import WebSettings

GRACE_S = 1  # for answers under way when the server is asked to end; streams go on for ever


def run(settings: WebSettings, listening: socket.socket) -> None:
    """Answer until a signal comes. Says nothing of requests; a bug's traceback goes to stderr."""
    logging.getLogger("uvicorn.error").addFilter(_tells_something)
    config = uvicorn.Config(make_app(settings), log_level="warning", access_log=False, server_header=False, date_header=True,
                            timeout_graceful_shutdown=GRACE_S, timeout_keep_alive=20, ws_max_size=8_000_000, lifespan="on")
    uvicorn.Server(config).run([listening])


def _tells_something(record: logging.LogRecord) -> bool:
    """Not that answers were still under way when the server was asked to end, nor nonsense that came over the network."""
    text = record.getMessage()
    return not text.startswith(("Cancel ", "Invalid HTTP request", "ASGI callable returned without completing"))
