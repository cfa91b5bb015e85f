"""POST /tickets: what it makes, and what it refuses, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.forms import FieldLimits
from tests.dev.local_freshdesk.factories import PAGOS, RETIROS, Api, Clock, ticket

KEYS = [
    *("cc_emails", "fwd_emails", "reply_cc_emails", "ticket_cc_emails", "ticket_bcc_emails"),
    *("fr_escalated", "spam", "email_config_id", "group_id", "priority", "requester_id", "responder_id"),
    *("source", "company_id", "status", "subject", "support_email", "to_emails", "product_id", "id"),
    *("type", "due_by", "fr_due_by", "is_escalated", "description", "description_text", "custom_fields"),
    *("created_at", "updated_at", "tags", "attachments", "source_info", "structured_description"),
    *("form_id", "nr_due_by", "nr_escalated"),
]


def test_created_ticket_has_the_recorded_keys_in_their_order(api: Api) -> None:
    """The 201 has the 36 keys that an account of 2026 answers, in that order."""
    told = api.create()
    assert told.status_code == 201
    assert list(told.json()) == KEYS


def test_location_names_the_ticket(api: Api) -> None:
    """The 201 says where the ticket is."""
    told = api.create()
    assert told.headers["Location"] == f"{api.desk.url}/api/v2/tickets/{told.json()['id']}"


def test_description_comes_back_in_a_div_and_as_text(api: Api) -> None:
    """Plain text is wrapped, and a line break is a newline in the text."""
    told = api.create(description="uno<br>dos &amp; tres").json()
    assert told["description"] == "<div>uno<br>dos &amp; tres</div>"
    assert told["description_text"] == "uno\ndos & tres"


def test_account_fills_in_mailbox_and_product(api: Api) -> None:
    """Mailbox and product come back though nobody sent them."""
    told = api.create().json()
    assert told["email_config_id"] == 1070000000301
    assert told["product_id"] == 1070000000201


def test_mailbox_decides_over_the_product(api: Api) -> None:
    """A product sent beside a mailbox is ignored."""
    told = api.create(email_config_id=1070000000302, product_id=1070000000201).json()
    assert told["product_id"] == 1070000000202


def test_product_chooses_its_mailbox_and_group(api: Api) -> None:
    """Without a mailbox the product's own is used, and without a group the mailbox's."""
    told = api.create(product_id=1070000000202, group_id=None).json()
    assert told["email_config_id"] == 1070000000302
    assert told["group_id"] == 1070000000109


def test_custom_fields_list_every_field(api: Api) -> None:
    """All custom fields come back, null where they were not set."""
    told = api.create(custom_fields={"cf_canal": "Web"}).json()["custom_fields"]
    assert told["cf_canal"] == "Web"
    assert told["cf_monto"] is None


def test_due_by_follows_a_second_later(api: Api, clock: Clock) -> None:
    """The 201 has no due dates; a second later they are there and updated_at has moved."""
    first = api.create(priority=4).json()
    clock.move(2)
    later = api.get(f"tickets/{first['id']}").json()
    assert (first["due_by"], first["fr_due_by"]) == (None, None)
    assert later["due_by"] > later["fr_due_by"] > first["created_at"]
    assert later["updated_at"] > first["updated_at"]


def test_due_by_that_was_sent_is_kept(api: Api, clock: Clock) -> None:
    """A due date of the caller's is not replaced."""
    made = api.create(due_by="2027-02-01T10:00:00Z", fr_due_by="2027-01-31T10:00:00Z").json()
    clock.move(2)
    told = api.get(f"tickets/{made['id']}").json()
    assert told["due_by"] == "2027-02-01T10:00:00Z"


def test_unknown_address_makes_a_contact(api: Api) -> None:
    """The requester becomes a contact by the name given."""
    requester_id = api.create(email="New@Example.com", name="Nueva").json()["requester_id"]
    contact = api.get(f"contacts/{requester_id}").json()
    assert (contact["name"], contact["email"]) == ("Nueva", "new@example.com")


def test_known_address_is_the_same_contact(api: Api) -> None:
    """Case does not matter, and the name stays what it was."""
    first = api.create(email="ana@example.com", name="Ana").json()
    again = api.create(email="ANA@example.com", name="Otra").json()
    assert first["requester_id"] == again["requester_id"]


