"""The rule, afterwards: what each kind of row gets when it is due."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

import pytest

from delivery import NEW_WORDS, ONE_OF_MANY, Delivery, Status
from desk import CLOCK_SKEW_S
from freshdesk_client import OutcomeUnknown
from ledger import Entry, State
from ledger.sqlite import SQLiteLedger
from recovery import Found, LookByAddress, Recovery
from sweep import sweep
from tests.factories import EMAIL, PHONE, REFERENCE, handoff
from tests.ledger_factories import (
    NOW,
    ROUTING,
    FakeFreshdesk,
    FaultyLedger,
    Lost,
    VirtualClock,
    answer,
    delivery,
    entry,
    refusal,
)
from turn import Turn

LOST = Lost(OutcomeUnknown("reset"))
UNKNOWN = OutcomeUnknown("time-out")
WAIT_S = 600.0
LEASE_S = 60.0


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that nobody waits for."""
    return VirtualClock()


@pytest.fixture
def fake(clock: VirtualClock) -> FakeFreshdesk:
    """Return a Freshdesk on that clock."""
    return FakeFreshdesk(clock)


@pytest.fixture
def rule(clock: VirtualClock, fake: FakeFreshdesk) -> Delivery:
    """Return a delivery on that clock to that Freshdesk."""
    return delivery(clock=clock, transport=fake)


def keep(rule: Delivery, **overrides: Any) -> Entry:
    """Put a row into the ledger that is due now, as some call before may have left it."""
    made = overrides.pop("made", handoff())
    given = {
        "entry": made.key,
        "reference": made.reference,
        "handoff": made.to_json(),
        "fingerprint": made.fingerprint,
        "person": made.person,
        "due_at": NOW,
        **overrides,
    }
    row = entry(**given)
    rule.ledger.claim(row, now=NOW, tickets_an_hour=9)
    return row


def row_of(rule: Delivery, key: str = handoff().key) -> Entry:
    """Return the row of a handoff."""
    return next(one for one in rule.ledger.each() if one.entry == key)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what a person must act on."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def pass_over(rule: Delivery) -> dict[str, Any]:
    """Run one pass of the sweep and return what it did."""
    return sweep(rule, budget_s=120.0).as_dict()


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
        rule.ledger.replace(row_of(rule), replace(row_of(rule), due_at=clock.time, version=row_of(rule).version + 1))
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
    assert (row_of(rule).doubt_since, row_of(rule).due_at) == (NOW - WAIT_S, rule.clock.now() + 15.0)


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
    LookByAddress(rule)(row, Turn(rule.clock, 12.0))
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
    ledger = FaultyLedger(rule.ledger, *["before"] * 4, only="replace")
    assert replace(rule, ledger=ledger).deliver(handoff()).status is Status.CREATED
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
    """Kept, said once as an error, and not asked again."""
    alone = replace(rule, routing=replace(ROUTING, fallback_requester=""))
    alone.keep_refused(handoff(user_email=""))
    clock.time += 900.0
    pass_over(alone)
    pass_over(alone)
    assert fake.calls == []
    assert (row_of(rule).state, row_of(rule).due_at) == (State.REJECTED, None)
    assert errors(caplog) == ["refused and no fallback_requester"]


