"""Recovery of handoffs over a person's hourly limit, of notes, and of rows that are given up."""

from __future__ import annotations

import time
from typing import Any

import pytest

from handoff.delivery import NEW_WORDS, Delivery
from handoff.helpdesk import CLOCK_SKEW_S
from handoff.ledger import State
from handoff.recovery import ONE_OF_MANY, LookByAddress, Recovery
from handoff.responses import Status
from tests.factories import EMAIL, PHONE, handoff
from tests.handoff.delivery.keeping import (
    LEASE_S,
    UNKNOWN,
    errors,
    keep,
    pass_over,
    row_of,
)
from tests.ledger_factories import (
    NOW,
    FakeFreshdesk,
    VirtualClock,
    answer,
    delivery,
)

# Past the hourly bound


def test_a_handoff_over_the_limit_joins_the_open_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """It becomes a private note on the person's newest ticket that is not closed."""
    for status in (2, 3, 4, 5):
        fake.has(email=EMAIL, status=status)
    keep(rule, state=State.NOT_CREATED, over_limit=True)
    pass_over(rule)
    ((ticket_id, html),) = fake.notes
    assert (ticket_id, fake.posts, row_of(rule).ticket_id) == (2, 0, 2)
    assert ONE_OF_MANY in html


@pytest.mark.parametrize("made", [handoff(), handoff(user_email="", user_phone=PHONE)])
def test_a_handoff_over_the_limit_becomes_a_ticket_when_there_is_a_place(
    fake: FakeFreshdesk, rule: Delivery, made: Any
) -> None:
    """Without an open ticket, and with a free place in the hour, it is a ticket like any other."""
    keep(rule, made=made, state=State.NOT_CREATED, over_limit=True)
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).over_limit) == (1, State.CREATED, False)


@pytest.mark.parametrize(("changes", "notes"), [({}, [2]), ({"status": 5}, []), ({"spam": True}, []), ({"id": 9}, [])])
def test_a_handoff_over_the_limit_joins_a_ticket_of_its_mailbox(
    fake: FakeFreshdesk, clock: VirtualClock, changes: Any, notes: list[int]
) -> None:
    """Freshdesk lists one spelling of an address; the ledger knows the hour's tickets of all of them."""
    rule = delivery(clock=clock, transport=fake, tickets_an_hour=2)
    for number in (1, 2):
        rule.deliver(handoff(key=f"{number}" * 52, user_email=f"victim+{number}@example.com", reason=f"{number}"))
    fake.tickets[1].update(changes)
    fake.tickets[0].update({"status": 4})
    rule.deliver(handoff(key="3" * 52, user_email="victim+3@example.com", reason="3"))
    pass_over(rule)
    assert (fake.posts, [ticket_id for ticket_id, _ in fake.notes]) == (2, notes)


