"""S1, S2, S3: requests without the secret get nothing; secrets are compared in constant time and can be rotated."""

from __future__ import annotations

import ast
import base64
import itertools
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hmac import compare_digest
from pathlib import Path
from typing import Any

import pytest
from flask import Request

from dev.local_freshdesk import LocalFreshdesk
from tests.endpoints import ROOT, Endpoint, open_endpoint
from tests.factories import API_KEY, SECRET, request
from tests.serving import Served, serve

SCHEMES = (
    *("", "Bearer", "bearer ", "Basic", "Digest", "Token", "Bearer:", "Bearer=", "Bearer,", "Negotiate", "Bearer\t"),
    *("Bearer\u00a0", "B\u00e9arer", "\x00Bearer", "Bearer Bearer", "null", "AWS4-HMAC-SHA256", "Bea\x00rer"),
)
TOKENS = (
    *("", SECRET[:-1], SECRET[1:], SECRET + "x", "x" + SECRET, SECRET.upper(), SECRET[::-1], SECRET * 2),
    *(f"{SECRET},", f"{SECRET},{SECRET}", f"{SECRET} {SECRET}", f'"{SECRET}"', f"<{SECRET}>", f"{SECRET}\x00"),
    *(f"\x00{SECRET}", f"{SECRET};", f"{SECRET}\u00a0x", f"\u00fe{SECRET}", f"{SECRET[:-1]}\u00b2"),
    *(base64.b64encode(SECRET.encode()).decode(), base64.b64encode(f"x:{SECRET}".encode()).decode(), "====", "null"),
    *(
        "undefined",
        "true",
        "0",
        "[object Object]",
        "{{secret}}",
        "${WEBHOOK_SECRET}",
        "%s%n",
        "' OR '1'='1",
        "../secret",
    ),
    *("\u00ff" * 100, "\u00e9", "\x00", "\x01\x02\x7f", "\x80\x81", "?" * len(SECRET), "*", "a" * 65_536, " " * 9_000),
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
)
HEADERS = [f"{scheme} {token}" for scheme, token in itertools.product(SCHEMES, TOKENS)]


class Untouchable:
    """A body that must not be read."""

    def read(self, *_: int) -> bytes:
        """Fail the test."""
        raise AssertionError("the body of a stranger was read")

    readline = read


def from_stranger(header: str | None, method: str = "POST") -> Request:
    """Return a request with this Authorization, exactly as WSGI passes it."""
    wsgi: dict[str, Any] = {**request(authorization=None, method=method).environ, "wsgi.input": Untouchable()}
    return Request(wsgi if header is None else {**wsgi, "HTTP_AUTHORIZATION": header})


def test_a_request_without_the_secret_gets_nothing(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """For more than 500 headers: 401, no body read, nothing kept, no call made."""
    assert len(set(HEADERS)) >= 500
    statuses = {header: endpoint(from_stranger(header)).status for header in (*HEADERS, None)}
    assert {header for header, status in statuses.items() if status != 401} == set()
    assert {endpoint(from_stranger(header, "GET")).status for header in HEADERS[::7]} == {401}
    assert (freshdesk.calls, list(endpoint.delivery.writer.ledger.each())) == ([], [])


def test_control_with_the_secret_the_body_is_read(endpoint: Endpoint) -> None:
    """With the right header the same request reads its body."""
    assert endpoint(from_stranger(f"Bearer {SECRET}")).status == 503


def test_control_comparing_text_raises() -> None:
    """`compare_digest` of str, as in many libraries, raises for anything that is not ASCII."""
    strange = [header for header in HEADERS if not header.isascii()]
    assert len(strange) >= 50
    with pytest.raises(TypeError):
        compare_digest(strange[0], SECRET)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, LocalFreshdesk]]:
    """Run the function in its own server."""
    with (
        LocalFreshdesk(api_key=API_KEY) as freshdesk,
        serve(freshdesk.url, tmp_path_factory.mktemp("served")) as running,
    ):
        yield running, freshdesk


WIRE = (
    b"Authorization: Bearer wrong\r\nAuthorization: Bearer " + SECRET.encode(),
    b"Authorization: Bearer " + SECRET.encode() + b"\r\nAuthorization: Bearer wrong",
    b"Authorization:Bearer\x00" + SECRET.encode(),
    b"Authorization : Bearer " + SECRET.encode(),
    b"Authorization: Bearer\r\n " + SECRET.encode(),
    b"Authorization: Bearer " + b"a" * 8_000,
    b"Authorization: Bearer " + b"a" * 65_536,
    b"Authorization: Bearer \xff\xfe\xf0",
    b"Authorization: Bearer " + "ñ".encode() * 50,
    b"authorization: bearer",
    b"Proxy-Authorization: Bearer " + SECRET.encode(),
    b"X-Authorization: Bearer " + SECRET.encode(),
    b"Cookie: Authorization=Bearer " + SECRET.encode(),
    b"Authorization: Bearer \x01\x02",
    b"X: y\nAuthorization: Bearer " + SECRET.encode(),
    b"X-HTTP-Method-Override: GET",
    b"\r\n".join(b"X-%d: y" % number for number in range(500)),
)


