"""One request, one answer: no call gets the answer to another request."""

from __future__ import annotations

import io
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from freshdesk_client import Answer, FreshdeskUnreachable, OutcomeUnknown, Request
from handoff.transport import ANSWER_MAX_BYTES, RequestsTransport
from tests.wire import Host, Start, Talk, answering, read_request

GET = Request("GET", "/api/v2/tickets?page=1")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nContent-Length: 7\r\n\r\n"


def post(text: str) -> Request:
    """Return a POST with a body of its own."""
    return Request("POST", "/api/v2/tickets", text.encode())


def transport_to(host: Host) -> RequestsTransport:
    """Return a transport to a host."""
    return RequestsTransport(f"http://127.0.0.1:{host.port}", "key")


def echo(before: bytes = b"", after: bytes = b"") -> Talk:
    """Answer each request with its own body, with other bytes around the answer."""

    def talk(connection: socket.socket) -> None:
        while said := read_request(connection):
            body = said.partition(b"\r\n\r\n")[2]
            head = f"HTTP/1.1 201 Created\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            connection.sendall(before + head + body + after)

    return talk


# Interim answers


@pytest.mark.parametrize(
    "interim", [CONTINUE, PROCESSING, HINTS, CONTINUE + PROCESSING * 3 + HINTS], ids=["100", "102", "103", "all"]
)
def test_an_interim_answer_is_skipped(start: Start, interim: bytes) -> None:
    """The final one follows, and the connection can be used for the next request."""
    host = start(echo(before=interim))
    send = transport_to(host)
    for text in ("one", "two", "three"):
        answer = send(post(text), 5.0)
        assert (answer.status, answer.body) == (201, text.encode())
        assert "link" not in answer.headers
    assert host.connections == 1


def test_endless_interim_answers_are_cut_at_the_deadline(start: Start) -> None:
    """They do not count as the answer, however many come."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        while True:
            connection.sendall(PROCESSING * 100)

    with pytest.raises(OutcomeUnknown):
        transport_to(start(talk))(post("x"), 0.3)


def test_an_interim_answer_alone_is_no_answer(start: Start) -> None:
    """The request may have taken effect."""
    for last in (PROCESSING, HINTS, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\0\0\0"):

        def talk(connection: socket.socket, last: bytes = last) -> None:
            read_request(connection)
            connection.sendall(last)

        with pytest.raises(OutcomeUnknown):
            transport_to(start(talk))(post("x"), 1.0)


# What ends an exchange

BAD: dict[str, bytes] = {
    "a second answer": OK + OK,
    "a refusal and another's ticket": b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}" + OK,
    "one byte too many": OK + b"x",
    "an interim answer after it": OK + PROCESSING,
    "a body after a 204": b"HTTP/1.1 204 No Content\r\n\r\n" + OK,
    "bytes after the last chunk": CHUNKED + b"2\r\n[]\r\n0\r\n\r\n" + OK,
    "a status below 100": b"HTTP/1.1 099 x\r\nContent-Length: 2\r\n\r\n[]",
    "a negative chunk": CHUNKED + b"-2\r\n[]\r\n0\r\n\r\n",
    "a chunk of 0x": CHUNKED + b"0x2\r\n[]\r\n0\r\n\r\n",
    "a chunk with an underscore": CHUNKED + b"0_2\r\n[]\r\n0\r\n\r\n",
    "a chunk with a sign": CHUNKED + b"+2\r\n[]\r\n0\r\n\r\n",
    "an empty chunk size": CHUNKED + b"\r\n[]\r\n0\r\n\r\n",
    "a chunk of digits without end": CHUNKED + b"0" * 70_000,
    "a chunk of two sizes": CHUNKED + b"2 2\r\n[]\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"1\r\n[]\r\n0\r\n\r\n",
    "a chunk shorter than it says": CHUNKED + b"3\r\n[]\r\n0\r\n\r\n",
    "no last chunk": CHUNKED + b"2\r\n[]\r\n",
    "no end of the trailers": CHUNKED + b"2\r\n[]\r\n0\r\nX-A: b\r\n",
    "a chunk without its end": CHUNKED + b"2\r\n[]xx0\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n[]",
    "a length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n[]",
    "a length with an underscore": b"HTTP/1.1 200 OK\r\nContent-Length: 0_2\r\n\r\n[]",
    "a length of words": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n[]",
    "an empty length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n[]",
    "a length of a thousand digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 1_000 + b"\r\n\r\n[]",
    "two lengths in one": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n[]",
    "a length and chunks": CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    "chunks of gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nConnection: close\r\n\r\n[]",
    "a header that is none": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno colon\r\n\r\n[]",
    "another protocol's version": b"HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\n[]",
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_answer_is_a_bad_answer(start: Start, name: str) -> None:
    """The call is in doubt, raises no other error, and its connection is closed: the next request opens a new one."""
    host = start(answering(BAD[name]))
    send = transport_to(host)
    for calls in (1, 2):
        with pytest.raises(OutcomeUnknown):
            send(post("x"), 0.6)
        assert host.connections == calls


def test_an_answer_that_ends_in_its_trailers_is_a_bad_answer(start: Start) -> None:
    """Something cut it on the way."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(BAD["no end of the trailers"])

    with pytest.raises(OutcomeUnknown):
        transport_to(start(talk))(post("x"), 2.0)


