"""The rule, afterwards: rows of refused requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handoff.delivery import Delivery
from handoff.ledger import State
from tests.factories import EMAIL, PHONE, handoff
from tests.handoff.delivery.keeping import (
    UNKNOWN,
    errors,
    pass_over,
    row_of,
)
from tests.ledger_factories import (
    ROUTING,
    FakeFreshdesk,
    VirtualClock,
    answer,
    delivery,
    refusal,
    with_parts,
)

# Refused


def test_a_refused_handoff_is_a_ticket_after_all(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """Not corrected in time: a ticket under the person's own address if there is a good one."""
    rule.keep_refused(handoff(conversation_id="c"))
    clock.time += 900.0
    pass_over(rule)
    (ticket,) = fake.tickets
    assert ticket["email"] == EMAIL
    assert "datos que no sirven" in ticket["description"]
    assert row_of(rule).state is State.CREATED


def test_a_refused_handoff_without_an_address_goes_to_the_fallback(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Without an address it is filed under the house's own."""
    fake.fates.append(refusal("email"))
    rule.deliver(handoff())
    clock.time += 900.0
    pass_over(rule)
    (ticket,) = fake.tickets
    assert ticket["email"] == ROUTING.fallback_requester
    assert EMAIL in ticket["description"]


def test_without_a_fallback_a_person_must_act(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Kept, logged as an error once a day, and Freshdesk is not asked."""
    alone = with_parts(rule, routing=replace(ROUTING, fallback_requester=""))
    alone.keep_refused(handoff(user_email=""))
    clock.time += 900.0
    pass_over(alone)
    pass_over(alone)
    assert fake.calls == []
    assert (row_of(rule).state, row_of(rule).due_at) == (State.REJECTED, clock.time + 86_400.0)
    assert errors(caplog) == ["refused and no fallback_requester"]


def test_a_fallback_that_freshdesk_refuses_is_loud(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An address of the house that Freshdesk will not have is nothing the person could correct."""
    fake.always = refusal("email")
    rule.keep_refused(handoff(user_email=""))
    clock.time += 900.0
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).error) == (State.NOT_CREATED, "refused: 400 email: invalid_value")
    assert errors(caplog) == ["refused"]


def test_a_later_good_one_of_the_conversation_takes_its_place(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Corrected under another key: the refused one gets that ticket, and none of its own."""
    rule.keep_refused(handoff(user_email="", conversation_id="c"))
    clock.time += 60.0
    rule.deliver(handoff(key="B" * 52, conversation_id="c"))
    clock.time += 840.0
    pass_over(rule)
    assert (len(fake.tickets), row_of(rule).state, row_of(rule).ticket_id) == (1, State.CREATED, 1)
    assert row_of(rule).handoff == ""


def test_the_words_of_the_refused_one_join_the_later_ticket(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """It may have been about something else; a note that fails is tried again, and makes no ticket."""
    rule.keep_refused(handoff(user_email="", conversation_id="c", conversation_summary="otra cosa"))
    rule.deliver(handoff(key="B" * 52, conversation_id="c"))
    clock.time += 900.0
    fake.fates.append(UNKNOWN)
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).error) == (State.REJECTED, "note: time-out")
    clock.time += 900.0
    pass_over(rule)
    ((ticket_id, html),) = fake.notes
    assert (ticket_id, len(fake.tickets), row_of(rule).state) == (1, 1, State.CREATED)
    assert "otra cosa" in html


def test_of_two_later_good_ones_the_first_counts(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """The refused one joins the ticket that followed it."""
    rule.keep_refused(handoff(user_email="", conversation_id="c"))
    for key, more in (("C" * 52, {}), ("B" * 52, {"reason": "otra cosa"})):
        clock.time += 60.0
        rule.deliver(handoff(key=key, conversation_id="c", **more))
    clock.time += 800.0
    pass_over(rule)
    assert (len(fake.tickets), row_of(rule).ticket_id) == (2, 1)


@pytest.mark.parametrize("address", [{"user_email": EMAIL}, {"user_email": "", "user_phone": PHONE}])
def test_an_address_is_enough_without_a_fallback(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, address: dict[str, str]
) -> None:
    """Where the person can be reached, no house address is needed."""
    alone = with_parts(rule, routing=replace(ROUTING, fallback_requester=""))
    alone.keep_refused(handoff(**address))
    clock.time += 900.0
    pass_over(alone)
    assert len(fake.tickets) == 1


@pytest.mark.parametrize("other", [{"conversation_id": "another"}, {"conversation_id": "", "reason": "otra cosa"}])
def test_another_conversation_takes_nobodys_place(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, other: dict[str, str]
) -> None:
    """A good handoff of somebody else, or of no known conversation, supersedes nothing."""
    rule.keep_refused(handoff(conversation_id=other["conversation_id"] and "c"))
    rule.deliver(handoff(key="B" * 52, **other))
    clock.time += 900.0
    pass_over(rule)
    assert len(fake.tickets) == 2


def test_an_earlier_good_one_takes_nobodys_place(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """What came before the refused one is another request of the same conversation."""
    rule.deliver(handoff(key="B" * 52, conversation_id="c"))
    clock.time += 1.0
    rule.keep_refused(handoff(conversation_id="c"))
    clock.time += 900.0
    pass_over(rule)
    assert len(fake.tickets) == 2


def test_a_later_good_one_still_under_way_is_waited_for(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """While the good one has no ticket yet, the refused one waits for it."""
    rule.keep_refused(handoff(user_email="", conversation_id="c"))
    fake.always = answer(401)
    rule.deliver(handoff(key="B" * 52, conversation_id="c"))
    clock.time += 900.0
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).due_at) == (State.REJECTED, clock.time + 300.0)


def test_a_refused_handoff_past_the_hour_is_set_aside(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """Refusals are no way around the bound of an address."""
    bounded = delivery(clock=clock, transport=fake, ledger=rule.writer.ledger, tickets_an_hour=1, refused_wait_s=1.0)
    bounded.deliver(handoff(key="B" * 52))
    bounded.keep_refused(handoff())
    clock.time += 1.0
    pass_over(bounded)
    assert len(fake.tickets) == 1
    assert len(fake.notes) == 1
    assert row_of(rule).state is State.CREATED


def test_a_refused_handoff_past_the_hour_waits_for_a_place(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """With no open ticket to join it stays aside until the hour is over, however often it is looked at."""
    bounded = delivery(clock=clock, transport=fake, ledger=rule.writer.ledger, tickets_an_hour=1, refused_wait_s=1.0)
    bounded.deliver(handoff(key="B" * 52))
    fake.tickets[0]["status"] = 5
    bounded.keep_refused(handoff())
    made = []
    for seconds in (1.0, 301.0, 301.0, 3600.0):
        clock.time += seconds
        pass_over(bounded)
        made.append(len(fake.tickets))
    assert made == [1, 1, 1, 2]
