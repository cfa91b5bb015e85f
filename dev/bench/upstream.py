"""A fake Freshdesk that costs next to nothing: `python -m dev.bench.upstream PORT`.

`POST /api/v2/tickets` answers 201 after the delay, `GET` answers `[]`, `POST /delay/N` sets the delay to N ms.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from contextlib import suppress
from typing import Final

_NUMBERS: Final = itertools.count(1)
# As long as Freshdesk's answer: https://developers.freshdesk.com/api/#create_ticket
_TICKET: Final = (
    '{"id": %d, "status": 2, "priority": 2, "spam": false, "description": "' + "Una línea más. " * 90 + '"}'
)
_LIMITS: Final = "X-RateLimit-Total: 5000\r\nX-RateLimit-Remaining: 4999\r\nX-RateLimit-Used-CurrentRequest: 1"
_delay_s: list[float] = [0.0]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one kept-alive connection."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while head := (await reader.readuntil(b"\r\n\r\n")).lower():
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0))
            status, text = "200 OK", "[]"
            if head.startswith(b"post /delay/"):
                _delay_s[0] = int(head.split()[1].rpartition(b"/")[2]) / 1000
            elif await asyncio.sleep(_delay_s[0], head.startswith(b"post")):
                status, text = "201 Created", _TICKET % next(_NUMBERS)
            body = text.encode()
            start = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{_LIMITS}\r\nContent-Length: {len(body)}"
            writer.write(start.encode() + b"\r\n\r\n" + body)
    writer.close()


async def main() -> None:
    """Serve until killed."""
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
