"""Freshdesk's REST API v2, the part that a handoff needs: pure `build_*`/`decipher_*` pairs, and one thin client.

Every error says whether a ticket (or a note) may exist now. `NotCreated` and its children: no.
`OutcomeUnknown`: perhaps. Vendor facts: https://developers.freshdesk.com/api/
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from html import unescape
from math import inf
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

JSONObject = dict[str, Any]

PER_PAGE: Final = 100  # the most a list gives: https://developers.freshdesk.com/api/#pagination
FAULTS_READ: Final = 50  # of a refusal: more than a ticket has fields
_WORD: Final = re.compile(r"[A-Za-z0-9_.]{1,100}")
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9.+-]{1,80}/[A-Za-z0-9.+-]{1,80}")
_QUOTED_IN_MULTIPART: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
_TICKET_IN_LOCATION: Final = re.compile(r"/tickets/([0-9]{1,18})\Z")
LAST_LINE_MAX: Final = 200  # characters kept of a description's last line: more than a reference with its label needs
_LINE_END: Final = re.compile(r"</?(?:br|p|div|t[drh]|li|[uo]l|table|h[1-6]|blockquote|pre)\b[^<>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_MARK: Final = re.compile(r"\[BF-[A-Z0-9]{8}\]\Z", re.IGNORECASE)  # of a handoff, at the end of a subject
_NEXT_LINK: Final = re.compile(r"""rel=["']?next\b""", re.IGNORECASE)
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})? ?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_LATEST_ZONE: Final = timezone(timedelta(hours=-12))  # in every other zone the same wall time is earlier
_FOUNDED_AT: Final = 1_262_304_000.0  # 2010: no ticket is older than Freshdesk


class FreshdeskError(Exception):
    """A call to Freshdesk failed. Messages are for the log: they contain nothing of the request."""

    may_exist: bool = False


class NotCreated(FreshdeskError):
    """Freshdesk certainly wrote nothing."""


class FreshdeskUnreachable(NotCreated):
    """The request was not sent. `code` is the cause as one word.

    `dns` no such host, or its address came too late · `refused` · `timeout` · `connect` any other fault of the network
    · `proxy` · `tls` handshake failed · `certificate` not trusted · `ca-bundle` this machine's own list of authorities
    is missing or not readable · `no-time` the call's time was over before it could begin.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class FreshdeskBusy(NotCreated):
    """429: the account's rate limit is used up for retry_after_s seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"rate limit; again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class FreshdeskRefused(NotCreated):
    """4xx: refused. `fields` are the ones that Freshdesk names (`group_id`, `custom_fields.cf_x`, …).

    `code` is Freshdesk's own word for a refusal of the whole call (`invalid_credentials`, `account_suspended`, …), or
    "": https://developers.freshdesk.com/api/#error
    """

    def __init__(self, status: int, fields: Sequence[str] = (), codes: Sequence[str] = (), *, code: str = "") -> None:
        named = ", ".join(f"{field}: {code}" for field, code in zip(fields, codes, strict=False))
        super().__init__(f"{status} {named or code}".strip())
        self.status = status
        self.fields = tuple(fields)
        self.codes = tuple(codes)
        self.code = code


class OutcomeUnknown(FreshdeskError):
    """Time-out, reset, 5xx, or an unreadable answer: the request may have taken effect."""

    may_exist = True


class Request(NamedTuple):
    """A request: method, path with query, body, and what follows in the body: a file need not be copied."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str = "application/json"
    more: tuple[bytes, ...] = ()


class Answer(NamedTuple):
    """An answer: status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Sends one request and returns its answer within timeout_s seconds. Follows no redirect."""

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Send request.

        Raises:
            FreshdeskUnreachable: nothing was sent.
            OutcomeUnknown: the request was sent, or may have been, and no whole answer came.
        """
        ...


class Requester(NamedTuple):
    """Whose tickets: the contact with this e-mail address, or with this external id; both empty: everybody's."""

    email: str = ""
    external_id: str = ""


class ListQuery(NamedTuple):
    """A page of a filtered ticket list.

    `since`: epoch seconds; tickets updated since then. `requester`: only theirs. `only`: `spam` or `deleted`,
    which the plain list leaves out. `described`: with descriptions, for two more of the rate limit's calls a page.
    `page`: from 1. `size`: how many tickets a page holds, up to 100.
    """

    since: float
    requester: Requester = Requester()
    only: str = ""
    described: bool = False
    page: int = 1
    size: int = PER_PAGE


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a ticket list, with the fields that a search needs."""

    ticket_id: int
    subject: str
    created_at: float  # epoch seconds; 0.0 if Freshdesk's date cannot be read
    status: int
    last_line: str = ""  # of the description, as text; "" in a list without descriptions


class Note(NamedTuple):
    """A note or reply of a ticket: its text, and the size of each of its files in bytes."""

    text: str
    sizes: tuple[int, ...] = ()


class Page(NamedTuple):
    """One page of a list, whether another follows, and Freshdesk's time (epoch seconds) of the answer."""

    rows: list[Listed]
    more: bool
    date: float | None = None


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
    return _id_of(_json_or_none(answer.body)) or _id_in_location(answer.headers)


