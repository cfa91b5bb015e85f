"""The request of the card: the fields of the contract, safe text, and one key per request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handoff.inbound import read_handoff
from handoff.strict_json import parse_body
from tests.botpress.cards import (
    CARDS,
    QUICK,
    Card,
    Run,
    ScriptedFunction,
    conversation,
    created,
    problem,
    reply,
    v12_conversation,
)

pytestmark = pytest.mark.node

LIMIT = 256 * 1024
RETRYABLE = problem("unavailable", retryable=True)


def sent(card: Card, scene: dict[str, Any]) -> dict[str, Any]:
    """Return the handoff that the card makes of scene."""
    with ScriptedFunction(reply(201, created())) as endpoint:
        card.run(endpoint.url, scene)
        assert all(len(body) <= LIMIT for body in endpoint.bodies)
        return endpoint.handoffs[0]


def test_the_handoff_of_a_cloud_conversation(cloud: Card) -> None:
    """Every field of the contract comes from its documented place, with accents and emoji complete."""
    assert sent(cloud, conversation(user_phone="+54 9 11 5555-0000")) == {
        "bot": "betsur",
        "category": "retiros",
        "user_email": "ana@example.com",
        "user_name": "Ana Núñez",
        "user_phone": "+54 9 11 5555-0000",
        "reason": "No me llega el retiro",
        "conversation_summary": "Ana espera un retiro desde ayer. 👨‍👩‍👧",
        "conversation_transcript": "User: hola\nBot: ¿qué pasó?",
        "conversation_id": "conv_1",
        "message_id": "msg_1",
        "user_id": "user_1",
        "bot_id": "bot_1",
        "channel": "webchat",
        "language": "es",
    }


def test_the_handoff_of_a_v12_conversation(plain: Card) -> None:
    """v12 has other names and no summary agent; the handoff has the same shape."""
    text = CARDS["v12"].read_text(encoding="utf-8")
    card = Card(mode="v12", text=text, folder=plain.folder, axios="built-in").edited(QUICK["v12"])
    assert sent(card, v12_conversation()) == {
        "bot": "betsur",
        "category": "retiros",
        "user_email": "ana@example.com",
        "user_name": "Ana Núñez",
        "reason": "No me llega el retiro",
        "conversation_summary": "No me llega el retiro",
        "conversation_transcript": "Persona: hola\nBot: ¿qué pasó?",
        "conversation_id": "conv_1",
        "message_id": "evt_1",
        "user_id": "user_1",
        "bot_id": "bot_1",
        "channel": "web",
        "language": "es",
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ana Núñez", "Ana Núñez"),
        ({"first": "Ana", "last": "Núñez"}, "Ana Núñez"),
        ({"first": "Ana", "last": None}, "Ana"),
        ({"name": "Ana"}, "Ana"),
        ({"age": 3}, None),
        (None, None),
        (42, "42"),
    ],
)
def test_a_name_is_text_or_a_person(name: Any, expected: str | None, plain: Card) -> None:
    """Studio's Person object becomes a name; an object without one is left out."""
    assert sent(plain, conversation(user_name=name)).get("user_name") == expected


@pytest.mark.parametrize(
    ("agent", "reason", "preview", "expected"),
    [
        ({"summary": "el resumen"}, "el motivo", "lo último", "el resumen"),
        ({}, "el motivo", "lo último", "el motivo"),
        ({"summary": " \u200b\n"}, "el motivo", "lo último", "el motivo"),
        (None, "", "lo último", "lo último"),
        (None, "", None, "La persona pidió contacto. El bot no pudo armar un resumen."),
    ],
)
def test_there_is_always_a_summary(agent: Any, reason: str, preview: Any, expected: str, plain: Card) -> None:
    """From the summary agent, else the reason, the last words or a fixed text, because the person cannot be asked."""
    scene = conversation(reason=reason)
    scene["conversation"] = {"SummaryAgent": agent}
    scene["event"]["preview"] = preview
    assert sent(plain, scene)["conversation_summary"] == expected


