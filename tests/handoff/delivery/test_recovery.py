"""Recovery of rows that were not created, that are in doubt, or whose caller died."""

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
    errors,
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


def test_a_row_that_was_not_created_is_created(fake: FakeFreshdesk, rule: Delivery) -> None:
    """There is certainly no ticket, so it is posted without a search."""
    keep(rule, state=State.NOT_CREATED)
    pass_over(rule)
    assert [call.method for call in fake.calls] == ["POST"]
    assert (row_of(rule).state, row_of(rule).ticket_id, row_of(rule).handoff) == (State.CREATED, 1, "")


def test_a_row_that_is_not_due_is_left_alone(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Nothing happens before its time."""
    keep(rule, state=State.NOT_CREATED, due_at=NOW + 0.01)
    pass_over(rule)
    assert fake.calls == []


def test_each_failure_makes_the_wait_longer(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
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


def test_a_row_in_doubt_is_searched_for_first(fake: FakeFreshdesk, rule: Delivery) -> None:
    """If the ticket exists, the doubt ends and nothing is posted."""
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).ticket_id, fake.posts) == (State.CREATED, 1, 0)


def test_a_row_in_doubt_waits_for_the_slowest_write(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """While the doubt is too young nothing is posted; after the wait it is posted after one more search."""
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW)
    clock.time = NOW + WAIT_S - 0.01
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).due_at) == (0, State.IN_DOUBT, NOW + WAIT_S)
    clock.time = NOW + WAIT_S
    pass_over(rule)
    assert (fake.posts, row_of(rule).state) == (1, State.CREATED)


def test_the_wait_counts_from_the_beginning_of_the_doubt(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """However many searches find nothing, the wait does not start again."""
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


def test_a_search_that_began_too_early_proves_nothing(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """The start of the search counts: a slow one may have missed a ticket written meanwhile."""
    fake.taking_s = 1.0
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW)
    clock.time = NOW + WAIT_S - 0.5
    pass_over(rule)
    assert clock.time > NOW + WAIT_S
    assert fake.posts == 0


def test_a_search_that_fails_keeps_the_doubt(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Without a search nothing is known, and nothing is posted."""
    fake.always = UNKNOWN
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).error) == (0, State.IN_DOUBT, "look: time-out")
    assert (row_of(rule).doubt_since, row_of(rule).due_at) == (NOW - WAIT_S, rule.writer.clock.now() + 15.0)


@pytest.mark.parametrize(("since", "due_in"), [(NOW - WAIT_S, 900.0), (NOW - WAIT_S + 100.0, 100.0)])
def test_a_failed_search_is_repeated_when_the_wait_ends(
    fake: FakeFreshdesk, rule: Delivery, since: float, due_in: float
) -> None:
    """However long the back-off, the row is due again at the end of the wait; after that the back-off counts."""
    fake.always = answer(401)
    keep(rule, state=State.IN_DOUBT, doubt_since=since, attempts=9)
    pass_over(rule)
    assert row_of(rule).due_at == NOW + due_in


@pytest.mark.parametrize("box", ["spam", "deleted"])
def test_a_search_covers_spam_and_deleted_tickets(fake: FakeFreshdesk, rule: Delivery, box: str) -> None:
    """A ticket that Freshdesk marked as spam, or that an agent deleted, exists all the same."""
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL, box=box)
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).ticket_id) == (0, 1)


def test_an_older_ticket_is_not_mistaken_for_this_one(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """A ticket from before the claim belongs to an older handoff with the same words."""
    clock.time = NOW - CLOCK_SKEW_S - 1
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)
    clock.time = NOW
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).ticket_id) == (1, 2)


def test_a_reference_typed_by_somebody_is_not_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Only the end of a subject is written by us; anybody may type a reference before it."""
    fake.has(subject=f"about [{REFERENCE}] [BF-AAAAAAAA]", email=EMAIL)
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).ticket_id) == (1, 2)


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        (handoff(), f"email={EMAIL.replace('@', '%40')}"),
        (handoff(user_email="", user_phone=PHONE), ""),
        (handoff(user_email="", user_id="u-7"), "unique_external_id=betsur%3Au-7"),
        (handoff(user_email=""), f"email={ROUTING.fallback_requester.replace('@', '%40')}"),
    ],
)
def test_a_search_asks_for_the_requester(fake: FakeFreshdesk, rule: Delivery, made: Any, asked: str) -> None:
    """By address, by the bot's id of the person, by the fallback's address; with only a phone, among all tickets."""
    row = keep(rule, made=made)
    LookByAddress(rule.writer)(row, Deadline(rule.writer.clock, 12.0))
    assert asked in fake.calls[0].path
    assert asked or "email" not in fake.calls[0].path


def test_a_list_that_is_too_long_for_a_search_is_an_error(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is posted while the ticket may be past the end of what can be read."""
    fake.headers["link"] = '<…>; rel="next"'
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, errors(caplog)) == (0, State.IN_DOUBT, ["list too long"])


def test_a_ticket_that_stays_in_doubt_for_hours_is_offered_plainer(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Freshdesk may answer 500 to something in it."""
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S, created_at=NOW - 3 * 3600.0)
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).rung) == (State.CREATED, 1)
    assert "group_id" not in fake.tickets[0]


def test_a_row_whose_words_were_forgotten_is_given_up(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nothing to make a ticket of."""
    keep(rule, state=State.NOT_CREATED, handoff="")
    pass_over(rule)
    assert (fake.calls, row_of(rule).state, errors(caplog)) == ([], State.FAILED, ["given up"])


# Died


def test_the_row_of_a_dead_caller_is_searched_for(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """A row in `creating` is in doubt from the end of its lease: search, wait, then post."""
    keep(rule, state=State.CREATING, due_at=NOW + LEASE_S)
    clock.time = NOW + LEASE_S
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).doubt_since) == (0, State.IN_DOUBT, NOW + LEASE_S)
    clock.time = NOW + LEASE_S + WAIT_S
    pass_over(rule)
    assert (fake.posts, row_of(rule).state) == (1, State.CREATED)


def test_the_ticket_of_a_dead_caller_is_found(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """The caller died between the POST and the settling: its ticket is found, and none is made."""
    ledger = FaultyLedger(rule.writer.ledger, *["before"] * 4, only="replace")
    assert with_parts(rule, ledger=ledger).deliver(handoff()).status is Status.CREATED
    clock.time += LEASE_S
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).ticket_id) == (1, State.CREATED, 1)


def test_a_lost_answer_to_the_sweep_is_in_doubt_again(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """A sweep's POST with a lost answer is waited for and found like any other."""
    fake.fates.extend([LOST, UNKNOWN, UNKNOWN])
    keep(rule, state=State.NOT_CREATED)
    pass_over(rule)
    assert (row_of(rule).state, len(fake.tickets)) == (State.IN_DOUBT, 1)
    clock.time += 3600.0
    pass_over(rule)
    assert (row_of(rule).state, len(fake.tickets)) == (State.CREATED, 1)
