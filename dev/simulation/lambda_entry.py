"""`lambda_handler` as `crash_on_lambda` runs it: with a short lease, and now and then suspended just before a POST.

Nothing can be posted at a worse moment than after such a pause, in which the sweep may have posted the same handoff.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import fields, replace
from typing import Any, Final

import main
from dev.simulation.stories import number_in
from handoff.deadline import Deadline
from handoff.delivery import Delivery
from handoff.ledger import Entry
from handoff.writer import TicketWriter
from lambda_handler import handler, sweep

__all__ = ["handler", "sweep"]

LEASE_S: Final = 5.0  # a minute in the product; a proof cannot wait so long for each death
SUSPENDED_S: Final = 12.0  # longer than the lease and IN_DOUBT_WAIT_S, so that another has posted meanwhile
EVERY: Final = int(os.environ["SUSPENDED_EVERY"])
GUARDED: Final = "WITHOUT_GUARDS" not in os.environ


class SuspendedWriter(TicketWriter):
    """Is suspended before it posts some of the handoffs, for the first time."""

    __slots__ = ()

    def _must_wait(self, row: Entry, rung: int, deadline: Deadline) -> str:
        if row.version == 1 and EVERY and (number_in(row.handoff) or 0) % EVERY == 1:
            subprocess.Popen(["sh", "-c", f"sleep {SUSPENDED_S}; kill -CONT {os.getpid()}"])
            os.kill(os.getpid(), signal.SIGSTOP)
        return super()._must_wait(row, rung, deadline) if GUARDED else ""


_writer: Final = main.ENDPOINT.delivery.writer
_parts: Final[dict[str, Any]] = {one.name: getattr(_writer, one.name) for one in fields(_writer)}
_policy: Final = replace(_writer.policy, lease_s=LEASE_S)
_parts["policy"] = _policy if GUARDED else replace(_policy, deadline_s=2 * SUSPENDED_S)
main.ENDPOINT.delivery = Delivery(SuspendedWriter(**_parts))
