"""The edge: an HTTP request in, an answer out. functions-framework and Lambda's adapter serve `create_ticket`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path
from typing import Final

from flask import Request
from jinja2 import TemplateError
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.http import parse_options_header

import sweep
from answers import MESSAGES_FILE, Messages, MessagesError, Reply, problem, tell
from delivery import Delivery, NothingKept
from handoff import Fault, Handoff, InvalidHandoff, is_reference, read_handoff, salvage_text
from logs import log_as_json
from outcome import Status
from settings import Settings, SettingsError
from strict_json import BODY_MAX, MalformedJSON, parse_body
from ticket import try_templates
from version import VERSION, commit
from wiring import open_delivery

logger = logging.getLogger("handoff.edge")

DRAIN_MAX: Final = 8 * 1024 * 1024  # read and thrown away, so that the caller hears the 413 instead of a reset
_CHUNK: Final = 64 * 1024


class BodyTooLarge(Exception):
    """The body is longer than BODY_MAX; its beginning is in `head`."""

    def __init__(self, head: bytes) -> None:
        super().__init__(f"more than {BODY_MAX} bytes")
        self.head = head


class Function:
    """Answers requests. Holds nothing that changes; safe to share between threads."""

    def __init__(self, delivery: Delivery, secrets: tuple[bytes, ...], messages: Messages) -> None:
        self.delivery = delivery
        self._secrets = secrets
        self._messages = messages

    def __call__(self, request: Request) -> Reply:
        """Answer request. Never raises: what nobody foresaw is answered 503, and sent again it is the same handoff."""
        try:
            return self._answer(request)
        except NothingKept:
            logger.error("nothing kept")
        except Exception as error:  # noqa: BLE001 -- the one place where everything must end in an answer
            logger.error("unforeseen", extra={"error": type(error).__name__})
        return problem("unavailable", self._messages)

    def _answer(self, request: Request) -> Reply:
        if request.method not in {"GET", "POST"}:
            return self._refuse("method-not-allowed")
        if not self._authorised(request.headers.get("Authorization", "")):
            return self._refuse("unauthorized")
        return self._status(request) if request.method == "GET" else self._handoff(request)

    def _status(self, request: Request) -> Reply:
        reference = request.args.get("reference", "").strip().upper()
        if not reference:
            return self._refuse("missing-reference")
        outcome = self.delivery.look_up(reference) if is_reference(reference) else None
        return tell(outcome, self._messages, status=200) if outcome else self._refuse("unknown-reference")

    def _handoff(self, request: Request) -> Reply:
        idempotency_key = request.headers.get("Idempotency-Key", "")
        try:
            raw = read_body(request)
        except BodyTooLarge as error:
            return self._keep("payload-too-large", salvage_text(error.head, idempotency_key))
        except RequestEntityTooLarge:  # past the framework's own bound: nothing was read
            logger.error("too large to keep")
            return self._refuse("payload-too-large")
        except (ClientDisconnected, OSError):  # the caller hung up half-way: whoever it was will send it again
            return self._refuse("unavailable")
        if not is_json(request.headers):
            return self._keep("unsupported-media-type", salvage_text(raw, idempotency_key))
        return self._delivered(raw, idempotency_key)

    def _delivered(self, raw: bytes, idempotency_key: str) -> Reply:
        try:
            handoff = read_handoff(parse_body(raw), idempotency_key)
        except MalformedJSON:
            return self._keep("malformed-json", salvage_text(raw, idempotency_key))
        except InvalidHandoff as error:
            return self._keep("invalid-handoff", error.salvaged, error.faults)
        outcome = self.delivery.deliver(handoff)
        if outcome.status is Status.REJECTED:
            faults = (Fault(f"user_{outcome.bad_field}", "invalid"),)
            return self._problem("invalid-handoff", outcome.language, faults, outcome.reference)
        return tell(outcome, self._messages, other=[name for name, _ in handoff.other])

    def _keep(self, code: str, salvaged: Handoff, faults: tuple[Fault, ...] = ()) -> Reply:
        """Refuse a request, but keep what there is of it: refusing is not losing."""
        reference = self.delivery.keep_refused(salvaged)
        return self._problem(code, salvaged.language, faults, reference)

    def _refuse(self, code: str) -> Reply:
        return self._problem(code, "")

    def _problem(self, code: str, language: str, faults: tuple[Fault, ...] = (), reference: str = "") -> Reply:
        told = {
            "code": code,
            "reference": reference,
            "faults": [f"{fault.field}: {fault.code}" for fault in faults],
        }
        logger.warning("refused", extra=told)
        return problem(code, self._messages, language=language, faults=faults, reference=reference)

    def _authorised(self, header: str) -> bool:
        """Compare bytes in constant time, with every secret: the time taken must not tell which came close."""
        scheme, _, told = header.partition(" ")
        given = told.strip().encode("latin-1", "replace")
        matches = [compare_digest(given, secret) for secret in self._secrets]
        return scheme.casefold() == "bearer" and any(matches)


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


def is_json(headers: Headers) -> bool:
    """Tell whether headers announce plain JSON in UTF-8."""
    media_type, parameters = parse_options_header(headers.get("Content-Type"))
    charset = parameters.get("charset", "utf-8").casefold()
    encoding = headers.get("Content-Encoding", "identity").strip().casefold()
    return media_type.casefold() == "application/json" and charset in {"utf-8", "utf8"} and encoding in {"", "identity"}


def start(environ: Mapping[str, str], sentences: Path = MESSAGES_FILE) -> Function:
    """Return the function that environ describes, which says what the file of sentences has.

    Raises:
        SettingsError: with every fault of the settings and of the routing file, or the first of the templates.
    """
    log_as_json(platform_formats=environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON")
    settings = Settings.read(environ)
    try:
        messages = Messages(sentences.read_text(encoding="utf-8"))
        try_templates()
    except (MessagesError, TemplateError) as error:
        raise SettingsError(f"- templates: {error}") from error
    function = Function(open_delivery(settings), settings.secrets, messages)
    logger.info("started", extra={"version": VERSION, "commit": commit()})
    return function


try:
    FUNCTION: Final = start(os.environ)
except SettingsError as _error:
    raise SystemExit(f"The function cannot start. Mend this and start it again:\n{_error}") from None


def create_ticket(request: Request) -> Reply:
    """Serve one HTTP request: the function's entry point."""
    return FUNCTION(request)


def sweep_once(budget_s: float = sweep.BUDGET_S) -> sweep.SweepReport:
    """Run one pass of the sweep, for the schedule."""
    return sweep.sweep(FUNCTION.delivery, budget_s=budget_s)
