"""Pure: what the caller is told of a handoff."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from handoff.ledger import Entry, State


class Status(StrEnum):
    """How a handoff stands, for the caller."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    QUEUED = "queued"
    REJECTED = "rejected"
    FAILED = "failed"

    @staticmethod
    def of(entry: Entry) -> Status:
        """Return how to call a row's state; a refused request that nobody can answer any more has failed."""
        if entry.state is State.CREATED:
            return Status.CREATED
        parked = entry.state is State.REJECTED and entry.due_at is None
        return Status.FAILED if parked or entry.state is State.FAILED else Status.QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a handoff, without any of the person's data."""

    status: Status
    reference: str
    ticket_id: int | None = None
    ticket_url: str = ""
    group: str = ""
    priority: str = ""
    language: str = ""
    dropped: tuple[str, ...] = ()
    new_words: bool = False
    bad_field: str = ""
