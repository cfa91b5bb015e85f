"""Fetches a file of the person. It is the one place where the function calls an address that somebody else chose.

So: hosts of a list only, https, addresses that are public, and the connection is made to just the addresses that were
checked. Redirects are followed within the same rules. No credentials, no cookies, no proxy.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Collection
from contextlib import closing
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from requests.utils import requote_uri

from freshdesk_client import Answer, FreshdeskUnreachable, OutcomeUnknown, Request
from handoff.transport import AnswerTooLarge, LookUp, RequestsTransport

REDIRECTS_MAX: Final = 3
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})
_HTTPS_PORT: Final = 443
_OK: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_LATER: Final = frozenset({408, 425, 429})  # of the 4xx: the file may be had another time
_ODD: Final = re.compile(r"[\\\s\x00-\x20\x7f]")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Fetched(NamedTuple):
    """A file's bytes, and its media type as the server gave it."""

    content: bytes
    media_type: str


class CannotFetch(Exception):
    """The file was not had. `reason` is a short code; `for_good`: trying again is of no use."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


class Fetch(Protocol):
    """Fetches a file."""

    def __call__(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """Return the file at url, if it has at most max_bytes, within timeout_s seconds. Raises CannotFetch."""
        ...


def fetch_nothing(url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
    """Raise CannotFetch: no host is listed."""
    del url, max_bytes, timeout_s
    raise CannotFetch("host-not-listed", for_good=True)


class Fetcher:
    """Fetches files from the hosts of a list.

    Args:
        hosts: host names, lower-case; `*.example.com` stands for every host below example.com. `127.0.0.1:PORT` may be
            called over plain http: for development and tests alone.
        look_up: finds a host's addresses.
    """

    def __init__(self, hosts: Collection[str], *, look_up: LookUp = socket.getaddrinfo) -> None:
        self._hosts = hosts
        self._look_up = look_up

    def __call__(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """Return the file at url; see `Fetch`."""
        ends_at = time.monotonic() + timeout_s
        for _ in range(REDIRECTS_MAX + 1):
            parts = self._checked(url)
            answer = self._get(parts, max_bytes, ends_at - time.monotonic())
            if answer.status not in _REDIRECTS:
                return _file_of(answer)
            url = urljoin(url, answer.headers.get("location", ""))
        raise CannotFetch("too-many-redirects", for_good=True)

    def _checked(self, url: str) -> SplitResult:
        """Return the parts of an address that may be called. Raises CannotFetch."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise CannotFetch("bad-address", for_good=True) from error
        if _ODD.search(url) or "@" in parts.netloc or not host.isascii():
            raise CannotFetch("bad-address", for_good=True)
        if parts.scheme == "http" and host in LOOPBACK and f"{host}:{port}" in self._hosts:
            return parts
        if parts.scheme != "https" or port not in {None, _HTTPS_PORT}:
            raise CannotFetch("not-https", for_good=True)
        if host not in self._hosts and not any(f"*.{above}" in self._hosts for above in _above(host)):
            raise CannotFetch("host-not-listed", for_good=True)
        return parts

    def _get(self, parts: SplitResult, max_bytes: int, timeout_s: float) -> Answer:
        private: list[str] = []
        is_local = parts.scheme == "http"

        def look_up(host: str, port: int, **options: Any) -> list[Any]:
            """Return the host's addresses; none of them if one is not public: the server would choose."""
            found = self._look_up(host, port, **options)
            private.extend(address[0] for *_, address in found if not is_local and not is_public(address[0]))
            return [] if private else found

        path = requote_uri(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
        transport = RequestsTransport(
            f"{parts.scheme}://{parts.netloc}", "", look_up=look_up, answer_max=max_bytes, proxies=False
        )
        with closing(transport):
            try:
                return transport(Request("GET", path), timeout_s)
            except AnswerTooLarge as error:
                raise CannotFetch("too-large", for_good=True) from error
            except FreshdeskUnreachable as error:
                raise CannotFetch("private-address" if private else "unreachable", for_good=bool(private)) from error
            except OutcomeUnknown as error:
                raise CannotFetch("bad-answer") from error


def _file_of(answer: Answer) -> Fetched:
    if answer.status == _OK:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise CannotFetch("bad-answer", for_good=True)  # nobody asked for it, and its size says nothing
        return Fetched(answer.body, answer.headers.get("content-type", "").partition(";")[0].strip().lower())
    if 400 <= answer.status < 500 and answer.status not in _LATER:  # noqa: PLR2004 -- the 4xx
        raise CannotFetch("gone", for_good=True)
    raise CannotFetch("bad-answer")


def _above(host: str) -> list[str]:
    """Return the domains above a host.

    >>> _above("a.b.example.com")
    ['b.example.com', 'example.com', 'com']
    """
    labels = host.split(".")
    return [".".join(labels[number:]) for number in range(1, len(labels))]


def is_public(address: str) -> bool:
    """Return True if an address, and the IPv4 address within it if there is one, can be reached by anybody.

    >>> [is_public(one) for one in ("8.8.8.8", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "100.64.0.1")]
    [True, False, False, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner: list[ipaddress.IPv4Address | None] = []
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        inner += [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)] if ip in _NAT64 else []
    every = [ip, *(one for one in inner if one is not None)]
    return all(one.is_global and not one.is_multicast for one in every)
