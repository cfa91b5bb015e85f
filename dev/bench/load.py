"""The callers: kept-alive connections that send handoffs, each one new, and time the answers.

A plan comes on standard input as JSON, the times go out on standard output, so that the load has a process, and a core,
of its own: `{"urls": [...], "callers": 64, "requests": 640, "seed": "…"}`. With several addresses each caller sends
to one after the other, so that whatever disturbs the machine disturbs them all alike.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

SECRET: Final = "local-secret"  # noqa: S105 -- opens nothing but the bench's own function
REST_S: Final = 0.02  # what a server still does after its answer must not slow the next one down: they share a core
_LINES: Final = "\n".join(f"{'Bot' if n % 2 else 'Persona'}: línea {n}, ¿cómo sigue mi retiro?" for n in range(30))


@dataclass(frozen=True, slots=True)
class Call:
    """One answer: which address, its status, and the seconds it took."""

    url: str
    status: int
    seconds: float


def handoff(seed: str, number: int) -> bytes:
    """Return the body of a handoff like Botpress' own (2 KB); no other has its ids or its address."""
    return json.dumps(
        {
            "bot": "betsur",
            "category": "retiros",
            "user_email": f"persona.{seed}.{number}@example.com",
            "user_name": "Ana Peña",
            "reason": "Pedí un retiro y no llegó",
            "conversation_summary": "La persona pidió un retiro hace tres días y no llegó. " * 5,
            "conversation_transcript": _LINES,
            "conversation_id": f"conv-{seed}-{number}",
            "message_id": f"msg-{number}",
            "user_id": f"user-{seed}-{number}",
            "channel": "webchat",
            "language": "es",
        },
        ensure_ascii=False,
    ).encode()


def message(url: str, body: bytes) -> bytes:
    """Return a whole HTTP request that carries body."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller:
    """One caller: a connection to each address, one request at a time."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._streams: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self.calls: list[Call] = []

    async def connect(self) -> None:
        """Open the connections, so that no measured call has to."""
        for url in self._urls:
            parts = urlsplit(url)
            self._streams[url] = await asyncio.open_connection(parts.hostname, parts.port)

    async def send(self, seed: str, numbers: range) -> None:
        """Send one handoff a number to every address, and note the answers."""
        for number in numbers:
            for url in self._urls:
                if len(self._urls) > 1:
                    await asyncio.sleep(REST_S)
                reader, writer = self._streams[url]
                wish = message(url, handoff(seed, number))
                began = time.perf_counter()
                writer.write(wish)
                status = await _status(reader)
                self.calls.append(Call(url, status, time.perf_counter() - began))
        for _, writer in self._streams.values():
            writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    """Read one whole answer and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Carry the plan out; return every call's time and the seconds of the whole."""
    callers = [Caller(plan["urls"]) for _ in range(plan["callers"])]
    await asyncio.gather(*(caller.connect() for caller in callers))
    each = plan["requests"] // plan["callers"]
    began = time.perf_counter()
    await asyncio.gather(
        *(caller.send(plan["seed"], range(n * each, (n + 1) * each)) for n, caller in enumerate(callers))
    )
    elapsed_s = time.perf_counter() - began
    calls = [call for caller in callers for call in caller.calls]
    return {
        "elapsed_s": elapsed_s,
        "statuses": sorted({call.status for call in calls}),
        "seconds": {url: [call.seconds for call in calls if call.url == url] for url in plan["urls"]},
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
