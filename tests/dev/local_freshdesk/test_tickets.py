"""Reading, changing, deleting, merging; notes, replies, contacts and the account's own reads."""

from __future__ import annotations

from typing import Any

import pytest

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.desk import AGENT_KEY, READONLY_KEY
from tests.dev.local_freshdesk.factories import PAGOS, Api, Clock


@pytest.fixture
def made(api: Api) -> int:
    """Give the id of a ticket."""
    return int(api.create().json()["id"])


def test_get_one_has_four_keys_more(api: Api, made: int) -> None:
    """GET one tells moods and associations, and what the list leaves out."""
    told = api.get(f"tickets/{made}").json()
    extra = {"association_type", "source_additional_info", "sentiment_score", "initial_sentiment_score"}
    assert extra < set(told)
    assert told["description_text"] == "Hola\n¿qué tal?"


def test_includes_add_their_parts(api: Api, made: int) -> None:
    """Requester, stats and the ten oldest conversations."""
    for number in range(11):
        api.post(f"tickets/{made}/notes", json={"body": f"nota {number}"})
    told = api.get(f"tickets/{made}", params={"include": "conversations,requester,stats"}).json()
    assert told["requester"]["email"] == "ana@example.com"
    assert told["stats"]["resolved_at"] is None
    assert [entry["body_text"] for entry in told["conversations"]] == [f"nota {n}" for n in range(10)]


def test_unknown_include_is_refused(api: Api, made: int) -> None:
    """A part that does not exist."""
    assert api.get(f"tickets/{made}?include=nada").json()["errors"][0]["field"] == "include"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_change_changes_only_what_it_says(api: Api, made: int, clock: Clock, method: str) -> None:
    """Status and a custom field; the rest stays, updated_at moves."""
    clock.move(10)
    told = api.request(method, f"tickets/{made}", json={"status": 4, "custom_fields": {"cf_canal": "Web"}}).json()
    assert (told["status"], told["priority"], told["custom_fields"]["cf_canal"]) == (4, 3, "Web")
    assert told["updated_at"] > told["created_at"]


def test_change_can_name_another_requester(api: Api, made: int) -> None:
    """An unknown address makes a contact here too."""
    told = api.put(f"tickets/{made}", json={"email": "otra@example.com", "description": "nueva"}).json()
    assert api.get(f"contacts/{told['requester_id']}").json()["email"] == "otra@example.com"
    assert told["description_text"] == "nueva"


def test_change_is_checked_like_creation(api: Api, made: int) -> None:
    """A group that does not exist."""
    assert api.put(f"tickets/{made}", json={"group_id": 5}).json()["errors"][0]["field"] == "group_id"


def test_resolved_ticket_says_when(api: Api, made: int) -> None:
    """The stats of a closed ticket."""
    api.put(f"tickets/{made}", json={"status": 5})
    stats = api.get(f"tickets/{made}?include=stats").json()["stats"]
    assert stats["closed_at"] == stats["resolved_at"] is not None


def test_deleted_ticket_can_be_read_and_restored_but_not_changed(api: Api, made: int) -> None:
    """Deleting is soft; the 405's text is the one a public client compares word by word."""
    assert api.delete(f"tickets/{made}").status_code == 204
    told = api.put(f"tickets/{made}", json={"status": 3})
    assert told.status_code == 405
    assert told.json()["message"] == "PUT method is not allowed. It should be one of these method(s): GET"
    assert api.get(f"tickets/{made}").json()["deleted"] is True
    assert api.put(f"tickets/{made}/restore", json={}).status_code == 204
    assert "deleted" not in api.get(f"tickets/{made}").json()


def test_spam_cannot_be_written_to(api: Api, made: int) -> None:
    """No notes, no replies, no deletion."""
    api.desk.mark_spam(made)
    assert api.get(f"tickets/{made}").json()["spam"] is True
    for path in ("notes", "reply"):
        assert api.post(f"tickets/{made}/{path}", json={"body": "x"}).status_code == 405
    assert api.delete(f"tickets/{made}").status_code == 405


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "tickets/99"),
        ("PUT", "tickets/99"),
        ("DELETE", "tickets/99"),
        ("PUT", "tickets/99/restore"),
        ("POST", "tickets/99/notes"),
        ("POST", "tickets/99/reply"),
        ("GET", "tickets/99/conversations"),
        ("GET", "contacts/99"),
        ("GET", "groups/99"),
        ("GET", "nada"),
        ("GET", "tickets/abc"),
    ],
)
def test_what_does_not_exist_is_404_with_nothing(api: Api, method: str, path: str) -> None:
    """An unknown id or path: no body at all."""
    told = api.request(method, path, json={"body": "x"})
    assert (told.status_code, told.content) == (404, b"")


