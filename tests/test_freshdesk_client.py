"""Requests as Freshdesk requires them, and every answer that Freshdesk or something in between may give."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from freshdesk_client import (
    Answer,
    FreshdeskBusy,
    FreshdeskClient,
    FreshdeskError,
    FreshdeskRefused,
    FreshdeskUnreachable,
    Listed,
    ListQuery,
    OutcomeUnknown,
    RateLimit,
    Request,
    Requester,
    build_create,
    build_get,
    build_list,
    build_note,
    decipher_create,
    decipher_json,
    decipher_list,
    is_freshdesk_url,
    is_loopback,
    retry_after_s,
)
from tests.ledger_factories import answer, refusal

SAMPLES: Final = Path(__file__).parent / "data" / "samples"


def sample(name: str) -> Answer:
    """Return an answer as recorded from a live account."""
    recorded = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return answer(recorded["status"], recorded["body"], recorded["headers"])


# Requests


def test_a_ticket_is_sent_as_plain_json() -> None:
    """The fields are sent unchanged: numbers stay numbers, because Freshdesk refuses them as text."""
    request = build_create({"subject": "Ñandú", "status": 2})
    assert (request.method, request.path) == ("POST", "/api/v2/tickets")
    assert json.loads(request.body or b"") == {"subject": "Ñandú", "status": 2}


def test_a_list_has_all_its_parameters() -> None:
    """Order, page size and time are given, so that no default of the account changes a search."""
    request = build_list(
        ListQuery(1_755_647_675.9, Requester("a+b@example.com"), only="spam", described=True, page=2, size=99)
    )
    parts = urlsplit(request.path)
    assert (request.method, parts.path, request.body) == ("GET", "/api/v2/tickets", None)
    assert parse_qs(parts.query) == {
        "email": ["a+b@example.com"],
        "filter": ["spam"],
        "include": ["description"],
        "updated_since": ["2025-08-19T23:54:35Z"],
        "order_by": ["created_at"],
        "order_type": ["desc"],
        "per_page": ["99"],
        "page": ["2"],
    }


def test_a_list_of_all_tickets_has_no_filter() -> None:
    """Without an address or a filter the parameters are left out: an empty one would be a filter, or a fault."""
    query = parse_qs(urlsplit(build_list(ListQuery(-5)).path).query, keep_blank_values=True)
    assert query.keys() & {"email", "filter", "include"} == set()
    assert query["updated_since"] == ["1970-01-01T00:00:00Z"]
    assert (query["page"], query["per_page"]) == (["1"], ["100"])


def test_a_note_is_private() -> None:
    """It is never sent to the person."""
    request = build_note(7, "<p>hola</p>")
    assert (request.method, request.path) == ("POST", "/api/v2/tickets/7/notes")
    assert json.loads(request.body or b"") == {"body": "<p>hola</p>", "private": True}


def test_a_read_is_a_plain_get() -> None:
    """The reads of the preflight have plain paths under the API."""
    assert build_get("agents/me") == Request("GET", "/api/v2/agents/me")


# Answers, as recorded


def test_a_created_ticket_has_its_number() -> None:
    """The number is read from the body."""
    assert decipher_create(sample("created")) == 1234
    assert decipher_create(answer(201, {"id": 1})) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id": ', b'{"id": "1"}', b'{"id": true}', b'{"id": 0}', b"[1]"])
def test_a_number_missing_in_the_body_is_read_from_the_location(body: bytes) -> None:
    """A 201 whose body cannot be read still names its ticket, so that no second one is made."""
    location = "https://betsur.freshdesk.com/api/v2/tickets/1234"
    assert decipher_create(Answer(201, {"location": location}, body)) == 1234


@pytest.mark.parametrize("location", ["", "/api/v2/tickets/", "/api/v2/tickets/x", "/tickets/1/edit", "/tickets/-1"])
def test_a_created_ticket_without_a_number_is_in_doubt(location: str) -> None:
    """It is never taken for a failure."""
    with pytest.raises(OutcomeUnknown):
        decipher_create(Answer(201, {"location": location}, b""))


@pytest.mark.parametrize(
    ("subject", "another"),
    [
        ("x [BF-AAAAAAAA]", True),
        ("x [bf-7k3qx2ab]", False),
        ("x [BF-7K3QX2AB]", False),
        ("x [BF-7K3QX2AB] (VIP)", False),
        ("x [BF-7K3", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_an_answer_to_another_request_is_in_doubt(subject: object, another: bool) -> None:  # noqa: FBT001 -- a column of the table
    """A ticket whose subject ends with another reference is not the requested one."""
    client = FreshdeskClient(lambda _request, _timeout_s: answer(201, {"id": 7, "subject": subject}))
    fields = {"subject": "por [BF-AAAAAAAA] [BF-7K3QX2AB]"}
    if another:
        with pytest.raises(OutcomeUnknown, match="another"):
            client.create_ticket(fields, 1.0)
    else:
        assert client.create_ticket(fields, 1.0) == 7


def test_a_list_has_the_fields_that_a_search_needs() -> None:
    """Number, subject, time and status of each row, and whether there is more."""
    page = decipher_list(sample("list"))
    assert page.rows == [
        Listed(1234, "Retiros: no llegó [BF-7K3QX2AB]", 1_787_183_675.0, 2),
        Listed(1233, "Otra cosa", 1_787_183_400.0, 9000),
    ]
    assert page.more


@pytest.mark.parametrize(
    ("rows", "link", "more"),
    [
        (0, "", False),
        (99, "", False),
        (100, "", True),  # a full page has a next one, whatever the headers say
        (101, "", True),
        (100, '<https://x>; rel="prev"', True),
        (3, '<https://x>; rel="next"', True),
        (3, "<https://x>; rel=next", True),
        (3, '<https://x>; REL="Next"; title="x"', True),
        (3, '<https://x>; rel="prev"', False),
    ],
)
def test_a_page_is_the_last_one_only_if_it_is_not_full(rows: int, link: str, more: bool) -> None:  # noqa: FBT001 -- a column of the table
    """A proxy may have removed the `Link` header."""
    page = decipher_list(answer(200, [{"id": number + 1} for number in range(rows)], {"link": link}))
    assert page.more is more


def test_a_full_page_is_one_of_the_size_asked_for() -> None:
    """The page size may be less than a hundred."""
    given = answer(200, [{"id": 1}, {"id": 2}])
    assert (decipher_list(given, 2).more, decipher_list(given, 3).more) == (True, False)


def test_a_list_has_freshdesks_time() -> None:
    """An empty list, too; a date that cannot be read counts as absent."""
    dated = {"date": "Wed, 19 Aug 2026 23:54:35 GMT"}
    nobody = refusal("email")._replace(headers=dated)
    assert [decipher_list(one).date for one in (answer(200, [], dated), nobody)] == [1_787_183_675.0] * 2
    assert decipher_list(answer(200, [], {"date": "yesterday"})).date is None


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"id": 7}, Listed(7, "", 0.0, 0)),
        ({"id": 7, "subject": None, "created_at": None, "status": None}, Listed(7, "", 0.0, 0)),
        ({"id": 7, "subject": 5, "created_at": "yesterday", "status": "2"}, Listed(7, "5", 0.0, 0)),
        ({"id": 7, "description": 5}, Listed(7, "", 0.0, 0)),
        ({"id": 7, "created_at": "2026-08-19T20:54:35-03:00"}, Listed(7, "", 1_787_183_675.0, 0)),
    ],
)
def test_a_row_may_lack_everything_except_its_number(given: dict[str, Any], read: Listed) -> None:
    """Fields that are missing or of another type are read as unknown."""
    assert decipher_list(answer(200, [given])).rows == [read]


@pytest.mark.parametrize(
    ("created_at", "seconds"),
    [
        ("2026-08-19T23:54:35Z", 1_787_183_675.0),
        ("2026-08-19t23:54:35.250z", 1_787_183_675.25),
        ("2026-08-19 23:54:35 +0000", 1_787_183_675.0),
        ("2026-08-19T23:54:35+00:00", 1_787_183_675.0),
        ("2026-08-19T23:54:35", 1_787_226_875.0),  # the latest possible time: twelve hours west of Greenwich
        ("2026-08-19", 0.0),
        ("20260819T235435Z", 0.0),
        ("19/08/2026 23:54", 0.0),
        ("Wed, 19 Aug 2026 23:54:35 GMT", 0.0),
        ("10000-01-01T00:00:00Z", 0.0),
        ("2026-13-01T00:00:00Z", 0.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("1970-01-01T00:00:00Z", 0.0),
        ("\uff12\uff10\uff12\uff16-08-19T23:54:35Z", 0.0),
        (1_787_183_675, 0.0),
        (1_787_183_675_000, 0.0),
        ({"at": "2026"}, 0.0),
    ],
)
def test_a_time_is_read_exactly_or_as_unknown(
    created_at: object, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it were read too early, it would hide the ticket; the function's own time zone does not matter."""
    monkeypatch.setenv("TZ", "America/Argentina/Buenos_Aires")
    time.tzset()
    try:
        [row] = decipher_list(answer(200, [{"id": 7, "created_at": created_at}])).rows
    finally:
        monkeypatch.undo()
        time.tzset()
    assert row.created_at == seconds


