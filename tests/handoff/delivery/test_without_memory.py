"""Delivery while the ledger fails or is down."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dev.local_freshdesk import LocalFreshdesk
from handoff.deadline import Deadline, SystemClock
from handoff.delivery import WITHOUT_LEDGER_S, Delivery, NothingKept
from handoff.ledger import LedgerUnavailable, State
from handoff.responses import Status
from handoff.ticket import REFUSED_REMARK
from handoff.transport import RequestsTransport
from tests.closing import sqlite_ledger
from tests.factories import REFERENCE, handoff
from tests.handoff.delivery.keeping import (
    LOST,
    UNKNOWN,
    down,
    only_row,
)
from tests.ledger_factories import (
    FakeFreshdesk,
    FaultyLedger,
    VirtualClock,
    answer,
    delivery,
    entry,
    refusal,
)

# The ledger fails


@pytest.mark.parametrize("fate", ["before", "after"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_short_fault_of_the_ledger_changes_nothing(fake: FakeFreshdesk, fate: str, times: int) -> None:
    """After one lost answer, or three, the claim is sent again, and its place in the hour is counted once."""
    ledger = FaultyLedger(sqlite_ledger(), *[fate] * times)
    rule = delivery(clock=fake.clock, transport=fake, ledger=ledger, tickets_an_hour=1)
    assert rule.deliver(handoff()).status is Status.CREATED
    assert (len(fake.calls), only_row(rule).state) == (1, State.CREATED)


def test_without_a_ledger_a_ticket_is_still_created(fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """The person comes first: one search, one POST, and an error for the alarm."""
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    assert rule.deliver(handoff()).status is Status.CREATED
    assert [call.method for call in fake.calls] == ["GET", "POST"]
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == ["ledger down"]


def test_without_a_ledger_a_repeat_finds_its_ticket(fake: FakeFreshdesk) -> None:
    """The search before the POST prevents a second ticket."""
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    rule.deliver(handoff())
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.ticket_id, len(fake.tickets)) == (Status.DUPLICATE, 1, 1)


def test_without_a_ledger_new_words_join_the_ticket(fake: FakeFreshdesk) -> None:
    """It is not known whether they are new: they become a note, or the answer says that nothing was kept."""
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    rule.deliver(handoff())
    assert rule.deliver(handoff(reason="otras palabras")).status is Status.DUPLICATE
    assert [(number, "otras palabras" in html) for number, html in fake.notes] == [(1, True)]
    fake.fates.extend([None, UNKNOWN])
    with pytest.raises(NothingKept):
        rule.deliver(handoff(reason="y otras"))


def test_without_a_ledger_a_lost_answer_is_found(fake: FakeFreshdesk) -> None:
    """A POST whose answer is lost is followed by a search here, too."""
    fake.fates.extend([None, LOST])
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    assert rule.deliver(handoff()).status is Status.CREATED
    assert len(fake.tickets) == 1


@pytest.mark.parametrize(
    "fates", [[UNKNOWN] * 2, [None, UNKNOWN], [None, *[UNKNOWN] * 3], [None, answer(401)], [None, refusal("email")]]
)
def test_without_a_ledger_and_an_account_nothing_is_kept(fake: FakeFreshdesk, fates: list[Any]) -> None:
    """The answer says so, and the caller sends the request again."""
    fake.fates.extend(fates)
    with pytest.raises(NothingKept):
        delivery(clock=fake.clock, transport=fake, ledger=down()).deliver(handoff())


def test_a_refused_request_needs_the_ledger(fake: FakeFreshdesk) -> None:
    """The answer does not say "kept" if the request could not be kept."""
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    with pytest.raises(NothingKept):
        rule.keep_refused(handoff())
    with pytest.raises(NothingKept):
        rule.look_up(REFERENCE)


def test_new_words_need_the_ledger(fake: FakeFreshdesk) -> None:
    """The answer does not say "kept" if the words could not be kept."""
    ledger = FaultyLedger(sqlite_ledger())
    rule = delivery(clock=fake.clock, transport=fake, ledger=ledger)
    rule.deliver(handoff())
    ledger.fates.extend(["", "", *["before"] * 4])
    with pytest.raises(NothingKept):
        rule.deliver(handoff(reason="algo nuevo"))


def test_a_correction_needs_the_ledger(fake: FakeFreshdesk) -> None:
    """A correction that could not be claimed is not posted: another call may be working on its row."""
    ledger = FaultyLedger(sqlite_ledger())
    rule = delivery(clock=fake.clock, transport=fake, ledger=ledger)
    rule.keep_refused(handoff(user_email=""))
    ledger.fates.extend(["", "", *["before"] * 4])
    with pytest.raises(NothingKept):
        rule.deliver(handoff())
    assert fake.calls == []


def test_a_ledger_that_fails_while_settling_does_not_change_the_answer(
    fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture
) -> None:
    """The ticket exists, so the person gets its number; the row is written when the ledger is back."""
    ledger = FaultyLedger(sqlite_ledger(), *["before"] * 4, only="replace")
    rule = delivery(clock=fake.clock, transport=fake, ledger=ledger)
    assert rule.deliver(handoff()).status is Status.CREATED
    assert rule.writer.ledger.recover() == 1
    assert (only_row(rule).state, only_row(rule).ticket_id) == (State.CREATED, 1)
    assert [record.levelname for record in caplog.records if "settling" in record.getMessage()] == ["ERROR"]


def test_a_row_settled_by_another_caller_is_left_alone(fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """The caller that is too late logs it, and changes nothing."""
    rule = delivery(clock=fake.clock, transport=fake)
    fresh = entry(entry=handoff().key, handoff=handoff().to_json())
    rule.writer.create_ticket(fresh, handoff(), rule.writer.deadline())
    assert list(rule.writer.ledger.each()) == []
    assert [record.levelname for record in caplog.records if record.getMessage() == "settled by another"] == ["WARNING"]


def test_a_locked_ledger_leaves_time_for_the_ticket(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """A store that hangs must not use up the deadline: the person still gets a ticket in time."""
    ledger = sqlite_ledger(tmp_path / "ledger.db")
    assert list(ledger.each()) == []
    clock = SystemClock()
    transport = RequestsTransport(freshdesk.url, "local-freshdesk-key")
    rule = delivery(clock=clock, transport=transport, ledger=ledger, deadline_s=12.0)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began_at = clock.monotonic()
        assert rule.deliver(handoff()).status is Status.CREATED
        assert clock.monotonic() - began_at < 12.0
    assert len(freshdesk.tickets()) == 1


# How long delivery waits for its ledger


def calls_of(rule: Delivery, clock: VirtualClock, *, taking_s: float, left_s: float = 12.0) -> list[float]:
    """Return when a ledger that fails after so many seconds is called, in seconds from the first call."""
    began_at, asked = clock.time, list[float]()

    def fail() -> None:
        asked.append(clock.time - began_at)
        clock.time += taking_s
        raise LedgerUnavailable

    with pytest.raises(LedgerUnavailable):
        rule.writer.with_retries(fail, Deadline(clock, left_s))
    return asked


@pytest.mark.parametrize(
    ("taking_s", "left_s", "calls"),
    [
        (0.0, 12.0, [0.0, 0.05, 0.25, 0.75]),
        (1.2, 12.0, [0.0, 1.25]),  # two seconds are over: the ticket is more important than the ledger
        (2.0, 12.0, [0.0, 2.05]),
        (2.1, 12.0, [0.0]),
        (0.0, 0.5, [0.0, 0.05, 0.25]),  # never past the deadline
        (0.0, 0.02, [0.0]),
    ],
)
def test_a_failing_ledger_is_called_again_within_bounds(
    rule: Delivery, clock: VirtualClock, taking_s: float, left_s: float, calls: list[float]
) -> None:
    """A store that hangs leaves most of the deadline to Freshdesk."""
    assert calls_of(rule, clock, taking_s=taking_s, left_s=left_s) == pytest.approx(calls)


def test_a_ticket_made_without_a_ledger_mentions_no_faults(fake: FakeFreshdesk) -> None:
    """It is a valid handoff; the search before it covers one day."""
    delivery(clock=fake.clock, transport=fake, ledger=down()).deliver(handoff())
    assert REFUSED_REMARK not in fake.tickets[0]["description"]
    assert WITHOUT_LEDGER_S == 86_400.0
