"""Freshdesk's REST API v2, as far as a handoff needs it: pure `build_*`/`decipher_*` pairs, and one thin client.

Every error answers one question: may a ticket (or a note) exist now? `NotCreated` and its children: no.
`OutcomeUnknown`: perhaps. Vendor facts: https://developers.freshdesk.com/api/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

JSONObject = dict[str, Any]

PER_PAGE: Final = 100  # the most a list gives: https://developers.freshdesk.com/api/#pagination
FAULTS_READ: Final = 50  # of a refusal: more than a ticket has fields
_WORD: Final = re.compile(r"[A-Za-z0-9_.]{1,100}")
_TICKET_IN_LOCATION: Final = re.compile(r"/tickets/([0-9]{1,18})\Z")


class FreshdeskError(Exception):
    """A call to Freshdesk did not end well. Messages are for the log: they never hold a request's content."""

    may_exist: bool = False


class NotCreated(FreshdeskError):
    """Freshdesk certainly wrote nothing."""


class FreshdeskUnreachable(NotCreated):
    """No connection: refused, no such host, TLS failed. The request was not sent."""


class FreshdeskBusy(NotCreated):
    """429: the account's rate limit is used up for retry_after_s seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"rate limit; again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class FreshdeskRefused(NotCreated):
    """4xx: refused as it is. `fields` are the ones Freshdesk names (`group_id`, `custom_fields.cf_x`, …)."""

    def __init__(self, status: int, fields: Sequence[str] = (), codes: Sequence[str] = ()) -> None:
        named = ", ".join(f"{field}: {code}" for field, code in zip(fields, codes, strict=False))
        super().__init__(f"{status} {named}".strip())
        self.status = status
        self.fields = tuple(fields)
        self.codes = tuple(codes)


class OutcomeUnknown(FreshdeskError):
    """Time-out, reset, 5xx, or an answer that cannot be read: what was asked for may have been done."""

    may_exist = True


class Request(NamedTuple):
    """What to send: method, path with query, JSON body."""

    method: str
    path: str
    body: bytes | None = None


class Answer(NamedTuple):
    """What came back: status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Sends one request and returns one answer within timeout_s seconds, following no redirect."""

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Send request.

        Raises:
            FreshdeskUnreachable: nothing was sent.
            OutcomeUnknown: it was sent, or may have been, and no whole answer came.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a ticket list: what a look needs of it."""

    ticket_id: int
    subject: str
    created_at: float  # epoch seconds; 0.0 where Freshdesk's date cannot be read
    status: int


class Page(NamedTuple):
    """One page of a list, and whether another follows."""

    rows: list[Listed]
    more: bool


def build_create(fields: Mapping[str, Any]) -> Request:
    """Return the request that creates a ticket with these fields."""
    return Request("POST", "/api/v2/tickets", json.dumps(fields).encode())


def decipher_create(answer: Answer) -> int:
    """Return the new ticket's number, from the body or else from `Location`.

    Raises:
        FreshdeskBusy, FreshdeskRefused: no ticket.
        OutcomeUnknown: a ticket may exist.
    """
    _raise_for(answer)
    return _id_in_body(answer.body) or _id_in_location(answer.headers)


