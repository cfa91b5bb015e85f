"""Pure: what an attempt can end with, how a row of the ledger begins, and what each result makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from handoff.identity import Identity
from handoff.inbound import Handoff
from handoff.ledger import ROW_LIFETIME_S, Cause, Entry, State
from handoff.routing import Route
from handoff.ticket import Rung

BACKOFF_FIRST_S: Final = 15.0
BACKOFF_MAX_S: Final = 900.0
REMIND_S: Final = 86_400.0  # how often a row that was given up is logged as an error
BACKOFF_PLAINEST_S: Final = 3600.0  # nothing is left to leave out: only a person or Freshdesk can change the result
RATE_LIMIT_SPREAD_S: Final = 5.0  # so that what waited for the same minute does not come back at the same instant


class Created(NamedTuple):
    """The ticket exists; `dropped` names the fields that Freshdesk refused, `rung` how plain the ticket is."""

    ticket_id: int
    dropped: frozenset[str] = frozenset()
    rung: int = 0


class Unavailable(NamedTuple):
    """No ticket was made: Freshdesk could not be asked, or has no capacity for `retry_in_s` seconds."""

    cause: Cause
    detail: str
    retry_in_s: float | None = None


class Refused(NamedTuple):
    """No ticket was made: Freshdesk refuses the request as it is.

    `detail` holds the status with the fields and codes. `address` is `email` or `phone` where the person's own is
    refused. `of_content` is False where everybody is refused: a wrong key, a suspended account.
    """

    detail: str
    fields: frozenset[str] = frozenset()
    address: str = ""
    of_content: bool = True
    rung: int = 0


class InDoubt(NamedTuple):
    """There may be a ticket."""

    detail: str


Result = Created | Unavailable | Refused | InDoubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long things take, in seconds, and how many tickets a person gets in an hour."""

    deadline_s: float = 12.0
    lease_s: float = 60.0  # longer than the platform lets a call live
    in_doubt_wait_s: float = 600.0  # longer than the slowest late write
    give_up_s: float = 72 * 3600.0
    refused_wait_s: float = 900.0  # the person may still correct it
    plainer_after_s: float = 3 * 3600.0  # a text that is answered 500 for so long is offered in a plainer ticket
    tickets_an_hour: int = 5


def routed_to(route: Route) -> dict[str, Any]:
    """Return the fields of a row that say where its ticket goes."""
    group = route.group or (str(route.group_id) if route.group_id else "")
    fields = {"bot": route.bot, "category": route.category, "account": route.account}
    return {**fields, "group": group, "priority": route.priority}


def claimed(handoff: Handoff, route: Route, *, owner: str, now: float, policy: Policy) -> Entry:
    """Return the row of a handoff that its caller is about to post."""
    return Entry(
        reference=handoff.reference,
        entry=handoff.key,
        state=State.CREATING,
        owner=owner,
        created_at=now,
        due_at=now + policy.lease_s,
        give_up_at=now + policy.give_up_s,
        expires_at=now + ROW_LIFETIME_S,
        lifetime_s=handoff.lifetime_s,
        handoff=handoff.to_json(),
        fingerprint=handoff.fingerprint,
        person=handoff.person,
        identity=handoff.identity.to_text(),
        mailbox=handoff.mailbox,
        conversation=handoff.conversation,
        matter=handoff.matter,
        named=handoff.named,
        words=handoff.words,
        language=handoff.language[:2].lower(),
        **routed_to(route),
    )


def quarantined(entry: Entry, *, now: float, policy: Policy) -> Entry:
    """Return a new row as that of a refused handoff."""
    due_at = now + policy.refused_wait_s
    why = {"cause": Cause.INVALID, "error": "invalid-handoff"}
    return changed(entry, version=entry.version, state=State.REJECTED, refused=True, words="", due_at=due_at, **why)


def noted(entry: Entry, parent: Entry) -> Entry:
    """Return a new row as that of new words for a handoff that has a row already: they go where its ticket is."""
    return replace(
        entry,
        reference=parent.reference,
        entry=f"{parent.entry}#{entry.fingerprint}",
        account=parent.account,
        person="",
        identity="",
        mailbox="",
        conversation="",
        matter="",
        named="",
        words="",
    )


def is_refused(entry: Entry) -> bool:
    """Return True if the row is that of a refused request, which certainly has no ticket."""
    given_up = entry.state is State.FAILED and entry.refused and entry.doubt_since is None
    return given_up or entry.state is State.REJECTED


def changed(entry: Entry, **changes: object) -> Entry:
    """Return the row's next version."""
    return replace(entry, **{"version": entry.version + 1, **changes})  # type: ignore[arg-type]  # dataclasses.replace checks the names


def corrected(old: Entry, new: Entry) -> Entry:
    """Return the row of a refused handoff that has now come without faults."""
    return replace(new, version=old.version + 1)


def refused_again(old: Entry, new: Entry) -> Entry:
    """Return the row of a refused handoff that was refused again: the last words, but the wait goes on as it began.

    A row that waits for nothing any more begins again: this time it may have an address.
    """
    if old.is_parked:
        return corrected(old, new)
    return replace(corrected(old, new), created_at=old.created_at, due_at=old.due_at, give_up_at=old.give_up_at)


