"""GET /search/tickets: its little language, its index that lags, its fixed pages of 30.

https://developers.freshdesk.com/api/#filter_tickets
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dev.local_freshdesk import checks, shapes
from dev.local_freshdesk.listing import refuse_unknown
from dev.local_freshdesk.wire import Answer, ApiRequest, FieldFault, json_answer, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.local_freshdesk.desk import HelpDesk
    from dev.local_freshdesk.store import Row

    Match = Callable[[Row], bool]

PER_PAGE: Final = 30
MAX_PAGE: Final = 10
MAX_QUERY: Final = 512
_TOKEN: Final = re.compile(r"\s*(?:(\(|\))|(AND|OR)\b|(\w+):([<>]?)('(?:[^'])*'|[^\s()']+))", re.IGNORECASE)
_NUMBERS: Final = {
    "agent_id": "responder_id",
    "group_id": "group_id",
    "priority": "priority",
    "status": "status",
}
_DAYS: Final = ("created_at", "updated_at", "due_by", "fr_due_by")
_TEXTS: Final = ("tag", "type")


def search_tickets(desk: HelpDesk, request: ApiRequest) -> Answer:
    """Tickets old enough to be in the index that match; raises RefusedError (400)."""
    asked = dict(request.query)
    refuse_unknown(asked, ("query", "page"))
    page = _page(asked.get("page", "1"))
    matches = _Query(desk, asked.get("query", "")).read()
    now = desk.clock()
    rows = desk.store.select(
        "tickets",
        "spam = 0 AND deleted = 0 AND created_at <= ?",
        (now - desk.search_lag_s,),
        order="created_at DESC",
    )
    found = [row for row in rows if matches({**row, **_told_times(row, now)})]
    start = (page - 1) * PER_PAGE
    told = [shapes.list_row(row, now) for row in found[start : start + PER_PAGE]]
    return json_answer(200, {"results": told, "total": len(found)})


def _page(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PAGE:
        return int(text)
    raise refuse(
        FieldFault("page", f"It should be a Positive Integer less than or equal to {MAX_PAGE}", "invalid_value")
    )


def _told_times(row: Row, now: float) -> Row:
    told = shapes.ticket(row, now, [])
    return {name: told[name] for name in _DAYS}


def _bad_query(why: str) -> Exception:
    return refuse(FieldFault("query", why, "invalid_value"))


class _Query:
    """Reads one query by descent: OR of ANDs of conditions and brackets."""

    def __init__(self, desk: HelpDesk, quoted: str) -> None:
        if len(quoted) > MAX_QUERY:
            raise _bad_query(f"Has more than {MAX_QUERY} characters")
        if len(quoted) < 3 or quoted[0] != '"' or quoted[-1] != '"':  # noqa: PLR2004 - two quotes and something
            raise _bad_query("Given query is invalid")
        self._desk = desk
        self._tokens = _tokens(quoted[1:-1])

    def read(self) -> Match:
        """The whole query as one test of a row."""
        found = self._either()
        if self._tokens:
            raise _bad_query("Given query is invalid")
        return found

    def _either(self) -> Match:
        sides = [self._both()]
        while self._next_is("OR"):
            sides.append(self._both())
        return lambda row: any(side(row) for side in sides)

    def _both(self) -> Match:
        sides = [self._single()]
        while self._next_is("AND"):
            sides.append(self._single())
        return lambda row: all(side(row) for side in sides)

    def _single(self) -> Match:
        if self._next_is("("):
            found = self._either()
            if not self._next_is(")"):
                raise _bad_query("Given query is invalid")
            return found
        if not self._tokens or isinstance(self._tokens[0], str):
            raise _bad_query("Given query is invalid")
        name, sign, value = self._tokens.pop(0)
        return self._condition(name, sign, value)

    def _next_is(self, word: str) -> bool:
        if self._tokens and self._tokens[0] == word:
            self._tokens.pop(0)
            return True
        return False

    def _condition(self, name: str, sign: str, raw: str) -> Match:
        value = raw.strip("'")
        if name in _DAYS:
            return _day(name, sign, value)
        if name == "tag":
            return lambda row: value in row["tags"]
        if name in _TEXTS:
            return lambda row: row[name] == (None if raw == "null" else value)
        if name in _NUMBERS:
            return self._number(name, sign, raw)
        if name in self._desk.account.custom_fields:
            return lambda row: _told(row["custom_fields"].get(name)) == (None if raw == "null" else value)
        known = (*_NUMBERS, *_DAYS, *_TEXTS, *self._desk.account.custom_fields)
        raise refuse(checks.not_in_list(name, known))

    def _number(self, name: str, sign: str, raw: str) -> Match:
        column = _NUMBERS[name]
        if raw == "null":
            return lambda row: row[column] is None
        if not re.fullmatch(r"\d{1,18}", raw):
            raise refuse(FieldFault(name, "It should be a/an Positive Integer", "invalid_value"))
        allowed = {"status": list(self._desk.account.statuses), "priority": [1, 2, 3, 4]}.get(name)
        wanted = int(raw)
        if allowed and wanted not in allowed:
            raise refuse(checks.not_in_list(name, allowed))
        return lambda row: row[column] is not None and _compare(row[column], sign, wanted)


def _tokens(text: str) -> list[Any]:
    found: list[Any] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _bad_query("Given query is invalid")
        bracket, word, name, sign, value = match.groups()
        found.append(bracket or (word.upper() if word else (name, sign, value)))
        at = match.end()
    return found


def _day(name: str, sign: str, value: str) -> Match:
    if checks.day(name, value) and value != "null":
        raise refuse(*checks.day(name, value))
    return lambda row: row[name] is not None and _compare(row[name][:10], sign, value)


def _compare(found: Any, sign: str, wanted: Any) -> bool:
    """`:>` and `:<` are inclusive, as documented."""
    if sign == ">":
        return bool(found >= wanted)
    return bool(found <= wanted) if sign == "<" else bool(found == wanted)


def _told(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
