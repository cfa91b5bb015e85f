"""Parts for tests of the ledger, delivery and the sweep: a clock, a fake Freshdesk, a failing ledger, rows."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

from dev.emulators.dynamodb import client_of
from freshdesk_client import Answer, FreshdeskClient, Request, Transport
from handoff.deadline import Clock, SystemClock
from handoff.delivery import Delivery
from handoff.helpdesk import HelpDesk
from handoff.ledger import ROW_LIFETIME_S, Claim, Entry, Ledger, LedgerUnavailable, State
from handoff.routing import Routing, load_routing
from handoff.transitions import Policy
from handoff.writer import TicketWriter
from tests.closing import sqlite_ledger

T = TypeVar("T")

NOW: Final = 1_790_000_000.0
ROUTING: Final = load_routing((Path(__file__).parent.parent / "config" / "routing.toml").read_text(encoding="utf-8"))


class VirtualClock:
    """A clock on which waiting takes no real time."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        """Return epoch seconds."""
        return self.time

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.time += seconds


class QuickClock(SystemClock):
    """The system's time, and ahead of it by what was waited for: nobody really waits."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def now(self) -> float:
        """Return epoch seconds."""
        return super().now() + self._ahead_s

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return super().monotonic() + self._ahead_s

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self._ahead_s += max(seconds, 0.0)


class Lost(NamedTuple):
    """Freshdesk does what it is asked, and the answer is lost."""

    error: Exception


Fate = Answer | Exception | Lost | None


