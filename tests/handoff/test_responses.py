"""What became of a handoff → the HTTP answer."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from handoff.inbound import Fault, schema
from handoff.responses import (
    MESSAGES_FILE,
    NAMES,
    PROBLEMS,
    Messages,
    MessagesError,
    Outcome,
    Reply,
    Status,
    problem,
    tell,
)
from tests.factories import REFERENCE

SHIPPED = MESSAGES_FILE.read_text(encoding="utf-8")
MESSAGES = Messages(SHIPPED)
CREATED = Outcome(
    status=Status.CREATED,
    reference=REFERENCE,
    ticket_id=42,
    ticket_url="https://betsur.freshdesk.com/a/tickets/42",
    group="Retiros",
    priority="high",
    language="es",
)


def said(reply: Reply) -> Any:
    """Return the answer's body."""
    return json.loads(reply.body)


def test_a_created_ticket_is_told_in_full() -> None:
    """201 with number, address, reference, group, priority and a sentence to show."""
    reply = tell(CREATED, MESSAGES)
    assert reply.status == 201
    assert said(reply) == {
        "status": "created",
        "ticket_id": 42,
        "ticket_url": "https://betsur.freshdesk.com/a/tickets/42",
        "reference": REFERENCE,
        "group": "Retiros",
        "priority": "high",
        "message": "Listo: registramos tu pedido con el número #42. Una persona te va a responder.",
    }


@pytest.mark.parametrize(
    ("status", "http"),
    [(Status.CREATED, 201), (Status.DUPLICATE, 200), (Status.QUEUED, 202), (Status.FAILED, 202)],
)
def test_each_outcome_has_its_http_status(status: Status, http: int) -> None:
    """And a caller that only asks gets 200 whatever it is."""
    outcome = replace(CREATED, status=status)
    assert tell(outcome, MESSAGES).status == http
    assert tell(outcome, MESSAGES, status=200).status == 200
    assert said(tell(outcome, MESSAGES))["status"] == str(status)


def test_a_queued_handoff_tells_only_what_there_is() -> None:
    """No ticket yet: the reference, a sentence, and when to ask again."""
    reply = tell(Outcome(status=Status.QUEUED, reference=REFERENCE), MESSAGES)
    assert said(reply).keys() == {"status", "reference", "message"}
    assert REFERENCE in said(reply)["message"]
    assert reply.headers["Retry-After"] == "60"
    assert "Retry-After" not in tell(CREATED, MESSAGES).headers


def test_warnings_tell_what_was_not_as_it_should_be() -> None:
    """New words under an old key, fields Freshdesk refused, fields nobody knows."""
    outcome = replace(CREATED, status=Status.DUPLICATE, new_words=True, dropped=("group_id",))
    told = said(tell(outcome, MESSAGES, other=["vip"]))["warnings"]
    assert told == [
        "This handoff was known already; its new words join the ticket as a private note.",
        "Freshdesk refused group_id; the ticket was made without it. Correct routing.toml.",
        "The field vip is not known; it is shown in the ticket under Otros datos.",
    ]


@pytest.mark.parametrize(
    ("language", "start"),
    [
        ("es", "Listo"),
        ("en", "Done"),
        ("pt", "Pronto"),
        ("pt-BR", "Pronto"),
        ("EN", "Done"),
        ("", "Listo"),
        ("fr", "L"),
    ],
)
def test_the_sentence_is_in_the_persons_language(language: str, start: str) -> None:
    """Spanish, English or Portuguese, with or without a region; Spanish for any other."""
    assert said(tell(replace(CREATED, language=language), MESSAGES))["message"].startswith(start)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_problem_has_the_shape_of_rfc_9457(code: str) -> None:
    """Type, title, status, detail; and code, retryable, message of our own."""
    reply = problem(code, MESSAGES)
    body = said(reply)
    assert body.keys() == {"type", "title", "status", "detail", "code", "retryable", "message"}
    assert (body["type"], body["code"], body["status"]) == (f"urn:problem-type:handoff:{code}", code, reply.status)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert body["retryable"] is (code == "unavailable")


def test_each_problem_has_its_http_status() -> None:
    """As openapi.yaml tells them."""
    assert {code: kind.status for code, kind in PROBLEMS.items()} == {
        "malformed-json": 400,
        "missing-reference": 400,
        "unauthorized": 401,
        "ambiguous-reference": 409,
        "unknown-reference": 404,
        "method-not-allowed": 405,
        "payload-too-large": 413,
        "unsupported-media-type": 415,
        "invalid-handoff": 422,
        "unavailable": 503,
    }