@pytest.mark.parametrize(
    ("html", "line"),
    [
        ("<p>one</p>\n<p>[BF-7K3QX2AB]</p>\n", "[BF-7K3QX2AB]"),
        ("<div><div>one</div>two<p> [BF-7K3QX2AB] </p></div>", "[BF-7K3QX2AB]"),
        ("one<br>two<br/>[BF-7K3QX2AB]<br />", "[BF-7K3QX2AB]"),
        ("one <b>two</b>&nbsp;&#91;x&#93;<span></span>", "one two\xa0[x]"),
        ("<table><tr><td>a</td></tr><tr><td>b</td></tr></table>", "b"),
        ("plain", "plain"),
        ("", ""),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_description_is_identified_by_its_last_line(html: str, line: str) -> None:
    """As displayed: Freshdesk wraps descriptions in tags of its own."""
    assert decipher_list(answer(200, [{"id": 7, "description": html}])).rows[0].last_line == line


@pytest.mark.parametrize("row", [None, 1, "x", [], {}, {"id": None}, {"id": "7"}, {"id": True}, {"id": 0}])
def test_a_row_without_a_number_makes_the_list_invalid(row: Any) -> None:
    """If a search concluded "no ticket" from unreadable rows, a second one would be made."""
    with pytest.raises(OutcomeUnknown):
        decipher_list(answer(200, [{"id": 7}, row]))


def test_an_unknown_address_has_no_tickets() -> None:
    """A 400 on `email` means that there is no such contact."""
    assert decipher_list(sample("nobody"))[:2] == ([], False)


def test_any_other_refusal_of_a_list_is_an_error() -> None:
    """It does not show that there is no ticket."""
    for refused in (refusal("email", "filter"), refusal("filter"), refusal(), sample("unauthorized")):
        with pytest.raises(FreshdeskRefused):
            decipher_list(refused)


def test_a_refusal_names_fields_and_codes() -> None:
    """Freshdesk's texts are left out, because they may repeat what was sent."""
    with pytest.raises(FreshdeskRefused) as caught:
        decipher_create(sample("validation"))
    assert caught.value.status == 400
    assert caught.value.fields == ("group_id", "custom_fields.cf_reference_1012")
    assert caught.value.codes == ("invalid_value", "invalid_value")
    assert str(caught.value) == "400 group_id: invalid_value, custom_fields.cf_reference_1012: invalid_value"
    assert not caught.value.may_exist
    assert str(FreshdeskRefused(400, ["email"])) == "400"


@pytest.mark.parametrize(
    ("name", "text"), [("unauthorized", "401 invalid_credentials"), ("denied", "403 access_denied")]
)
def test_a_refusal_without_fields_is_one_too(name: str, text: str) -> None:
    """Refusals of the key have another body."""
    with pytest.raises(FreshdeskRefused) as caught:
        decipher_create(sample(name))
    assert caught.value.fields == ()
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "errors",
    [
        None,
        "email",
        {"field": "email"},
        [None, 1, "email", [], {}],
        [{"field": None}, {"field": 7}, {"field": ["email"]}],
        [{"field": "ana@example.com"}, {"field": "x" * 5000}, {"field": "a b"}, {"field": "email\n"}],
    ],
)
def test_invalid_field_names_are_ignored(errors: Any) -> None:
    """Only what looks like a field's name is read, because it is logged and stored."""
    with pytest.raises(FreshdeskRefused) as caught:
        decipher_create(answer(400, {"errors": errors}))
    assert caught.value.fields == ()


def test_a_code_is_a_word_or_nothing() -> None:
    """A code that is no word is read as empty."""
    errors = [{"field": "email", "code": code} for code in ("ana@example.com", None, "x" * 500, 7)]
    with pytest.raises(FreshdeskRefused) as caught:
        decipher_create(answer(400, {"errors": errors}))
    assert caught.value.codes == ("", "", "", "")


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"code": "account_suspended", "message": "…"}, "account_suspended", "403 account_suspended"),
        ({"code": "Your account <b>", "message": "…"}, "", "403"),
        ({"code": 7}, "", "403"),
        ([], "", "403"),
    ],
)
def test_a_refusal_of_the_call_keeps_its_code(body: Any, code: str, text: str) -> None:
    """A suspended account is not a missing role; the code is kept, but no text."""
    with pytest.raises(FreshdeskRefused) as caught:
        decipher_create(answer(403, body))
    assert (caught.value.code, str(caught.value)) == (code, text)


