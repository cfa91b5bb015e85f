"""The stand-in as one object: start it, ask it, change how it behaves."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from dev.local_freshdesk import answers
from dev.local_freshdesk.faults import Fault
from dev.local_freshdesk.helpdesk import DEFAULT_KEY, HelpDesk
from dev.local_freshdesk.pages import make_pages
from dev.local_freshdesk.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.local_freshdesk.bot import Bots


class StoredFile(NamedTuple):
    """A file that came with a note."""

    name: str
    content_type: str
    size: int
    sha256: str


class LocalFreshdesk:
    """A stand-in Freshdesk on loopback; a context manager, or `start` and `close`.

    `port` 0 takes a free one; `db` None keeps everything in memory; `clock` is in seconds since 1970; `bots` is what
    the chat page talks to.
    """

    def __init__(
        self,
        port: int = 0,
        db: Path | str | None = None,
        api_key: str = DEFAULT_KEY,
        *,
        clock: Callable[[], float] = time.time,
        bots: Bots | None = None,
    ) -> None:
        self._port = port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._bots = bots
        self.helpdesk = HelpDesk(Path(db) if db else None, api_key=api_key, clock=clock)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Listen; raises OSError where the port is taken. After `stop`, on the same port as before."""
        self._server = Server(self._port, self.helpdesk, make_pages(self.helpdesk, self._bots))
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening: from now on connections are refused. What is stored stays."""
        if self._server and self._thread:
            self._server.close()
            self._thread.join(5)
            self._server = None

    def close(self) -> None:
        """Stop, and close the file."""
        self.stop()
        self.helpdesk.store.close()

    @property
    def url(self) -> str:
        """The address to use as FRESHDESK_URL; the same after `stop` and `start`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def calls(self) -> list[tuple[str, str]]:
        """(method, path with query) of the API requests so far, in order of arrival, cut ones too."""
        return list(self.helpdesk.calls)

    def weather(self, name: str, *, times: int | None = None, seconds: float | None = None, only: str = "all") -> Fault:
        """Begin with a fault, or "healthy"; see `Fault`. Raises UnknownFaultError (a ValueError)."""
        return self.helpdesk.faults.change(Fault.read(name, times=times, seconds=seconds, only=only))

    def tickets(self) -> list[dict[str, Any]]:
        """Return all tickets as GET one answers them, deleted and spam too, oldest first."""
        return [answers.ticket_in_full(row) for row in self.helpdesk.store.select("tickets")]

    def notes(self, ticket_id: int) -> list[dict[str, Any]]:
        """Return the notes of a ticket, oldest first."""
        rows = [row for row in self.helpdesk.conversations(ticket_id) if row["kind"] == "note"]
        return [answers.note(row, self.helpdesk.attachments_of(row["id"]), self.url) for row in rows]

    def files(self, ticket_id: int) -> list[StoredFile]:
        """Return the files on a ticket, in order of arrival."""
        return [
            StoredFile(row["name"], row["content_type"], row["size"], self.helpdesk.content_of(row["id"])["sha256"])
            for row in self.helpdesk.files_of(ticket_id)
        ]

    def limit(self, create_per_minute: int | None = None, total_per_minute: int | None = None) -> None:
        """Change the rate limits from now on; None leaves one as it is."""
        limiter = self.helpdesk.limiter
        limiter.create = limiter.create if create_per_minute is None else create_per_minute
        limiter.total = limiter.total if total_per_minute is None else total_per_minute

    def mark_spam(self, ticket_id: int) -> None:
        """Move a ticket to the spam box, as Freshdesk itself or an agent may."""
        self.helpdesk.move(ticket_id, "spam")

    def delete(self, ticket_id: int) -> None:
        """Move a ticket to the box of deleted ones, as an agent may."""
        self.helpdesk.move(ticket_id, "deleted")
