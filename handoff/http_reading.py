"""Plain HTTP over a socket, with a deadline: a lookup, a connection, and an answer read strictly by RFC 9112."""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, cast

LOOKUPS_MAX: Final = 16  # host names being looked up at once, including lookups that were abandoned
_LINE_MAX: Final = 65_536
_WITHOUT_BODY: Final = frozenset({204, 304})
_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_lookups: Final = threading.BoundedSemaphore(LOOKUPS_MAX)

LookUp = Callable[..., list[Any]]  # `socket.getaddrinfo`
Connect = Callable[..., socket.socket]  # `socket.create_connection`
Address = tuple[str, int]


class AnswerTooLarge(http.client.HTTPException):
    """The body is larger than the caller takes. No more of it was read than that, and one block."""


class Until:
    """A moment by the monotonic clock."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at

    @property
    def left_s(self) -> float:
        """Seconds until then; raises TimeoutError where none are left."""
        left_s = self.ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no time left")
        return left_s


def addresses_of(look_up: LookUp, host: str, port: int, timeout_s: float) -> list[Address]:
    """Return a host's addresses. A lookup has no time-out, so it runs in a thread, which is abandoned if it hangs."""
    ends_at = time.monotonic() + timeout_s
    too_late = socket.gaierror(socket.EAI_AGAIN, "no address in time")
    if not _lookups.acquire(timeout=timeout_s):
        raise too_late
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(look_up(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)
        finally:
            _lookups.release()

    try:
        threading.Thread(target=ask, daemon=True).start()
    except RuntimeError as error:  # the system has no thread left
        _lookups.release()
        raise too_late from error
    try:
        return [address[:2] for *_, address in found.result(ends_at - time.monotonic())]
    except TimeoutError as error:
        raise too_late from error


def connected(addresses: Sequence[Address], until: Until, connect: Connect = socket.create_connection) -> socket.socket:
    """Return a socket connected to one of the addresses; each gets its share of the time left."""
    failed: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for tried, address in enumerate(addresses):
        try:
            sock = connect(address, timeout=until.left_s / (len(addresses) - tried))
        except OSError as error:
            failed = error
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(until.left_s)
        return sock
    raise failed


class _TimedFile(io.RawIOBase):
    """The data of a socket up to a deadline. A socket's own time-out starts again with every byte."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self._sock = sock
        self._until = Until(ends_at)
        self._raw = sock.makefile("rb", buffering=0)
        self.is_over = False  # from now on only data that was already read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]  # what io hands in
        if self.is_over:
            return 0
        self._sock.settimeout(self._until.left_s)
        return self._raw.readinto(buffer)

    @property
    def unread(self) -> int:
        """How many bytes TLS has decrypted that were not read yet."""
        return self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """Replaces a socket where `http.client` asks it for a file."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self.file = _TimedFile(sock, ends_at)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.file)


class StrictResponse(http.client.HTTPResponse):
    """An answer: `begin` reads its head, `read_whole` its body. What is incomplete or ambiguous raises."""

    def __init__(self, sock: socket.socket, *args: Any, ends_at: float, **kwargs: Any) -> None:
        timed = _TimedSocket(sock, ends_at)
        super().__init__(cast("socket.socket", timed), *args, **kwargs)
        self._file = timed.file

    def _read_status(self) -> tuple[str, int, str]:
        """Return the final status line: any number of 1xx answers may come before it."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # typeshed does not know it
            if status >= 200:  # noqa: PLR2004 -- 1xx: informational
                return version, status, reason
            http.client.parse_headers(self.fp)

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        if self.headers.defects:
            raise http.client.HTTPException("a header that is none")

    def read_whole(self, max_bytes: int) -> bytes:
        """Return the body.

        Raises:
            AnswerTooLarge: the body has, or announces, more than max_bytes.
            http.client.HTTPException: it is incomplete, ambiguous or followed by more bytes.
            OSError: it did not come in time.
        """
        body = self._body(max_bytes)
        self._file.is_over = True
        if self.fp.peek() or self._file.unread:
            raise http.client.HTTPException("bytes after the answer")
        return body

    def _body(self, max_bytes: int) -> bytes:
        lengths = {length.strip() for length in self.headers.get_all("Content-Length", ())}
        codings = self.headers.get_all("Transfer-Encoding", ())
        if len(lengths) + len(codings) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise http.client.HTTPException("a length that is none")
        if codings and codings[0].strip().lower() != "chunked":
            raise http.client.HTTPException("a transfer coding that nobody asked for")
        if self.status in _WITHOUT_BODY:
            return b""
        if codings:
            return self._chunks(max_bytes)
        if lengths:
            return self._exactly(int(lengths.pop()), max_bytes)
        body = self.fp.read(max_bytes + 1)
        if len(body) > max_bytes:
            raise AnswerTooLarge
        return body

    def _exactly(self, size: int, max_bytes: int) -> bytes:
        if size > max_bytes:
            raise AnswerTooLarge
        found = self.fp.read(size)
        if len(found) < size:
            raise http.client.IncompleteRead(b"", size - len(found))
        return found

    def _chunks(self, max_bytes: int) -> bytes:
        body = io.BytesIO()  # unlike a bytearray, it gives its content away without a copy
        while size := self._chunk_size():
            body.write(self._exactly(size, max_bytes - body.tell()))
            if self.fp.read(2) != b"\r\n":
                raise http.client.HTTPException("a chunk that is not as long as it says")
        while line := self.fp.readline(_LINE_MAX):  # trailers
            if line in {b"\r\n", b"\n"}:
                return body.getvalue()
        raise http.client.HTTPException("no end of the trailers")

    def _chunk_size(self) -> int:
        found = _CHUNK_SIZE.fullmatch(self.fp.readline(_LINE_MAX))
        if found is None:
            raise http.client.HTTPException("a chunk size that is none")
        return int(found[1], 16)
