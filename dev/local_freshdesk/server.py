"""The HTTP server: keep-alive, many threads, and faults that act on real sockets."""

from __future__ import annotations

import io
import os
import socket
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

from werkzeug.test import run_wsgi_app

from dev.local_freshdesk import api
from dev.local_freshdesk.faults import answer_of
from dev.local_freshdesk.wire import Answer, ApiRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication

    from dev.local_freshdesk.desk import HelpDesk
    from dev.local_freshdesk.weather import Weather

MAX_BODY_BYTES: Final = 25_000_000
_IDLE_S: Final = 120.0
# Linger of zero seconds: closing sends a reset, not an end of stream.
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class BadBodyError(Exception):
    """The request's body cannot be read; carries the status to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Hosted:
    """What one server serves: the API of a desk, and the pages."""

    desk: HelpDesk
    pages: WSGIApplication


class Server(ThreadingHTTPServer):
    """Listens on loopback; `close` ends every connection and thread it has."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(self, host: str, port: int, hosted: Hosted) -> None:
        self.hosted = hosted
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._conversations: set[threading.Thread] = set()
        self._late: list[tuple[threading.Timer, ApiRequest]] = []
        super().__init__((host, port), _Handler)
        self.any_host = host not in _LOOPBACK_NAMES

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, as the base class would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give each connection its thread, and remember both."""
        thread = threading.Thread(target=self._converse, args=(request, client_address), daemon=True)
        with self._lock:
            self._open.add(request)
            self._conversations.add(thread)
        thread.start()

    def _converse(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)
                self._conversations.discard(threading.current_thread())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is nobody's error; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def write_late(self, request: ApiRequest, seconds: float) -> None:
        """Do what this request asks for, later, for nobody to hear."""
        timer = threading.Timer(seconds, api.answer, (self.hosted.desk, request))
        timer.daemon = True
        with self._lock:
            self._late.append((timer, request))
        timer.start()

    def close(self) -> None:
        """Stop listening, cut what is open, and do at once what was to be written late: late is not lost."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            connections, threads, late = list(self._open), list(self._conversations), self._late
            self._late = []
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        for timer, request in late:
            if timer.finished.is_set():
                timer.join(5)
                continue
            timer.cancel()
            timer.join(5)
            api.answer(self.hosted.desk, request)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing: the pages show what happens."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the desk's own time, for the `Date` header."""
        return super().date_time_string(self.server.hosted.desk.clock() if timestamp is None else timestamp)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """The base class asks for `do_<METHOD>`: every method is served by the same."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if not self.server.any_host and host.lower() not in _LOOPBACK_NAMES:
            # An unknown subdomain is a 404; here it also keeps other sites' pages out (DNS rebinding).
            self.close_connection = True
            self._send(Answer(404))
        elif self.path.lstrip("/").startswith("api/"):
            self._serve_api()
        else:
            self._serve_page()

    def _serve_api(self) -> None:
        desk = self.server.hosted.desk
        desk.calls.append((self.command, self.path))
        # The base class folds a leading "//" in `path`; the API tells such a base URL as a fault.
        path, _, query = self.requestline.split()[1].partition("?")
        creates = self.command == "POST" and path.rstrip("/") == "/api/v2/tickets"
        weather = desk.sky.meet(creates=creates)
        if weather.name == "down":
            self._reset()
            return
        try:
            request = self._read_request(unquote(path), query)
        except BadBodyError as error:
            self.close_connection = True
            self._send(Answer(error.status))
            return
        self._weathered(request, weather)

    def _read_request(self, path: str, query: str) -> ApiRequest:
        return ApiRequest(
            method=self.command,
            path=path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._read_body(),
            base_url=self.server.url,
        )

    def _weathered(self, request: ApiRequest, weather: Weather) -> None:
        desk = self.server.hosted.desk
        if weather.name == "late-write":
            self.server.write_late(request, weather.seconds)
            self._reset()
            return
        if weather.name == "answer-lost":
            api.answer(desk, request)
            self.server.closing.wait(weather.seconds)
            self._reset()
            return
        if weather.name != "rate-limited":
            self.server.closing.wait(weather.seconds)
        self._send(answer_of(weather) or api.answer(desk, request))

    def _serve_page(self) -> None:
        try:
            body = self._read_body()
        except BadBodyError as error:
            self.close_connection = True
            self._send(Answer(error.status))
            return
        chunks, status, headers = run_wsgi_app(self.server.hosted.pages, self._environ(body), buffered=True)
        self._send(Answer(int(status.split()[0]), b"".join(chunks), tuple(headers)))

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": self.server.server_name,
            "SERVER_PORT": str(self.server.server_port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        return environ

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            raise BadBodyError(400)
        if int(length) > MAX_BODY_BYTES:
            raise BadBodyError(413)
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise BadBodyError(400)
        return body

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            try:
                size = int(self.rfile.readline(64).partition(b";")[0].strip() or b"x", 16)
            except ValueError as error:
                raise BadBodyError(400) from error
            if not 0 <= size <= MAX_BODY_BYTES - len(body):
                raise BadBodyError(413)
            if size == 0:
                self.rfile.readline(64)
                return bytes(body)
            body += self.rfile.read(size)
            self.rfile.readline(8)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        named = {name.lower() for name, _ in answer.headers}
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT and "content-length" not in named:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _reset(self) -> None:
        """Cut the connection so that the caller's machine sees a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        os.close(self.connection.detach())