@pytest.mark.parametrize("header", WIRE, ids=range(len(WIRE)))
def test_a_raw_request_without_the_secret_gets_nothing(served: tuple[Served, LocalFreshdesk], header: bytes) -> None:
    """The server itself refuses invalid HTTP, the rest is 401; no call is made."""
    running, freshdesk = served
    lines = (
        b"POST / HTTP/1.1",
        b"Host: x",
        b"Content-Type: application/json",
        b"Content-Length: 2",
        header,
        b"",
        b"{}",
    )
    assert status_of(running, b"\r\n".join(lines)) in {400, 401, 431}
    assert freshdesk.calls == []


REACHES_US = (
    *(b"GET //a//b HTTP/1.1", b"GET /%ff%00 HTTP/1.1", b"GET /?reference=%ff%fe HTTP/1.1", b"FOO / HTTP/1.1"),
    *(
        b"OPTIONS * HTTP/1.1",
        b"GET http://x/ HTTP/1.1",
        b"CONNECT x:1 HTTP/1.1",
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1",
    ),
    b"GET / HTTP/1.1\r\nHost: a b@c",
    b'POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Type: "\xff;;;=x',
)
SERVERS_OWN = (b"hola", b"F{O / HTTP/1.1", b"GET / HTTP/9.9", b"POST / HTTP/1.1\r\nContent-Length: -1")


@pytest.mark.parametrize("secret", [SECRET.encode(), b"wrong"])
@pytest.mark.parametrize("lines", [*REACHES_US, *SERVERS_OWN], ids=range(len(REACHES_US) + len(SERVERS_OWN)))
def test_every_answer_is_json(served: tuple[Served, LocalFreshdesk], lines: bytes, secret: bytes) -> None:
    """Except for requests that the server itself refuses, as the document says."""
    first, _, more = lines.partition(b"\r\n")
    sent = b"\r\n".join([first, b"Authorization: Bearer " + secret, b"Connection: close", more, b"", b""])
    with socket.create_connection(("127.0.0.1", served[0].port), timeout=10) as wire:
        wire.sendall(sent)
        wire.shutdown(socket.SHUT_WR)
        head, _, sent_back = wire.makefile("rb").read().partition(b"\r\n\r\n")
    is_json = b"content-type: application/problem+json" in head.lower()
    assert is_json is (lines in REACHES_US)
    assert not is_json or json.loads(sent_back)["code"]


def status_of(running: Served, raw: bytes) -> int:
    """Send raw bytes and return the status of the first answer."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as wire:
        wire.sendall(raw)
        return int(wire.makefile("rb").readline().split()[1])


ENDPOINT = ROOT / "handoff" / "endpoint.py"
SOURCE = ENDPOINT.read_text(encoding="utf-8")
NAIVE = """
class Function:
    def __init__(self, secrets):
        self._secrets = secrets
    def _authorised(self, header):
        return header.removeprefix("Bearer ") in self._secrets
"""


def secrets_outside_compare_digest(source: str) -> list[int]:
    """Return the lines in which a secret is used for anything except to keep it or to give it to compare_digest."""
    tree = ast.parse(source)
    safe: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ListComp) and "_secrets" in ast.unparse(node.generators[0].iter):
            call = node.elt
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "compare_digest":
                safe |= {*ast.walk(node)}
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "_secrets"]
    return [node.lineno for node in uses if node not in safe and isinstance(node.ctx, ast.Load)]


def test_secrets_are_used_in_compare_digest_only() -> None:
    """S2: one place compares, in constant time, with every secret and without an early exit."""
    assert secrets_outside_compare_digest(SOURCE) == []
    assert SOURCE.count("compare_digest(") == 1
    assert [f for f in ROOT.glob("**/handoff/**/*.py") if "compare_digest" in f.read_text("utf-8")] == [
        ENDPOINT,
    ]


def test_control_other_uses_of_a_secret_are_found() -> None:
    """A plain `in` is found, and so is a loop that stops at the first match."""
    assert secrets_outside_compare_digest(NAIVE) == [6]
    early = SOURCE.replace(
        "matches = [compare_digest(given, secret) for secret in self._secrets]", "matches = self._secrets"
    )
    assert early != SOURCE
    assert secrets_outside_compare_digest(early) != []


def refused_while_changing(deployed: list[Endpoint], sent: list[str], each: int) -> int:
    """Return how many requests are refused while the secret is changed step by step."""
    steps = [(endpoint, secret) for endpoint, secret in zip(deployed, sent, strict=True) for _ in range(each)]

    def ask(step: tuple[Endpoint, str]) -> bool:
        endpoint, secret = step
        asked = request(method="GET", path="/?reference=BF-AAAAAAAA", authorization=f"Bearer {secret}")
        return endpoint(asked).status == 401

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(ask, steps))


def test_a_secret_is_changed_without_an_outage(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """S3: add the new one, change the bots, remove the old one: of 1,000 requests none is refused; then the old is."""
    old, new = "o" * 32, "n" * 32
    with (
        open_endpoint(freshdesk.url, tmp_path, WEBHOOK_SECRET=old) as before,
        open_endpoint(freshdesk.url, tmp_path, WEBHOOK_SECRET=f"{old},{new}") as during,
        open_endpoint(freshdesk.url, tmp_path, WEBHOOK_SECRET=new) as after,
    ):
        assert refused_while_changing([before, during, during, after], [old, old, new, new], 250) == 0
        assert refused_while_changing([after], [old], 10) == 10
        assert refused_while_changing([before, after, after], [old, old, new], 10) == 10  # control: without the middle
