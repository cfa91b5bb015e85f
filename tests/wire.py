"""A server of raw bytes, for network faults that no web server causes; and a Freshdesk made of it."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

Talk = Callable[[socket.socket], None]


class Host:
    """Listens on this machine and serves each connection with a given function."""

    def __init__(self, talk: Talk, *, tls: ssl.SSLContext | None = None) -> None:
        self._talk = talk
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Stop listening and cut every connection."""
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            spoken = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            self._open.append(spoken)
            self._talk(spoken)
            spoken.close()


Start = Callable[..., Host]


def read_request(connection: socket.socket) -> bytes:
    """Read one request, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answering(*answers: bytes, seen: list[bytes] | None = None) -> Talk:
    """Give each request the next answer, and repeat the last one."""

    def talk(connection: socket.socket) -> None:
        left = list(answers)
        while said := read_request(connection):
            if seen is not None:
                seen.append(said)
            connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return talk


def reset(connection: socket.socket) -> None:
    """End a connection so that the caller sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def heard(connection: socket.socket) -> socket.socket:
    """Return the connection after its first byte."""
    connection.recv(1)
    return connection


def a_moment_later(connection: socket.socket) -> socket.socket:
    """Return the connection after a moment; closed earlier, the caller would know that nothing was sent."""
    time.sleep(0.1)
    return connection


def sent(connection: socket.socket, data: bytes) -> socket.socket:
    """Return the connection after data was sent."""
    connection.sendall(data)
    return connection


# Variants of a list response, by name: its rows, the newest first → the rows sent
ORDERS: Final[dict[str, Callable[[list[Any]], list[Any]]]] = {
    "newest first": lambda rows: rows,
    "ascending": lambda rows: rows[::-1],
    "shuffled": lambda rows: random.Random(1).sample(rows, len(rows)),
}
# Variants of a date header, by name
DATES: Final[dict[str, Callable[[datetime], Any]]] = {
    "zulu": lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "offset": lambda moment: moment.isoformat(),
    "no zone": lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S"),
    "words": lambda moment: moment.strftime("%d %b %Y at %H:%M"),
    "number": lambda moment: int(moment.timestamp() * 1000),
    "null": lambda _moment: None,
}


@dataclass(slots=True, kw_only=True)
class WireFreshdesk:
    """A Freshdesk of raw bytes, with the faults that its fields name; serve `talk` with a `Host`.

    `lost`: how many POSTs are done and then cut off. `by_email`: what a list by address is answered with, instead of
    its tickets. `interim`: what comes before every answer.
    """

    lost: int = 0
    linked: bool = True
    order: str = "newest first"
    date: str = "zulu"
    skew_s: float = 0.0
    dated: bool = True
    by_email: bytes | None = None
    interim: bytes = b""
    drip_s: float = 0.0
    chunked: bool = False
    tickets: list[dict[str, Any]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def talk(self, connection: socket.socket) -> None:
        """Answer one request after the other."""
        while said := read_request(connection):
            first, _, rest = said.partition(b"\r\n")
            method, path, _ = first.decode().split()
            self.seen.append(f"{method} {path}")
            if method == "POST":
                with self.lock:
                    number = self.add(json.loads(rest.partition(b"\r\n\r\n")[2]))
                    self.lost -= 1
                    cut = self.lost >= 0
                if cut:
                    return
                self._send(connection, 201, json.dumps({"id": number}).encode())
            else:
                asked = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
                if "email" in asked and self.by_email is not None:
                    connection.sendall(self.by_email)
                else:
                    self._list(connection, asked)

    def add(self, fields: dict[str, Any], ago_s: float = 0.0) -> int:
        """Make a ticket; return its number."""
        made_at = time.time() + self.skew_s - ago_s
        self.tickets.append({**fields, "id": len(self.tickets) + 1, "made_at": made_at})
        return len(self.tickets)

    def _list(self, connection: socket.socket, asked: dict[str, str]) -> None:
        since = datetime.fromisoformat(asked["updated_since"]).timestamp()
        known = [one for one in self.tickets if one["made_at"] >= since and "filter" not in asked]
        found = [one for one in known if asked.get("email") in {None, one.get("email")}]
        rows = ORDERS[self.order](sorted(found, key=lambda one: -one["made_at"]))
        size, page = int(asked["per_page"]), int(asked["page"])
        shown = [self._row(one, described="include" in asked) for one in rows[(page - 1) * size : page * size]]
        link = b'Link: <https://x>; rel="next"\r\n' if self.linked and len(rows) > page * size else b""
        self._send(connection, 200, json.dumps(shown).encode(), link)

    def _row(self, one: dict[str, Any], *, described: bool) -> dict[str, Any]:
        created_at = DATES[self.date](datetime.fromtimestamp(one["made_at"], UTC))
        more = {"description": one["description"]} if described and "description" in one else {}
        return {"id": one["id"], "subject": one["subject"], "status": 2, "created_at": created_at, **more}

    def _send(self, connection: socket.socket, status: int, body: bytes, headers: bytes = b"") -> None:
        date = f"Date: {formatdate(time.time() + self.skew_s, usegmt=True)}\r\n".encode() if self.dated else b""
        length = f"Content-Length: {len(body)}\r\n".encode()
        if self.chunked:
            length, body = b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        whole = self.interim + f"HTTP/1.1 {status} X\r\n".encode() + date + length + headers + b"\r\n" + body
        if not self.drip_s:
            connection.sendall(whole)
            return
        for at in range(len(whole)):
            connection.sendall(whole[at : at + 1])
            time.sleep(self.drip_s)
