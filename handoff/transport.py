"""The only network code for Freshdesk: a `requests` adapter for one host, with a deadline for each call."""

from __future__ import annotations

import base64
import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPResponse, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from freshdesk_client import Answer, FreshdeskUnreachable, OutcomeUnknown, Request

CONNECT_TIMEOUT_S: Final = 3.0
ANSWER_MAX_BYTES: Final = 16 * 1024 * 1024
# A frozen Lambda, or a proxy, drops idle connections silently: a POST on one would be in doubt.
IDLE_MAX_S: Final = 20.0
POOL_SIZE: Final = 64
LOOKUPS_MAX: Final = 16  # host names being looked up at once, including lookups that were abandoned
_BLOCK: Final = 65_536
_LINE_MAX: Final = 65_536
_WITHOUT_BODY: Final = frozenset({204, 304})
_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_BAD_ANSWER: Final = (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError)

LookUp = Callable[..., list[Any]]  # `socket.getaddrinfo`


class RequestsTransport:
    """Sends requests to one host: a Freshdesk account, or one with a file of the person.

    Args:
        url: of the host.
        api_key: of the account (HTTP Basic: the key is the user name, the password is ignored); "" sends none.
        idle_max_s: seconds after which a connection is not used again.
        look_up: finds the host's addresses; connections are made to just these.
        now: epoch seconds.
        answer_max: bytes of an answer's body.
        proxies: whether the environment's proxies are used.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        idle_max_s: float = IDLE_MAX_S,
        look_up: LookUp = socket.getaddrinfo,
        now: Callable[[], float] = time.time,
        answer_max: int = ANSWER_MAX_BYTES,
        proxies: bool = True,
    ) -> None:
        self._base = url.rstrip("/")  # a double slash in the path is answered 400
        self._headers = {
            "Accept": "application/json" if api_key else "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": "botpress-freshdesk-handoff/1",
        }
        if api_key:
            self._headers["Authorization"] = f"Basic {base64.b64encode(f'{api_key}:X'.encode()).decode()}"
        self._call, self._answer_max = _Call(now, answer_max), answer_max
        options: dict[str, Any] = {"call": self._call, "idle_max_s": idle_max_s, "look_up": look_up}
        self._adapter = _Adapter(self._base, proxies=proxies, **options)

    def __repr__(self) -> str:
        return f"RequestsTransport({self._base})"

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Send request and return the answer within timeout_s; see `freshdesk_client.Transport`."""
        if timeout_s <= 0:
            raise FreshdeskUnreachable("no-time")
        if self._base.startswith("https:") and not Path(self._adapter.certificates).exists():
            raise FreshdeskUnreachable("ca-bundle")
        self._call.begin(timeout_s)
        try:
            # The adapter is used without a session, so that no redirect is followed and no cookie kept.
            response = self._adapter.send(
                self._prepared(request),
                stream=True,
                timeout=cast("Any", Timeout(total=timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))),
                verify=self._adapter.certificates,
            )
            try:
                body = self._body_of(response)
            finally:
                response.close()
        except _BAD_ANSWER as error:
            if self._call.unsent:
                raise FreshdeskUnreachable(self._call.unsent, type(error).__name__) from error
            raise OutcomeUnknown(type(error).__name__) from error
        return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)

    def _body_of(self, response: requests.Response) -> bytes:
        """Return the body, unpacked if it was compressed; the whole of a large file must not be copied here."""
        if "Content-Encoding" not in response.headers:
            return cast("bytes", response.raw.read(decode_content=False))
        blocks, size = [], 0
        for block in response.raw.stream(_BLOCK, decode_content=True):
            size += len(block)
            if size > self._answer_max:
                raise AnswerTooLarge
            blocks.append(block)
        return b"".join(blocks)

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

    def _prepared(self, request: Request) -> requests.PreparedRequest:
        """Return the prepared request; nothing here needs to be quoted or encoded by requests."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, self._base + request.path
        prepared.body = cast("Any", (request.body, *request.more)) if request.more else request.body
        size = sum(map(len, (request.body or b"", *request.more)))
        own = {} if request.body is None else {"Content-Length": str(size), "Content-Type": request.content_type}
        # A plain dict is enough: no code asks for a name in another case, and urllib3 copies the headers again.
        prepared.headers = cast("Any", self._headers | own)
        return prepared


class AnswerTooLarge(OutcomeUnknown):
    """The answer's body is longer than `answer_max`."""

    def __init__(self) -> None:
        super().__init__("the answer is too large")


