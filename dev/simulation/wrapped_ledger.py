"""A ledger around another, for those that change one thing about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from handoff.ledger import Claim, Entry, Ledger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WrappedLedger:
    """A ledger around another; a child changes a method, or `_call`, through which the calls of a request go."""

    inner: Ledger

    def _call(self, _what: str, _entry: Entry | None, call: Callable[[], T]) -> T:
        return call()

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """See `ledger.Ledger.claim`."""
        return self._call("claim", entry, lambda: self.inner.claim(entry, now=now, tickets_an_hour=tickets_an_hour))

    def replace(self, old: Entry, new: Entry) -> bool:
        """See `ledger.Ledger.replace`."""
        return self._call(f"{old.state} → {new.state} {new.error}", new, lambda: self.inner.replace(old, new))

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.find`."""
        return self._call("find", None, lambda: self.inner.find(reference, now=now))

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """See `ledger.Ledger.due`."""
        return self._call("due", None, lambda: self.inner.due(until, limit, after))

    def in_conversation(self, conversation: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.in_conversation`."""
        return self._call("in_conversation", None, lambda: self.inner.in_conversation(conversation, now=now))

    def take_slot(self, person: str, entry: Entry, *, now: float, tickets_an_hour: int) -> bool:
        """See `ledger.Ledger.take_slot`."""
        return self._call(
            "take_slot", None, lambda: self.inner.take_slot(person, entry, now=now, tickets_an_hour=tickets_an_hour)
        )

    def with_slot(self, person: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.with_slot`."""
        return self._call("with_slot", None, lambda: self.inner.with_slot(person, now=now))

    def delete(self, entry: Entry) -> None:
        """See `ledger.Ledger.delete`."""
        self._call("delete", entry, lambda: self.inner.delete(entry))

    def tidy(self, now: float) -> None:
        """See `ledger.Ledger.tidy`."""
        self._call("tidy", None, lambda: self.inner.tidy(now))

    def had_outage(self, now: float) -> bool:
        """See `ledger.Ledger.had_outage`."""
        return self._call("had_outage", None, lambda: self.inner.had_outage(now))

    def each(self) -> Iterator[Entry]:
        """See `ledger.Ledger.each`."""
        return self.inner.each()

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

    def close(self) -> None:
        """See `ledger.Ledger.close`."""
        self.inner.close()
