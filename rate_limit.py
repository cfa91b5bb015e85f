"""What Freshdesk's answers say of the rate limit (https://developers.freshdesk.com/api/#ratelimit)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from typing import Final, NamedTuple

CREATE_SHARE: Final = 0.4  # of an account's calls, in every plan that bounds them; no header tells this bound
RATE_WINDOW_S: Final = 60.0  # the limits are per minute
RETRY_AFTER_DEFAULT_S: Final = 30.0
RETRY_AFTER_MAX_S: Final = 3600.0


class RateLimit(NamedTuple):
    """What the headers say of the account's limit in this minute; Freshdesk writes decimals (`50.0`)."""

    total: float
    remaining: float

    @staticmethod
    def read(headers: Mapping[str, str]) -> RateLimit | None:
        """Return the limit the headers tell, or None."""
        try:
            total = float(headers["x-ratelimit-total"])
            remaining = float(headers["x-ratelimit-remaining"])
        except (KeyError, ValueError):
            return None
        return RateLimit(total, remaining) if 0 < total < inf and remaining >= 0 else None

    @property
    def creates_left(self) -> float:
        """How many tickets can certainly still be made in this minute, if no call so far made anything else.

        >>> RateLimit(400.0, 390.0).creates_left, RateLimit(400.0, 240.0).creates_left
        (150.0, 0.0)
        """
        return CREATE_SHARE * self.total - (self.total - self.remaining)


class RateMeter:
    """What one process knows of an account's limit: what it was told last, and how many of its own calls are out.

    Without a clock it never forgets what it was told.
    """

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self._now = now
        self._told: tuple[RateLimit | None, float] = (None, 0.0)  # and when: together, for threads read it
        self._under_way: list[None] = []  # one for each call: threads cannot add to a number safely

    @property
    def limit(self) -> RateLimit | None:
        """What was told last; None where nothing was, or longer ago than a limit holds."""
        limit, told_at = self._told
        return limit if self._now() - told_at <= RATE_WINDOW_S else None

    @limit.setter
    def limit(self, limit: RateLimit | None) -> None:
        self._told = limit, self._now()

    @property
    def calls_under_way(self) -> int:
        """How many calls have been sent and not answered yet."""
        return len(self._under_way)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count what happens inside as a call under way."""
        self._under_way.append(None)
        try:
            yield
        finally:
            self._under_way.pop()

    def read(self, headers: Mapping[str, str]) -> None:
        """Heed what the headers tell, if they do; not of an answer that others overtook, for more was left then."""
        told = RateLimit.read(headers)
        if told is None:
            return
        known = self.limit
        rise = told.remaining - known.remaining if known else inf
        if not 0 < rise <= self.calls_under_way:  # a higher rise than that is a new minute
            self.limit = told


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the seconds `Retry-After` asks for, whether as a number or as a date; never absurd."""
    told = headers.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        seconds = _seconds_until(told)
    return min(max(seconds, 1.0), RETRY_AFTER_MAX_S) if seconds == seconds else RETRY_AFTER_DEFAULT_S  # noqa: PLR0124 -- NaN


def _seconds_until(http_date: str) -> float:
    try:
        return (parsedate_to_datetime(http_date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return RETRY_AFTER_DEFAULT_S
