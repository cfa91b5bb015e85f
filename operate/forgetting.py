"""`forget`: erases a person from the ledger."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator
from typing import Final, NamedTuple

from handoff import transitions
from handoff.inbound import Handoff, person_of
from handoff.ledger import Entry, Ledger
from operate.listing import standing, summary
from operate.operator import OK, TO_MEND, Halt, Operator

ADDRESS_MIN: Final = 5  # shorter than any address or telephone: it would be found in other people's words
TRIES: Final = 5
THEIRS: Final = "theirs"
MENTIONS: Final = "mentions the address"
ERASED: Final = "erased whole"
BLANKED: Final = "kept without the person"
_WITHOUT_YES: Final = (
    "{count} of these wait for a ticket and hold what the person asked. Erased, they never become tickets, and nobody "
    "answers them; those being sent or in doubt may have one already. Nothing was changed. If so it shall be: --yes"
)
_REST: Final = (
    "Freshdesk keeps its own: delete the contact there, and its tickets with it (Contacts > the person > Delete "
    "forever). The hash that bounds a person's tickets an hour goes by itself."
)


class Match(NamedTuple):
    """A row that has to do with the person, and why."""

    entry: Entry
    why: str


def forget(args: Namespace, operator: Operator) -> int:
    """Run `forget`."""
    address = args.email.strip()
    if len(address) < ADDRESS_MIN:
        raise Halt("EMAIL: this is no address; give the one the person wrote to the bot")
    ledger, now = operator.ledger(), operator.clock.now()
    found = [*matches(standing(ledger, now), address)]
    pending = sum(one.entry.waiting for one in found)
    if pending and not args.yes:
        _tell(operator, [(one, "would be " + _fate(one.entry)) for one in found], now)
        operator.screen.warn(_WITHOUT_YES.format(count=pending))
        return TO_MEND
    _tell(operator, [(one, erase(ledger, one.entry, now)) for one in found], now)
    operator.screen.say(_REST if found else "The ledger knows nobody by this address.")
    return OK


def matches(entries: list[Entry], address: str) -> Iterator[Match]:
    """Yield the rows of the person with this address, the notes to them, and rows whose words name the address."""
    person = person_of(address)
    theirs = {(one.reference, one.entry) for one in entries if one.person == person}
    for entry in entries:
        if (entry.reference, entry.entry.partition("#")[0]) in theirs:
            yield Match(entry, THEIRS)
        elif entry.handoff and names(Handoff.from_json(entry.handoff), address):
            yield Match(entry, THEIRS if person_of_handoff(entry) == person else MENTIONS)


def person_of_handoff(entry: Entry) -> str:
    """Return the hash for whoever a row's handoff is from; a note's row does not hold it."""
    return Handoff.from_json(entry.handoff).person


def names(handoff: Handoff, address: str) -> bool:
    """Tell whether any text of the handoff holds the address, and not as a part of a longer one.

    >>> names(Handoff(key="k", reason="soy ana@example.com."), "Ana@example.com")
    True
    >>> names(Handoff(key="k", reason="soy mariana@example.com"), "ana@example.com")
    False
    """
    whole = re.compile(rf"(?<![\w.+-]){re.escape(address)}(?![\w@-]|\.\w)", re.IGNORECASE)
    return any(whole.search(text) for text in _texts(handoff))


def _texts(handoff: Handoff) -> Iterator[str]:
    yield from (handoff.user_email, handoff.user_phone, handoff.user_name, handoff.reason)
    yield from (handoff.conversation_summary, handoff.conversation_transcript, handoff.conversation_url)
    yield from (handoff.user_id, handoff.conversation_id, handoff.message_id, handoff.channel, handoff.category)
    yield from (text for pair in handoff.other for text in pair)


def _fate(entry: Entry) -> str:
    return ERASED if entry.waiting or entry.is_note else BLANKED


def erase(ledger: Ledger, entry: Entry, now: float) -> str:
    """Erase a row, or blank it where a repeat must still find its ticket; return which. One that moves is followed."""
    for _ in range(TRIES):
        if _fate(entry) == ERASED:
            ledger.delete(entry)
            return ERASED
        if ledger.replace(entry, transitions.changed(entry, person="", conversation="", handoff="")):
            return BLANKED
        standing_now = [one for one in ledger.find(entry.reference, now=now) if one.entry == entry.entry]
        if not standing_now:
            return ERASED
        entry = standing_now[0]
    raise Halt(f"{entry.reference}: another call changes it over and over; run forget again", TO_MEND)


def _tell(operator: Operator, done: list[tuple[Match, str]], now: float) -> None:
    screen = operator.screen
    screen.json([{**summary(one.entry, now), "why": one.why, "result": result} for one, result in done])
    if done:
        cells = ((one.entry.reference, one.entry.state, one.why, result) for one, result in done)
        screen.table(("reference", "state", "row", "result"), cells)
