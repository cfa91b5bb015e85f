"""Exact limits of one pass: by row and by second."""

from __future__ import annotations

from typing import Any

import pytest

from freshdesk_client import FreshdeskClient
from handoff.delivery import Delivery
from handoff.helpdesk import HelpDesk
from handoff.ledger import Cause, Entry, State
from handoff.sweep import SweepReport, sweep
from tests.closing import sqlite_ledger
from tests.factories import EMAIL, handoff
from tests.handoff.delivery.keeping import APART, WAIT_S, keep_number
from tests.ledger_factories import NOW, FakeFreshdesk, FaultyLedger, VirtualClock, answer, delivery, with_parts

NOTHING = {
    **{str(state): 0 for state in State},
    "taken_by_others": 0,
    "failed_rows": 0,
    "stopped": "",
    "waiting": 0,
    "oldest_waiting_s": 0.0,
}


def two_desks(clock: VirtualClock, fake: FakeFreshdesk) -> tuple[Delivery, FakeFreshdesk]:
    """Return a delivery to two accounts, and the account that is down."""
    down = FakeFreshdesk(clock)
    down.always = answer(401)
    main = delivery(clock=clock, transport=fake, routing=APART)
    other = HelpDesk("https://otra.freshdesk.com", FreshdeskClient(down), clock)
    return with_parts(main, helpdesks={**main.writer.helpdesks, "otra": other}), down


def keep_for_the_other_desk(rule: Delivery, number: int, **overrides: Any) -> None:
    """Put a row of the account that is down into the ledger."""
    made = handoff(key=f"{number:08d}" + "A" * 44, bot="corp")
    keep_number(rule, number, **{"handoff": made.to_json(), "account": "otra", **overrides})


def test_a_pass_without_rows_reports_nothing(rule: Delivery) -> None:
    """No row, no wait."""
    assert sweep(rule.writer, budget_s=120.0).as_dict() == SweepReport().as_dict() == NOTHING


@pytest.mark.parametrize(("budget_s", "posts"), [(12.0, 1), (11.9, 0)])
def test_a_row_is_started_only_with_enough_time(
    rule: Delivery, fake: FakeFreshdesk, budget_s: float, posts: int
) -> None:
    """Twelve seconds are enough for a row, slightly less is not."""
    keep_number(rule, 0)
    assert sweep(rule.writer, budget_s=budget_s).stopped == ("" if posts else "budget")
    assert fake.posts == posts


@pytest.mark.parametrize(("budget_s", "stopped"), [(12.0, "asked to stop"), (11.9, "budget")])
def test_a_pass_reports_why_it_stopped(rule: Delivery, budget_s: float, stopped: str) -> None:
    """Asked to stop, or out of time; if both, out of time."""
    keep_number(rule, 0)
    assert sweep(rule.writer, budget_s=budget_s, should_stop=lambda: True).stopped == stopped


def test_a_pass_that_was_asked_to_stop_does_not_ask_again(rule: Delivery, fake: FakeFreshdesk) -> None:
    """It stops, whatever `should_stop` would return next."""
    for number in range(3):
        keep_number(rule, number)
    answers = [False, True, False]
    assert sweep(rule.writer, budget_s=120.0, should_stop=lambda: answers.pop(0)).stopped == "asked to stop"
    assert (fake.posts, answers) == (1, [False])


def test_a_success_resets_the_count_of_failures(rule: Delivery, fake: FakeFreshdesk) -> None:
    """The pass stops after exactly three failures of the account in a row."""
    fake.fates.extend([None, *[answer(401)] * 9])
    for number in range(6):
        keep_number(rule, number)
    assert sweep(rule.writer, budget_s=600.0).stopped == "account-down"
    assert fake.posts == 4


def test_a_row_that_is_almost_due_still_waits(rule: Delivery, fake: FakeFreshdesk) -> None:
    """The row is due half a second after the pass."""
    fake.always = answer(401)
    keep_number(rule, 0)
    keep_number(rule, 1, cause=Cause.UNAVAILABLE, due_at=NOW + 0.5)
    sweep(rule.writer, budget_s=120.0)
    assert fake.posts == 1


