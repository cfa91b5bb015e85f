"""The HTTP server: keep-alive, a thread for each connection, and faults that act on real sockets."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

from werkzeug.test import Client

from dev.local_freshdesk import api
from dev.local_freshdesk.wire import Answer, ApiRequest

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from dev.local_freshdesk.faults import Fault
    from dev.local_freshdesk.helpdesk import HelpDesk

_MAX_BODY_BYTES: Final = 25_000_000
_IDLE_S: Final = 120.0
_JOIN_S: Final = 5.0
# A linger of zero seconds: closing sends a reset instead of an end of stream.
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Server(ThreadingHTTPServer):
    """Listens on loopback; `close` ends every connection and thread it has."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(self, port: int, helpdesk: HelpDesk, pages: WSGIApplication) -> None:
        self.helpdesk = helpdesk
        self.pages = pages
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._late: list[tuple[threading.Timer, ApiRequest]] = []
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, as the base class would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give each connection its thread, and remember both."""
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections[request] = thread
        thread.start()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error, unless it is only a caller that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def write_late(self, request: ApiRequest, seconds: float) -> None:
        """Do what this request asks for after so many seconds; nobody gets the answer."""
        timer = threading.Timer(seconds, api.answer, (self.helpdesk, request))
        timer.daemon = True
        with self._lock:
            self._late.append((timer, request))
        timer.start()

    def close(self) -> None:
        """Stop listening, cut open connections, and do at once what was to be written late."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            connections, late = dict(self._connections), self._late
            self._late = []
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(_JOIN_S)
        for timer, request in late:
            done = timer.finished.is_set()
            timer.cancel()
            timer.join(_JOIN_S)
            if not done:
                api.answer(self.helpdesk, request)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing: the pages show what happens."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the stand-in's own time, for the `Date` header."""
        return super().date_time_string(self.server.helpdesk.clock() if timestamp is None else timestamp)

    def do_GET(self) -> None:
        """Serve a request of any method."""
        host = self.headers.get("Host", "")
        if (host.rpartition(":")[0] or host).lower() not in _LOOPBACK_NAMES:
            # An unknown subdomain is a 404; here it also keeps other sites' pages out (DNS rebinding).
            self._refuse(404)
        elif self.path.startswith("/api/"):
            self._serve_api()
        elif (body := self._read_body()) is not None:
            path, _, query = self.path.partition("?")
            client = Client(self.server.pages, use_cookies=False)
            found = client.open(
                unquote(path),
                method=self.command,
                base_url=f"http://{host}",
                query_string=query,
                headers=self.headers.items(),
                data=body,
                buffered=True,
            )
            self._send(Answer(found.status_code, found.get_data(), tuple(found.headers)))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class's names

    def _serve_api(self) -> None:
        helpdesk = self.server.helpdesk
        helpdesk.calls.append((self.command, self.path))
        path, _, query = self.path.partition("?")
        request = ApiRequest(
            method=self.command,
            path=unquote(path),
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            base_url=f"http://{self.server.server_name}:{self.server.server_port}",
        )
        fault = helpdesk.faults.meet(request)
        if fault.name == "down":
            self._reset()
        elif (body := self._read_body()) is not None:
            self._answer(replace(request, body=body), fault)

    def _answer(self, request: ApiRequest, fault: Fault) -> None:
        helpdesk, closing = self.server.helpdesk, self.server.closing
        if fault.name == "late-write":
            self.server.write_late(request, fault.seconds)
            self._reset()
        elif fault.name == "answer-lost":
            api.answer(helpdesk, request)
            closing.wait(fault.seconds)
            self._reset()
        else:
            if fault.name != "rate-limited":
                closing.wait(fault.seconds)
            self._send(fault.answer() or api.answer(helpdesk, request))

    def _read_body(self) -> bytes | None:
        """Return the body; where it cannot be read, answer so, end the connection and return None."""
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            self._refuse(400)
        elif int(length) > _MAX_BODY_BYTES:
            self._refuse(413)
        elif len(body := self.rfile.read(int(length))) != int(length):
            self._refuse(400)
        else:
            return body
        return None

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self._send(Answer(status, b"", (("Connection", "close"),)))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def _reset(self) -> None:
        """Cut the connection so that the caller's machine sees a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        os.close(self.connection.detach())
