"""What a test opens is closed when the test ends, whatever it ends with."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol, TypeVar

from handoff.ledger.sqlite import SQLiteLedger

AT_END: Final = ExitStack()  # a fixture in tests/conftest.py closes it after every test


class Closable(Protocol):
    """A ledger, a session, a client."""

    def close(self) -> None:
        """Release what it holds."""
        ...


C = TypeVar("C", bound=Closable)


def closed_at_end(opened: C) -> C:
    """Return what was opened; the running test closes it."""
    AT_END.callback(opened.close)
    return opened


def sqlite_ledger(path: str | Path = ":memory:") -> SQLiteLedger:
    """Return a ledger that the running test closes."""
    return closed_at_end(SQLiteLedger(path))
