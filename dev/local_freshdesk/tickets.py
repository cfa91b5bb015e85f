"""Creating and changing tickets, notes and contacts, with the side effects Freshdesk has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dev.local_freshdesk import checks, forms
from dev.local_freshdesk.html_text import as_stored, as_text
from dev.local_freshdesk.store import CONTACT_KEYS
from dev.local_freshdesk.wire import FieldFault, RefusedError, refuse, validation_failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.local_freshdesk.desk import HelpDesk
    from dev.local_freshdesk.store import Row

OPEN: Final = 2
CLOSED: Final = 5
LOW: Final = 1
PORTAL: Final = 2
_TICKET_COLUMNS: Final = (
    *(
        "requester_id",
        "subject",
        "status",
        "priority",
        "source",
        "type",
        "group_id",
        "responder_id",
        "product_id",
    ),
    *("email_config_id", "company_id", "parent_id", "tags", "cc_emails", "due_by", "fr_due_by"),
)


def create(desk: HelpDesk, said: Mapping[str, Any]) -> Row:
    """A new ticket; raises RefusedError (400) for what Freshdesk would not take."""
    form = forms.ticket_form(desk.account, desk.field_limits)
    forms.check(said, form, required=("subject", "description"))
    forms.check_uploads(said)
    with desk.store.transaction():
        given = {name: value for name, value in _columns(said).items() if value is not None}
        values = {**_defaults(desk, said), **given}
        if said.get("email_config_id"):  # a mailbox decides over a product
            values["product_id"] = desk.account.email_configs[said["email_config_id"]]["product_id"]
        values["requester_id"] = _requester(desk, said)
        values["custom_fields"] = {
            **dict.fromkeys(desk.account.custom_fields),
            **said.get("custom_fields", {}),
        }
        ticket_id = desk.store.add("tickets", values)
        _keep_uploads(desk, said, ticket_id, None)
    return _the(desk, ticket_id)


def change(desk: HelpDesk, row: Row, said: Mapping[str, Any]) -> Row:
    """Change a ticket; raises RefusedError (400)."""
    forms.check(said, forms.ticket_form(desk.account, desk.field_limits))
    forms.check_uploads(said)
    with desk.store.transaction():
        values = {**_columns(said), "updated_at": desk.clock()}
        if "custom_fields" in said:
            values["custom_fields"] = {**row["custom_fields"], **said["custom_fields"]}
        if any(said.get(key) is not None for key in forms.REQUESTER_KEYS):
            values["requester_id"] = _requester(desk, said)
        desk.store.change("tickets", row["id"], values)
        _keep_uploads(desk, said, row["id"], None)
    return _the(desk, row["id"])


def flag(desk: HelpDesk, ticket_id: int, **flags: bool) -> None:
    """Set `spam` or `deleted`."""
    desk.store.change("tickets", ticket_id, {**flags, "updated_at": desk.clock()})


def add_note(desk: HelpDesk, row: Row, said: Mapping[str, Any]) -> Row:
    """Add a note, private unless it says otherwise; raises RefusedError (400)."""
    forms.check(said, forms.NOTE_FORM, required=() if said.get("structured_body") else ("body",))
    values = {
        "kind": "note",
        "private": said.get("private", True),
        "incoming": said.get("incoming", False),
        "emails": {"to": said.get("notify_emails") or []},
    }
    return _converse(desk, row, said, values)


def add_reply(desk: HelpDesk, row: Row, said: Mapping[str, Any]) -> Row:
    """Add a reply to the requester; raises RefusedError (400)."""
    forms.check(said, forms.REPLY_FORM, required=() if said.get("structured_body") else ("body",))
    requester = desk.store.one("contacts", row["requester_id"])
    mailbox = desk.account.email_configs.get(row["email_config_id"]) or {}
    emails = {
        "to": [requester["email"]] if requester and requester["email"] else [],
        "cc": said.get("cc_emails") or [],
        "bcc": said.get("bcc_emails") or [],
        "from": said.get("from_email") or mailbox.get("reply_email"),
    }
    return _converse(desk, row, said, {"kind": "reply", "private": False, "incoming": False, "emails": emails})


def add_contact(desk: HelpDesk, said: Mapping[str, Any]) -> Row:
    """A new contact; raises RefusedError: 400, or 409 where one of its addresses is taken."""
    forms.check(said, forms.CONTACT_FORM, required=("name",))
    given = {key: said[key] for key in CONTACT_KEYS if said.get(key)}
    if not given:
        raise refuse(_someone_needed("email"))
    with desk.store.transaction():
        _refuse_duplicates(desk, given)
        contact_id = _keep_contact(desk, said["name"], given)
    return desk.store.select("contacts", "id = ?", (contact_id,))[0]


def merge(desk: HelpDesk, said: Mapping[str, Any]) -> None:
    """Close tickets into one other; raises RefusedError (400)."""
    forms.check(said, forms.MERGE_FORM, required=("primary_id", "ticket_ids"))
    if desk.store.one("tickets", said["primary_id"]) is None:
        raise refuse(checks.nothing_matches("primary_id", "ticket"))
    with desk.store.transaction():
        for ticket_id in said["ticket_ids"]:
            row = desk.store.one("tickets", ticket_id)
            if row is None:
                raise refuse(checks.nothing_matches("ticket_ids", "ticket"))
            desk.store.change("tickets", ticket_id, {"status": CLOSED, "updated_at": desk.clock()})
            add_note(desk, row, {"body": f"This ticket is closed and merged into ticket {said['primary_id']}"})


def _the(desk: HelpDesk, ticket_id: int) -> Row:
    return desk.store.select("tickets", "id = ?", (ticket_id,))[0]


def _columns(said: Mapping[str, Any]) -> Row:
    values = {name: said[name] for name in _TICKET_COLUMNS if name in said}
    if "cc_emails" in values:
        values["cc_emails"] = values["cc_emails"] or []
    if "description" in said:
        values["description"] = as_stored(said["description"])
        values["description_text"] = as_text(said["description"])
    return values


def _defaults(desk: HelpDesk, said: Mapping[str, Any]) -> Row:
    """What an account fills in by itself: mailbox, product, and the mailbox's group."""
    now = desk.clock()
    configs = desk.account.email_configs
    product = desk.account.products.get(said.get("product_id") or 0)
    first = next(iter(configs.values()))
    mailbox = configs.get(said.get("email_config_id") or (product or first).get("email_config_id") or first["id"])
    chosen = mailbox or first
    return {
        "status": OPEN,
        "priority": LOW,
        "source": PORTAL,
        "email_config_id": chosen["id"],
        "product_id": chosen["product_id"],
        "group_id": chosen["group_id"],
        "tags": [],
        "cc_emails": [],
        "created_at": now,
        "updated_at": now,
    }


