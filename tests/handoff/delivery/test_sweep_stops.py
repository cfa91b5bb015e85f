"""One pass of the sweep: what stops it, and what it reports."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from handoff.delivery import Delivery
from handoff.ledger import Cause, Entry, LedgerUnavailable, State
from handoff.sweep import sweep
from tests.closing import sqlite_ledger
from tests.factories import handoff
from tests.handoff.delivery.keeping import (
    REFUSED,
    UNKNOWN,
    WAIT_S,
    keep_number,
    states,
)
from tests.ledger_factories import (
    NOW,
    FakeFreshdesk,
    FaultyLedger,
    VirtualClock,
    answer,
    busy,
    delivery,
    entry,
)

# What stops it


def test_a_pass_ends_when_its_budget_is_used_up(fake: FakeFreshdesk, rule: Delivery) -> None:
    """No row is started that could not be finished."""
    fake.taking_s = 5.0
    for number in range(5):
        keep_number(rule, number)
    report = sweep(rule.writer, budget_s=20.0)
    assert (report.stopped, fake.posts) == ("budget", 2)
    assert report.waiting == 3


def test_a_pass_leaves_most_of_a_scarce_limit_to_live_requests(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """With a fifth of the limit left, it waits ten seconds between rows and leaves the rest of the limit to others."""
    fake.headers = {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "10.0"}
    for number in range(9):
        keep_number(rule, number)
    assert (sweep(rule.writer, budget_s=60.0).stopped, fake.posts) == ("rate-limit", 5)
    assert clock.time == NOW + 40.0


def test_with_room_enough_a_pass_goes_on(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Just above a fifth, it does not wait."""
    fake.headers = {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "10.5"}
    for number in range(3):
        keep_number(rule, number)
    assert (sweep(rule.writer, budget_s=120.0).stopped, fake.posts) == ("", 3)


