"""Requests as Freshdesk wants them, and every answer it may give, or something in between may give for it."""

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
    """Return an answer of the shape that live accounts were seen to give."""
    told = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return answer(told["status"], told["body"], told["headers"])


# What is asked


def test_a_ticket_is_asked_for_as_plain_json() -> None:
    """The fields go out as they are: numbers stay numbers, for Freshdesk refuses them as texts."""
    request = build_create({"subject": "Ñandú", "status": 2})
    assert (request.method, request.path) == ("POST", "/api/v2/tickets")
    assert json.loads(request.body or b"") == {"subject": "Ñandú", "status": 2}


def test_a_list_names_everything_it_depends_on() -> None:
    """Order, page length and time are given, so that no default of the account decides what a look sees."""
    request = build_list(ListQuery(1_755_647_675.9, "a+b@example.com", only="spam", described=True, page=2, size=99))
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


def test_a_list_of_everybody_names_nobody() -> None:
    """Without an address or a box the parameters are left out: an empty one would be a filter, or a fault."""
    query = parse_qs(urlsplit(build_list(ListQuery(-5)).path).query, keep_blank_values=True)
    assert query.keys() & {"email", "filter", "include"} == set()
    assert query["updated_since"] == ["1970-01-01T00:00:00Z"]
    assert (query["page"], query["per_page"]) == (["1"], ["100"])


def test_a_note_is_private() -> None:
    """A note never goes out to the person."""
    request = build_note(7, "<p>hola</p>")
    assert (request.method, request.path) == ("POST", "/api/v2/tickets/7/notes")
    assert json.loads(request.body or b"") == {"body": "<p>hola</p>", "private": True}


def test_a_read_is_a_plain_get() -> None:
    """The preflight's reads are bare paths under the API."""
    assert build_get("agents/me") == Request("GET", "/api/v2/agents/me")


# What is answered, as recorded


def test_a_created_ticket_has_its_number() -> None:
    """The number is read from the body."""
    assert decipher_create(sample("created")) == 1234
    assert decipher_create(answer(201, {"id": 1})) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id": ', b'{"id": "1"}', b'{"id": true}', b'{"id": 0}', b"[1]"])
def test_a_number_lost_from_the_body_is_in_the_location(body: bytes) -> None:
    """A 201 whose body cannot be read still tells its ticket, and so costs no second one."""
    location = "https://betsur.freshdesk.com/api/v2/tickets/1234"
    assert decipher_create(Answer(201, {"location": location}, body)) == 1234


@pytest.mark.parametrize("location", ["", "/api/v2/tickets/", "/api/v2/tickets/x", "/tickets/1/edit", "/tickets/-1"])
def test_a_created_ticket_without_a_number_is_in_doubt(location: str) -> None:
    """A 201 that tells no number is remembered as doubt, never as failure."""
    with pytest.raises(OutcomeUnknown):
        decipher_create(Answer(201, {"location": location}, b""))