def test_restore_wants_a_deleted_ticket(api: Api, made: int) -> None:
    """What is not deleted cannot be restored."""
    assert api.put(f"tickets/{made}/restore", json={}).status_code == 404


def test_merge_closes_the_others(api: Api, made: int) -> None:
    """204; the secondary ticket is closed and says where it went."""
    other = api.create().json()["id"]
    assert api.put("tickets/merge", json={"primary_id": made, "ticket_ids": [other]}).status_code == 204
    assert api.get(f"tickets/{other}").json()["status"] == 5
    assert f"merged into ticket {made}" in api.desk.notes(other)[0]["body_text"]


@pytest.mark.parametrize("said", [{"primary_id": 99, "ticket_ids": [1]}, {"primary_id": 1, "ticket_ids": [99]}])
def test_merge_wants_tickets_that_exist(api: Api, made: int, said: dict[str, Any]) -> None:
    """Either side unknown is a 400."""
    assert made == 1
    assert api.put("tickets/merge", json=said).status_code == 400


def test_note_is_private_unless_it_says_otherwise(api: Api, made: int, clock: Clock) -> None:
    """The recorded keys, a Location under conversations, and the ticket moves."""
    clock.move(60)
    told = api.post(f"tickets/{made}/notes", json={"body": "hola<br>chau", "notify_emails": ["l@example.com"]})
    note = told.json()
    assert told.status_code == 201
    assert told.headers["Location"].endswith(f"/api/v2/conversations/{note['id']}")
    assert (note["private"], note["body_text"], note["to_emails"]) == (True, "hola\nchau", ["l@example.com"])
    assert list(note) == [
        *("body", "body_text", "structured_body", "id", "incoming", "private", "user_id", "support_email"),
        *("ticket_id", "to_emails", "created_at", "updated_at", "attachments"),
    ]
    assert api.get(f"tickets/{made}").json()["updated_at"] == note["updated_at"]


def test_note_can_be_public_and_carry_a_file(api: Api, made: int) -> None:
    """In a form, `private` is a text."""
    form = {"body": "x", "private": "false"}
    note = api.post(
        f"tickets/{made}/notes", data=form, files=[("attachments[]", ("a.txt", b"abc", "text/plain"))]
    ).json()
    assert (note["private"], note["attachments"][0]["size"]) == (False, 3)
    assert api.desk.notes(made)[0]["attachments"] == note["attachments"]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({}, ("body", "missing_field")),
        ({"body": 1}, ("body", "datatype_mismatch")),
        ({"body": "x", "private": "yes"}, ("private", "datatype_mismatch")),
        ({"body": "x", "notified_to": []}, ("notified_to", "invalid_field")),
        ({"body": "x", "notify_emails": ["nope"]}, ("notify_emails", "invalid_value")),
    ],
)
def test_wrong_note_is_refused(api: Api, made: int, said: dict[str, Any], fault: tuple[str, str]) -> None:
    """Notes are checked as tickets are."""
    told = api.post(f"tickets/{made}/notes", json=said).json()["errors"][0]
    assert (told["field"], told["code"]) == fault


def test_structured_body_serves_instead_of_a_body(api: Api, made: int) -> None:
    """Web-chat tickets want it."""
    for path in ("notes", "reply"):
        assert api.post(f"tickets/{made}/{path}", json={"structured_body": {"parts": []}}).status_code == 201


def test_reply_goes_to_the_requester(api: Api, made: int) -> None:
    """From the mailbox, to the requester's address."""
    told = api.post(f"tickets/{made}/reply", json={"body": "hola", "cc_emails": ["c@example.com"]})
    reply = told.json()
    assert told.status_code == 201
    assert (reply["to_emails"], reply["from_email"]) == (["ana@example.com"], "betsur@ayuda.example")
    assert api.desk.notes(made) == []


def test_reply_to_a_phone_goes_nowhere(api: Api) -> None:
    """A requester without an address."""
    ticket_id = api.create(email=None, phone="+54 341 555").json()["id"]
    assert api.post(f"tickets/{ticket_id}/reply", json={"body": "hola"}).json()["to_emails"] == []


