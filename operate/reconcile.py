"""Pure: compares the ledger's rows with Freshdesk's tickets. Every handoff must have exactly one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from freshdesk_client import Listed
from handoff.helpdesk import is_ticket_of
from handoff.inbound import BODY_KEY_LIFETIME_S
from handoff.ledger import Entry, State
from handoff.marks import reference_of

DELETED: Final = "deleted"


class Ticket(NamedTuple):
    """A ticket, and the list that it is in: "", "spam" or "deleted"."""

    row: Listed
    box: str


@dataclass(slots=True)
class Tickets:
    """The tickets of one help desk account, by number and by reference."""

    by_number: dict[int, Ticket] = field(default_factory=dict)
    by_reference: defaultdict[str, dict[int, Ticket]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, box: str, row: Listed) -> None:
        """Add a ticket; one that is listed twice, because the list moved, counts once."""
        self.by_number[row.ticket_id] = Ticket(row, box)
        if reference := reference_of(row):
            self.by_reference[reference][row.ticket_id] = Ticket(row, box)

    def of(self, entry: Entry) -> dict[int, Ticket]:
        """Return the tickets with the row's reference, as `helpdesk.is_ticket_of` decides."""
        found = self.by_reference.get(entry.reference, {})
        return {
            number: one for number, one in found.items() if is_ticket_of(one.row, entry.reference, entry.created_at)
        }


@dataclass(slots=True)
class Drift:
    """The findings of the audit, as plain values."""

    handoffs: int = 0
    with_one: int = 0
    waiting: int = 0
    tickets: int = 0
    missing: list[dict[str, Any]] = field(default_factory=list)
    doubles: list[dict[str, Any]] = field(default_factory=list)
    parked: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[dict[str, Any]] = field(default_factory=list)
    in_spam: list[dict[str, Any]] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Return True if a person must act."""
        return bool(self.missing or self.doubles or self.parked or self.unknown)

    @property
    def tickets_per_handoff(self) -> float | None:
        """Tickets for each finished handoff; None if there are no such handoffs."""
        return round(self.tickets / self.handoffs, 4) if self.handoffs else None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "handoffs": self.handoffs,
            "with_one_ticket": self.with_one,
            "tickets_per_handoff": self.tickets_per_handoff,
            "waiting": self.waiting,
            "missing": self.missing,
            "doubles": self.doubles,
            "parked": self.parked,
            "unknown": self.unknown,
            "in_spam": self.in_spam,
            "drift": self.any,
        }


def reconcile(
    rows: Iterable[tuple[str, Entry]], listed: Mapping[str, Tickets], gone: frozenset[tuple[str, int]]
) -> Drift:
    """Return the differences between rows and tickets.

    Args:
        rows: (account's URL, row) of every row that is not over.
        listed: tickets by account's URL.
        gone: (account's URL, number) of tickets that rows name and Freshdesk says do not exist.
    """
    drift, rows = Drift(), list(rows)
    of_others = _numbers_by_reference(rows)
    for helpdesk, entry in rows:
        if entry.is_parked:
            drift.parked.append(_named(entry, state=str(entry.state), note=entry.is_note, error=entry.error))
        elif entry.waiting:
            drift.waiting += not entry.is_note
        if not entry.is_note:
            others = of_others[helpdesk, entry.reference] - {entry.ticket_id}
            tickets = {n: one for n, one in listed[helpdesk].of(entry).items() if n not in others}
            _count(drift, entry, tickets, exists=(helpdesk, entry.ticket_id) not in gone)
    return drift


def _numbers_by_reference(rows: Iterable[tuple[str, Entry]]) -> defaultdict[tuple[str, str], set[int | None]]:
    """Return the tickets named by rows of one reference: two keys may share their first eight characters."""
    found: defaultdict[tuple[str, str], set[int | None]] = defaultdict(set)
    for helpdesk, entry in rows:
        if not entry.is_note:
            found[helpdesk, entry.reference].add(entry.ticket_id)
    return found


def _count(drift: Drift, entry: Entry, tickets: Mapping[int, Ticket], *, exists: bool) -> None:
    """Count one handoff. A deleted ticket is not to be merged any more, but counts as the handoff's."""
    numbers = set(tickets) | ({entry.ticket_id} if entry.ticket_id and exists else set())
    standing = {number for number in numbers if number not in tickets or tickets[number].box != DELETED}
    if len(standing) > 1:
        first, *rest = sorted(number for number in standing if number)
        drift.doubles.append(
            _named(entry, tickets=[first, *rest], merge=f"{', '.join(f'#{n}' for n in rest)} into #{first}")
        )
    if entry.state is not State.CREATED:
        return
    drift.handoffs += 1
    drift.tickets += max(len(standing), min(len(numbers), 1))
    drift.with_one += len(numbers) > 0 and len(standing) <= 1
    if not numbers:
        drift.missing.append(_named(entry, ticket_id=entry.ticket_id))
    spam = [number for number, one in tickets.items() if one.box == "spam"]
    if spam:
        drift.in_spam.append(_named(entry, tickets=spam))


def _named(entry: Entry, **more: Any) -> dict[str, Any]:
    return {"reference": entry.reference, "bot": entry.bot, "category": entry.category, **more}


def unclaimed(listed: Tickets, known: frozenset[str], now: float) -> list[dict[str, Any]]:
    """Return the tickets whose reference no row has, though every row of that age must still exist.

    A row without ids of conversation and message is over after a day: an older ticket says nothing.
    """
    return [
        {"reference": reference, "ticket_id": number}
        for reference, tickets in sorted(listed.by_reference.items())
        for number, one in sorted(tickets.items())
        if reference not in known and one.box != DELETED and _is_young(one.row.created_at, now)
    ]


def _is_young(created_at: float, now: float) -> bool:
    """Return True if a ticket is, or may be, younger than a day: an unreadable date is 0.0."""
    return created_at == 0.0 or now - created_at < BODY_KEY_LIFETIME_S
