"""A ledger around another, for those that change one thing about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handoff.ledger import Claim, Entry, Ledger


@dataclass(frozen=True, slots=True)
class Around:
    """A ledger around another; a child takes something out of it."""

    inner: Ledger

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """See `ledger.Ledger.claim`."""
        return self.inner.claim(entry, now=now, tickets_an_hour=tickets_an_hour)

    def replace(self, old: Entry, new: Entry) -> bool:
        """See `ledger.Ledger.replace`."""
        return self.inner.replace(old, new)

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.find`."""
        return self.inner.find(reference, now=now)

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """See `ledger.Ledger.due`."""
        return self.inner.due(until, limit, after)

    def in_conversation(self, conversation: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.in_conversation`."""
        return self.inner.in_conversation(conversation, now=now)

    def take_slot(self, person: str, entry: Entry, *, now: float, tickets_an_hour: int) -> bool:
        """See `ledger.Ledger.take_slot`."""
        return self.inner.take_slot(person, entry, now=now, tickets_an_hour=tickets_an_hour)

    def with_slot(self, person: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.with_slot`."""
        return self.inner.with_slot(person, now=now)

    def each(self) -> Iterator[Entry]:
        """See `ledger.Ledger.each`."""
        return self.inner.each()

    def delete(self, entry: Entry) -> None:
        """See `ledger.Ledger.delete`."""
        self.inner.delete(entry)

    def tidy(self, now: float) -> None:
        """See `ledger.Ledger.tidy`."""
        self.inner.tidy(now)

    def check(self) -> None:
        """See `ledger.Ledger.check`."""
        self.inner.check()

    def migrate(self) -> int:
        """See `ledger.Ledger.migrate`."""
        return self.inner.migrate()

    def remember(self, entry: Entry, *, now: float) -> None:
        """See `ledger.Ledger.remember`."""
        self.inner.remember(entry, now=now)

    def recover(self) -> int:
        """See `ledger.Ledger.recover`."""
        return self.inner.recover()

    def had_outage(self, now: float) -> bool:
        """See `ledger.Ledger.had_outage`."""
        return self.inner.had_outage(now)

    def close(self) -> None:
        """See `ledger.Ledger.close`."""
        self.inner.close()
