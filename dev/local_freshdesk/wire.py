"""What goes over the wire: a request as the API sees it, an answer, and Freshdesk's two shapes of error body."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JSON_TYPE: Final = "application/json; charset=utf-8"

METHOD_TEXT: Final = "{} method is not allowed. It should be one of these method(s): {}"
UNKNOWN_FIELD_TEXT: Final = "Unexpected/invalid field in request"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request to the API; `headers` has lower-case names, `query` keeps the order it came in."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = ""

    @property
    def asks_to_create(self) -> bool:
        """Whether this is the one call the whole project is about: a new ticket."""
        return self.method == "POST" and self.path.rstrip("/") == "/api/v2/tickets"

    def includes(self) -> list[str]:
        """The names in the `include` parameter."""
        wanted = dict(self.query).get("include", "")
        return [name for name in wanted.split(",") if name]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, body and the headers that are its own."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One entry of a validation error."""

    field: str
    message: str
    code: str
    additional_info: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The entry as it stands in `errors`."""
        entry: dict[str, Any] = {"field": self.field, "message": self.message, "code": self.code}
        if self.additional_info is not None:
            entry["additional_info"] = dict(self.additional_info)
        return entry


class RefusedError(Exception):
    """The request is refused; carries the whole answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json_answer(status: int, value: Any, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """An answer with a JSON body."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, (("Content-Type", JSON_TYPE), *headers))


def problem(status: int, code: str, message: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """The `{code, message}` shape: everything but validation."""
    return json_answer(status, {"code": code, "message": message}, headers)


def validation_failed(faults: Iterable[FieldFault], status: int = 400) -> Answer:
    """The `{description, errors}` shape of a validation error."""
    errors = [fault.as_dict() for fault in faults]
    return json_answer(status, {"description": "Validation failed", "errors": errors})


def refuse(*faults: FieldFault) -> RefusedError:
    """A validation error, ready to raise."""
    return RefusedError(validation_failed(faults))


def wrong_method(method: str, allowed: Iterable[str]) -> Answer:
    """405 with the text a public client compares word by word (verbb/formie, Freshdesk.php)."""
    names = ", ".join(allowed)
    body = {"message": METHOD_TEXT.format(method, names)}
    return json_answer(405, body, (("Allow", names),))


def internal_error() -> Answer:
    """The 500 as arjunkomath/node-freshdesk-api issue 147 quotes it."""
    return problem(500, "internal_error", "We're sorry, but something went wrong.")
