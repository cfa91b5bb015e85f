"""A Freshdesk on the virtual clock: tickets, lists, refusals and the rate limit, as far as a handoff needs it."""

from __future__ import annotations

import json
import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from dev.simulation.quirks import PLAIN, Quirks, refusal_of, reword, stamp
from freshdesk_client import Answer, Request
from handoff.deadline import Clock

WINDOW_S: Final = 60.0
_DESCRIPTION_SHOWN: Final = 200  # of its end: a look needs no more


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests a minute: https://developers.freshdesk.com/api/#ratelimit, Enterprise."""

    total: int = 700
    create: int = 280
    lists: int = 200


@dataclass(slots=True)
class Ticket:
    """One ticket. `box` is "", "spam" or "deleted"; `address` whose it is now; the times are by the virtual clock."""

    ticket_id: int
    created_at: float
    listed_at: float
    updated_at: float
    fields: dict[str, Any]  # as they were sent
    address: str
    row: str  # as a list shows it
    described_row: str
    box: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def subject(self) -> str:
        """The subject, as it was sent."""
        return str(self.fields["subject"])


class FreshdeskModel:
    """Answers requests at once; delays and faults are `faults.FaultyTransport`'s."""

    def __init__(self, clock: Clock, limits: Limits, quirks: Quirks = PLAIN, random: Random | None = None) -> None:
        self._clock = clock
        self._limits = limits
        self.quirks = quirks
        self._random = random or Random(0)
        self._window = -1
        self._used: dict[str, int] = defaultdict(int)
        self.tickets: list[Ticket] = []
        self._by_update: list[tuple[float, int]] = []
        self._of_address: dict[str, list[Ticket]] = defaultdict(list)
        self._boxed: list[Ticket] = []
        self.busy_answers = 0
        self.calls = 0
        self.most_created_a_minute = 0

    def answer(self, request: Request) -> Answer:
        """Do what request asks."""
        parts = urlsplit(request.path)
        kind = _kind(request, parts.path)
        busy = self._count(kind, calls=3 if "include=" in parts.query else 1)
        if busy:
            return busy
        if kind == "lists":
            return self._list({name: values[-1] for name, values in parse_qs(parts.query).items()})
        number = parts.path.split("/")[4:5]
        if kind == "views":
            return self._view(int(number[0]))
        fields = json.loads(request.body or b"{}")
        return self._note(int(number[0]), fields) if kind == "notes" else self.create(fields)

    def put(self, ticket: Ticket, box: str) -> None:
        """Move a ticket to the spam box, or to the deleted ones."""
        ticket.box = box
        self._boxed.append(ticket)
        self.touch(ticket)

    def move(self, ticket: Ticket, address: str) -> None:
        """Let the ticket's requester have another address; the old one is nobody's if it has no other ticket."""
        self._of_address[ticket.address].remove(ticket)
        if not self._of_address[ticket.address] and self._random.random() < 0.5:
            del self._of_address[ticket.address]
        ticket.address = address
        self._of_address[address].append(ticket)
        self.touch(ticket)

    def touch(self, ticket: Ticket) -> None:
        """Let somebody update the ticket."""
        del self._by_update[bisect_left(self._by_update, (ticket.updated_at, ticket.ticket_id))]
        ticket.updated_at = self._clock.now()
        insort(self._by_update, (ticket.updated_at, ticket.ticket_id))

    def busy(self, retry_after_s: int) -> Answer:
        """Return a 429; Freshdesk's has no body one could rely on."""
        self.busy_answers += 1
        return Answer(429, {"retry-after": str(retry_after_s)}, b"")

    def create(self, fields: dict[str, Any]) -> Answer:
        """Make a ticket, or refuse it."""
        refused = refusal_of(fields)
        if refused is not None:
            return self._refused(*refused)
        now, quirks, number = self._clock.now(), self.quirks, len(self.tickets) + 1
        subject, description = fields["subject"], str(fields.get("description", ""))
        if self._random.random() < quirks.reworded:
            subject, description = reword(self._random, subject, description)
        created_at = stamp(now + quirks.ahead_s, quirks.stamps)
        row = {"id": number, "subject": subject, "created_at": created_at, "status": fields["status"]}
        described = json.dumps(row | {"description": description[-_DESCRIPTION_SHOWN:]})
        listed_at = now + self._random.uniform(0.0, quirks.lag_s)
        address = str(fields.get("email") or fields.get("phone") or "")
        ticket = Ticket(number, now, listed_at, now, fields, address, json.dumps(row), described)
        self.tickets.append(ticket)
        insort(self._by_update, (now, number))
        self._of_address[address].append(ticket)
        return Answer(201, self._headers(), ticket.row.encode())

    def _count(self, kind: str, *, calls: int) -> Answer | None:
        """Count a request against the limits; what is included in a list costs two more calls."""
        self.calls += 1
        window = math.floor(self._clock.now() / WINDOW_S)
        if window != self._window:
            self._window = window
            self._used.clear()
        bound = {"create": self._limits.create, "lists": self._limits.lists}.get(kind, self._limits.total)
        if self._used["total"] >= self._limits.total or self._used[kind] >= bound:
            return self.busy(max(math.ceil((window + 1) * WINDOW_S - self._clock.now()), 1))
        self._used["total"] += calls
        self._used[kind] += 1
        self.most_created_a_minute = max(self.most_created_a_minute, self._used["create"])
        return None

    def _note(self, number: int, fields: dict[str, Any]) -> Answer:
        ticket = self.tickets[number - 1]
        ticket.notes.append(str(fields["body"]))
        self.touch(ticket)
        return Answer(201, self._headers(), b"{}")

    def _view(self, number: int) -> Answer:
        ticket = self.tickets[number - 1]
        row = json.loads(ticket.row) | {ticket.box: True}
        return Answer(200, self._headers(), json.dumps(row).encode())

    def _list(self, asked: dict[str, str]) -> Answer:
        if "email" in asked and asked["email"] not in self._of_address:
            return self._refused(400, "email")
        since = math.floor(datetime.fromisoformat(asked["updated_since"]).timestamp()) - self.quirks.ahead_s
        found = self._sorted(asked.get("email"), asked.get("filter", ""), since)
        size = int(asked["per_page"])
        first = (int(asked["page"]) - 1) * size
        more = len(found) > first + size and self.quirks.link
        described = "include" in asked
        shown = found[first : first + size]
        rows = ",".join(ticket.described_row if described else ticket.row for ticket in shown)
        link = {"link": '<https://x>; rel="next"'} if more else {}
        return Answer(200, {**self._headers(), **link}, f"[{rows}]".encode())

    def _sorted(self, email: str | None, box: str, since: float) -> list[Ticket]:
        """Return the tickets of a list in the account's order."""
        known: Iterable[Ticket]
        if email is not None:
            known = (one for one in self._of_address[email] if one.updated_at >= since)
        elif box:
            known = (one for one in self._boxed if one.updated_at >= since)
        else:
            updated = self._by_update[bisect_left(self._by_update, (since, 0)) :]
            known = (self.tickets[number - 1] for _, number in updated)
        now = self._clock.now()
        found = [one for one in known if one.box == box and one.listed_at <= now]
        if self.quirks.order == "updated":
            return sorted(found, key=lambda one: (-one.updated_at, one.ticket_id))
        return sorted(found, key=lambda one: one.ticket_id, reverse=self.quirks.order == "newest")

    def _refused(self, status: int, name: str) -> Answer:
        errors = [{"field": name, "message": "…", "code": "invalid_value"}] if name else []
        return Answer(
            status, self._headers(), json.dumps({"description": "Validation failed", "errors": errors}).encode()
        )

    def _headers(self) -> dict[str, str]:
        left = max(self._limits.total - self._used["total"], 0)
        return {
            "x-ratelimit-total": f"{self._limits.total:.1f}",
            "x-ratelimit-remaining": f"{left:.1f}",
            "date": formatdate(self._clock.now() + self.quirks.ahead_s, usegmt=True),
        }


def _kind(request: Request, path: str) -> str:
    if request.method == "GET":
        return "lists" if path.endswith("/tickets") else "views"
    return "notes" if path.endswith("/notes") else "create"
