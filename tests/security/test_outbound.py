"""S11: no request of a caller changes the URL or the headers of a call to Freshdesk."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from handoff.inbound import schema
from tests.corpora import TEXTS
from tests.endpoints import Endpoint, open_endpoint
from tests.factories import request

ESCAPES = (
    *("x\r\nX-Injected: 1", "x\nHost: e.example", "../../../evil", "/../admin", "@e.example", "e.example:80/x"),
    *("https://e.example/", "?x=1", "#x", "%0d%0aX: 1", "%2e%2e%2f", "\\\\e.example", "x HTTP/1.1\r\n\r\nGET /x"),
    *("x\u2028X: 1", "x\u560d\u560aX: 1", "//e.example", "file:///etc/passwd", ";x", "&email=x", "\x00", "0\r\n\r\n"),
)
FIELDS = sorted(schema()["properties"].keys() - {"user_email", "user_phone"})


Head = tuple[str, tuple[tuple[str, str], ...]]  # request line, headers


class Recorder(BaseHTTPRequestHandler):
    """Records each request line and its headers, and gives a fixed answer."""

    heads: ClassVar[list[Head]]
    answer: ClassVar[tuple[int, dict[str, str]]]
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_POST(self) -> None:
        """Record and answer."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        sent = tuple((name, value) for name, value in self.headers.items() if name != "Content-Length")
        self.heads.append((self.requestline, sent))
        status, headers = self.answer
        raw = json.dumps({"id": len(self.heads)}).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self) -> None:
        """Record and answer."""
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def recording(status: int = 201, **headers: str) -> Iterator[tuple[str, list[Head]]]:
    """Run a server with this answer for every request; give its URL and the recorded requests."""

    class Handler(Recorder):
        heads: ClassVar[list[Head]] = []
        answer = (status, headers)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", Handler.heads
        finally:
            server.shutdown()


def send(endpoint: Endpoint, number: int, text: str) -> int:
    """Send text in every field, as the name of an unknown field and in the header; return the status."""
    fields: dict[str, Any] = dict.fromkeys(FIELDS, f"x{text}")
    fields |= {f"n{text}": text, "user_email": f"p{number}@example.com"}
    header = "".join(one for one in text if one.isprintable() and one.isascii())
    return endpoint(request(**fields, headers={"Idempotency-Key": f"k{number}{header}"})).status


def test_no_text_changes_the_url_or_the_headers(tmp_path: Path) -> None:
    """There is one request line and one set of headers, for every escape and hostile text in every field."""
    with recording() as (url, heads), open_endpoint(url, tmp_path) as endpoint:
        statuses = [send(endpoint, number, text) for number, text in enumerate((*ESCAPES, *TEXTS.values()))]
    assert set(statuses) == {201}
    assert len(heads) == len(statuses)
    assert len(set(heads)) == 1
    line, names = heads[0]
    assert line == "POST /api/v2/tickets HTTP/1.1"
    assert {name for name, _ in names} <= {
        *("Host", "Authorization", "Accept", "Accept-Encoding", "User-Agent", "Content-Type", "Connection"),
    }


@pytest.mark.parametrize("status", [301, 307, 308])
def test_no_redirect_is_followed(tmp_path: Path, status: int) -> None:
    """The handoff is kept and an error is logged; the target of the redirect is never called."""
    with recording() as (elsewhere, visits), recording(status, Location=elsewhere) as (url, heads):
        with open_endpoint(url, tmp_path) as endpoint:
            assert endpoint(request()).status == 202
        assert heads
        assert visits == []


@pytest.mark.parametrize("status", [302, 308])
def test_no_redirect_within_freshdesk_is_followed(tmp_path: Path, status: int) -> None:
    """Another URL of the same account is not called either."""
    with recording(status, Location="/elsewhere") as (url, heads), open_endpoint(url, tmp_path) as endpoint:
        assert endpoint(request()).status == 202
    assert heads
    assert [line for line, _ in heads if "elsewhere" in line] == []


def test_control_the_recorder_sees_a_redirect() -> None:
    """A client that follows redirects is seen at the target."""
    with recording() as (elsewhere, visits), recording(307, Location=elsewhere) as (url, _):
        requests.post(url, json={}, timeout=5)
    assert len(visits) == 1
