"""The result of the card for every answer, and for none: no error, and always a sentence for the person."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.botpress.cards import (
    Card,
    ScriptedFunction,
    conversation,
    created,
    dripping,
    half,
    problem,
    reply,
    reset,
    slow,
    well_ended,
)

pytestmark = pytest.mark.node

INVALID_EMAIL = problem(
    "invalid-handoff",
    retryable=False,
    reference="BF-7K3QX2AB",
    errors=[{"field": "user_email", "code": "invalid", "message": "no"}],
)
LAMBDA_BUSY = {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."}

# answer(s), statuses the card saw, ticketOk, ticketId, ticketError
CASES: dict[str, tuple[list[Any], list[int | None], bool, str, str]] = {
    "created": ([reply(201, created())], [201], True, "1234", ""),
    "duplicate": ([reply(200, created(status="duplicate"))], [200], True, "1234", ""),
    "queued": ([reply(202, {"status": "queued", "reference": "BF-A", "message": "M"})], [202], True, "", ""),
    "kept, but delayed": (
        [reply(202, {"status": "failed", "reference": "BF-A", "message": "M"})],
        [202],
        True,
        "",
        "",
    ),
    "bad e-mail": ([reply(422, INVALID_EMAIL)], [422], False, "", "invalid-handoff"),
    "wrong secret": (
        [reply(401, problem("unauthorized", retryable=False))],
        [401],
        False,
        "",
        "unauthorized",
    ),
    "unavailable": (
        [reply(503, problem("unavailable", retryable=True))],
        [503, 503],
        False,
        "",
        "unavailable",
    ),
    "unavailable, then created": (
        [reply(503, problem("unavailable", retryable=True)), reply(201, created())],
        [503, 201],
        True,
        "1234",
        "",
    ),
    "final 503": ([reply(503, problem("unavailable", retryable=False))], [503], False, "", "unavailable"),
    "HTML 502": ([reply(502, b"<html>Bad gateway", kind="text/html")], [502, 502], False, "", "http_502"),
    "platform's 429": ([reply(429, LAMBDA_BUSY), reply(201, created())], [429, 201], True, "1234", ""),
    "moved": ([reply(302, headers={"Location": "/elsewhere"})], [302], False, "", "http_302"),
    "nothing in it": ([reply(204)], [204, 204], False, "", "http_204"),
    "somebody else's page": ([reply(200, b"<html>", kind="text/html")], [200, 200], False, "", "http_200"),
    "no such page": ([reply(404, {"message": "Not Found"})], [404], False, "", "http_404"),
    "created without number": ([reply(201, {"status": "created"})], [201, 201], False, "", "http_201"),
    "JSON null": ([reply(201, None)], [201, 201], False, "", "http_201"),
    "JSON list": ([reply(201, [1, "a"])], [201, 201], False, "", "http_201"),
    "JSON cut off": ([reply(201, b'{"status": "created", "tick')], [201, 201], False, "", "http_201"),
    "odd types": ([reply(422, {"code": 7, "retryable": "no", "message": {}})], [422], False, "", "http_422"),
    "reset": ([reset], [None, None], False, "", "network"),
    "reset, then duplicate": (
        [reset, reply(200, created(status="duplicate"))],
        [None, 200],
        True,
        "1234",
        "",
    ),
    "half an answer": ([half], [None, None], False, "", "network"),
    "oversized": ([reply(201, b"x" * 1_500_000)], [None, None], False, "", "network"),
    "late answer": ([slow(2, reply(201, created())), reply(200, created())], [None, 200], True, "1234", ""),
    "dripping": ([dripping, reply(200, created())], [None, 200], True, "1234", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_no_answer_makes_the_card_fail(case: str, card: Card) -> None:
    """Whatever the answer, the card sets its variables, throws nothing and has a sentence."""
    answers, statuses, ok, ticket_id, error = CASES[case]
    with ScriptedFunction(*answers) as endpoint:
        run = card.run(endpoint.url)
    assert well_ended(run), run
    assert (run.workflow["ticketOk"], run.workflow["ticketId"], run.workflow["ticketError"]) == (
        ok,
        ticket_id,
        error,
    )
    assert run.statuses == statuses


def test_no_answer_in_time_is_a_timeout(card: Card) -> None:
    """Two calls without an answer end as `timeout`, within the time that the card allows itself."""
    with ScriptedFunction(slow(30, reply(201, created()))) as endpoint:
        run = card.run(endpoint.url)
    assert well_ended(run)
    assert (run.workflow["ticketError"], run.statuses) == ("timeout", [None, None])
    assert run.ms < 6_000


def test_a_closed_port_is_a_network_error(card: Card) -> None:
    """If nothing listens, the result is `network`, after one more attempt."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        run = card.run(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert well_ended(run)
    assert (run.workflow["ticketError"], len(run.calls)) == ("network", 2)


