"""Shared by `forget` and `discard`: remove rows, or the personal data in them, from the ledger."""

from __future__ import annotations

import secrets
from typing import Final

from handoff import transitions
from handoff.ledger import Entry, Ledger, State

LEASE_S: Final = 60.0
# The words, and every hash of a person or of their words. The fingerprint stays: without it a repeat of the same
# request would count as new words, and add a note with them.
_PERSONAL: Final = frozenset({"handoff", "person", "identity", "mailbox", "conversation", "matter", "named", "words"})
_BLANK: Final = dict.fromkeys(_PERSONAL, "")


def may_have_ticket(entry: Entry) -> bool:
    """Return True unless it is certain that Freshdesk has no ticket for the row."""
    sent = entry.state in {State.CREATED, State.CREATING, State.IN_DOUBT}
    return sent or entry.doubt_since is not None or entry.ticket_id is not None


def blanked(entry: Entry, **changes: object) -> Entry:
    """Return the row's next version without personal data; key, reference, doubt and ticket stay."""
    return transitions.changed(entry, **_BLANK, **changes)


def remove(ledger: Ledger, entry: Entry, now: float) -> bool:
    """Delete the row if it has not changed since it was read; return whether it was deleted.

    A store deletes whatever stands under the key. So the row is first held like one that is being sent, which no
    other call touches.
    """
    hold = {"state": State.CREATING, "owner": secrets.token_hex(8), "due_at": now + LEASE_S}
    if not ledger.replace(entry, blanked(entry, **hold)):
        return False
    ledger.delete(entry)
    return True
