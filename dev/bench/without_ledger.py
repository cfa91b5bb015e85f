"""The function without a memory, where a repeat is a second ticket: what remembering costs."""

from handoff.ledger import Claim, Entry
from handoff.ledger.sqlite import SQLiteLedger
from main import create_ticket

__all__ = ["create_ticket"]


def _claim(_ledger: SQLiteLedger, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:  # noqa: ARG001 -- forgets
    return Claim(entry, mine=True)


def _replace(_ledger: SQLiteLedger, _old: Entry, _new: Entry) -> bool:
    return True


SQLiteLedger.claim = _claim  # type: ignore[assignment,method-assign]  # a guard is taken out on purpose
SQLiteLedger.replace = _replace  # type: ignore[assignment,method-assign]  # as above