def test_a_connection_that_is_not_accepted_is_a_timeout(cloud: Card) -> None:
    """Axios counts its time-out only from the connection, so the card needs its own."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.create_connection(full.getsockname(), timeout=5)]
        run = cloud.run(f"http://127.0.0.1:{full.getsockname()[1]}/")
        waiting[0].close()
    assert well_ended(run)
    assert (run.workflow["ticketError"], run.ms < 6_000) == ("timeout", True)


def test_the_message_of_the_function_is_shown(card: Card) -> None:
    """Its `message`, reference and faulty field reach the flow unchanged."""
    with ScriptedFunction(reply(422, INVALID_EMAIL)) as endpoint:
        run = card.run(endpoint.url)
    assert run.workflow["ticketMessage"] == "Frase de la función: invalid-handoff."
    assert run.workflow["ticketField"] == "user_email"
    assert run.workflow["ticketReference"] == "BF-7K3QX2AB"


def test_the_message_of_another_service_is_not_shown(card: Card) -> None:
    """JSON from a gateway or the platform is not meant for the person."""
    with ScriptedFunction(reply(429, LAMBDA_BUSY)) as endpoint:
        run = card.run(endpoint.url)
    assert run.workflow["ticketMessage"] == "No pude confirmar el registro de tu pedido."


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("es", "No pude confirmar el registro de tu pedido."),
        ("en-US", "I could not confirm that your request was registered."),
        ("pt", "Não consegui confirmar o registro do seu pedido."),
        ("zz", "No pude confirmar el registro de tu pedido."),
    ],
)
def test_the_cards_own_sentences_are_in_the_persons_language(language: str, sentence: str, plain: Card) -> None:
    """If the function does not answer, the card uses es, en or pt, and never claims failure."""
    scene = conversation() | {"user": {"TranslatorAgent": {"language": language}}}
    with ScriptedFunction(reply(404, b"no")) as endpoint:
        assert plain.run(endpoint.url, scene).workflow["ticketMessage"] == sentence


def test_a_duplicate_without_a_sentence_shows_the_number(plain: Card) -> None:
    """A kept request shows its number even if the answer has no sentence."""
    with ScriptedFunction(reply(201, created(message=None))) as endpoint:
        message = plain.run(endpoint.url).workflow["ticketMessage"]
    assert message == "Listo. Tu pedido quedó registrado con el número 1234."


@pytest.mark.parametrize(
    ("header", "least_ms", "most_ms"), [("1", 1_000, 2_400), ("3600", 1_500, 3_000), ("soon", 40, 1_400)]
)
def test_a_short_retry_after_is_respected(header: str, least_ms: int, most_ms: int, plain: Card) -> None:
    """A short Retry-After is waited out, a long one only up to the card's own limit, an invalid one is ignored."""
    answer = reply(503, problem("unavailable", retryable=True), headers={"Retry-After": header})
    with ScriptedFunction(answer, reply(201, created())) as endpoint:
        run = plain.edited({"LONGEST_PAUSE_MS = 5000": "LONGEST_PAUSE_MS = 1500"}).run(endpoint.url)
    assert run.workflow["ticketOk"]
    assert least_ms <= run.ms <= most_ms


def test_both_calls_have_the_same_key_and_body(card: Card) -> None:
    """The second call is an exact repeat of the first."""
    with ScriptedFunction(reset, reply(201, created())) as endpoint:
        card.run(endpoint.url)
    assert [headers["Idempotency-Key"] for headers in endpoint.headers] == ["conv_1:" + _message(card)] * 2
    assert endpoint.bodies[0] == endpoint.bodies[1]


def _message(card: Card) -> str:
    return "evt_1" if card.mode == "v12" else "msg_1"


def test_the_secret_is_in_the_header_only(card: Card) -> None:
    """The token is sent as a bearer token, and neither it nor the person's words are logged."""
    with ScriptedFunction(reset, reply(401, problem("unauthorized", retryable=False))) as endpoint:
        run = card.run(endpoint.url)
    assert endpoint.headers[0]["Authorization"] == "Bearer local-secret"
    assert b"local-secret" not in endpoint.bodies[0]
    logged = "\n".join(run.logs)
    assert "unauthorized" in logged
    assert not any(word in logged for word in ("local-secret", "ana@example.com", "Ana", "retiro"))


def test_the_axios_of_the_harness_behaves_like_the_real_one(plain: Card) -> None:
    """Without npm packages every case has the same result."""
    for case, (answers, statuses, ok, ticket_id, error) in CASES.items():
        with ScriptedFunction(*answers) as endpoint:
            run = plain.run(endpoint.url)
        assert run.axios == "built-in"
        assert (case, run.statuses, run.workflow["ticketOk"]) == (case, statuses, ok)
        assert (case, run.workflow["ticketId"], run.workflow["ticketError"]) == (case, ticket_id, error)
