"""What happened to each handoff. One protocol, two stores; the rules live in `delivery`, not here.

         claim (atomic)             POST answered 201
(none) ────────────────▶ creating ───────────────────────────▶ created       data erased; repeats get this ticket
                          │  │  │   certainly not written
                          │  │  └────────────────────────────▶ not_created   may be posted again
                          │  │      time-out, reset, 5xx, unreadable, or the lease ran out
                          │  └───────────────────────────────▶ in_doubt      look; post only after the wait
                          │         the address is refused
                          └──────────────────────────────────▶ rejected      15 minutes, then the fallback
not_created, in_doubt, rejected ── 72 hours ─────────────────▶ failed        kept; logged as an error

A row expires only once it has a ticket. A handoff that repeats the words of another within 15 minutes gets no row of
its own but an alias: a row that names the first one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from handoff.parts import digest_of
from handoff.sanitize import cut

logger = logging.getLogger("handoff.ledger")

ROW_LIFETIME_S: Final = 30 * 86_400.0
PERSON_WINDOW_S: Final = 3600.0
WORDS_WINDOW_S: Final = 900.0  # the same words come again within this time of the first: the same handoff
OUTAGE_WINDOW_S: Final = 86_400.0
ROW_MAX_BYTES: Final = 350_000  # DynamoDB takes 400 KB an item, with its attributes and their names
ERROR_MAX: Final = 500
DROPPED_MAX: Final = 50


class LedgerUnavailable(Exception):
    """The store did not answer, or not in time, or not as this store answers. What was asked may have been done."""


class LedgerBusy(LedgerUnavailable):
    """The store answers, and asks to be called more slowly."""


class LedgerMissing(LedgerUnavailable):
    """The store is not where it should be, and may not be made."""


class LedgerTooNew(LedgerUnavailable):
    """The store was laid out by a newer version of this code."""


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


_FILE: Final = "#file:"
FILE_GIVE_UP_S: Final = 7 * 86_400.0  # the links of most files live for 30 days
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
    expires_at: float  # counts only once the row has a ticket, and for an alias
    lifetime_s: float = ROW_LIFETIME_S  # how long the key holds once there is a ticket
    clear_until: float = 0.0  # what had been made by then would have been found
    doubt_since: float | None = None  # the end of the last call that may have written
    attempts: int = 0
    handoff: str = ""  # JSON; "" once there is a ticket
    fingerprint: str = ""
    person: str = ""  # hashes: the row outlives the data
    identity: str = ""  # `identity.Identity.to_text`
    mailbox: str = ""
    conversation: str = ""
    matter: str = ""  # `Handoff.matter` and `Handoff.named`: by these a good handoff settles a refused one
    named: str = ""
    words: str = ""  # hash of what makes two handoffs the same words; "": not compared
    bot: str = ""
    category: str = ""
    account: str = ""
    group: str = ""
    priority: str = ""
    language: str = ""
    ticket_id: int | None = None
    on_ticket: int | None = None  # of a file's row: the ticket that the file belongs to
    refused: bool = False  # it came with faults: what there is of it, under the fallback requester if need be
    over_limit: bool = False  # past the person's hourly bound: joins their open ticket as a note
    cause: str = Cause.NONE  # a `Cause`; a newer version may know others
    dropped: tuple[str, ...] = ()  # the fields that Freshdesk refused; the ticket was made without them
    refused_field: str = ""  # `email` or `phone`, where Freshdesk refuses the person's
    rung: int = 0  # how plain the next ticket is to be; see `ticket.to_ticket`
    alias_of: str = ""  # "REFERENCE KEY" of the row that holds the same words
    error: str = ""  # for the log and the operator, read back by nobody: a code, never text of the person

    @property
    def is_note(self) -> bool:
        """Return True if this row is new words for a handoff that has a row of its own."""
        return "#" in self.entry

    @property
    def is_file(self) -> bool:
        """Return True if this row is a file of a handoff, to be added to its ticket; such a row is a note, too."""
        return _FILE in self.entry

    @property
    def counts(self) -> bool:
        """Return True if this row is about to become a ticket, and so takes a place of its person's hour."""
        return self.state is State.CREATING and not self.is_note

    @property
    def is_parked(self) -> bool:
        """Return True if only a person brings the row on: it was given up, or it can be filed under nobody."""
        nobody = self.state is State.REJECTED and (self.due_at is None or self.cause == Cause.ACCOUNT)
        return nobody or self.state is State.FAILED

    @property
    def waits_for_account(self) -> bool:
        """Return True if the row waits for the help desk account, not because of its own content."""
        return self.state in {State.NOT_CREATED, State.IN_DOUBT} and self.cause in _OF_THE_ACCOUNT

    @property
    def limited_by(self) -> str:
        """The hash by which the tickets of an hour are counted: `+tag` addresses are one mailbox."""
        return self.mailbox or self.person

    @property
    def name(self) -> str:
        """What names the row among all others: "REFERENCE KEY"."""
        return f"{self.reference} {self.entry}"

    @property
    def shares_words(self) -> bool:
        """Return True if another row with the same words is the same handoff; a note belongs to its handoff already."""
        return self.words != "" and not self.is_note

    @property
    def look_from(self) -> float:
        """The moment after which its ticket was made, if it was."""
        return max(self.created_at, self.clear_until)

    @property
    def waiting(self) -> bool:
        """Return True if something is still to be done, or failed to be done."""
        return self.state is not State.CREATED

    @property
    def expires(self) -> bool:
        """Return True if the row may be removed after expires_at: without a ticket it never is."""
        return self.ticket_id is not None or self.alias_of != ""

    def is_over(self, now: float) -> bool:
        """Return True if the row counts as absent."""
        return self.expires and self.expires_at <= now

    def alias(self, first: str) -> Entry:
        """Return the row that stands for this one where first ("REFERENCE KEY") has the same words.

        It holds nothing of the person.
        """
        return Entry(
            reference=self.reference,
            entry=self.entry,
            state=State.CREATED,  # 1.0.0 knows no other state that is left alone
            owner=self.owner,
            created_at=self.created_at,
            give_up_at=self.give_up_at,
            expires_at=self.expires_at,
            alias_of=first,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the row's fields that hold something, as plain values."""
        values = {stored: getattr(self, name) for stored, name in _READ.items()}
        for name in ("dropped", "rung"):
            if not values[name]:
                del values[name]
        held = {
            name: value for name, value in values.items() if value is not None and value is not False and value != ""
        }
        return {**held, "cause": str(self.cause)}  # always: rows of 1.0.0 are those without it

    @staticmethod
    def from_dict(row: dict[str, Any]) -> Entry:
        """Read what `to_dict` returned; fields this version does not know are passed over."""
        known = {_READ[stored]: value for stored, value in row.items() if stored in _READ}
        if "cause" not in known:
            known |= _result_of_1_0_0(known["state"], known.get("error", ""))
        known["dropped"] = tuple(known.get("dropped", ()))
        return Entry(**{**known, "state": State(known["state"])})

    def to_json(self) -> str:
        """Return the row as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Entry:
        """Read what `to_json` wrote."""
        return Entry.from_dict(json.loads(text))


_NAMES: Final = tuple(f.name for f in fields(Entry))
_STORED: Final = {"account": "desk", "over_limit": "crowded"}  # rows of 1.0.0 have these names
_READ: Final = {_STORED.get(name, name): name for name in _NAMES}
_CAUSES_OF_1_0_0: Final = {
    "busy": Cause.RATE_LIMIT,
    "no-time": Cause.UNAVAILABLE,
    "unreachable": Cause.UNAVAILABLE,
    "crowded": Cause.WAITING,
    "waiting": Cause.WAITING,
    "invalid-handoff": Cause.INVALID,
}
_REFUSES_EVERYBODY: Final = frozenset({"401", "403", "404", "408", "429"})  # other 4xx refuse the handoff itself
_OF_THE_TICKET: Final = frozenset({"400", "404", "405"})  # to a note: its ticket was deleted


def _result_of_1_0_0(state: str, error: str) -> dict[str, Any]:
    """Return what the error text of a row of 1.0.0 means, as fields.

    >>> _result_of_1_0_0("created", "without: group_id, type")
    {'dropped': ('group_id', 'type')}
    >>> _result_of_1_0_0("rejected", "refused: email")["refused_field"]
    'email'
    >>> str(_result_of_1_0_0("not_created", "refused: 403")["cause"])
    'account'
    """
    kind, _, rest = error.partition(": ")
    code = rest.partition(" ")[0]
    if not error or kind == "without":
        return {"dropped": tuple(rest.split(", "))} if error else {}
    if kind == "refused" and rest in {"email", "phone"}:
        return {"cause": Cause.INVALID, "refused_field": rest}
    cause = _CAUSES_OF_1_0_0.get(error, Cause.IN_DOUBT if state == State.IN_DOUBT else Cause.UNAVAILABLE)
    if rest.startswith("rate limit"):
        cause = Cause.RATE_LIMIT
    elif kind == "refused":
        cause = Cause.ACCOUNT if code in _REFUSES_EVERYBODY else Cause.REFUSED
    elif kind == "note":
        cause = Cause.REFUSED if code in _OF_THE_TICKET else Cause.UNAVAILABLE
    elif kind == "look":
        cause = Cause.IN_DOUBT
    return {"cause": cause}


def named_by(alias_of: str) -> tuple[str, str]:
    """Return the reference and the key of the row that an alias names."""
    reference, _, key = alias_of.partition(" ")
    return reference, key


def files_of(old: Entry, new: Entry) -> list[Entry]:
    """Return the rows of the files in old's handoff, if new is the first version with a ticket.

    A store writes them in the step that writes new: then no file is forgotten on any way to a ticket.
    """
    if old.ticket_id is not None or new.ticket_id is None or old.is_file or '"attachments"' not in old.handoff:
        return []
    said, now = json.loads(old.handoff), new.expires_at - new.lifetime_s
    whose = {name: getattr(new, name) for name in ("reference", "owner", "bot", "category", "account", "language")}
    key = new.entry.partition("#")[0]
    return [
        Entry(
            **whose,
            entry=f"{key}{_FILE}{digest_of(one[0])}",
            state=State.NOT_CREATED,
            created_at=now,
            due_at=now,
            give_up_at=now + FILE_GIVE_UP_S,
            expires_at=now + ROW_LIFETIME_S,
            handoff=json.dumps({"key": key, "attachments": [one]}, ensure_ascii=False),
            group=new.group,
            priority=new.priority,
            cause=Cause.WAITING,
            on_ticket=new.ticket_id,
        )
        for one in said["attachments"]
    ]


def bounded(entry: Entry) -> Entry:
    """Return the row with at most ROW_MAX_BYTES: the head of the transcript gives way, then the longest texts."""
    if len(entry.error) > ERROR_MAX or len(entry.dropped) > DROPPED_MAX:
        entry = replace(entry, error=entry.error[:ERROR_MAX], dropped=entry.dropped[:DROPPED_MAX])
    if len(entry.handoff) * 4 <= ROW_MAX_BYTES // 2:  # a letter weighs four bytes at most, a row's other fields little
        return entry
    excess = _bytes_of(entry) - ROW_MAX_BYTES
    if excess <= 0:
        return entry
    values = json.loads(entry.handoff)
    for holder, name in _longest_first(values):
        whole, limit = holder[name], len(holder[name])
        while excess > 0 and limit > 0:
            limit = max(limit - max(excess // 4, 64), 0)
            holder[name] = cut(whole, limit, "tail" if name == _TRANSCRIPT else "head")
            entry = replace(entry, handoff=json.dumps(values, ensure_ascii=False))
            excess = _bytes_of(entry) - ROW_MAX_BYTES
    return entry


_TRANSCRIPT: Final = "conversation_transcript"


def _bytes_of(entry: Entry) -> int:
    return len(entry.to_json().encode())


def _longest_first(values: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return where each text of a handoff stands: the transcript, then the others, the longest first."""
    places: list[tuple[Any, Any]] = []
    holders: list[Any] = [values]
    for holder in holders:  # grows on the way
        for name, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(value, str):
                places.append((holder, name))
            elif isinstance(value, dict | list):
                holders.append(value)
    return sorted(places, key=lambda place: (place[1] != _TRANSCRIPT, -len(place[0][place[1]])))


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
    """Yield the rows that can be read; one that cannot is logged as an error and holds up no other."""
    for text in texts:
        try:
            yield read_row(text)
        except LedgerUnavailable:
            logger.error("unreadable row")


class Claim(NamedTuple):
    """What a claim found: the row as it stands, whether the caller holds it, whether its person is past the bound.

    With same_words, `entry` is the row of another key that holds the same words; the caller's key is now its alias.
    """

    entry: Entry
    mine: bool
    over_limit: bool = False
    same_words: bool = False


class Ledger(Protocol):
    """The store. Every method raises LedgerUnavailable when the store does not answer.

    Writing is safe to repeat: a call that took effect though its answer was lost succeeds again for the same owner.
    A row that is over (`Entry.is_over`) counts as absent, whether or not the store has removed it. A row is stored as
    `bounded` returns it.
    """

    def check(self) -> None:
        """Ask the store for something, to learn at start whether it answers."""
        ...

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Insert entry in one atomic step unless there is a row already; count it against its person's hour.

        With entry.shares_words, the words are stored in the same step for WORDS_WINDOW_S from entry.created_at. Where
        another key's row holds the words already, an alias is stored in place of entry, and that row is returned; a
        later claim of the alias' key returns it too.
        """
        ...

    def replace(self, old: Entry, new: Entry) -> bool:
        """Write new over old, if old is still what stands there. `new.version` must be `old.version + 1`."""
        ...

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """Return the rows under a reference: the handoff's first, then its notes; for an alias the row it names."""
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

    def take_slot(self, person: str, entry: Entry, *, now: float, tickets_an_hour: int) -> bool:
        """Take one of the person's places of this hour for entry, if there is one left or entry has one already."""
        ...

    def with_slot(self, person: str, *, now: float) -> list[Entry]:
        """Return the rows that have a place of the person's hour."""
        ...

    def each(self) -> Iterator[Entry]:
        """Yield every row but aliases, for the operator."""
        ...

    def delete(self, entry: Entry) -> None:
        """Remove the row."""
        ...

    def tidy(self, now: float) -> None:
        """Remove expired rows, where the store does not do so by itself."""
        ...

    def migrate(self) -> int:
        """Bring rows of older versions to how this one stores them; return how many. May read every row.

        For the operator, after an update from 1.0.0 on DynamoDB. SQLite does so when it opens the file.
        """
        ...

    def remember(self, entry: Entry, *, now: float) -> None:
        """Keep what a call did while the store was down, until the store is back. Never raises.

        A row with a ticket, or in doubt, is brought in before anything else is claimed, without the person's words.
        Any row without a ticket also leaves the mark that there was an outage.
        """
        ...

    def recover(self) -> int:
        """Bring into the store what was remembered; return how many rows. Claims and reads do so by themselves."""
        ...

    def had_outage(self, now: float) -> bool:
        """Return True if, within OUTAGE_WINDOW_S, tickets may have been made that have no row."""
        ...

    def close(self) -> None:
        """Release what the store holds open; the next call opens it again."""
        ...