def build_list(query: ListQuery) -> Request:
    """Return the request for one page of tickets, newest first: https://developers.freshdesk.com/api/#list_all_tickets."""
    moment = datetime.fromtimestamp(max(query.since, 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    email, external_id = query.requester
    optional = {
        "email": email,
        "unique_external_id": external_id,
        "filter": query.only,
        "include": "description" if query.described else "",
    }
    always = {"updated_since": moment, "order_by": "created_at", "order_type": "desc"}
    pages = {"per_page": query.size, "page": query.page}
    return Request(
        "GET",
        "/api/v2/tickets?" + urlencode({name: value for name, value in optional.items() if value} | always | pages),
    )


def decipher_list(answer: Answer, size: int = PER_PAGE) -> Page:
    """Return a page that was asked for with this size. A 400 on the requester means that there is no such contact.

    A full page has a next one even where no `Link` header says so. A row without a number is an error: it may be the
    very ticket that is looked for.

    Raises:
        FreshdeskBusy, FreshdeskRefused: the list was not given.
        OutcomeUnknown: the answer is not a list.
    """
    try:
        _raise_for(answer)
    except FreshdeskRefused as error:
        if error.status == 400 and error.fields in {("email",), ("unique_external_id",)}:  # noqa: PLR2004 -- Bad Request
            return Page([], more=False, date=_http_date(answer.headers.get("date", "")))
        raise
    rows = _json(answer.body)
    if not isinstance(rows, list):
        raise OutcomeUnknown("the list is not a list")
    return Page(
        [_listed(row) for row in rows],
        more=len(rows) >= size or _NEXT_LINK.search(answer.headers.get("link", "")) is not None,
        date=_http_date(answer.headers.get("date", "")),
    )


def build_note(ticket_id: int, html: str) -> Request:
    """Return the request that adds a private note to a ticket."""
    return Request("POST", f"/api/v2/tickets/{ticket_id:d}/notes", json.dumps({"body": html, "private": True}).encode())


def build_note_with_file(ticket_id: int, html: str, name: str, content: bytes, media_type: str) -> Request:
    """Return the request that adds a private note with a file: https://developers.freshdesk.com/api/#add_note_to_a_ticket.

    Files go as multipart/form-data only, in parts called `attachments[]`. A name is UTF-8, as browsers send it.
    """
    boundary = uuid.uuid4().hex
    quoted = name.translate(_QUOTED_IN_MULTIPART)
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in (("body", html), ("private", "true"))
    )
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="attachments[]"; filename="{quoted}"\r\n'
    kind = media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
    head = f"{fields}{file}Content-Type: {kind}\r\n\r\n".encode()
    more = (content, f"\r\n--{boundary}--\r\n".encode())
    kind_of_body = f"multipart/form-data; boundary={boundary}"
    return Request("POST", f"/api/v2/tickets/{ticket_id:d}/notes", head, kind_of_body, more)


def build_conversations(ticket_id: int, page: int) -> Request:
    """Return the request for one page of a ticket's notes and replies, oldest first.

    https://developers.freshdesk.com/api/#list_all_ticket_notes
    """
    return Request("GET", f"/api/v2/tickets/{ticket_id:d}/conversations?per_page={PER_PAGE}&page={page:d}")


def decipher_conversations(answer: Answer) -> list[Note]:
    """Return a page of notes and replies.

    Raises:
        FreshdeskBusy, FreshdeskRefused: the list was not given.
        OutcomeUnknown: the answer is not a list.
    """
    rows = decipher_json(answer)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise OutcomeUnknown("the answer is not a list")
    return [_note(row) for row in rows]


def _note(row: dict[str, Any]) -> Note:
    files = row.get("attachments")
    sizes = (file.get("size") for file in files if isinstance(file, dict)) if isinstance(files, list) else ()
    text = f"{row.get('body_text') or ''}\n{row.get('body') or ''}"
    return Note(text, tuple(size for size in sizes if isinstance(size, int)))


def build_get(path: str) -> Request:
    """Return a plain read, for the preflight: `agents/me`, `ticket_fields`, `groups`, `tickets/7`."""
    return Request("GET", f"/api/v2/{path}")


def decipher_json(answer: Answer) -> Any:
    """Return the JSON of a successful answer.

    Raises:
        FreshdeskBusy, FreshdeskRefused, OutcomeUnknown: as the status says.
    """
    _raise_for(answer)
    return _json(answer.body)


CREATE_SHARE: Final = 0.4  # of an account's calls, in every plan that limits them; no header has this limit
RATE_WINDOW_S: Final = 60.0  # the limits are per minute
RETRY_AFTER_DEFAULT_S: Final = 30.0
RETRY_AFTER_MAX_S: Final = 3600.0


class RateLimit(NamedTuple):
    """The account's limit in this minute, from the headers; Freshdesk writes decimals (`50.0`)."""

    total: float
    remaining: float

    @staticmethod
    def read(headers: Mapping[str, str]) -> RateLimit | None:
        """Return the limit that the headers state, or None."""
        try:
            total = float(headers["x-ratelimit-total"])
            remaining = float(headers["x-ratelimit-remaining"])
        except (KeyError, ValueError):
            return None
        return RateLimit(total, remaining) if 0 < total < inf and remaining >= 0 else None

    @property
    def creates_left(self) -> float:
        """How many tickets can certainly still be made in this minute, if all calls so far made tickets.

        >>> RateLimit(400.0, 390.0).creates_left, RateLimit(400.0, 240.0).creates_left
        (150.0, 0.0)
        """
        return CREATE_SHARE * self.total - (self.total - self.remaining)


class RateMeter:
    """What one process knows about an account's limit: the last one read, and how many calls are in progress.

    Without a clock the last one read never expires.
    """

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self._now = now
        self._read: tuple[RateLimit | None, float] = (None, 0.0)  # and when: one value, because threads share it
        self._under_way: list[None] = []  # one item for each call: threads cannot safely add to a number

    @property
    def limit(self) -> RateLimit | None:
        """The last limit read; None if there is none, or if it is too old."""
        limit, read_at = self._read
        return limit if self._now() - read_at <= RATE_WINDOW_S else None

    @limit.setter
    def limit(self, limit: RateLimit | None) -> None:
        self._read = limit, self._now()

    @property
    def calls_under_way(self) -> int:
        """How many calls have been sent and not been answered yet."""
        return len(self._under_way)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call as in progress inside."""
        self._under_way.append(None)
        try:
            yield
        finally:
            self._under_way.pop()

    def read(self, headers: Mapping[str, str]) -> None:
        """Take the limit from the headers, unless it is stale: a later answer already showed fewer calls left."""
        limit = RateLimit.read(headers)
        if limit is None:
            return
        known = self.limit
        rise = limit.remaining - known.remaining if known else inf
        if not 0 < rise <= self.calls_under_way:  # a larger rise is a new minute
            self.limit = limit


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the seconds of `Retry-After`, given as a number or as a date, between 1 and an hour."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        until, now = _http_date(value), _http_date(headers.get("date", "")) or datetime.now(UTC).timestamp()
        seconds = RETRY_AFTER_DEFAULT_S if until is None else until - now
    return min(max(seconds, 1.0), RETRY_AFTER_MAX_S) if seconds == seconds else RETRY_AFTER_DEFAULT_S  # noqa: PLR0124 -- NaN


def _http_date(value: str) -> float | None:
    try:
        read = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return read.timestamp() if read.tzinfo else None


class FreshdeskClient:
    """A client of one Freshdesk account. Its only state is its meter."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.meter = RateMeter()

    def create_ticket(self, fields: Mapping[str, Any], timeout_s: float) -> int:
        """Create a ticket and return its number. Raises as `Transport` and `decipher_create`."""
        answer = self._send(build_create(fields), timeout_s)
        number = decipher_create(answer)
        if _is_anothers(answer, fields):
            raise OutcomeUnknown("the answer to another request")
        return number

    def list_tickets(self, timeout_s: float, query: ListQuery) -> Page:
        """Return one page of tickets. Raises as `Transport` and `decipher_list`."""
        return decipher_list(self._send(build_list(query), timeout_s), query.size)

    def add_note(self, ticket_id: int, html: str, timeout_s: float) -> None:
        """Add a private note. Raises as `Transport` and `decipher_json`."""
        _raise_for(self._send(build_note(ticket_id, html), timeout_s))

    def add_note_with_file(self, ticket_id: int, html: str, file: tuple[str, bytes, str], timeout_s: float) -> None:
        """Add a private note with a file (name, content, media type). Raises as `Transport` and `decipher_json`."""
        _raise_for(self._send(build_note_with_file(ticket_id, html, *file), timeout_s))

    def conversations(self, ticket_id: int, page: int, timeout_s: float) -> list[Note]:
        """Return a page of a ticket's notes and replies. Raises as `Transport` and `decipher_conversations`."""
        return decipher_conversations(self._send(build_conversations(ticket_id, page), timeout_s))

    def get(self, path: str, timeout_s: float) -> Any:
        """Return the JSON of GET /api/v2/path. Raises as `Transport` and `decipher_json`."""
        return decipher_json(self._send(build_get(path), timeout_s))

    def _send(self, request: Request, timeout_s: float) -> Answer:
        with self.meter.call():
            answer = self._transport(request, timeout_s)
        self.meter.read(answer.headers)
        return answer


def _raise_for(answer: Answer) -> None:
    """Raise the error for the status; a 2xx passes."""
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004 -- the 2xx
        return
    if status == 429:  # noqa: PLR2004 -- Too Many Requests
        raise FreshdeskBusy(retry_after_s(answer.headers))
    if 400 <= status < 500 and status != 408:  # noqa: PLR2004 -- a 408 may come from a proxy that had forwarded the request
        body = _json_or_none(answer.body)
        named = list(_errors(body))
        raise FreshdeskRefused(
            status,
            [field for field, _ in named],
            [code for _, code in named],
            code=_word(body.get("code")) if isinstance(body, dict) else "",
        )
    raise OutcomeUnknown(f"status {status}")


def _errors(body: object) -> Iterator[tuple[str, str]]:
    """Yield (field, code) of a validation answer; Freshdesk's codes are stable, its texts are not."""
    errors = body.get("errors") if isinstance(body, dict) else None
    for error in errors[:FAULTS_READ] if isinstance(errors, list) else ():
        if isinstance(error, dict) and (field := _word(error.get("field"))):
            yield field, _word(error.get("code"))


def _is_anothers(answer: Answer, fields: Mapping[str, Any]) -> bool:
    """Return True if a created ticket's subject ends with the reference of another handoff.

    HTTP/1.1 does not say which request an answer belongs to. What Freshdesk itself does to a subject is no such mark.
    """
    ticket = _json_or_none(answer.body)
    subjects = fields.get("subject"), ticket.get("subject") if isinstance(ticket, dict) else None
    ours, theirs = (_MARK.search(one) if isinstance(one, str) else None for one in subjects)
    return bool(ours and theirs) and ours[0].upper() != theirs[0].upper()  # type: ignore[index]  # both are there


def _word(value: object) -> str:
    """Return value if it is a name such as `custom_fields.cf_x`, else "": it is logged and stored."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown("the answer is not JSON") from error


def _json_or_none(body: bytes) -> Any:
    try:
        return _json(body)
    except OutcomeUnknown:
        return None


def _id_of(ticket: object) -> int | None:
    number = ticket.get("id") if isinstance(ticket, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


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
        last_line=_last_line(row.get("description")),
    )


def _last_line(html: object) -> str:
    """Return the last line that a description shows; Freshdesk wraps descriptions in tags of its own."""
    text = unescape(_TAG.sub("", _LINE_END.sub("\n", html))) if isinstance(html, str) else ""
    return text.rstrip().rpartition("\n")[2].strip()[:LAST_LINE_MAX]


def _epoch(moment: object) -> float:
    """Return epoch seconds; 0.0 if it is no plain ISO 8601 time, or cannot be a ticket's.

    A moment without a zone is read as the latest that it can be, so that no look takes a new ticket for an old one.
    """
    found = _MOMENT.fullmatch(moment) if isinstance(moment, str) else None
    try:
        read = datetime.fromisoformat(found[0].replace(" ", "T", 1).replace(" ", "").upper()) if found else None
        seconds = (read if read.tzinfo else read.replace(tzinfo=_LATEST_ZONE)).timestamp() if read else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return seconds if seconds >= _FOUNDED_AT else 0.0


_HOST: Final = re.compile(r"https://[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.freshdesk\.com/?", re.ASCII | re.IGNORECASE)
_LOCAL: Final = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?/?", re.ASCII | re.IGNORECASE)


def is_freshdesk_url(url: str) -> bool:
    """Return True if url is that of a Freshdesk account, or of a stand-in on loopback, and nothing else.

    Only `https://<name>.freshdesk.com` answers API calls; a name that merely contains it is somebody else.

    >>> is_freshdesk_url("https://betsur.freshdesk.com"), is_freshdesk_url("https://freshdesk.com.example.org")
    (True, False)
    """
    if _LOCAL.fullmatch(url):
        try:
            return urlsplit(url).port != 0
        except ValueError:  # a port past 65535
            return False
    return _HOST.fullmatch(url) is not None


def is_loopback(url: str) -> bool:
    """Return True if url points to this machine."""
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
