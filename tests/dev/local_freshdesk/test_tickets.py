"""Tickets, notes and lists over the API: what they hold, and what is refused, field by field."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
import requests

from handoff.notes import File, build_note_with_file
from tests.dev.local_freshdesk.support import RETIROS, Api, ticket
from tests.ledger_factories import VirtualClock

KEYS = [
    *("cc_emails", "fwd_emails", "reply_cc_emails", "ticket_cc_emails", "ticket_bcc_emails"),
    *("fr_escalated", "spam", "email_config_id", "group_id", "priority", "requester_id", "responder_id"),
    *("source", "company_id", "status", "subject", "support_email", "to_emails", "product_id", "id"),
    *("type", "due_by", "fr_due_by", "is_escalated", "description", "description_text", "custom_fields"),
    *("created_at", "updated_at", "tags", "attachments", "source_info", "structured_description"),
    *("form_id", "nr_due_by", "nr_escalated"),
]


def test_a_new_ticket_has_the_recorded_keys(api: Api) -> None:
    """The 36 keys of an account of 2026 in their order; Location; the description in a div and as a text."""
    answer = api.create(description="uno<br>dos &amp; tres", custom_fields={"cf_canal": "Web"})
    made = answer.json()
    assert (answer.status_code, list(made)) == (201, KEYS)
    assert answer.headers["Location"] == f"{api.freshdesk.url}/api/v2/tickets/{made['id']}"
    assert made["description"] == "<div>uno<br>dos &amp; tres</div>"
    assert made["description_text"] == "uno\ndos & tres"
    assert (made["custom_fields"]["cf_canal"], made["custom_fields"]["cf_monto"]) == ("Web", None)


def test_a_ticket_has_defaults_and_null_is_no_value(api: Api) -> None:
    """Open, low, from the portal; the same words twice are two tickets."""
    fields = {"email": "ana@example.com", "subject": "x", "description": "x", "responder_id": None}
    made = [api.post("tickets", json=fields).json() for _ in range(2)]
    assert [made[0][name] for name in ("status", "priority", "source", "tags")] == [2, 1, 2, []]
    assert [one["id"] for one in made] == [1, 2]


@pytest.mark.parametrize(
    ("fields", "contact"),
    [
        ({"email": "New@Example.com", "name": "Nueva"}, {"name": "Nueva", "email": "new@example.com"}),
        ({"email": "ana@example.com"}, {"name": "ana", "email": "ana@example.com"}),
        ({"phone": "+54 341 555", "name": "Ana"}, {"name": "Ana", "phone": "+54 341 555"}),
        ({"unique_external_id": "u-1"}, {"name": "u-1", "email": None, "mobile": None}),
    ],
)
def test_an_unknown_address_makes_a_contact(api: Api, fields: dict[str, str], contact: dict[str, Any]) -> None:
    """By the name given, or else by the address; the second time it is the same contact."""
    made = [api.create(**{"email": None, "name": None, **fields}).json() for _ in range(2)]
    requester = api.get("tickets/1?include=requester").json()["requester"]
    assert contact.items() <= requester.items()
    assert [one["requester_id"] for one in made] == [requester["id"]] * 2


def test_letters_of_another_case_are_the_same_address(api: Api) -> None:
    """And the contact keeps its name."""
    first, again = api.create().json(), api.create(email="ANA@example.com", name="Otra").json()
    assert first["requester_id"] == again["requester_id"]
    assert api.get("tickets/2?include=requester").json()["requester"]["name"] == "Ana Núñez"


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        ({"zz": 1}, ("zz", "invalid_field")),
        ({"status": "2"}, ("status", "datatype_mismatch")),
        ({"priority": True}, ("priority", "datatype_mismatch")),
        ({"tags": "a,b"}, ("tags", "datatype_mismatch")),
        ({"tags": [1]}, ("tags", "datatype_mismatch")),
        ({"custom_fields": []}, ("custom_fields", "datatype_mismatch")),
        ({"subject": 5}, ("subject", "datatype_mismatch")),
        ({"status": 99}, ("status", "invalid_value")),
        ({"priority": 5}, ("priority", "invalid_value")),
        ({"source": 7}, ("source", "invalid_value")),
        ({"type": "Nada"}, ("type", "invalid_value")),
        ({"group_id": 5}, ("group_id", "invalid_value")),
        ({"responder_id": 5}, ("responder_id", "invalid_value")),
        ({"product_id": 5}, ("product_id", "invalid_value")),
        ({"email_config_id": 5}, ("email_config_id", "invalid_value")),
        ({"email": "nope"}, ("email", "invalid_value")),
        ({"email": "a@exämple.com"}, ("email", "invalid_value")),
        ({"email": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.com"}, ("email", "invalid_value")),
        ({"subject": "x" * 256}, ("subject", "invalid_value")),
        ({"name": "x" * 256}, ("name", "invalid_value")),
        ({"phone": "5" * 256}, ("phone", "invalid_value")),
        ({"unique_external_id": "x" * 256}, ("unique_external_id", "invalid_value")),
        ({"tags": ["x" * 33]}, ("tags", "invalid_value")),
        ({"custom_fields": {"cf_nada": 1}}, ("custom_fields.cf_nada", "invalid_field")),
        ({"custom_fields": {"cf_canal": "Fax"}}, ("custom_fields.cf_canal", "invalid_value")),
        ({"custom_fields": {"cf_monto": "mucho"}}, ("custom_fields.cf_monto", "datatype_mismatch")),
        ({"custom_fields": {"cf_intentos": 1.5}}, ("custom_fields.cf_intentos", "datatype_mismatch")),
        ({"custom_fields": {"cf_cliente_vip": 1}}, ("custom_fields.cf_cliente_vip", "datatype_mismatch")),
        ({"custom_fields": {"cf_fecha_del_hecho": "1/2/2026"}}, ("custom_fields.cf_fecha_del_hecho", "invalid_value")),
        ({"custom_fields": {"cf_fecha_del_hecho": "20260201"}}, ("custom_fields.cf_fecha_del_hecho", "invalid_value")),
        ({"custom_fields": {"cf_referencia": "x" * 256}}, ("custom_fields.cf_referencia", "invalid_value")),
        ({"subject": None}, ("subject", "missing_field")),
        ({"description": None}, ("description", "missing_field")),
        ({"email": None}, ("requester_id", "missing_field")),
        ({"email": None, "name": None, "phone": "+54 341 556"}, ("name", "missing_field")),
    ],
)
def test_a_wrong_field_is_named_with_its_code(api: Api, overrides: dict[str, Any], fault: tuple[str, str]) -> None:
    """And no ticket is made."""
    assert api.faults(fields=ticket(**overrides)) == [fault]
    assert api.freshdesk.tickets() == []


def test_the_edges_are_taken(api: Api) -> None:
    """Lengths, and a value of every kind of custom field."""
    own = {"cf_monto": 1.5, "cf_intentos": 3, "cf_cliente_vip": True, "cf_fecha_del_hecho": "2026-02-01"}
    assert api.create(subject="x" * 255, tags=["y" * 32], custom_fields=own).status_code == 201


def test_messages_are_those_that_were_seen(api: Api) -> None:
    """The texts of the issues that quote real accounts."""
    seen = {
        "status": "Value set is of type String.It should be one of these values: '2,3,4,5,6,7'",
        "zz": "Unexpected/invalid field in request",
        "group_id": "There is no group matching the given group_id",
    }
    for name, value in (("status", "2"), ("zz", 1), ("group_id", 1)):
        assert api.create(**{name: value}).json()["errors"][0]["message"] == seen[name]


def test_unknown_fields_come_before_wrong_types_before_wrong_values(api: Api) -> None:
    """Each step answers alone; missing fields come with wrong values."""
    wrong = ticket(zz=1, status="2", group_id=5, subject=None)
    assert api.faults(fields=wrong) == [("zz", "invalid_field")]
    del wrong["zz"]
    assert api.faults(fields=wrong) == [("status", "datatype_mismatch")]
    del wrong["status"]
    assert api.faults(fields=wrong) == [("group_id", "invalid_value"), ("subject", "missing_field")]


def test_get_one_can_include_more(api: Api) -> None:
    """Four keys of its own; requester, stats, and the ten oldest conversations."""
    api.create(status=5)
    for number in range(11):
        api.post("tickets/1/notes", json={"body": f"nota {number}"})
    found = api.get("tickets/1?include=conversations,requester,stats").json()
    own = {"association_type", "source_additional_info", "sentiment_score", "initial_sentiment_score"}
    assert own < set(found)
    assert found["requester"]["email"] == "ana@example.com"
    assert found["stats"]["closed_at"] == found["stats"]["resolved_at"] == found["updated_at"]
    assert [entry["body_text"] for entry in found["conversations"]] == [f"nota {n}" for n in range(10)]
    api.create()
    assert api.get("tickets/2?include=stats").json()["stats"]["resolved_at"] is None
    assert api.faults("tickets/1?include=nada") == [("include", "invalid_value")]


def test_a_note_is_private_unless_it_says_otherwise(api: Api, clock: VirtualClock) -> None:
    """The recorded keys, a Location under conversations, and the ticket's `updated_at`."""
    api.create()
    clock.sleep(60)
    answer = api.post("tickets/1/notes", json={"body": "hola<br>chau"})
    note = answer.json()
    assert (answer.status_code, note["private"], note["body_text"]) == (201, True, "hola\nchau")
    assert answer.headers["Location"].endswith(f"/api/v2/conversations/{note['id']}")
    assert list(note) == [
        *("body", "body_text", "structured_body", "id", "incoming", "private", "user_id", "support_email"),
        *("ticket_id", "to_emails", "created_at", "updated_at", "attachments"),
    ]
    assert api.get("tickets/1").json()["updated_at"] == note["updated_at"]
    assert api.post("tickets/1/notes", json={"body": "x", "private": False}).json()["private"] is False
    assert [one["body_text"] for one in api.freshdesk.notes(1)] == ["hola\nchau", "x"]


