"""Pure: which pages of a ticket list are read, so that no ticket is missed though the list changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Final

from freshdesk_client import PER_PAGE, Listed, OutcomeUnknown, Page

LAST_PAGE: Final = 300  # https://developers.freshdesk.com/api/#list_all_tickets

Read = Callable[[int, int], Page]  # a page's number and its size → the page, the newest ticket first


class TooManyPages(OutcomeUnknown):
    """The list goes on beyond what is looked through."""


def every_ticket(read: Read, *, since: float, until: float = inf, first: int = 1, most: int) -> Iterator[Listed]:
    """Yield the tickets made since then, and some more; each once.

    When a ticket is deleted, those behind it move up, perhaps onto a page that was read before. So each page overlaps
    the one before it, and where it no longer does, the look goes back.

    Args:
        read: gives a page.
        since: epoch seconds; older tickets may be left out.
        until: epoch seconds; newer tickets may be left out.
        first: the page of 100 to begin with: all before it is newer than until.
        most: how many pages are read.

    Raises:
        TooManyPages: that was not enough.
    """
    seen: set[int] = set()
    at = (first - 1) * PER_PAGE
    for _ in range(most):
        number, size = page_with(at)
        page = read(number, size)
        if number > 1 and not _follows(page.rows, seen, until):
            at = max((number - 1) * size - PER_PAGE, 0)
            continue
        yield from (row for row in page.rows if row.ticket_id not in seen)
        seen.update(row.ticket_id for row in page.rows)
        if not page.more or _reaches_before(since, page.rows):
            return
        at = number * size - 1
    raise TooManyPages("too many tickets to look through")


def page_of(moment: float, read: Read) -> int:
    """Return a page of 100 that is not past moment: what was made since may fill hundreds."""
    low, high = 1, 1
    while high < LAST_PAGE and _is_newer(read(high, PER_PAGE).rows, moment):
        low, high = high, min(high * 2, LAST_PAGE)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_newer(read(middle, PER_PAGE).rows, moment) else (low, middle)
    return low


def page_with(at: int) -> tuple[int, int]:
    """Return the number and the size of the page that holds row `at`, from 0, and of those after it the most.

    >>> page_with(0), page_with(99), page_with(197)
    ((1, 100), (2, 99), (3, 98))
    """
    size = max(range(PER_PAGE, at // LAST_PAGE, -1), key=lambda size: at - at % size + size)
    return at // size + 1, size


def _follows(rows: list[Listed], seen: set[int], until: float) -> bool:
    """Tell whether no ticket that may be meant lies between rows and those seen before."""
    return bool(rows) and (rows[0].created_at > until or any(row.ticket_id in seen for row in rows))


def _is_newer(rows: list[Listed], moment: float) -> bool:
    """Tell whether all of a page was made after moment."""
    return bool(rows) and rows[-1].created_at > moment


def _reaches_before(since: float, rows: list[Listed]) -> bool:
    """Tell whether rows, newest first, go back to before since: what follows was made even earlier."""
    return bool(rows) and 0.0 < rows[-1].created_at < since
