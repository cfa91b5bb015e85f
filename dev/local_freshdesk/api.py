"""The API: one request in, one answer out, checked in the order the real one seems to check.

Key → rate limit → path, method, rights, media type → JSON → unknown fields → types → values.
"""

from __future__ import annotations

import base64
import hmac
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from dev.local_freshdesk import answers, listing
from dev.local_freshdesk.helpdesk import AGENT_KEY, READONLY_KEY, HelpDesk
from dev.local_freshdesk.validation import Upload, not_in_list
from dev.local_freshdesk.wire import Answer, ApiRequest, RefusedError, json_answer, problem, refused, wrong_method

if TYPE_CHECKING:
    from dev.local_freshdesk.store import Row

Endpoint = Callable[..., Answer]

# A 404 has no body but a media type: freshdesk-api of npm reads an empty body without one as JSON.
_NOT_FOUND: Final = Answer(404, b"", (("Content-Type", "text/html; charset=utf-8"),))
_INCLUDES: Final = ("conversations", "requester", "stats")


def answer(helpdesk: HelpDesk, request: ApiRequest) -> Answer:
    """Answer one API request; never raises for what a request says."""
    try:
        key = _key_of(helpdesk, request)
        # https://developers.freshdesk.com/api/#ratelimit: an include costs one call more.
        cost = 1 + len(request.includes)
        rates = helpdesk.limiter.admit(cost, creates=request.creates)
    except RefusedError as error:
        return error.answer
    try:
        found = _dispatch(helpdesk, request, key)
    except RefusedError as error:
        found = error.answer
    return replace(found, headers=(*found.headers, *rates))


def _key_of(helpdesk: HelpDesk, request: ApiRequest) -> str:
    """Return the key of the request, if it is one of the account's: Basic, key as user name, any password."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        name = base64.b64decode(encoded, validate=True).partition(b":")[0]
    except ValueError:
        name = b""
    if scheme.lower() == "basic":
        for key in helpdesk.keys:
            if hmac.compare_digest(name, key.encode()):
                return key
    raise RefusedError(problem(401, "invalid_credentials", "You have to be logged in to perform this action."))


def _dispatch(helpdesk: HelpDesk, request: ApiRequest, key: str) -> Answer:
    found = ((pattern.fullmatch(request.path), by_method) for pattern, by_method in _ENDPOINTS)
    match, by_method = next((one for one in found if one[0]), (None, {}))
    if match is None:
        return _NOT_FOUND
    if request.method not in by_method:
        return wrong_method(request.method, by_method)
    not_admin = key in {AGENT_KEY, READONLY_KEY} and request.path == "/api/v2/groups"
    if not_admin or (key == READONLY_KEY and request.method != "GET"):
        return problem(403, "access_denied", "You are not authorized to perform this action.")
    return by_method[request.method](helpdesk, request, *(int(number) for number in match.groups()))


def create_ticket(helpdesk: HelpDesk, request: ApiRequest) -> Answer:
    """POST /tickets."""
    row = helpdesk.create_ticket(_read_fields(request))
    location = ("Location", f"{request.base_url}/api/v2/tickets/{row['id']}")
    return json_answer(201, answers.ticket(row), (location,))


def get_ticket(helpdesk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer:
    """GET /tickets/{id}."""
    row = _ticket(helpdesk, ticket_id)
    includes = request.includes
    if any(name not in _INCLUDES for name in includes):
        raise refused(not_in_list("include", _INCLUDES))
    found = answers.ticket_in_full(row)
    if "conversations" in includes:
        # The oldest ten, as documented.
        found["conversations"] = _conversations(helpdesk, request, ticket_id)[:10]
    if "requester" in includes:
        found["requester"] = answers.requester(helpdesk.store.one("contacts", row["requester_id"]) or {})
    if "stats" in includes:
        found["stats"] = answers.stats(row)
    return json_answer(200, found)


def add_note(helpdesk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer:
    """POST /tickets/{id}/notes, as JSON or as a form with files; a deleted or spam ticket may only be read."""
    ticket = _ticket(helpdesk, ticket_id)
    if ticket["deleted"] or ticket["spam"]:
        return wrong_method(request.method, ["GET"])
    row = helpdesk.add_note(ticket_id, _read_fields(request, forms=True))
    location = ("Location", f"{request.base_url}/api/v2/conversations/{row['id']}")
    return json_answer(201, answers.note(row, helpdesk.attachments_of(row["id"]), request.base_url), (location,))


def list_conversations(helpdesk: HelpDesk, request: ApiRequest, ticket_id: int) -> Answer:
    """GET /tickets/{id}/conversations: oldest first."""
    _ticket(helpdesk, ticket_id)
    return listing.in_pages(request, _conversations(helpdesk, request, ticket_id))


def _ticket(helpdesk: HelpDesk, ticket_id: int) -> Row:
    row = helpdesk.store.one("tickets", ticket_id)
    if row is None:
        raise RefusedError(_NOT_FOUND)
    return row


def _conversations(helpdesk: HelpDesk, request: ApiRequest, ticket_id: int) -> list[dict[str, Any]]:
    rows = helpdesk.conversations(ticket_id)
    return [answers.conversation(row, helpdesk.attachments_of(row["id"]), request.base_url) for row in rows]


def _read_fields(request: ApiRequest, *, forms: bool = False) -> dict[str, Any]:
    """Return the fields of a body, without those that are null; raises RefusedError: 415, or 400 for broken JSON."""
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == "multipart/form-data" and forms:
        return _read_form(request.body, options)
    if media_type != "application/json":
        raise RefusedError(Answer(415))
    try:
        fields = json.loads(request.body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RefusedError(problem(400, "invalid_json", "Request body has invalid json format"))
    return {name: value for name, value in fields.items() if value is not None}


def _read_form(body: bytes, options: dict[str, str]) -> dict[str, Any]:
    """Return the fields of a multipart form; all its values are texts, and files come as `attachments[]`."""
    parser = FormDataParser(stream_factory=lambda *_args, **_kwargs: io.BytesIO())
    _, texts, files = parser.parse(io.BytesIO(body), "multipart/form-data", len(body), options)
    truth = {"true": True, "false": False}
    fields: dict[str, Any] = {
        name: truth.get(text, text) if name == "private" else text for name, text in texts.items()
    }
    for name, parts in files.lists():
        fields[name.removesuffix("[]")] = [
            Upload(part.filename or "", part.mimetype, part.stream.read()) for part in parts
        ]
    return fields


_TABLE: Final[dict[str, dict[str, Endpoint]]] = {
    r"tickets": {"GET": listing.list_tickets, "POST": create_ticket},
    r"tickets/(\d{1,18})": {"GET": get_ticket},
    r"tickets/(\d{1,18})/notes": {"POST": add_note},
    r"tickets/(\d{1,18})/conversations": {"GET": list_conversations},
    r"ticket_fields": {"GET": lambda helpdesk, _request: json_answer(200, helpdesk.account.ticket_fields)},
    r"groups": {"GET": lambda helpdesk, request: listing.in_pages(request, helpdesk.account.groups_by_name)},
    r"agents/me": {"GET": lambda helpdesk, _request: json_answer(200, helpdesk.account.me)},
}
_ENDPOINTS: Final = [(re.compile(f"/api/v2/{path}"), by_method) for path, by_method in _TABLE.items()]