def test_an_answer_is_readable_as_it_is() -> None:
    """In a log of the bot or a terminal: letters with accents are not escaped."""
    assert "Una persona te va a responder." in tell(CREATED, MESSAGES).body
    assert "número" in tell(CREATED, MESSAGES).body


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        ("unauthorized", "WWW-Authenticate", "Bearer"),
        ("method-not-allowed", "Allow", "GET, POST"),
        ("unavailable", "Retry-After", "5"),
    ],
)
def test_problems_have_the_headers_http_asks_for(code: str, name: str, value: str) -> None:
    """RFC 9110: how to authenticate, what is allowed, when to come again."""
    assert problem(code, MESSAGES).headers[name] == value


@pytest.mark.parametrize("reply", [tell(CREATED, MESSAGES), problem("unauthorized", MESSAGES)])
def test_no_answer_is_cached_or_guessed_at(reply: Reply) -> None:
    """A ticket number belongs to one caller."""
    assert (reply.headers["Cache-Control"], reply.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize(
    ("faults", "asks"),
    [
        ([Fault("user_email", "invalid")], "El correo no parece válido. ¿Me lo escribís de nuevo?"),
        ([Fault("user_email", "required")], "Para que te podamos responder necesito tu correo. ¿Me lo escribís?"),
        ([Fault("category", "required"), Fault("user_phone", "invalid")], "El teléfono no parece válido."),
        ([Fault("category", "required")], "Me faltó un dato para registrar tu pedido."),
        ([Fault("*", "too-many")], "Me faltó un dato para registrar tu pedido."),
    ],
)
def test_a_refusal_asks_the_person_for_what_they_can_mend(faults: list[Fault], asks: str) -> None:
    """An address can be written again; anything else is the bot's to mend."""
    body = said(problem("invalid-handoff", MESSAGES, faults=faults, reference=REFERENCE))
    assert body["message"].startswith(asks)
    assert [(error["field"], error["code"]) for error in body["errors"]] == faults
    assert body["reference"] == REFERENCE


@pytest.mark.parametrize("code", ["required", "type", "too-long", "invalid"])
@pytest.mark.parametrize("field", [*schema()["properties"], "*"])
def test_every_fault_says_how_to_mend_it(field: str, code: str) -> None:
    """Whatever the schema can find has a sentence for whoever wires the bot."""
    body = said(problem("invalid-handoff", MESSAGES, faults=[Fault(field, code)]))
    assert body["errors"][0]["message"]


def test_the_sentences_fit_what_the_person_can_do() -> None:
    """What the bot could not register asks to try again; what is kept asks for nothing."""
    assert "intentá de nuevo" in MESSAGES.say("unavailable", "es")
    assert "no hace falta" in MESSAGES.say("queued", "es", reference=REFERENCE)
    assert said(problem("unknown-reference", MESSAGES))["message"].startswith("No encuentro un pedido")


def test_every_language_says_everything() -> None:
    """The three tables have the same sentences."""
    tables = tomllib.loads(SHIPPED)
    assert tables.keys() == {"es", "en", "pt"}
    assert all(sentences.keys() == NAMES for sentences in tables.values())


@pytest.mark.parametrize("language", ["es", "en", "pt"])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_no_placeholder_reaches_the_person(name: str, language: str) -> None:
    """Filled in, a sentence has no braces left."""
    assert not set("{}") & set(MESSAGES.say(name, language, ticket_id=42, reference=REFERENCE))


def test_a_sentence_that_is_missing_is_said_in_spanish() -> None:
    """A language may be begun without being finished."""
    messages = Messages(SHIPPED + '\n[fr]\ncreated = "Numéro {ticket_id}."\n')
    assert messages.say("created", "fr", ticket_id=42) == "Numéro 42."
    assert messages.say("refused", "fr") == messages.say("refused", "es")


FAULTS = [
    ("[es", "this is not TOML"),
    ("", r"\[es\] lacks created, "),
    (SHIPPED.replace("queued =", "queud =", 1), r"\[es\] queud: there is no such sentence; \[es\] lacks queued\Z"),
    (SHIPPED.replace("#{ticket_id}", "#{ticket}", 1), r"\[es\] created: \{ticket\} is not filled in here\Z"),
    (SHIPPED.replace("¿La revisás?", "{reference}", 1), r"unknown-reference: \{reference\} is not filled in here\Z"),
    (SHIPPED + "\n[fr]\ncreated = 5\n", r"\[fr\] created: this must be a text\Z"),
    (SHIPPED + '\n[fr]\ncreated = " "\n', r"\[fr\] created: this must be a text\Z"),
    (SHIPPED + '\n[es-AR]\ncreated = "x"\n', r"es-AR must be a table named by two letters"),
    ("fr = 5\n" + SHIPPED, r"fr must be a table named by two letters"),
    ("fr = 5\n" + SHIPPED + "\n[it]\ncreated = 5\n", r"\Afr must be a table .*; \[it\] created: this must be a text\Z"),
]


@pytest.mark.parametrize(("text", "told"), FAULTS)
def test_a_broken_file_of_sentences_is_told_at_start(text: str, told: str) -> None:
    """Not when the first person should hear the sentence."""
    with pytest.raises(MessagesError, match=told):
        Messages(text)