class _Call(threading.local):
    """The call of this thread. `unsent`: why it was certainly not sent, or "" if it may have been."""

    def __init__(self, now: Callable[[], float], answer_max: int) -> None:
        self._now = now
        self.answer_max = answer_max
        self.begin(0.0)

    def begin(self, timeout_s: float) -> None:
        self.ends_at, self._ends_at_wall, self.unsent = time.monotonic() + timeout_s, self._now() + timeout_s, ""

    @property
    def is_over(self) -> bool:
        """Return True if the time is over by either clock: the monotonic one may stop during a suspend."""
        return time.monotonic() >= self.ends_at or self._now() >= self._ends_at_wall


class _Adapter(HTTPAdapter):
    """The adapter of one host, with a deadline for its connections, and the environment's proxies and certificates."""

    def __init__(self, url: str, *, proxies: bool, **of_connections: Any) -> None:
        super().__init__(pool_connections=1, pool_maxsize=POOL_SIZE)
        with requests.Session() as session:
            settings: Mapping[str, Any] = session.merge_environment_settings(url, {}, None, None, None)
        is_outside = proxies and url.startswith("https:")  # plain http is for this machine only
        self._proxies = settings["proxies"] if is_outside else {}
        self.certificates = DEFAULT_CA_BUNDLE_PATH if settings["verify"] is True else settings["verify"]
        request = requests.Request("GET", url).prepare()
        found = super().get_connection_with_tls_context(request, self.certificates, self._proxies)
        self._pool = cast("HTTPConnectionPool", found)
        self._pool.ConnectionCls = _TLSConnection if self._pool.scheme == "https" else _Connection
        self._pool.conn_kw.update(of_connections)

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        """Return the pool; requests asks for one at each call, and would read the environment again."""
        return self._pool