def test_an_account_that_is_down_does_not_stop_another(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """Failures are counted for each account."""
    rule, down = two_desks(clock, fake)
    for number in range(4):
        keep_for_the_other_desk(rule, number)
    keep_number(rule, 4)
    assert sweep(rule.writer, budget_s=600.0).stopped == "account-down"
    assert (down.posts, fake.posts) == (3, 1)


def test_a_row_in_doubt_older_than_the_list_is_searched_by_its_address(rule: Delivery, fake: FakeFreshdesk) -> None:
    """A row that is tried early may be older than those the list was made for, so the list may lack its ticket."""
    doubt: dict[str, Any] = {"state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S}
    for number in range(3):
        keep_number(rule, number, **doubt)
    keep_number(rule, 3, **doubt, created_at=NOW - 1000.0, due_at=NOW + 100.0, cause=Cause.IN_DOUBT)
    sweep(rule.writer, budget_s=120.0)
    assert sum("email=" in call.path for call in fake.calls) == 1
    assert all(row.state is State.CREATED for row in rule.writer.ledger.each())


class Noting(FaultyLedger):
    """A ledger that records how many rows each call asks for."""

    def __init__(self) -> None:
        super().__init__(sqlite_ledger())
        self.limits: list[int] = []

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """See `Ledger`."""
        self.limits.append(limit)
        return super().due(until, limit, after)


def test_a_pass_reads_a_hundred_rows_at_a_time(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """However many wait, because one row may take a quarter of a megabyte."""
    rule = delivery(clock=clock, transport=fake, ledger=(ledger := Noting()))
    for number in range(201):
        keep_number(rule, number)
    assert sweep(rule.writer, budget_s=600.0).as_dict()["created"] == 201
    assert max(ledger.limits) == 100


def test_if_all_accounts_are_down_the_rest_is_only_counted(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """One batch is read to find out, and three to count; reading more would gain nothing."""
    fake.always = answer(401)
    rule = delivery(clock=clock, transport=fake, ledger=(ledger := Noting()))
    for number in range(250):
        keep_number(rule, number)
    report = sweep(rule.writer, budget_s=600.0)
    assert (report.stopped, report.waiting, len(ledger.limits)) == ("account-down", 250, 1 + 3)


@pytest.mark.parametrize("forward", [False, True])
def test_a_thousand_rows_of_an_account_that_is_down_hide_no_other_row(
    clock: VirtualClock,
    fake: FakeFreshdesk,
    forward: bool,  # noqa: FBT001 -- with a row that is tried early, and without
) -> None:
    """A row of another account is reached in the same pass, though it became due later."""
    rule, down = two_desks(clock, fake)
    for number in range(1_001):
        keep_for_the_other_desk(rule, number, due_at=NOW - 1.0)
    keep_number(rule, 1_001)
    if forward:
        keep_number(rule, 1_002, cause=Cause.UNAVAILABLE, due_at=NOW + 100.0)
    assert sweep(rule.writer, budget_s=600.0).stopped == "account-down"
    assert (down.posts, fake.posts) == (3, 1 + forward)


def test_a_row_left_for_an_account_that_is_down_is_read_once_in_a_pass(
    clock: VirtualClock, fake: FakeFreshdesk
) -> None:
    """Three batches to the end, one for rows that are tried early, and three to count."""
    given, _ = two_desks(clock, fake)
    rule = with_parts(given, ledger=(ledger := Noting()))
    for number in range(250):
        keep_for_the_other_desk(rule, number, due_at=NOW - 1.0)
    keep_number(rule, 250)
    sweep(rule.writer, budget_s=600.0)
    assert len(ledger.limits) == 3 + 1 + 3


def test_a_row_that_becomes_due_during_a_pass_is_taken_in_it(rule: Delivery, fake: FakeFreshdesk) -> None:
    """At its exact time, also if a row that was due later is tried before it."""
    fake.taking_s = 10.0
    keep_number(rule, 0)
    keep_number(rule, 1, error="refused: 400 type", due_at=NOW + 20.0)
    keep_number(rule, 2, cause=Cause.UNAVAILABLE, due_at=NOW + 100.0)
    assert sweep(rule.writer, budget_s=120.0).as_dict()["created"] == 3


def test_a_read_that_fails_is_repeated(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """A read may exceed the table's capacity; that must not end the pass."""
    ledger = FaultyLedger(sqlite_ledger(), "", "before", only="due")
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    for number in range(101):
        keep_number(rule, number)
    assert sweep(rule.writer, budget_s=600.0).as_dict()["created"] == 101


def test_a_list_is_made_for_rows_in_doubt_in_a_later_batch(rule: Delivery, fake: FakeFreshdesk) -> None:
    """Rows in doubt after a hundred others share one list as well."""
    for number in range(100):
        keep_number(rule, number, due_at=NOW - 1.0)
    for number in range(100, 105):
        row = keep_number(rule, number, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    sweep(rule.writer, budget_s=600.0)
    assert ([call.method for call in fake.calls].count("GET"), fake.posts) == (
        4,
        100,
    )  # two pages, spam and deleted tickets


def test_waiting_rows_are_counted_up_to_a_thousand(rule: Delivery) -> None:
    """More than that raises the alarm anyway."""
    for number in range(1_001):
        keep_number(rule, number, due_at=NOW + 5000.0)
    assert sweep(rule.writer, budget_s=120.0).waiting == 1_000


def test_a_list_serves_a_whole_pass(rule: Delivery, fake: FakeFreshdesk) -> None:
    """It is not made again for the rows of the next batch."""
    for number in range(3):
        row = keep_number(rule, number, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    late = keep_number(
        rule, 3, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S, due_at=NOW + 100.0, cause=Cause.IN_DOUBT
    )
    fake.has(subject=f"x [{late.reference}]", email=EMAIL)
    sweep(rule.writer, budget_s=120.0)
    assert ([call.method for call in fake.calls].count("GET"), fake.posts) == (3, 0)
