"""The connections to Freshdesk: kept, dropped when stale, through the environment's proxy, never redirected."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from freshdesk_client import FreshdeskUnreachable, Request
from transport import CONNECT_TIMEOUT_S, POOL_SIZE, RequestsTransport, _causes

LOOK = Request("GET", "/api/v2/tickets?page=1")


class Seen(http.server.ThreadingHTTPServer):
    """A server that notes which connection each request came by, and answers with a redirect to nowhere."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Redirects)
        self.connections: list[int] = []
        self.bodies: list[tuple[str | None, bytes]] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class Redirects(http.server.BaseHTTPRequestHandler):
    """Answers 302."""

    protocol_version = "HTTP/1.1"
    server: Seen

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        """Note the request and answer it."""
        self.server.connections.append(self.client_address[1])
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.bodies.append((self.headers["Content-Type"], body))
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815 -- the name the base class calls


@pytest.fixture
def server() -> Iterator[Seen]:
    """Serve on loopback while the test runs."""
    with Seen() as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def test_a_redirect_is_an_answer_not_an_order(server: Seen) -> None:
    """The request and its key go nowhere but where the settings say."""
    answer = RequestsTransport(server.url, "key")(LOOK, 5.0)
    assert (answer.status, answer.body, len(server.connections)) == (302, b"{}", 1)


def test_a_connection_is_kept(server: Seen) -> None:
    """Two calls share one connection, and the first one's body does not hang on to the second."""
    send = RequestsTransport(server.url, "key")
    send(Request("POST", "/api/v2/tickets", b'{"a": 1}'), 5.0)
    send(LOOK, 5.0)
    assert len(set(server.connections)) == 1
    assert server.bodies == [("application/json", b'{"a": 1}'), (None, b"")]


def test_a_connection_idle_for_long_is_not_used_again(server: Seen) -> None:
    """A proxy in between may have dropped it without a word: a POST on it would be in doubt."""
    send = RequestsTransport(server.url, "key")
    send(LOOK, 5.0)
    for idle_s, connections in ((19.5, 1), (20.5, 2)):
        send._used_at -= idle_s  # noqa: SLF001 -- the only way to be idle for 20 s in no time
        send(LOOK, 5.0)
        assert len(set(server.connections)) == connections


def test_callers_that_come_at_once_after_an_idle_time_all_get_through(server: Seen) -> None:
    """One of them drops the stale connections; it must not take the new ones from the others."""
    send = RequestsTransport(server.url, "key")
    send(LOOK, 5.0)
    send._used_at -= 20.5  # noqa: SLF001 -- as above
    statuses: list[int] = []
    callers = [threading.Thread(target=lambda: statuses.append(send(LOOK, 5.0).status)) for _ in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert statuses == [302] * 16


def test_a_proxy_of_the_environment_carries_https_only(server: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Freshdesk is reached through it; a stand-in on this machine is not."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert RequestsTransport(server.url, "key")(LOOK, 5.0).status == 302
    with pytest.raises(FreshdeskUnreachable, match="ProxyError"):
        RequestsTransport("https://127.0.0.1:9", "key")(LOOK, 5.0)


def test_a_quarter_of_the_deadline_is_for_connecting() -> None:
    """A host that drops every packet leaves the twelve seconds of a handoff time for one more try, and its look."""
    assert CONNECT_TIMEOUT_S == 3.0


def test_as_many_connections_are_kept_as_there_are_threads() -> None:
    """functions-framework runs 64 of them; one connection less, and a call of a busy hour would begin with TLS."""
    assert POOL_SIZE == 64


def test_every_cause_is_told_once_though_errors_lead_round_in_circles() -> None:
    """The one that says that nothing was sent may lie behind others that were met before."""
    unsent, middle, outer = OSError("not sent"), OSError("middle"), OSError("outer")
    middle.args = (outer, outer)
    middle.__cause__ = unsent
    outer.__context__ = middle
    assert list(_causes(outer, None)) == [outer, middle, unsent]
    assert list(_causes(outer, middle)) == [outer]
