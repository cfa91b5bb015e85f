"""The rule, afterwards: rows that were not created, are in doubt, or whose caller died."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from handoff.deadline import Deadline
from handoff.delivery import Delivery
from handoff.helpdesk import CLOCK_SKEW_S
from handoff.ledger import State
from handoff.recovery import LookByAddress
from handoff.responses import Status
from tests.factories import EMAIL, PHONE, REFERENCE, handoff
from tests.handoff.delivery.keeping import (
    LEASE_S,
    LOST,
    UNKNOWN,
    WAIT_S,
    keep,
    pass_over,
    row_of,
)
from tests.ledger_factories import (
    NOW,
    ROUTING,
    FakeFreshdesk,
    FaultyLedger,
    VirtualClock,
    answer,
    with_parts,
)

# Not created


def test_what_was_not_created_is_created(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Certainly no ticket: posted without a look."""
    keep(rule, state=State.NOT_CREATED)
    pass_over(rule)
    assert [call.method for call in fake.calls] == ["POST"]
    assert (row_of(rule).state, row_of(rule).ticket_id, row_of(rule).handoff) == (State.CREATED, 1, "")


def test_what_is_not_due_is_left_alone(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Nothing happens before its time."""
    keep(rule, state=State.NOT_CREATED, due_at=NOW + 0.01)
    pass_over(rule)
    assert fake.calls == []


def test_what_fails_again_backs_off(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """Each attempt waits longer than the one before."""
    fake.always = answer(401)
    keep(rule, state=State.NOT_CREATED)
    waits = []
    for _ in range(8):
        pass_over(rule)
        due_at = row_of(rule).due_at
        assert due_at is not None
        waits.append(due_at - clock.time)
        clock.time = due_at
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900]


# In doubt


def test_doubt_looks_before_anything_else(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A ticket that is there ends the doubt; nothing is posted."""
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).ticket_id, fake.posts) == (State.CREATED, 1, 0)


def test_doubt_waits_for_the_slowest_write(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """Not found and not yet old enough: never posted; once it is, posted after one more look."""
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW)
    clock.time = NOW + WAIT_S - 0.01
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).due_at) == (0, State.IN_DOUBT, NOW + WAIT_S)
    clock.time = NOW + WAIT_S
    pass_over(rule)
    assert (fake.posts, row_of(rule).state) == (1, State.CREATED)


def test_doubt_does_not_grow_younger(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """However often it is looked for in vain, the wait is from the doubt's beginning."""
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW)
    for _ in range(3):
        pass_over(rule)
        rule.writer.ledger.replace(
            row_of(rule), replace(row_of(rule), due_at=clock.time, version=row_of(rule).version + 1)
        )
    assert row_of(rule).doubt_since == NOW
    clock.time = NOW + WAIT_S
    pass_over(rule)
    assert fake.posts == 1


def test_a_look_that_began_too_early_proves_nothing(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """What counts is when the look began: a slow one may have missed what was written meanwhile."""
    fake.taking_s = 1.0
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW)
    clock.time = NOW + WAIT_S - 0.5
    pass_over(rule)
    assert clock.time > NOW + WAIT_S
    assert fake.posts == 0


def test_a_look_that_fails_keeps_the_doubt(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Without a look nothing is known, and nothing is posted."""
    fake.always = UNKNOWN
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).error) == (0, State.IN_DOUBT, "look: time-out")
    assert (row_of(rule).doubt_since, row_of(rule).due_at) == (NOW - WAIT_S, rule.writer.clock.now() + 15.0)


@pytest.mark.parametrize(("since", "due_in"), [(NOW - WAIT_S, 900.0), (NOW - WAIT_S + 100.0, 100.0)])
def test_a_look_that_fails_does_not_sleep_through_the_end_of_the_wait(
    fake: FakeFreshdesk, rule: Delivery, since: float, due_in: float
) -> None:
    """However long it has backed off, it is due again when the wait is over; after that, as the back-off says."""
    fake.always = answer(401)
    keep(rule, state=State.IN_DOUBT, doubt_since=since, attempts=9)
    pass_over(rule)
    assert row_of(rule).due_at == NOW + due_in


@pytest.mark.parametrize("box", ["spam", "deleted"])
def test_a_look_goes_through_every_box(fake: FakeFreshdesk, rule: Delivery, box: str) -> None:
    """A ticket that Freshdesk took for spam, or an agent deleted, exists all the same."""
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL, box=box)
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).ticket_id) == (0, 1)


def test_an_older_ticket_is_not_taken_for_this_one(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """A key holds its time; a ticket from before its claim belongs to an older handoff with the same words."""
    clock.time = NOW - CLOCK_SKEW_S - 1
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)
    clock.time = NOW
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).ticket_id) == (1, 2)


def test_somebody_elses_mention_is_not_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Only a subject's end is ours: before it, anybody may have typed the reference."""
    fake.has(subject=f"about [{REFERENCE}] [BF-AAAAAAAA]", email=EMAIL)
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).ticket_id) == (1, 2)


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        (handoff(), f"email={EMAIL.replace('@', '%40')}"),
        (handoff(user_email="", user_phone=PHONE), ""),
        (handoff(user_email=""), f"email={ROUTING.fallback_requester.replace('@', '%40')}"),
    ],
)
def test_a_look_asks_for_the_requester(fake: FakeFreshdesk, rule: Delivery, made: Any, asked: str) -> None:
    """By address, by the fallback's address, or among all where there is only a telephone."""
    row = keep(rule, made=made)
    LookByAddress(rule.writer)(row, Deadline(rule.writer.clock, 12.0))
    assert asked in fake.calls[0].path
    assert asked or "email" not in fake.calls[0].path


# Died


def test_a_dead_callers_row_is_looked_for(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """Its lease over, a row in `creating` is in doubt since the lease's end: looked for, waited for, then posted."""
    keep(rule, state=State.CREATING, due_at=NOW + LEASE_S)
    clock.time = NOW + LEASE_S
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).doubt_since) == (0, State.IN_DOUBT, NOW + LEASE_S)
    clock.time = NOW + LEASE_S + WAIT_S
    pass_over(rule)
    assert (fake.posts, row_of(rule).state) == (1, State.CREATED)


def test_a_dead_callers_ticket_is_found(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """The ticket whose caller died before it could settle is found, and none is made."""
    ledger = FaultyLedger(rule.writer.ledger, *["before"] * 4, only="replace")
    assert with_parts(rule, ledger=ledger).deliver(handoff()).status is Status.CREATED
    clock.time += LEASE_S
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).ticket_id) == (1, State.CREATED, 1)


def test_what_the_sweep_posts_and_loses_is_doubt_again(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """A sweep's POST with a lost answer is waited out like any other, and found."""
    fake.fates.extend([LOST, UNKNOWN, UNKNOWN])
    keep(rule, state=State.NOT_CREATED)
    pass_over(rule)
    assert (row_of(rule).state, len(fake.tickets)) == (State.IN_DOUBT, 1)
    clock.time += 3600.0
    pass_over(rule)
    assert (row_of(rule).state, len(fake.tickets)) == (State.CREATED, 1)
