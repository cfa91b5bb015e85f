"""Reads that can wait have a limit of attempts and of pages."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from freshdesk_client import Answer, FreshdeskBusy, FreshdeskClient, FreshdeskRefused, Request
from handoff.helpdesk import HelpDesk
from operate.operator import Halt
from operate.reading import BUSY_MAX, each_ticket, patiently
from tests.ledger_factories import VirtualClock, answer, busy

Reply = Callable[[Request], Answer]


def freshdesk(reply: Reply) -> HelpDesk:
    """Return a help desk account that answers everything with reply."""
    return HelpDesk(
        "https://betsur.freshdesk.com", FreshdeskClient(lambda request, _timeout_s: reply(request)), VirtualClock()
    )


def nothing(_what: str) -> None:
    """Collect the messages."""


def test_an_endless_rate_limit_ends_the_wait() -> None:
    """It ends after half an hour."""
    full = freshdesk(lambda _request: busy(60))
    with pytest.raises(FreshdeskBusy):
        patiently(full, lambda: full.client.get("agents/me", 1.0), nothing)
    assert full.clock.now() == VirtualClock().now() + 60 * BUSY_MAX


def test_a_list_without_end_asks_for_fewer_days() -> None:
    """Freshdesk gives 300 pages and no more."""
    row = {"id": 1, "subject": "x", "created_at": "2026-09-21T00:00:00Z", "status": 2}
    more = Answer(200, {"link": '<https://x>; rel="next"'}, json.dumps([row]).encode())
    endless = freshdesk(lambda _request: more)
    with pytest.raises(Halt, match="--days: more than 300 pages"):
        list(each_ticket(endless, 0.0, nothing))


def test_an_account_that_does_not_list_spam_is_read_without() -> None:
    """Whether every plan takes the filter is not documented; the plain list must be there."""
    shown: list[str] = []
    row = {"id": 5, "subject": "x", "created_at": "2026-09-21T00:00:00Z", "status": 2}
    no_boxes = freshdesk(lambda request: answer(400, {}) if "filter=" in request.path else answer(200, [row]))
    assert [(box, one.ticket_id) for box, one in each_ticket(no_boxes, 0.0, shown.append)] == [("", 5)]
    assert shown[-2:] == ["this account does not list spam tickets", "this account does not list deleted tickets"]
    with pytest.raises(FreshdeskRefused):
        list(each_ticket(freshdesk(lambda _request: answer(403, {})), 0.0, nothing))
