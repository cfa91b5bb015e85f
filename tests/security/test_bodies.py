"""S5: bodies that are too long, have a wrong length, come in chunks, compressed, slowly or never."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from dev.local_freshdesk import LocalFreshdesk
from handoff.strict_json import BODY_MAX
from tests.factories import API_KEY, SECRET, body
from tests.serving import Served, serve

HEAD = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
MEMORY_MAX = 64 * 1024 * 1024
SOUND = json.dumps(body()).encode()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run the function in its own server, with few threads."""
    folder = tmp_path_factory.mktemp("served")
    with LocalFreshdesk(api_key=API_KEY) as freshdesk, serve(freshdesk.url, folder, THREADS="32") as running:
        yield running


def padded(size: int, message_id: str) -> bytes:
    """Return a valid body of exactly size bytes."""
    raw = json.dumps(body(message_id=message_id, user_email=f"{message_id}@example.com")).encode()[:-1] + b', "x": "'
    return raw + b"x" * (size - len(raw) - 2) + b'"}'


def head(*lines: str) -> bytes:
    """Return the head of a POST with these lines."""
    fixed = [f"{name}: {value}" for name, value in HEAD.items()]
    return "\r\n".join(["POST / HTTP/1.1", "Host: x", *fixed, *lines, "", ""]).encode()


def status_of(served: Served, raw: bytes, *, hang_up: bool = False) -> int:
    """Send raw bytes and return the status of the answer, or 0 if the server only closes the connection."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as wire:
        wire.sendall(raw)
        if hang_up:
            wire.shutdown(socket.SHUT_WR)
        line = wire.makefile("rb").readline().split()
        return int(line[1]) if line else 0


def well(served: Served, message_id: str) -> bool:
    """Return True if an ordinary handoff becomes a ticket."""
    sent = body(message_id=message_id, user_email=f"{message_id}@example.com")
    return requests.post(served.url, json=sent, headers=HEAD, timeout=20).status_code == 201


@pytest.mark.parametrize(
    ("size", "status"),
    [(BODY_MAX - 1, 201), (BODY_MAX, 201), (BODY_MAX + 1, 413), (3_000_000, 413), (11_000_000, 413)],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_the_size_limit_holds_for_every_kind_of_body(served: Served, size: int, status: int, chunked: bool) -> None:  # noqa: FBT001 -- a table's column
    """Exact to the byte, with Content-Length and in chunks, and also past the limit of the framework."""
    raw = padded(size, f"m{size}{chunked}".lower())
    data = (raw[at : at + 65_536] for at in range(0, size, 65_536)) if chunked else raw
    try:
        assert requests.post(served.url, data=data, headers=HEAD, timeout=30).status_code == status
    except requests.ConnectionError:
        assert size > 10_000_000  # the server closed while the client was still sending what it had refused


LIES = (
    ((f"Content-Length: {len(SOUND) + 500}",), SOUND, {0, 400, 503}),
    (("Content-Length: 10",), SOUND, {400}),
    (("Content-Length: -1",), SOUND, {400}),
    (("Content-Length: ten",), SOUND, {400}),
    (("Content-Length: 1e3",), SOUND, {400}),
    (("Content-Length: 99999999999999999999",), SOUND, {0, 413, 503}),
    (("Content-Length: 10", "Content-Length: 20"), SOUND, {400}),
    ((f"Content-Length: {len(SOUND)}", "Transfer-Encoding: chunked"), SOUND, {400, 503}),
    (("Transfer-Encoding: chunked",), b"zz\r\n" + SOUND, {0, 400, 503}),
    (("Transfer-Encoding: chunked",), b'5\r\n{"a', {0, 400, 503}),
    (("Transfer-Encoding: chunked",), b"ffffffffffffffff\r\n{", {0, 400, 503}),
    (("Transfer-Encoding: gzip",), SOUND, {400, 501}),
    (("Transfer-Encoding: chunked, identity",), SOUND, {400}),
    ((), b"", {400}),
)


@pytest.mark.parametrize(("lines", "rest", "allowed"), LIES, ids=range(len(LIES)))
def test_a_wrong_length_does_no_harm(served: Served, lines: tuple[str, ...], rest: bytes, allowed: set[int]) -> None:
    """The request is refused by the server or by the function, or cut off; the next caller is answered as usual."""
    assert status_of(served, head(*lines) + rest, hang_up=True) in allowed
    assert well(served, f"after-lie-{LIES.index((lines, rest, allowed))}")


BOMB = gzip.compress(b"0" * 100_000_000)
TWICE = gzip.compress(BOMB)


@pytest.mark.parametrize(
    ("encoding", "bomb", "status"),
    [
        ("gzip", BOMB, 413),
        ("deflate", zlib.compress(b"0" * 100_000_000), 413),
        ("deflate", zlib.compress(b"0" * 100_000_000, wbits=-15), 413),
        ("br", BOMB, 413),
        ("gzip, gzip", TWICE, 415),
        ("identity", TWICE, 400),
    ],
)
def test_a_compression_bomb_is_limited(served: Served, encoding: str, bomb: bytes, status: int) -> None:
    """100 MB in 100 kB are unpacked up to the limit, and a body packed twice is unpacked once."""
    before = served.resident_bytes
    headers = {**HEAD, "Content-Encoding": encoding, "Content-Type": "text/plain" if status == 415 else "text/json"}
    assert requests.post(served.url, data=bomb, headers=headers, timeout=20).status_code == status
    assert served.resident_bytes - before < MEMORY_MAX


def test_slow_bodies_do_not_block_other_callers(served: Served) -> None:
    """While twenty callers never finish their body, another one is answered."""
    with ExitStack() as open_wires:
        for _ in range(20):
            wire = open_wires.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=20))
            wire.sendall(head(f"Content-Length: {len(SOUND)}") + SOUND[:50])
        assert well(served, "between-slow-ones")
    assert well(served, "after-slow-ones")


def test_memory_stays_limited(served: Served) -> None:
    """Bodies of 8 MB, one after the other, are not kept in memory whole."""
    assert well(served, "before-large-ones")
    before = served.resident_bytes
    for _ in range(12):
        assert requests.post(served.url, data=b"x" * 8_000_000, headers=HEAD, timeout=20).status_code == 413
    assert served.resident_bytes - before < MEMORY_MAX
