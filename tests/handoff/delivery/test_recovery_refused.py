"""Recovery of refused requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handoff.delivery import Delivery
from handoff.ledger import State
from tests.factories import EMAIL, PHONE, handoff
from tests.handoff.delivery.keeping import (
    UNKNOWN,
    errors,
    keep,
    pass_over,
    row_of,
)
from tests.ledger_factories import (
    NOW,
    ROUTING,
    FakeFreshdesk,
    VirtualClock,
    answer,
    delivery,
    refusal,
    with_parts,
)

# Refused


def test_a_refused_request_becomes_a_ticket_in_the_end(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """If it is not corrected in time, it becomes a ticket under the person's address, if that is valid."""
    rule.keep_refused(handoff(conversation_id="c"))
    clock.time += 900.0
    pass_over(rule)
    (ticket,) = fake.tickets
    assert ticket["email"] == EMAIL
    assert "mandó este pedido con errores" in ticket["description"]
    assert row_of(rule).state is State.CREATED


def test_a_refused_request_without_an_address_goes_to_the_fallback(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Without an address the fallback requester is used."""
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
    """The row is kept and logged as an error once a day, and Freshdesk is not called."""
    alone = with_parts(rule, routing=replace(ROUTING, fallback_requester=""))
    alone.keep_refused(handoff(user_email=""))
    clock.time += 900.0
    pass_over(alone)
    pass_over(alone)
    assert fake.calls == []
    assert (row_of(rule).state, row_of(rule).due_at) == (State.REJECTED, clock.time + 86_400.0)
    assert errors(caplog) == ["refused and no fallback_requester"]


def test_a_fallback_that_freshdesk_refuses_is_an_error(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The person could not correct the company's own address."""
    fake.always = refusal("email")
    rule.keep_refused(handoff(user_email=""))
    clock.time += 900.0
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).error) == (State.NOT_CREATED, "refused: 400 email: invalid_value")
    assert errors(caplog) == ["refused"]


def test_a_later_valid_request_of_the_conversation_settles_the_refused_one(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Corrected under another key: the refused request gets that ticket, and none of its own."""
    rule.keep_refused(handoff(user_email="", conversation_id="c"))
    clock.time += 60.0
    rule.deliver(handoff(key="B" * 52, conversation_id="c"))
    clock.time += 840.0
    pass_over(rule)
    assert (len(fake.tickets), row_of(rule).state, row_of(rule).ticket_id) == (1, State.CREATED, 1)
    assert row_of(rule).handoff == ""


def test_the_words_of_the_refused_request_join_the_later_ticket(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """They may be about something else; a note that fails is tried again, and makes no ticket."""
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


def test_any_later_request_of_the_conversation_settles_a_refused_row_of_1_0_0(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """It kept nothing else of who sent it."""
    made = handoff(user_email="", conversation_id="c")
    keep(rule, made=made, conversation=made.conversation, state=State.REJECTED, refused=True, due_at=NOW + 900.0)
    rule.deliver(handoff(key="B" * 52, conversation_id="c", reason="otra cosa"))
    clock.time += 900.0
    pass_over(rule)
    assert (len(fake.tickets), row_of(rule).ticket_id) == (1, 1)


def test_the_first_of_two_later_valid_requests_settles_the_refused_one(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """The refused request joins the ticket that followed it."""
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
    """If the person can be reached, the fallback is not needed."""
    alone = with_parts(rule, routing=replace(ROUTING, fallback_requester=""))
    alone.keep_refused(handoff(**address))
    clock.time += 900.0
    pass_over(alone)
    assert len(fake.tickets) == 1


@pytest.mark.parametrize("other", [{"conversation_id": "another"}, {"conversation_id": "", "reason": "otra cosa"}])
def test_another_conversation_does_not_settle_the_refused_request(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, other: dict[str, str]
) -> None:
    """Neither does a request of somebody else or without a known conversation."""
    rule.keep_refused(handoff(conversation_id=other["conversation_id"] and "c"))
    rule.deliver(handoff(key="B" * 52, **other))
    clock.time += 900.0
    pass_over(rule)
    assert len(fake.tickets) == 2


def test_an_earlier_valid_request_does_not_settle_the_refused_one(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """A request before the refused one is another request of the same conversation."""
    rule.deliver(handoff(key="B" * 52, conversation_id="c"))
    clock.time += 1.0
    rule.keep_refused(handoff(conversation_id="c"))
    clock.time += 900.0
    pass_over(rule)
    assert len(fake.tickets) == 2


def test_a_refused_request_waits_for_a_later_valid_one_in_progress(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """While the valid request has no ticket yet, the refused one waits for it."""
    rule.keep_refused(handoff(user_email="", conversation_id="c"))
    fake.always = answer(401)
    rule.deliver(handoff(key="B" * 52, conversation_id="c"))
    clock.time += 900.0
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).due_at) == (State.REJECTED, clock.time + 300.0)


def test_a_refused_request_over_the_hourly_limit_is_set_aside(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """A refusal does not bypass the limit of an address."""
    bounded = delivery(clock=clock, transport=fake, ledger=rule.writer.ledger, tickets_an_hour=1, refused_wait_s=1.0)
    bounded.deliver(handoff(key="B" * 52))
    bounded.keep_refused(handoff())
    clock.time += 1.0
    pass_over(bounded)
    assert len(fake.tickets) == 1
    assert len(fake.notes) == 1
    assert row_of(rule).state is State.CREATED


def test_a_refused_request_over_the_hourly_limit_waits_for_a_place(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Without an open ticket to join it waits until a place is free, however often it is tried."""
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