def reopened(entry: Entry, *, now: float, policy: Policy) -> Entry:
    """Return a row that had been given up, or waits, as due at once; doubt stays doubt."""
    doubt = doubt_of(entry)
    waiting = State.NOT_CREATED if doubt is None else State.IN_DOUBT
    refused = entry.refused or entry.state is State.REJECTED  # whether it can become a ticket at all is decided again
    state = State.REJECTED if refused and doubt is None else waiting
    return changed(entry, state=state, doubt_since=doubt, due_at=now, give_up_at=now + policy.give_up_s)


def given_up(entry: Entry, *, owner: str, due_at: float) -> Entry:
    """Return a row that has taken too long: kept, with its doubt, until a person reopens it; due for a reminder."""
    doubt = entry.doubt_since if entry.state is State.FAILED else doubt_of(entry)
    return changed(entry, state=State.FAILED, owner=owner, due_at=due_at, doubt_since=doubt)


def undoubted(entry: Entry) -> Entry:
    """Return a row in doubt as one that certainly has no ticket; not yet a version of its own."""
    return replace(entry, state=State.NOT_CREATED, doubt_since=None)


def restored(entry: Entry, new: Entry) -> Entry:
    """Return a row whose words `ops.py forget` took, with those of the same handoff that has come again."""
    words = {name: getattr(new, name) for name in ("handoff", "person", "identity", "mailbox", "conversation")}
    return changed(entry, matter=new.matter, named=new.named, **words)


def doubt_of(entry: Entry) -> float | None:
    """Return since when there may be a ticket; for a caller that may have died, the end of its lease."""
    return entry.due_at if entry.state is State.CREATING else entry.doubt_since


def settled(entry: Entry, result: Result, *, now: float, jitter: float, policy: Policy) -> Entry:
    """Return the row after an attempt. The person's data is erased as soon as there is a ticket."""
    again_at = now + backoff_s(entry.attempts, jitter)
    tried = {"attempts": entry.attempts + 1}
    match result:
        case Created(ticket_id, dropped, rung):
            error = "without: " + ", ".join(sorted(dropped)) if dropped else ""
            erased = {"handoff": "", "due_at": None, "doubt_since": None, "expires_at": now + entry.lifetime_s}
            made = {"state": State.CREATED, "ticket_id": ticket_id, "dropped": tuple(sorted(dropped)), "rung": rung}
            return changed(entry, cause=Cause.NONE, error=error, **made, **tried, **erased)
        case Unavailable(cause, detail, retry_in_s):
            if retry_in_s is not None:
                again_at = now + retry_in_s + jitter * RATE_LIMIT_SPREAD_S
            waiting = {"state": State.NOT_CREATED, "due_at": again_at, "doubt_since": None}
            return changed(entry, cause=cause, error=detail, **waiting, **tried)
        case InDoubt(detail):
            doubtful = {"state": State.IN_DOUBT, "due_at": again_at, "doubt_since": now}
            return changed(entry, cause=Cause.IN_DOUBT, error=detail, **doubtful, **tried)
    if result.address:
        return _rejected(entry, result.address, now=now, policy=policy)
    if result.of_content and result.rung >= Rung.FALLBACK_REQUESTER:
        again_at = now + BACKOFF_PLAINEST_S
    cause = Cause.REFUSED if result.of_content else Cause.ACCOUNT
    waiting = {"state": State.NOT_CREATED, "due_at": again_at, "doubt_since": None, "rung": result.rung}
    return changed(entry, cause=cause, error=f"refused: {result.detail}", **waiting, **tried)


def _rejected(entry: Entry, address: str, *, now: float, policy: Policy) -> Entry:
    """Return the row of a handoff whose `email` or `phone` Freshdesk refuses: the person may still correct it."""
    kept = Handoff.from_json(entry.handoff).without_address(address).to_json()
    waiting = {"state": State.REJECTED, "refused": True, "due_at": now + policy.refused_wait_s, "doubt_since": None}
    identity = Identity.from_text(entry.identity).without_addresses().to_text()  # the corrected one will differ
    why = {"cause": Cause.INVALID, "refused_field": address, "error": f"refused: {address}"}
    return changed(entry, handoff=kept, identity=identity, attempts=entry.attempts + 1, **waiting, **why)


def unmade(entry: Entry, *, until: float, cause: Cause, error: str) -> Entry:
    """Return a row whose words could not be added to a ticket: it stays what it is, and is tried again."""
    state = State.NOT_CREATED if entry.state is State.CREATING else entry.state
    return changed(entry, state=state, due_at=until, cause=cause, error=error, attempts=entry.attempts + 1)


def postponed(entry: Entry, *, until: float, cause: Cause, error: str) -> Entry:
    """Return a row in doubt after a look that settled nothing; the doubt is as old as it was."""
    return changed(entry, state=State.IN_DOUBT, due_at=until, cause=cause, error=error, attempts=entry.attempts + 1)


def backoff_s(attempts: int, jitter: float) -> float:
    """Return the seconds until the next attempt: 15 doubling to 900, of which jitter (0-1) takes up to half.

    >>> backoff_s(0, 0.0), backoff_s(3, 0.0), backoff_s(50, 0.0), backoff_s(50, 1.0)
    (15.0, 120.0, 900.0, 450.0)
    """
    return min(BACKOFF_FIRST_S * 2.0 ** min(attempts, 10), BACKOFF_MAX_S) * (1 - jitter / 2)
