"""`list` and `show`: the state of the ledger's rows. A person's words are never shown, only whether they are held."""

from __future__ import annotations

import re
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from handoff.ledger import Entry, Ledger, State
from handoff.sanitize import plain
from operate.operator import NEEDS_ACTION, OK, Halt, Operator
from operate.spans import moment, span

_REFERENCE: Final = re.compile(r"(?:BF-)?([A-Z2-7]{8})")
_LOOKS: Final = "looks like BF-7K3QX2AB (see the ticket's subject)"
_COLUMNS: Final = ("reference", "state", "bot", "category", "age", "attempts", "due in", "ticket", "error")
NEXT: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.CREATING: "A call is sending it now. Should that call die, the sweep looks for its ticket.",
        State.CREATED: "Done: it has its ticket. A repeat of it is answered with this ticket.",
        State.NOT_CREATED: "There is certainly no ticket. The sweep creates it when it is due.",
        State.IN_DOUBT: "There may be a ticket. The sweep looks for it, and posts again only after the wait.",
        State.REJECTED: "It came with faults. When due, the sweep makes of it what it can, unless a good one followed.",
        State.FAILED: "Given up after 72 hours: it is kept, nobody tries it, and the log has an error each day. "
        "Correct the cause, then: python ops.py retry {reference}; or: python ops.py discard {reference}",
    },
)
NO_ADDRESS: Final = (
    "It waits for you: it has no address, and routing.toml had no fallback_requester. The log has an error each day. "
    "Set one, then: python ops.py retry {reference}; or: python ops.py discard {reference}"
)
BLANK: Final = "`forget` erased its person: no new ticket can be made of it. The sweep only looks whether there is one."


def read_reference(text: str) -> str:
    """Return the reference in text, as the ledger spells it.

    Raises:
        Halt: it is none.

    >>> read_reference("bf-7k3qx2ab")
    'BF-7K3QX2AB'
    """
    found = _REFERENCE.fullmatch(text.strip().upper())
    if found is None:
        raise Halt(f"REFERENCE: {text!r} is none; one {_LOOKS}")
    return f"BF-{found[1]}"


def rows_under(ledger: Ledger, reference: str, now: float) -> list[Entry]:
    """Return the rows of a reference, the handoff's first.

    Raises:
        Halt: there are none.
    """
    named = read_reference(reference)
    found = ledger.find(named, now=now)
    if not found:
        # Some words have only letters of a reference; whoever typed one may not know what a reference is.
        remark = "" if reference.strip().upper() == named else f" ({reference!r} was read so: one {_LOOKS})"
        raise Halt(
            f"{named}{remark}: the ledger has no such handoff; with a ticket a row lives 30 days, one day where the "
            "bot sent no ids of conversation and message",
            NEEDS_ACTION,
        )
    return sorted(found, key=lambda entry: (entry.is_note, entry.created_at))


def standing(ledger: Ledger, now: float) -> list[Entry]:
    """Return every row that has not expired, the oldest first; a row without a ticket never expires."""
    found = (one for one in ledger.each() if not one.is_over(now))
    return sorted(found, key=lambda entry: entry.created_at)


def list_rows(args: Namespace, operator: Operator) -> int:
    """Run `list`."""
    now = operator.clock.now()
    wanted = [one for one in standing(operator.ledger(), now) if _wanted(one, args, now)]
    operator.screen.json([summary(one, now) for one in wanted])
    show_table(operator, wanted, now)
    return OK


def _wanted(entry: Entry, args: Namespace, now: float) -> bool:
    return (
        (not args.state or entry.state in args.state)
        and now - entry.created_at >= args.older_than
        and (not args.bot or plain(entry.bot) == plain(args.bot))
    )


def show_table(operator: Operator, entries: list[Entry], now: float) -> None:
    """Print rows as a table, with a count by state."""
    if entries:
        operator.screen.table(_COLUMNS, (_cells(one, now) for one in entries))
    operator.screen.say(counted(entries))


def counted(entries: Iterable[Entry]) -> str:
    """Return how many rows there are, by state."""
    states = Counter(str(one.state) for one in entries)
    if not states:
        return "No rows."
    return f"{states.total()} rows: " + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def _cells(entry: Entry, now: float) -> tuple[object, ...]:
    due_at = _due_at(entry)
    due = "" if due_at is None else "now" if due_at <= now else span(due_at - now)
    name = f"{entry.reference} (note)" if entry.is_note else entry.reference
    ticket = f"#{entry.ticket_id}" if entry.ticket_id else None
    whose = (entry.bot, entry.category or "sin-categoria")
    return (name, entry.state, *whose, span(now - entry.created_at), entry.attempts, due, ticket, entry.error)


def _due_at(entry: Entry) -> float | None:
    """Return when a row is tried next; a parked one is only logged again at its due_at."""
    return None if entry.is_parked else entry.due_at


def summary(entry: Entry, now: float) -> dict[str, Any]:
    """Return a row as plain values without personal data; times are in seconds."""
    return {
        "reference": entry.reference,
        "note": entry.is_note,
        "state": str(entry.state),
        "bot": entry.bot,
        "category": entry.category,
        "age_s": round(now - entry.created_at, 1),
        "attempts": entry.attempts,
        "due_in_s": None if (due_at := _due_at(entry)) is None else round(max(due_at - now, 0.0), 1),
        "parked": entry.is_parked,
        "cause": str(entry.cause),
        "error": entry.error,
        "ticket_id": entry.ticket_id,
    }


def show_row(args: Namespace, operator: Operator) -> int:
    """Run `show`."""
    now = operator.clock.now()
    found = rows_under(operator.ledger(), args.reference, now)
    operator.screen.json([in_full(one, now) for one in found])
    for entry in found:
        title = f"{entry.reference}: " + ("new words, for the same ticket" if entry.is_note else "the handoff")
        held = {name: value for name, value in in_full(entry, now).items() if value not in (None, "", False)}
        operator.screen.table(("what", "value"), held.items(), title)
        operator.screen.say(what_next(entry))
    return OK


def what_next(entry: Entry) -> str:
    """Return what will happen to a row, as a sentence."""
    if entry.waiting and not entry.handoff and not entry.is_note:
        return BLANK
    is_parked = entry.state is State.REJECTED and entry.is_parked
    return (NO_ADDRESS if is_parked else NEXT[entry.state]).format(reference=entry.reference)


def in_full(entry: Entry, now: float) -> dict[str, Any]:
    """Return everything that may be shown of a row; of personal data only whether it is held."""
    return summary(entry, now) | {
        "account": entry.account,
        "group": entry.group,
        "priority": entry.priority,
        "language": entry.language,
        "refused": entry.refused,
        "over_limit": entry.over_limit,
        "version": entry.version,
        "key": entry.entry.partition("#")[0],
        "created_at": moment(entry.created_at),
        "due_at": moment(entry.due_at),
        "doubt_since": moment(entry.doubt_since),
        "given_up_at": moment(entry.give_up_at),
        "forgotten_at": None if entry.waiting else moment(entry.expires_at),
        "persons_data": "held until there is a ticket (not shown)" if entry.handoff else "erased",
        "persons_hash": "held" if entry.person else "none",
    }
