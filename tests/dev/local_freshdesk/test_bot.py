"""The chat's bot: the same handoff from Python, or the very card in Node."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from dev.local_freshdesk.bot import CANNOT_CONFIRM, Bots, Reply, load_bots
from tests.dev.local_freshdesk.factories import said
from tests.dev.local_freshdesk.function import BAD_EMAIL, CREATED, QUEUED, UNAVAILABLE, ScriptedFunction


def test_python_sends_the_handoff_with_secret_and_key() -> None:
    """Bearer secret, a key of conversation and message, only fields that hold something."""
    with ScriptedFunction(CREATED) as endpoint:
        reply = Bots(endpoint.url, "s3cret").hand_over(said(reason=""))
    _, _, headers, body = endpoint.asked[0]
    assert (headers["authorization"], headers["idempotency-key"]) == ("Bearer s3cret", "conv_1:msg_1")
    assert (body["bot"], body["user_email"], body["channel"]) == ("betsur", "ana@example.com", "webchat")
    assert "reason" not in body
    assert (reply.status, reply.ticket_id, reply.reference) == (201, "1", "BF-7K3QX2AB")


def test_bot_says_what_the_function_says() -> None:
    """The answer's message, as it is."""
    with ScriptedFunction(QUEUED) as endpoint:
        reply = Bots(endpoint.url, "s").hand_over(said())
    assert (reply.message, reply.ticket_id, reply.ran_in) == ("Tu referencia es BF-7K3QX2AB.", "", "Python")


def test_bad_field_is_asked_again() -> None:
    """A 422 names the field."""
    with ScriptedFunction(BAD_EMAIL) as endpoint:
        reply = Bots(endpoint.url, "s").hand_over(said())
    assert (reply.asks_for, reply.error, reply.attempts) == ("user_email", "invalid-handoff", 1)


def test_what_may_pass_is_tried_once_more() -> None:
    """A retryable problem, then a ticket: the same key both times."""
    with ScriptedFunction(UNAVAILABLE, CREATED) as endpoint:
        reply = Bots(endpoint.url, "s", pause_s=0).hand_over(said())
    assert (reply.status, reply.attempts) == (201, 2)
    assert len({headers["idempotency-key"] for _, _, headers, _ in endpoint.asked}) == 1


@pytest.mark.parametrize(("answer", "error"), [((502, "<html>"), "http_502"), ((500, []), "http_500")])
def test_answer_that_is_none_gets_the_fixed_sentence(answer: tuple[int, Any], error: str) -> None:
    """HTML or a list: the bot does not claim that nothing was kept."""
    with ScriptedFunction(answer) as endpoint:
        reply = Bots(endpoint.url, "s", pause_s=0).hand_over(said())
    assert (reply.message, reply.error) == (CANNOT_CONFIRM, error)


@pytest.mark.parametrize("errors", ["user_email", [], ["user_email"], {"field": "user_email"}, [{"field": None}]])
def test_errors_of_another_shape_ask_for_nothing(errors: Any) -> None:
    """A body that only looks like the function's."""
    with ScriptedFunction((422, {"errors": errors, "message": ["m"], "status": [1]})) as endpoint:
        assert Bots(endpoint.url, "s").hand_over(said()).asks_for == ""


def test_function_that_is_away_gets_the_fixed_sentence() -> None:
    """Nobody listens: no status, two attempts, no exception."""
    reply = Bots("http://127.0.0.1:9/", "s", pause_s=0).hand_over(said())
    assert (reply.status, reply.message, reply.attempts) == (None, CANNOT_CONFIRM, 2)


def test_became_of_asks_for_the_reference() -> None:
    """GET with the same secret."""
    with ScriptedFunction(QUEUED, became={"status": "created", "ticket_id": 7}) as endpoint:
        assert Bots(endpoint.url, "s").became_of("BF-7K3QX2AB") == {"status": "created", "ticket_id": 7}
    assert endpoint.asked[0][1] == "/?reference=BF-7K3QX2AB"


def test_became_of_nothing_is_nothing() -> None:
    """Where no answer arrives there is nothing to tell."""
    assert Bots("http://127.0.0.1:9/", "s").became_of("BF-7K3QX2AB") == {}


