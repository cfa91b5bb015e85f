"""How a connection is made in time, or why it is not; nothing is sent after a call's time."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from freshdesk_client import FreshdeskUnreachable, OutcomeUnknown, Request
from handoff.http_reading import LOOKUPS_MAX
from handoff.transport import RequestsTransport
from tests.wire import Start, answering, heard, read_request, reset

POST = Request("POST", "/api/v2/tickets", b'{"subject": "x"}')
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


@contextmanager
def black_hole() -> Iterator[int]:
    """Give the port of a host that neither accepts nor refuses connections."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)  # noqa: FBT003 -- the library's own
            one.connect_ex(full.getsockname())
        yield full.getsockname()[1]
        for one in waiting:
            one.close()


def found(*ports: int) -> Any:
    """Return a lookup that finds these ports on this machine."""

    def look_up(_host: str, _port: int, **_how: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

    return look_up


def refused(transport: RequestsTransport, timeout_s: float) -> tuple[str, float]:
    """Return why a call was not sent, and how long it took."""
    began_at = time.monotonic()
    with pytest.raises(FreshdeskUnreachable) as caught:
        transport(POST, timeout_s)
    return caught.value.code, time.monotonic() - began_at


# In time


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_eight_addresses_that_do_not_answer_take_no_longer_than_one(scheme: str) -> None:
    """The time for connecting is shared among them."""
    with black_hole() as port:
        send = RequestsTransport(f"{scheme}://localhost:{port}", "key", look_up=found(*[port] * 8))
        code, seconds = refused(send, 0.8)
    assert code == "timeout"
    assert seconds < 1.3


def test_an_address_that_does_not_answer_leaves_time_for_the_next(start: Start) -> None:
    """This holds for each position in the list of addresses."""
    host = start(answering(OK))
    with black_hole() as port:
        send = RequestsTransport("http://localhost:1", "key", look_up=found(port, port, host.port, port))
        assert send(POST, 2.0).status == 200


def test_a_lookup_that_hangs_is_abandoned() -> None:
    """The call ends in time, and was not sent."""
    let_go = threading.Event()

    def look_up(*_: Any, **__: Any) -> list[Any]:
        let_go.wait(10.0)
        return []

    code, seconds = refused(RequestsTransport("https://localhost:1", "key", look_up=look_up), 0.3)
    let_go.set()
    assert code == "dns"
    assert seconds < 0.8


def test_lookups_that_hang_are_limited_and_block_no_other_call() -> None:
    """Of twenty-four calls at once, sixteen have a thread for the lookup; each ends in time, and later calls work."""
    let_go, asked = threading.Event(), []

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        let_go.wait(10.0)
        return []

    send = RequestsTransport("https://localhost:1", "key", look_up=look_up)
    with ThreadPoolExecutor(24) as threads:
        ended = list(threads.map(lambda _: refused(send, 0.4), range(24)))
    assert len(asked) == LOOKUPS_MAX
    assert {code for code, _ in ended} == {"dns"}
    assert max(seconds for _, seconds in ended) < 1.4
    let_go.set()
    assert refused(RequestsTransport("http://localhost:1", "key", look_up=found(1)), 2.0)[0] == "refused"


def test_without_a_thread_for_the_lookup_nothing_was_sent() -> None:
    """However often the system has none left, later calls work."""
    before = threading.stack_size(1 << 60)  # more than there are addresses: no thread can start
    try:
        ended = [refused(RequestsTransport("http://localhost:1", "key"), 0.3) for _ in range(LOOKUPS_MAX + 1)]
    finally:
        threading.stack_size(before)
    assert {code for code, _ in ended} == {"dns"}
    assert refused(RequestsTransport("http://localhost:1", "key", look_up=found(1)), 2.0)[0] == "refused"


def test_a_lookup_that_takes_part_of_the_time_leaves_the_rest(start: Start) -> None:
    """The answer has the time that is left, and no more."""
    host = start(lambda connection: time.sleep(2.0 if read_request(connection) else 0.0))

    def look_up(*_: Any, **__: Any) -> list[Any]:
        time.sleep(0.2)
        return found(host.port)(*_, **__)  # type: ignore[no-any-return]  # a list as a lookup returns it

    began_at = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        RequestsTransport("http://localhost:1", "key", look_up=look_up)(POST, 0.6)
    assert time.monotonic() - began_at < 1.0


def test_a_host_that_reads_nothing_ends_in_time(start: Start) -> None:
    """A long body fills every buffer; sending it may take the time of the call, and no more."""
    host = start(lambda _connection: time.sleep(6.0))
    began_at = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        RequestsTransport(f"http://127.0.0.1:{host.port}", "key")(Request("POST", "/", b"x" * 50_000_000), 0.5)
    assert time.monotonic() - began_at < 4.0


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_nothing_starts_without_time(start: Start, timeout_s: float) -> None:
    """Not even a connection."""
    host = start(answering(OK))
    assert refused(RequestsTransport(f"http://127.0.0.1:{host.port}", "key"), timeout_s)[0] == "no-time"
    assert host.connections == 0


@pytest.mark.parametrize("kept", [True, False])
def test_nothing_is_sent_after_a_suspend(start: Start, kept: bool) -> None:  # noqa: FBT001 -- a column of the table
    """When the connection is made, the time is over by the wall clock, though the monotonic clock did not move."""
    seen: list[bytes] = []
    host = start(answering(OK, seen=seen))
    wall = itertools.count(1.8e9, 4.0)  # seconds from one reading of the clock to the next
    send = RequestsTransport(f"http://127.0.0.1:{host.port}", "key", now=lambda: next(wall))
    if kept:
        send(POST, 5.0)
    assert refused(send, 3.0)[0] == "no-time"
    assert len(seen) == kept


# Why a call was not sent


def test_a_host_name_that_does_not_exist() -> None:
    """The cause is the name."""

    def look_up(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    assert refused(RequestsTransport("https://localhost:1", "key", look_up=look_up), 2.0)[0] == "dns"
    assert refused(RequestsTransport("https://localhost:1", "key", look_up=found()), 2.0)[0] == "dns"


def test_a_port_on_which_nothing_listens() -> None:
    """The cause is a refusal."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for scheme in ("http", "https"):
        assert refused(RequestsTransport(f"{scheme}://127.0.0.1:{port}", "key"), 2.0)[0] == "refused"


def test_a_certificate_that_no_authority_signed(start: Start, tls: ssl.SSLContext) -> None:
    """The cause is the certificate: nothing was sent, so nothing is in doubt."""
    host = start(answering(OK), tls=tls)
    assert refused(RequestsTransport(f"https://127.0.0.1:{host.port}", "key"), 5.0)[0] == "certificate"


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host(start: Start, tls: ssl.SSLContext) -> None:
    """The cause is the certificate, too."""
    host = start(answering(OK), tls=tls)
    assert refused(RequestsTransport(f"https://localhost:{host.port}", "key"), 5.0)[0] == "certificate"


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_missing_or_broken_list_of_authorities(
    start: Start, tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """The fault is on this machine, and nothing was sent."""
    bundle = tmp_path / "authorities.pem"
    if content is not None:
        bundle.write_text(content, encoding="ascii")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    host = start(answering(OK), tls=tls)
    assert refused(RequestsTransport(f"https://127.0.0.1:{host.port}", "key"), 5.0)[0] == "ca-bundle"


@pytest.mark.parametrize(
    "talk",
    [
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda connection: reset(heard(connection)),
        lambda connection: heard(connection).close(),
    ],
    ids=["plain", "reset", "closed"],
)
def test_a_handshake_that_fails(start: Start, talk: Any) -> None:
    """The cause is TLS."""
    host = start(talk)
    assert refused(RequestsTransport(f"https://127.0.0.1:{host.port}", "key"), 5.0)[0] == "tls"


@pytest.mark.parametrize("answer", [b"HTTP/1.0 403 Forbidden\r\n\r\n", b"SSH-2.0\r\n\r\n", b""])
def test_a_proxy_that_refuses(start: Start, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """The cause is the proxy."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{start(talk).port}")
    assert refused(RequestsTransport("https://127.0.0.1:9", "key"), 2.0)[0] == "proxy"


def test_a_proxy_that_answers_byte_by_byte_has_the_time_for_connecting(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer counts against the time for connecting."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        while True:
            connection.sendall(b"H")
            time.sleep(0.02)

    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{start(talk).port}")
    code, seconds = refused(RequestsTransport("https://127.0.0.1:9", "key"), 0.4)
    assert code == "proxy"
    assert seconds < 0.9
