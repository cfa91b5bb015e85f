"""The API: one request in, one answer out, checked in the order the real one seems to check.

Key → rate limit → path, method, media types → JSON → unknown fields → types → values.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dev.local_freshdesk.desk import AGENT_KEY, READONLY_KEY, HelpDesk
from dev.local_freshdesk.endpoints import ENDPOINTS
from dev.local_freshdesk.wire import (
    UNKNOWN_FIELD_TEXT,
    Answer,
    ApiRequest,
    FieldFault,
    RefusedError,
    problem,
    validation_failed,
    wrong_method,
)

if TYPE_CHECKING:
    from dev.local_freshdesk.endpoints import Endpoint

# A 404 has no body but a media type, or a public client (freshdesk-api of npm) reads the nothing as JSON.
_NOT_FOUND: Final = Answer(404, b"", (("Content-Type", "text/html; charset=utf-8"),))
_ADMIN_PATHS: Final = re.compile(r"/api/v2/(groups|agents(?!/me)|products|email_configs|admin)(/|$)")


@dataclass(frozen=True, slots=True)
class Found:
    """The endpoints of a path, by method, and the ids in it."""

    by_method: dict[str, Endpoint]
    ids: tuple[int, ...]


def answer(desk: HelpDesk, request: ApiRequest) -> Answer:
    """Answer one API request; never raises."""
    try:
        key = _key_of(desk, request)
    except RefusedError as refused:
        return _dressed(refused.answer, ())
    try:
        rates = desk.limiter.admit(_cost(request), creates=request.asks_to_create)
    except RefusedError as refused:
        return _dressed(refused.answer, ())
    try:
        told = _served(desk, request, key)
    except RefusedError as refused:
        told = refused.answer
    return _dressed(told, rates)


def _served(desk: HelpDesk, request: ApiRequest, key: str) -> Answer:
    if request.path.startswith("//"):
        # A base URL with a slash too many (node-freshdesk-api issue 61).
        return validation_failed([FieldFault("ticket", UNKNOWN_FIELD_TEXT, "invalid_field")])
    found = _find(request.path.rstrip("/"))
    if not found.by_method:
        return _NOT_FOUND
    if request.method not in found.by_method:
        return wrong_method(request.method, found.by_method)
    if not _accepts_json(request.headers.get("accept", "*/*")):
        return Answer(406)
    _refuse_lesser_keys(request, key)
    return found.by_method[request.method](desk, request, *found.ids) or _NOT_FOUND


def _find(path: str) -> Found:
    for pattern, by_method in ENDPOINTS:
        match = pattern.fullmatch(path)
        if match:
            return Found(by_method, tuple(int(text) for text in match.groups()))
    return Found({}, ())


def _key_of(desk: HelpDesk, request: ApiRequest) -> str:
    """The key of the request, if it is one of the account's: Basic, key as user name, any password."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        name = base64.b64decode(encoded, validate=True).partition(b":")[0]
    except (binascii.Error, ValueError):
        name = b""
    if scheme.lower() == "basic":
        for key in (desk.api_key, AGENT_KEY, READONLY_KEY):
            if hmac.compare_digest(name, key.encode()):
                return key
    raise RefusedError(problem(401, "invalid_credentials", "You have to be logged in to perform this action."))


def _refuse_lesser_keys(request: ApiRequest, key: str) -> None:
    not_admin = key in {AGENT_KEY, READONLY_KEY} and _ADMIN_PATHS.match(request.path)
    may_not_write = key == READONLY_KEY and request.method != "GET"
    if not_admin or may_not_write:
        raise RefusedError(problem(403, "access_denied", "You are not authorized to perform this action."))


def _cost(request: ApiRequest) -> int:
    """What a request costs of the rate limit: includes cost one each on a ticket, two each on the list."""
    each = 2 if request.path.rstrip("/") == "/api/v2/tickets" else 1
    return 1 + each * len(request.includes()) if request.method == "GET" else 1


def _accepts_json(accept: str) -> bool:
    kinds = {kind.partition(";")[0].strip().lower() for kind in accept.split(",")}
    return bool(kinds & {"application/json", "*/*", "application/*", ""})


_STATUS_WORDS: Final = {200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 401: "Unauthorized"}


def _dressed(told: Answer, rates: tuple[tuple[str, str], ...]) -> Answer:
    own = (
        ("X-Request-Id", str(uuid.uuid4())),
        ("X-Freshdesk-API-Version", "latest=v2; requested=v2"),
        ("Cache-Control", "no-store, must-revalidate, private"),
        ("Status", f"{told.status} {_STATUS_WORDS.get(told.status, '')}".strip()),
    )
    return replace(told, headers=(*told.headers, *rates, *own))
