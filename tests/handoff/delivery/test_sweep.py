"""One pass: whom it takes, and one list for many."""

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


def test_what_an_outage_left_behind_becomes_tickets(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """Queued while nobody listened, and lost on the way: one ticket each, once the desk is there again."""
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


# Whom it takes


def test_a_pass_takes_every_batch(fake: FakeFreshdesk, rule: Delivery) -> None:
    """More rows than one batch holds are all taken in one pass, each once."""
    for number in range(105):
        keep_number(rule, number)
    assert sweep(rule.writer, budget_s=600.0).as_dict()["created"] == 105
    assert fake.posts == 105


def test_a_row_that_breaks_the_code_holds_up_nobody(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said as an error, without a word of it; the rest goes on."""
    keep_number(rule, 0, handoff="not JSON zoraida", due_at=NOW - 1)
    keep_number(rule, 1)
    sweep(rule.writer, budget_s=120.0)
    assert states(rule)[1] is State.CREATED
    assert len(fake.tickets) == 1
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert (record.getMessage(), vars(record)["error"]) == ("row failed", "JSONDecodeError")
    assert "zoraida" not in caplog.text


def test_a_row_that_breaks_the_code_is_given_up_at_last(rule: Delivery, clock: VirtualClock) -> None:
    """It does not come back for ever."""
    keep_number(rule, 0, handoff="not JSON")
    clock.time = NOW + 72 * 3600.0
    for _ in range(3):
        sweep(rule.writer, budget_s=120.0)
        clock.time += 900.0
    assert states(rule) == [State.FAILED]


def test_rows_that_only_waited_for_their_desk_come_forward(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Once something succeeds, what backed off because the desk was down need not wait its time."""
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
def test_rows_that_wait_for_themselves_do_not(rule: Delivery, given: dict[str, Any]) -> None:
    """What has a reason of its own to wait waits, and is not touched."""
    keep_number(rule, 0)
    row = keep_number(rule, 1, **{"due_at": NOW + 100.0, **given})
    sweep(rule.writer, budget_s=120.0)
    assert states(rule)[0] is State.CREATED
    assert next(one for one in rule.writer.ledger.each() if one.entry == row.entry) == row


def test_nothing_comes_forward_while_nothing_succeeds(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A desk that does not answer is asked for what is due, and no more."""
    fake.always = REFUSED
    keep_number(rule, 0)
    keep_number(rule, 1, cause=Cause.UNAVAILABLE, due_at=NOW + 100.0)
    sweep(rule.writer, budget_s=120.0)
    assert states(rule) == [State.NOT_CREATED] * 2
    assert [row.attempts for row in sorted(rule.writer.ledger.each(), key=lambda row: row.entry)] == [1, 0]


def test_a_note_does_not_come_forward(rule: Delivery) -> None:
    """Notes keep to their times."""
    keep_number(rule, 0)
    note = keep_number(rule, 0, entry=f"{0:08d}{'A' * 44}#B", cause=Cause.UNAVAILABLE, due_at=NOW + 100.0)
    sweep(rule.writer, budget_s=120.0)
    assert next(row for row in rule.writer.ledger.each() if row.is_note) == note


# One list for many


def test_one_list_serves_many_in_doubt(fake: FakeFreshdesk, rule: Delivery) -> None:
    """From three rows in doubt on, everybody's tickets are listed once: a page and the two boxes."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows[:-1]:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    sweep(rule.writer, budget_s=120.0)
    assert [call.method for call in fake.calls].count("GET") == 3
    assert (fake.posts, states(rule)) == (1, [State.CREATED] * len(rows))


def test_a_few_in_doubt_are_looked_for_one_by_one(fake: FakeFreshdesk, rule: Delivery) -> None:
    """For one or two rows, their own addresses cost less."""
    for number in range(2):
        fake.has(subject=f"x [{doubtful(rule, number).reference}]", email=EMAIL)
    keep_number(rule, 2)
    sweep(rule.writer, budget_s=120.0)
    assert all("email=" in call.path for call in fake.calls if call.method == "GET")
    assert fake.posts == 1


def test_a_list_too_long_is_left_for_the_addresses(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Where there are too many tickets to list, each row is looked for by its address."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    fake.headers["link"] = '<…>; rel="next"'
    sweep(rule.writer, budget_s=120.0)
    assert (fake.posts, states(rule)) == (0, [State.CREATED] * len(rows))


def test_a_list_that_fails_is_left_for_the_addresses(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Where the list was not to be had, the addresses are tried before anything is posted."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    fake.fates.extend([UNKNOWN, UNKNOWN])
    sweep(rule.writer, budget_s=120.0)
    assert (fake.posts, states(rule)) == (0, [State.CREATED] * len(rows))