def test_at_most_as_many_names_are_kept_as_a_ticket_has_fields() -> None:
    """A refusal of a million fields must not fill the log."""
    errors = [{"field": f"field_{number}", "code": "invalid_field"} for number in range(10_000)]
    with pytest.raises(FreshdeskRefused) as caught:
        decipher_create(answer(400, {"errors": errors}))
    assert len(caught.value.fields) == 50


# The matrix: status / body / headers (R7)

STATUSES: Final = (
    *(199, 200, 201, 202, 203, 204, 205, 206, 207, 226, 299, 300, 301, 302, 303, 304, 307, 308, 399, 400, 401),
    *(402, 403, 404, 405, 406, 408, 409, 410, 413, 415, 422, 425, 429, 451, 499, 500, 502, 503, 504, 521, 599),
)
BODIES: Final[dict[str, bytes]] = {
    "ticket": json.dumps({"id": 7, "subject": "x"}).encode(),
    "list": json.dumps([{"id": 7, "subject": "x"}]).encode(),
    "errors": json.dumps({"errors": [{"field": "group_id", "code": "invalid_value"}]}).encode(),
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "empty": b"",
    "truncated": b'{"id": 7, "subj',
    "10 MB": b'{"a": "' + b"x" * 10_000_000 + b'"}',
    "number": b"7",
    "null": b"null",
    "not UTF-8": b"\xff\xfe\x00",
    "nested": b"[" * 100_000,
    "id of 5,000 digits": b'{"id": ' + b"9" * 5000 + b"}",
}
HEADERS: Final[dict[str, dict[str, str]]] = {
    "none": {},
    "decimal": {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "8.0", "retry-after": "34"},
    "date": {"retry-after": "Wed, 19 Aug 2026 23:54:35 GMT", "x-ratelimit-total": "50"},
    "negative": {"retry-after": "-5", "x-ratelimit-total": "-1", "x-ratelimit-remaining": "-1"},
    "NaN": {"retry-after": "nan", "x-ratelimit-total": "nan", "x-ratelimit-remaining": "nan"},
    "infinite": {"retry-after": "inf", "x-ratelimit-total": "inf", "x-ratelimit-remaining": "inf"},
    "rubbish": {"retry-after": "soon", "x-ratelimit-total": "many", "x-ratelimit-remaining": "", "location": "x"},
    "overflow": {"retry-after": "Mon, 01 Jan 2024 00:00:00 +99999999999999", "x-ratelimit-total": "1e999"},
}


