"""One pass of the sweep: which rows it takes, and one ticket list for many rows."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from dev.local_freshdesk import LocalFreshdesk
from handoff.deadline import SystemClock
from handoff.delivery import Delivery
from handoff.ledger import Cause, State
from handoff.sweep import sweep
from handoff.transport import RequestsTransport
from tests.closing import sqlite_ledger
from tests.factories import EMAIL
from tests.handoff.delivery.keeping import (
    REFUSED,
    UNKNOWN,
    WAIT_S,
    doubtful,
    keep_number,
    states,
)
from tests.ledger_factories import (
    NOW,
    FakeFreshdesk,
    VirtualClock,
    delivery,
)

# Over HTTP


def test_rows_left_by_an_outage_become_tickets(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """Some were queued and some lost their answer: one ticket each, once the account is up again."""
    ledger = sqlite_ledger(tmp_path / "ledger.db")
    transport = RequestsTransport(freshdesk.url, "local-freshdesk-key")
    rule = delivery(clock=SystemClock(), transport=transport, ledger=ledger, deadline_s=4.0, in_doubt_wait_s=0.1)
    now = rule.writer.clock.now()
    stamps = {"created_at": now, "due_at": now, "give_up_at": now + 1e5, "expires_at": now + 1e6}
    freshdesk.weather("answer-lost", times=1, only="create")
    for number in range(3):
        keep_number(rule, number, **stamps)
    keep_number(rule, 3, **stamps, state=State.IN_DOUBT, doubt_since=now - WAIT_S)
    report = sweep(rule.writer, budget_s=30.0)
    assert len(freshdesk.tickets()) == 4
    assert states(rule) == [State.CREATED] * 4
    assert report.as_dict()["created"] == 4


def test_two_passes_at_once_make_one_ticket_each(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """Any number of sweeps may run: each row is taken by one of them."""
    path, transport = tmp_path / "ledger.db", RequestsTransport(freshdesk.url, "local-freshdesk-key")
    rules = [delivery(clock=SystemClock(), transport=transport, ledger=sqlite_ledger(path)) for _ in range(3)]
    now = rules[0].writer.clock.now()
    for number in range(10):
        keep_number(rules[0], number, created_at=now, due_at=now, give_up_at=now + 1e5, expires_at=now + 1e6)
    threads = [threading.Thread(target=sweep, args=(rule.writer,), kwargs={"budget_s": 30.0}) for rule in rules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(freshdesk.tickets()) == 10
    assert states(rules[0]) == [State.CREATED] * 10


# Which rows it takes


def test_a_pass_takes_every_batch(fake: FakeFreshdesk, rule: Delivery) -> None:
    """More rows than one batch holds are all taken in one pass, each once."""
    for number in range(105):
        keep_number(rule, number)
    assert sweep(rule.writer, budget_s=600.0).as_dict()["created"] == 105
    assert fake.posts == 105


def test_a_row_that_breaks_the_code_holds_up_nobody(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged as an error without any of its words; the other rows continue."""
    keep_number(rule, 0, handoff="not JSON zoraida", due_at=NOW - 1)
    keep_number(rule, 1)
    sweep(rule.writer, budget_s=120.0)
    assert states(rule)[1] is State.CREATED
    assert len(fake.tickets) == 1
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert (record.getMessage(), vars(record)["error"]) == ("row failed", "JSONDecodeError")
    assert "zoraida" not in caplog.text


def test_a_row_that_breaks_the_code_is_given_up_in_the_end(rule: Delivery, clock: VirtualClock) -> None:
    """It does not come back for ever."""
    keep_number(rule, 0, handoff="not JSON")
    clock.time = NOW + 72 * 3600.0
    for _ in range(3):
        sweep(rule.writer, budget_s=120.0)
        clock.time += 900.0
    assert states(rule) == [State.FAILED]