def fake_node(folder: Path, *, prints: str, status: int = 0) -> str:
    """A `node` that prints, beside a card and a harness that exist."""
    (folder / "botpress").mkdir()
    for name in ("contacto.js", "studio.mjs"):
        (folder / "botpress" / name).touch()
    node = folder / "node"
    node.write_text(f"#!/bin/sh\ncat >{folder}/order.json\ncat <<'END'\n{prints}\nEND\nexit {status}\n")
    node.chmod(node.stat().st_mode | stat.S_IXUSR)
    return str(node)


def test_card_gets_what_studio_gives(tmp_path: Path) -> None:
    """Event, workflow, summary and the bot's configuration; the answer comes from workflow and calls."""
    done = {
        "workflow": {"ticketMessage": "Listo.", "ticketError": "", "ticketField": ""},
        "calls": [{"status": 503}, {"status": 201, "body": CREATED[1]}],
        "error": None,
    }
    node = fake_node(tmp_path, prints=json.dumps(done))
    reply = Bots("http://127.0.0.1:9/", "s", node=node, root=tmp_path).hand_over(said())
    order = json.loads((tmp_path / "order.json").read_text())
    given = order["globals"]
    assert (order["card"], given["event"]["messageId"]) == ("botpress/contacto.js", "msg_1")
    assert given["env"] == {"CONTACT_URL": "http://127.0.0.1:9/", "CONTACT_TOKEN": "s", "CONTACT_BOT": "betsur"}
    assert given["conversation"]["SummaryAgent"]["summary"] == said().conversation_summary
    assert (reply.message, reply.status, reply.attempts) == ("Listo.", 201, 2)


@pytest.mark.parametrize(("prints", "status"), [("no json", 0), ("{}", 1)])
def test_card_that_breaks_is_no_reason_to_be_silent(tmp_path: Path, prints: str, status: int) -> None:
    """The fixed sentence, as in Botpress' own error flow."""
    node = fake_node(tmp_path, prints=prints, status=status)
    assert Bots("http://x/", "s", node=node, root=tmp_path).hand_over(said()).message == CANNOT_CONFIRM


def test_card_that_makes_no_call_says_so(tmp_path: Path) -> None:
    """No call and a thrown error: told, with the fixed sentence."""
    node = fake_node(tmp_path, prints=json.dumps({"error": "boom"}))
    expected = Reply(message=CANNOT_CONFIRM, error="boom", ran_in="Node")
    assert Bots("http://x/", "s", node=node, root=tmp_path).hand_over(said()) == expected


def test_node_that_cannot_run_has_a_name_still(tmp_path: Path) -> None:
    """A broken Node is named without its version."""
    fake_node(tmp_path, prints="")
    assert Bots("http://x/", "s", node=str(tmp_path / "none"), root=tmp_path).ran_in == "Node"


def test_without_card_python_sends(tmp_path: Path) -> None:
    """Node alone is not enough."""
    assert Bots("http://x/", "s", node="/bin/true", root=tmp_path).ran_in == "Python"


@pytest.mark.node
def test_real_card_makes_the_call() -> None:
    """The card of botpress/ in the Node of this machine, against a function that creates."""
    assert shutil.which("node"), "Node.js is needed for tests marked node"
    with ScriptedFunction(CREATED) as endpoint:
        bots = Bots.found_here(endpoint.url, "local-secret")
        reply = bots.hand_over(said())
    assert bots.ran_in.startswith("Node ")
    assert (reply.status, reply.message, reply.ticket_id) == (201, CREATED[1]["message"], "1")
    assert endpoint.asked[0][3]["conversation_summary"] == said().conversation_summary


@pytest.mark.node
def test_card_and_python_send_the_same() -> None:
    """Field by field the same handoff under the same key, but for what only Studio knows."""
    with ScriptedFunction(CREATED) as endpoint:
        Bots(endpoint.url, "s").hand_over(said())
        Bots.found_here(endpoint.url, "s").hand_over(said())
    (_, _, of_python, python), (_, _, of_card, card) = endpoint.asked
    assert of_python["idempotency-key"] == of_card["idempotency-key"]
    assert {name: card[name] for name in python} == python
    assert set(card) - set(python) <= {"user_id", "bot_id"}


def test_bots_file_has_both_bots_with_samples() -> None:
    """Each offers categories, and samples that use them."""
    bots = load_bots()
    assert list(bots) == ["betsur", "institucional"]
    for bot in bots.values():
        assert {sample["category"] for sample in bot["samples"]} <= set(bot["categories"])