@pytest.mark.parametrize(
    ("email", "typed", "tag", "expected"),
    [
        ("a@b.example", None, "5491155550000", ("5491155550000", None)),
        ("a@b.example", None, "whatsapp:+5491155550000", ("+5491155550000", None)),
        ("a@b.example", "llamame", None, (None, "llamame")),
        ("a@b.example", "llamame", "5491155550000", ("5491155550000", None)),
        ("", "llamame", None, ("llamame", None)),
        ("", "11 5555-0000", None, ("11 5555-0000", None)),
    ],
)
def test_an_invalid_phone_does_not_refuse_a_valid_address(
    email: str, typed: str | None, tag: str | None, expected: tuple[str | None, str | None], plain: Card
) -> None:
    """With an e-mail the phone is sent as other data; alone it is asked for again."""
    scene = conversation(user_email=email, user_phone=typed)
    scene["event"]["tags"] = {"conversation": {"whatsapp:userPhone": tag}}
    handoff = sent(plain, scene)
    assert (handoff.get("user_phone"), handoff.get("user_phone_as_typed")) == expected


def test_the_link_to_the_conversation_comes_from_the_configuration(plain: Card) -> None:
    """CONTACT_CONVERSATION_URL contains {conversation_id}, and becomes the agent's link."""
    scene = conversation()
    scene["env"]["CONTACT_CONVERSATION_URL"] = "https://studio.example/c/{conversation_id}?x=1"
    assert sent(plain, scene)["conversation_url"] == "https://studio.example/c/conv_1?x=1"


@pytest.mark.parametrize("unit", ["a", "ñ", "漢", "🎰", "👨‍👩‍👧", '"', "\\", "\n", "\u0001", "\ud83d", "a\n"])
def test_no_transcript_makes_the_body_too_large(unit: str, plain: Card) -> None:
    """The end of the transcript is sent, cut between characters, in at most 256 KiB."""
    scene = conversation(reason=unit * 9_000)
    scene["conversation"]["SummaryAgent"] = {"summary": unit * 9_000, "transcript": unit * 200_000 + "fin"}
    handoff = sent(plain, scene)
    assert handoff["conversation_transcript"].endswith("fin")
    assert len(handoff["conversation_transcript"]) <= 60_010
    assert len(json.dumps(handoff, ensure_ascii=False).encode()) <= LIMIT


def test_the_limit_counts_bytes(plain: Card) -> None:
    """60,000 emoji and a summary of emoji are more than 240 KiB, so the transcript loses its beginning."""
    scene = conversation(reason="🎰" * 2_000)
    scene["conversation"]["SummaryAgent"] = {"summary": "🎰" * 8_000, "transcript": "🎰" * 60_000}
    handoff = sent(plain, scene)
    assert handoff["conversation_transcript"].startswith("[…]\n🎰")
    size = len(json.dumps(handoff, ensure_ascii=False, separators=(",", ":")).encode())
    assert LIMIT - 18_000 < size < LIMIT - 15_000


def test_a_cut_never_leaves_half_a_card_number(plain: Card) -> None:
    """The rest of a line that was cut is left out, because the function could not recognise a card number in it."""
    scene = conversation()
    line = "User: 4111 1111 1111 1111 y más\n"
    scene["conversation"]["SummaryAgent"]["transcript"] = line + "Bot: sí\n" * 7_498
    transcript = sent(plain, scene)["conversation_transcript"]
    assert transcript.startswith("[…]\nBot: sí")
    assert "1111" not in transcript


@pytest.mark.parametrize("text", ["\ud83d", "hola \ud83d\ude00 \udc00 y más", "\u0000\u0007", "\u202e", "x" * 300_000])
def test_the_card_always_sends_a_valid_handoff(text: str, cloud: Card) -> None:
    """The function accepts what the card makes of any text: no lone surrogate, no missing field."""
    scene = conversation(category=text, user_name=text, reason=text)
    scene["conversation"]["SummaryAgent"] = {"summary": text, "transcript": text}
    with ScriptedFunction(reply(201, created())) as endpoint:
        cloud.run(endpoint.url, scene)
        assert read_handoff(parse_body(endpoint.bodies[0])).user_email == "ana@example.com"


def keys(card: Card, *turns: dict[str, Any], answers: tuple[Any, ...]) -> list[str]:
    """Run the card once for each message, keep the workflow's variables, and return the key of each call."""
    kept: dict[str, Any] = {}
    with ScriptedFunction(*answers) as endpoint:
        for event in turns:
            scene = conversation(**kept)
            scene["event"].update(event)
            kept = card.run(endpoint.url, scene).workflow
        return [headers["Idempotency-Key"] for headers in endpoint.headers]