def expected_class(status: int, *, understood: bool) -> type[FreshdeskError] | None:
    """Return the result for a status: None for success, else the error class."""
    if status // 100 == 2:
        return None if understood else OutcomeUnknown
    if status == 429:
        return FreshdeskBusy
    return FreshdeskRefused if status // 100 == 4 and status != 408 else OutcomeUnknown


def class_of(call: Any, response: Answer) -> type[FreshdeskError] | None:
    """Return how a call ends; any other error than a FreshdeskError fails the test."""
    try:
        call(response)
    except FreshdeskError as error:
        return type(error)
    return None


@pytest.mark.parametrize("status", STATUSES)
def test_every_answer_has_one_meaning(status: int) -> None:
    """For every status, body and headers, a call succeeds or raises the one class that fits."""
    assert len(STATUSES) == 42
    for body_name, headers_name in itertools.product(BODIES, HEADERS):
        if body_name != "10 MB" or headers_name == "decimal":  # reading 10 MB once for each status is enough
            cell = f"{status} / {body_name} / {headers_name}"
            response = Answer(status, HEADERS[headers_name], BODIES[body_name])
            is_json = body_name in {"ticket", "list", "errors", "10 MB", "number", "null"}
            assert class_of(decipher_create, response) == expected_class(status, understood=body_name == "ticket"), cell
            assert class_of(decipher_list, response) == expected_class(status, understood=body_name == "list"), cell
            assert class_of(decipher_json, response) == expected_class(status, understood=is_json), cell


