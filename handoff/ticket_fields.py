"""Pure: a value of the conversation as one of Freshdesk's own ticket fields takes it.

Freshdesk refuses a ticket for one value of the wrong type. https://developers.freshdesk.com/api/#ticket_fields
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from handoff.parts import Value
from handoff.sanitize import cut, plain

TEXT_MAX: Final = 255  # of a single-line text field
NUMBER_MAX: Final = 10**15
_WHOLE: Final = re.compile(r"[+-]?(?:\d{1,15}|\d{1,3}(?:[.,]\d{3}){1,4})", re.ASCII)
_DECIMAL: Final = re.compile(
    r"([+-]?)(?:(\d{1,3}(?:\.\d{3})+)(?:,(\d+))?|(\d{1,3}(?:,\d{3})+)(?:\.(\d+))?|(\d{1,15})(?:[.,](\d{1,15}))?)",
    re.ASCII,
)
_DATE: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:T.*)?", re.ASCII)
_DATE_OF_HERE: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", re.ASCII)
_YES: Final = frozenset({"si", "yes", "sim", "true", "verdadero", "1", "x", "ok"})
_NO: Final = frozenset({"no", "nao", "false", "falso", "0"})


class TicketField(NamedTuple):
    """A field of the help desk, as `[fields]` in routing.toml describes it."""

    field: str  # `cf_…`
    type: str = "text"
    choices: tuple[str, ...] = ()
    default: Value | None = None  # sent where the conversation has no value that fits

    @property
    def filler(self) -> Value | None:
        """What a field that Freshdesk insists on gets where the conversation has nothing for it."""
        if self.default is not None or self.type != "dropdown":
            return self.default if self.default is not None else _FILLERS[self.type]
        return self.choices[0] if self.choices else None

    def fit(self, value: Value) -> Value | None:
        """Return value as the field takes it; None where it cannot.

        >>> TicketField("cf_a", "decimal").fit("1.234,50"), TicketField("cf_b", "number").fit("doce")
        (1234.5, None)
        """
        return _FITS[self.type](self, value)


def read_fields(table: Mapping[str, Any]) -> dict[str, TicketField]:
    """Return the fields that a table `[fields]` names, by the names that the request uses for them."""
    return {plain(name): _field(one) for name, one in table.items()}


def _field(described: str | Mapping[str, Any]) -> TicketField:
    if isinstance(described, str):
        return TicketField(described)
    return TicketField(**{**described, "choices": tuple(described.get("choices", ()))})


def _text(_: TicketField, value: Value) -> Value | None:
    said = {True: "sí", False: "no"}.get(value) if isinstance(value, bool) else None
    return cut(said or str(value), TEXT_MAX - 10)


def _number(_: TicketField, value: Value) -> Value | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip().replace(" ", "")
        value = int(re.sub("[.,]", "", text)) if _WHOLE.fullmatch(text) else 0.5
    whole = value == int(value) if abs(value) < NUMBER_MAX else False
    return int(value) if whole else None


def _decimal(_: TicketField, value: Value) -> Value | None:
    """Return a number whose separators are those of any country; a single one before three digits parts thousands."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = _DECIMAL.fullmatch(value.strip().replace(" ", ""))
        if found is None:
            return None
        sign, *parts = found.groups(default="")
        whole, part = parts[0] or parts[2] or parts[4], parts[1] or parts[3] or parts[5]
        value = float(f"{sign}{re.sub('[.,]', '', whole)}.{part or 0}")
    return float(value) if abs(value) < NUMBER_MAX else None


def _date(_: TicketField, value: Value) -> Value | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    if found := _DATE.fullmatch(text):
        year, month, day = found.groups()
    elif found := _DATE_OF_HERE.fullmatch(text):
        day, month, year = found.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _checkbox(_: TicketField, value: Value) -> Value | None:
    word = plain(str(value))
    return True if word in _YES else False if word in _NO else None


def _dropdown(field: TicketField, value: Value) -> Value | None:
    if not field.choices:
        return str(value) if not isinstance(value, bool) else None
    return {plain(choice): choice for choice in reversed(field.choices)}.get(plain(str(value)))


_FITS: Final[Mapping[str, Callable[[TicketField, Value], Value | None]]] = MappingProxyType(
    {
        "text": _text,
        "number": _number,
        "decimal": _decimal,
        "date": _date,
        "checkbox": _checkbox,
        "dropdown": _dropdown,
    }
)
_FILLERS: Final[Mapping[str, Value]] = MappingProxyType(
    {"text": "—", "number": 0, "decimal": 0.0, "date": "1970-01-01", "checkbox": False}
)