@pytest.mark.parametrize(
    ("told", "another"),
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
def test_the_answer_to_anothers_request_is_no_answer(told: object, another: bool) -> None:  # noqa: FBT001 -- a column of the table
    """A ticket that ends in another's reference is not the one that was asked for."""
    client = FreshdeskClient(lambda _request, _timeout_s: answer(201, {"id": 7, "subject": told}))
    fields = {"subject": "por [BF-AAAAAAAA] [BF-7K3QX2AB]"}
    if another:
        with pytest.raises(OutcomeUnknown, match="another"):
            client.create_ticket(fields, 1.0)
    else:
        assert client.create_ticket(fields, 1.0) == 7


def test_a_list_tells_what_a_look_needs() -> None:
    """Number, subject, time and status of each row, and that there is more."""
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
    """A `Link` header alone would end the list where a proxy has taken it away."""
    page = decipher_list(answer(200, [{"id": number + 1} for number in range(rows)], {"link": link}))
    assert page.more is more


def test_a_full_page_is_one_of_the_size_asked_for() -> None:
    """Pages of fewer than a hundred are asked for, too."""
    given = answer(200, [{"id": 1}, {"id": 2}])
    assert (decipher_list(given, 2).more, decipher_list(given, 3).more) == (True, False)


def test_a_list_tells_freshdesks_time() -> None:
    """Also one of nobody; a date that cannot be read is none."""
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
def test_a_row_may_lack_all_but_its_number(given: dict[str, Any], read: Listed) -> None:
    """Fields that are missing or of another type are read as nothing known."""
    assert decipher_list(answer(200, [given])).rows == [read]


@pytest.mark.parametrize(
    ("created_at", "seconds"),
    [
        ("2026-08-19T23:54:35Z", 1_787_183_675.0),
        ("2026-08-19t23:54:35.250z", 1_787_183_675.25),
        ("2026-08-19 23:54:35 +0000", 1_787_183_675.0),
        ("2026-08-19T23:54:35+00:00", 1_787_183_675.0),
        ("2026-08-19T23:54:35", 1_787_226_875.0),  # the latest it can be: twelve hours west of Greenwich
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
def test_a_moment_is_read_exactly_or_as_unknown(
    created_at: object, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as too early, it would hide the very ticket that is looked for; the function's own zone does not matter."""
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
def test_a_description_is_known_by_its_last_line(html: str, line: str) -> None:
    """As it shows: Freshdesk wraps what it was sent in tags of its own."""
    assert decipher_list(answer(200, [{"id": 7, "description": html}])).rows[0].last_line == line


@pytest.mark.parametrize("row", [None, 1, "x", [], {}, {"id": None}, {"id": "7"}, {"id": True}, {"id": 0}])
def test_a_row_without_a_number_spoils_the_list(row: Any) -> None:
    """A look must not conclude "no ticket" from rows it cannot read: it would make a second one."""
    with pytest.raises(OutcomeUnknown):
        decipher_list(answer(200, [{"id": 7}, row]))


def test_an_address_nobody_has_is_no_ticket() -> None:
    """A 400 on `email` says that there is no such contact, and so nothing to find."""
    assert decipher_list(sample("nobody"))[:2] == ([], False)


def test_any_other_refusal_of_a_list_is_told() -> None:
    """A list refused for another reason proves nothing."""
    for refused in (refusal("email", "filter"), refusal("filter"), refusal(), sample("unauthorized")):
        with pytest.raises(FreshdeskRefused):
            decipher_list(refused)


def test_a_refusal_names_fields_and_codes() -> None:
    """Fields and codes are told; Freshdesk's texts, which may repeat what was sent, are not."""
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
    """The key's refusals have another body; they are refusals all the same."""
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
def test_names_that_are_none_are_passed_over(errors: Any) -> None:
    """Only what looks like a field's name is read: it ends up in the log and in the ledger."""
    with pytest.raises(FreshdeskRefused) as caught:
        decipher_create(answer(400, {"errors": errors}))
    assert caught.value.fields == ()


def test_a_code_is_a_word_or_nothing() -> None:
    """A code that is none is told as nothing."""
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
def test_a_refusal_of_the_call_keeps_freshdesks_word_for_it(body: Any, code: str, text: str) -> None:
    """A suspended account is not a missing role; only a word is kept, never a text."""
    with pytest.raises(FreshdeskRefused) as caught:
        decipher_create(answer(403, body))
    assert (caught.value.code, str(caught.value)) == (code, text)


def test_no_more_names_than_a_ticket_has_fields() -> None:
    """A refusal of a million fields leaves a line in the log, not a book."""
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
    """Return what a status means: None for success, else the error."""
    if status // 100 == 2:
        return None if understood else OutcomeUnknown
    if status == 429:
        return FreshdeskBusy
    return FreshdeskRefused if status // 100 == 4 and status != 408 else OutcomeUnknown


def class_of(call: Any, told: Answer) -> type[FreshdeskError] | None:
    """Return how a call ends; anything but a FreshdeskError passes through and fails the test."""
    try:
        call(told)
    except FreshdeskError as error:
        return type(error)
    return None


@pytest.mark.parametrize("status", STATUSES)
def test_every_answer_has_one_meaning(status: int) -> None:
    """Whatever the status, the body and the headers, a call ends in success, or in the one class that fits."""
    assert len(STATUSES) == 42
    for body_name, headers_name in itertools.product(BODIES, HEADERS):
        if body_name != "10 MB" or headers_name == "decimal":  # reading 10 MB once for each status is enough
            cell = f"{status} / {body_name} / {headers_name}"
            told = Answer(status, HEADERS[headers_name], BODIES[body_name])
            is_json = body_name in {"ticket", "list", "errors", "10 MB", "number", "null"}
            assert class_of(decipher_create, told) == expected_class(status, understood=body_name == "ticket"), cell
            assert class_of(decipher_list, told) == expected_class(status, understood=body_name == "list"), cell
            assert class_of(decipher_json, told) == expected_class(status, understood=is_json), cell


# The rate limit


@pytest.mark.parametrize(
    ("headers", "told"),
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
def test_the_limit_is_read_or_not_known(headers: dict[str, str], told: RateLimit | None) -> None:
    """Live accounts write decimals; what makes no sense is no limit, least of all one that stops the sweep."""
    assert RateLimit.read(headers) == told


@pytest.mark.parametrize(
    ("told", "seconds"),
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
def test_a_wait_is_never_absurd(told: str, seconds: float) -> None:
    """Number or date, negative or endless: the wait lies between a second and an hour."""
    assert retry_after_s({"retry-after": told}) == seconds


def test_a_wait_until_a_date_goes_by_freshdesks_clock() -> None:
    """Ours may be another."""
    headers = {"retry-after": "Wed, 19 Aug 2020 23:54:35 GMT", "date": "Wed, 19 Aug 2020 23:54:01 GMT"}
    assert retry_after_s(headers) == 34.0


def test_a_busy_desk_says_for_how_long() -> None:
    """A 429 carries its wait."""
    with pytest.raises(FreshdeskBusy) as caught:
        decipher_create(answer(429, None, {"retry-after": "34"}))
    assert caught.value.retry_after_s == 34.0
    assert str(caught.value) == "rate limit; again in 34 s"


# The client


def test_a_client_says_what_each_call_says() -> None:
    """Each method sends one request, gives it its time, and reads the answer."""
    sent: list[tuple[str, str, float]] = []
    answers = {"tickets": sample("created"), "7/notes": sample("note"), "agents/me": answer(200, {"id": 1})}

    def transport(request: Request, timeout_s: float) -> Answer:
        sent.append((request.method, request.path.partition("?")[0], timeout_s))
        found = next(told for name, told in answers.items() if sent[-1][1].endswith(name))
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


def test_a_list_begins_with_its_first_page() -> None:
    """Where no page is asked for: on the second one a ticket of just now would never be found."""
    asked: list[str] = []

    def transport(request: Request, timeout_s: float) -> Answer:
        assert timeout_s == 1.0
        asked.extend(parse_qs(urlsplit(request.path).query)["page"])
        return sample("list")

    FreshdeskClient(transport).list_tickets(1.0, ListQuery(0.0))
    assert asked == ["1"]


def test_a_client_remembers_the_limit() -> None:
    """The last limit told is kept, also from a refusal, until another one is told."""
    answers = [sample("created"), answer(500), sample("list")]
    client = FreshdeskClient(lambda _request, _timeout_s: answers.pop(0))
    client.create_ticket({}, 1.0)
    assert client.meter.limit == RateLimit(50.0, 8.0)
    with pytest.raises(OutcomeUnknown):
        client.create_ticket({}, 1.0)
    assert client.meter.limit == RateLimit(50.0, 8.0)
    client.list_tickets(1.0, ListQuery(0.0))
    assert client.meter.limit == RateLimit(50.0, 49.0)


@pytest.mark.parametrize(("told", "kept"), [(42.0, 41.0), (43.0, 43.0), (400.0, 400.0), (41.0, 41.0), (40.0, 40.0)])
def test_an_answer_that_others_overtook_tells_nothing_new(told: float, kept: float) -> None:
    """One more left than known, while one call is under way, is the past; two more are a new minute."""
    remaining = {"/api/v2/first": 41.0, "/api/v2/slow": told}

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


def test_a_call_that_fails_is_no_longer_under_way() -> None:
    """Else the desk would look busier for ever."""

    def refuse(request: Request, timeout_s: float) -> Answer:
        raise FreshdeskUnreachable(f"{request.method} within {timeout_s}")

    client = FreshdeskClient(refuse)
    with pytest.raises(FreshdeskUnreachable):
        client.get("agents/me", 1.0)
    assert client.meter.calls_under_way == 0


def test_only_an_unknown_outcome_may_have_left_a_ticket() -> None:
    """The one question that every error answers."""
    errors = [FreshdeskUnreachable("dns"), FreshdeskBusy(1.0), FreshdeskRefused(400), OutcomeUnknown()]
    assert [error.may_exist for error in errors] == [False, False, False, True]


# Addresses

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
def test_an_account_or_this_machine_is_an_address(url: str) -> None:
    """Accounts over https, and stand-ins on this machine."""
    assert is_freshdesk_url(url)


@pytest.mark.parametrize("url", BAD_URLS)
def test_nothing_else_gets_the_key(url: str) -> None:
    """Lookalikes, other schemes, ports, paths and user names are not the account."""
    assert not is_freshdesk_url(url)


def test_this_machine_is_told_from_others() -> None:
    """Loopback only: the rule for short secrets hangs on it."""
    assert is_loopback("http://127.0.0.1:8081")
    assert not is_loopback("https://betsur.freshdesk.com")
