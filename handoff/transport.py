"""The only network code towards Freshdesk: one `requests` adapter, kept for one host and held to a deadline."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPResponse, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from freshdesk_client import Answer, FreshdeskError, FreshdeskUnreachable, OutcomeUnknown, Request

CONNECT_TIMEOUT_S: Final = 3.0
ANSWER_MAX_BYTES: Final = 16 * 1024 * 1024
# A frozen Lambda, or a proxy in between, drops idle connections without a word: a POST on such a one is in doubt.
IDLE_MAX_S: Final = 20.0
POOL_SIZE: Final = 64
_JSON_BODY: Final = {"Content-Type": "application/json"}
_CHUNK: Final = 65_536


class RequestsTransport:
    """Sends requests to one Freshdesk account (HTTP Basic: the key is the user name, the password is ignored)."""

    def __init__(self, url: str, api_key: str, *, idle_max_s: float = IDLE_MAX_S) -> None:
        self._base = url.rstrip("/")  # a doubled slash in the path is answered 400
        token = base64.b64encode(f"{api_key}:X".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {token}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "botpress-freshdesk-handoff/1",
        }
        self._adapter = _Adapter(self._base, idle_max_s)

    def __repr__(self) -> str:
        return f"RequestsTransport({self._base})"

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Send request and return the answer within timeout_s; see `freshdesk_client.Transport`."""
        outside = sys.exception()  # what the caller is just handling has nothing to do with this call
        limits = Timeout(total=timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        try:
            # The adapter, not a session: so no redirect is followed and no cookie kept.
            response = self._adapter.send(
                self._prepared(request),
                stream=True,
                timeout=cast("Any", limits),
                verify=self._adapter.certificates,
            )
            try:
                body = b"".join(_chunks(response))
            finally:
                response.close()
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _meaning(error, outside) from error
        return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)

    def _prepared(self, request: Request) -> requests.PreparedRequest:
        """Return what requests' own preparation would make of it; there is nothing here to quote or encode."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = request.method, self._base + request.path, request.body
        told = {} if request.body is None else {"Content-Length": str(len(request.body)), **_JSON_BODY}
        # A plain dict will do: nothing asks for a name in another case, and urllib3 copies them once more.
        prepared.headers = cast("Any", self._headers | told)
        return prepared


class _Adapter(HTTPAdapter):
    """The adapter of one host, whose connections keep to a time, with the environment's proxies and certificates."""

    def __init__(self, url: str, idle_max_s: float) -> None:
        super().__init__(pool_connections=1, pool_maxsize=POOL_SIZE)
        with requests.Session() as session:
            told: Mapping[str, Any] = session.merge_environment_settings(url, {}, None, None, None)
        self._proxies = told["proxies"] if url.startswith("https:") else {}  # plain http never leaves this machine
        self.certificates = DEFAULT_CA_BUNDLE_PATH if told["verify"] is True else told["verify"]
        request = requests.Request("GET", url).prepare()
        found = super().get_connection_with_tls_context(request, self.certificates, self._proxies)
        self._pool = cast("HTTPConnectionPool", found)
        self._pool.ConnectionCls = _TLSConnection if self._pool.scheme == "https" else _Connection
        self._pool.conn_kw["idle_max_s"] = idle_max_s

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        """Return the pool; requests asks for one at each call, and would read the environment again."""
        return self._pool


class _TimedFile(io.RawIOBase):
    """What a socket gives, until its time is over. A socket's own time-out begins anew with every byte it gets."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ends_at = time.monotonic() + (sock.gettimeout() or 0.0)
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]  # what io hands in
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer came too slowly")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """Stands for a socket where `http.client` asks one for a file."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedFile(self._sock))


class _Response(http.client.HTTPResponse):
    """An answer, head and body, that must be there in time."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(cast("socket.socket", _TimedSocket(sock)), *args, **kwargs)


class _Connection(HTTPConnection):
    """A connection to this machine. The pool asks it whether it is connected before it is used again."""

    response_class = _Response

    def __init__(self, *args: Any, idle_max_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle_max_s = idle_max_s
        self.used_at = 0.0

    @property
    def is_connected(self) -> bool:
        return time.time() - self.used_at <= self._idle_max_s and super().is_connected

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3's own, for http.client's
        answer = super().getresponse()
        self.used_at = time.time()  # not monotonic, which may stand still while a Lambda is frozen
        return answer


class _TLSConnection(_Connection, HTTPSConnection):
    """A connection to Freshdesk. Whatever goes wrong before it stands, nothing of the request has been sent."""

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, HTTPError) as error:
            raise NewConnectionError(self, type(error).__name__) from error


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body; a server that never stops is cut off."""
    size = 0
    for chunk in response.raw.stream(_CHUNK, decode_content=True):
        size += len(chunk)
        if size > ANSWER_MAX_BYTES:
            raise OutcomeUnknown("the answer is too large")
        yield chunk


def _meaning(error: Exception, outside: BaseException | None) -> FreshdeskError:
    """Tell a request that was never sent from one whose outcome nobody knows."""
    name = type(error).__name__
    if any(map(_never_sent, _causes(error, outside))):
        return FreshdeskUnreachable(name)
    return OutcomeUnknown(name)


def _never_sent(cause: BaseException) -> bool:
    # A refused connection and a name that does not resolve are ConnectTimeoutErrors, too, in urllib3's tree.
    return isinstance(cause, requests.ConnectTimeout | ConnectTimeoutError)


def _causes(error: BaseException, outside: BaseException | None) -> Iterator[BaseException]:
    """Yield error and what lies under it, down to what lay there before; requests and urllib3 wrap each other's."""
    seen: list[BaseException] = [] if outside is None else [outside]
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop()
        if any(current is one for one in seen):
            continue
        seen.append(current)
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        waiting += [one for one in inner if isinstance(one, BaseException)]