def test_rows_that_waited_for_their_account_are_tried_after_a_success(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """After one success, rows that waited because the account was down are tried at once."""
    keep_number(rule, 0, cause=Cause.UNAVAILABLE)
    keep_number(rule, 1, cause=Cause.UNAVAILABLE, due_at=NOW + 899.0)
    keep_number(rule, 2, cause=Cause.IN_DOUBT, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S, due_at=NOW + 899.0)
    sweep(rule.writer, budget_s=120.0)
    assert states(rule) == [State.CREATED] * 3
    assert (fake.posts, clock.time) == (3, NOW)


@pytest.mark.parametrize(
    "given",
    [
        {"cause": Cause.REFUSED},
        {"cause": Cause.WAITING, "state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S},
        {"cause": Cause.IN_DOUBT, "state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S + 0.01},
        {"cause": Cause.WAITING, "over_limit": True},
        {"cause": Cause.UNAVAILABLE, "over_limit": True},
        {"cause": Cause.INVALID, "state": State.REJECTED},
        {"cause": Cause.NONE, "state": State.CREATING},
        {"cause": Cause.UNAVAILABLE, "due_at": NOW + 901.0},
    ],
)
def test_rows_that_wait_for_their_own_reason_are_not_tried_after_a_success(
    rule: Delivery, given: dict[str, Any]
) -> None:
    """They keep waiting, and are not touched."""
    keep_number(rule, 0)
    row = keep_number(rule, 1, **{"due_at": NOW + 100.0, **given})
    sweep(rule.writer, budget_s=120.0)
    assert states(rule)[0] is State.CREATED
    assert next(one for one in rule.writer.ledger.each() if one.entry == row.entry) == row


def test_without_a_success_no_waiting_row_is_tried_early(fake: FakeFreshdesk, rule: Delivery) -> None:
    """An account that does not answer gets calls only for rows that are due."""
    fake.always = REFUSED
    keep_number(rule, 0)
    keep_number(rule, 1, cause=Cause.UNAVAILABLE, due_at=NOW + 100.0)
    sweep(rule.writer, budget_s=120.0)
    assert states(rule) == [State.NOT_CREATED] * 2
    assert [row.attempts for row in sorted(rule.writer.ledger.each(), key=lambda row: row.entry)] == [1, 0]


def test_a_note_is_not_tried_early(rule: Delivery) -> None:
    """Notes keep their times."""
    keep_number(rule, 0)
    note = keep_number(rule, 0, entry=f"{0:08d}{'A' * 44}#B", cause=Cause.UNAVAILABLE, due_at=NOW + 100.0)
    sweep(rule.writer, budget_s=120.0)
    assert next(row for row in rule.writer.ledger.each() if row.is_note) == note


# One ticket list for many rows


def test_one_list_serves_many_in_doubt(fake: FakeFreshdesk, rule: Delivery) -> None:
    """From three rows in doubt on, all tickets are listed once: one page, spam and deleted tickets."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows[:-1]:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    sweep(rule.writer, budget_s=120.0)
    assert [call.method for call in fake.calls].count("GET") == 3
    assert (fake.posts, states(rule)) == (1, [State.CREATED] * len(rows))


def test_two_rows_in_doubt_are_searched_one_by_one(fake: FakeFreshdesk, rule: Delivery) -> None:
    """For one or two rows, a search by address takes fewer calls."""
    for number in range(2):
        fake.has(subject=f"x [{doubtful(rule, number).reference}]", email=EMAIL)
    keep_number(rule, 2)
    sweep(rule.writer, budget_s=120.0)
    assert all("email=" in call.path for call in fake.calls if call.method == "GET")
    assert fake.posts == 1


def test_a_list_that_is_too_long_is_replaced_by_searches(fake: FakeFreshdesk, rule: Delivery) -> None:
    """If there are too many tickets to list, each row is searched by its address."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    fake.headers["link"] = '<…>; rel="next"'
    sweep(rule.writer, budget_s=120.0)
    assert (fake.posts, states(rule)) == (0, [State.CREATED] * len(rows))


def test_a_list_that_fails_is_replaced_by_searches(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Each row is searched by its address before anything is posted."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    fake.fates.extend([UNKNOWN, UNKNOWN])
    sweep(rule.writer, budget_s=120.0)
    assert (fake.posts, states(rule)) == (0, [State.CREATED] * len(rows))
