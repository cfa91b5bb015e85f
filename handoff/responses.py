"""Pure: the outcome of a handoff → the HTTP answer, with a sentence that the bot can show as it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from handoff.inbound import Fault
from handoff.ledger import Entry, State

MESSAGES_FILE: Final = Path(__file__).parent.parent / "config" / "messages.toml"
DEFAULT_LANGUAGE: Final = "es"
QUEUED_RETRY_AFTER_S: Final = 60
UNAVAILABLE_RETRY_AFTER_S: Final = 5
_LANGUAGE: Final = re.compile(r"[a-z]{2}")
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")
_FILLED_IN: Final = {
    "created": {"{ticket_id}", "{reference}"},
    "duplicate": {"{ticket_id}", "{reference}"},
    "queued": {"{reference}"},
    "failed": {"{reference}"},
}
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Status(StrEnum):
    """The status of a handoff, for the caller."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    QUEUED = "queued"
    REJECTED = "rejected"
    FAILED = "failed"

    @staticmethod
    def of(entry: Entry, *, just_posted: bool = False, repeat: bool = False) -> Status:
        """Return the status for a row.

        Args:
            entry: the row.
            just_posted: the caller's own request was posted: a refused address is the caller's to correct.
            repeat: the caller's request has been known before.
        """
        if entry.state is State.CREATED:
            return Status.DUPLICATE if repeat else Status.CREATED
        if entry.state is State.REJECTED and just_posted:
            return Status.REJECTED
        return Status.FAILED if entry.is_parked else Status.QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a handoff, without any personal data."""

    status: Status
    reference: str
    ticket_id: int | None = None
    ticket_url: str = ""
    group: str = ""
    priority: str = ""
    language: str = ""
    dropped: tuple[str, ...] = ()
    new_words: bool = False
    bad_field: str = ""


_OUTCOME_STATUS: Final = {Status.CREATED: 201, Status.DUPLICATE: 200, Status.QUEUED: 202, Status.FAILED: 202}


class Reply(NamedTuple):
    """An HTTP answer: body text, status, headers, in the order that Flask expects."""

    body: str
    status: int
    headers: dict[str, str]


class MessagesError(Exception):
    """The file of sentences is invalid; the message says where."""


class Messages:
    """The sentences for the person, by language. A missing language or sentence falls back to Spanish."""

    def __init__(self, text: str) -> None:
        """Read the sentences from TOML.

        Raises:
            MessagesError: with every fault.
        """
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MessagesError(f"this is not TOML: {error}") from error
        if faults := [*_faults_in(tables)]:
            raise MessagesError("; ".join(faults))
        self._tables: dict[str, dict[str, str]] = tables

    def say(self, name: str, language: str, **values: object) -> str:
        """Return the sentence with its placeholders filled in."""
        table = self._tables.get(language[:2].lower(), self._tables[DEFAULT_LANGUAGE])
        sentence = table.get(name) or self._tables[DEFAULT_LANGUAGE][name]
        for placeholder, value in values.items():
            sentence = sentence.replace(f"{{{placeholder}}}", str(value))
        return sentence


def _faults_in(tables: dict[str, Any]) -> Iterator[str]:
    """Yield the faults of the sentences at start, so that no answer fails later."""
    for language, sentences in {DEFAULT_LANGUAGE: {}, **tables}.items():
        if not isinstance(sentences, dict) or not _LANGUAGE.fullmatch(language):
            yield f"{language} must be a table named by two letters, such as [es]"
            continue
        for name, sentence in sentences.items():
            yield from (f"[{language}] {name}: {fault}" for fault in _faults_of(name, sentence))
        if language == DEFAULT_LANGUAGE and (missing := NAMES - sentences.keys()):
            yield f"[{language}] lacks {', '.join(sorted(missing))}"


def _faults_of(name: str, sentence: object) -> Iterator[str]:
    if name not in NAMES:
        yield "there is no such sentence"
    elif not isinstance(sentence, str) or not sentence.strip():
        yield "this must be a text"
    else:
        unknown = set(_PLACEHOLDER.findall(sentence)) - _FILLED_IN.get(name, set())
        yield from (f"{placeholder} is not filled in here" for placeholder in sorted(unknown))


class Problem(NamedTuple):
    """One kind of error answer (RFC 9457): `says` names the sentence for the person."""

    status: int
    title: str
    detail: str
    says: str = "refused"
    retryable: bool = False
    headers: Mapping[str, str] = {}


PROBLEMS: Final[Mapping[str, Problem]] = {
    "malformed-json": Problem(400, "Malformed JSON", "The body must be one JSON object, without duplicate names."),
    "missing-reference": Problem(
        400,
        "Missing reference",
        "Ask with ?reference=BF-7K3QX2AB, as the answer to the POST gave it.",
        "unknown-reference",
    ),
    "unauthorized": Problem(
        401,
        "Unauthorized",
        "Send the header Authorization: Bearer <WEBHOOK_SECRET>.",
        headers={"WWW-Authenticate": "Bearer"},
    ),
    "ambiguous-reference": Problem(
        409, "Ambiguous reference", "Two handoffs share this reference; the operator can see both.", "unknown-reference"
    ),
    "unknown-reference": Problem(404, "Unknown reference", "No handoff has this reference.", "unknown-reference"),
    "method-not-allowed": Problem(
        405,
        "Method not allowed",
        "POST a handoff, or GET what became of one.",
        headers={"Allow": "GET, POST"},
    ),
    "payload-too-large": Problem(
        413, "Payload too large", "The body may hold 262,144 bytes. Send a shorter transcript."
    ),
    "unsupported-media-type": Problem(
        415,
        "Unsupported media type",
        "Send a JSON object with Content-Type: application/json; gzip and deflate are understood.",
    ),
    "invalid-handoff": Problem(
        422,
        "Invalid handoff",
        "The fields under errors must be corrected; the request is kept meanwhile.",
        "invalid-handoff",
    ),
    "unavailable": Problem(
        503,
        "Unavailable",
        "The request could not be kept. Send the same again.",
        "unavailable",
        retryable=True,
        headers={"Retry-After": str(UNAVAILABLE_RETRY_AFTER_S)},
    ),
}

_FIXES: Final = {
    ("user_email", "required"): "give user_email, or user_phone where there is no e-mail",
    ("user_email", "invalid"): "must be an e-mail address such as ana@example.com",
    ("user_phone", "invalid"): "must be a telephone number such as +54 9 11 5555-0000",
}
_FIXES_BY_CODE: Final = {
    "required": "must be given, and not empty",
    "type": "must be a string",
    "too-long": "must be shorter",
    "too-many": "too many fields",
    "invalid": "is not valid",
}
_ASKS: Final = {
    ("user_email", "required"): "missing-address",
    ("user_email", "invalid"): "invalid-email",
    ("user_phone", "invalid"): "invalid-phone",
}
NAMES: Final = frozenset(
    {*(problem.says for problem in PROBLEMS.values()), *_ASKS.values(), *map(str, Status)} - {"rejected"},
)


def outcome_reply(
    outcome: Outcome,
    messages: Messages,
    *,
    other: Iterable[str] = (),
    unfit: Iterable[str] = (),
    knows_bot: bool = True,
    status: int | None = None,
) -> Reply:
    """Return the answer to a handoff that was delivered or kept.

    Args:
        outcome: what became of it.
        messages: the sentences.
        other: names of fields that are only shown in the ticket, for the warnings; the schema does not know them, or
            their value cannot be used (`user_phone (?)`).
        unfit: names of values under `fields` that do not fit the help desk's field, for the warnings.
        knows_bot: whether routing.toml has the bot that the request names.
        status: the HTTP status, where it is not the outcome's own.
    """
    said = messages.say(str(outcome.status), outcome.language, ticket_id=outcome.ticket_id, reference=outcome.reference)
    body = {
        "status": str(outcome.status),
        "ticket_id": outcome.ticket_id,
        "ticket_url": outcome.ticket_url,
        "reference": outcome.reference,
        "group": outcome.group,
        "priority": outcome.priority,
        "message": said,
        "warnings": [*_warnings(outcome, other), *_routing_warnings(unfit, knows_bot=knows_bot)],
    }
    waits = {"Retry-After": str(QUEUED_RETRY_AFTER_S)} if outcome.status is Status.QUEUED else {}
    shown = {name: value for name, value in body.items() if value not in (None, "", [])}
    return _reply(shown, status or _OUTCOME_STATUS[outcome.status], "application/json", waits)


def problem(
    code: str,
    messages: Messages,
    *,
    language: str = DEFAULT_LANGUAGE,
    faults: Iterable[Fault] = (),
    reference: str = "",
) -> Reply:
    """Return an error answer (RFC 9457). It contains nothing that the caller sent, and nothing internal."""
    kind = PROBLEMS[code]
    errors = [{"field": fault.field, "code": fault.code, "message": _fix(fault)} for fault in faults]
    asks = next((_ASKS[fault] for fault in faults if fault in _ASKS), kind.says)
    body: dict[str, Any] = {
        "type": f"urn:problem-type:handoff:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.detail,
        "code": code,
        "retryable": kind.retryable,
        "message": messages.say(asks, language),
        **({"errors": errors} if errors else {}),
        **({"reference": reference} if reference else {}),
    }
    return _reply(body, kind.status, "application/problem+json", kind.headers)


def _reply(body: Mapping[str, Any], status: int, media_type: str, headers: Mapping[str, str]) -> Reply:
    text = json.dumps(body, ensure_ascii=False)
    return Reply(text, status, {"Content-Type": media_type, **_HEADERS, **headers})


def _fix(fault: Fault) -> str:
    return _FIXES.get((fault.field, fault.code)) or _FIXES_BY_CODE[fault.code]


def _routing_warnings(unfit: Iterable[str], *, knows_bot: bool) -> Iterable[str]:
    for name in unfit:
        yield f"The value of fields.{name} does not fit the help desk's field; it is shown in the ticket."
    if not knows_bot:
        yield "The bot is not in routing.toml; the default bot's routes apply."


def _warnings(outcome: Outcome, other: Iterable[str]) -> Iterable[str]:
    if outcome.new_words:
        yield "This handoff was known already; its new words join the ticket as a private note."
    for field in outcome.dropped:
        yield f"Freshdesk refused {field}; the ticket was made without it. Correct routing.toml."
    for name in other:
        known = name.removesuffix(" (?)")
        what = f"The field {name} is not known" if known == name else f"The value of {known} cannot be used"
        yield f"{what}; it is shown in the ticket under Otros datos."
