"""The fields a request may have, and the faults Freshdesk finds in them, in its order and with its texts.

Sources: the vendor's error list (https://developers.freshdesk.com/api/#error), fresh-samples issues 31 and 33,
FreshdeskApiDotnet issue 284. Clients must branch on `code` and `field`, never on these texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from dev.local_freshdesk.wire import UNKNOWN_FIELD_TEXT, FieldFault, refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from dev.local_freshdesk.account import Account

Kind = Literal["text", "integer", "decimal", "boolean", "texts", "object", "files"]
Form = dict[str, "Field"]

# The vendor documents no lengths; these are commonly reported.
_SUBJECT_MAX: Final = 255
_TEXT_MAX: Final = 255
_TAG_MAX: Final = 32
_UPLOADS_MAX_BYTES: Final = 20_000_000  # of one ticket, the files of its notes included
_EMAIL: Final = re.compile(
    r"(?=.{,254}\Z)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
_TYPES: Final[dict[Kind, tuple[tuple[type, ...], str]]] = {
    "text": ((str,), "a/an String"),
    "integer": ((int,), "a/an Positive Integer"),
    "decimal": ((int, float), "a/an Number"),
    "boolean": ((bool,), "a/an Boolean"),
    "texts": ((list,), "a/an Array"),
    "object": ((dict,), "a/an key/value pair"),
    "files": ((list,), "a/an Array"),
}
_CUSTOM_KINDS: Final[dict[str, Kind]] = {"number": "integer", "decimal": "decimal", "checkbox": "boolean"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a multipart request."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Field:
    """What one field may hold: its JSON type, and what must be true of a value of that type.

    `one_of` lists an enum's values; `known` the ids that exist; `at_most` bounds a text's characters, or those of
    each text of a list; `form` is for the fields of an object.
    """

    kind: Kind
    one_of: Collection[Any] = ()
    known: Collection[int] | None = None
    at_most: int = 0
    format: Literal["", "email", "date"] = ""
    form: Form | None = None


NOTE_FORM: Final[Form] = {"body": Field("text"), "private": Field("boolean"), "attachments": Field("files")}


def ticket_form(account: Account) -> Form:
    """Return the fields of a ticket (https://developers.freshdesk.com/api/#create_ticket) that the product knows."""
    return {
        "name": Field("text", at_most=_TEXT_MAX),
        "email": Field("text", format="email"),
        "phone": Field("text", at_most=_TEXT_MAX),
        "unique_external_id": Field("text", at_most=_TEXT_MAX),
        "subject": Field("text", at_most=_SUBJECT_MAX),
        "description": Field("text"),
        "type": Field("text", one_of=account.types),
        "status": Field("integer", one_of=[int(number) for number in account.statuses]),
        "priority": Field("integer", one_of=list(account.priorities.values())),
        "source": Field("integer", one_of=list(account.sources.values())),
        "responder_id": Field("integer", known=account.agents),
        "group_id": Field("integer", known=account.groups),
        "product_id": Field("integer", known=account.products),
        "email_config_id": Field("integer", known=account.email_configs),
        "tags": Field("texts", at_most=_TAG_MAX),
        "custom_fields": Field("object", form={name: _custom(one) for name, one in account.custom_fields.items()}),
    }


def _custom(field: Mapping[str, Any]) -> Field:
    if field["kind"] == "date":
        return Field("text", format="date")
    length = _TEXT_MAX if field["kind"] == "text" else 0
    return Field(_CUSTOM_KINDS.get(field["kind"], "text"), one_of=field.get("choices", ()), at_most=length)


def check(values: Mapping[str, Any], form: Form, required: Collection[str] = ()) -> None:
    """Raise RefusedError (400) for faults; missing fields are named beside wrong values, not beside wrong types."""
    faults = [*_faults(values, form)]
    if not any(fault.code in {"invalid_field", "datatype_mismatch"} for fault in faults):
        faults += [missing(name) for name in required if not values.get(name)]
    if faults:
        raise refused(*faults)


def check_size(size: int) -> None:
    """Raise RefusedError (400) if all files of a ticket have so many bytes, and these are too many."""
    if size > _UPLOADS_MAX_BYTES:
        message = f"Invalid size. It should be less than {_UPLOADS_MAX_BYTES // 1_000_000} MB"
        raise refused(FieldFault("attachments", message, "invalid_value"))


def refuse_unknown(names: Iterable[str], allowed: Collection[str]) -> None:
    """Raise RefusedError (400) for parameters that a call does not know."""
    if unknown := [_unknown(name) for name in names if name not in allowed]:
        raise refused(*unknown)


def not_in_list(name: str, allowed: Collection[Any]) -> FieldFault:
    """Return the fault of a value outside an enum."""
    return FieldFault(name, f"It should be one of these values: {_listed(allowed)}", "invalid_value")


def nothing_matches(name: str, what: str) -> FieldFault:
    """Return the fault of an id or an address that belongs to nothing."""
    return FieldFault(name, f"There is no {what} matching the given {name}", "invalid_value")


def missing(name: str, text: str = "Mandatory attribute missing") -> FieldFault:
    """Return the fault of a field that is not there."""
    return FieldFault(name, text, "missing_field")


def read_datetime(name: str, text: str) -> datetime:
    """Return the date and time that a parameter holds in ISO 8601 with a zone; raises RefusedError (400)."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError as error:
        expected = "It should be in the 'combined date and time ISO8601' format"
        raise refused(FieldFault(name, expected, "invalid_value")) from error


def _faults(values: Mapping[str, Any], form: Form, path: str = "") -> list[FieldFault]:
    """Return the faults of the first step that finds any: unknown names, then types, then values."""
    if unknown := [_unknown(path + name) for name in values if name not in form]:
        return unknown
    types = [fault for name, value in values.items() for fault in _type_faults(path + name, value, form[name])]
    return types or [fault for name, value in values.items() for fault in _value_faults(path + name, value, form[name])]


def _unknown(name: str) -> FieldFault:
    return FieldFault(name, UNKNOWN_FIELD_TEXT, "invalid_field")


def _type_faults(name: str, value: Any, field: Field) -> Iterator[FieldFault]:
    types, wanted = _TYPES[field.kind]
    is_right: bool = isinstance(value, types) and (field.kind == "boolean" or not isinstance(value, bool))
    if not is_right:
        names = {bool: "Boolean", int: "Integer", float: "Float", str: "String", list: "Array", dict: "Hash"}
        wanted = f"one of these values: {_listed(field.one_of)}" if field.one_of else wanted
        message = f"Value set is of type {names.get(type(value), 'Null')}.It should be {wanted}"
        yield FieldFault(name, message, "datatype_mismatch")
    elif field.kind == "texts" and not all(isinstance(item, str) for item in value):
        yield FieldFault(name, "It should contain elements of type String only", "datatype_mismatch")
    elif field.kind == "files" and not all(isinstance(item, Upload) for item in value):
        # As node-freshdesk-api issue 147 quotes it.
        message = "It should contain elements of type valid file format only"
        yield FieldFault(name, message, "datatype_mismatch")


def _value_faults(name: str, value: Any, field: Field) -> Iterator[FieldFault]:
    if field.one_of and value not in field.one_of:
        yield not_in_list(name, field.one_of)
    if field.known is not None and value not in field.known:
        yield nothing_matches(name, name.removesuffix("_id"))
    if field.at_most and any(len(text) > field.at_most for text in ([value] if field.kind == "text" else value)):
        elements = "It should only contain elements that have maximum of {} characters"
        message = "Has more than {} characters" if field.kind == "text" else elements
        yield FieldFault(name, message.format(field.at_most), "invalid_value")
    if field.format == "email" and not _EMAIL.fullmatch(value):
        yield FieldFault(name, "It should be in the 'valid email address' format", "invalid_value")
    if field.format == "date" and not _is_date(value):
        yield FieldFault(name, "It should be in the 'yyyy-mm-dd' format", "invalid_value")
    if field.form is not None:
        yield from _faults(value, field.form, f"{name}.")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _listed(values: Collection[Any]) -> str:
    return "'" + ",".join(str(value) for value in values) + "'"
