"""Alarms: a webhook or a command is told when a recording is set aside, or a job cannot be run at all."""

from __future__ import annotations

import json
import socket
import subprocess
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

from crowdmood import __version__
from crowdmood.scheduling.log import say
from crowdmood.scheduling.spec import JobSpec

WEBHOOK_S, COMMAND_S = 10.0, 60.0
SHOWN = 200  # characters of what a command says


def alarm(spec: JobSpec, event: str, **facts: Any) -> None:
    """Tell the job's webhook and command of an event. Where that fails it is logged, and no more."""
    message = {"event": event, "job": spec.name, "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
               "host": socket.gethostname(), "results": str(spec.results), **facts}
    body = json.dumps(message, default=str).encode()
    for kind, target, send in (("webhook", spec.webhook, _post), ("command", spec.command, _call)):
        if target:
            error = send(target, body)
            say("alarm failed" if error else "alarm sent", "error" if error else "info", job=spec.name, by=kind, error=error)


def _post(address: str, body: bytes) -> str | None:
    """POST JSON; what went wrong, or None. Only http and https are spoken, also where an answer leads elsewhere."""
    if not address.startswith(("http://", "https://")):
        return "the address is neither http nor https"
    headers = {"Content-Type": "application/json", "User-Agent": f"crowdmood/{__version__}"}
    try:
        with _opener().open(Request(address, body, headers, method="POST"), timeout=WEBHOOK_S):
            return None
    except (OSError, HTTPException, ValueError) as error:  # the address may hold a secret, so it is not logged
        return str(error)


def _opener() -> OpenerDirector:
    opener = build_opener(HTTPHandler, HTTPSHandler)
    for protocol in ("file", "ftp", "data"):
        opener.handle_open.pop(protocol, None)
    return opener


def _call(command: tuple[str, ...], body: bytes) -> str | None:
    """Run a command with the JSON on its standard input; what went wrong, or None."""
    try:
        done = subprocess.run(command, input=body, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=COMMAND_S, check=False)
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {COMMAND_S:g} s and was ended"
    except (OSError, ValueError) as error:
        return f"{command[0]}: {getattr(error, 'strerror', None) or error}"
    said = done.stdout.decode(errors="replace").strip()[-SHOWN:]
    return f"{command[0]} ended with code {done.returncode}: {said}" if done.returncode else None