# The rate limit


@pytest.mark.parametrize(
    ("headers", "limit"),
    [
        ({"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "8.0"}, RateLimit(50.0, 8.0)),
        ({"x-ratelimit-total": "700", "x-ratelimit-remaining": "0"}, RateLimit(700.0, 0.0)),
        ({"x-ratelimit-total": "1", "x-ratelimit-remaining": "1"}, RateLimit(1.0, 1.0)),
        ({"x-ratelimit-total": "50.0"}, None),
        ({"x-ratelimit-remaining": "8.0"}, None),
        ({"x-ratelimit-total": "0", "x-ratelimit-remaining": "0"}, None),
        ({"x-ratelimit-total": "50", "x-ratelimit-remaining": "-1"}, None),
        ({"x-ratelimit-total": "many", "x-ratelimit-remaining": "8"}, None),
        ({"x-ratelimit-total": "nan", "x-ratelimit-remaining": "8"}, None),
        ({"x-ratelimit-total": "inf", "x-ratelimit-remaining": "8"}, None),
        ({"x-ratelimit-total": "50", "x-ratelimit-remaining": "nan"}, None),
    ],
)
def test_the_limit_is_read_or_unknown(headers: dict[str, str], limit: RateLimit | None) -> None:
    """Live accounts write decimals; an invalid limit is ignored, above all one that would stop the sweep."""
    assert RateLimit.read(headers) == limit


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("34", 34.0),
        ("0.2", 1.0),
        ("-5", 1.0),
        ("1e9", 3600.0),
        ("inf", 3600.0),
        ("nan", 30.0),
        ("", 30.0),
        ("soon", 30.0),
        ("Wed, 19 Aug 2020 23:54:35 GMT", 1.0),
        ("Wed, 19 Aug 2099 23:54:35 GMT", 3600.0),
        ("Wed, 19 Aug 2020 23:54:35 -0000", 30.0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", 30.0),
    ],
)
def test_a_wait_is_always_reasonable(value: str, seconds: float) -> None:
    """Number or date, negative or endless: it is between a second and an hour."""
    assert retry_after_s({"retry-after": value}) == seconds


def test_a_wait_until_a_date_uses_freshdesks_clock() -> None:
    """Our clock may differ."""
    headers = {"retry-after": "Wed, 19 Aug 2020 23:54:35 GMT", "date": "Wed, 19 Aug 2020 23:54:01 GMT"}
    assert retry_after_s(headers) == 34.0


def test_a_429_has_its_wait() -> None:
    """The error has the wait of the header."""
    with pytest.raises(FreshdeskBusy) as caught:
        decipher_create(answer(429, None, {"retry-after": "34"}))
    assert caught.value.retry_after_s == 34.0
    assert str(caught.value) == "rate limit; again in 34 s"


# The client


def test_the_client_makes_the_right_calls() -> None:
    """Each method sends one request with its time-out, and reads the answer."""
    sent: list[tuple[str, str, float]] = []
    answers = {"tickets": sample("created"), "7/notes": sample("note"), "agents/me": answer(200, {"id": 1})}

    def transport(request: Request, timeout_s: float) -> Answer:
        sent.append((request.method, request.path.partition("?")[0], timeout_s))
        found = next(response for name, response in answers.items() if sent[-1][1].endswith(name))
        return sample("list") if request.method == "GET" and "tickets" in request.path else found

    client = FreshdeskClient(transport)
    assert client.create_ticket({"subject": "x"}, 1.0) == 1234
    assert len(client.list_tickets(2.0, ListQuery(0.0)).rows) == 2
    client.add_note(7, "x", 3.0)
    assert client.get("agents/me", 4.0) == {"id": 1}
    assert sent == [
        ("POST", "/api/v2/tickets", 1.0),
        ("GET", "/api/v2/tickets", 2.0),
        ("POST", "/api/v2/tickets/7/notes", 3.0),
        ("GET", "/api/v2/agents/me", 4.0),
    ]


def test_a_list_begins_with_the_first_page() -> None:
    """On the second page a new ticket would never be found."""
    asked: list[str] = []

    def transport(request: Request, timeout_s: float) -> Answer:
        assert timeout_s == 1.0
        asked.extend(parse_qs(urlsplit(request.path).query)["page"])
        return sample("list")

    FreshdeskClient(transport).list_tickets(1.0, ListQuery(0.0))
    assert asked == ["1"]


def test_a_client_remembers_the_limit() -> None:
    """The last limit is kept, also from a refusal, until an answer has another one."""
    answers = [sample("created"), answer(500), sample("list")]
    client = FreshdeskClient(lambda _request, _timeout_s: answers.pop(0))
    client.create_ticket({}, 1.0)
    assert client.meter.limit == RateLimit(50.0, 8.0)
    with pytest.raises(OutcomeUnknown):
        client.create_ticket({}, 1.0)
    assert client.meter.limit == RateLimit(50.0, 8.0)
    client.list_tickets(1.0, ListQuery(0.0))
    assert client.meter.limit == RateLimit(50.0, 49.0)


@pytest.mark.parametrize(("reported", "kept"), [(42.0, 41.0), (43.0, 43.0), (400.0, 400.0), (41.0, 41.0), (40.0, 40.0)])
def test_a_stale_limit_is_ignored(reported: float, kept: float) -> None:
    """With one call in progress, a limit one higher than the known one is stale; two higher is a new minute."""
    remaining = {"/api/v2/first": 41.0, "/api/v2/slow": reported}

    def transport(request: Request, timeout_s: float) -> Answer:
        assert timeout_s == 1.0
        if request.path == "/api/v2/outer":
            client.get("first", 1.0)
            client.get("slow", 1.0)
            seen.append(client.meter.limit)
            assert client.meter.calls_under_way == 1
        left = f"{remaining.get(request.path, 39.0)}"
        return answer(200, {}, {"x-ratelimit-total": "400.0", "x-ratelimit-remaining": left})

    seen: list[RateLimit | None] = []
    client = FreshdeskClient(transport)
    client.get("outer", 1.0)
    assert seen == [RateLimit(400.0, kept)]
    assert client.meter.calls_under_way == 0


def test_a_failed_call_is_no_longer_in_progress() -> None:
    """Otherwise the account would seem busy for ever."""

    def refuse(request: Request, timeout_s: float) -> Answer:
        raise FreshdeskUnreachable(f"{request.method} within {timeout_s}")

    client = FreshdeskClient(refuse)
    with pytest.raises(FreshdeskUnreachable):
        client.get("agents/me", 1.0)
    assert client.meter.calls_under_way == 0


def test_only_an_unknown_outcome_may_have_made_a_ticket() -> None:
    """Every error says whether a ticket may exist."""
    errors = [FreshdeskUnreachable("dns"), FreshdeskBusy(1.0), FreshdeskRefused(400), OutcomeUnknown()]
    assert [error.may_exist for error in errors] == [False, False, False, True]


# URLs

GOOD_URLS: Final = (
    *("https://betsur.freshdesk.com", "https://betsur.freshdesk.com/", "https://BETSUR.Freshdesk.COM"),
    *("https://a.freshdesk.com", "https://a-b-1.freshdesk.com", "https://" + "a" * 63 + ".freshdesk.com"),
    *("http://127.0.0.1:8081", "https://127.0.0.1", "http://localhost:1/", "http://[::1]:8081"),
)
BAD_URLS: Final = (
    *("", "betsur", "betsur.freshdesk.com", "//betsur.freshdesk.com", "ftp://betsur.freshdesk.com"),
    *("http://betsur.freshdesk.com", "https://freshdesk.com", "https://.freshdesk.com", "https://a.b.freshdesk.com"),
    *("https://freshdesk.com.example.org", "https://betsurfreshdesk.com", "https://betsur.freshdesk.com.ar"),
    *("https://example.org/betsur.freshdesk.com", "https://betsur.freshdesk.com@example.org"),
    *("https://example.org#betsur.freshdesk.com", "https://example.org?x=.freshdesk.com", "https://x.freshdesk.comm"),
    *("https://user@betsur.freshdesk.com", "https://user:pw@betsur.freshdesk.com", "https://@betsur.freshdesk.com"),
    *("https://betsur.freshdesk.com:443", "https://betsur.freshdesk.com:8443", "https://betsur.freshdesk.com:x"),
    *("https://betsur.freshdesk.com/api", "https://betsur.freshdesk.com//", "https://betsur.freshdesk.com?a"),
    *("https://betsur.freshdesk.com#a", "https://-a.freshdesk.com", "https://a-.freshdesk.com"),
    *("https://" + "a" * 64 + ".freshdesk.com", "https://betsur.freshdesk.com.", "https://bet_sur.freshdesk.com"),
    *("https://betsür.freshdesk.com", "https://betsur。freshdesk.com", "https://betsur.freshdesk.com\n.example.org"),
    *("http://127.0.0.1.example.org", "http://localhost.example.org", "http://127.0.0.2", "http://10.0.0.1"),
    *("https://betsur.freshdesk.com?", "https://betsur.freshdesk.com#", "https://betsur.freshdesk.com/?"),
    *(
        "https://betsur.freshdesk.com:",
        " https://betsur.freshdesk.com",
        "https://betsur.freshdesk.com\t",
        "http://127.0.0.1?",
    ),
    *("http://localhost#", "http://localhost:", "http://localhost:0", "http://localhost:65536", "http://[::1]:1?"),
    *("ftp://localhost", "http://user@localhost", "http://localhost/x", "https://[::1", "https://a.freshdesk.com\\@x"),
)


@pytest.mark.parametrize("url", GOOD_URLS)
def test_an_account_or_this_machine_is_a_valid_url(url: str) -> None:
    """Accounts over https, and stand-ins on this machine."""
    assert is_freshdesk_url(url)


@pytest.mark.parametrize("url", BAD_URLS)
def test_any_other_url_is_refused(url: str) -> None:
    """The key is not sent to similar hosts, or with other schemes, ports, paths or user names."""
    assert not is_freshdesk_url(url)


def test_this_machine_is_recognised() -> None:
    """Loopback only, because a short secret is allowed there."""
    assert is_loopback("http://127.0.0.1:8081")
    assert not is_loopback("https://betsur.freshdesk.com")
