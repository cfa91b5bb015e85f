"""What goes over the wire: a request as the API reads it, an answer, and Freshdesk's two shapes of error body."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNKNOWN_FIELD_TEXT: Final = "Unexpected/invalid field in request"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request to the API; names of `headers` are lower-case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = ""

    @property
    def creates(self) -> bool:
        """Return True if this asks for a new ticket."""
        return self.method == "POST" and self.path == "/api/v2/tickets"

    @property
    def adds_note(self) -> bool:
        """Return True if this asks for a note."""
        return self.method == "POST" and self.path.endswith("/notes")

    @property
    def includes(self) -> list[str]:
        """Return the names in the `include` parameter."""
        return [name for name in self.query.get("include", "").split(",") if name]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, body, and the headers that are its own."""

    status: int
    body: bytes = b""
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One entry of a validation error."""

    field: str
    message: str
    code: str


class RefusedError(Exception):
    """The request is refused; carries the whole answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json_answer(status: int, value: Any, headers: Headers = ()) -> Answer:
    """Return an answer with a JSON body."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, (("Content-Type", "application/json; charset=utf-8"), *headers))


def problem(status: int, code: str, message: str, headers: Headers = ()) -> Answer:
    """Return an error of the `{code, message}` shape: everything but validation."""
    return json_answer(status, {"code": code, "message": message}, headers)


def refused(*faults: FieldFault) -> RefusedError:
    """Return a validation error (400), of the `{description, errors}` shape, ready to raise."""
    errors = [asdict(fault) for fault in faults]
    return RefusedError(json_answer(400, {"description": "Validation failed", "errors": errors}))


def wrong_method(method: str, allowed: Iterable[str]) -> Answer:
    """Return the 405, with the text that a public client compares word by word (verbb/formie, Freshdesk.php)."""
    names = ", ".join(allowed)
    message = f"{method} method is not allowed. It should be one of these method(s): {names}"
    return json_answer(405, {"message": message}, (("Allow", names),))
