"""Fetches a file from an address that somebody else chose: from listed hosts, at public addresses, within bounds.

This is the only place where the function calls what a request names. So nothing here is left to a library's defaults:
no credentials, cookies or proxies, and the connection is made to the very address that was checked, because a second
lookup might be answered differently (DNS rebinding).
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from collections.abc import Collection
from functools import cached_property
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote, urljoin, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from handoff.addresses import HOST_NAME, is_loopback, is_public
from handoff.http_reading import (
    AnswerTooLarge,
    Connect,
    LookUp,
    StrictResponse,
    Until,
    addresses_of,
    connected,
)

URL_MAX: Final = 4_096
REDIRECTS_MAX: Final = 3
UNKNOWN_TYPE: Final = "application/octet-stream"
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}", re.ASCII)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 421, 425, 429})  # of the 4xx, those that say: later
_URL_SAFE: Final = "!#$%&'()*+,/:;=?@[]~"  # what an address keeps as it is; all else is percent-encoded


class Fetched(NamedTuple):
    """A file: its bytes, and the media type that its host gave it."""

    content: bytes
    media_type: str


class CannotFetch(Exception):
    """There is no file. The text holds nothing of the address, so it can be logged.

    `reason`: `bad-address`, `not-https`, `host-not-listed`, `private-address`, `too-many-redirects`, `gone` (a 4xx),
    `too-large`, `compressed`, `bad-answer`, `unreachable`, `no-time` or `ca-bundle` (this machine's list of
    authorities cannot be read). `for_good`: trying again cannot help.
    """

    def __init__(self, reason: str, detail: str = "", *, for_good: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.for_good = for_good


class _Place(NamedTuple):
    """Where a URL leads."""

    netloc: str
    host: str
    port: int
    target: str  # path and query
    tls: bool
    loopback: bool


class Fetch(Protocol):
    """Fetches a file."""

    def __call__(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """Return the file at url, of at most max_bytes, within timeout_s in all.

        Raises:
            CannotFetch: there is none, or not now.
        """
        ...


def fetch_nothing(url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
    """Raise CannotFetch: no host is listed."""
    del url, max_bytes, timeout_s
    raise CannotFetch("host-not-listed", for_good=True)


class Fetcher:
    """Fetches files from some hosts and no others.

    Args:
        hosts: names in lower case; `*.name` stands for every name below it, and not for itself. A `host:port` is one of
            this machine, for development and tests: these alone may be http, and loopback.
        look_up: as `socket.getaddrinfo`.
        connect: as `socket.create_connection`.
        authorities: file with the certificates that are trusted.
    """

    def __init__(
        self,
        hosts: Collection[str],
        *,
        look_up: LookUp = socket.getaddrinfo,
        connect: Connect = socket.create_connection,
        authorities: str = DEFAULT_CA_BUNDLE_PATH,
    ) -> None:
        self._hosts = frozenset(hosts)
        self._look_up = look_up
        self._connect = connect
        self._authorities = authorities

    def __call__(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """Return the file at url; see `Fetch`."""
        until = Until(time.monotonic() + timeout_s)
        try:
            for _ in range(REDIRECTS_MAX + 1):
                found = self._fetch_once(self._place_of(url), until, max_bytes)
                if isinstance(found, Fetched):
                    return found
                url = urljoin(url, found)
        except AnswerTooLarge as error:
            raise CannotFetch("too-large", for_good=True) from error
        except TimeoutError as error:
            raise CannotFetch("no-time") from error
        except OSError as error:  # first: some of these are ValueErrors or HTTPExceptions as well
            raise CannotFetch("unreachable", type(error).__name__) from error
        except (http.client.HTTPException, ValueError) as error:
            raise CannotFetch("bad-answer", type(error).__name__) from error
        raise CannotFetch("too-many-redirects", for_good=True)

    def _place_of(self, url: str) -> _Place:
        """Return where url leads, if it may be called: what browsers, Python and servers read differently may not."""
        if len(url) > URL_MAX or "\\" in url or not url.isprintable() or url != url.strip():
            raise CannotFetch("bad-address", for_good=True)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise CannotFetch("bad-address", for_good=True) from error
        netloc, tls = parts.netloc.lower(), parts.scheme == "https"
        target = quote(f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/", safe=_URL_SAFE)
        if port and netloc in self._hosts and parts.scheme in {"http", "https"}:
            return _Place(netloc, (parts.hostname or ""), port, target, tls, loopback=True)
        if parts.scheme == "http":
            raise CannotFetch("not-https", for_good=True)
        host = netloc.removesuffix(":443")
        if not tls or not HOST_NAME.fullmatch(parts.netloc.removesuffix(":443")):
            raise CannotFetch("bad-address", for_good=True)
        if host not in self._hosts and not any(host.endswith(one[1:]) for one in self._hosts if one[0] == "*"):
            raise CannotFetch("host-not-listed", for_good=True)
        return _Place(host, host, 443, target, tls, loopback=False)

    def _fetch_once(self, place: _Place, until: Until, max_bytes: int) -> Fetched | str:
        """Return the file, or where it is said to be instead."""
        addresses = addresses_of(self._look_up, place.host, place.port, until.left_s)
        if not all(is_loopback(address) if place.loopback else is_public(address) for address, _ in addresses):
            raise CannotFetch("private-address", for_good=True)
        with connected(addresses, until, self._connect) as plain, self._secured(plain, place) as sock:
            sock.sendall(
                f"GET {place.target} HTTP/1.1\r\nHost: {place.netloc}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
                "User-Agent: botpress-freshdesk-handoff/1\r\nConnection: close\r\n\r\n".encode("ascii")
            )
            with StrictResponse(sock, method="GET", ends_at=until.ends_at) as response:
                response.begin()
                return _redirect(response) or _file(response, max_bytes)

    def _secured(self, sock: socket.socket, place: _Place) -> socket.socket:
        """Return the socket with TLS, for the host's name, where place has it."""
        if not place.tls:
            return sock
        # strict about the end, so that a file without a length cannot be cut short
        return self._tls.wrap_socket(sock, server_hostname=place.host, suppress_ragged_eofs=False)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._authorities)
        except OSError as error:
            raise CannotFetch("ca-bundle", type(error).__name__) from error


def _redirect(response: StrictResponse) -> str:
    """Return where the file is said to be instead, or ""."""
    location: str = response.headers.get("Location", "") if response.status in _REDIRECTS else ""
    return quote(location.encode("latin-1"), safe=_URL_SAFE)  # the bytes that came: http.client reads them as Latin-1


def _file(response: StrictResponse, max_bytes: int) -> Fetched:
    status = response.status
    if status != http.client.OK:
        gone = 400 <= status < 500 and status not in _PASSING  # noqa: PLR2004 -- the 4xx
        raise CannotFetch("gone" if gone else "bad-answer", str(status), for_good=gone)
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise CannotFetch("compressed", for_good=True)
    named = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Fetched(response.read_whole(max_bytes), named if _TYPE.fullmatch(named) else UNKNOWN_TYPE)