def test_a_fallback_that_freshdesk_refuses_is_loud(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An address of the house that Freshdesk will not have is nothing the person could correct."""
    fake.always = refusal("email")
    rule.keep_refused(handoff(user_email=""))
    clock.time += 900.0
    pass_over(rule)
    assert (row_of(rule).state, row_of(rule).error) == (State.NOT_CREATED, "refused: fallback_requester: email")
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
    for key in ("C" * 52, "B" * 52):
        clock.time += 60.0
        rule.deliver(handoff(key=key, conversation_id="c"))
    clock.time += 800.0
    pass_over(rule)
    assert (len(fake.tickets), row_of(rule).ticket_id) == (2, 1)


@pytest.mark.parametrize("address", [{"user_email": EMAIL}, {"user_email": "", "user_phone": PHONE}])
def test_an_address_is_enough_without_a_fallback(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, address: dict[str, str]
) -> None:
    """Where the person can be reached, no house address is needed."""
    alone = replace(rule, routing=replace(ROUTING, fallback_requester=""))
    alone.keep_refused(handoff(**address))
    clock.time += 900.0
    pass_over(alone)
    assert len(fake.tickets) == 1


@pytest.mark.parametrize("other", [{"conversation_id": "another"}, {"conversation_id": ""}])
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
    bounded = delivery(clock=clock, transport=fake, ledger=rule.ledger, tickets_an_hour=1, refused_wait_s=1.0)
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
    bounded = delivery(clock=clock, transport=fake, ledger=rule.ledger, tickets_an_hour=1, refused_wait_s=1.0)
    bounded.deliver(handoff(key="B" * 52))
    fake.tickets[0]["status"] = 5
    bounded.keep_refused(handoff())
    made = []
    for seconds in (1.0, 301.0, 301.0, 3600.0):
        clock.time += seconds
        pass_over(bounded)
        made.append(len(fake.tickets))
    assert made == [1, 1, 1, 2]


# Past the hourly bound


def test_one_too_many_joins_the_open_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """It becomes a private note on the newest ticket of theirs that is not closed."""
    for status in (2, 3, 4, 5):
        fake.has(email=EMAIL, status=status)
    keep(rule, state=State.NOT_CREATED, crowded=True)
    pass_over(rule)
    ((ticket_id, html),) = fake.notes
    assert (ticket_id, fake.posts, row_of(rule).ticket_id) == (2, 0, 2)
    assert ONE_OF_MANY in html


@pytest.mark.parametrize("made", [handoff(), handoff(user_email="", user_phone=PHONE)])
def test_one_too_many_is_a_ticket_once_there_is_a_place(fake: FakeFreshdesk, rule: Delivery, made: Any) -> None:
    """With no open ticket, and a place of the hour free, it is a ticket like any other."""
    keep(rule, made=made, state=State.NOT_CREATED, crowded=True)
    pass_over(rule)
    assert (fake.posts, row_of(rule).state, row_of(rule).crowded) == (1, State.CREATED, False)


def test_one_too_many_waits_for_a_place(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """With no open ticket and no place it waits, and is a ticket when the hour has slid on."""
    rule = delivery(clock=clock, transport=fake, tickets_an_hour=1)
    rule.deliver(handoff(key="B" * 52))
    fake.tickets[0]["status"] = 5
    assert rule.deliver(handoff()).status is Status.QUEUED
    pass_over(rule)
    assert (fake.posts, row_of(rule).due_at) == (1, NOW + 300.0)
    clock.time += 3600.0
    pass_over(rule)
    assert (fake.posts, row_of(rule).state) == (2, State.CREATED)


def test_one_too_many_waits_while_nobody_knows(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Where the person's tickets cannot be listed, it is tried again later."""
    fake.always = UNKNOWN
    keep(rule, state=State.NOT_CREATED, crowded=True)
    pass_over(rule)
    row = row_of(rule)
    assert (row.state, row.crowded, row.error) == (State.NOT_CREATED, True, "look: time-out")
    assert (fake.posts, row.due_at) == (0, NOW + 15.0)


def test_a_ticket_of_the_last_thirty_days_is_open(fake: FakeFreshdesk, rule: Delivery) -> None:
    """What has rested longer than a month is no place for new words."""
    keep(rule, state=State.NOT_CREATED, crowded=True)
    pass_over(rule)
    month_ago = time.strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ", time.gmtime(NOW - 30 * 24 * 3600))
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
    assert {row.state for row in rule.ledger.each()} == {State.CREATED}


@pytest.mark.parametrize("parent", [None, State.FAILED])
def test_a_note_without_a_ticket_to_join_waits(
    fake: FakeFreshdesk, rule: Delivery, parent: State | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Its handoff may be gone, or have none yet: it is asked for again five minutes later."""
    if parent:
        keep(rule, state=parent, due_at=None)
    note = keep(rule, entry=f"{handoff().key}#B")
    pass_over(rule)
    assert (row_of(rule, note.entry).due_at, fake.calls, errors(caplog)) == (NOW + 300.0, [], [])


def test_a_note_that_failed_goes_out_later(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """At least once: doubt about a note means it is added again."""
    rule.deliver(handoff())
    fake.fates.append(UNKNOWN)
    rule.deliver(handoff(reason="algo nuevo"))
    clock.time += 15.0
    pass_over(rule)
    assert len(fake.notes) == 1


# Given up


def test_what_takes_too_long_is_given_up_aloud(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After 72 hours a row is kept as failed, with all its data, and said so as an error."""
    row = keep(rule, state=State.NOT_CREATED, due_at=NOW + 72 * 3600.0)
    clock.time = NOW + 72 * 3600.0
    report = pass_over(rule)
    assert (row_of(rule).state, row_of(rule).due_at, row_of(rule).handoff) == (State.FAILED, None, row.handoff)
    assert (errors(caplog), report["failed"], fake.calls) == (["given up"], 1, [])


def test_what_nobody_swept_has_its_chance_first(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """A sweep that stood still for days does not fail what it never tried."""
    keep(rule, state=State.NOT_CREATED)
    clock.time = NOW + 100 * 3600.0
    pass_over(rule)
    assert (row_of(rule).state, len(fake.tickets)) == (State.CREATED, 1)


@pytest.mark.parametrize(("late", "state"), [(1800.0, State.FAILED), (1800.01, State.CREATED)])
def test_a_chance_is_what_was_due_within_half_an_hour(
    rule: Delivery, clock: VirtualClock, late: float, state: State
) -> None:
    """A row that was due more recently has been tried before."""
    clock.time = NOW + 100 * 3600.0
    keep(rule, state=State.NOT_CREATED, due_at=clock.time - late)
    pass_over(rule)
    assert row_of(rule).state is state


def test_what_had_its_chance_is_given_up(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """And if that fails too, the next pass gives it up."""
    fake.always = answer(401)
    keep(rule, state=State.NOT_CREATED)
    clock.time = NOW + 100 * 3600.0
    pass_over(rule)
    clock.time += 15.0
    pass_over(rule)
    assert (row_of(rule).state, fake.posts) == (State.FAILED, 1)


def test_what_another_gives_up_is_said_once(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two sweeps that give up the same row, one says so."""
    row = keep(rule, state=State.NOT_CREATED, due_at=NOW + 72 * 3600.0)
    clock.time = NOW + 72 * 3600.0
    recovery = Recovery(rule)
    assert recovery.advance(row, LookByAddress(rule)) is not None
    assert recovery.advance(row, LookByAddress(rule)) is None
    assert (errors(caplog), fake.calls) == (["given up"], [])


# Taken by another


@pytest.mark.parametrize(
    "given",
    [
        {"state": State.NOT_CREATED},
        {"state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S},
        {"state": State.CREATING},
        {"state": State.REJECTED, "refused": True, "conversation": ""},
        {"state": State.NOT_CREATED, "crowded": True},
    ],
)
def test_of_two_that_take_a_row_one_gets_it(fake: FakeFreshdesk, rule: Delivery, given: dict[str, Any]) -> None:
    """Whoever read the row before another took it does nothing with it."""
    row = keep(rule, **given)
    recovery = Recovery(rule)
    assert recovery.advance(row, LookByAddress(rule)) is not None
    posts = fake.posts
    assert recovery.advance(row, LookByAddress(rule)) is None
    assert fake.posts == posts <= 1


def test_of_two_that_take_a_note_one_gets_it(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The same for notes."""
    rule.deliver(handoff())
    fake.fates.append(UNKNOWN)
    rule.deliver(handoff(reason="algo nuevo"))
    note = next(one for one in rule.ledger.each() if one.is_note)
    recovery = Recovery(rule)
    assert recovery.advance(note, LookByAddress(rule)) is not None
    assert recovery.advance(note, LookByAddress(rule)) is None
    assert len(fake.notes) == 1


class Overtaken(FaultyLedger):
    """A ledger where another always writes just before the n-th replacement."""

    def __init__(self, nth: int) -> None:
        super().__init__(SQLiteLedger(":memory:"))
        self.nth = nth

    def replace(self, old: Entry, new: Entry) -> bool:
        """See `Ledger`."""
        self.nth -= 1
        return self.nth != 0 and self.ledger.replace(old, new)


@pytest.mark.parametrize(
    ("nth", "given"),
    [
        (2, {"state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S}),
        (2, {"state": State.NOT_CREATED, "crowded": True}),
    ],
)
def test_who_is_overtaken_half_way_posts_nothing(
    fake: FakeFreshdesk, clock: VirtualClock, nth: int, given: dict[str, Any]
) -> None:
    """Between the look and the POST the row is taken once more: if that fails, nothing is posted."""
    rule = delivery(clock=clock, transport=fake, ledger=Overtaken(nth))
    row = keep(rule, **given)
    assert Recovery(rule).advance(row, LookByAddress(rule)) is None
    assert fake.posts == 0


# Controls: the guard taken out, the promise broken


def test_control_without_the_wait_a_late_write_makes_two(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """With no wait, what is written a moment after the look is a second ticket."""
    rule = delivery(clock=clock, transport=fake, in_doubt_wait_s=0.0)
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW)
    pass_over(rule)
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)  # the late write
    assert len(fake.tickets) == 2


def test_control_without_the_look_there_are_two(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A look that sees nothing, though it began late enough, makes a second ticket."""
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)
    row = keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    Recovery(rule).advance(row, lambda _entry, _turn: Found(None, rule.clock.now()))
    assert len(fake.tickets) == 2


def test_control_without_taking_the_row_there_are_two(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """A ledger that lets every replacement through makes a ticket for each sweep."""

    class LetsThrough(FaultyLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return bool(old) and bool(new)

    rule = delivery(clock=clock, transport=fake, ledger=LetsThrough(SQLiteLedger(":memory:")))
    row = keep(rule, state=State.NOT_CREATED)
    for _ in range(2):
        Recovery(rule).advance(row, LookByAddress(rule))
    assert len(fake.tickets) == 2


def test_control_without_every_box_there_are_two(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A look that leaves out the spam box makes a second ticket of what lies there."""
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL, box="spam")
    row = keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)

    def plain_look(entry: Entry, turn: Turn) -> Found:
        desk, now = rule.desk(entry), rule.clock.now()
        return Found(desk.look(entry.reference, turn, email=EMAIL, since=NOW, everywhere=False), now)

    Recovery(rule).advance(row, plain_look)
    assert len(fake.tickets) == 2


def test_a_look_by_address_ends_where_nothing_can_have_been_written(fake: FakeFreshdesk, rule: Delivery) -> None:
    """It looks from the claim to the doubt's end."""
    asked: dict[str, Any] = {}

    class Recording(type(rule.desks[""])):  # type: ignore[misc]  # the desk's own class, whatever it is
        def look(self, reference: str, _turn: Any, **how: Any) -> None:
            asked.update(how, reference=reference)

    desk = rule.desks[""]
    recording = Recording(desk.url, desk.client, desk.clock)
    row = entry(state=State.IN_DOUBT, doubt_since=NOW + 7, handoff=handoff().to_json())
    LookByAddress(replace(rule, desks={"": recording}))(row, rule.turn())
    assert (asked["since"], asked["until"], asked["everywhere"]) == (NOW, NOW + 7 + 600.0, True)
    assert fake.calls == []
