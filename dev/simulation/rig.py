"""The parts a history runs on: the product's own, of which a control replaces one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from handoff.delivery import Delivery
from handoff.helpdesk import HelpDesk
from handoff.ledger import Entry, Ledger
from handoff.transitions import Policy
from handoff.writer import TicketWriter
from operate.removing import blanked, may_have_ticket


def forget(ledger: Ledger, row: Entry) -> None:
    """Take the person out of a row that may have a ticket, as `ops.py forget` does."""
    if may_have_ticket(row):
        ledger.replace(row, blanked(row))


@dataclass(frozen=True, slots=True)
class Rig:
    """The parts a history runs on."""

    policy: Policy = field(default_factory=Policy)
    helpdesk: type[HelpDesk] = HelpDesk
    delivery: type[Delivery] = Delivery
    writer: type[TicketWriter] = TicketWriter
    ledger: Callable[[Ledger], Ledger] = lambda ledger: ledger
    forget: Callable[[Ledger, Entry], None] = forget
    sweeps: bool = True
    naive: bool = False
