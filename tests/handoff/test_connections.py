"""Connections to Freshdesk: dropped when stale, through the environment's proxy, one for each thread."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from freshdesk_client import FreshdeskUnreachable, Request
from handoff.transport import CONNECT_TIMEOUT_S, POOL_SIZE, RequestsTransport

LOOK = Request("GET", "/api/v2/tickets?page=1")
TOGETHER = Request("GET", "/api/v2/tickets?page=2")


class Seen(http.server.ThreadingHTTPServer):
    """A server that records which connection each request came on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.connections: list[int] = []
        self.both = threading.Barrier(2, timeout=5.0)

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"http://127.0.0.1:{self.server_port}"


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers 200, or holds back two requests until both are there."""

    protocol_version = "HTTP/1.1"
    server: Seen

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Record the request and answer it."""
        self.server.connections.append(self.client_address[1])
        if self.path == TOGETHER.path:
            self.server.both.wait()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")


@pytest.fixture
def server() -> Iterator[Seen]:
    """Serve on loopback during the test."""
    with Seen() as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def age(send: RequestsTransport, seconds: float) -> None:
    """Make the connections in the pool look idle for so long."""
    waiting: Any = send._adapter._pool.pool  # noqa: SLF001 -- the only way to be idle for 20 s without waiting
    for connection in filter(None, waiting.queue):
        connection.used_at -= seconds


def send_together(send: RequestsTransport) -> None:
    """Make two calls that are answered when both are there."""
    with ThreadPoolExecutor(2) as threads:
        assert [answer.status for answer in threads.map(send, [TOGETHER] * 2, [5.0] * 2)] == [200] * 2


def test_a_connection_that_was_idle_for_long_is_not_used_again(server: Seen) -> None:
    """A proxy in between may have dropped it silently, and a POST on it would be in doubt."""
    send = RequestsTransport(server.url, "key")
    send(LOOK, 5.0)
    for idle_s, connections in ((19.5, 1), (20.5, 2)):
        age(send, idle_s)
        send(LOOK, 5.0)
        assert len(set(server.connections)) == connections


def test_a_busy_connection_does_not_refresh_the_others(server: Seen) -> None:
    """The age of each connection counts from its own last answer."""
    send = RequestsTransport(server.url, "key")
    send_together(send)
    age(send, 15.0)
    send(LOOK, 5.0)
    age(send, 15.0)
    assert len(set(server.connections)) == 2
    send_together(send)
    assert len(set(server.connections)) == 3


def test_a_proxy_of_the_environment_is_used_for_https_only(server: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Freshdesk is reached through it; a stand-in on this machine is not."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert RequestsTransport(server.url, "key")(LOOK, 5.0).status == 200
    with pytest.raises(FreshdeskUnreachable, match="ProxyError"):
        RequestsTransport("https://127.0.0.1:9", "key")(LOOK, 5.0)


def test_connecting_takes_at_most_a_quarter_of_the_deadline() -> None:
    """If a host drops every packet, the deadline of twelve seconds has time for one more attempt, and its search."""
    assert CONNECT_TIMEOUT_S == 3.0


def test_the_pool_has_a_connection_for_each_thread() -> None:
    """functions-framework runs 64 threads; with one connection less, calls under load would begin with TLS."""
    assert POOL_SIZE == 64
