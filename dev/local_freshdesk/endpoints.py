"""The table of paths and methods, and what each does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dev.local_freshdesk import bodies, checks, forms, listing, reads, search, shapes, tickets
from dev.local_freshdesk.wire import Answer, ApiRequest, RefusedError, json_answer, refuse, wrong_method

if TYPE_CHECKING:
    from dev.local_freshdesk.account import Account, JSONObject
    from dev.local_freshdesk.desk import HelpDesk
    from dev.local_freshdesk.store import Row

# Gives None where there is nothing with the ids of the path: 404.
Endpoint = Callable[..., Answer | None]
_INCLUDES: Final = ("conversations", "requester", "stats", "company")
_CONVERSATIONS_TOLD: Final = 10


def _location(request: ApiRequest, path: str) -> tuple[tuple[str, str], ...]:
    return (("Location", f"{request.base_url}/api/v2/{path}"),)


def _ticket_fields_of(desk: HelpDesk, request: ApiRequest) -> Any:
    form = forms.ticket_form(desk.account, desk.field_limits)
    custom = forms.custom_form(desk.account, desk.field_limits)
    return bodies.read_fields(request, form, custom=custom)


def create_ticket(desk: HelpDesk, request: ApiRequest) -> Answer:
    """POST /tickets."""
    row = tickets.create(desk, _ticket_fields_of(desk, request))
    told = shapes.ticket(row, desk.clock(), desk.attachments_of(row["id"]))
    return json_answer(201, told, _location(request, f"tickets/{row['id']}"))


def get_ticket(desk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer | None:
    """GET /tickets/{id}."""
    row = desk.store.one("tickets", ticket_id)
    if row is None:
        return None
    includes = request.includes()
    if any(name not in _INCLUDES for name in includes):
        raise refuse(checks.not_in_list("include", _INCLUDES))
    told = desk.ticket_in_full(row)
    if "conversations" in includes:
        # The oldest ten, as documented.
        told["conversations"] = _entries(desk, ticket_id)[:_CONVERSATIONS_TOLD]
    if "requester" in includes:
        told["requester"] = shapes.requester(desk.store.one("contacts", row["requester_id"]) or {})
    if "stats" in includes:
        told["stats"] = shapes.stats(row, desk.clock())
    return json_answer(200, told)


def _editable(desk: HelpDesk, request: ApiRequest, ticket_id: int) -> Row | None:
    """The ticket, unless it is deleted or spam: those may only be read."""
    row = desk.store.one("tickets", ticket_id)
    if row and (row["deleted"] or row["spam"]):
        raise RefusedError(wrong_method(request.method, ["GET"]))
    return row


def change_ticket(desk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer | None:
    """PUT or PATCH /tickets/{id}."""
    row = _editable(desk, request, ticket_id)
    if row is None:
        return None
    changed = tickets.change(desk, row, _ticket_fields_of(desk, request))
    return json_answer(200, desk.ticket_in_full(changed))


def delete_ticket(desk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer | None:
    """DELETE /tickets/{id}: it can still be read and restored."""
    if _editable(desk, request, ticket_id) is None:
        return None
    tickets.flag(desk, ticket_id, deleted=True)
    return Answer(204)


def restore_ticket(desk: HelpDesk, _request: ApiRequest, ticket_id: int) -> Answer | None:
    """PUT /tickets/{id}/restore."""
    row = desk.store.one("tickets", ticket_id)
    if row is None or not row["deleted"]:
        return None
    tickets.flag(desk, ticket_id, deleted=False)
    return Answer(204)


def merge_tickets(desk: HelpDesk, request: ApiRequest) -> Answer:
    """PUT /tickets/merge."""
    tickets.merge(desk, bodies.read_fields(request, forms.MERGE_FORM))
    return Answer(204)


def add_note(desk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer | None:
    """POST /tickets/{id}/notes."""
    row = _editable(desk, request, ticket_id)
    if row is None:
        return None
    return _conversed(desk, request, tickets.add_note(desk, row, bodies.read_fields(request, forms.NOTE_FORM)))


def add_reply(desk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer | None:
    """POST /tickets/{id}/reply."""
    row = _editable(desk, request, ticket_id)
    if row is None:
        return None
    return _conversed(desk, request, tickets.add_reply(desk, row, bodies.read_fields(request, forms.REPLY_FORM)))


def _conversed(desk: HelpDesk, request: ApiRequest, row: Row) -> Answer:
    told = shapes.conversation(row, desk.attachments_of(row["ticket_id"], row["id"]))
    return json_answer(201, told, _location(request, f"conversations/{row['id']}"))


def list_conversations(desk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer | None:
    """GET /tickets/{id}/conversations."""
    if desk.store.one("tickets", ticket_id) is None:
        return None
    return listing.in_pages(request, _entries(desk, ticket_id))


def _entries(desk: HelpDesk, ticket_id: int) -> list[JSONObject]:
    rows = desk.conversations(ticket_id)
    return [shapes.conversation_entry(row, desk.attachments_of(ticket_id, row["id"])) for row in rows]


def list_contacts(desk: HelpDesk, request: ApiRequest) -> Answer:
    """GET /contacts."""
    asked = dict(request.query)
    listing.refuse_unknown(asked, ("email", "phone", "mobile", "unique_external_id", "page", "per_page"))
    where, values = "1", []
    for name in ("email", "phone", "mobile", "unique_external_id"):
        if name in asked:
            where += f" AND {name} = ?"
            values.append(asked[name])
    rows = [shapes.contact(row) for row in desk.store.select("contacts", where, values, order="name, id")]
    return listing.in_pages(request, rows, tuple(asked))


def get_contact(desk: HelpDesk, _request: ApiRequest, contact_id: int) -> Answer | None:
    """GET /contacts/{id}."""
    row = desk.store.one("contacts", contact_id)
    return json_answer(200, shapes.contact(row)) if row else None


def create_contact(desk: HelpDesk, request: ApiRequest) -> Answer:
    """POST /contacts."""
    row = tickets.add_contact(desk, bodies.read_fields(request, forms.CONTACT_FORM))
    return json_answer(201, shapes.contact(row), _location(request, f"contacts/{row['id']}"))


def agent_of_the_key(desk: HelpDesk, _request: ApiRequest) -> Answer:
    """GET /agents/me."""
    return json_answer(200, reads.agent(desk.account, desk.account.admin))


def _whole(read: Callable[[Account], JSONObject | list[JSONObject]]) -> Callable[[HelpDesk, ApiRequest], Answer]:
    return lambda desk, _request: json_answer(200, read(desk.account))


def _in_pages(read: Callable[[Account], list[JSONObject]]) -> Callable[[HelpDesk, ApiRequest], Answer]:
    return lambda desk, request: listing.in_pages(request, read(desk.account))


def _one_of(read: Callable[[Account], list[JSONObject]]) -> Callable[[HelpDesk, ApiRequest, int], Answer | None]:
    def get_one(desk: HelpDesk, _request: ApiRequest, wanted: int) -> Answer | None:
        found = [item for item in read(desk.account) if item["id"] == wanted]
        return json_answer(200, found[0]) if found else None

    return get_one


_TABLE: Final[dict[str, dict[str, Endpoint]]] = {
    r"tickets": {"GET": listing.list_tickets, "POST": create_ticket},
    r"tickets/merge": {"PUT": merge_tickets},
    r"tickets/(\d{1,18})": {
        "GET": get_ticket,
        "PUT": change_ticket,
        "PATCH": change_ticket,
        "DELETE": delete_ticket,
    },
    r"tickets/(\d{1,18})/restore": {"PUT": restore_ticket},
    r"tickets/(\d{1,18})/notes": {"POST": add_note},
    r"tickets/(\d{1,18})/reply": {"POST": add_reply},
    r"tickets/(\d{1,18})/conversations": {"GET": list_conversations},
    r"search/tickets": {"GET": search.search_tickets},
    r"(?:admin/)?ticket_fields": {"GET": _whole(reads.ticket_fields)},
    r"(?:admin/)?groups": {"GET": _in_pages(reads.groups)},
    r"(?:admin/)?groups/(\d{1,18})": {"GET": _one_of(reads.groups)},
    r"products": {"GET": _in_pages(reads.products)},
    r"products/(\d{1,18})": {"GET": _one_of(reads.products)},
    r"email_configs": {"GET": _in_pages(reads.email_configs)},
    r"agents": {"GET": _in_pages(reads.agents)},
    r"agents/me": {"GET": agent_of_the_key},
    r"agents/(\d{1,18})": {"GET": _one_of(reads.agents)},
    r"contacts": {"GET": list_contacts, "POST": create_contact},
    r"contacts/(\d{1,18})": {"GET": get_contact},
    r"settings/helpdesk": {"GET": _whole(reads.helpdesk)},
    r"account": {"GET": _whole(reads.about)},
}
ENDPOINTS: Final = [(re.compile(f"/api/v2/{path}"), by_method) for path, by_method in _TABLE.items()]
