"""A host of files on loopback, as Botpress has one, and what can be wrong with such a host."""

from __future__ import annotations

import gzip
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import quote, unquote

FAULTS: Final = (
    "",
    *("gone", "broken", "silent", "cut", "slow", "endless", "oversized", "longer", "shorter", "gzip", "redirect"),
)
DRIP_S: Final = 0.02  # from one byte of a slow answer to the next
_OVERSIZED: Final = 20_000_001  # no ticket has room for it
_BLOCK: Final = b"x" * 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A file, and the fault that so many of its requests meet (None: all); `location` is where `redirect` leads.

    `gone` 404 · `broken` 500 · `silent` no answer · `cut` half of the file · `slow` byte by byte · `endless` chunks
    without end · `oversized` too large for a ticket, and says so · `longer`, `shorter` than its Content-Length says,
    by one byte · `gzip` compressed, though nobody asked for it.
    """

    content: bytes
    media_type: str = "image/png"
    fault: str = ""
    times: int | None = None
    location: str = ""


class FileHost:
    """Serves files at `/name`; a context manager. `calls` has the path and the headers of every request.

    `connections` counts also those that ask nothing.
    """

    def __init__(self, port: int = 0) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.closing = threading.Event()
        self._files: dict[str, Hosted] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.files = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def host(self) -> str:
        """Its name and port, for ATTACHMENT_HOSTS."""
        return f"127.0.0.1:{self._server.server_port}"

    def put(self, name: str, content: bytes, **how: Any) -> str:
        """Serve a file under this name, as `Hosted` says; return its address."""
        file = Hosted(content=content, **how)
        if file.fault not in FAULTS:
            raise ValueError(f"fault must be one of {', '.join(FAULTS)}")
        with self._lock:
            self._files[name] = file
        return f"http://{self.host}/{quote(name)}"

    def meet(self, name: str) -> Hosted | None:
        """Return the file of this name as one request meets it; uses up one of `times`."""
        with self._lock:
            file = self._files.get(name)
            if file is not None and file.times is not None:
                self._files[name] = replace(file, times=max(file.times - 1, 0))
            return replace(file, fault="") if file is not None and file.times == 0 else file


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    files: FileHost

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, as the base class would."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        self.files.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: that a caller goes away is what most of the faults are for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing: `calls` has the requests."""

    def do_GET(self) -> None:
        """Serve a file, or what is wrong with it."""
        files = self.server.files
        files.calls.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.close_connection = True
        file = files.meet(unquote(self.path.partition("?")[0])[1:])
        if file is None or file.fault == "gone":
            self._send(404, b"")
        elif file.fault == "redirect":
            self._send(302, b"", Location=file.location)
        elif file.fault == "broken":
            self._send(500, b"<h1>Internal Server Error</h1>")
        elif file.fault == "silent":
            files.closing.wait(self.timeout)
        elif file.fault == "gzip":
            self._send(200, gzip.compress(file.content), Content_Type=file.media_type, Content_Encoding="gzip")
        else:
            self._send_file(file)

    def _send_file(self, file: Hosted) -> None:
        size = len(file.content)
        announced = {"oversized": _OVERSIZED, "longer": size - 1, "shorter": size + 1}.get(file.fault, size)
        length = {"Transfer_Encoding": "chunked"} if file.fault == "endless" else {"Content_Length": str(announced)}
        self._head(200, Content_Type=file.media_type, **length)
        if file.fault == "slow":
            for byte in file.content:
                self.wfile.write(bytes([byte]))
                self.server.files.closing.wait(DRIP_S)
        elif file.fault in {"endless", "oversized"}:
            with suppress(OSError):
                for _ in range(_OVERSIZED // len(_BLOCK) if file.fault == "oversized" else 10**6):
                    self.wfile.write(b"10000\r\n%b\r\n" % _BLOCK if file.fault == "endless" else _BLOCK)
        else:
            self.wfile.write(file.content[: size // 2] if file.fault == "cut" else file.content)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self._head(status, Content_Length=str(len(body)), **headers)
        self.wfile.write(body)

    def _head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def finish(self) -> None:
        """End the connection; a caller that went away first is no error."""
        with suppress(OSError):
            super().finish()
            self.connection.shutdown(socket.SHUT_WR)