def test_conversations_come_in_pages(api: Api, made: int) -> None:
    """Oldest first, notes and replies in one shape, a Link to the next page."""
    api.post(f"tickets/{made}/notes", json={"body": "uno"})
    api.post(f"tickets/{made}/reply", json={"body": "dos"})
    told = api.get(f"tickets/{made}/conversations?per_page=1")
    assert [entry["body_text"] for entry in told.json()] == ["uno"]
    again = api.get(f"tickets/{made}/conversations?per_page=1&page=2")
    assert [entry["source"] for entry in again.json()] == [0]
    assert 'rel="next"' in told.headers["Link"]
    assert "Link" not in again.headers


def test_contact_is_made_once(api: Api) -> None:
    """The second with the same address is a 409 that names the first."""
    first = api.post("contacts", json={"name": "Ana", "email": "ana@example.com"})
    again = api.post("contacts", json={"name": "Otra", "email": "ANA@example.com"})
    fault = again.json()["errors"][0]
    assert first.headers["Location"].endswith(f"/contacts/{first.json()['id']}")
    assert (again.status_code, fault["code"]) == (409, "duplicate_value")
    assert fault["additional_info"] == {"user_id": first.json()["id"]}


def test_contact_wants_a_name_and_an_address(api: Api) -> None:
    """Either missing is a 400."""
    assert api.post("contacts", json={"email": "a@example.com"}).json()["errors"][0]["field"] == "name"
    assert api.post("contacts", json={"name": "Ana"}).json()["errors"][0]["code"] == "missing_field"


def test_contacts_are_found_by_address(api: Api, made: int) -> None:
    """The list with a filter."""
    assert made
    api.create(email="b@example.com")
    assert [c["email"] for c in api.get("contacts?email=b@example.com").json()] == ["b@example.com"]
    assert len(api.get("contacts").json()) == 2


def test_choices_have_three_shapes(api: Api) -> None:
    """A list, a map from name to id, and a map from number to labels."""
    choices = {field["name"]: field.get("choices") for field in api.get("ticket_fields").json()}
    assert "Consulta" in choices["ticket_type"]
    assert choices["group"]["Pagos"] == PAGOS
    assert choices["status"]["2"] == ["Open", "Being Processed"]
    assert choices["source"]["Web Chat"] == 15
    assert choices["cf_canal"][0] == "Web"
    assert choices["subject"] is None


def test_groups_are_sorted_by_name_and_have_pages(api: Api) -> None:
    """The twelve groups of the account."""
    names = [group["name"] for group in api.get("groups").json()]
    assert len(names) == 12
    assert names == sorted(names)
    assert len(api.get("groups?per_page=5&page=3").json()) == 2


@pytest.mark.parametrize(
    "path", ["groups/1070000000101", "products/1070000000201", "agents/1070000000401", "agents/me", "account"]
)
def test_single_reads_are_objects(api: Api, path: str) -> None:
    """Each answers one object."""
    assert isinstance(api.get(path).json(), dict)


@pytest.mark.parametrize("path", ["products", "email_configs", "agents", "admin/groups", "admin/ticket_fields"])
def test_list_reads_are_arrays(api: Api, path: str) -> None:
    """Each answers an array that is not empty."""
    told = api.get(path).json()
    assert isinstance(told, list)
    assert told


def test_help_desk_tells_its_languages(api: Api) -> None:
    """Settings of the help desk."""
    assert api.get("settings/helpdesk").json()["primary_language"] == "es-LA"


@pytest.mark.parametrize(
    ("path", "status"), [("groups", 403), ("agents", 403), ("agents/me", 200), ("ticket_fields", 200)]
)
def test_agents_key_may_read_less(desk: LocalFreshdesk, path: str, status: int) -> None:
    """A key without the admin's rights: /agents/me and /ticket_fields work, /groups does not."""
    with Api(desk, AGENT_KEY) as api:
        assert api.get(path).status_code == status
        assert api.create().status_code == 201


def test_readonly_key_may_not_create(desk: LocalFreshdesk) -> None:
    """403 with the known body."""
    with Api(desk, READONLY_KEY) as api:
        told = api.create()
        assert told.status_code == 403
        assert told.json() == {"code": "access_denied", "message": "You are not authorized to perform this action."}
