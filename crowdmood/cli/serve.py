"""`crowdmood serve`."""

from __future__ import annotations

import errno
import re
import socket
from typing import TYPE_CHECKING

import click

from crowdmood.cli.settings import results_option
from crowdmood.errors import CrowdmoodError

if TYPE_CHECKING:
    from pathlib import Path

SHORTEST_TOKEN = 12  # letters
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Bytes(click.ParamType):
    """A number of bytes: 500MB, 20G, 1000000."""

    name = "size"

    def convert(self, value, param, ctx) -> int:
        found = re.fullmatch(r"(\d+(?:\.\d+)?) *([KMGT]?)B?", str(value).strip().upper())
        if not found or not 0 < (size := int(float(found[1]) * UNITS[found[2]])) < 10**15:
            self.fail(f"{value!r} is no size; write it like 500MB or 20GB", param, ctx)
        return size


@click.command()
@results_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; any address but this machine's own needs a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--token", envvar="CROWDMOOD_TOKEN", help="What visitors must know, 12 letters or more. Others see an option in the list "
              "of processes: rather set $CROWDMOOD_TOKEN. Made and printed where one is needed.")
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Answer https with this certificate (PEM), so that "
              "nobody on the way reads along and browsers elsewhere give their camera.")
@click.option("--key", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="The certificate's key, if it is not in the same file.")
@click.option("--open", "show", is_flag=True, help="Open the browser.")
@click.option("--analyses", type=click.IntRange(1, 64), default=1, show_default=True, help="Recordings analyzed at a time; others wait.")
@click.option("--cameras", type=click.IntRange(1, 1000), default=16, show_default=True, help="Cameras that are looked at at a time.")
@click.option("--upload-limit", type=Bytes(), default="20GB", show_default=True, help="The largest recording that is taken.")
@click.option("--photo-limit", type=Bytes(), default="50MB", show_default=True, help="The largest photo that is taken.")
@click.option("--rate-limit", type=click.FloatRange(1, 100_000), default=200, show_default=True,
              help="Requests a second that one visitor may make; ten times as many at once.")
def serve(results: str | None, host: str, port: int, token: str | None, show: bool, certificate: str | None, **limits) -> None:
    """Show recordings, photos, the camera and SQL in the browser, and answer programs.

    Only this machine can ask, unless --host says otherwise; then visitors must know a token. Ctrl-C ends it.

    \b
      crowdmood serve --open
      crowdmood serve --results /data/shows --port 9000
      CROWDMOOD_TOKEN=... crowdmood serve --host 0.0.0.0 --certificate shows.pem
    """
    import secrets

    _check_token(token)
    folder, listening = _folder(results), _listen(host, port)
    address, port = listening.getsockname()[:2]
    try:
        from crowdmood.web.safety.guard import is_loopback
        from crowdmood.web.serving import make_server, run
        from crowdmood.web.settings import WebSettings
    except ModuleNotFoundError as error:
        if str(error.name).startswith("crowdmood"):
            raise
        raise CrowdmoodError(f"the web application needs {error.name}: pip install 'crowdmood[web]'") from error
    made = None if token or is_loopback(address) else secrets.token_urlsafe(18)
    settings = WebSettings(
        folder, host, port, token or made, analyses=limits["analyses"], rate=limits["rate_limit"],
        upload_bytes=limits["upload_limit"], photo_bytes=limits["photo_limit"], viewers=limits["cameras"])
    server = make_server(settings, (certificate, limits["key"]) if certificate else None)
    page = f"http{'s' if certificate else ''}://{_name(address)}:{port}/"
    _announce(page, made, is_loopback(address))
    if show:
        click.launch(page)
    run(server, listening)


def _folder(given: str | None) -> Path:
    """The results folder, which is made. Raises ResultsError."""
    from crowdmood.errors import ResultsError
    from crowdmood.results import results_folder
    from crowdmood.s3 import S3Folder

    folder = results_folder(given)
    if isinstance(folder, S3Folder):
        raise ResultsError("the web application needs a results folder on this machine, not on S3; give one with --results")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{folder}: {error.strerror}; give another results folder with --results") from None
    return folder


def _listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises CrowdmoodError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)  # with the protocol named, answers are not held back (TCP_NODELAY)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
        return listening
    except OSError as error:
        why = {errno.EADDRINUSE: "another program listens there; take another --port, or 0 for a free one",
               errno.EACCES: "this needs more rights; take a --port above 1023",
               errno.EADDRNOTAVAIL: "this machine has no such address"}.get(error.errno or 0, error.strerror or str(error))
        raise CrowdmoodError(f"cannot listen on {host} port {port}: {why}") from None


def _check_token(token: str | None) -> None:
    """Raises CrowdmoodError for one that is easily guessed."""
    if token and (len(token) < SHORTEST_TOKEN or token != token.strip()):
        raise CrowdmoodError(f"the token is too easy to guess: take {SHORTEST_TOKEN} letters or more, without space around them")


def _name(address: str) -> str:
    """The address as browsers take it; this machine's name for all its addresses."""
    return socket.gethostname() if address in ("0.0.0.0", "::") else f"[{address}]" if ":" in address else address


def _announce(page: str, made: str | None, local: bool) -> None:
    """Say where to look, and what to know. made: a token that nobody knows yet."""
    click.echo(f"crowdmood serves {page}")
    if made:
        click.echo(f"token: {made}\nor sign in by this address: {page}login#token={made}")
    if not local and not page.startswith("https"):
        click.echo("Plain http: others on the way can read along, and browsers elsewhere do not give their camera. See --certificate.")
    click.echo("Ctrl-C ends it.")
