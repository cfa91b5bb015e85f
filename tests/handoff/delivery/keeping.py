"""Put rows into the ledger as earlier calls would leave them, and read what the ledger holds."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from freshdesk_client import FreshdeskUnreachable, OutcomeUnknown
from handoff.delivery import Delivery
from handoff.ledger import Entry, State
from handoff.routing import load_routing
from handoff.sweep import sweep
from tests.closing import sqlite_ledger
from tests.factories import handoff
from tests.ledger_factories import (
    NOW,
    ROUTING,
    FaultyLedger,
    Lost,
    entry,
    with_parts,
)

LOST = Lost(OutcomeUnknown("reset"))
UNKNOWN = OutcomeUnknown("time-out")
REFUSED = FreshdeskUnreachable("refused")
WAIT_S = 600.0
LEASE_S = 60.0
_TWO_BOTS = """\
default_bot = "betsur"
fallback_requester = "pedidos@example.com"
[default]
group_id = 1
priority = "low"
[bots.betsur]
name = "Betsur"
[bots.corp]
name = "Corp"
{account_line}
[desks.otra]
url = "https://otra.freshdesk.com"
"""
TOGETHER = load_routing(_TWO_BOTS.format(account_line=""))
APART = load_routing(_TWO_BOTS.format(account_line='desk = "otra"'))  # the second bot has its own account


def with_route(rule: Delivery, **fields: Any) -> Delivery:
    """Return the delivery with every route changed in this way."""
    routes = {
        bot: {name: replace(route, **fields) for name, route in named.items()} for bot, named in ROUTING.routes.items()
    }
    return with_parts(rule, routing=replace(ROUTING, routes=routes))


def down() -> FaultyLedger:
    """Return a ledger that never answers."""
    ledger = FaultyLedger(sqlite_ledger())
    ledger.always = "before"
    return ledger


def only_row(rule: Delivery) -> Entry:
    """Return the row of the only handoff."""
    (row,) = [one for one in rule.writer.ledger.each() if not one.is_note]
    return row


def notes_in(rule: Delivery) -> list[Entry]:
    """Return the rows of the notes."""
    return [one for one in rule.writer.ledger.each() if one.is_note]


def keep(rule: Delivery, **overrides: Any) -> Entry:
    """Put a row that is due now into the ledger, as an earlier call might leave it."""
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
    rule.writer.ledger.claim(row, now=NOW, tickets_an_hour=9)
    return row


def row_of(rule: Delivery, key: str = handoff().key) -> Entry:
    """Return the row of a handoff."""
    return next(one for one in rule.writer.ledger.each() if one.entry == key)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log messages that require a person to act."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def pass_over(rule: Delivery) -> dict[str, Any]:
    """Run one pass of the sweep and return what it did."""
    return sweep(rule.writer, budget_s=120.0).as_dict()


def keep_number(rule: Delivery, number: int, **overrides: Any) -> Entry:
    """Put a row that is due now into the ledger; each number is another handoff."""
    made = handoff(key=f"{number:08d}" + "A" * 44)
    given = {"entry": made.key, "reference": made.reference, "handoff": made.to_json(), "person": "", "due_at": NOW}
    row = entry(**{"state": State.NOT_CREATED, **given, **overrides})
    rule.writer.ledger.claim(row, now=NOW, tickets_an_hour=9)
    return row


def doubtful(rule: Delivery, number: int) -> Entry:
    """Put a row in doubt into the ledger whose wait is over."""
    return keep_number(rule, number, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)


def states(rule: Delivery) -> list[State]:
    """Return the states of the rows, in the order of their numbers."""
    return [row.state for row in sorted(rule.writer.ledger.each(), key=lambda row: row.entry)]
