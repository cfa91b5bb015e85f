"""Controls: the real parts with one guard taken out, and what must go wrong for that guard to be needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Final, Literal

from dev.simulation import without
from dev.simulation.faults import CALM, Faults
from dev.simulation.history import Plan
from dev.simulation.quirks import PLAIN, Quirks
from dev.simulation.rig import Rig
from handoff.transitions import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A rig without one guard, and the history in which that shows.

    `breaks` is the count of the verdict that must be above 0. With `faults` None, everything goes wrong at once.
    """

    rig: Rig
    breaks: Literal["extra", "lost"]
    faults: Faults | None = None
    quirks: Quirks | None = None
    kinds: tuple[str, ...] = ()
    handoffs: int = 200
    rate: float = 0.5

    def plan(self, seed: int, *, handoffs: int = 0, faults: Faults | None = None, rig: Rig | None = None) -> Plan:
        """Return the plan of its history; with another rig, of the same history with the guard in its place."""
        return Plan(
            seed=seed,
            handoffs=handoffs or self.handoffs,
            rate=self.rate,
            kinds=self.kinds,
            faults=faults or self.faults or Faults(),
            quirks=self.quirks,
            rig=rig or self.rig,
        )


_WRITTEN_LATE: Final = replace(CALM, written_late=0.5)
_UNWRITTEN: Final = replace(CALM, timeout_unwritten=0.5)
_SUSPENDED: Final = replace(CALM, refused=0.4, suspended=0.4, suspended_s=(700.0, 3000.0))
_OUTAGES: Final = replace(CALM, outage_every_s=300.0, outage_s=120.0, written_late=0.2, kill=0.01, copies=0.05)
_FLAKES: Final = replace(CALM, ledger=0.2, ledger_in_sweep=0.3, copies=0.2)

NAIVE: Final = Rig(sweeps=False, naive=True)

