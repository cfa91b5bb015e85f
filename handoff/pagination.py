"""Pure: which pages of a ticket list are read, so that no ticket is missed though the list changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Final

from freshdesk_client import PER_PAGE, Listed, OutcomeUnknown, Page

LAST_PAGE: Final = 300  # https://developers.freshdesk.com/api/#list_all_tickets

Read = Callable[[int, int], Page]  # a page's number and size → the page


class TooManyPages(OutcomeUnknown):
    """The list continues after the pages that are read."""


def every_ticket(read: Read, *, most: int) -> Iterator[Listed]:
    """Yield every ticket of a list, each once, up to the end of the list, in any order.

    When a ticket is deleted, those behind it move up, perhaps onto a page that was read before. So each page overlaps
    the one before it, and where it no longer does, reading goes back.

    Args:
        read: gives a page.
        most: how many pages are read.

    Raises:
        TooManyPages: that was not enough.
    """
    seen: set[int] = set()
    at: int | None = 0
    for _ in range(most):
        if at is None:
            break
        number, size = page_with(at)
        page = read(number, size)
        if number > 1 and not any(row.ticket_id in seen for row in page.rows):
            at = max((number - 1) * size - PER_PAGE, 0)
            continue
        yield from (row for row in page.rows if row.ticket_id not in seen)
        seen.update(row.ticket_id for row in page.rows)
        if not page.more:
            return
        at = _next_at(number, size, page.rows)
    raise TooManyPages("too many tickets to look through")


def page_with(at: int) -> tuple[int, int]:
    """Return number and size of the page that holds row `at`, from 0, and as many rows after it as possible.

    >>> page_with(0), page_with(99), page_with(197)
    ((1, 100), (2, 99), (3, 98))
    """
    size = max(range(PER_PAGE, at // LAST_PAGE, -1), key=lambda size: at - at % size + size)
    return at // size + 1, size


def _next_at(number: int, size: int, rows: list[Listed]) -> int | None:
    """Return the row to continue with; None if no possible page overlaps this one and goes beyond it.

    It is the first of those that have the last one's moment, because the next page may have these in another order.
    """
    end = number * size
    tied = len(rows) - 1
    while tied > 0 and rows[tied - 1].created_at == rows[-1].created_at:
        tied -= 1
    first = (number - 1) * size + tied if len(rows) == size else end - 1
    return next((at for at in (first, end - 1) if prod(page_with(at)) > end), None)
