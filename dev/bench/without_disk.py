"""The function with a ledger that does not wait for the disk, where a power cut undoes claims: what waiting costs."""

import sqlite3

from handoff.ledger.sqlite import SQLiteLedger
from main import create_ticket

__all__ = ["create_ticket"]
_open = SQLiteLedger._open  # noqa: SLF001 -- a guard is taken out on purpose


def _careless(ledger: SQLiteLedger) -> sqlite3.Connection:
    fresh = ledger._connection is None  # noqa: SLF001 -- as above
    db = _open(ledger)
    if fresh:
        db.execute("PRAGMA synchronous = OFF")
    return db


SQLiteLedger._open = _careless  # type: ignore[assignment,method-assign]  # noqa: SLF001 -- as above