def test_a_note_can_carry_files(api: Api) -> None:
    """In a form `private` is a text, and the files are `attachments[]`; the list of conversations has them, too."""
    api.create()
    contents = {"a.txt": b"abc", "ñandú — 収据 (1).png": bytes(range(256))}
    files = [("attachments[]", (name, content, "image/png")) for name, content in contents.items()]
    note = api.post("tickets/1/notes", data={"body": "x", "private": "false"}, files=files).json()
    assert (note["private"], [one["name"] for one in note["attachments"]]) == (False, [*contents])
    assert list(note["attachments"][0]) == [
        *("id", "content_type", "size", "name", "attachment_url", "created_at", "updated_at")
    ]
    assert [(one["size"], one["content_type"]) for one in note["attachments"]] == [(3, "image/png"), (256, "image/png")]
    assert api.freshdesk.notes(1)[0]["attachments"] == note["attachments"]
    assert api.get("tickets/1/conversations").json()[0]["attachments"] == note["attachments"]
    assert api.freshdesk.files(1) == [
        (name, "image/png", len(content), sha256(content).hexdigest()) for name, content in contents.items()
    ]
    for one in note["attachments"]:
        assert requests.get(one["attachment_url"], timeout=5).content == contents[one["name"]]


def test_a_form_of_the_function_is_understood(api: Api) -> None:
    """Private, with a name of any characters."""
    api.create()
    content = b"\r\n--" + bytes(range(256))
    form = build_note_with_file(1, "<p>ñ</p>", File('"así" 👍.png', content, "image/png"))
    body = b"".join((form.body or b"", *form.more))
    note = api.post("tickets/1/notes", data=body, headers={"Content-Type": form.content_type}).json()
    assert (note["private"], note["body"]) == (True, "<div><p>ñ</p></div>")
    assert api.freshdesk.files(1) == [('"así" 👍.png', "image/png", len(content), sha256(content).hexdigest())]