def test_a_handoff_over_the_limit_waits_for_a_place(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """Without an open ticket or a free place it waits, and becomes a ticket when a place is free."""
    rule = delivery(clock=clock, transport=fake, tickets_an_hour=1)
    rule.deliver(handoff(key="B" * 52))
    fake.tickets[0]["status"] = 5
    assert rule.deliver(handoff(reason="otra cosa")).status is Status.QUEUED
    pass_over(rule)
    assert (fake.posts, row_of(rule).due_at) == (1, NOW + 300.0)
    clock.time += 3600.0
    pass_over(rule)
    assert (fake.posts, row_of(rule).state) == (2, State.CREATED)


def test_a_handoff_over_the_limit_waits_if_the_tickets_cannot_be_listed(fake: FakeFreshdesk, rule: Delivery) -> None:
    """It is tried again later."""
    fake.always = UNKNOWN
    keep(rule, state=State.NOT_CREATED, over_limit=True)
    pass_over(rule)
    row = row_of(rule)
    assert (row.state, row.over_limit, row.error) == (State.NOT_CREATED, True, "look: time-out")
    assert (fake.posts, row.due_at) == (0, NOW + 15.0)


def test_a_ticket_older_than_thirty_days_is_not_joined(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A ticket untouched for a month gets no new words."""
    keep(rule, state=State.NOT_CREATED, over_limit=True)
    pass_over(rule)
    month_ago = time.strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ", time.gmtime(NOW - 30 * 24 * 3600 - CLOCK_SKEW_S))
    assert f"updated_since={month_ago}&" in fake.calls[0].path


# Notes


def test_a_note_waits_for_its_ticket(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """New words for a handoff without a ticket wait, and follow once there is one."""
    fake.always = answer(401)
    rule.deliver(handoff())
    rule.deliver(handoff(reason="algo nuevo"))
    clock.time += LEASE_S
    pass_over(rule)
    assert fake.notes == []
    fake.always = None
    clock.time += 900.0
    pass_over(rule)
    clock.time += 900.0
    pass_over(rule)
    ((_, html),) = fake.notes
    assert "algo nuevo" in html
    assert NEW_WORDS in html
    assert {row.state for row in rule.writer.ledger.each()} == {State.CREATED}


@pytest.mark.parametrize("parent", [None, State.FAILED])
def test_a_note_without_a_ticket_to_join_waits(
    fake: FakeFreshdesk, rule: Delivery, parent: State | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Its handoff may be gone or have no ticket yet: it is tried again five minutes later."""
    if parent:
        keep(rule, state=parent, due_at=None)
    note = keep(rule, entry=f"{handoff().key}#B")
    pass_over(rule)
    assert (row_of(rule, note.entry).due_at, fake.calls, errors(caplog)) == (NOW + 300.0, [], [])


def test_a_note_that_failed_is_added_later(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """Notes are added at least once: a note in doubt is added again."""
    rule.deliver(handoff())
    fake.fates.append(UNKNOWN)
    rule.deliver(handoff(reason="algo nuevo"))
    clock.time += 15.0
    pass_over(rule)
    assert len(fake.notes) == 1


# Given up


def test_a_row_is_given_up_after_72_hours_with_an_error(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept as failed with all its data, and logged as an error."""
    row = keep(rule, state=State.NOT_CREATED, due_at=NOW + 72 * 3600.0)
    clock.time = NOW + 72 * 3600.0
    report = pass_over(rule)
    assert (row_of(rule).state, row_of(rule).due_at, row_of(rule).handoff) == (
        State.FAILED,
        NOW + 96 * 3600.0,
        row.handoff,
    )
    assert (errors(caplog), report["failed"], fake.calls) == (["given up"], 1, [])


def test_a_row_that_was_given_up_is_logged_every_day(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A request without a ticket never expires: a person reopens or discards it."""
    keep(rule, state=State.NOT_CREATED, due_at=NOW + 72 * 3600.0)
    for day in range(3, 29):
        clock.time = NOW + day * 86_400.0
        pass_over(rule)
        pass_over(rule)
    assert (errors(caplog), row_of(rule).state, fake.calls) == (["given up"] * 26, State.FAILED, [])


def test_a_row_that_no_sweep_has_tried_is_tried_first(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """After days without a sweep, no row is given up before it was tried."""
    keep(rule, state=State.NOT_CREATED)
    clock.time = NOW + 100 * 3600.0
    pass_over(rule)
    assert (row_of(rule).state, len(fake.tickets)) == (State.CREATED, 1)


@pytest.mark.parametrize(("late", "state"), [(1800.0, State.FAILED), (1800.01, State.CREATED)])
def test_a_row_that_was_due_within_the_last_half_hour_was_tried(
    rule: Delivery, clock: VirtualClock, late: float, state: State
) -> None:
    """It needs no further attempt before it is given up."""
    clock.time = NOW + 100 * 3600.0
    keep(rule, state=State.NOT_CREATED, due_at=clock.time - late)
    pass_over(rule)
    assert row_of(rule).state is state


def test_a_row_whose_last_attempt_fails_is_given_up(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """The next pass gives it up."""
    fake.always = answer(401)
    keep(rule, state=State.NOT_CREATED)
    clock.time = NOW + 100 * 3600.0
    pass_over(rule)
    clock.time += 15.0
    pass_over(rule)
    assert (row_of(rule).state, fake.posts) == (State.FAILED, 1)


def test_a_row_that_two_sweeps_give_up_is_logged_once(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two sweeps that give up the same row, one logs it."""
    row = keep(rule, state=State.NOT_CREATED, due_at=NOW + 72 * 3600.0)
    clock.time = NOW + 72 * 3600.0
    recovery = Recovery(rule.writer)
    assert recovery.advance(row, LookByAddress(rule.writer)) is not None
    assert recovery.advance(row, LookByAddress(rule.writer)) is None
    assert (errors(caplog), fake.calls) == (["given up"], [])
