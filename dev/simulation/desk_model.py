"""A Freshdesk on the virtual clock: tickets, lists, refusals and the rate limit, as far as a handoff can tell."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from freshdesk_client import Answer, Request
from handoff.deadline import Clock

WINDOW_S: Final = 60.0
UNKNOWN_GROUP: Final = 1070000000112  # as if somebody had deleted the group that routing.toml names
REFUSED_DOMAIN: Final = "@refused.example"


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests a minute: https://developers.freshdesk.com/api/#ratelimit, Enterprise."""

    total: int = 700
    create: int = 280
    lists: int = 200


@dataclass(slots=True)
class Ticket:
    """One ticket. `box` is "", "spam" or "deleted"."""

    ticket_id: int
    created_at: float
    fields: dict[str, Any]
    row: str
    box: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def subject(self) -> str:
        """The subject."""
        return str(self.fields["subject"])


class DeskModel:
    """Answers requests at once; delays and faults are `faults.FaultyTransport`'s."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._window = -1
        self._used: dict[str, int] = defaultdict(int)
        self.tickets: list[Ticket] = []
        self._of_address: dict[str, list[Ticket]] = defaultdict(list)
        self._boxed: list[Ticket] = []
        self.busy_answers = 0
        self.calls = 0
        self.most_created_a_minute = 0

    def answer(self, request: Request) -> Answer:
        """Do what request asks."""
        parts = urlsplit(request.path)
        kind = _kind(request, parts.path)
        busy = self._count(kind)
        if busy:
            return busy
        if kind == "lists":
            return self._list({name: values[-1] for name, values in parse_qs(parts.query).items()})
        fields = json.loads(request.body or b"{}")
        return self._create(fields) if kind == "create" else self._note(int(parts.path.split("/")[4]), fields)

    def put(self, ticket: Ticket, box: str) -> None:
        """Move a ticket to the spam box, or to the deleted ones."""
        ticket.box = box
        self._boxed.append(ticket)
        self._boxed.sort(key=lambda one: one.created_at)

    def busy(self, retry_after_s: int) -> Answer:
        """Return a 429; Freshdesk's has no body one could rely on."""
        self.busy_answers += 1
        return Answer(429, {"retry-after": str(retry_after_s)}, b"")

    def _count(self, kind: str) -> Answer | None:
        self.calls += 1
        window = math.floor(self._clock.now() / WINDOW_S)
        if window != self._window:
            self._window = window
            self._used.clear()
        bound = {"create": self._limits.create, "lists": self._limits.lists}.get(kind, self._limits.total)
        if self._used["total"] >= self._limits.total or self._used[kind] >= bound:
            return self.busy(max(math.ceil((window + 1) * WINDOW_S - self._clock.now()), 1))
        self._used["total"] += 1
        self._used[kind] += 1
        self.most_created_a_minute = max(self.most_created_a_minute, self._used["create"])
        return None

    def _create(self, fields: dict[str, Any]) -> Answer:
        address = str(fields.get("email") or fields.get("phone") or "")
        if address.endswith(REFUSED_DOMAIN):
            return self._refused("email")
        if fields.get("group_id") == UNKNOWN_GROUP:
            return self._refused("group_id")
        now = self._clock.now()
        number = len(self.tickets) + 1
        told = {"id": number, "subject": fields["subject"], "created_at": _stamp(now), "status": fields["status"]}
        ticket = Ticket(number, now, fields, json.dumps(told))
        self.tickets.append(ticket)
        self._of_address[address].append(ticket)
        return Answer(201, self._headers(), ticket.row.encode())

    def _note(self, number: int, fields: dict[str, Any]) -> Answer:
        self.tickets[number - 1].notes.append(str(fields["body"]))
        return Answer(201, self._headers(), b"{}")

    def _list(self, asked: dict[str, str]) -> Answer:
        if "email" in asked and asked["email"] not in self._of_address:
            return self._refused("email")
        everyone = self._boxed if "filter" in asked else self.tickets
        known: Sequence[Ticket] = self._of_address[asked["email"]] if "email" in asked else everyone
        since = math.floor(datetime.fromisoformat(asked["updated_since"]).timestamp())
        size = int(asked["per_page"])
        first = (int(asked["page"]) - 1) * size
        found = [*islice(_newest(known, since, asked.get("filter", "")), first, first + size + 1)]
        link = {"link": '<https://x>; rel="next"'} if len(found) > size else {}
        rows = ",".join(ticket.row for ticket in found[:size])
        return Answer(200, {**self._headers(), **link}, f"[{rows}]".encode())

    def _refused(self, name: str) -> Answer:
        told = {
            "description": "Validation failed",
            "errors": [{"field": name, "message": "…", "code": "invalid_value"}],
        }
        return Answer(400, self._headers(), json.dumps(told).encode())

    def _headers(self) -> dict[str, str]:
        left = max(self._limits.total - self._used["total"], 0)
        return {"x-ratelimit-total": f"{self._limits.total:.1f}", "x-ratelimit-remaining": f"{left:.1f}"}


def _kind(request: Request, path: str) -> str:
    if request.method == "GET":
        return "lists"
    return "notes" if path.endswith("/notes") else "create"


def _newest(tickets: Sequence[Ticket], since: float, box: str) -> Iterable[Ticket]:
    for ticket in reversed(tickets):
        if ticket.created_at < since:
            return
        if ticket.box == box:
            yield ticket


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
