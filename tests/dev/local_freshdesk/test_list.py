"""GET /tickets and the search: how a ticket just made is found again."""

from __future__ import annotations

import pytest

from tests.dev.local_freshdesk.factories import Api, Clock


@pytest.fixture
def three(api: Api, clock: Clock) -> list[int]:
    """Give the ids of three tickets, a minute apart; the last is another person's."""
    ids = []
    for email in ("ana@example.com", "ana@example.com", "b@example.com"):
        ids.append(int(api.create(email=email).json()["id"]))
        clock.move(60)
    return ids


def listed(api: Api, query: str = "") -> list[int]:
    """The ids of a list."""
    told = api.get(f"tickets{query}")
    assert told.status_code == 200, told.text
    return [row["id"] for row in told.json()]


def test_list_is_newest_first(api: Api, three: list[int]) -> None:
    """The order without asking."""
    assert listed(api) == three[::-1]


def test_new_ticket_is_in_the_list_at_once(api: Api) -> None:
    """The list does not lag, unlike the search: that is what finding again stands on."""
    made = api.create().json()["id"]
    assert listed(api, "?email=ana@example.com") == [made]


def test_rows_have_tags_but_no_description(api: Api, three: list[int]) -> None:
    """The recorded keys of a row."""
    assert three
    row = api.get("tickets").json()[0]
    assert row["tags"] == ["botpress", "bot:betsur"]
    assert not {"description", "description_text", "attachments"} & set(row)
    assert {"association_type", "associated_tickets_count", "sentiment_score"} < set(row)


def test_list_by_address_ignores_case(api: Api, three: list[int]) -> None:
    """One person's tickets."""
    assert listed(api, "?email=ANA@example.com") == three[1::-1]


def test_list_by_requester(api: Api, three: list[int]) -> None:
    """The same by the contact's id."""
    requester_id = api.get(f"tickets/{three[2]}").json()["requester_id"]
    assert listed(api, f"?requester_id={requester_id}") == [three[2]]


def test_list_by_elsewhere_s_id(api: Api, three: list[int]) -> None:
    """unique_external_id names the contact, not the ticket."""
    made = [api.create(email=None, unique_external_id="u-1").json()["id"] for _ in range(2)]
    assert listed(api, "?unique_external_id=u-1") == made[::-1]
    assert not set(made) & set(three)


def test_updated_since_counts_the_late_due_date(api: Api, three: list[int], clock: Clock) -> None:
    """A second after its birth a ticket is updated by itself."""
    made = api.create().json()
    born = made["created_at"]
    assert listed(api, f"?updated_since={born}") == [made["id"]]
    clock.move(2)
    later = api.get(f"tickets/{made['id']}").json()["updated_at"]
    assert later > born
    assert listed(api, f"?updated_since={later}&order_by=updated_at") == [made["id"]]
    assert three


def test_updated_since_without_a_zone_is_utc(api: Api, three: list[int]) -> None:
    """As documented."""
    first = api.get(f"tickets/{three[2]}").json()["created_at"].removesuffix("Z")
    assert listed(api, f"?updated_since={first}") == [three[2]]


def test_only_the_last_thirty_days_are_told(api: Api, three: list[int], clock: Clock) -> None:
    """Older ones need updated_since."""
    clock.move(31 * 24 * 3600)
    assert listed(api) == []
    assert listed(api, "?updated_since=2020-01-01T00:00:00Z") == three[::-1]


def test_boxes(api: Api, three: list[int]) -> None:
    """Spam and deleted tickets are in their own lists only."""
    api.desk.mark_spam(three[0])
    api.delete(f"tickets/{three[1]}")
    assert listed(api) == [three[2]]
    assert listed(api, "?filter=spam") == [three[0]]
    assert listed(api, "?filter=deleted") == [three[1]]
    assert listed(api, "?filter=watching") == []
    api.put(f"tickets/{three[2]}", json={"status": 5})
    assert listed(api, "?filter=new_and_my_open") == []


@pytest.mark.parametrize("query", ["?order_by=created_at&order_type=asc", "?order_by=updated_at&order_type=asc"])
def test_order_can_be_turned(api: Api, three: list[int], query: str) -> None:
    """Oldest first."""
    assert listed(api, query) == three


def test_includes_add_to_rows(api: Api, three: list[int]) -> None:
    """Requester, stats and the description."""
    assert three
    row = api.get("tickets?include=requester,stats,description").json()[0]
    assert row["requester"]["email"] == "b@example.com"
    assert row["description_text"] == "Hola\n¿qué tal?"
    assert row["stats"]["closed_at"] is None


