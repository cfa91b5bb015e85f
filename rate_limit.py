"""Pure: what Freshdesk's answers say of the rate limit (https://developers.freshdesk.com/api/#ratelimit)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from typing import Final, NamedTuple

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
