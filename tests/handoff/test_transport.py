"""The transport over real sockets: what is sent, and what each result of a call means."""

from __future__ import annotations

import ast
import base64
import gzip
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freshdesk_client import Answer, FreshdeskUnreachable, OutcomeUnknown, Request
from handoff.transport import ANSWER_MAX_BYTES, RequestsTransport
from tests.wire import Host, Start, Talk, a_moment_later, answering, heard, read_request, reset, sent

ROOT = Path(__file__).parents[2]
GET = Request("GET", "/api/v2/tickets?email=a%40example.com")
POST = Request("POST", "/api/v2/tickets", b'{"subject": "x"}')
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-RateLimit-Total: 50.0\r\n\r\n[]"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


def call(host: Host, request: Request = POST, timeout_s: float = 5.0, scheme: str = "http") -> Answer:
    """Make one call to a host."""
    return RequestsTransport(f"{scheme}://127.0.0.1:{host.port}", "key")(request, timeout_s)


# What goes out


def test_the_request_on_the_wire(start: Start) -> None:
    """Method, path, key, media types and body are as Freshdesk requires."""
    seen: list[bytes] = []
    host = start(answering(OK, seen=seen))
    transport = RequestsTransport(f"http://127.0.0.1:{host.port}/", "clave-ñ")
    assert transport(POST, 5.0) == Answer(200, {"content-length": "2", "x-ratelimit-total": "50.0"}, b"[]")
    transport(GET, 5.0)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert (first, body) == ("POST /api/v2/tickets HTTP/1.1", POST.body)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "clave-ñ:X"
    assert (headers["Accept"], headers["Content-Type"]) == ("application/json", "application/json")
    assert (headers["Accept-Encoding"], headers["Host"]) == ("identity", f"127.0.0.1:{host.port}")
    assert seen[1].startswith(b"GET /api/v2/tickets?email=a%40example.com HTTP/1.1\r\n")
    assert b"content-type" not in seen[1].lower()
    assert host.connections == 1