def _requester(desk: HelpDesk, said: Mapping[str, Any]) -> int:
    """The requester's id; an unknown address makes a contact, as the vendor documents."""
    if said.get("requester_id") is not None:
        if desk.store.one("contacts", said["requester_id"]) is None:
            raise refuse(checks.nothing_matches("requester_id", "contact"))
        return int(said["requester_id"])
    given = {key: said[key] for key in CONTACT_KEYS if said.get(key)}
    if not given:
        raise refuse(_someone_needed("requester_id"))
    return _known_contact(desk, given) or _new_requester(desk, said, given)


def _known_contact(desk: HelpDesk, given: Mapping[str, str]) -> int | None:
    for key, value in given.items():
        found = desk.store.contact_by(key, value)
        if found:
            return int(found["id"])
    return None


def _new_requester(desk: HelpDesk, said: Mapping[str, Any], given: Mapping[str, str]) -> int:
    if set(given) == {"facebook_id"}:
        raise refuse(checks.nothing_matches("facebook_id", "contact"))
    if not said.get("name") and "phone" in given and "email" not in given:
        raise refuse(forms.missing("name"))
    name = said.get("name") or given.get("email", "").split("@")[0] or next(iter(given.values()))
    return _keep_contact(desk, name, given)


def _keep_contact(desk: HelpDesk, name: str, given: Mapping[str, str]) -> int:
    now = desk.clock()
    lowered = {key: value.lower() if key == "email" else value for key, value in given.items()}
    return desk.store.add("contacts", {"name": name, **lowered, "created_at": now, "updated_at": now})


def _refuse_duplicates(desk: HelpDesk, given: Mapping[str, str]) -> None:
    for key in ("email", "twitter_id", "unique_external_id"):
        found = desk.store.contact_by(key, given[key]) if key in given else None
        if found:
            about = {"user_id": found["id"]}
            fault = FieldFault(key, "It should be a unique value", "duplicate_value", about)
            raise RefusedError(validation_failed([fault], 409))


def _someone_needed(name: str) -> FieldFault:
    listed = ", ".join(forms.REQUESTER_KEYS)
    return FieldFault(name, f"Please fill at least 1 of {listed} fields.", "missing_field")


def _converse(desk: HelpDesk, row: Row, said: Mapping[str, Any], values: Mapping[str, Any]) -> Row:
    now = desk.clock()
    body = said.get("body") or ""
    with desk.store.transaction():
        conversation_id = desk.store.add(
            "conversations",
            {
                **values,
                "ticket_id": row["id"],
                "body": as_stored(body),
                "body_text": as_text(body),
                "user_id": said.get("user_id") or desk.account.admin["id"],
                "created_at": now,
                "updated_at": now,
            },
        )
        _keep_uploads(desk, said, row["id"], conversation_id)
        desk.store.change("tickets", row["id"], {"updated_at": now})
    return desk.store.select("conversations", "id = ?", (conversation_id,))[0]


def _keep_uploads(desk: HelpDesk, said: Mapping[str, Any], ticket_id: int, conversation_id: int | None) -> None:
    for upload in said.get("attachments") or ():
        desk.store.add(
            "attachments",
            {
                "ticket_id": ticket_id,
                "conversation_id": conversation_id,
                "name": upload.name,
                "content_type": upload.content_type,
                "size": upload.size,
                "created_at": desk.clock(),
            },
        )
