"""The client's requests to a Freshdesk account, and how it reads the answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
import requests
import responses

from freshdesk_client import (
    FreshdeskBusy,
    FreshdeskClient,
    FreshdeskRefused,
    ListQuery,
    OutcomeUnknown,
    Requester,
)
from handoff.transport import RequestsTransport

ACCOUNT = "https://betsur.freshdesk.com"
TICKETS = f"{ACCOUNT}/api/v2/tickets"
FIELDS = {"email": "ana@example.com", "subject": "Retiros: ñandú [BF-AAAAAAAA]", "description": "<p>x</p>", "status": 2}


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """Replace the network; a request that no test expects fails."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def client() -> FreshdeskClient:
    """Return a client with the URL of a real account."""
    return FreshdeskClient(RequestsTransport(ACCOUNT, "the-key"))


def test_a_ticket_is_one_post_of_json(wire: responses.RequestsMock, client: FreshdeskClient) -> None:
    """Method, URL, key, media type and body are those of Freshdesk's API."""
    wire.post(TICKETS, json={"id": 7}, status=201)
    assert client.create_ticket(FIELDS, 5) == 7
    [call] = wire.calls
    assert call.request.headers["Authorization"] == "Basic " + base64.b64encode(b"the-key:X").decode()
    assert call.request.headers["Content-Type"] == "application/json"
    assert call.request.headers["Accept"] == "application/json"
    assert json.loads(call.request.body or "") == FIELDS


def test_a_list_asks_for_the_newest_tickets_of_a_person(wire: responses.RequestsMock, client: FreshdeskClient) -> None:
    """The address is quoted, the time is UTC, and there is no body."""
    asked = {
        "email": "ana+bot@example.com",
        "updated_since": "2025-08-20T01:21:15Z",
        "order_by": "created_at",
        "order_type": "desc",
        "per_page": "100",
        "page": "1",
    }
    wire.get(TICKETS, json=[], match=[responses.matchers.query_param_matcher(asked)])
    page = client.list_tickets(5, ListQuery(1_755_652_875.0, Requester("ana+bot@example.com")))
    assert (page.rows, page.more, wire.calls[0].request.body) == ([], False, None)


def test_a_note_is_private(wire: responses.RequestsMock, client: FreshdeskClient) -> None:
    """The person never sees it."""
    wire.post(f"{TICKETS}/7/notes", json={"id": 1}, status=201)
    client.add_note(7, "<p>más</p>", 5)
    assert json.loads(wire.calls[0].request.body or "") == {"body": "<p>más</p>", "private": True}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int, wire: responses.RequestsMock, client: FreshdeskClient) -> None:
    """Neither the key nor the person's words go to another URL."""
    wire.post(TICKETS, status=status, headers={"Location": "https://elsewhere.example.com/"})
    with pytest.raises(OutcomeUnknown):
        client.create_ticket(FIELDS, 5)
    assert [call.request.url for call in wire.calls] == [TICKETS]


def test_decimal_rate_limits_are_read(wire: responses.RequestsMock, client: FreshdeskClient) -> None:
    """Live accounts write `50.0` where the documentation shows `50`."""
    limits = {"X-RateLimit-Total": "50.0", "X-RateLimit-Remaining": "8.0"}
    wire.get(f"{ACCOUNT}/api/v2/agents/me", json={"id": 1}, headers=limits)
    assert client.get("agents/me", 5) == {"id": 1}
    assert client.meter.limit == (50.0, 8.0)


def test_a_full_minute_says_when_to_come_again(wire: responses.RequestsMock, client: FreshdeskClient) -> None:
    """The body of a 429 is not dependable, so the header counts."""
    wire.post(TICKETS, body="", status=429, headers={"Retry-After": "34"})
    with pytest.raises(FreshdeskBusy) as caught:
        client.create_ticket(FIELDS, 5)
    assert caught.value.retry_after_s == 34.0


def test_a_refusal_names_its_fields(wire: responses.RequestsMock, client: FreshdeskClient) -> None:
    """Fields and codes are read, but not Freshdesk's wording."""
    errors = [{"field": "group_id", "message": "There is no group matching", "code": "invalid_value"}]
    wire.post(TICKETS, json={"description": "Validation failed", "errors": errors}, status=400)
    with pytest.raises(FreshdeskRefused) as caught:
        client.create_ticket(FIELDS, 5)
    assert (caught.value.status, caught.value.fields, caught.value.codes) == (400, ("group_id",), ("invalid_value",))


@pytest.mark.parametrize(
    "end",
    [
        requests.ConnectionError(ConnectionResetError("reset")),
        requests.ReadTimeout("slow"),
        requests.ConnectTimeout("nobody"),  # the connection itself does not know that nothing was sent
    ],
)
def test_an_unclear_end_of_a_call_is_in_doubt(
    end: Exception, wire: responses.RequestsMock, client: FreshdeskClient
) -> None:
    """A ticket may be posted again only if certainly nothing was sent."""
    wire.post(TICKETS, body=end)
    with pytest.raises(OutcomeUnknown):
        client.create_ticket(FIELDS, 5)
