"""`forget`: erases a person from the ledger."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator
from typing import Final, NamedTuple

from handoff.identity import Identity, persons_of, user_hash
from handoff.inbound import Handoff
from handoff.ledger import Entry, Ledger
from handoff.settings import read_ledger
from operate.listing import standing, summary
from operate.operator import NEEDS_ACTION, OK, Halt, Operator
from operate.removing import blanked, may_have_ticket, remove
from operate.spans import moment

ADDRESS_MIN: Final = 5  # shorter than any address or phone: it would be found in other people's words
TRIES: Final = 5
THEIRS: Final = "theirs"
MENTIONS: Final = "mentions the address"
ERASED: Final = "erased whole"
BLANKED: Final = "kept without the person"
GONE: Final = "changed meanwhile, and no longer theirs"
RESTLESS: Final = "not erased: another call changes it over and over; run forget again"
BACKUP_S: Final = 35 * 86_400.0  # of a table's point-in-time recovery: deploy.md switches it on
_WITHOUT_YES: Final = (
    "{count} of these wait for a ticket and hold what the person asked. Erased, they never become tickets, and nobody "
    "answers them; those being sent or in doubt may have one already. Nothing was changed. To do it all the same: --yes"
)
_REST: Final = (
    "Freshdesk keeps its own: delete the contact there, and its tickets with it (Contacts > the person > Delete "
    "forever). The hash that bounds a person's tickets an hour goes by itself."
)
_BACKUPS: Final = {
    "dynamodb": "The table's backups (point-in-time recovery) hold the erased data until {until}.",
    "sqlite": "Copies that you made of the ledger's file hold the erased data until you delete them.",
}


class Match(NamedTuple):
    """A row that concerns the person, and why."""

    entry: Entry
    why: str


def forget(args: Namespace, operator: Operator) -> int:
    """Run `forget`."""
    address = args.email.strip()
    if len(address) < ADDRESS_MIN:
        raise Halt("EMAIL: this is no address; give the one the person wrote to the bot")
    ledger, now = operator.ledger(), operator.clock.now()
    # Notes first: they are found through their handoff's row.
    found = sorted(matches(standing(ledger, now), address), key=lambda one: not one.entry.is_note)
    pending = sum(one.entry.waiting for one in found)
    if pending and not args.yes:
        _show(operator, [(one, "would be " + _fate(one.entry)) for one in found], now)
        operator.screen.warn(_WITHOUT_YES.format(count=pending))
        return NEEDS_ACTION
    done = [(one, erase(ledger, one.entry, address, now)) for one in found]
    _show(operator, done, now)
    if not found:
        operator.screen.say("The ledger knows nobody by this address.")
        return OK
    operator.screen.say(_REST)
    store = read_ledger(operator.environ).store
    operator.screen.say(_BACKUPS[store].format(until=moment(now + BACKUP_S)))
    return NEEDS_ACTION if any(result == RESTLESS for _, result in done) else OK


def _hashes_of(entry: Entry) -> set[str]:
    identity = Identity.from_text(entry.identity)
    return {entry.person, identity.email, identity.phone, identity.user} - {""}


def matches(entries: list[Entry], address: str) -> Iterator[Match]:
    """Yield the rows of the person with this address, their notes and files, and rows whose words name the address.

    A person without an address is found by the Botpress user, alone or as in Freshdesk: `<bot>:<user_id>`.
    """
    persons = {*persons_of(address), user_hash(address), user_hash(address.partition(":")[2])} - {""}
    theirs = {(one.reference, one.entry) for one in entries if persons & _hashes_of(one)}
    for entry in entries:
        if (entry.reference, entry.entry.partition("#")[0]) in theirs:
            yield Match(entry, THEIRS)
        elif entry.handoff and names(Handoff.from_json(entry.handoff), address):
            is_theirs = Handoff.from_json(entry.handoff).person in persons  # the row of a note does not hold the hash
            yield Match(entry, THEIRS if is_theirs else MENTIONS)


def names(handoff: Handoff, address: str) -> bool:
    """Return True if any text of the handoff contains the address, and not as a part of a longer one.

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
    return BLANKED if may_have_ticket(entry) and not entry.is_note else ERASED


def erase(ledger: Ledger, entry: Entry, address: str, now: float) -> str:
    """Erase a row, or blank it if a repeat must still find its ticket; return which.

    A row that another call changes meanwhile is looked at again first.
    """
    for _ in range(TRIES):
        fate = _fate(entry)
        if remove(ledger, entry, now) if fate == ERASED else ledger.replace(entry, blanked(entry)):
            return fate
        again = (one.entry for one in matches(ledger.find(entry.reference, now=now), address))
        standing_now = next((one for one in again if one.entry == entry.entry), None)
        if standing_now is None:
            return GONE
        entry = standing_now
    return RESTLESS


def _show(operator: Operator, done: list[tuple[Match, str]], now: float) -> None:
    screen = operator.screen
    screen.json([{**summary(one.entry, now), "why": one.why, "result": result} for one, result in done])
    if done:
        cells = ((one.entry.reference, one.entry.state, one.why, result) for one, result in done)
        screen.table(("reference", "state", "row", "result"), cells)
