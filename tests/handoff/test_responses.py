"""The outcome of a handoff → the HTTP answer."""

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
    outcome_reply,
    problem,
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


def test_a_created_ticket_has_a_complete_answer() -> None:
    """201 with number, URL, reference, group, priority and a sentence to show."""
    reply = outcome_reply(CREATED, MESSAGES)
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
    """A caller that reads the status gets 200 for all of them."""
    outcome = replace(CREATED, status=status)
    assert outcome_reply(outcome, MESSAGES).status == http
    assert outcome_reply(outcome, MESSAGES, status=200).status == 200
    assert said(outcome_reply(outcome, MESSAGES))["status"] == str(status)


def test_a_queued_handoff_has_a_short_answer() -> None:
    """Without a ticket: the reference, a sentence, and when to ask again."""
    reply = outcome_reply(Outcome(status=Status.QUEUED, reference=REFERENCE), MESSAGES)
    assert said(reply).keys() == {"status", "reference", "message"}
    assert REFERENCE in said(reply)["message"]
    assert reply.headers["Retry-After"] == "60"
    assert "Retry-After" not in outcome_reply(CREATED, MESSAGES).headers


def test_warnings_name_what_was_changed_or_ignored() -> None:
    """New words under an old key, fields that Freshdesk refused, unknown fields."""
    outcome = replace(CREATED, status=Status.DUPLICATE, new_words=True, dropped=("group_id",))
    warnings = said(outcome_reply(outcome, MESSAGES, other=["vip"]))["warnings"]
    assert warnings == [
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
    """Spanish, English or Portuguese, with or without a region; Spanish for any other language."""
    assert said(outcome_reply(replace(CREATED, language=language), MESSAGES))["message"].startswith(start)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_problem_has_the_shape_of_rfc_9457(code: str) -> None:
    """Type, title, status and detail, and our own code, retryable and message."""
    reply = problem(code, MESSAGES)
    body = said(reply)
    assert body.keys() == {"type", "title", "status", "detail", "code", "retryable", "message"}
    assert (body["type"], body["code"], body["status"]) == (f"urn:problem-type:handoff:{code}", code, reply.status)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert body["retryable"] is (code == "unavailable")


def test_each_problem_has_its_http_status() -> None:
    """The same as in openapi.yaml."""
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


def test_an_answer_has_unescaped_accents() -> None:
    """It can be read in the bot's log or in a terminal."""
    assert "Una persona te va a responder." in outcome_reply(CREATED, MESSAGES).body
    assert "número" in outcome_reply(CREATED, MESSAGES).body


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        ("unauthorized", "WWW-Authenticate", "Bearer"),
        ("method-not-allowed", "Allow", "GET, POST"),
        ("unavailable", "Retry-After", "5"),
    ],
)
def test_problems_have_the_headers_that_http_requires(code: str, name: str, value: str) -> None:
    """RFC 9110: how to authenticate, which methods are allowed, when to try again."""
    assert problem(code, MESSAGES).headers[name] == value


@pytest.mark.parametrize("reply", [outcome_reply(CREATED, MESSAGES), problem("unauthorized", MESSAGES)])
def test_no_answer_is_cached_or_sniffed(reply: Reply) -> None:
    """A ticket number is for one caller only."""
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
def test_a_refusal_asks_the_person_only_for_what_they_can_correct(faults: list[Fault], asks: str) -> None:
    """A person can correct an address; only the bot's author can correct anything else."""
    body = said(problem("invalid-handoff", MESSAGES, faults=faults, reference=REFERENCE))
    assert body["message"].startswith(asks)
    assert [(error["field"], error["code"]) for error in body["errors"]] == faults
    assert body["reference"] == REFERENCE


@pytest.mark.parametrize("code", ["required", "type", "too-long", "invalid"])
@pytest.mark.parametrize("field", [*schema()["properties"], "*"])
def test_every_fault_says_how_to_correct_it(field: str, code: str) -> None:
    """Each fault that the schema finds has a sentence for the bot's author."""
    body = said(problem("invalid-handoff", MESSAGES, faults=[Fault(field, code)]))
    assert body["errors"][0]["message"]


def test_the_sentences_match_what_the_person_can_do() -> None:
    """A failure asks to try again; a kept request asks for nothing."""
    assert "intentá de nuevo" in MESSAGES.say("unavailable", "es")
    assert "no hace falta" in MESSAGES.say("queued", "es", reference=REFERENCE)
    assert said(problem("unknown-reference", MESSAGES))["message"].startswith("No encuentro un pedido")


def test_every_language_has_every_sentence() -> None:
    """The three tables have the same keys."""
    tables = tomllib.loads(SHIPPED)
    assert tables.keys() == {"es", "en", "pt"}
    assert all(sentences.keys() == NAMES for sentences in tables.values())


@pytest.mark.parametrize("language", ["es", "en", "pt"])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_no_placeholder_reaches_the_person(name: str, language: str) -> None:
    """A complete sentence has no braces."""
    assert not set("{}") & set(MESSAGES.say(name, language, ticket_id=42, reference=REFERENCE))


def test_a_missing_sentence_is_taken_from_spanish() -> None:
    """A language may be added step by step."""
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


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_broken_file_of_sentences_is_reported_at_start(text: str, message: str) -> None:
    """It is not discovered only when a person should get the sentence."""
    with pytest.raises(MessagesError, match=message):
        Messages(text)
