"""Fetching a picture from the web: http and https only, within limits, and never from a private network by mistake.

Addresses are checked where the connection is made, and the very address that was checked is connected to: a name that resolves to
something else a moment later, or a redirect to a private one, gains nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from time import monotonic
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from crowdmood import __version__
from crowdmood.errors import CrowdmoodError, one_line

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
CHUNK = 1 << 16
# IPv6 addresses that lead to IPv4 ones through a gateway: it would be the gateway that tells what is private
EMBEDDING = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")))


class WebError(CrowdmoodError):
    """Something cannot be fetched, or is not fetched on purpose."""


@dataclass(frozen=True)
class Limits:
    """What a fetch may take: bytes, seconds in all, redirects; and which addresses it may connect to."""

    most_bytes: int = 50_000_000
    seconds: float = 30.0
    redirects: int = 5
    allowed: Callable[[Address], bool] = lambda address: is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet: not private, loopback, link-local, multicast, reserved or a gateway's."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in EMBEDDING):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def fetch_picture(url: str, folder: Path, limits: Limits = Limits()) -> Path:
    """Fetch the picture at an address into a folder; returns the file, named as in the address.

    Raises WebError with one sentence: for other schemes, addresses that are not allowed, what is no picture, too large, too slow,
    or redirected too often.
    """
    until = monotonic() + limits.seconds
    place = url
    for _ in range(limits.redirects + 1):
        parts = _checked(place)
        with _connected(parts, limits, until) as connection:
            answer = _ask(connection, parts, until)
            if answer.status not in REDIRECTS:
                return _save(answer, parts, folder, limits, until, connection)
            onward = answer.getheader("Location")
        if not onward:
            raise WebError(f"{_shown(place)}: the server redirects to nowhere")
        place = urljoin(place, onward)
    raise WebError(f"{_shown(url)}: redirected more than {limits.redirects} times; give the picture's own address")


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port  # raises for a port that is none
    except ValueError as error:
        raise WebError(f"{_shown(url)}: this is no address ({error})") from None
    if parts.scheme not in PORTS:
        raise WebError(f"{_shown(url)}: only http:// and https:// addresses are fetched")
    if not parts.hostname or port == 0:
        raise WebError(f"{_shown(url)}: this is no address")
    if parts.username is not None or parts.password is not None:
        raise WebError(f"{_shown(url)}: addresses with a user name or password are not fetched")
    return parts


@contextmanager
def _connected(parts: SplitResult, limits: Limits, until: float) -> Iterator[http.client.HTTPConnection]:
    """A connection to the first address of the host that answers; all of them must be allowed. It is cut when the time is over,
    however slowly it goes on. Raises WebError."""
    host, port = parts.hostname, parts.port or PORTS[parts.scheme]
    failure: OSError = OSError("it has no address")
    for family, place in _places(host, port, limits):
        with ExitStack() as held:
            try:
                plain = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
                plain.settimeout(_left(until))
                plain.connect(place)
                held.enter_context(_cut_at(plain, until))
                secure = parts.scheme == "https"
                opened = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
            except OSError as error:
                failure = error
                continue
            connection = http.client.HTTPConnection(host, port)
            connection.sock = held.enter_context(opened)
            yield connection
            return
    raise WebError(f"{_shown(host)}: no connection ({_why(failure, until)})")


def _places(host: str, port: int, limits: Limits) -> list[tuple[int, tuple]]:
    """The addresses of a host, as sockets want them. Raises WebError where one of them is not allowed."""
    try:
        found = socket.getaddrinfo(host if host.isascii() else host.encode("idna").decode(), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise WebError(f"{_shown(host)}: no such host ({getattr(error, 'strerror', None) or error})") from None
    for *_, place in found:
        address = ipaddress.ip_address(place[0].partition("%")[0])
        if not limits.allowed(address):
            raise WebError(f"{_shown(host)} is at {address}, which is no address of the open internet; --allow-private fetches from there")
    return [(family, place) for family, *_, place in found]


@contextmanager
def _cut_at(connected: socket.socket, until: float) -> Iterator[None]:
    """Cut a connection when the time is over: timeouts count from byte to byte, and bytes may drip for ever."""
    with connected.dup() as other:
        timer = Timer(_left(until), _cut, (other,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _ask(connection: http.client.HTTPConnection, parts: SplitResult, until: float) -> http.client.HTTPResponse:
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else "")
    try:
        connection.request("GET", target, headers={"User-Agent": f"crowdmood/{__version__}", "Accept": "image/*",
                                                   "Accept-Encoding": "identity"})
        answer = connection.getresponse()
        _left(until)  # or headers that were cut would pass for all there are
        return answer
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise WebError(f"{_shown(parts.hostname)}: no answer ({_why(error, until)})") from None


def _save(answer: http.client.HTTPResponse, parts: SplitResult, folder: Path, limits: Limits, until: float,
          connection: http.client.HTTPConnection) -> Path:
    """The answer's content as a file. Raises WebError."""
    url = _shown(parts.geturl())
    kind = (answer.getheader("Content-Type") or "").partition(";")[0].strip().lower()
    if answer.status != 200:
        raise WebError(f"{url}: the server answers {answer.status} {one_line(answer.reason)[:60]}".rstrip())
    if not kind.startswith("image/"):
        raise WebError(f"{url}: this is no picture but {one_line(kind)[:60] or 'of no stated type'}; give the picture's own address")
    if (answer.getheader("Content-Encoding") or "identity") != "identity":
        raise WebError(f"{url}: the server packs the picture, though it was asked not to")
    if (answer.length or 0) > limits.most_bytes:
        raise WebError(f"{url}: {answer.length / 1e6:,.0f} MB are more than the {limits.most_bytes / 1e6:,.0f} MB that are fetched")
    path = folder / _name(parts)
    size = 0
    with open(path, "wb") as file:
        while chunk := _chunk(answer, connection, until, url):
            size += len(chunk)
            if size > limits.most_bytes:
                raise WebError(f"{url}: it is larger than the {limits.most_bytes / 1e6:,.0f} MB that are fetched")
            file.write(chunk)
    return path


def _chunk(answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, until: float, url: str) -> bytes:
    try:
        if connection.sock is not None:
            connection.sock.settimeout(_left(until))
        content = answer.read1(CHUNK)
        _left(until)  # or what was cut would pass for all there is
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise WebError(f"{url}: the connection broke off ({_why(error, until)})") from None
    if not content and answer.length:
        raise WebError(f"{url}: the connection broke off before the end")
    return content


def _left(until: float) -> float:
    """Seconds that are left. Raises TimeoutError."""
    if (left := until - monotonic()) <= 0:
        raise TimeoutError("it took too long")
    return left


def _name(parts: SplitResult) -> str:
    """A file name for what is at an address: its last part, without anything that could lead elsewhere."""
    name = "".join(letter for letter in os.path.basename(parts.path) if letter.isalnum() or letter in "._-").lstrip(".")
    return name[-100:] or "picture"


def _why(error: BaseException, until: float) -> str:
    if isinstance(error, TimeoutError) or monotonic() >= until:
        return "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    return one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__)[:120]


def _shown(url: str) -> str:
    """An address as a message shows it: without a password, and not endless."""
    text = one_line(url)
    scheme, sign, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    text = f"{scheme}{sign}{host.rpartition('@')[2]}{slash}{path}" if sign else text
    return text if len(text) <= 120 else text[:119] + "\u2026"