def test_the_files_of_a_ticket_have_a_bound(api: Api) -> None:
    """20 MB for all notes of a ticket together; what is refused leaves nothing; another ticket has its own."""
    for _ in range(2):
        api.create()

    def add(ticket_id: int, size: int) -> requests.Response:
        files = [("attachments[]", ("a.bin", b"x" * size, "text/plain"))]
        return api.post(f"tickets/{ticket_id}/notes", data={"body": "x"}, files=files)

    assert add(1, 20_000_001).json()["errors"] == [
        {"field": "attachments", "message": "Invalid size. It should be less than 20 MB", "code": "invalid_value"}
    ]
    assert add(1, 12_000_000).status_code == 201
    assert add(1, 8_000_001).status_code == 400
    assert (len(api.freshdesk.notes(1)), len(api.freshdesk.files(1))) == (1, 1)
    assert add(1, 8_000_000).status_code == 201
    assert add(2, 20_000_000).status_code == 201
    assert add(2, 25_000_000).status_code == 413


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, ("body", "missing_field")),
        ({"body": 1}, ("body", "datatype_mismatch")),
        ({"body": "x", "private": "yes"}, ("private", "datatype_mismatch")),
        ({"body": "x", "notified_to": []}, ("notified_to", "invalid_field")),
        ({"body": "x", "attachments": ["x"]}, ("attachments", "datatype_mismatch")),
    ],
)
def test_a_wrong_note_is_refused(api: Api, fields: dict[str, Any], fault: tuple[str, str]) -> None:
    """Notes are checked as tickets are."""
    api.create()
    assert api.faults("tickets/1/notes", fields) == [fault]


def test_a_deleted_or_spam_ticket_can_only_be_read(api: Api) -> None:
    """A note on it is 405, with the text a public client compares."""
    for number, move in enumerate((api.freshdesk.delete, api.freshdesk.mark_spam), start=1):
        api.create()
        move(number)
        answer = api.post(f"tickets/{number}/notes", json={"body": "x"})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert [api.get(f"tickets/{n}").json().get("deleted") for n in (1, 2)] == [True, None]
    assert [api.get(f"tickets/{n}").json()["spam"] for n in (1, 2)] == [False, True]


