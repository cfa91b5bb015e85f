"""What happened to each handoff. One protocol, two stores; the rules live in `delivery`, not here.

         claim (atomic)             POST answered 201
(none) ────────────────▶ creating ───────────────────────────▶ created       data erased; repeats get this ticket
                          │  │  │   certainly not written
                          │  │  └────────────────────────────▶ not_created   may be posted again
                          │  │      time-out, reset, 5xx, unreadable, or the lease ran out
                          │  └───────────────────────────────▶ in_doubt      look; post only after the wait
                          │         the address is refused
                          └──────────────────────────────────▶ rejected      15 minutes, then the fallback
not_created, in_doubt, rejected ── 72 hours ─────────────────▶ failed        kept, loud
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

logger = logging.getLogger("handoff.ledger")

ROW_LIFETIME_S: Final = 30 * 86_400.0
PERSON_WINDOW_S: Final = 3600.0


class LedgerUnavailable(Exception):
    """The store did not answer, or not in time. What was asked may have been done."""


class State(StrEnum):
    """Where a handoff (or a note) stands."""

    CREATING = "creating"
    CREATED = "created"
    NOT_CREATED = "not_created"
    IN_DOUBT = "in_doubt"
    REJECTED = "rejected"
    FAILED = "failed"


class Cause(StrEnum):
    """Why a row still waits: because of the account, which concerns every row, or because of itself."""

    NONE = ""
    UNAVAILABLE = "unavailable"  # the account does not answer, or there was no time left
    RATE_LIMIT = "rate-limit"
    ACCOUNT = "account"  # everybody is refused: a wrong key, a suspended account
    IN_DOUBT = "in-doubt"  # no certain answer to a POST, or no complete look
    REFUSED = "refused"  # its own content
    INVALID = "invalid"  # its own fields: the person may correct it
    WAITING = "waiting"  # for the end of the doubt, for a slot of the person's hour, for another row


_OF_THE_ACCOUNT: Final = frozenset({Cause.UNAVAILABLE, Cause.RATE_LIMIT, Cause.ACCOUNT, Cause.IN_DOUBT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row: a handoff, or a note (`entry` = the handoff's key, `#`, the fingerprint of the new words)."""

    reference: str
    entry: str
    state: State
    owner: str  # the call that wrote the row last
    version: int = 1
    created_at: float  # epoch seconds, as every time here
    due_at: float | None = None  # when the sweep should look; None: nothing is to be done
    give_up_at: float
    expires_at: float
    lifetime_s: float = ROW_LIFETIME_S  # how long the key holds once there is a ticket
    clear_until: float = 0.0  # what had been made by then would have been found
    doubt_since: float | None = None  # the end of the last call that may have written
    attempts: int = 0
    handoff: str = ""  # JSON; "" once there is a ticket
    fingerprint: str = ""
    person: str = ""  # hashes: the row outlives the data
    conversation: str = ""
    bot: str = ""
    category: str = ""
    account: str = ""
    group: str = ""
    priority: str = ""
    language: str = ""
    ticket_id: int | None = None
    refused: bool = False  # it came with faults: what there is of it, under the fallback requester if need be
    over_limit: bool = False  # past the person's hourly bound: joins their open ticket as a note
    cause: Cause = Cause.NONE
    dropped: tuple[str, ...] = ()  # the fields that Freshdesk refused; the ticket was made without them
    refused_field: str = ""  # `email` or `phone`, where Freshdesk refuses the person's
    rung: int = 0  # how plain the next ticket is to be; see `ticket.to_ticket`
    error: str = ""  # for the log and the operator, read back by nobody: a code, never text of the person

    @property
    def is_note(self) -> bool:
        """Tell whether this row is new words for a handoff that has a row of its own."""
        return "#" in self.entry

    @property
    def counts(self) -> bool:
        """Tell whether this row is about to become a ticket, and so takes a place of its person's hour."""
        return self.state is State.CREATING and not self.is_note

    @property
    def is_parked(self) -> bool:
        """Return True if only a person brings the row on: it was given up, or it can be filed under nobody."""
        nobody = self.state is State.REJECTED and (self.due_at is None or self.cause is Cause.ACCOUNT)
        return nobody or self.state is State.FAILED

    @property
    def waits_for_account(self) -> bool:
        """Return True if the row waits for the help desk account, not because of its own content."""
        return self.state in {State.NOT_CREATED, State.IN_DOUBT} and self.cause in _OF_THE_ACCOUNT

    @property
    def look_from(self) -> float:
        """The moment after which its ticket was made, if it was."""
        return max(self.created_at, self.clear_until)

    @property
    def waiting(self) -> bool:
        """Tell whether something is still to be done, or failed to be done."""
        return self.state is not State.CREATED

    def to_dict(self) -> dict[str, Any]:
        """Return the row's fields that hold something, as plain values."""
        values = ((stored, getattr(self, name)) for stored, name in _READ.items())
        return {
            name: value
            for name, value in values
            if value not in (None, "", ()) and value is not False and (name != "rung" or value)
        }

    @staticmethod
    def from_dict(row: dict[str, Any]) -> Entry:
        """Read what `to_dict` gave; fields this version does not know are passed over."""
        known = {_READ[stored]: value for stored, value in row.items() if stored in _READ}
        fields = {**known, **_cause_of(known), "state": State(known["state"])}
        return Entry(**{**fields, "dropped": tuple(fields.get("dropped", ()))})

    def to_json(self) -> str:
        """Return the row as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Entry:
        """Read what `to_json` wrote."""
        return Entry.from_dict(json.loads(text))


_NAMES: Final = tuple(f.name for f in fields(Entry))
_STORED: Final = {"account": "desk", "over_limit": "crowded"}  # rows of 1.0.0 have these names
_OWN_ERRORS: Final = ("refused: 400", "refused: fallback_requester", "note: 400", "note: 404", "note: 405")
_READ: Final = {_STORED.get(name, name): name for name in _NAMES}


def _cause_of(known: dict[str, Any]) -> dict[str, Any]:
    """Return cause, dropped and refused_field of a row; 1.0.0 had them only in its `error` text."""
    error, state = str(known.get("error", "")), known["state"]
    found: dict[str, Any] = {"cause": Cause(known.get("cause", ""))}
    if "cause" in known or not error:
        return found
    if error.startswith("without: "):
        found["dropped"] = error.removeprefix("without: ").split(", ")
    elif state == State.REJECTED:
        field = error.removeprefix("refused: ")
        found = {"cause": Cause.INVALID, "refused_field": field if field in {"email", "phone"} else ""}
    elif error.startswith(_OWN_ERRORS):
        found["cause"] = Cause.REFUSED
    elif error in {"crowded", "waiting", "invalid-handoff"}:
        found["cause"] = Cause.WAITING
    elif error.startswith("refused: "):
        found["cause"] = Cause.ACCOUNT
    else:
        found["cause"] = Cause.IN_DOUBT if state == State.IN_DOUBT else Cause.UNAVAILABLE
    return found


def read_row(text: str) -> Entry:
    """Read what `Entry.to_json` wrote.

    Raises:
        LedgerUnavailable: it is no row that this version knows; another version may have written it.
    """
    try:
        return Entry.from_json(text)
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerUnavailable("unreadable row") from error


def read_rows(texts: Iterable[str]) -> Iterator[Entry]:
    """Yield the rows that can be read; one that cannot must not hold up the others, and is told of loudly."""
    for text in texts:
        try:
            yield read_row(text)
        except LedgerUnavailable:
            logger.error("unreadable row")


class Claim(NamedTuple):
    """What a claim found: the row as it stands, whether the caller holds it, whether its person is past the bound."""

    entry: Entry
    mine: bool
    over_limit: bool = False


class Ledger(Protocol):
    """The store. Every method raises LedgerUnavailable when the store does not answer.

    Writing is safe to repeat: a call that took effect though its answer was lost succeeds again for the same owner.
    An expired row counts as absent, whether or not the store has removed it.
    """

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Insert entry in one atomic step unless there is a row already; count it against its person's hour."""
        ...

    def replace(self, old: Entry, new: Entry) -> bool:
        """Write new over old, if old is still what stands there. `new.version` must be `old.version + 1`."""
        ...

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """Return the rows under a reference: the handoff's first, then its notes."""
        ...

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """Return rows whose time has come by until, the longest due first.

        Fewer than limit only where there are no more: a row that cannot be read takes nobody's place.

        Args:
            until: epoch seconds.
            limit: how many at most.
            after: the last row of an earlier answer, as it was there: what comes behind its place then.
        """
        ...

    def in_conversation(self, conversation: str, *, now: float) -> list[Entry]:
        """Return the rows of one conversation."""
        ...

    def take_slot(self, person: str, *, now: float, tickets_an_hour: int) -> bool:
        """Take one of the person's places of this hour, if there is one left."""
        ...

    def each(self) -> Iterator[Entry]:
        """Yield every row, for the operator."""
        ...

    def delete(self, entry: Entry) -> None:
        """Remove the row."""
        ...

    def tidy(self, now: float) -> None:
        """Remove expired rows, where the store does not do so by itself."""
        ...

    def close(self) -> None:
        """Release what the store holds open; the next call opens it again."""
        ...