_EVERYTHING: Final[Mapping[str, Control]] = {
    "claim": Control(rig=Rig(ledger=without.LedgerWithoutClaim), breaks="extra"),
    "versions": Control(rig=Rig(ledger=without.LedgerWithoutVersions), breaks="extra", handoffs=600),
    "doubt": Control(rig=Rig(helpdesk=without.HelpDeskWithoutDoubt), breaks="extra"),
    "look": Control(rig=Rig(helpdesk=without.HelpDeskWithoutLook), breaks="extra"),
    "wait": Control(rig=Rig(policy=Policy(in_doubt_wait_s=0.0)), breaks="extra"),
    "lease": Control(rig=Rig(policy=Policy(lease_s=1.0, in_doubt_wait_s=0.0)), breaks="extra"),
    "sweep": Control(rig=Rig(sweeps=False), breaks="lost"),
    "dropping": Control(
        rig=Rig(helpdesk=without.HelpDeskWithoutPlainerTickets, policy=Policy(plainer_after_s=inf)), breaks="lost"
    ),
    "quarantine": Control(rig=Rig(delivery=without.DeliveryWithoutQuarantine), breaks="lost", handoffs=300),
}
_ACCOUNT: Final[Mapping[str, Control]] = {
    "everybody": Control(
        rig=Rig(helpdesk=without.HelpDeskOfOneAddress),
        breaks="extra",
        faults=_WRITTEN_LATE,
        quirks=replace(PLAIN, moved=0.5),
        handoffs=60,
    ),
    "date": Control(
        rig=Rig(helpdesk=without.HelpDeskWithoutDate),
        breaks="extra",
        faults=_WRITTEN_LATE,
        quirks=replace(PLAIN, ahead_s=-2400.0),
        handoffs=40,
    ),
    "zone": Control(
        rig=Rig(helpdesk=without.HelpDeskWithoutZone),
        breaks="extra",
        faults=_WRITTEN_LATE,
        quirks=replace(PLAIN, stamps="no zone"),
        handoffs=40,
    ),
    "pages": Control(
        rig=Rig(helpdesk=without.HelpDeskByLink),
        breaks="extra",
        faults=_WRITTEN_LATE,
        quirks=replace(PLAIN, link=False),
        kinds=("phone only",),
        handoffs=220,
        rate=4.0,
    ),
    "order": Control(
        rig=Rig(helpdesk=without.HelpDeskInOrder),
        breaks="extra",
        faults=_WRITTEN_LATE,
        quirks=replace(PLAIN, order="oldest", touched=0.5),
        kinds=("phone only",),
        handoffs=150,
        rate=0.05,
    ),
    "lag": Control(
        rig=Rig(policy=Policy(in_doubt_wait_s=0.0)),
        breaks="extra",
        faults=replace(CALM, reset_written=0.5),
        quirks=replace(PLAIN, lag_s=60.0),
        handoffs=60,
    ),
    "mark": Control(
        rig=Rig(helpdesk=without.HelpDeskOfExactSubjects),
        breaks="extra",
        faults=_WRITTEN_LATE,
        quirks=replace(PLAIN, reworded=0.8),
        handoffs=40,
    ),
    "rungs": Control(
        rig=Rig(helpdesk=without.HelpDeskOfNamedFields), breaks="lost", faults=CALM, kinds=("content",), handoffs=30
    ),
    "plainer later": Control(
        rig=Rig(policy=Policy(plainer_after_s=inf)), breaks="lost", faults=CALM, kinds=("content",), handoffs=30
    ),
}
_PEOPLE: Final[Mapping[str, Control]] = {
    "identity": Control(
        rig=Rig(ledger=without.LedgerWithoutIdentity), breaks="lost", faults=CALM, kinds=("shared key",), handoffs=20
    ),
    "persons": Control(
        rig=Rig(ledger=without.LedgerWithoutIdentity),
        breaks="lost",
        faults=CALM,
        kinds=("never corrected", "shared conversation"),
        handoffs=40,
        rate=0.02,
    ),
    "words": Control(
        rig=Rig(ledger=without.LedgerWithoutWords), breaks="extra", faults=CALM, kinds=("two message ids",), handoffs=20
    ),
    "matter": Control(
        rig=Rig(delivery=without.DeliveryWithoutMatter),
        breaks="extra",
        faults=CALM,
        kinds=("corrected without ids",),
        handoffs=20,
    ),
    "others": Control(
        rig=Rig(helpdesk=without.HelpDeskWithoutOthers),
        breaks="lost",
        faults=_UNWRITTEN,
        kinds=("same reference",),
        handoffs=20,
    ),
    "blanking": Control(
        rig=Rig(forget=without.delete), breaks="extra", faults=_WRITTEN_LATE, kinds=("forgotten",), handoffs=40
    ),
}
_PROCESSES: Final[Mapping[str, Control]] = {
    "wall clock": Control(
        rig=Rig(writer=without.WriterBySteadyClock), breaks="extra", faults=_SUSPENDED, quirks=PLAIN, handoffs=60
    ),
    "memory": Control(
        rig=Rig(ledger=without.LedgerWithoutMemory), breaks="extra", faults=_OUTAGES, quirks=PLAIN, handoffs=250
    ),
    "outage": Control(
        rig=Rig(ledger=without.LedgerWithoutOutage),
        breaks="extra",
        faults=replace(_OUTAGES, kill=0.05, written_late=0.0, harm_in_outage=True),
        quirks=PLAIN,
        kinds=("plain",),
        handoffs=250,
    ),
    "retries": Control(
        rig=Rig(writer=without.WriterWithoutRetries, ledger=without.LedgerWithoutMemory),
        breaks="extra",
        faults=_FLAKES,
        quirks=PLAIN,
        handoffs=100,
    ),
}
OF_OUTSIDE_FAULTS: Final[Mapping[str, Control]] = {**_ACCOUNT, **_PEOPLE, **_PROCESSES}
CONTROLS: Final[Mapping[str, Control]] = {**_EVERYTHING, **OF_OUTSIDE_FAULTS}