def test_pages_link_to_the_next(api: Api, three: list[int]) -> None:
    """Link is there until the last page, and works as it is."""
    first = api.get("tickets?per_page=2&email=ana%40example.com&order_type=asc")
    assert "Link" not in first.headers
    told = api.get("tickets?per_page=2")
    link = told.links["next"]["url"]
    assert link.startswith(api.desk.url)
    assert listed(api, link.partition("/api/v2/tickets")[2]) == [three[0]]


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("email=nobody@example.com", "email", "invalid_value"),
        ("unique_external_id=none", "unique_external_id", "invalid_value"),
        ("requester_id=5", "requester_id", "invalid_value"),
        ("requester_id=abc", "requester_id", "datatype_mismatch"),
        ("company_id=5", "company_id", "invalid_value"),
        ("filter=all", "filter", "invalid_value"),
        ("order_by=subject", "order_by", "invalid_value"),
        ("order_type=up", "order_type", "invalid_value"),
        ("include=nada", "include", "invalid_value"),
        ("updated_since=ayer", "updated_since", "invalid_value"),
        ("tag=botpress", "tag", "invalid_field"),
        ("page=301", "page", "invalid_value"),
        ("page=0", "page", "datatype_mismatch"),
        ("page=x", "page", "datatype_mismatch"),
        ("per_page=101", "per_page", "invalid_value"),
    ],
)
def test_wrong_question_is_refused(api: Api, query: str, field: str, code: str) -> None:
    """400 with the parameter's name; an address without a contact is one of them."""
    told = api.get(f"tickets?{query}")
    fault = told.json()["errors"][0]
    assert (told.status_code, fault["field"], fault["code"]) == (400, field, code)


def found(api: Api, query: str, page: str = "") -> list[int]:
    """The ids a search finds."""
    told = api.get("search/tickets", params={"query": query, **({"page": page} if page else {})})
    assert told.status_code == 200, told.text
    assert told.json()["total"] >= len(told.json()["results"])
    return [row["id"] for row in told.json()["results"]]


def test_search_lags(api: Api, clock: Clock) -> None:
    """A new ticket is not in the index for two minutes: searching is no way to find it again."""
    made = api.create().json()["id"]
    assert found(api, '"tag:botpress"') == []
    clock.move(121)
    assert found(api, '"tag:botpress"') == [made]


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("priority:3", 3),
        ("priority:>3 AND priority:<4", 3),
        ("priority:<2", 0),
        ("status:3 OR status:2", 3),
        ("(status:3 OR priority:3) AND tag:'bot:betsur'", 3),
        ("tag:nada", 0),
        ("type:null", 3),
        ("type:Consulta", 0),
        ("agent_id:null", 3),
        ("agent_id:5", 0),
        ("group_id:1070000000102", 3),
        ("created_at:>'2027-01-15'", 3),
        ("created_at:<'2020-01-01'", 0),
        ("due_by:>'2020-01-01'", 3),
        ("cf_canal:null", 3),
        ("cf_canal:Web", 0),
        ("cf_cliente_vip:true", 0),
    ],
)
def test_search_language(api: Api, three: list[int], clock: Clock, query: str, hits: int) -> None:
    """Comparisons are inclusive; AND binds closer than OR; null finds what is not set."""
    clock.move(300)
    assert len(found(api, f'"{query}"')) == (hits and len(three))


def test_search_finds_a_ticked_box(api: Api, clock: Clock) -> None:
    """A checkbox is true or false."""
    made = api.create(custom_fields={"cf_cliente_vip": True, "cf_intentos": 2}).json()["id"]
    clock.move(300)
    assert found(api, '"cf_cliente_vip:true AND cf_intentos:2"') == [made]
    assert found(api, '"cf_cliente_vip:false"') == []


def test_search_has_pages_of_thirty(api: Api, clock: Clock) -> None:
    """Fixed pages."""
    for _ in range(31):
        api.create()
    clock.move(300)
    assert len(found(api, '"status:2"')) == 30
    assert len(found(api, '"status:2"', "2")) == 1


@pytest.mark.parametrize(
    "query",
    [
        "status:2",
        '""',
        '"status:2',
        '"status"',
        '"(status:2"',
        '"status:2)"',
        '"AND"',
        '"status:2 status:3"',
        '"status:99"',
        '"status:abc"',
        "\"email:'a@example.com'\"",
        '"created_at:ayer"',
        '"' + "x" * 512 + '"',
    ],
)
def test_wrong_search_is_refused(api: Api, query: str) -> None:
    """The double quotes are mandatory; an address cannot be searched for."""
    assert api.get("search/tickets", params={"query": query}).status_code == 400


@pytest.mark.parametrize("rest", ["page=11", "page=0", "page=x", "per_page=5"])
def test_search_goes_ten_pages_deep(api: Api, rest: str) -> None:
    """The eleventh is a 400."""
    assert api.get(f'search/tickets?query="status:2"&{rest}').status_code == 400
