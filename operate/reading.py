"""Reads from Freshdesk that can wait: they leave part of the rate limit to others, and are safe to repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from freshdesk_client import (
    RATE_WINDOW_S,
    FreshdeskBusy,
    FreshdeskRefused,
    FreshdeskUnreachable,
    Listed,
    ListQuery,
    OutcomeUnknown,
    Page,
)
from handoff.helpdesk import HEAD_ROOM, HelpDesk
from handoff.pagination import LAST_PAGE, TooManyPages, every_ticket
from operate.operator import NEEDS_ACTION, Halt

T = TypeVar("T")

TIMEOUT_S: Final = 30.0
PAUSES_S: Final = (1.0, 4.0)  # after a read without an answer
BUSY_MAX: Final = 30  # 429s in a row: half an hour at a window of one minute
BOXES: Final = ("", "spam", "deleted")

Say = Callable[[str], None]


def patiently(helpdesk: HelpDesk, call: Callable[[], T], say: Say) -> T:
    """Return the result of call, with as many waits as necessary.

    Raises:
        FreshdeskError: it was refused, or no answer came.
    """
    busy, pauses = 0, list(PAUSES_S)
    while True:
        _leave_headroom(helpdesk, say)
        try:
            return call()
        except FreshdeskBusy as error:
            busy += 1
            if busy > BUSY_MAX:
                raise
            say(f"rate limit: waiting {error.retry_after_s:.0f} s")
            helpdesk.clock.sleep(error.retry_after_s)
        except (FreshdeskUnreachable, OutcomeUnknown):
            if not pauses:
                raise
            helpdesk.clock.sleep(pauses.pop(0))


def _leave_headroom(helpdesk: HelpDesk, say: Say) -> None:
    limit = helpdesk.client.meter.limit
    if limit is not None and limit.remaining <= HEAD_ROOM * limit.total:
        say("leaving the rest of this minute's rate limit to live requests")
        helpdesk.clock.sleep(RATE_WINDOW_S)
        helpdesk.client.meter.limit = None  # it was that of the last minute


def each_ticket(helpdesk: HelpDesk, since: float, say: Say) -> Iterator[tuple[str, Listed]]:
    """Yield every ticket updated since an epoch second and its list: "", "spam" or "deleted".

    Raises:
        FreshdeskError: the list cannot be read.
        Halt: there are more than Freshdesk lists.
    """
    for box in BOXES:
        try:
            yield from ((box, row) for row in _rows(helpdesk, ListQuery(since, only=box, described=True), say))
        except FreshdeskRefused:
            if not box:
                raise
            say(f"this account does not list {box} tickets")


def _rows(helpdesk: HelpDesk, query: ListQuery, say: Say) -> Iterator[Listed]:
    def read(number: int, size: int) -> Page:
        asked = query._replace(page=number, size=size)
        page = patiently(helpdesk, lambda: helpdesk.list_page(TIMEOUT_S, asked), say)
        say(f"{helpdesk.url}: {query.only or 'tickets'}, page {number}")
        return page

    try:
        yield from every_ticket(read, most=LAST_PAGE)
    except TooManyPages:
        advice = f"--days: more than {LAST_PAGE} pages of tickets were updated since then; take fewer days"
        raise Halt(advice, NEEDS_ACTION) from None
