"""One help desk in memory: the account, what it stores, its limits, its weather and its clock."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dev.local_freshdesk import shapes
from dev.local_freshdesk.forms import FieldLimits
from dev.local_freshdesk.weather import Sky

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.local_freshdesk.account import Account
    from dev.local_freshdesk.limits import RateLimiter
    from dev.local_freshdesk.store import Row, Store

DEFAULT_KEY: Final = "local-freshdesk-key"
# Two keys more, to see what a key with fewer rights meets.
AGENT_KEY: Final = "local-agent-key"
READONLY_KEY: Final = "local-readonly-key"
_REMEMBERED_CALLS: Final = 200_000


@dataclass(frozen=True, kw_only=True)
class HelpDesk:
    """Everything the API and the pages share."""

    account: Account
    store: Store
    limiter: RateLimiter
    api_key: str = DEFAULT_KEY
    clock: Callable[[], float] = time.time
    field_limits: FieldLimits = field(default_factory=FieldLimits)
    search_lag_s: float = 120.0
    sky: Sky = field(default_factory=Sky)
    calls: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_CALLS))

    def attachments_of(self, ticket_id: int, conversation_id: int | None = None) -> list[Row]:
        """The files of a ticket, or of one of its conversations."""
        where = "ticket_id = ? AND conversation_id IS ?"
        return self.store.select("attachments", where, (ticket_id, conversation_id))

    def ticket_in_full(self, row: Row) -> dict[str, Any]:
        """A ticket as GET one tells it."""
        return shapes.ticket_in_full(row, self.clock(), self.attachments_of(row["id"]))

    def conversations(self, ticket_id: int) -> list[Row]:
        """Notes and replies of a ticket, oldest first."""
        return self.store.select("conversations", "ticket_id = ?", (ticket_id,))
