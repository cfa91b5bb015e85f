"""The stand-in as one object: start it, ask it, change its weather."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dev.local_freshdesk import shapes, tickets
from dev.local_freshdesk.account import Account
from dev.local_freshdesk.desk import DEFAULT_KEY, HelpDesk
from dev.local_freshdesk.forms import FieldLimits
from dev.local_freshdesk.limits import Limits, RateLimiter
from dev.local_freshdesk.pages import make_pages
from dev.local_freshdesk.server import Hosted, Server
from dev.local_freshdesk.store import Store
from dev.local_freshdesk.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.local_freshdesk.account import Profile
    from dev.local_freshdesk.bot import Bots


class LocalFreshdesk:
    """A stand-in Freshdesk on loopback; a context manager, or `start` and `stop`.

    `port` 0 takes a free one; `db` None keeps everything in memory; `limits` are requests a minute;
    `search_lag_s` is how long a new ticket stays out of the search; `bots` is what the chat page talks to.
    """

    def __init__(  # noqa: PLR0913 - every one is a setting with a default
        self,
        port: int = 0,
        db: Path | str | None = None,
        api_key: str = DEFAULT_KEY,
        *,
        host: str = "127.0.0.1",
        profile: Profile = "2026",
        limits: Limits | None = None,
        field_limits: FieldLimits | None = None,
        search_lag_s: float = 120.0,
        clock: Callable[[], float] = time.time,
        bots: Bots | None = None,
    ) -> None:
        self._address = (host, port)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._bots = bots
        self.desk = HelpDesk(
            account=Account.load(profile),
            store=Store(Path(db) if db else None),
            limiter=RateLimiter(limits or Limits(), clock),
            api_key=api_key,
            clock=clock,
            field_limits=field_limits or FieldLimits(),
            search_lag_s=search_lag_s,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Listen; raises OSError where the port is taken. After `stop`, on the same port as before."""
        pages = make_pages(self.desk, self._bots)
        self._server = Server(*self._address, Hosted(self.desk, pages))
        self._address = (self._address[0], self._server.server_port)
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
        self.desk.store.close()

    @property
    def url(self) -> str:
        """The address to use as FRESHDESK_URL; the same after `stop` and `start`."""
        return f"http://{self._address[0]}:{self._address[1]}"

    @property
    def calls(self) -> list[tuple[str, str]]:
        """(method, path with query) of the API requests so far, in order of arrival, cut ones too."""
        return list(self.desk.calls)

    def weather(
        self,
        name: str,
        *,
        times: int | None = None,
        seconds: float | None = None,
        only: str = "all",
        body: str = "json",
    ) -> Weather:
        """Change the weather; raises ValueError for one that does not exist. See Weather for the words."""
        return self.desk.sky.change(Weather.of(name, times=times, seconds=seconds, only=only, body=body))

    def tickets(self) -> list[dict[str, Any]]:
        """All tickets as GET one tells them, deleted and spam too, oldest first."""
        return [self.desk.ticket_in_full(row) for row in self.desk.store.select("tickets")]

    def notes(self, ticket_id: int) -> list[dict[str, Any]]:
        """The notes of a ticket, oldest first."""
        rows = [row for row in self.desk.conversations(ticket_id) if row["kind"] == "note"]
        return [shapes.conversation(row, self.desk.attachments_of(ticket_id, row["id"])) for row in rows]

    def limit(self, create_per_minute: int | None = None, total_per_minute: int | None = None) -> None:
        """Change the rate limits from now on; None leaves one as it is."""
        self.desk.limiter.change(total=total_per_minute, create=create_per_minute)

    def mark_spam(self, ticket_id: int, *, spam: bool = True) -> None:
        """Move a ticket to the spam box, as Freshdesk itself or an agent may."""
        tickets.flag(self.desk, ticket_id, spam=spam)