def test_contact_without_a_name_is_called_by_its_address(api: Api) -> None:
    """Without a name the address's first half serves."""
    requester_id = api.create(name=None).json()["requester_id"]
    assert api.get(f"contacts/{requester_id}").json()["name"] == "ana"


@pytest.mark.parametrize("key", ["twitter_id", "unique_external_id"])
def test_other_identities_make_contacts(api: Api, key: str) -> None:
    """A handle or an id of elsewhere is enough."""
    requester_id = api.create(email=None, name=None, **{key: "abc"}).json()["requester_id"]
    assert api.get(f"contacts/{requester_id}").json()[key] == "abc"


def test_phone_makes_a_contact_with_a_name(api: Api) -> None:
    """A phone alone needs the name."""
    assert api.create(email=None, phone="+54 341 555").status_code == 201
    assert api.faults(email=None, name=None, phone="+54 341 556") == [("name", "missing_field")]


def test_requester_id_is_used(api: Api) -> None:
    """A contact can be named by its id."""
    known = api.create().json()["requester_id"]
    assert api.create(email=None, requester_id=known).json()["requester_id"] == known


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        ({"zz": 1}, ("zz", "invalid_field")),
        ({"description_text": "x"}, ("description_text", "invalid_field")),
        ({"status": "2"}, ("status", "datatype_mismatch")),
        ({"priority": True}, ("priority", "datatype_mismatch")),
        ({"group_id": "1070000000101"}, ("group_id", "datatype_mismatch")),
        ({"tags": "a,b"}, ("tags", "datatype_mismatch")),
        ({"tags": [1]}, ("tags", "datatype_mismatch")),
        ({"related_ticket_ids": ["1"]}, ("related_ticket_ids", "datatype_mismatch")),
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
        ({"company_id": 5}, ("company_id", "invalid_value")),
        ({"requester_id": 5}, ("requester_id", "invalid_value")),
        ({"email": "nope"}, ("email", "invalid_value")),
        ({"email": "a@exämple.com"}, ("email", "invalid_value")),
        ({"cc_emails": ["a@example.com", "nope"]}, ("cc_emails", "invalid_value")),
        ({"subject": "x" * 256}, ("subject", "invalid_value")),
        ({"tags": ["x" * 33]}, ("tags", "invalid_value")),
        ({"due_by": "mañana"}, ("due_by", "invalid_value")),
        ({"attachments": ["x"]}, ("attachments", "datatype_mismatch")),
        ({"email": None, "facebook_id": "none"}, ("facebook_id", "invalid_value")),
        ({"custom_fields": {"cf_nada": 1}}, ("custom_fields.cf_nada", "invalid_field")),
        ({"custom_fields": {"cf_canal": "Fax"}}, ("custom_fields.cf_canal", "invalid_value")),
        ({"custom_fields": {"cf_monto": "mucho"}}, ("custom_fields.cf_monto", "datatype_mismatch")),
        ({"custom_fields": {"cf_cliente_vip": 1}}, ("custom_fields.cf_cliente_vip", "datatype_mismatch")),
        ({"custom_fields": {"cf_fecha_del_hecho": "1/2/2026"}}, ("custom_fields.cf_fecha_del_hecho", "invalid_value")),
        ({"subject": None}, ("subject", "missing_field")),
        ({"description": None}, ("description", "missing_field")),
        ({"email": None}, ("requester_id", "missing_field")),
    ],
)
def test_wrong_field_is_named_with_its_code(api: Api, overrides: dict[str, Any], fault: tuple[str, str]) -> None:
    """Each wrong field is refused with 400, its name and the code of the vocabulary; no ticket is made."""
    assert api.faults(**overrides) == [fault]
    assert api.desk.tickets() == []


def test_texts_are_those_that_were_seen(api: Api) -> None:
    """The messages of the issues that quote real accounts."""
    told = {
        "status": api.create(status="2").json()["errors"][0]["message"],
        "zz": api.create(zz=1).json()["errors"][0]["message"],
        "company_id": api.create(company_id=1).json()["errors"][0]["message"],
    }
    assert told == {
        "status": "Value set is of type String.It should be one of these values: '2,3,4,5,6,7'",
        "zz": "Unexpected/invalid field in request",
        "company_id": "There is no company matching the given company_id",
    }


