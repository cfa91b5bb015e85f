"""GET /tickets, its filters and pages; and the pages of every other list.

https://developers.freshdesk.com/api/#list_all_tickets
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from dev.local_freshdesk import answers, validation
from dev.local_freshdesk.wire import Answer, ApiRequest, FieldFault, Headers, json_answer, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.local_freshdesk.helpdesk import HelpDesk

_PER_PAGE: Final = 30
_WINDOW_S: Final = 30 * 24 * 3600
_BOUNDS: Final = {
    "page": (300, "You cannot access tickets beyond the {}th page. Please provide a smaller page number."),
    "per_page": (100, "It should be a Positive Integer less than or equal to {}"),
}
_ONE_OF: Final = {"filter": ("spam", "deleted"), "order_by": ("created_at",), "order_type": ("asc", "desc")}
_REQUESTERS: Final = ("email", "unique_external_id")
BOXES: Final = {"": "spam = 0 AND deleted = 0", "spam": "spam = 1 AND deleted = 0", "deleted": "deleted = 1"}


def list_tickets(helpdesk: HelpDesk, request: ApiRequest) -> Answer:
    """Return one page of tickets, newest first; raises RefusedError (400).

    Without `updated_since` only tickets created within the last 30 days are listed.
    """
    query = request.query
    validation.refuse_unknown(query, (*_REQUESTERS, "updated_since", *_ONE_OF, *_BOUNDS))
    if faults := [
        validation.not_in_list(n, one_of) for n, one_of in _ONE_OF.items() if query.get(n, one_of[0]) not in one_of
    ]:
        raise refused(*faults)
    page, per_page = _page_of(query)
    clauses, values = [BOXES[query.get("filter", "")]], []
    for name in _REQUESTERS:
        if name in query:
            contact = helpdesk.store.one("contacts", query[name], name)
            if contact is None:
                raise refused(validation.nothing_matches(name, "contact"))
            clauses.append("requester_id = ?")
            values.append(contact["id"])
    if "updated_since" in query:
        clauses.append("CAST(updated_at AS INTEGER) >= ?")
        values.append(validation.read_datetime("updated_since", query["updated_since"]).timestamp())
    else:
        clauses.append("created_at >= ?")
        values.append(helpdesk.clock() - _WINDOW_S)
    direction = query.get("order_type", "desc")
    rows = helpdesk.store.select(
        "tickets",
        " AND ".join(clauses),
        values,
        order=f"created_at {direction}, id {direction}",
        limit=per_page + 1,
        offset=(page - 1) * per_page,
    )
    found = [answers.list_row(row) for row in rows[:per_page]]
    return json_answer(200, found, _next_link(request, page, more=len(rows) > per_page))


def in_pages(request: ApiRequest, rows: list[Any]) -> Answer:
    """Return one page of a short list."""
    validation.refuse_unknown(request.query, _BOUNDS)
    page, per_page = _page_of(request.query)
    start = (page - 1) * per_page
    more = len(rows) > start + per_page
    return json_answer(200, rows[start : start + per_page], _next_link(request, page, more=more))


def _page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Return page and rows a page; raises RefusedError where they are too large, or no positive numbers."""
    numbers = {"page": 1, "per_page": _PER_PAGE}
    for name, (most, message) in _BOUNDS.items():
        text = query.get(name, str(numbers[name]))
        if not (text.isascii() and text.isdigit() and text.strip("0")):
            raise refused(FieldFault(name, "It should be a/an Positive Integer", "datatype_mismatch"))
        if len(text) > len(str(most)) or int(text) > most:
            raise refused(FieldFault(name, message.format(most), "invalid_value"))
        numbers[name] = int(text)
    return numbers["page"], numbers["per_page"]


def _next_link(request: ApiRequest, page: int, *, more: bool) -> Headers:
    """Return the Link header; there is none on the last page."""
    query = urlencode({**request.query, "page": page + 1})
    return (("Link", f'<{request.base_url}{request.path}?{query}>; rel="next"'),) if more else ()
