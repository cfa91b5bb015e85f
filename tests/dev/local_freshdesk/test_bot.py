"""The chat's bot: the same handoff from Python, or from the very card in Node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dev.local_freshdesk.bot import CANNOT_CONFIRM, Bots, Reply, load_bots
from tests.dev.local_freshdesk.scripted import BAD_EMAIL, CREATED, QUEUED, UNAVAILABLE, Answer, ScriptedFunction
from tests.dev.local_freshdesk.support import message

NOWHERE = "http://127.0.0.1:9/"


def hand_over(*answers: Answer, **overrides: str) -> tuple[Reply, ScriptedFunction]:
    """Return what comes of a message handed over from Python, and the function with what it was asked."""
    with ScriptedFunction(*answers) as function:
        return Bots(function.url, "s3cret", pause_s=0).hand_over(message(**overrides)), function


def test_python_sends_the_handoff_with_secret_and_key() -> None:
    """A key of conversation and message, and only fields that hold something."""
    reply, function = hand_over(CREATED, conversation_summary="")
    _, headers, body = function.asked[0]
    assert (headers["authorization"], headers["idempotency-key"]) == ("Bearer s3cret", "conv_1:msg_1")
    assert (body["bot"], body["user_email"], body["channel"]) == ("betsur", "ana@example.com", "webchat")
    assert body["conversation_summary"] == "No llega mi retiro"
    assert (reply.status, reply.ticket_id, reply.reference) == (201, "1", "BF-7K3QX2AB")
    assert "reason" not in hand_over(CREATED, reason="")[1].asked[0][2]


def test_the_bot_says_what_the_function_answers() -> None:
    """The message as it is; a 422 names the field to ask for again."""
    reply = hand_over(QUEUED)[0]
    assert (reply.message, reply.ticket_id, reply.ran_in) == ("Tu referencia es BF-7K3QX2AB.", "", "Python")
    reply = hand_over(BAD_EMAIL)[0]
    assert (reply.asks_for, reply.error, reply.attempts) == ("user_email", "invalid-handoff", 1)


def test_what_is_retryable_is_sent_once_more() -> None:
    """With the same key."""
    reply, function = hand_over(UNAVAILABLE, CREATED)
    assert (reply.status, reply.attempts) == (201, 2)
    assert len({headers["idempotency-key"] for _, headers, _ in function.asked}) == 1


@pytest.mark.parametrize(
    ("answer", "asks_for", "error"),
    [
        ((502, "<html>"), "", "http_502"),
        ((500, []), "", "http_500"),
        *(((422, {"errors": one}), "", "http_422") for one in ("user_email", [], ["user_email"], {"field": "x"})),
        ((422, {"errors": [{"field": None}]}), "", "http_422"),
    ],
)
def test_an_answer_of_another_shape_gets_the_fixed_sentence(answer: Any, asks_for: str, error: str) -> None:
    """The bot does not claim that nothing was kept."""
    reply = hand_over(answer)[0]
    assert (reply.message, reply.asks_for, reply.error) == (CANNOT_CONFIRM, asks_for, error)


def test_a_function_that_is_away_gets_the_fixed_sentence() -> None:
    """No status, two attempts, no exception; and nothing is known of a reference."""
    reply = Bots(NOWHERE, "s", pause_s=0).hand_over(message())
    assert (reply.status, reply.message, reply.attempts) == (None, CANNOT_CONFIRM, 2)
    assert Bots(NOWHERE, "s").became_of("BF-7K3QX2AB") == {}


def test_became_of_asks_for_the_reference() -> None:
    """GET with the same secret."""
    with ScriptedFunction(QUEUED, became={"status": "created", "ticket_id": 7}) as function:
        assert Bots(function.url, "s").became_of("BF-7K3QX2AB") == {"status": "created", "ticket_id": 7}
    path, headers, _ = function.asked[0]
    assert (path, headers["authorization"]) == ("/?reference=BF-7K3QX2AB", "Bearer s")


def fake_node(folder: Path, *, prints: str, status: int = 0) -> Bots:
    """Return bots with a `node` that prints this, beside a card and a harness that exist."""
    (folder / "botpress").mkdir()
    for name in ("contacto.js", "studio.mjs"):
        (folder / "botpress" / name).touch()
    node = folder / "node"
    node.write_text(f"#!/bin/sh\ncat >{folder}/order.json\ncat <<'END'\n{prints}\nEND\nexit {status}\n")
    node.chmod(0o700)
    return Bots(NOWHERE, "s", node=str(node), root=folder)


def test_the_card_gets_what_studio_gives(tmp_path: Path) -> None:
    """Event, workflow, summary and the bot's configuration; the reply comes from workflow and calls."""
    done = {
        "workflow": {"ticketMessage": "Listo.", "ticketError": "", "ticketField": ""},
        "calls": [{"status": 503}, {"status": 201, "body": CREATED[1]}],
        "error": None,
    }
    reply = fake_node(tmp_path, prints=json.dumps(done)).hand_over(message())
    order = json.loads((tmp_path / "order.json").read_text())
    given = order["globals"]
    assert (order["card"], given["event"]["messageId"]) == ("botpress/contacto.js", "msg_1")
    assert given["env"] == {"CONTACT_URL": NOWHERE, "CONTACT_TOKEN": "s", "CONTACT_BOT": "betsur"}
    assert given["conversation"]["SummaryAgent"]["summary"] == message().conversation_summary
    assert (reply.message, reply.status, reply.attempts) == ("Listo.", 201, 2)


@pytest.mark.parametrize(
    ("prints", "status", "error"),
    [("no json", 0, "JSONDecodeError"), ("{}", 1, "CalledProcessError"), ('{"error": "boom"}', 0, "boom")],
)
def test_a_card_that_breaks_gets_the_fixed_sentence(tmp_path: Path, prints: str, status: int, error: str) -> None:
    """As in Botpress' own error flow."""
    reply = fake_node(tmp_path, prints=prints, status=status).hand_over(message())
    assert reply == Reply(message=CANNOT_CONFIRM, error=error, ran_in="Node")


def test_without_card_or_version(tmp_path: Path) -> None:
    """Node alone is not enough; a broken Node is named without its version."""
    assert Bots(NOWHERE, "s", node="/bin/true", root=tmp_path).ran_in == "Python"
    fake_node(tmp_path, prints="")
    assert Bots(NOWHERE, "s", node=str(tmp_path / "none"), root=tmp_path).ran_in == "Node"


@pytest.mark.node
def test_the_card_and_python_send_the_same() -> None:
    """Field by field the same handoff under the same key, but for what only Studio knows."""
    assert shutil.which("node"), "Node.js is needed for tests marked node"
    with ScriptedFunction(CREATED) as function:
        Bots(function.url, "s").hand_over(message())
        bots = Bots.found_here(function.url, "s")
        reply = bots.hand_over(message())
    assert bots.ran_in.startswith("Node ")
    assert (reply.status, reply.message, reply.ticket_id) == (201, CREATED[1]["message"], "1")
    (_, of_python, python), (_, of_card, card) = function.asked
    assert of_python["idempotency-key"] == of_card["idempotency-key"]
    assert {name: card[name] for name in python} == python
    assert set(card) - set(python) <= {"user_id", "bot_id"}


def test_both_bots_have_samples_of_their_categories() -> None:
    """Of the file a person edits."""
    bots = load_bots()
    assert list(bots) == ["betsur", "institucional"]
    for bot in bots.values():
        assert {sample["category"] for sample in bot["samples"]} <= set(bot["categories"])