def test_a_retry_by_the_person_is_the_same_handoff(cloud: Card) -> None:
    """After a failure the next message tries again with the first key."""
    answers = (reply(404, b"no"), reply(201, created()))
    assert keys(cloud, {"messageId": "m1"}, {"messageId": "m2"}, answers=answers) == [
        "conv_1:m1",
        "conv_1:m1",
    ]


def test_a_very_long_id_keeps_its_key(plain: Card) -> None:
    """An id of 128 emoji is long when encoded for a header; the retry has the whole of it."""
    turns = ({"conversationId": "🎰" * 128, "messageId": "🎲" * 128}, {"messageId": "m2"})
    made = keys(plain, *turns, answers=(reply(404, b"no"), reply(201, created())))
    assert len(made[0]) > 3_000
    assert made[0] == made[1]


def test_a_corrected_address_is_the_same_handoff(cloud: Card) -> None:
    """After a 422 the corrected handoff keeps the key, and replaces the refused one."""
    answers = (reply(422, problem("invalid-handoff", retryable=False)), reply(201, created()))
    assert keys(cloud, {"messageId": "m1"}, {"messageId": "m2"}, answers=answers) == [
        "conv_1:m1",
        "conv_1:m1",
    ]


def test_a_replayed_message_is_the_same_handoff(cloud: Card) -> None:
    """If Botpress runs a message twice, both runs have the same key, whether it was settled or not."""
    turns = ({"messageId": "m1"}, {"messageId": "m1"})
    assert keys(cloud, *turns, answers=(reply(201, created()),)) == ["conv_1:m1", "conv_1:m1"]


def test_a_replay_after_a_retry_is_the_same_handoff(cloud: Card) -> None:
    """The message of the retry and the first one, replayed later, still have the first key."""
    answers = (reply(404, b"no"), reply(201, created()))
    turns = ({"messageId": "m1"}, {"messageId": "m2"}, {"messageId": "m2"}, {"messageId": "m1"})
    assert keys(cloud, *turns, answers=answers) == ["conv_1:m1"] * 4


def test_a_later_request_is_a_new_handoff(cloud: Card) -> None:
    """The key of a settled request is not used for the next one, even if it was not reset."""
    turns = ({"messageId": "m1"}, {"messageId": "m2"})
    assert keys(cloud, *turns, answers=(reply(201, created()),)) == ["conv_1:m1", "conv_1:m2"]


def test_the_flow_can_count_how_often_a_request_was_sent(plain: Card) -> None:
    """The variable contactTries rises with each attempt for a request and starts again with the next request."""
    tries: list[int] = []
    kept: dict[str, Any] = {}
    answers = (reply(404, b"no"), reply(404, b"no"), reply(201, created()))
    with ScriptedFunction(*answers) as endpoint:
        for message in ("m1", "m2", "m3", "m4"):
            scene = conversation(**kept)
            scene["event"]["messageId"] = message
            kept = plain.run(endpoint.url, scene).workflow
            tries.append(kept["contactTries"])
    assert tries == [1, 2, 3, 1]


def test_a_request_without_ids_has_no_key(plain: Card) -> None:
    """Without ids there is no stable key; the function uses the hash of the body."""
    scene = conversation() | {"event": {}}
    with ScriptedFunction(reply(201, created())) as endpoint:
        run: Run = plain.run(endpoint.url, scene)
        assert "Idempotency-Key" not in endpoint.headers[0]
    assert run.workflow["ticketOk"]


def test_unusual_ids_make_different_valid_keys(plain: Card) -> None:
    """Ids with separators, spaces or line ends make keys that differ and cannot break the header."""
    made = set()
    for conversation_id, message_id in [("a:b", "c"), ("a", "b:c"), ("a|b", "c"), ("á\r\nX-Y: 1", "c")]:
        scene = conversation()
        scene["event"] |= {"conversationId": conversation_id, "messageId": message_id}
        with ScriptedFunction(reply(201, created())) as endpoint:
            plain.run(endpoint.url, scene)
            made.add(endpoint.headers[0]["Idempotency-Key"])
    assert len(made) == 4
    assert all(key.isascii() and key.isprintable() for key in made)