class _TimedFile(io.RawIOBase):
    """The data of a socket up to a deadline. A socket's own time-out starts again with every byte."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self._sock = sock
        self._ends_at = ends_at
        self._raw = sock.makefile("rb", buffering=0)
        self.is_over = False  # from now on only data that was already read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]  # what io hands in
        if self.is_over:
            return 0
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer came too slowly")
        self._sock.settimeout(left_s)
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


class _Response(http.client.HTTPResponse):
    """An answer that is read completely, strictly by RFC 9112, before it is returned.

    So a connection goes back to the pool only after a complete exchange: what is incomplete, ambiguous or followed by
    more bytes raises, and urllib3 then closes the connection.
    """

    def __init__(self, sock: socket.socket, *args: Any, ends_at: float, size_max: int, **kwargs: Any) -> None:
        timed = _TimedSocket(sock, ends_at)
        self._size_max = size_max
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
        super().begin()
        if self.headers.defects:
            raise http.client.HTTPException("a header that is none")
        body = self._whole_body()
        self._file.is_over = True
        if self.fp.peek() or self._file.unread:
            raise http.client.HTTPException("bytes after the answer")
        self.fp.close()
        self.fp, self.length, self.chunked = cast("Any", io.BytesIO(body)), len(body), False
        del self.headers["Transfer-Encoding"]  # urllib3 uses this header

    def _whole_body(self) -> bytes:
        lengths = {length.strip() for length in self.headers.get_all("Content-Length", ())}
        codings = self.headers.get_all("Transfer-Encoding", ())
        if len(lengths) + len(codings) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise http.client.HTTPException("a length that is none")
        if codings and codings[0].strip().lower() != "chunked":
            raise http.client.HTTPException("a transfer coding that nobody asked for")
        if self.status in _WITHOUT_BODY:
            return b""
        if codings:
            return self._chunks()
        return self._read(int(lengths.pop())) if lengths else self._up_to_the_end()

    def _up_to_the_end(self) -> bytes:
        body = self.fp.read(self._size_max + 1)
        if len(body) > self._size_max:
            raise AnswerTooLarge
        return body

    def _read(self, size: int) -> bytes:
        if size > self._size_max:
            raise AnswerTooLarge
        data = self.fp.read(size)
        if len(data) < size:
            raise http.client.IncompleteRead(data, size - len(data))
        return data

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            body += self._read(size)
            if self.fp.read(2) != b"\r\n":
                raise http.client.HTTPException("a chunk that is not as long as it says")
            if len(body) > self._size_max:
                raise AnswerTooLarge
        while line := self.fp.readline(_LINE_MAX):  # trailers
            if line in {b"\r\n", b"\n"}:
                return bytes(body)
        raise http.client.HTTPException("no end of the trailers")

    def _chunk_size(self) -> int:
        found = _CHUNK_SIZE.fullmatch(self.fp.readline(_LINE_MAX))
        if found is None:
            raise http.client.HTTPException("a chunk size that is none")
        return int(found[1], 16)


class _Connection(HTTPConnection):
    """A connection to this machine. Before it is used again, the pool asks whether it is still connected."""

    def __init__(self, *args: Any, call: _Call, idle_max_s: float, look_up: LookUp, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._call = call
        self._idle_max_s = idle_max_s
        self._look_up = look_up
        self._ends_at = 0.0  # of the current step: connecting, or the call
        self.used_at = 0.0

    def response_class(self, *args: Any, **kwargs: Any) -> _Response:  # type: ignore[override]  # where a class is expected
        return _Response(*args, ends_at=self._ends_at, size_max=self._call.answer_max, **kwargs)

    @property
    def is_connected(self) -> bool:
        # not monotonic, which may stop while a Lambda is frozen
        return abs(time.time() - self.used_at) <= self._idle_max_s and super().is_connected

    def connect(self) -> None:
        """Connect, through proxy and TLS if necessary. Until this ends, nothing of the request has been sent."""
        self._ends_at = min(self._call.ends_at, time.monotonic() + CONNECT_TIMEOUT_S)
        self._call.unsent = "connect"
        try:
            super().connect()
        except _BAD_ANSWER as error:
            self._call.unsent = self._code_of(error)
            raise NewConnectionError(self, type(error).__name__) from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._call.is_over:
            self._call.unsent = "no-time"
            raise NewConnectionError(self, "no time left")
        self._ends_at, self._call.unsent = self._call.ends_at, ""
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        cast("socket.socket", self.sock).settimeout(self._left_s())
        super().send(data)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3's own, for http.client's
        answer = super().getresponse()
        self.used_at = time.time()
        return answer

    def _new_conn(self) -> socket.socket:
        """Return a socket connected to one of the host's addresses; each gets its share of the time left."""
        found = _addresses(self._look_up, self.host.strip("[]"), self.port, self._left_s())
        failed: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
        for tried, address in enumerate(found):
            try:
                sock = socket.create_connection(address, timeout=self._left_s() / (len(found) - tried))
            except OSError as error:
                failed = error
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(self._left_s())
            return sock
        raise failed

    def _left_s(self) -> float:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no time left")
        return left_s

    def _code_of(self, error: Exception) -> str:
        """Return the cause of a failed connection; see `FreshdeskUnreachable`."""
        kinds: tuple[tuple[type[Exception], str], ...] = (
            (ssl.CertificateError, "certificate"),
            (HTTPError, "ca-bundle"),  # urllib3's only one here: the list of authorities cannot be loaded
            (ssl.SSLError, "tls"),
            (socket.gaierror, "dns"),
            (ConnectionRefusedError, "refused"),
            (TimeoutError, "timeout"),
        )
        if self.proxy and not isinstance(error, ssl.SSLError | HTTPError):
            return "proxy"
        code = next((code for kind, code in kinds if isinstance(error, kind)), None)
        return code or ("tls" if self.sock is not None else "connect")


class _TLSConnection(_Connection, HTTPSConnection):
    """A connection to Freshdesk."""


_lookups: Final = threading.BoundedSemaphore(LOOKUPS_MAX)


def _addresses(look_up: LookUp, host: str, port: int, timeout_s: float) -> list[tuple[str, int]]:
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
