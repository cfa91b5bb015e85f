"""A fake Freshdesk that costs next to nothing: it holds each answer back for a set time and counts tickets.

It speaks just enough: `POST /api/v2/tickets` → 201, `GET /api/v2/tickets…` → `[]`, `GET /count`, `POST /delay?ms=N`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_RATE: Final = "X-RateLimit-Total: 5000.0\r\nX-RateLimit-Remaining: 4999.0\r\nX-RateLimit-Used-CurrentRequest: 1\r\n"
# What Freshdesk answers besides the number, in length and shape: https://developers.freshdesk.com/api/#create_ticket
_REST: Final = {
    "cc_emails": [],
    "fwd_emails": [],
    "reply_cc_emails": [],
    "spam": False,
    "email_config_id": None,
    "group_id": 1070000000101,
    "priority": 2,
    "requester_id": 1070000000901,
    "responder_id": None,
    "source": 2,
    "status": 2,
    "subject": "Retiros: no llegó",
    "to_emails": None,
    "product_id": 1070000000201,
    "type": "Consulta",
    "due_by": "2026-11-25T12:00:00Z",
    "description": "<p>El texto vuelve entero, como en Freshdesk. " + "Una línea más. " * 60 + "</p>",
    "tags": ["botpress", "bot:betsur"],
    "created_at": "2026-11-22T12:00:00Z",
    "updated_at": "2026-11-22T12:00:00Z",
}
_BODY: Final = json.dumps(_REST)[1:]


class HelpDesk:
    """What all connections share: the tickets made, and how long an answer is held back."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.tickets = 0

    def answer(self, method: bytes, path: bytes) -> tuple[float, bytes]:
        """Return how many seconds to wait, and the answer."""
        if path.startswith(b"/count"):
            return 0.0, _answer("200 OK", json.dumps({"tickets": self.tickets}))
        if path.startswith(b"/delay?ms="):
            self.delay_s = float(path.partition(b"=")[2]) / 1000
            return 0.0, _answer("200 OK", "{}")
        if method == b"GET":
            return self.delay_s, _answer("200 OK", "[]")
        self.tickets += 1
        location = f"Location: https://desk.example.com/api/v2/tickets/{self.tickets}\r\n"
        return self.delay_s, _answer("201 Created", f'{{"id": {self.tickets}, {_BODY}', location)


def _answer(status: str, body: str, more: str = "") -> bytes:
    raw = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{_RATE}{more}Content-Length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, helpdesk: HelpDesk) -> None:
        self._desk = helpdesk
        self._waiting = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request there is."""
        self._waiting += data
        while (end := self._waiting.find(_HEAD_END)) >= 0:
            head = self._waiting[:end]
            whole = end + len(_HEAD_END) + _length(head)
            if len(self._waiting) < whole:
                return
            self._waiting = self._waiting[whole:]
            method, path, _ = head.split(b" ", 2)
            delay_s, answer = self._desk.answer(method, path)
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self._transport.write, answer)
            else:
                self._transport.write(answer)


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(_LENGTH)
    return int(lower[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def serve(delay_s: float) -> None:
    """Serve on a free port of loopback, print it, and go on until killed."""
    helpdesk = HelpDesk(delay_s)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(helpdesk), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(serve(options.delay_ms / 1000))


if __name__ == "__main__":
    main()
