"""What delivery logs, and controls: tests that show what breaks without a protection."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from handoff.delivery import Delivery
from handoff.ledger import Claim, Entry
from handoff.routing import Route
from tests.closing import sqlite_ledger
from tests.factories import CANARIES, EMAIL, PHONE, REFERENCE, handoff
from tests.handoff.delivery.keeping import (
    LOST,
    REFUSED,
    UNKNOWN,
    with_route,
)
from tests.ledger_factories import (
    FakeFreshdesk,
    FaultyLedger,
    VirtualClock,
    answer,
    busy,
    delivery,
    refusal,
)

# The log


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the log lines about handoffs."""
    return [record for record in caplog.records if record.getMessage() == "handoff"]


def test_a_handoff_leaves_one_line(fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture) -> None:
    """It has exactly the agreed fields, with the durations."""
    caplog.set_level(logging.INFO, "handoff")
    fake.taking_s = 0.25
    rule.deliver(handoff())
    (line,) = lines(caplog)
    fields = {name: value for name, value in vars(line).items() if name not in vars(logging.makeLogRecord({}))}
    fields.pop("message")
    assert fields == {
        "reference": REFERENCE,
        "bot": "betsur",
        "category": "retiros",
        "group": "Retiros",
        "outcome": "created",
        "state": "created",
        "attempts": 1,
        "cause": "",
        "error": "",
        "freshdesk_ms": 250.0,
        "total_ms": 250.0,
    }
    assert line.levelname == "INFO"


def test_a_ticket_without_a_field_is_a_warning(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """The routing file needs a correction, but it is not urgent."""
    fake.fates.append(refusal("group_id"))
    rule.deliver(handoff(category="nunca vista"))
    (line,) = lines(caplog)
    assert (line.levelname, vars(line)["category"]) == ("WARNING", "sin-categoria")


def test_no_log_line_contains_personal_data(fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, the log contains none of the person's words or addresses."""
    caplog.set_level(logging.DEBUG)
    fates: list[Any] = [refusal("email"), refusal("phone", "group_id"), UNKNOWN, LOST, REFUSED, busy(900), answer(401)]
    for number, fate in enumerate(fates):
        fake.fates.append(fate)
        rule = delivery(clock=fake.clock, transport=fake, ledger=FaultyLedger(sqlite_ledger(), "before"))
        rule.deliver(handoff(key=f"{number:052d}", user_phone=PHONE))
    logged = "\n".join(str(vars(record)) for record in caplog.records)
    assert len(lines(caplog)) == len(fates)
    assert [canary for canary in (*CANARIES, EMAIL) if canary in logged] == []


# Controls: without the protection, the promise is broken


def test_control_without_the_claim_two_tickets_are_made(fake: FakeFreshdesk) -> None:
    """A ledger that grants every claim makes one ticket for each copy, so the claim is what prevents it."""

    class LetsIn(FaultyLedger):
        def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
            assert now
            assert tickets_an_hour
            return Claim(entry, mine=True)

    rule = delivery(clock=fake.clock, transport=fake, ledger=LetsIn(sqlite_ledger()))
    rule.deliver(handoff())
    rule.deliver(handoff())
    assert len(fake.tickets) == 2


def test_control_with_route_changes_the_routes() -> None:
    """The tests of refused fields rely on changed routes."""
    changed = with_route(delivery(clock=VirtualClock(), transport=FakeFreshdesk(VirtualClock())), group_id=1)
    route: Route = changed.writer.routing.route("betsur", "retiros")
    assert route.group_id == 1
