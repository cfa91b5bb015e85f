"""The rate limit: account-wide, a fixed window, decimal headers, and a lower limit for creating tickets.

https://developers.freshdesk.com/api/#ratelimit; live accounts answer decimals (`50.0`).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dev.local_freshdesk.wire import Answer, RefusedError, problem

if TYPE_CHECKING:
    from collections.abc import Callable

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests a minute: in all, and tickets created."""

    total: int = 700
    create: int = 280


class RateLimiter:
    """Counts requests in fixed windows of `window_s` seconds; safe to use from many threads."""

    def __init__(self, limits: Limits, clock: Callable[[], float], window_s: float = 60.0) -> None:
        self._limits = limits
        self._clock = clock
        self._window_s = window_s
        self._lock = threading.Lock()
        self._window = -1
        self._used = 0
        self._created = 0

    def change(self, *, total: int | None, create: int | None) -> None:
        """Set new limits from now on; None leaves one as it is."""
        with self._lock:
            if total is not None:
                self._limits = replace(self._limits, total=total)
            if create is not None:
                self._limits = replace(self._limits, create=create)

    def admit(self, cost: int, *, creates: bool) -> Headers:
        """Count one request and give the rate headers; raises RefusedError (429) when a limit is hit."""
        with self._lock:
            self._turn_window()
            too_many = self._used + cost > self._limits.total
            too_many_new = creates and self._created + 1 > self._limits.create
            if too_many or too_many_new:
                raise RefusedError(self._busy(cost))
            self._used += cost
            self._created += creates
            return self._headers(cost)

    def _turn_window(self) -> None:
        window = math.floor(self._clock() / self._window_s)
        if window != self._window:
            self._window, self._used, self._created = window, 0, 0

    def _headers(self, cost: int) -> Headers:
        return (
            ("X-RateLimit-Total", f"{self._limits.total:.1f}"),
            ("X-RateLimit-Remaining", f"{max(self._limits.total - self._used, 0):.1f}"),
            ("X-RateLimit-Used-CurrentRequest", str(cost)),
        )

    def _busy(self, cost: int) -> Answer:
        left = (self._window + 1) * self._window_s - self._clock()
        return too_many_requests(max(math.ceil(left), 1), self._headers(cost))


def too_many_requests(retry_after_s: float, headers: Headers = (), *, body: str = "json") -> Answer:
    """429; `body` is "json" or "empty", for the vendor's documentation shows none."""
    wait = ("Retry-After", str(math.ceil(retry_after_s)))
    if body == "empty":
        return Answer(429, b"", (wait, *headers))
    return problem(429, "rate_limit", "You have exceeded the limit of requests per minute", (wait, *headers))
