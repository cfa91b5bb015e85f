"""What `forget` and `discard` share: taking rows, or what they hold of a person, out of the ledger."""

from __future__ import annotations

import secrets
from typing import Final

from handoff import transitions
from handoff.ledger import Entry, Ledger, State

LEASE_S: Final = 60.0
# The words, and every hash that stands for a person or for what they said. The
# fingerprint stays: without it a repeat of the same request would be taken for new words, and add a note with them.
_PERSONAL: Final = frozenset({"handoff", "person", "identity", "mailbox", "conversation", "matter", "named", "words"})
_BLANK: Final = dict.fromkeys(_PERSONAL, "")


def may_have_ticket(entry: Entry) -> bool:
    """Return True unless it is certain that Freshdesk has no ticket for the row."""
    sent = entry.state in {State.CREATED, State.CREATING, State.IN_DOUBT}
    return sent or entry.doubt_since is not None or entry.ticket_id is not None


def blanked(entry: Entry, **changes: object) -> Entry:
    """Return the row's next version without the person: its key, its reference, its doubt or its ticket stay."""
    return transitions.changed(entry, **_BLANK, **changes)


def remove(ledger: Ledger, entry: Entry, now: float) -> bool:
    """Delete the row if it is still as it was read; return whether it was.

    A store deletes whatever stands under the key. So the row is first held like one that is being sent, which no
    other call touches.
    """
    hold = {"state": State.CREATING, "owner": secrets.token_hex(8), "due_at": now + LEASE_S}
    if not ledger.replace(entry, blanked(entry, **hold)):
        return False
    ledger.delete(entry)
    return True