class FakeFreshdesk:
    """A fake Freshdesk as a transport on a virtual clock: `fates` are the results of the next calls (None: success)."""

    def __init__(self, clock: VirtualClock, *fates: Fate, taking_s: float = 0.0) -> None:
        self.clock = clock
        self.fates = deque(fates)
        self.always: Fate = None
        self.taking_s = taking_s
        self.calls: list[Request] = []
        self.timeouts: list[float] = []
        self.tickets: list[dict[str, Any]] = []
        self.notes: list[tuple[int, str]] = []
        self.files: dict[int, bytes] = {}  # of notes, by their place in the list
        self.headers: dict[str, str] = {}

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Answer as Freshdesk would, or as the next fate says."""
        self.calls.append(request)
        self.timeouts.append(timeout_s)
        self.clock.time += self.taking_s
        fate = self.fates.popleft() if self.fates else self.always
        if isinstance(fate, Answer):
            return fate
        if isinstance(fate, Exception):
            raise fate
        answer = self._answer(request)
        if isinstance(fate, Lost):
            raise fate.error
        return answer

    @property
    def posts(self) -> int:
        """How many tickets were posted."""
        return sum(call.method == "POST" and call.path == "/api/v2/tickets" for call in self.calls)

    def has(self, **fields: Any) -> int:
        """Put a ticket there, as if somebody had made it; return its number."""
        moment = datetime.fromtimestamp(self.clock.time, UTC).isoformat().replace("+00:00", "Z")
        number = len(self.tickets) + 1
        ticket = {"id": number, "subject": "", "status": 2, "created_at": moment, "email": "", "box": "", **fields}
        self.tickets.append(ticket)
        return number

    def _answer(self, request: Request) -> Answer:
        if request.method == "GET" and "?" not in request.path:
            shown = [one for one in self.tickets if one["id"] == int(request.path.split("/")[4])]
            return answer(200, shown[0], self.headers) if shown else answer(404)
        if request.method == "GET" and "/conversations?" in request.path:
            number = int(request.path.split("/")[4])
            notes = [
                {"id": at, "body": html, "attachments": [{"size": len(self.files[at])}] if at in self.files else []}
                for at, (ticket_id, html) in enumerate(self.notes)
                if ticket_id == number
            ]
            return answer(200, notes, self.headers)
        if request.method == "GET":
            return self._list(request)
        if request.more:
            self.files[len(self.notes)] = request.more[0]
            self.notes.append((int(request.path.split("/")[4]), (request.body or b"").decode()))
            return answer(201, {"id": len(self.notes)}, self.headers)
        said = json.loads(request.body or b"")
        if request.path != "/api/v2/tickets":
            self.notes.append((int(request.path.split("/")[4]), said["body"]))
            return answer(201, {"id": len(self.notes)}, self.headers)
        return answer(201, {"id": self.has(**said)}, self.headers)

    def _list(self, request: Request) -> Answer:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        box = asked.get("filter", "")
        rows = [one for one in reversed(self.tickets) if one["box"] == box]
        found = [one for one in rows if "email" not in asked or one["email"] == asked["email"]]
        first, size = (int(asked["page"]) - 1) * int(asked["per_page"]), int(asked["per_page"])
        return answer(200, found[first : first + size], self.headers)


def answer(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status, dict(headers or {}), b"" if body is None else json.dumps(body).encode())


def busy(retry_after: float) -> Answer:
    """Return a 429."""
    return Answer(429, {"retry-after": f"{retry_after:g}"}, b"")


def refusal(*fields: str, code: str = "invalid_value") -> Answer:
    """Return a 400 that names fields."""
    faults = [{"field": field, "message": "It should be something else", "code": code} for field in fields]
    return answer(400, {"description": "Validation failed", "errors": faults})


class FaultyLedger:
    """A ledger whose next calls fail as `fates` say: "before" they did anything, or "after"; "" is a normal call."""

    def __init__(self, ledger: Ledger, *fates: str, only: str = "") -> None:
        self.ledger = ledger
        self.fates = deque(fates)
        self.only = only
        self.always = ""

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """See `Ledger`."""
        return self._met("claim", lambda: self.ledger.claim(entry, now=now, tickets_an_hour=tickets_an_hour))

    def replace(self, old: Entry, new: Entry) -> bool:
        """See `Ledger`."""
        return self._met("replace", lambda: self.ledger.replace(old, new))

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """See `Ledger`."""
        return self._met("find", lambda: self.ledger.find(reference, now=now))

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """See `Ledger`."""
        return self._met("due", lambda: self.ledger.due(until, limit, after))

    def in_conversation(self, conversation: str, *, now: float) -> list[Entry]:
        """See `Ledger`."""
        return self._met("in_conversation", lambda: self.ledger.in_conversation(conversation, now=now))

    def take_slot(self, person: str, entry: Entry, *, now: float, tickets_an_hour: int) -> bool:
        """See `Ledger`."""
        return self._met(
            "take_place", lambda: self.ledger.take_slot(person, entry, now=now, tickets_an_hour=tickets_an_hour)
        )

    def with_slot(self, person: str, *, now: float) -> list[Entry]:
        """See `Ledger`."""
        return self._met("with_slot", lambda: self.ledger.with_slot(person, now=now))

    def each(self) -> Iterator[Entry]:
        """See `Ledger`."""
        return self._met("each", self.ledger.each)

    def delete(self, entry: Entry) -> None:
        """See `Ledger`."""
        self._met("delete", lambda: self.ledger.delete(entry))

    def tidy(self, now: float) -> None:
        """See `Ledger`."""
        self._met("tidy", lambda: self.ledger.tidy(now))

    def check(self) -> None:
        """See `Ledger.check`."""
        self.ledger.check()

    def migrate(self) -> int:
        """See `Ledger.migrate`."""
        return self.ledger.migrate()

    def remember(self, entry: Entry, *, now: float) -> None:
        """See `Ledger.remember`."""
        self.ledger.remember(entry, now=now)

    def recover(self) -> int:
        """See `Ledger.recover`."""
        return self.ledger.recover()

    def had_outage(self, now: float) -> bool:
        """See `Ledger.had_outage`."""
        return self._met("had_outage", lambda: self.ledger.had_outage(now))

    def close(self) -> None:
        """See `Ledger.close`."""
        self.ledger.close()

    def _met(self, name: str, call: Callable[[], T]) -> T:
        if self.only not in {"", name}:
            return call()
        fate = self.fates.popleft() if self.fates else self.always
        if fate == "before":
            raise LedgerUnavailable(fate)
        result = call()
        if fate == "after":
            raise LedgerUnavailable(fate)
        return result


def entry(**overrides: Any) -> Entry:
    """Return a row that a caller has just claimed."""
    given = {
        "reference": "BF-7K3QX2AB",
        "entry": "7K3QX2AB" + "A" * 44,
        "state": State.CREATING,
        "owner": "one",
        "created_at": NOW,
        "due_at": NOW + 60.0,
        "give_up_at": NOW + 72 * 3600.0,
        "expires_at": NOW + ROW_LIFETIME_S,
        "person": "somebody",
        "conversation": "conversation",
        **overrides,
    }
    return Entry(**given)


def delivery(
    *,
    clock: Clock,
    transport: Transport,
    ledger: Ledger | None = None,
    routing: Routing = ROUTING,
    url: str = "https://betsur.freshdesk.com",
    **policy: Any,
) -> Delivery:
    """Return a delivery to one account without jitter; keywords not named here are fields of `Policy`."""
    owners = (f"owner-{number}" for number in itertools.count(1))
    return Delivery(
        TicketWriter(
            helpdesks={"": HelpDesk(url, FreshdeskClient(transport), clock)},
            ledger=ledger or sqlite_ledger(),
            routing=routing,
            clock=clock,
            new_owner=lambda: next(owners),
            jitter=lambda: 0.0,
            policy=Policy(**policy),
        )
    )


def with_parts(delivery: Delivery, **parts: Any) -> Delivery:
    """Return the delivery with other parts of its writer."""
    return Delivery(replace(delivery.writer, **parts))


def empty(endpoint: str, table: str) -> None:
    """Remove everything from a table of `dynamodb.make_table`."""
    client = client_of(endpoint)
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={name: item[name] for name in ("reference", "entry")})