def test_a_key_is_not_shown() -> None:
    """Neither a print nor a traceback contains the key."""
    assert repr(RequestsTransport("https://betsur.freshdesk.com/", "canary")) == (
        "RequestsTransport(https://betsur.freshdesk.com)"
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(start: Start, status: int) -> None:
    """A redirect would send the key, and the person's words, to another host."""
    other = start(answering(OK))
    moved = f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n"
    assert call(start(answering(moved.encode()))).status == status
    assert other.connections == 0


def test_the_environments_proxy_is_not_for_this_machine(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http goes only to loopback, and never through a proxy."""
    proxy = start(answering(OK))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert call(start(answering(OK))).status == 200
    assert proxy.connections == 0


# Certainly not sent


def test_if_nothing_listens_nothing_was_sent(start: Start) -> None:
    """A refused connection is a definite failure."""
    host = start(answering(OK))
    host.close()
    host._accepting.join(0.1)  # noqa: SLF001 -- the test's own class
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(FreshdeskUnreachable):
        RequestsTransport(f"http://127.0.0.1:{port}", "key")(POST, 5.0)


def test_if_the_name_does_not_exist_nothing_was_sent() -> None:
    """A name that does not resolve is a definite failure."""
    with pytest.raises(FreshdeskUnreachable):
        RequestsTransport("https://nobody.invalid", "key")(POST, 5.0)


def test_if_no_connection_is_made_in_time_nothing_was_sent() -> None:
    """A host that drops every packet is a definite failure, too, and takes no longer than the call's time."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)  # noqa: FBT003 -- the library's own
            one.connect_ex(full.getsockname())
        began_at = time.monotonic()
        with pytest.raises(FreshdeskUnreachable):
            RequestsTransport(f"http://127.0.0.1:{full.getsockname()[1]}", "key")(POST, 0.3)
        assert time.monotonic() - began_at < 1.0
        for one in waiting:
            one.close()


def test_a_certificate_that_no_authority_signed(start: Start, tls: ssl.SSLContext) -> None:
    """The key is not sent to a host that cannot prove its identity."""
    with pytest.raises(FreshdeskUnreachable):
        call(start(answering(OK), tls=tls), scheme="https")


def test_a_certificate_that_the_environment_trusts(
    start: Start, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment may name a list of authorities; then https works, on one connection."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    host = start(answering(OK), tls=tls)
    transport = RequestsTransport(f"https://127.0.0.1:{host.port}", "key")
    assert [transport(POST, 5.0).status for _ in range(3)] == [200] * 3
    assert host.connections == 1


@pytest.mark.parametrize(
    "talk",
    [
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda connection: reset(heard(connection)),
        lambda connection: heard(connection).close(),
        lambda _connection: time.sleep(2.0),
    ],
    ids=["plain", "reset", "closed", "silent"],
)
def test_a_handshake_that_fails_sent_nothing(start: Start, talk: Talk) -> None:
    """Before the end of the handshake, the request was not sent."""
    with pytest.raises(FreshdeskUnreachable):
        call(start(talk), scheme="https", timeout_s=0.4)


# In doubt


def after(request_then: Talk) -> Talk:
    """Read the request, then go on with a given function."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        request_then(connection)

    return talk


UNKNOWN: dict[str, Talk] = {
    "reset before reading": lambda connection: reset(a_moment_later(connection)),
    "closed before reading": lambda connection: a_moment_later(connection).close(),
    "reset after reading": after(reset),
    "closed after reading": after(lambda connection: connection.close()),
    "half a first line": after(lambda connection: connection.sendall(b"HTTP/1.1 2")),
    "half a body": after(lambda connection: connection.sendall(HEAD + b"half")),
    "reset in the body": after(lambda connection: reset(sent(connection, HEAD + b"half"))),
    "no HTTP": after(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")),
    "status of letters": after(lambda connection: connection.sendall(b"HTTP/1.1 abc OK\r\n\r\n")),
    "status of a million": after(lambda connection: connection.sendall(b"HTTP/1.1 1000000 OK\r\n\r\n")),
    "a head without end": after(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200)),
    "a line without end": after(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000)),
    "two lengths": after(
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
    ),
    "broken chunks": after(
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    ),
    "broken gzip": after(
        lambda connection: connection.sendall(HEAD[:-2] + b"Content-Encoding: gzip\r\n\r\n" + b"x" * 100)
    ),
    "nothing": after(lambda _connection: time.sleep(2.0)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_request_that_may_have_taken_effect_is_in_doubt(start: Start, name: str) -> None:
    """Once a byte may have been sent, every fault means doubt; none raises another error."""
    with pytest.raises(OutcomeUnknown):
        call(start(UNKNOWN[name]), timeout_s=0.5)


def dripping(head: bytes, drop: bytes) -> Talk:
    """Begin an answer, then add to it for ever, a little at a time."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        while True:
            time.sleep(0.02)
            connection.sendall(drop)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nx-slow: ", b"x"),
        dripping(b"", b"H"),
    ],
    ids=["body", "chunks", "head", "first line"],
)
def test_a_slow_answer_is_cut_at_the_deadline(start: Start, talk: Talk) -> None:
    """Single bytes must not extend a call past its time, neither in the head nor in the body."""
    began_at = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        call(start(talk), timeout_s=0.5)
    assert 0.4 < time.monotonic() - began_at < 1.5


def test_an_answer_of_many_small_pieces_is_cut_at_the_deadline(start: Start) -> None:
    """Even if there is always something to read."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1\r\nx\r\n" * 10_000)

    began_at = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        call(start(talk), timeout_s=0.3)
    assert time.monotonic() - began_at < 1.5


def test_an_answer_without_end_is_cut(start: Start) -> None:
    """No more is read than the longest list has."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(ANSWER_MAX_BYTES // 65_536 + 2):
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")

    with pytest.raises(OutcomeUnknown, match="too large"):
        call(start(talk), timeout_s=20.0)


def test_a_compressed_answer_without_end_is_cut(start: Start) -> None:
    """Its size after decompression counts."""
    packed = gzip.compress(b"\0" * 16_777_217)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    with pytest.raises(OutcomeUnknown, match="too large"):
        call(start(answering(head.encode() + packed)), timeout_s=20.0)


def test_a_long_answer_arrives_complete(start: Start) -> None:
    """Every byte, up to the limit."""
    body = b"x" * 16_777_216
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
    assert call(start(answering(head.encode() + body)), timeout_s=20.0).body == body


# Connections


def test_connections_are_used_again(start: Start) -> None:
    """Each call after the first saves the handshakes, also after errors that Freshdesk returned."""
    fault = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"
    host = start(answering(OK, fault, OK))
    transport = RequestsTransport(f"http://127.0.0.1:{host.port}", "key")
    assert [transport(POST, 5.0).status for _ in range(4)] == [200, 500, 200, 200]
    assert host.connections == 1


def test_a_connection_that_the_host_closed_is_replaced(start: Start) -> None:
    """The request is not lost: it is sent on a new connection."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK)

    host = start(talk)
    transport = RequestsTransport(f"http://127.0.0.1:{host.port}", "key")
    for _ in range(3):
        assert transport(POST, 5.0).status == 200
        time.sleep(0.05)
    assert host.connections == 3


def test_many_calls_at_once_do_not_disturb_each_other(start: Start) -> None:
    """Threads share the connections, also while idle ones are dropped."""
    host = start(answering(OK))
    transport = RequestsTransport(f"http://127.0.0.1:{host.port}", "key", idle_max_s=0.005)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: transport(POST, 10.0).status, range(300)))
    assert answers == [200] * 300


# Never without a time-out

WAITS = {"urlopen", "create_client", "connect", "create_connection", "getresponse"}


def calls_in(name: str) -> list[tuple[str, ast.Call]]:
    """Return the calls in a file, by the last part of the called name."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(node.func.attr, node) for node in found if isinstance(node.func, ast.Attribute)]


PRODUCT = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.py"), *ROOT.glob("handoff/**/*.py")])


@pytest.mark.parametrize("name", PRODUCT)
def test_no_call_waits_for_ever(name: str) -> None:
    """Each wait for another machine, or for a file lock, has a time-out; no call uses `requests`."""
    for called, node in calls_in(name):
        if called in {"urlopen", "connect", "create_client"} and not _is_own(node):
            assert {"timeout", "config"} & {word.arg for word in node.keywords}, f"{name}:{node.lineno}"
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        asks = isinstance(receiver, ast.Name) and receiver.id == "requests"
        assert not asks or called in {"Session", "Request", "PreparedRequest"}, f"{name}:{node.lineno}"


def _is_own(node: ast.Call) -> bool:
    """Return True if a call goes to the object itself or to its base class."""
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
    inner = receiver.func if isinstance(receiver, ast.Call) else receiver
    return isinstance(inner, ast.Name) and inner.id in {"self", "super"}
