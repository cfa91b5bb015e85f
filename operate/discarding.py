"""`discard`: removes a handoff without a ticket on a person's decision."""

from __future__ import annotations

import logging
from argparse import Namespace
from typing import Final

from handoff.ledger import Entry, State
from handoff.log import log_as_json
from operate.listing import counted, rows_under, summary
from operate.operator import NEEDS_ACTION, OK, Halt, Operator
from operate.removing import may_have_ticket, remove
from operate.spans import span

logger = logging.getLogger("handoff.ops")

DISCARDED: Final = "discarded"
HAS_TICKET: Final = "kept: it has its ticket"
BEING_SENT: Final = "kept: it is being sent at this moment"
CHANGED: Final = "kept: another call changed it meanwhile"
NOT_YET: Final = "would be discarded"
_WITHOUT_YES: Final = (
    "Discarded, these never become tickets, and nobody answers the person; what they asked is erased. Nothing was "
    "changed. To do it: python ops.py discard {reference} --yes"
)
_IN_DOUBT: Final = (
    "{reference}: Freshdesk may have a ticket for it. Search for {reference} there first: once discarded, a repeat "
    "from the bot becomes a second ticket."
)
_COLUMNS: Final = ("reference", "state", "age", "cause", "error", "ticket", "result")


def discard(args: Namespace, operator: Operator) -> int:
    """Run `discard`."""
    ledger, now = operator.ledger(), operator.clock.now()
    found = rows_under(ledger, args.reference, now)
    results = [(one, _refusal(one, now)) for one in found]
    if sum(not one.is_note for one, refusal in results if not refusal) > 1:
        raise Halt(f"{found[0].reference}: two handoffs have this reference; retry them instead", NEEDS_ACTION)
    if args.yes:
        log_as_json(platform_formats=False)
        for at, (entry, refusal) in enumerate(results):
            if not refusal:
                removed = remove(ledger, entry, now)
                results[at] = entry, DISCARDED if removed else CHANGED
                if removed:
                    logger.warning("discarded", extra={"reference": entry.reference, "note": entry.is_note})
    return _show(operator, results, now)


def _refusal(entry: Entry, now: float) -> str:
    """Return why a row must be kept, or ""."""
    if entry.ticket_id is not None or entry.state is State.CREATED:
        return HAS_TICKET
    is_held = entry.state is State.CREATING and entry.due_at is not None and entry.due_at > now
    return BEING_SENT if is_held else ""


def _show(operator: Operator, results: list[tuple[Entry, str]], now: float) -> int:
    shown = [(one, result or NOT_YET) for one, result in results]
    operator.screen.json([{**summary(one, now), "result": result} for one, result in shown])
    operator.screen.table(_COLUMNS, (_cells(one, result, now) for one, result in shown))
    operator.screen.say(counted(one for one, _ in shown))
    reference, kinds = results[0][0].reference, {result for _, result in shown}
    if any(may_have_ticket(one) and result in {NOT_YET, DISCARDED} for one, result in shown if not one.is_note):
        operator.screen.warn(_IN_DOUBT.format(reference=reference))
    if NOT_YET in kinds:
        operator.screen.warn(_WITHOUT_YES.format(reference=reference))
    return OK if DISCARDED in kinds and kinds <= {DISCARDED, HAS_TICKET} else NEEDS_ACTION


def _cells(entry: Entry, result: str, now: float) -> tuple[object, ...]:
    name = f"{entry.reference} (note)" if entry.is_note else entry.reference
    ticket = f"#{entry.ticket_id}" if entry.ticket_id else None
    return (name, entry.state, span(now - entry.created_at), entry.cause, entry.error, ticket, result)
