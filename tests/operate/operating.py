"""An operator's machine: runs commands in the test's process, on a clock where waiting takes no real time."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import requests

import ops
from dev.local_freshdesk import LocalFreshdesk
from handoff.bootstrap import open_writer
from handoff.delivery import Delivery
from handoff.inbound import read_handoff
from handoff.ledger import ROW_LIFETIME_S, Entry, Ledger, State
from handoff.responses import Outcome
from handoff.settings import DeliverySettings
from tests.closing import closed_at_end
from tests.factories import API_KEY, EMAIL, body
from tests.ledger_factories import VirtualClock, entry

ROUTING = Path(__file__).parents[2] / "config" / "routing.toml"


class Ran(NamedTuple):
    """The output and exit status of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the output, read as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One operator's machine: settings, clock, ledger, help desk."""

    environ: dict[str, str]
    clock: VirtualClock
    ledger: Ledger
    freshdesk: LocalFreshdesk
    pages: list[str] = field(default_factory=list)

    def run(self, *argv: str, stdin: str = "", without: tuple[str, ...] = (), **environ: str) -> Ran:
        """Run a command with `environ` set and the variables in `without` unset."""
        streams = (io.StringIO(stdin), io.StringIO(), io.StringIO())
        given = {name: value for name, value in (self.environ | environ).items() if name not in without}
        status = ops.main(argv, environ=given, streams=streams, clock=self.clock, open_page=self.pages.append)
        return Ran(status, streams[1].getvalue(), streams[2].getvalue())

    def delivery(self) -> Delivery:
        """Return the function's delivery, with these settings."""
        writer = open_writer(DeliverySettings.read(self.environ), self.clock)
        closed_at_end(writer.ledger)
        return Delivery(writer)

    def deliver(self, number: int = 1, **fields: Any) -> Outcome:
        """Deliver a new handoff, as the function does."""
        ids = {"conversation_id": f"conv_{number}", "message_id": f"msg_{number}"}
        delivery = self.delivery()
        messengers = delivery.writer.routing.messengers
        return delivery.deliver(read_handoff(body(**{**ids, **fields}), messengers=messengers))

    def has(self, number: int = 1, **fields: Any) -> Entry:
        """Put a row into the ledger, and return it."""
        now = self.clock.now()
        name = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[number] * 8
        given = {
            "reference": f"BF-{name}",
            "entry": name + "A" * 44,
            "created_at": now,
            "due_at": now + 60,
            "give_up_at": now + 72 * 3600,
            "expires_at": now + ROW_LIFETIME_S,
            "bot": "betsur",
            "category": "retiros",
            "person": "",
            "conversation": "",
            "owner": "",
        }
        row = entry(**{**given, **fields})
        self.ledger.claim(replace(row, owner=f"owner-{number}-{row.entry}"), now=now, tickets_an_hour=99)
        return self.row(row.entry)

    def row(self, key: str) -> Entry:
        """Return the current row with this key."""
        return next(one for one in self.ledger.each() if one.entry == key)

    def rows(self) -> list[Entry]:
        """Return every row."""
        return list(self.ledger.each())

    def states(self) -> list[State]:
        """Return the states of the rows."""
        return [one.state for one in self.rows()]


def ticket_with(station: Station, reference: str) -> int:
    """Make a ticket by hand with a reference in its subject; return its number."""
    said = {"email": EMAIL, "subject": f"Otra vez [{reference}]", "description": "x", "status": 2, "priority": 1}
    url = f"{station.freshdesk.url}/api/v2/tickets"
    return int(requests.post(url, json=said, auth=(API_KEY, "X"), timeout=10).json()["id"])
