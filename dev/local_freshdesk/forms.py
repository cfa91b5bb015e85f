"""What a request may say: the fields of tickets, notes, replies and contacts, and the checks in Freshdesk's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dev.local_freshdesk import checks
from dev.local_freshdesk.checks import Field, Kind
from dev.local_freshdesk.wire import UNKNOWN_FIELD_TEXT, FieldFault, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dev.local_freshdesk.account import Account

MAX_UPLOAD_BYTES: Final = 20_000_000
REQUESTER_KEYS: Final = (
    "requester_id",
    "phone",
    "email",
    "twitter_id",
    "facebook_id",
    "unique_external_id",
)
_CUSTOM_KINDS: Final[dict[str, Kind]] = {
    "text": "text",
    "paragraph": "text",
    "number": "integer",
    "decimal": "decimal",
    "checkbox": "boolean",
    "date": "date",
    "dropdown": "text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldLimits:
    """Lengths in characters. The vendor's documentation names none: these are commonly reported, so settable."""

    subject: int = 255
    tag: int = 32
    text: int = 255


def _listed(values: Mapping[Any, Any] | list[Any]) -> str:
    return ",".join(str(value) for value in values)


def _enum(kind: Kind, values: list[Any]) -> Field:
    return Field(kind, checks.one_of(values), _listed(values), nullable=kind == "text")


def ticket_form(account: Account, limits: FieldLimits) -> dict[str, Field]:
    """The fields of creating and changing a ticket (https://developers.freshdesk.com/api/#create_ticket)."""
    return {
        "name": Field("text", checks.at_most(limits.text)),
        "requester_id": Field("integer"),
        "email": Field("text", checks.email),
        "facebook_id": Field("text"),
        "phone": Field("text", checks.at_most(limits.text)),
        "twitter_id": Field("text", checks.at_most(limits.text)),
        "unique_external_id": Field("text", checks.at_most(limits.text)),
        "subject": Field("text", checks.at_most(limits.subject), nullable=False),
        "description": Field("text", nullable=False),
        "type": _enum("text", account.types),
        "status": _enum("integer", list(account.statuses)),
        "priority": _enum("integer", list(account.priorities.values())),
        "source": _enum("integer", list(account.sources.values())),
        "responder_id": Field("integer", checks.exists_in(account.agents, "agent")),
        "group_id": Field("integer", checks.exists_in(account.groups, "group")),
        "product_id": Field("integer", checks.exists_in(account.products, "product")),
        "email_config_id": Field("integer", checks.exists_in(account.email_configs, "email_config")),
        "company_id": Field("integer", checks.exists_in((), "company")),
        "parent_id": Field("integer"),
        "related_ticket_ids": Field("integers"),
        "cc_emails": Field("texts", checks.emails),
        "tags": Field("texts", checks.each_at_most(limits.tag), nullable=False),
        "custom_fields": Field("object", _custom_fields(account, limits), nullable=False),
        "due_by": Field("datetime", checks.moment),
        "fr_due_by": Field("datetime", checks.moment),
        "attachments": Field("files", checks.files),
        "internal_agent_id": Field("integer"),
        "internal_group_id": Field("integer"),
        "lookup_parameter": Field("text"),
    }


def _custom_fields(account: Account, limits: FieldLimits) -> Callable[[str, Any], list[FieldFault]]:
    known = custom_form(account, limits)

    def check(name: str, value: Any) -> list[FieldFault]:
        paths = {f"{name}.{key}": item for key, item in value.items()}
        return faults_of(paths, {f"{name}.{key}": field for key, field in known.items()})

    return check


def custom_form(account: Account, limits: FieldLimits) -> dict[str, Field]:
    """The account's custom ticket fields by their `cf_` name."""
    return {name: _custom_field(field, limits) for name, field in account.custom_fields.items()}


def _custom_field(field: Mapping[str, Any], limits: FieldLimits) -> Field:
    if field["kind"] == "dropdown":
        return _enum("text", field["choices"])
    worth = {"text": checks.at_most(limits.text), "date": checks.day}.get(field["kind"])
    return Field(_CUSTOM_KINDS[field["kind"]], worth)


NOTE_FORM: Final = {
    "body": Field("text", nullable=False),
    "structured_body": Field("object"),
    "private": Field("boolean", nullable=False),
    "incoming": Field("boolean", nullable=False),
    "notify_emails": Field("texts", checks.emails),
    "user_id": Field("integer"),
    "attachments": Field("files", checks.files),
}
REPLY_FORM: Final = {
    "body": Field("text", nullable=False),
    "structured_body": Field("object"),
    "from_email": Field("text", checks.email),
    "user_id": Field("integer"),
    "cc_emails": Field("texts", checks.emails),
    "bcc_emails": Field("texts", checks.emails),
    "attachments": Field("files", checks.files),
}
CONTACT_FORM: Final = {
    "name": Field("text", checks.at_most(255), nullable=False),
    "email": Field("text", checks.email),
    "phone": Field("text", checks.at_most(255)),
    "mobile": Field("text", checks.at_most(255)),
    "twitter_id": Field("text", checks.at_most(255)),
    "unique_external_id": Field("text", checks.at_most(255)),
}
MERGE_FORM: Final = {
    "primary_id": Field("integer", nullable=False),
    "ticket_ids": Field("integers", nullable=False),
    "convert_recipients_to_cc": Field("boolean"),
    "note_in_primary": Field("object"),
    "note_in_secondary": Field("object"),
}


def faults_of(said: Mapping[str, Any], form: Mapping[str, Field]) -> list[FieldFault]:
    """The faults of the first step that finds any: unknown keys, then types, then worth."""
    unknown = [FieldFault(name, UNKNOWN_FIELD_TEXT, "invalid_field") for name in said if name not in form]
    if unknown:
        return unknown
    types = [fault for name, value in said.items() for fault in checks.wrong_type(name, value, form[name])]
    return types or [fault for name, value in said.items() for fault in _worth_faults(name, value, form[name])]


def _worth_faults(name: str, value: Any, field: Field) -> list[FieldFault]:
    return [] if value is None or field.worth is None else field.worth(name, value)


def check(said: Mapping[str, Any], form: Mapping[str, Field], required: tuple[str, ...] = ()) -> None:
    """Raise RefusedError for what is wrong with a request's fields; missing ones are told with wrong values."""
    faults = faults_of(said, form)
    early = any(fault.code in {"invalid_field", "datatype_mismatch"} for fault in faults)
    if not early:
        faults = faults + [missing(name) for name in required if said.get(name) in (None, "")]
    if faults:
        raise refuse(*faults)


def missing(name: str) -> FieldFault:
    """The fault of a field that is not there."""
    return FieldFault(name, "Mandatory attribute missing", "missing_field")


def check_uploads(said: Mapping[str, Any]) -> None:
    """Raise RefusedError where the files are larger than a ticket may hold."""
    size = sum(upload.size for upload in said.get("attachments") or ())
    if size > MAX_UPLOAD_BYTES:
        message = f"Invalid size. It should be less than {MAX_UPLOAD_BYTES // 1_000_000} MB"
        raise refuse(FieldFault("attachments", message, "invalid_value"))
