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


def test_a_row_that_cannot_be_read_holds_up_no_other(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """Lists go on without it, loudly; asked for by itself, the ledger counts as down."""
    strange = FromTomorrow(**{f.name: getattr(number(1), f.name) for f in fields(Entry)})
    claim(ledger, strange)
    claim(ledger, number(2))
    assert [row.reference for row in ledger.due(NOW + 60.0, 10)] == [number(2).reference]
    assert [row.reference for row in ledger.each()] == [number(2).reference]
    assert [row.reference for row in ledger.due(NOW + 60.0, 1)] == [number(2).reference]
    told = [record.getMessage() for record in caplog.records if record.name == "handoff.ledger"]
    assert told == ["unreadable row"] * 3
    with pytest.raises(LedgerUnavailable, match="unreadable row"):
        claim(ledger, number(1, owner="another"))