GOOD: dict[str, bytes] = {
    "chunks": CHUNKED + b"1\r\n[\r\n001;name=value\r\n]\r\n0\r\n\r\n",
    "chunks with trailers": CHUNKED + b"2\r\n[]\r\n0\r\nX-A: b\r\nX-C: d\r\n\r\n",
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n[]",
    "a length in another case": b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2 \r\n\r\n[]",
}


@pytest.mark.parametrize("name", GOOD)
def test_every_valid_end_of_an_answer_is_known(start: Start, name: str) -> None:
    """The connection can be used again."""
    host = start(answering(GOOD[name]))
    send = transport_to(host)
    assert [send(post("x"), 1.0).body for _ in range(3)] == [b"[]"] * 3
    assert host.connections == 1


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_an_answer_may_end_with_its_connection(start: Start, head: bytes) -> None:
    """Without a length; the next request opens a new connection."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head + b"[]")

    host = start(talk)
    send = transport_to(host)
    assert [send(GET, 2.0).body for _ in range(2)] == [b"[]"] * 2
    assert host.connections == 2


def test_an_answer_without_a_body_is_complete(start: Start) -> None:
    """Whatever length its header has."""
    host = start(answering(b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n"))
    send = transport_to(host)
    assert [send(GET, 2.0)[::2] for _ in range(3)] == [(204, b""), (304, b""), (304, b"")]
    assert host.connections == 1


@pytest.mark.parametrize("length", [ANSWER_MAX_BYTES + 1, 10**15])
def test_an_answer_that_announces_too_much_is_not_read(start: Start, length: int) -> None:
    """No memory is reserved for it either."""
    for head in (f"Content-Length: {length}\r\n\r\n", f"Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n"):
        with pytest.raises(OutcomeUnknown, match="too large"):
            transport_to(start(answering(b"HTTP/1.1 200 OK\r\n" + head.encode())))(GET, 2.0)


def test_an_answer_without_length_or_end_is_cut(start: Start) -> None:
    """It is cut like an answer that announces too much."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with pytest.raises(OutcomeUnknown, match="too large"):
        transport_to(start(talk))(GET, 20.0)


# An answer to another request


def test_an_answer_before_its_request_is_not_used(start: Start) -> None:
    """A connection with data to read before the request is closed."""
    late = threading.Event()
    spoken = threading.Event()

    def talk(connection: socket.socket) -> None:
        while said := read_request(connection):
            body = said.partition(b"\r\n\r\n")[2]
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            if body == b"first":
                late.wait(5.0)
                connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nother")
                spoken.set()

    host = start(talk)
    send = transport_to(host)
    assert send(post("first"), 2.0).body == b"first"
    late.set()
    spoken.wait(5.0)
    assert [send(post(text), 2.0).body for text in ("second", "third")] == [b"second", b"third"]
    assert host.connections == 2


def test_an_answer_that_came_too_late_is_not_used(start: Start) -> None:
    """After a time-out the connection is closed, and what arrives on it later is not read."""
    slow = threading.Event()

    def talk(connection: socket.socket) -> None:
        while said := read_request(connection):
            body = said.partition(b"\r\n\r\n")[2]
            if body == b"slow":
                slow.wait(5.0)
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    send = transport_to(start(talk))
    with pytest.raises(OutcomeUnknown):
        send(post("slow"), 0.2)
    slow.set()
    assert send(post("quick"), 2.0).body == b"quick"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("size", [100, io.DEFAULT_BUFFER_SIZE])
def test_over_tls_a_second_answer_is_found_as_well(start: Start, tls: ssl.SSLContext, size: int) -> None:
    """Data that TLS has already decrypted does not show on the socket."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: "
    body = b"x" * (size - len(head) - len(b"0000\r\n\r\n"))
    host = start(answering(head + b"%04d\r\n\r\n" % len(body) + body + OK), tls=tls)
    send = RequestsTransport(f"https://127.0.0.1:{host.port}", "key")
    for calls in (1, 2):
        with pytest.raises(OutcomeUnknown):
            send(post("x"), 2.0)
        assert host.connections == calls


@pytest.mark.parametrize("faulty", [OK, b"x", HINTS, b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"])
def test_many_callers_each_get_their_own_answer(start: Start, faulty: bytes) -> None:
    """Or no answer, on connections where every third answer is followed by another."""
    count = threading.Semaphore(0)

    def talk(connection: socket.socket) -> None:
        while said := read_request(connection):
            count.release()
            body = said.partition(b"\r\n\r\n")[2]
            head = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(PROCESSING + head + body + (faulty if int(body) % 3 == 0 else b""))

    send = transport_to(start(talk))

    def call(number: int) -> Answer | None:
        try:
            return send(post(str(number)), 10.0)
        except (OutcomeUnknown, FreshdeskUnreachable):
            return None

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(call, range(1, 301)))
    assert all(
        answer is None or (answer.status, answer.body) == (201, str(number).encode())
        for number, answer in enumerate(answers, 1)
    )
    assert sum(answer is not None for answer in answers) >= 200