def test_unknown_fields_come_before_wrong_types_before_wrong_values(api: Api) -> None:
    """Each step is told alone, as the real one does."""
    assert api.faults(zz=1, status="2", group_id=5) == [("zz", "invalid_field")]
    assert api.faults(status="2", group_id=5) == [("status", "datatype_mismatch")]
    assert api.faults(group_id=5, product_id=5) == [("group_id", "invalid_value"), ("product_id", "invalid_value")]


def test_null_is_no_value(api: Api) -> None:
    """An id of null is taken as not sent."""
    told = api.post("tickets", json={**ticket(), "responder_id": None, "type": None, "cc_emails": None})
    assert told.status_code == 201
    assert told.json()["cc_emails"] == []


def test_edges_of_the_lengths_are_taken(api: Api) -> None:
    """255 characters of subject and 32 of a tag are fine."""
    assert api.create(subject="x" * 255, tags=["y" * 32]).status_code == 201


def test_lengths_can_be_set() -> None:
    """The lengths are a setting, for nobody documents them."""
    with LocalFreshdesk(field_limits=FieldLimits(subject=10)) as desk, Api(desk) as api:
        assert api.faults(subject="x" * 11) == [("subject", "invalid_value")]


def test_classic_account_takes_the_chat_source() -> None:
    """Source 7 exists on older accounts."""
    with LocalFreshdesk(profile="classic") as desk, Api(desk) as api:
        assert api.create(source=7).status_code == 201
        assert api.faults(source=15) == [("source", "invalid_value")]


def test_form_with_files_makes_a_ticket(api: Api) -> None:
    """A multipart form: texts for numbers, names in brackets, files."""
    fields = [
        *(("tags[]", tag) for tag in ("a", "b")),
        ("cc_emails[]", "c@example.com"),
        ("custom_fields[cf_intentos]", "3"),
        ("custom_fields[cf_monto]", "1500.50"),
        ("custom_fields[cf_cliente_vip]", "true"),
        ("email", "ana@example.com"),
        ("subject", "con archivo"),
        ("description", "x"),
        ("status", "2"),
        ("group_id", str(PAGOS)),
    ]
    told = api.post("tickets", data=fields, files=[("attachments[]", ("comprobante.pdf", b"%PDF", "application/pdf"))])
    assert told.status_code == 201
    made = told.json()
    assert (made["tags"], made["group_id"], made["custom_fields"]["cf_intentos"]) == (["a", "b"], PAGOS, 3)
    assert [(file["name"], file["size"]) for file in made["attachments"]] == [("comprobante.pdf", 4)]


def test_form_with_wrong_text_is_refused(api: Api) -> None:
    """A text that is no number stays a text, and is told so."""
    fields = {"email": "a@example.com", "subject": "x", "description": "x", "status": "two"}
    told = api.post("tickets", data=fields, files=[("attachments[]", ("a.txt", b"x", "text/plain"))])
    assert told.json()["errors"][0]["code"] == "datatype_mismatch"


def test_form_with_a_whole_object_crashes_the_vendor(api: Api) -> None:
    """Custom fields not named in brackets are the known 500."""
    told = api.post("tickets", files=[("custom_fields", (None, "{}")), ("attachments[]", ("a", b"x", "text/plain"))])
    assert (told.status_code, told.json()["code"]) == (500, "internal_error")


def test_form_that_is_none_crashes_too(api: Api) -> None:
    """A multipart type without its boundary."""
    told = api.post("tickets", data=b"x", headers={"Content-Type": "multipart/form-data"})
    assert told.status_code == 500


def test_files_may_weigh_twenty_megabytes(api: Api) -> None:
    """More is refused on the field."""
    fields = {"email": "a@example.com", "subject": "x", "description": "x"}
    told = api.post("tickets", data=fields, files=[("attachments[]", ("a.bin", b"x" * 20_000_001, "text/plain"))])
    assert told.json()["errors"][0]["field"] == "attachments"


def test_two_tickets_with_the_same_words_are_two(api: Api) -> None:
    """Freshdesk has no idempotency of any kind: that is the function's work."""
    assert api.create().json()["id"] != api.create().json()["id"]
    assert [made["group_id"] for made in api.desk.tickets()] == [RETIROS, RETIROS]
