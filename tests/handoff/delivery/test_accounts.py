"""Delivery to two accounts: a ticket number is valid on one of them only."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from freshdesk_client import FreshdeskClient, FreshdeskUnreachable, OutcomeUnknown
from handoff.delivery import Delivery
from handoff.helpdesk import HelpDesk
from handoff.inbound import Handoff
from handoff.ledger import Entry, Ledger, State
from handoff.responses import Status
from handoff.routing import Routing
from handoff.sweep import sweep
from tests.closing import sqlite_ledger
from tests.factories import EMAIL, handoff
from tests.handoff.delivery.keeping import APART, TOGETHER
from tests.ledger_factories import FakeFreshdesk, Lost, VirtualClock, delivery, with_parts

STRANGERS = 3


@dataclass
class Accounts:
    """Two accounts; the main one holds strangers' tickets whose numbers also exist on the other one."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    ledger: Ledger = field(default_factory=sqlite_ledger)

    def __post_init__(self) -> None:
        self._calls = itertools.count()
        self.main, self.other = FakeFreshdesk(self.clock), FakeFreshdesk(self.clock)
        for _ in range(STRANGERS):
            self.main.has(subject="otra cosa", email="otra@example.com")

    def rule(self, routing: Routing) -> Delivery:
        """Return a delivery to both accounts."""
        rule = delivery(clock=self.clock, transport=self.main, ledger=self.ledger, routing=routing)
        otra = HelpDesk("https://otra.freshdesk.com", FreshdeskClient(self.other), self.clock)
        new_owner = lambda: f"call-{next(self._calls)}"  # noqa: E731 -- unique over all deliveries
        return with_parts(rule, helpdesks={**rule.writer.helpdesks, "otra": otra}, new_owner=new_owner)

    def pass_over(self, rule: Delivery, after_s: float) -> None:
        """Advance the clock, and sweep."""
        self.clock.time += after_s
        sweep(rule.writer, budget_s=55.0)

    def row(self) -> Entry:
        """Return the row of the only handoff."""
        (row,) = [one for one in self.ledger.each() if not one.is_note]
        return row


@pytest.fixture
def accounts() -> Accounts:
    """Return two accounts."""
    return Accounts()


def corps(**overrides: str) -> Handoff:
    """Return a handoff of the bot that has its own account."""
    return handoff(bot="corp", **overrides)


def test_a_row_follows_its_bot_to_another_account(accounts: Accounts) -> None:
    """If the bot moves while the row is queued, then ticket, row and URL all name the new account."""
    accounts.main.always = FreshdeskUnreachable("refused")
    assert accounts.rule(TOGETHER).deliver(corps()).status is Status.QUEUED
    accounts.main.always = None
    accounts.pass_over(accounts.rule(APART), 100.0)
    assert (len(accounts.other.tickets), len(accounts.main.tickets)) == (1, STRANGERS)
    assert (accounts.row().state, accounts.row().account) == (State.CREATED, "otra")
    found = accounts.rule(APART).look_up(corps().reference)
    assert found is not None
    assert found.ticket_url == "https://otra.freshdesk.com/a/tickets/1"


def test_a_row_in_doubt_is_searched_on_the_account_of_its_post(accounts: Accounts) -> None:
    """The bot moves, and the POST to its new account loses its answer: the search goes to the new account, too."""
    accounts.main.always = FreshdeskUnreachable("refused")
    accounts.rule(TOGETHER).deliver(corps())
    accounts.main.always = None
    accounts.other.fates.extend([Lost(OutcomeUnknown("reset")), *[OutcomeUnknown("list")] * 2])
    for _ in range(20):
        accounts.pass_over(accounts.rule(APART), 100.0)
    assert (len(accounts.other.tickets), len(accounts.main.tickets)) == (1, STRANGERS)
    assert accounts.row().state is State.CREATED


def test_new_words_go_to_the_account_of_the_ticket(accounts: Accounts) -> None:
    """Also if they come without the bot's name, or after the bot has moved: no stranger's ticket gets them."""
    accounts.rule(APART).deliver(corps())
    accounts.rule(APART).keep_refused(handoff(bot="", reason="algo más"))
    accounts.pass_over(accounts.rule(APART), 400.0)
    accounts.rule(TOGETHER).deliver(corps(reason="y otra cosa"))
    assert [number for number, _ in accounts.other.notes] == [1, 1]
    assert accounts.main.notes == []


def test_waiting_words_follow_their_ticket_to_another_account(accounts: Accounts) -> None:
    """Ticket and words were queued for one account and go to another: the row of the note names it, too."""
    accounts.main.always = FreshdeskUnreachable("refused")
    accounts.rule(TOGETHER).deliver(corps())
    accounts.rule(TOGETHER).deliver(corps(reason="y otra cosa"))
    accounts.main.always = None
    for _ in range(2):
        accounts.pass_over(accounts.rule(APART), 400.0)
    assert ([number for number, _ in accounts.other.notes], accounts.main.notes) == ([1], [])
    assert [(row.state, row.account) for row in accounts.ledger.each()] == [(State.CREATED, "otra")] * 2


def test_refused_words_go_to_the_account_of_the_later_ticket(accounts: Accounts) -> None:
    """The refused request named no bot; the valid one of the same conversation has its ticket on the other account."""
    rule = accounts.rule(APART)
    rule.keep_refused(handoff(key="R" * 52, bot="", user_email="", conversation_id="c"))
    accounts.clock.time += 60.0
    rule.deliver(corps(conversation_id="c"))
    accounts.pass_over(rule, 900.0)
    assert [number for number, _ in accounts.other.notes] == [1]
    assert accounts.main.notes == []


def test_a_handoff_over_the_limit_joins_the_open_ticket_of_its_own_account(accounts: Accounts) -> None:
    """The person has an open ticket on each account; the note goes to the account of the handoff's route."""
    accounts.main.has(subject="abierto", email=EMAIL)
    rule = accounts.rule(APART)
    for number in range(6):
        rule.deliver(corps(key=f"{number}" * 52, reason=f"{number}"))
    accounts.pass_over(rule, 60.0)
    assert ([number for number, _ in accounts.other.notes], accounts.main.notes) == ([5], [])