def build_list(*, email: str = "", since: float, page: int = 1, size: int = PER_PAGE, only: str = "") -> Request:
    """Return the request for one page of tickets touched since an epoch second, newest first.

    Args:
        email: only this requester's.
        since: epoch seconds.
        page: from 1.
        size: how many tickets a page holds, up to 100.
        only: `spam` or `deleted`, which the plain list leaves out.
    """
    moment = datetime.fromtimestamp(max(since, 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = {"updated_since": moment, "order_by": "created_at", "order_type": "desc", "per_page": size, "page": page}
    named = {"email": email, "filter": only}
    return Request("GET", "/api/v2/tickets?" + urlencode({k: v for k, v in named.items() if v} | query))


def decipher_list(answer: Answer) -> Page:
    """Return the page. A 400 on `email` means that nobody has that address, and so no ticket.

    A row that cannot be read spoils the page: it may be the very ticket that is looked for.

    Raises:
        FreshdeskBusy, FreshdeskRefused: the list was not to be had.
        OutcomeUnknown: the answer is not a list.
    """
    try:
        _raise_for(answer)
    except FreshdeskRefused as error:
        if error.status == 400 and error.fields == ("email",):  # noqa: PLR2004 -- Bad Request
            return Page([], more=False)
        raise
    rows = _json(answer.body)
    if not isinstance(rows, list):
        raise OutcomeUnknown("the list is not a list")
    return Page(
        [_listed(row) for row in rows],
        more='rel="next"' in answer.headers.get("link", ""),
    )


def build_note(ticket_id: int, html: str) -> Request:
    """Return the request that adds a private note to a ticket."""
    return Request("POST", f"/api/v2/tickets/{ticket_id:d}/notes", json.dumps({"body": html, "private": True}).encode())


def build_get(path: str) -> Request:
    """Return a plain read, for the preflight: `agents/me`, `ticket_fields`, `groups`, `tickets/7`."""
    return Request("GET", f"/api/v2/{path}")


def decipher_json(answer: Answer) -> Any:
    """Return the JSON of a good answer.

    Raises:
        FreshdeskBusy, FreshdeskRefused, OutcomeUnknown: as the status says.
    """
    _raise_for(answer)
    return _json(answer.body)


CREATE_SHARE: Final = 0.4  # of an account's calls, in every plan that bounds them; no header tells this bound
RATE_WINDOW_S: Final = 60.0  # the limits are per minute
RETRY_AFTER_DEFAULT_S: Final = 30.0
RETRY_AFTER_MAX_S: Final = 3600.0


class RateLimit(NamedTuple):
    """What the headers say of the account's limit in this minute; Freshdesk writes decimals (`50.0`)."""

    total: float
    remaining: float

    @staticmethod
    def read(headers: Mapping[str, str]) -> RateLimit | None:
        """Return the limit the headers tell, or None."""
        try:
            total = float(headers["x-ratelimit-total"])
            remaining = float(headers["x-ratelimit-remaining"])
        except (KeyError, ValueError):
            return None
        return RateLimit(total, remaining) if 0 < total < inf and remaining >= 0 else None

    @property
    def creates_left(self) -> float:
        """How many tickets can certainly still be made in this minute, if no call so far made anything else.

        >>> RateLimit(400.0, 390.0).creates_left, RateLimit(400.0, 240.0).creates_left
        (150.0, 0.0)
        """
        return CREATE_SHARE * self.total - (self.total - self.remaining)


class RateMeter:
    """What one process knows of an account's limit: what it was told last, and how many of its own calls are out.

    Without a clock it never forgets what it was told.
    """

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self._now = now
        self._told: tuple[RateLimit | None, float] = (None, 0.0)  # and when: together, for threads read it
        self._under_way: list[None] = []  # one for each call: threads cannot add to a number safely

    @property
    def limit(self) -> RateLimit | None:
        """What was told last; None where nothing was, or longer ago than a limit holds."""
        limit, told_at = self._told
        return limit if self._now() - told_at <= RATE_WINDOW_S else None

    @limit.setter
    def limit(self, limit: RateLimit | None) -> None:
        self._told = limit, self._now()

    @property
    def calls_under_way(self) -> int:
        """How many calls have been sent and not answered yet."""
        return len(self._under_way)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count what happens inside as a call under way."""
        self._under_way.append(None)
        try:
            yield
        finally:
            self._under_way.pop()

    def read(self, headers: Mapping[str, str]) -> None:
        """Heed what the headers tell, if they do; not of an answer that others overtook, for more was left then."""
        told = RateLimit.read(headers)
        if told is None:
            return
        known = self.limit
        rise = told.remaining - known.remaining if known else inf
        if not 0 < rise <= self.calls_under_way:  # a higher rise than that is a new minute
            self.limit = told


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the seconds `Retry-After` asks for, whether as a number or as a date; never absurd."""
    told = headers.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        seconds = _seconds_until(told)
    return min(max(seconds, 1.0), RETRY_AFTER_MAX_S) if seconds == seconds else RETRY_AFTER_DEFAULT_S  # noqa: PLR0124 -- NaN


def _seconds_until(http_date: str) -> float:
    try:
        return (parsedate_to_datetime(http_date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return RETRY_AFTER_DEFAULT_S


class FreshdeskClient:
    """One Freshdesk account. Holds no state but its meter."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.meter = RateMeter()

    def create_ticket(self, fields: Mapping[str, Any], timeout_s: float) -> int:
        """Create a ticket and return its number. Raises as `Transport` and `decipher_create`."""
        return decipher_create(self._send(build_create(fields), timeout_s))

    def list_tickets(
        self, timeout_s: float, *, since: float, email: str = "", page: int = 1, size: int = PER_PAGE, only: str = ""
    ) -> Page:
        """Return one page of tickets. Raises as `Transport` and `decipher_list`."""
        request = build_list(email=email, since=since, page=page, size=size, only=only)
        return decipher_list(self._send(request, timeout_s))

    def add_note(self, ticket_id: int, html: str, timeout_s: float) -> None:
        """Add a private note. Raises as `Transport` and `decipher_json`."""
        _raise_for(self._send(build_note(ticket_id, html), timeout_s))

    def get(self, path: str, timeout_s: float) -> Any:
        """Return what GET /api/v2/path gives. Raises as `Transport` and `decipher_json`."""
        return decipher_json(self._send(build_get(path), timeout_s))

    def _send(self, request: Request, timeout_s: float) -> Answer:
        with self.meter.call():
            answer = self._transport(request, timeout_s)
        self.meter.read(answer.headers)
        return answer


def _raise_for(answer: Answer) -> None:
    """Raise what the status means; a 2xx passes."""
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004 -- the 2xx
        return
    if status == 429:  # noqa: PLR2004 -- Too Many Requests
        raise FreshdeskBusy(retry_after_s(answer.headers))
    if 400 <= status < 500 and status != 408:  # noqa: PLR2004 -- a 408 may come from a proxy that had sent it on
        named = list(_errors(answer.body))
        raise FreshdeskRefused(status, [field for field, _ in named], [code for _, code in named])
    raise OutcomeUnknown(f"status {status}")


def _errors(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield (field, code) of a validation answer; Freshdesk's texts vary, its codes do not."""
    try:
        told = _json(body)
    except OutcomeUnknown:
        return
    errors = told.get("errors") if isinstance(told, dict) else None
    for error in errors[:FAULTS_READ] if isinstance(errors, list) else ():
        if isinstance(error, dict) and (field := _word(error.get("field"))):
            yield field, _word(error.get("code"))


def _word(told: object) -> str:
    """Return told if it is a name such as `custom_fields.cf_x`, else "": it goes into the log and the ledger."""
    return told if isinstance(told, str) and _WORD.fullmatch(told) else ""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown("the answer is not JSON") from error


def _id_in_body(body: bytes) -> int | None:
    try:
        ticket = _json(body)
    except OutcomeUnknown:
        return None
    return _id_of(ticket)


def _id_of(ticket: object) -> int | None:
    told = ticket.get("id") if isinstance(ticket, dict) else None
    return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else None


def _id_in_location(headers: Mapping[str, str]) -> int:
    found = _TICKET_IN_LOCATION.search(headers.get("location", ""))
    if found is None:
        raise OutcomeUnknown("2xx without a ticket number")
    return int(found[1])


def _listed(row: object) -> Listed:
    ticket_id = _id_of(row)
    if ticket_id is None or not isinstance(row, dict):
        raise OutcomeUnknown("a row without a ticket number")
    return Listed(
        ticket_id=ticket_id,
        subject=str(row.get("subject") or ""),
        created_at=_epoch(row.get("created_at")),
        status=row["status"] if isinstance(row.get("status"), int) else 0,
    )


def _epoch(moment: object) -> float:
    try:
        read = datetime.fromisoformat(str(moment))
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return 0.0


_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.freshdesk\.com")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def is_freshdesk_url(url: str) -> bool:
    """Tell whether url is the address of a Freshdesk account, or of a stand-in on loopback.

    Only `https://<name>.freshdesk.com` answers API calls; a name that merely contains it is somebody else.

    >>> is_freshdesk_url("https://betsur.freshdesk.com"), is_freshdesk_url("https://freshdesk.com.example.org")
    (True, False)
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        return False
    if host in _LOOPBACK:
        return parts.scheme in {"http", "https"}
    return parts.scheme == "https" and port is None and _HOST.fullmatch(host) is not None


def is_loopback(url: str) -> bool:
    """Tell whether url points to this machine."""
    return urlsplit(url).hostname in _LOOPBACK
