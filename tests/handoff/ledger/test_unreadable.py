"""Rows that another version of the code wrote."""

from __future__ import annotations

from dataclasses import fields

import pytest

from handoff.ledger import Entry, Ledger, LedgerUnavailable
from tests.handoff.ledger.test_contract import claim, number
from tests.ledger_factories import NOW


class FromTomorrow(Entry):
    """A row that a later version wrote."""

    def to_json(self) -> str:
        """Return what this version cannot read."""
        return '{"state": "teleported"}'


def test_an_unreadable_row_does_not_affect_others(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """Lists leave it out and log it; if it is read by itself, the ledger counts as down."""
    strange = FromTomorrow(**{f.name: getattr(number(1), f.name) for f in fields(Entry)})
    claim(ledger, strange)
    claim(ledger, number(2))
    assert [row.reference for row in ledger.due(NOW + 60.0, 10)] == [number(2).reference]
    assert [row.reference for row in ledger.each()] == [number(2).reference]
    assert [row.reference for row in ledger.due(NOW + 60.0, 1)] == [number(2).reference]
    messages = [record.getMessage() for record in caplog.records if record.name == "handoff.ledger"]
    assert messages == ["unreadable row"] * 3
    with pytest.raises(LedgerUnavailable, match="unreadable row"):
        claim(ledger, number(1, owner="another"))