def test_a_pass_waits_for_a_limit_that_opens_in_time(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """A 429 is waited out if the budget allows; its row is tried again when Freshdesk said."""
    fake.fates.append(busy(20.0))
    keep_number(rule, 0)
    keep_number(rule, 1)
    report = sweep(rule.writer, budget_s=120.0)
    assert clock.time == NOW + 20.0
    assert (report.stopped, states(rule)) == ("", [State.NOT_CREATED, State.CREATED])
    sweep(rule.writer, budget_s=120.0)
    assert states(rule) == [State.CREATED] * 2


def test_a_row_of_a_full_minute_is_tried_at_the_start_of_the_next(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """The random seconds that spread live callers would use up the pass that starts with the new minute."""
    fake.fates.append(busy(20.0))
    keep_number(rule, 0)
    sweep(rule.writer, budget_s=20.0)
    clock.time += 15.0
    sweep(rule.writer, budget_s=120.0)
    assert states(rule) == [State.CREATED]


def test_a_pass_does_not_wait_for_a_limit_that_opens_too_late(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A long wait ends the pass for this account."""
    fake.fates.append(busy(900.0))
    keep_number(rule, 0)
    keep_number(rule, 1)
    report = sweep(rule.writer, budget_s=120.0)
    assert (report.stopped, fake.posts) == ("rate-limit", 1)
    assert [row.due_at for row in rule.writer.ledger.each()] == [NOW + 900.0, NOW]


@pytest.mark.parametrize("fate", [REFUSED, answer(401), answer(404), UNKNOWN])
def test_an_account_that_is_down_is_left_after_three_failures(fake: FakeFreshdesk, rule: Delivery, fate: Any) -> None:
    """After three rows in a row that failed because of the account, the others wait for the next pass."""
    fake.always = fate
    for number in range(6):
        keep_number(rule, number)
    report = sweep(rule.writer, budget_s=600.0)
    assert report.stopped == "account-down"
    assert sorted(row.attempts for row in rule.writer.ledger.each()) == [0, 0, 0, 1, 1, 1]


def test_rows_that_fail_because_of_their_content_do_not_stop_the_pass(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Such a refusal does not mean that the account is down."""
    fake.always = answer(400)
    for number in range(5):
        keep_number(rule, number)
    assert sweep(rule.writer, budget_s=600.0).stopped == ""
    assert {row.attempts for row in rule.writer.ledger.each() if not row.is_note} == {1}


def test_failures_between_successes_do_not_stop_the_pass(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Three in a row, not three in all."""
    for number in range(8):
        keep_number(rule, number)
        fake.fates.append(answer(401) if number % 2 else None)
    assert sweep(rule.writer, budget_s=600.0).stopped == ""


def test_notes_to_deleted_tickets_do_not_stop_the_pass(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A deleted ticket refuses its notes; the account is not down."""
    for number in range(4):
        row = keep_number(rule, number, state=State.CREATED, ticket_id=number + 1, due_at=None)
        keep_number(rule, number, entry=f"{row.entry}#B", due_at=NOW - 1)
    keep_number(rule, 9)
    fake.fates.extend([answer(404)] * 4)
    assert sweep(rule.writer, budget_s=600.0).stopped == ""
    assert fake.posts == 1


@pytest.mark.parametrize(
    ("cause", "state", "waits"),
    [
        *((cause, State.NOT_CREATED, True) for cause in (Cause.UNAVAILABLE, Cause.RATE_LIMIT, Cause.ACCOUNT)),
        (Cause.IN_DOUBT, State.IN_DOUBT, True),
        *((cause, State.NOT_CREATED, False) for cause in (Cause.REFUSED, Cause.INVALID, Cause.WAITING, Cause.NONE)),
        (Cause.WAITING, State.IN_DOUBT, False),
        (Cause.UNAVAILABLE, State.CREATED, False),
        (Cause.UNAVAILABLE, State.FAILED, False),
        (Cause.INVALID, State.REJECTED, False),
    ],
)
def test_a_row_waits_for_its_account_or_for_itself(cause: Cause, state: State, waits: bool) -> None:  # noqa: FBT001 -- a column of the table
    """Only what waits for the account counts as a failure of the account."""
    assert entry(cause=cause, state=state).waits_for_account is waits


def test_a_ledger_that_does_not_answer_ends_the_pass_with_an_error(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """The caller gets the error, and runs the pass again later."""
    ledger = FaultyLedger(sqlite_ledger())
    ledger.always = "before"
    with pytest.raises(LedgerUnavailable):
        sweep(delivery(clock=clock, transport=fake, ledger=ledger).writer, budget_s=120.0)


def test_a_row_whose_ledger_call_fails_is_tried_after_its_lease(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """The write may have taken effect, so the row counts as held until the lease is over."""
    ledger = FaultyLedger(sqlite_ledger(), only="replace")
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    keep_number(rule, 0)
    ledger.always = "after"
    assert sweep(rule.writer, budget_s=120.0).failed_rows == 1
    ledger.always = ""
    (row,) = rule.writer.ledger.each()
    assert (row.state, row.due_at) == (State.CREATING, NOW + 60.0)
    for _ in range(2):
        clock.time += WAIT_S + 60.0
        sweep(rule.writer, budget_s=120.0)
    assert (len(fake.tickets), states(rule)) == (1, [State.CREATED])


@pytest.mark.parametrize("state", [State.NOT_CREATED, State.REJECTED])
def test_one_row_that_fails_does_not_end_the_pass(fake: FakeFreshdesk, clock: VirtualClock, state: State) -> None:
    """It is counted and waits like any other row; the other rows continue."""
    ledger = FaultyLedger(sqlite_ledger(), only="replace")
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    for number in range(10):
        keep_number(rule, number, state=state, refused=state is State.REJECTED, conversation=f"c{number}")
    ledger.fates.extend([*[""] * 4, *["before"] * 4])
    report = sweep(rule.writer, budget_s=300.0)
    assert (report.failed_rows, report.stopped, report.states[State.CREATED]) == (1, "", 9)
    [waiting] = [row for row in rule.writer.ledger.each() if row.state is not State.CREATED]
    assert waiting.due_at is not None
    assert (waiting.due_at > clock.time, waiting.attempts) == (True, 1)


def test_a_ledger_that_is_down_ends_the_pass_and_says_so(
    fake: FakeFreshdesk, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After three failures in a row the pass ends with an error: it does not claim to have swept everything."""
    ledger = FaultyLedger(sqlite_ledger(), only="replace")
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    for number in range(10):
        keep_number(rule, number)
    ledger.always = "before"
    report = sweep(rule.writer, budget_s=300.0)
    assert (report.failed_rows, report.stopped, fake.posts) == (3, "ledger-down", 0)
    messages = [record.getMessage() for record in caplog.records]
    assert "sweep ended early" in messages
    assert "swept" not in messages


def test_a_ledger_that_cannot_be_tidied_hides_nothing_of_the_pass(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """What was done is reported, and that the ledger went down."""
    ledger = FaultyLedger(sqlite_ledger(), only="tidy")
    ledger.always = "before"
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    keep_number(rule, 0)
    report = sweep(rule.writer, budget_s=120.0)
    assert (report.stopped, report.states[State.CREATED]) == ("ledger-down", 1)


# What it reports


def test_a_pass_reports_what_it_did(rule: Delivery, fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """It reports counts by state, how many rows wait and the age of the oldest, also in one log line."""
    caplog.set_level(logging.INFO, "handoff")
    fake.fates.append(None)
    keep_number(rule, 0)
    keep_number(rule, 1, created_at=NOW - 50.26, due_at=NOW + 5000.0)
    report = sweep(rule.writer, budget_s=120.0).as_dict()
    assert report == {
        **{str(state): 0 for state in State},
        "created": 1,
        "taken_by_others": 0,
        "failed_rows": 0,
        "stopped": "",
        "waiting": 1,
        "oldest_waiting_s": 50.3,
    }
    (line,) = [record for record in caplog.records if record.getMessage() == "swept"]
    assert vars(line)["waiting"] == 1


def test_rows_taken_by_another_sweep_are_counted(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """They are counted separately."""

    class Overtaken(FaultyLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return not (old or new)

    rule = delivery(clock=clock, transport=fake, ledger=Overtaken(sqlite_ledger()))
    keep_number(rule, 0)
    assert sweep(rule.writer, budget_s=120.0).taken_by_others == 1


def test_a_pass_removes_expired_rows(rule: Delivery) -> None:
    """Rows past their end are deleted."""
    keep_number(rule, 0, expires_at=NOW - 1, due_at=None, state=State.CREATED, ticket_id=7)
    sweep(rule.writer, budget_s=120.0)
    assert list(rule.writer.ledger.each()) == []


def test_a_pass_that_is_asked_to_stop_ends_between_two_rows(rule: Delivery, fake: FakeFreshdesk) -> None:
    """Rows that were not reached stay due; a row in progress is finished."""
    for number in range(3):
        given = handoff(key=f"{number}" * 52)
        due = entry(
            reference=given.reference, entry=given.key, handoff=given.to_json(), state=State.NOT_CREATED, due_at=NOW
        )
        rule.writer.ledger.claim(due, now=NOW, tickets_an_hour=5)
    report = sweep(rule.writer, budget_s=45.0, should_stop=lambda: len(fake.tickets) == 2)
    assert (report.stopped, len(fake.tickets), report.waiting) == ("asked to stop", 2, 1)
