"""GET /tickets: filters, order, pages; and the pages of every other list.

https://developers.freshdesk.com/api/#list_all_tickets
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from dev.local_freshdesk import checks, shapes
from dev.local_freshdesk.wire import UNKNOWN_FIELD_TEXT, Answer, ApiRequest, FieldFault, json_answer, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dev.local_freshdesk.desk import HelpDesk

PER_PAGE: Final = 30
MAX_PER_PAGE: Final = 100
MAX_PAGE: Final = 300
WINDOW_S: Final = 30 * 24 * 3600
_FILTERS: Final = ("new_and_my_open", "watching", "spam", "deleted")
_ORDERS: Final = ("created_at", "due_by", "updated_at", "status")
_INCLUDES: Final = ("stats", "requester", "description")
_ALLOWED: Final = (
    *("email", "requester_id", "unique_external_id", "company_id", "updated_since", "filter"),
    *("order_by", "order_type", "include", "page", "per_page"),
)
Clause = tuple[str, tuple[Any, ...]]


def list_tickets(desk: HelpDesk, request: ApiRequest) -> Answer:
    """One page of tickets; raises RefusedError (400)."""
    asked = dict(request.query)
    refuse_unknown(asked, _ALLOWED)
    _refuse_values(asked)
    now = desk.clock()
    page, per_page = page_of(asked)
    clauses = [_box(asked), *_requester_clauses(desk, asked), _time(asked, now)]
    where = " AND ".join(f"({clause})" for clause, _ in clauses)
    values = tuple(value for _, given in clauses for value in given)
    # The order's own "now" stands after the filter's values, as its mark does in the statement.
    order, order_values = _order(asked, now)
    rows = desk.store.select(
        "tickets",
        where,
        (*values, *order_values),
        order=order,
        limit=per_page + 1,
        offset=(page - 1) * per_page,
    )
    told = [_row(desk, row, request.includes(), now) for row in rows[:per_page]]
    return json_answer(200, told, next_link(request, page, more=len(rows) > per_page))


def in_pages(request: ApiRequest, rows: list[Any], allowed: Collection[str] = ("page", "per_page")) -> Answer:
    """One page of a short list."""
    asked = dict(request.query)
    refuse_unknown(asked, allowed)
    page, per_page = page_of(asked)
    start = (page - 1) * per_page
    return json_answer(200, rows[start : start + per_page], next_link(request, page, more=len(rows) > start + per_page))


def refuse_unknown(asked: dict[str, str], allowed: Collection[str]) -> None:
    """Raise RefusedError for a parameter that the call does not know."""
    unknown = [FieldFault(name, UNKNOWN_FIELD_TEXT, "invalid_field") for name in asked if name not in allowed]
    if unknown:
        raise refuse(*unknown)


def page_of(asked: dict[str, str]) -> tuple[int, int]:
    """Page and rows a page; raises RefusedError where they are too large, or no positive numbers."""
    page, per_page = _positive(asked, "page", 1), _positive(asked, "per_page", PER_PAGE)
    if page > MAX_PAGE:
        text = f"You cannot access tickets beyond the {MAX_PAGE}th page. Please provide a smaller page number."
        raise refuse(FieldFault("page", text, "invalid_value"))
    if per_page > MAX_PER_PAGE:
        text = f"It should be a Positive Integer less than or equal to {MAX_PER_PAGE}"
        raise refuse(FieldFault("per_page", text, "invalid_value"))
    return page, per_page


def next_link(request: ApiRequest, page: int, *, more: bool) -> tuple[tuple[str, str], ...]:
    """The Link header, absent on the last page."""
    if not more:
        return ()
    query = urlencode({**dict(request.query), "page": str(page + 1)})
    return (("Link", f'<{request.base_url}{request.path}?{query}>; rel="next"'),)


def _positive(asked: dict[str, str], name: str, default: int) -> int:
    text = asked.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0:  # noqa: PLR2004 - nine digits fit
        return int(text)
    raise refuse(FieldFault(name, "It should be a/an Positive Integer", "datatype_mismatch"))


def _refuse_values(asked: dict[str, str]) -> None:
    faults: list[FieldFault] = []
    for name, allowed in (("filter", _FILTERS), ("order_by", _ORDERS), ("order_type", ("asc", "desc"))):
        if name in asked and asked[name] not in allowed:
            faults.append(checks.not_in_list(name, allowed))
    if any(name not in _INCLUDES for name in asked.get("include", "").split(",") if name):
        faults.append(checks.not_in_list("include", _INCLUDES))
    if "updated_since" in asked:
        faults += checks.moment("updated_since", asked["updated_since"])
    if faults:
        raise refuse(*faults)


def _box(asked: dict[str, str]) -> Clause:
    boxes = {
        "spam": "spam = 1 AND deleted = 0",
        "deleted": "deleted = 1",
        "watching": "0",
        "new_and_my_open": "spam = 0 AND deleted = 0 AND status = 2",
    }
    return boxes.get(asked.get("filter", ""), "spam = 0 AND deleted = 0"), ()


def _requester_clauses(desk: HelpDesk, asked: dict[str, str]) -> list[Clause]:
    clauses: list[Clause] = []
    for name in ("email", "unique_external_id"):
        if name in asked:
            found = desk.store.contact_by(name, asked[name])
            if found is None:
                raise refuse(checks.nothing_matches(name, "contact"))
            clauses.append(("requester_id = ?", (found["id"],)))
    if "requester_id" in asked:
        clauses.append(("requester_id = ?", (_positive_id(desk, asked["requester_id"]),)))
    if "company_id" in asked:
        raise refuse(checks.nothing_matches("company_id", "company"))
    return clauses


def _positive_id(desk: HelpDesk, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - what SQLite's integers hold
        raise refuse(FieldFault("requester_id", "It should be a/an Positive Integer", "datatype_mismatch"))
    if desk.store.one("contacts", int(text)) is None:
        raise refuse(checks.nothing_matches("requester_id", "contact"))
    return int(text)


def _time(asked: dict[str, str], now: float) -> Clause:
    """Without `updated_since`, only tickets created within the last 30 days are told."""
    if "updated_since" not in asked:
        return "created_at >= ?", (now - WINDOW_S,)
    return f"CAST({shapes.UPDATED_AT_SQL} AS INTEGER) >= ?", (now, checks.epoch(asked["updated_since"]))


def _order(asked: dict[str, str], now: float) -> Clause:
    column = asked.get("order_by", "created_at")
    direction = "ASC" if asked.get("order_type") == "asc" else "DESC"
    if column == "updated_at":
        return f"{shapes.UPDATED_AT_SQL} {direction}, id {direction}", (now,)
    return f"{column} {direction}, id {direction}", ()


def _row(desk: HelpDesk, row: dict[str, Any], includes: list[str], now: float) -> dict[str, Any]:
    told = shapes.list_row(row, now)
    adds: dict[str, Callable[[], dict[str, Any]]] = {
        "stats": lambda: {"stats": shapes.stats(row, now)},
        "requester": lambda: {"requester": shapes.requester(desk.store.one("contacts", row["requester_id"]) or {})},
        "description": lambda: {
            "description": row["description"],
            "description_text": row["description_text"],
        },
    }
    for name in includes:
        told.update(adds[name]())
    return told
