"""The HTTP endpoint: every request gets one response, whatever happens."""

from __future__ import annotations

import logging
from hmac import compare_digest
from typing import Final

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.http import parse_options_header

from handoff.delivery import AmbiguousReference, Delivery, NothingKept
from handoff.inbound import Fault, Handoff, InvalidHandoff, is_reference, read_handoff, salvage_text
from handoff.log import place_of
from handoff.responses import Messages, Reply, Status, outcome_reply, problem
from handoff.strict_json import BODY_MAX, BodyTooLarge, JSONObject, MalformedJSON, parse_body, unpacked
from handoff.ticket import unfit_fields

logger = logging.getLogger("handoff.endpoint")

DRAIN_MAX: Final = 8 * 1024 * 1024  # read and discarded, so that the caller gets the 413 instead of a reset
_CHUNK: Final = 64 * 1024


class Endpoint:
    """Answers requests. It is immutable, so threads can share it."""

    def __init__(self, delivery: Delivery, secrets: tuple[bytes, ...], messages: Messages) -> None:
        self.delivery = delivery
        self._secrets = secrets
        self._messages = messages

    def __call__(self, request: Request) -> Reply:
        """Answer request. Never raises: an unforeseen error is answered 503, and a repeat is the same handoff."""
        try:
            return self._answer(request)
        except NothingKept:
            logger.error("nothing kept")
        except Exception as error:  # noqa: BLE001 -- the one place where every error must become an answer
            logger.error("unforeseen", extra={"error": type(error).__name__, "place": place_of(error)})
        return problem("unavailable", self._messages)

    def _answer(self, request: Request) -> Reply:
        if request.method not in {"GET", "POST"}:
            return self._refuse("method-not-allowed")
        if fault := self._stranger(request.headers.get("Authorization", "")):
            return self._refuse("unauthorized", logged_as=fault)
        return self._status(request) if request.method == "GET" else self._handoff(request)

    def _status(self, request: Request) -> Reply:
        reference = request.args.get("reference", "").strip().upper()
        if not reference:
            return self._refuse("missing-reference")
        try:
            outcome = self.delivery.look_up(reference) if is_reference(reference) else None
        except AmbiguousReference:
            return self._refuse("ambiguous-reference")
        return outcome_reply(outcome, self._messages, status=200) if outcome else self._refuse("unknown-reference")

    def _handoff(self, request: Request) -> Reply:
        headers, idempotency_key = request.headers, request.headers.get("Idempotency-Key", "")
        media_type, parameters = parse_options_header(headers.get("Content-Type"))
        charset = parameters.get("charset", "")
        encoding = headers.get("Content-Encoding", "").strip().casefold()
        try:
            raw = unpacked(read_body(request), encoding)
        except BodyTooLarge as error:
            beginning = _beginning(error.head, encoding)
            return self._keep("payload-too-large", salvage_text(beginning, idempotency_key, charset))
        except RequestEntityTooLarge:  # past the limit of the framework: nothing was read
            logger.error("too large to keep")
            return self._refuse("payload-too-large")
        except (ClientDisconnected, OSError):  # the caller closed the connection half-way, and will send it again
            return self._refuse("unavailable")
        try:
            body = parse_body(raw, charset)
        except MalformedJSON:
            code = "malformed-json" if is_meant_as_json(media_type, raw) else "unsupported-media-type"
            return self._keep(code, salvage_text(raw, idempotency_key, charset))
        return self._delivered(body, idempotency_key)

    def _delivered(self, body: JSONObject, idempotency_key: str) -> Reply:
        try:
            handoff = read_handoff(body, idempotency_key, self.delivery.writer.routing.messengers)
        except InvalidHandoff as error:
            return self._keep("invalid-handoff", error.salvaged, error.faults)
        outcome = self.delivery.deliver(handoff)
        if outcome.status is Status.REJECTED:
            faults = (Fault(f"user_{outcome.bad_field}", "invalid"),)
            return self._problem("invalid-handoff", outcome.language, faults, outcome.reference)
        route = self.delivery.writer.route(handoff)
        other = [name for name, _ in handoff.other]
        unfit = unfit_fields(handoff, route)
        return outcome_reply(outcome, self._messages, other=other, unfit=unfit, knows_bot=not route.unknown_bot)

    def _keep(self, code: str, salvaged: Handoff, faults: tuple[Fault, ...] = ()) -> Reply:
        """Refuse a request, but keep what can be read of it."""
        reference = self.delivery.keep_refused(salvaged)
        return self._problem(code, salvaged.language, faults, reference)

    def _refuse(self, code: str, *, logged_as: str = "") -> Reply:
        return self._problem(code, "", logged_as=logged_as)

    def _problem(
        self,
        code: str,
        language: str,
        faults: tuple[Fault, ...] = (),
        reference: str = "",
        *,
        logged_as: str = "",
    ) -> Reply:
        logged = {
            "code": logged_as or code,
            "reference": reference,
            "faults": [f"{fault.field}: {fault.code}" for fault in faults],
        }
        logger.warning("refused", extra=logged)
        return problem(code, self._messages, language=language, faults=faults, reference=reference)

    def _stranger(self, header: str) -> str:
        """Return "" for a header with one of the secrets, else the reason for the log; the answer is the same.

        Bytes are compared in constant time, with every secret: the time must not show how much of a secret was right.
        """
        scheme, _, value = header.partition(" ")
        given = value.strip().encode("latin-1", "replace")
        matches = [compare_digest(given, secret) for secret in self._secrets]
        if scheme.casefold() != "bearer" or not given:
            return "unauthorized"
        return "" if any(matches) else "wrong-secret"


def read_body(request: Request) -> bytes:
    """Return the body.

    Raises:
        BodyTooLarge: it is longer than BODY_MAX, whatever Content-Length says.
        ClientDisconnected: it ends before Content-Length says; half a body kept would be a ticket beside the real one.
    """
    raw = _read(request, BODY_MAX + 1)
    if len(raw) < min(request.content_length or 0, BODY_MAX + 1):
        raise ClientDisconnected
    if len(raw) <= BODY_MAX:
        return raw
    drained = len(raw)
    while drained < DRAIN_MAX and (chunk := request.stream.read(_CHUNK)):
        drained += len(chunk)
    raise BodyTooLarge(raw[:BODY_MAX])


def _read(request: Request, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while size < most and (chunk := request.stream.read(min(_CHUNK, most - size))):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def _beginning(head: bytes, encoding: str) -> bytes:
    """Return the readable part of a body that is too long: its beginning, unpacked if necessary."""
    try:
        return unpacked(head, encoding)
    except BodyTooLarge as error:
        return error.head


def is_meant_as_json(media_type: str, raw: bytes) -> bool:
    """Return True if a body that is not JSON was meant to be: by its media type, or because it begins like an object.

    >>> is_meant_as_json("application/problem+json", b""), is_meant_as_json("text/plain", b"hola")
    (True, False)
    """
    return media_type.casefold().endswith("json") or raw.lstrip().startswith(b"{")
