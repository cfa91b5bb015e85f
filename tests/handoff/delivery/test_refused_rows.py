"""Refused requests that are repeated, parked, swept meanwhile, or over the person's hourly limit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.simulation.wrapped_ledger import WrappedLedger
from handoff.delivery import Delivery, NothingKept
from handoff.ledger import Entry, State
from handoff.responses import Status
from handoff.sweep import sweep
from tests.closing import sqlite_ledger
from tests.factories import REASON, handoff
from tests.handoff.delivery.keeping import notes_in, only_row, pass_over
from tests.ledger_factories import ROUTING, FakeFreshdesk, FaultyLedger, VirtualClock, answer, delivery, refusal

NO_FALLBACK = replace(ROUTING, fallback_requester="")
QUARTER_S = 900.0


@pytest.fixture
def strict(clock: VirtualClock, fake: FakeFreshdesk) -> Delivery:
    """Return a delivery without a fallback requester."""
    return delivery(clock=clock, transport=fake, routing=NO_FALLBACK)


def park(rule: Delivery, clock: VirtualClock) -> None:
    """Let a refused request without an address wait until it is parked."""
    rule.keep_refused(handoff(user_email=""))
    clock.time += QUARTER_S
    pass_over(rule)
    assert (only_row(rule).state, only_row(rule).is_parked) == (State.REJECTED, True)


def test_a_parked_request_that_is_refused_again_waits_again(
    strict: Delivery, clock: VirtualClock, fake: FakeFreshdesk
) -> None:
    """This time it has an address, so it becomes a ticket, as its answer said."""
    park(strict, clock)
    strict.keep_refused(handoff(reason=""))
    clock.time += QUARTER_S
    pass_over(strict)
    assert (only_row(strict).state, len(fake.tickets)) == (State.CREATED, 1)


def test_a_parked_request_is_reported_as_delayed(strict: Delivery, clock: VirtualClock) -> None:
    """Before it is parked, the answer says to wait; afterwards it does not."""
    strict.keep_refused(handoff(user_email=""))
    waiting = strict.look_up(handoff().reference)
    assert waiting is not None
    assert waiting.status is Status.QUEUED
    park(strict, clock)
    parked = strict.look_up(handoff().reference)
    assert parked is not None
    assert parked.status is Status.FAILED


@pytest.mark.parametrize("refused_first", [False, True])
def test_a_valid_request_after_a_refused_one_was_given_up_is_a_ticket(
    rule: Delivery, clock: VirtualClock, fake: FakeFreshdesk, *, refused_first: bool
) -> None:
    """The refused request certainly has no ticket, so nothing is waited for; refused once more, it waits again."""
    fake.always = answer(403)
    rule.keep_refused(handoff(user_email=""))
    while only_row(rule).state is not State.FAILED:
        clock.time += QUARTER_S
        pass_over(rule)
    fake.always = None
    if refused_first:
        rule.keep_refused(handoff(reason=""))
        assert (only_row(rule).state, only_row(rule).due_at) == (State.REJECTED, clock.time + QUARTER_S)
    assert rule.deliver(handoff()).status is Status.CREATED
    assert (len(fake.tickets), notes_in(rule)) == (1, [])


def test_a_request_refused_again_while_the_sweep_has_its_row_is_kept(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """Its words are too late for the ticket, and join it as a note."""
    sweepers: list[Delivery] = []

    class SweptMeanwhile(WrappedLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            if sweepers:
                sweep(sweepers.pop().writer, budget_s=55.0)
            return self.inner.replace(old, new)

    store = sqlite_ledger()
    rule = delivery(clock=clock, transport=fake, ledger=SweptMeanwhile(store))
    rule.keep_refused(handoff(user_email=""))
    clock.time += QUARTER_S
    sweepers.append(delivery(clock=clock, transport=fake, ledger=store))
    rule.keep_refused(handoff(user_email="", reason="otras palabras"))
    clock.time += QUARTER_S
    pass_over(rule)
    assert len(fake.tickets) == 1
    assert ["otras palabras" in html for _, html in fake.notes] == [True]


@pytest.mark.parametrize(("reason", "notes"), [(REASON, 0), ("otras palabras", 1)])
def test_of_two_corrections_at_once_one_is_the_ticket(
    clock: VirtualClock, fake: FakeFreshdesk, reason: str, notes: int
) -> None:
    """The other gets its number; only words that it does not have join it."""
    copies: list[Delivery] = []

    class CorrectedMeanwhile(WrappedLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            if copies:
                copies.pop().deliver(handoff())
            return self.inner.replace(old, new)

    store = sqlite_ledger()
    rule = delivery(clock=clock, transport=fake, ledger=CorrectedMeanwhile(store))
    rule.keep_refused(handoff(user_email=""))
    copies.append(delivery(clock=clock, transport=fake, ledger=store))
    outcome = rule.deliver(handoff(reason=reason))
    assert (outcome.status, outcome.ticket_id, len(fake.tickets)) == (Status.DUPLICATE, 1, 1)
    assert len(fake.notes) == notes


def test_a_correction_that_comes_too_late_is_kept_or_sent_again(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """The sweep was quicker, and nobody can read what it made of the request."""
    ledger = FaultyLedger(sqlite_ledger(), only="find")

    class Overtaken(WrappedLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return not (old or new)

    rule = delivery(clock=clock, transport=fake, ledger=Overtaken(ledger))
    rule.keep_refused(handoff(user_email="", conversation_id="c"))
    ledger.always = "before"
    with pytest.raises(NothingKept):
        rule.deliver(handoff(conversation_id="c"))
    assert fake.posts == 0


def test_words_whose_address_was_refused_are_one_request_under_another_key(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The account takes the address now: one row, one ticket."""
    fake.fates.append(refusal("email"))
    assert rule.deliver(handoff(conversation_id="c")).status is Status.REJECTED
    assert rule.deliver(handoff(key="B" * 52, conversation_id="c")).status is Status.CREATED
    assert (only_row(rule).state, len(fake.tickets)) == (State.CREATED, 1)


def test_a_call_that_died_over_a_refused_request_does_not_hide_it(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """Refused once more, it is found by its words: the correction without any id is the same request."""
    ledger = FaultyLedger(sqlite_ledger(), "", "", *["before"] * 4)  # its row was stored, and nothing after that
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    with pytest.raises(NothingKept):
        rule.keep_refused(handoff(key="R" * 52, user_email=""))
    rule.keep_refused(handoff(key="R" * 52, user_email=""))
    rule.deliver(handoff())
    clock.time += QUARTER_S
    pass_over(rule)
    assert len(fake.tickets) == 1


def test_the_hourly_limit_includes_corrected_requests(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """A correction takes a place in the hour; over the limit it is kept, and joins the open ticket."""
    rule = delivery(clock=clock, transport=fake, tickets_an_hour=2)
    statuses = []
    for number in range(4):
        rule.keep_refused(handoff(key=f"{number}" * 52, user_email=""))
        statuses.append(rule.deliver(handoff(key=f"{number}" * 52)).status)
    assert statuses == [Status.CREATED, Status.CREATED, Status.QUEUED, Status.QUEUED]
    clock.time += 60.0
    pass_over(rule)
    assert ([ticket["id"] for ticket in fake.tickets], [number for number, _ in fake.notes]) == ([1, 2], [2, 2])
