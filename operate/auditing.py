"""`audit`: compares the ledger with Freshdesk."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import Any, Final

from freshdesk_client import FreshdeskRefused
from handoff.helpdesk import HelpDesk
from handoff.ledger import Entry
from handoff.log import log_as_json
from handoff.writer import TicketWriter
from operate.listing import standing
from operate.operator import NEEDS_ACTION, OK, Operator
from operate.reading import TIMEOUT_S, Say, each_ticket, patiently
from operate.reconcile import Drift, Tickets, reconcile, unclaimed
from operate.screen import Screen

logger = logging.getLogger("handoff.ops")

DAY_S: Final = 86_400.0
_NOT_FOUND: Final = 404


def audit(args: Namespace, operator: Operator) -> int:
    """Run `audit`."""
    writer = operator.writer()
    now = operator.clock.now()
    drift = compared(writer, operator.screen, standing(writer.ledger, now), now - args.days * DAY_S)
    # A row may have been made while the tickets were read.
    drift.unknown = [one for one in drift.unknown if not writer.ledger.find(one["reference"], now=now)]
    operator.screen.json(drift.as_dict())
    _show(operator.screen, drift)
    if drift.doubles:
        log_as_json(platform_formats=False)
    for one in drift.doubles:
        logger.error("two tickets", extra={"reference": one["reference"], "tickets": one["tickets"]})
    return NEEDS_ACTION if drift.any else OK


def compared(writer: TicketWriter, screen: Screen, every: list[Entry], since: float) -> Drift:
    """Return the differences between the rows made since an epoch second (and older ones that wait) and the tickets."""
    rows = [one for one in every if one.waiting or one.created_at >= since]
    helpdesks = {helpdesk.url: helpdesk for helpdesk in writer.helpdesks.values()}
    listed = {url: Tickets() for url in helpdesks}
    with screen.bar("Reading tickets", None) as bar:
        for url, helpdesk in helpdesks.items():
            for box, row in each_ticket(helpdesk, since, bar.say):
                listed[url].add(box, row)
                bar.step()
        placed = [(writer.helpdesk(one).url, one) for one in rows]
        gone = frozenset(_gone(placed, helpdesks, listed, bar.say))
    drift = reconcile(placed, listed, gone)
    known = frozenset(one.reference for one in every)
    drift.unknown = [one for found in listed.values() for one in unclaimed(found, known, writer.clock.now())]
    return drift


def _gone(
    placed: Iterable[tuple[str, Entry]], helpdesks: dict[str, HelpDesk], listed: dict[str, Tickets], say: Say
) -> Iterator[tuple[str, int]]:
    """Yield the tickets that rows name but that do not exist. One that is in no list is read by its number."""
    for url, entry in placed:
        number = entry.ticket_id
        if number is not None and number not in listed[url].by_number and not _exists(helpdesks[url], number, say):
            yield url, number


def _exists(helpdesk: HelpDesk, number: int, say: Say) -> bool:
    say(f"{helpdesk.url}: ticket {number}")
    try:
        patiently(helpdesk, lambda: helpdesk.client.get(f"tickets/{number}", TIMEOUT_S), say)
    except FreshdeskRefused as error:
        if error.status == _NOT_FOUND:
            return False
        raise
    return True


def _show(screen: Screen, drift: Drift) -> None:
    ratio = "none yet" if drift.tickets_per_handoff is None else f"{drift.tickets_per_handoff:.4f}"
    screen.say(f"Handoffs with a ticket by the ledger: {drift.handoffs}; with exactly one: {drift.with_one}")
    screen.say(f"Tickets per handoff: {ratio}")
    screen.say(f"Waiting, and still being tried: {drift.waiting}")
    _list(screen, "Without a ticket: it is not in Freshdesk any more", drift.missing, ("reference", "ticket_id"))
    _list(
        screen,
        "With more than one ticket: merge in Freshdesk, then delete the empty one",
        drift.doubles,
        ("reference", "merge"),
    )
    _list(screen, "Nobody tries these any more: show REFERENCE says why", drift.parked, ("reference", "state", "error"))
    _list(
        screen,
        "Tickets of the last day that no row knows: made while the ledger was down, or by another ledger, or forgotten",
        drift.unknown,
        ("reference", "ticket_id"),
    )
    _list(
        screen, "In the spam box, where no agent looks: mark them as not spam", drift.in_spam, ("reference", "tickets")
    )
    screen.say("There is something to fix." if drift.any else "Nothing to fix.")


def _list(screen: Screen, title: str, found: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if found:
        screen.table(columns, ([one[name] for name in columns] for one in found), f"{title}: {len(found)}")
