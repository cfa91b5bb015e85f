"""Checks of one field's value: its type first, then its worth. The texts are those real accounts were seen to send.

Sources: the vendor's error list (https://developers.freshdesk.com/api/#error), fresh-samples issues 31 and 33,
FreshdeskApiDotnet issue 284. Clients must branch on `code` and `field`, never on these texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from dev.local_freshdesk.wire import FieldFault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Kind = Literal["text", "integer", "decimal", "boolean", "texts", "integers", "object", "datetime", "date", "files"]

_EMAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
_MAX_EMAIL: Final = 254
_PYTHON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "text": (str,),
    "integer": (int,),
    "decimal": (int, float),
    "boolean": (bool,),
    "texts": (list,),
    "integers": (list,),
    "object": (dict,),
    "datetime": (str,),
    "date": (str,),
    "files": (list,),
}
_NAMES: Final = {
    "text": "a/an String",
    "integer": "a/an Positive Integer",
    "decimal": "a/an Number",
    "boolean": "a/an Boolean",
    "texts": "a/an Array",
    "integers": "a/an Array",
    "object": "a/an key/value pair",
    "datetime": "a/an String",
    "date": "a/an String",
    "files": "a/an Array",
}


@dataclass(frozen=True, slots=True)
class Field:
    """What a request may say in one field: the JSON type, and a check of the value where the type is right."""

    kind: Kind
    worth: Callable[[str, Any], list[FieldFault]] | None = None
    allowed: str | None = None  # the enum's list, told when the type is wrong
    nullable: bool = True


def type_name(value: Any) -> str:
    """A JSON value's type in Freshdesk's words.

    >>> type_name("2"), type_name(True), type_name([])
    ('String', 'Boolean', 'Array')
    """
    names = {bool: "Boolean", int: "Integer", float: "Float", str: "String", list: "Array", dict: "Hash"}
    return names.get(type(value), "Null")


def wrong_type(name: str, value: Any, field: Field) -> list[FieldFault]:
    """The fault of a value of the wrong JSON type, if it is one."""
    if value is None and field.nullable:
        return []
    if isinstance(value, _PYTHON_TYPES[field.kind]) and not (
        isinstance(value, bool) and field.kind in {"integer", "decimal"}
    ):
        return _wrong_elements(name, value, field)
    wanted = f"one of these values: '{field.allowed}'" if field.allowed else _NAMES[field.kind]
    message = f"Value set is of type {type_name(value)}.It should be {wanted}"
    return [FieldFault(name, message, "datatype_mismatch")]


def _wrong_elements(name: str, value: Any, field: Field) -> list[FieldFault]:
    element = {"texts": str, "integers": int}.get(field.kind)
    if element is None or all(isinstance(item, element) and not isinstance(item, bool) for item in value):
        return []
    wanted = "String" if element is str else "Positive Integer"
    return [FieldFault(name, f"It should contain elements of type {wanted} only", "datatype_mismatch")]


def one_of(allowed: Collection[Any]) -> Callable[[str, Any], list[FieldFault]]:
    """The value must be one of these; the text is the comma list inside single quotes."""

    def check(name: str, value: Any) -> list[FieldFault]:
        return [] if value in allowed else [not_in_list(name, allowed)]

    return check


def not_in_list(name: str, allowed: Collection[Any]) -> FieldFault:
    """The fault of a value outside an enum."""
    listed = ",".join(str(value) for value in allowed)
    return FieldFault(name, f"It should be one of these values: '{listed}'", "invalid_value")


def exists_in(known: Collection[int], what: str) -> Callable[[str, Any], list[FieldFault]]:
    """The id must belong to something of the account."""

    def check(name: str, value: Any) -> list[FieldFault]:
        return [] if value in known else [nothing_matches(name, what)]

    return check


def nothing_matches(name: str, what: str) -> FieldFault:
    """The fault of an id (or e-mail) that belongs to nothing."""
    return FieldFault(name, f"There is no {what} matching the given {name}", "invalid_value")


def at_most(limit: int) -> Callable[[str, Any], list[FieldFault]]:
    """The text may have this many characters."""

    def check(name: str, value: Any) -> list[FieldFault]:
        return [too_long(name, limit)] if len(value) > limit else []

    return check


def too_long(name: str, limit: int) -> FieldFault:
    """The fault of a text that is too long."""
    return FieldFault(name, f"Has more than {limit} characters", "invalid_value")


def each_at_most(limit: int) -> Callable[[str, Any], list[FieldFault]]:
    """Each text of a list may have this many characters."""

    def check(name: str, value: Any) -> list[FieldFault]:
        message = f"It should only contain elements that have maximum of {limit} characters"
        fault = FieldFault(name, message, "invalid_value")
        return [fault] if any(len(item) > limit for item in value) else []

    return check


def email(name: str, value: Any) -> list[FieldFault]:
    """The text must be an e-mail address."""
    if len(value) <= _MAX_EMAIL and _EMAIL.fullmatch(value):
        return []
    return [FieldFault(name, "It should be in the 'valid email address' format", "invalid_value")]


def emails(name: str, value: Any) -> list[FieldFault]:
    """Every text of the list must be an e-mail address."""
    if not any(email(name, item) for item in value):
        return []
    message = "It should contain elements in the 'valid email address' format only"
    return [FieldFault(name, message, "invalid_value")]


def moment(name: str, value: Any) -> list[FieldFault]:
    """The text must be a date and time."""
    if read_moment(value) is not None:
        return []
    return [FieldFault(name, "It should be in the 'combined date and time ISO8601' format", "invalid_value")]


def read_moment(text: str) -> datetime | None:
    """A date and time in one of ISO 8601's forms; None where it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def epoch(text: str) -> float:
    """Seconds since 1970 of a date and time that `moment` accepted; without a zone it is UTC."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def day(name: str, value: Any) -> list[FieldFault]:
    """The text must be YYYY-MM-DD."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) and read_moment(value):
        return []
    return [FieldFault(name, "It should be in the 'yyyy-mm-dd' format", "invalid_value")]


def files(name: str, value: Any) -> list[FieldFault]:
    """Every element must be a file of a multipart request (node-freshdesk-api issue 147)."""
    if all(isinstance(item, Upload) for item in value):
        return []
    message = "It should contain elements of type valid file format only"
    return [FieldFault(name, message, "datatype_mismatch")]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a multipart request; only its size is kept."""

    name: str
    content_type: str
    size: int
