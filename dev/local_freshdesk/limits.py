"""The rate limit: account-wide, a fixed window of a minute, and a lower limit for new tickets.

https://developers.freshdesk.com/api/#ratelimit; live accounts answer decimals (`50.0`).
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

from dev.local_freshdesk.wire import Answer, Headers, RefusedError, problem

if TYPE_CHECKING:
    from collections.abc import Callable

TOTAL_PER_MINUTE: Final = 700
CREATE_PER_MINUTE: Final = 280
_WINDOW_S: Final = 60.0


class RateLimiter:
    """Counts requests; safe to use from many threads. `total` and `create` may be changed at any time."""

    def __init__(self, clock: Callable[[], float], total: int, create: int) -> None:
        self.total = total
        self.create = create
        self._clock = clock
        self._lock = threading.Lock()
        self._window = -1
        self._used = 0
        self._created = 0

    def admit(self, cost: int, *, creates: bool) -> Headers:
        """Count one request and return the rate headers; raises RefusedError (429) where a limit is reached."""
        with self._lock:
            now = self._clock()
            window = math.floor(now / _WINDOW_S)
            if window != self._window:
                self._window, self._used, self._created = window, 0, 0
            admitted = self._used + cost <= self.total and self._created + creates <= self.create
            if admitted:
                self._used += cost
                self._created += creates
            rates = (
                ("X-RateLimit-Total", f"{self.total:.1f}"),
                ("X-RateLimit-Remaining", f"{max(self.total - self._used, 0):.1f}"),
                ("X-RateLimit-Used-CurrentRequest", str(cost)),
            )
        if not admitted:
            raise RefusedError(too_many_requests((window + 1) * _WINDOW_S - now, rates))
        return rates


def too_many_requests(retry_after_s: float, headers: Headers = ()) -> Answer:
    """Return the 429 that asks for a wait of so many seconds, of at least one."""
    wait = ("Retry-After", str(max(math.ceil(retry_after_s), 1)))
    return problem(429, "rate_limit", "You have exceeded the limit of requests per minute", (wait, *headers))