def test_conversations_come_in_pages(api: Api) -> None:
    """Oldest first; a Link leads to the next page, until the last."""
    api.create()
    for body in ("uno", "dos"):
        api.post("tickets/1/notes", json={"body": body})
    first = api.get("tickets/1/conversations?per_page=1")
    last = api.get(first.links["next"]["url"].partition("/api/v2/")[2])
    assert [entry["body_text"] for entry in (*first.json(), *last.json())] == ["uno", "dos"]
    assert "Link" not in last.headers
    assert (first.json()[0]["source"], "structured_body" in first.json()[0]) == (2, False)


@pytest.fixture
def three(api: Api, clock: VirtualClock) -> list[int]:
    """Make three tickets, a minute apart, the last one another person's; return their ids."""
    ids = []
    for email in ("ana@example.com", "ana@example.com", "b@example.com"):
        ids.append(int(api.create(email=email).json()["id"]))
        clock.sleep(60)
    return ids


def listed(api: Api, query: str = "") -> list[int]:
    """Return the ids of a list."""
    answer = api.get(f"tickets{query}")
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


def test_the_list_is_newest_first_and_without_descriptions(api: Api, three: list[int]) -> None:
    """A row has tags and keys of its own; a new ticket is in it at once."""
    assert listed(api) == listed(api, "?order_by=created_at&order_type=desc") == three[::-1]
    assert listed(api, "?order_type=asc") == three
    row = api.get("tickets").json()[0]
    assert (row["tags"], row["group_id"]) == (["botpress", "bot:betsur"], RETIROS)
    assert not {"description", "description_text", "attachments"} & set(row)
    assert {"association_type", "associated_tickets_count", "sentiment_score"} < set(row)


def test_the_list_can_be_of_one_person(api: Api, three: list[int]) -> None:
    """By address, whatever its letters' case, or by the contact's id of elsewhere."""
    assert listed(api, "?email=ANA@example.com") == three[1::-1]
    made = api.create(email=None, unique_external_id="u-1").json()["id"]
    assert listed(api, "?unique_external_id=u-1") == [made]


def test_the_list_can_be_of_what_changed_since(api: Api, three: list[int], clock: VirtualClock) -> None:
    """To the second; without `updated_since` the last thirty days are listed."""
    made = api.get(f"tickets/{three[2]}").json()["created_at"]
    assert listed(api, f"?updated_since={made}") == [three[2]]
    api.post(f"tickets/{three[0]}/notes", json={"body": "x"})
    assert listed(api, f"?updated_since={made}") == [three[2], three[0]]
    clock.sleep(31 * 24 * 3600)
    assert listed(api) == []
    assert listed(api, "?updated_since=2020-01-01T00:00:00Z") == three[::-1]


def test_spam_and_deleted_tickets_have_lists_of_their_own(api: Api, three: list[int]) -> None:
    """They are in no other."""
    api.freshdesk.mark_spam(three[0])
    api.freshdesk.delete(three[1])
    assert [listed(api, f"?filter={box}") for box in ("spam", "deleted")] == [[three[0]], [three[1]]]
    assert listed(api) == [three[2]]


def test_pages_link_to_the_next(api: Api, three: list[int]) -> None:
    """With the query as it was; there is no Link on the last page."""
    first = api.get("tickets?per_page=2&order_type=asc")
    assert listed(api, first.links["next"]["url"].partition("/api/v2/tickets")[2]) == [three[2]]
    assert "Link" not in api.get("tickets?per_page=3").headers


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("email=nobody@example.com", ("email", "invalid_value")),
        ("unique_external_id=none", ("unique_external_id", "invalid_value")),
        ("filter=all", ("filter", "invalid_value")),
        ("order_by=subject", ("order_by", "invalid_value")),
        ("order_type=up", ("order_type", "invalid_value")),
        ("updated_since=ayer", ("updated_since", "invalid_value")),
        ("updated_since=2026-01-01T00:00:00", ("updated_since", "invalid_value")),
        ("tag=botpress", ("tag", "invalid_field")),
        ("page=301", ("page", "invalid_value")),
        ("page=0", ("page", "datatype_mismatch")),
        ("page=x", ("page", "datatype_mismatch")),
        ("per_page=101", ("per_page", "invalid_value")),
    ],
)
def test_a_wrong_parameter_is_refused(api: Api, query: str, fault: tuple[str, str]) -> None:
    """An address without a contact is one of them."""
    assert api.faults(f"tickets?{query}") == [fault]
