"""`retry`: makes rows due at once, both waiting ones and those that were given up."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from typing import Final

from handoff import transitions
from handoff.ledger import Entry, Ledger, State
from handoff.writer import TicketWriter
from operate.auditing import compared
from operate.listing import rows_under, standing, summary
from operate.operator import NEEDS_ACTION, OK, Halt, Operator
from operate.sweeping import one_pass

REOPENED: Final = "due now"
HAS_TICKET: Final = "has its ticket already"
BEING_SENT: Final = "is being sent at this moment"
CHANGED: Final = "was changed by another call meanwhile"
STATES: Final = tuple(state for state in State if state is not State.CREATED)


def retry_rows(args: Namespace, operator: Operator) -> int:
    """Run `retry`."""
    if bool(args.reference) == args.all:
        raise Halt("retry: name a REFERENCE, or --all")
    writer = operator.writer() if args.now else None  # settings are checked before anything is changed
    ledger = writer.ledger if writer else operator.ledger()
    now = operator.clock.now()
    wanted = _wanted(args, ledger, now)
    policy = writer.policy if writer else transitions.Policy()
    results: list[tuple[Entry, str]] = []
    with operator.screen.bar("Making rows due", len(wanted)) as bar:
        for entry in wanted:
            results.append((entry, reopen(ledger, entry, now=now, policy=policy)))
            bar.step()
    return _show(args, operator, results, writer)


def reopen(ledger: Ledger, entry: Entry, *, now: float, policy: transitions.Policy) -> str:
    """Make a row due at once, and return the result. A row that a call holds is left alone."""
    if entry.state is State.CREATED:
        return HAS_TICKET
    if entry.state is State.CREATING and entry.due_at is not None and entry.due_at > now:
        return BEING_SENT
    return REOPENED if ledger.replace(entry, transitions.reopened(entry, now=now, policy=policy)) else CHANGED


def _wanted(args: Namespace, ledger: Ledger, now: float) -> list[Entry]:
    if not args.all:
        return rows_under(ledger, args.reference, now)
    found = standing(ledger, now)
    if args.state:
        return [one for one in found if one.state in args.state]
    # A row that the person may still correct is left alone: a ticket made now would be one of two.
    return [one for one in found if one.waiting and (one.state is not State.REJECTED or one.is_parked)]


def _show(args: Namespace, operator: Operator, results: list[tuple[Entry, str]], writer: TicketWriter | None) -> int:
    screen, counts = operator.screen, Counter(result for _, result in results)
    if not args.now:
        screen.json([{**summary(one, operator.clock.now()), "result": result} for one, result in results])
    if not args.all:
        for entry, result in results:
            number = f" (#{entry.ticket_id})" if entry.ticket_id else ""
            screen.say(f"{entry.reference}{' (note)' if entry.is_note else ''}: {result}{number}")
    screen.say(", ".join(f"{count} {result}" for result, count in counts.items()) if counts else "No rows to retry.")
    status = NEEDS_ACTION if counts[CHANGED] else OK
    if writer is not None:
        status = max(status, _swept(args, operator, [one for one, result in results if result == REOPENED], writer))
        return max(status, _second_tickets(operator, args.reference, writer) if args.reference else OK)
    if counts[REOPENED]:
        screen.say("The next sweep takes them. To run it now: python ops.py sweep")
    if counts[HAS_TICKET] and args.reference:
        screen.say(f"Is there a second ticket? python ops.py retry {results[0][0].reference} --now")
    return status


def _swept(args: Namespace, operator: Operator, reopened: list[Entry], writer: TicketWriter) -> int:
    """Run a pass, and print the state of the rows; return 1 if one of them still has no ticket."""
    one_pass(writer, operator.screen, args.budget)
    found = [row for one in reopened for row in writer.ledger.find(one.reference, now=operator.clock.now())]
    touched = {(one.reference, one.entry) for one in reopened}
    waiting = [row for row in found if row.waiting and (row.reference, row.entry) in touched]
    for row in waiting:
        operator.screen.warn(f"{row.reference}: still {row.state} ({row.error or 'no error'})")
    return NEEDS_ACTION if waiting else OK


def _second_tickets(operator: Operator, reference: str, writer: TicketWriter) -> int:
    """Search for a second ticket of the handoff, which may have appeared late in Freshdesk's list; name both."""
    found = rows_under(writer.ledger, reference, operator.clock.now())
    rows = [one for one in found if one.ticket_id is not None and not one.is_note]
    if not rows:
        return OK
    doubles = compared(writer, operator.screen, rows, min(one.created_at for one in rows)).doubles
    for one in doubles:
        numbers = ", ".join(f"#{number}" for number in one["tickets"])
        operator.screen.warn(f"{one['reference']} has {len(one['tickets'])} tickets, {numbers}: merge {one['merge']}")
    return NEEDS_ACTION if doubles else OK
