"""The ledger in memory, with the same contract as the stores: fast enough for ten thousand handoffs a second."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from handoff.ledger import PERSON_WINDOW_S, WORDS_WINDOW_S, Claim, Entry, bounded, files_of, named_by
from handoff.ledger.outage import Remembering

Key = tuple[str, str]


class MemoryLedger(Remembering):
    """Rows in dictionaries; what is due in a sorted list. Every call is one atomic step."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[Key, Entry] = {}
        self._due: list[tuple[float, Key]] = []
        self._conversations: dict[str, set[Key]] = defaultdict(set)
        self._references: dict[str, set[Key]] = defaultdict(set)
        self._places: dict[str, list[tuple[float, Key]]] = defaultdict(list)
        self._words: dict[str, tuple[Key, float]] = {}
        self._last_outage: float | None = None

    def check(self) -> None:
        """See `ledger.Ledger.check`."""

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """See `ledger.Ledger.claim`."""
        self.recover()
        entry = bounded(entry)
        standing = self._live(_key(entry), now)
        if standing and not standing.alias_of and standing.owner != entry.owner:
            return Claim(standing, mine=False)
        holder = named_by(standing.alias_of) if standing and standing.alias_of else None
        if standing is None:
            holder = self._holder_of_words(entry, now)
        first = self._live(holder, now) if holder else None
        if first is not None:
            if standing is None:
                self._put(entry.alias(f"{first.reference} {first.entry}"))
            return Claim(first, mine=False, same_words=True)
        over_limit = entry.counts and not self.take_slot(
            entry.limited_by, entry, now=now, tickets_an_hour=tickets_an_hour
        )
        self._put(entry)
        if entry.shares_words and (standing is None or standing.alias_of):
            self._words[entry.words] = (_key(entry), entry.created_at + WORDS_WINDOW_S)
        return Claim(entry, mine=True, over_limit=over_limit)

    def replace(self, old: Entry, new: Entry) -> bool:
        """See `ledger.Ledger.replace`."""
        new = bounded(new)
        standing = self._rows.get(_key(old))
        if standing == new:
            return True
        if standing is None or (standing.version, standing.owner) != (old.version, old.owner):
            return False
        self._put(new)
        for file in files_of(old, new):
            if _key(file) not in self._rows:
                self._put(file)
        return True

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.find`."""
        self.recover()
        live = [row for key in sorted(self._references[reference]) if (row := self._live(key, now))]
        firsts = (self._live(named_by(row.alias_of), now) if row.alias_of else row for row in live)
        return list({_key(row): row for row in firsts if row is not None}.values())

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """See `ledger.Ledger.due`."""
        self.recover()
        start = 0 if after is None or after.due_at is None else bisect_right(self._due, (after.due_at, _key(after)))
        found: list[Entry] = []
        kept: list[tuple[float, Key]] = []
        for place, (due_at, key) in enumerate(self._due[start:], start):
            if due_at > until or len(found) == limit:
                kept += self._due[place:]
                break
            row = self._rows.get(key)
            if row is not None and row.due_at == due_at:  # else the place is from an older version of the row
                found.append(row)
                kept.append((due_at, key))
        self._due[start:] = kept
        return found

    def in_conversation(self, conversation: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.in_conversation`."""
        rows = [self._live(key, now) for key in sorted(self._conversations[conversation])] if conversation else []
        return sorted((row for row in rows if row is not None), key=lambda row: row.created_at)

    def take_slot(self, person: str, entry: Entry, *, now: float, tickets_an_hour: int) -> bool:
        """See `ledger.Ledger.take_slot`."""
        if not person:
            return True
        taken = [place for place in self._places[person] if place[0] > now - PERSON_WINDOW_S]
        if any(key == _key(entry) for _, key in taken):
            return True
        if len(taken) >= tickets_an_hour:
            return False
        self._places[person] = [*taken, (now, _key(entry))]
        return True

    def with_slot(self, person: str, *, now: float) -> list[Entry]:
        """See `ledger.Ledger.with_slot`."""
        rows = [self._live(key, now) for at, key in self._places[person] if at > now - PERSON_WINDOW_S]
        return [row for row in rows if row is not None]

    def each(self) -> Iterator[Entry]:
        """See `ledger.Ledger.each`."""
        self.recover()
        yield from [row for row in self._rows.values() if not row.alias_of]

    def delete(self, entry: Entry) -> None:
        """See `ledger.Ledger.delete`."""
        key = _key(entry)
        if self._rows.pop(key, None) is not None:
            self._references[entry.reference].discard(key)
            self._conversations[entry.conversation].discard(key)

    def tidy(self, now: float) -> None:
        """See `ledger.Ledger.tidy`; a history is too short for anything to expire."""

    def migrate(self) -> int:
        """See `ledger.Ledger.migrate`."""
        return 0

    def close(self) -> None:
        """See `ledger.Ledger.close`."""

    def _store_outage(self, at: float) -> None:
        self._last_outage = max(at, self._last_outage or at)

    def _stored_outage(self) -> float | None:
        return self._last_outage

    def _live(self, key: Key, now: float) -> Entry | None:
        row = self._rows.get(key)
        return None if row is None or row.is_over(now) else row

    def _holder_of_words(self, entry: Entry, now: float) -> Key | None:
        holder, until = self._words.get(entry.words, (_key(entry), 0.0))
        return holder if entry.shares_words and until > now and holder != _key(entry) else None

    def _put(self, entry: Entry) -> None:
        key = _key(entry)
        self._rows[key] = entry
        self._references[entry.reference].add(key)
        self._conversations[entry.conversation].add(key)
        if entry.due_at is not None:
            due = (entry.due_at, key)
            place = bisect_left(self._due, due)
            if self._due[place : place + 1] != [due]:
                self._due.insert(place, due)


def _key(entry: Entry) -> Key:
    return entry.reference, entry.entry
