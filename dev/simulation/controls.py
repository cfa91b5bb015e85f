"""Rigs: the real parts, or the same with one guard taken out, which must then lose or double something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from dev.simulation.wrapped_ledger import WrappedLedger
from freshdesk_client import Listed
from handoff.deadline import Deadline
from handoff.delivery import Delivery
from handoff.helpdesk import HelpDesk
from handoff.inbound import Handoff
from handoff.ledger import Cause, Claim, Entry, Ledger
from handoff.transitions import InDoubt, Policy, Refused, Result, Unavailable
from handoff.writer import TicketWriter
from operate.removing import blanked, may_have_ticket


def _forget(ledger: Ledger, row: Entry) -> None:
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
    forget: Callable[[Ledger, Entry], None] = _forget
    sweeps: bool = True
    naive: bool = False


class HelpDeskWithoutDoubt(HelpDesk):
    """Takes a lost answer for a ticket that was not made."""

    __slots__ = ()

    def create(self, fields: Mapping[str, Any], deadline: Deadline) -> Result:
        """Forget the doubt."""
        result = super().create(fields, deadline)
        return Unavailable(Cause.UNAVAILABLE, result.detail) if isinstance(result, InDoubt) else result


class HelpDeskWithoutLook(HelpDesk):
    """Never finds anything."""

    __slots__ = ()

    def look(self, *_where: Any, **_how: Any) -> int | None:
        """Find nothing."""
        return None

    def snapshot(self, deadline: Deadline, *, since: float) -> list[Listed] | None:
        """Find nothing."""
        return []


class HelpDeskWithoutPlainerTickets(HelpDesk):
    """Takes every refusal for one that concerns everybody, so that no plainer ticket is offered."""

    __slots__ = ()

    def create(self, fields: Mapping[str, Any], deadline: Deadline) -> Result:
        """Insist."""
        result = super().create(fields, deadline)
        return result._replace(of_content=False) if isinstance(result, Refused) and not result.address else result


class DeliveryWithoutQuarantine(Delivery):
    """Refuses, and keeps nothing."""

    __slots__ = ()

    def keep_refused(self, salvaged: Handoff) -> str:
        """Forget the request."""
        return salvaged.reference


class LedgerWithoutClaim(WrappedLedger):
    """Gives every caller the handoff."""

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Forget who had it."""
        self.inner.delete(entry)
        return Claim(self.inner.claim(entry, now=now, tickets_an_hour=tickets_an_hour).entry, mine=True)


class LedgerWithoutVersions(WrappedLedger):
    """Lets whoever comes last win."""

    def replace(self, old: Entry, new: Entry) -> bool:
        """Write, whatever stands there."""
        standing = next((row for row in self.inner.find(old.reference, now=0.0) if row.entry == old.entry), old)
        return self.inner.replace(standing, new)


NAIVE: Final = Rig(sweeps=False, naive=True)
CONTROLS: Final[Mapping[str, Rig]] = {
    "claim": Rig(ledger=LedgerWithoutClaim),
    "versions": Rig(ledger=LedgerWithoutVersions),
    "doubt": Rig(helpdesk=HelpDeskWithoutDoubt),
    "look": Rig(helpdesk=HelpDeskWithoutLook),
    "wait": Rig(policy=Policy(in_doubt_wait_s=0.0)),
    "lease": Rig(policy=Policy(lease_s=0.01, in_doubt_wait_s=0.0)),
    "sweep": Rig(sweeps=False),
    "dropping": Rig(helpdesk=HelpDeskWithoutPlainerTickets, policy=Policy(plainer_after_s=inf)),
    "quarantine": Rig(delivery=DeliveryWithoutQuarantine),
}
