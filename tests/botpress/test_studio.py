"""The card with hostile globals, and the harness that simulates them."""

from __future__ import annotations

import json
import random
import re
from typing import Any, Final

import pytest

from tests.botpress.cards import (
    CARDS,
    OUTPUTS,
    Card,
    Run,
    ScriptedFunction,
    conversation,
    created,
    reply,
    slow,
    studio,
    v12_conversation,
    well_ended,
)

pytestmark = pytest.mark.node

SHARED: Final = re.compile(r"^// ── shared .*?^// ── end of the shared part", re.DOTALL | re.MULTILINE)
CARDS_OWN: Final = [*OUTPUTS, "contactKey", "contactTries"]
SCALARS: Final[list[Any]] = [
    None,
    "",
    " ",
    0,
    -1,
    1.5,
    True,
    False,
    [],
    {},
    [[]],
    "x" * 70_000,
    "\ud83d",
    "\udc00\ud83d",
]
SCALARS_MORE: Final[list[Any]] = [
    ["a", None, {"b": 1}],
    {"first": {"last": []}},
    "\u0000\u202e",
    "🎰" * 50_000,
    "á|b:c\r\n",
]


def hostile(rng: random.Random, mode: str) -> dict[str, Any]:
    """Return a scene in which any part may be missing, null, or of another type."""
    scene = v12_conversation() if mode == "v12" else conversation()
    for name in list(scene):
        match rng.randrange(4):
            case 0:
                del scene[name]
            case 1:
                scene[name] = rng.choice([None, {}, {"SummaryAgent": None, "TranslatorAgent": 3, "tags": []}])
            case _:
                for part in list(scene[name]):
                    if rng.random() < 0.5:
                        scene[name][part] = rng.choice(SCALARS + SCALARS_MORE)
    return scene


@pytest.mark.parametrize("seed", range(12))
def test_hostile_globals_never_cause_an_error(seed: int, card: Card) -> None:
    """With missing, null or malformed globals the card sets variables that the flow can check, and does not throw."""
    rng = random.Random(seed)
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = card.run(endpoint.url, hostile(rng, card.mode))
        assert all(handoff["category"] for handoff in endpoint.handoffs)
    assert run.error is None
    assert not run.workflow or run.workflow.get("ticketMessage") is not None


@pytest.mark.parametrize(
    "name", ["event", "workflow", "conversation", "user", "env", "client", "console", "axios", "_"]
)
def test_globals_that_throw_when_touched(name: str, plain: Card) -> None:
    """An object that throws on every access stops neither the card nor its answer."""
    thrower = "new Proxy({}, { get () { throw new Error('no') }, set () { throw new Error('no') } })"
    bad = Card(mode="cloud", text=f"const {name} = {thrower}\n{plain.text}", folder=plain.folder, axios="built-in")
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = bad.run(endpoint.url)
    assert run.error is None
    assert name == "workflow" or well_ended(run)
    assert run.workflow.get("ticketOk", False) == (name not in {"workflow", "env", "axios"})


def test_no_globals_at_all(card: Card) -> None:
    """Without globals the card ends without an error and without a call."""
    run = card.run(None, {})
    assert (run.error, run.calls) == (None, [])


@pytest.mark.parametrize("name", [*CARDS_OWN, "category", "reason", "user_email", "user_name", "user_phone"])
def test_an_undeclared_variable_is_named_in_the_log(name: str, plain: Card) -> None:
    """In a flow without `contacto` an undeclared variable throws; the card continues, and the log names it."""
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = plain.run(endpoint.url, undeclared=[name, "contacto"])
        assert len(endpoint.bodies) == 1
    assert run.error is None
    warnings = [line for line in run.logs if "declare" in line and name in line]
    assert bool(warnings) == (name in CARDS_OWN)


def test_one_object_variable_holds_everything_the_card_fills_in(plain: Card) -> None:
    """With `contacto` alone nothing is missing, nothing is logged, and what the flow put into it stays."""
    scene = conversation(contacto={"tags": ["vip"], "ticketId": "1"})
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = plain.run(endpoint.url, scene, undeclared=CARDS_OWN)
        assert endpoint.handoffs[0]["tags"] == ["vip"]
    assert run.logs == ["log: contacto: kept  BF-7K3QX2AB"]
    assert run.workflow["contacto"] == {
        "tags": ["vip"],
        "ticketOk": True,
        "ticketId": "1234",
        "ticketReference": "BF-7K3QX2AB",
        "ticketMessage": "Listo, es el ticket 1234.",
        "ticketError": "",
        "ticketField": "",
        "contactTries": 1,
        "contactKey": "conv_1:msg_1|msg_1",
    }


def test_a_flow_of_before_works_without_the_object_variable(plain: Card) -> None:
    """Eight variables one by one are filled in as ever, without a line in the log."""
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = plain.run(endpoint.url, undeclared=["contacto"])
    assert (well_ended(run), run.logs) == (True, ["log: contacto: kept  BF-7K3QX2AB"])
    assert (run.workflow["contactKey"], run.workflow["contactTries"]) == ("conv_1:msg_1|msg_1", 1)


def test_both_kinds_of_variables_hold_the_same(plain: Card) -> None:
    """While a flow is being moved over it may read either."""
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = plain.run(endpoint.url)
    assert run.workflow["contacto"] == {name: run.workflow[name] for name in CARDS_OWN}


def test_without_any_declared_variable_the_request_is_sent(plain: Card) -> None:
    """If Studio takes nothing of what the card fills in, the log says so once, and the ticket is made."""
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = plain.run(endpoint.url, undeclared=[*CARDS_OWN, "contacto"])
        assert len(endpoint.bodies) == 1
    assert run.error is None
    (line,) = [line for line in run.logs if "workflow.contacto" in line]
    assert all(line.count(name) == 1 for name in CARDS_OWN)


@pytest.mark.parametrize(
    ("start", "undeclared"),
    [
        ({"contacto": {}}, CARDS_OWN),
        ({"contactKey": ""}, ["contacto"]),
        ({"contacto": {}}, []),
        ({"contactKey": ""}, []),
    ],
)
def test_a_new_request_starts_clean_with_either_kind(start: dict[str, Any], undeclared: list[str], plain: Card) -> None:
    """After a failure, emptying the one or the other makes the next request a new one, also where both are declared."""
    keys = []
    kept: dict[str, Any] = {}
    with ScriptedFunction(reply(404, b"no")) as endpoint:
        for message, reset in (("m1", {}), ("m2", {}), ("m3", start)):
            scene = conversation(**{**kept, **reset})
            scene["event"]["messageId"] = message
            kept = plain.run(endpoint.url, scene, undeclared=undeclared).workflow
        keys = [headers["Idempotency-Key"] for headers in endpoint.headers]
    assert keys == ["conv_1:m1", "conv_1:m1", "conv_1:m3"]


def test_a_request_begun_under_the_older_card_keeps_its_key(plain: Card) -> None:
    """A retry right after the card was replaced is the same request, although `contacto` is still empty."""
    scene = conversation(contactKey="conv_1:m1", contactTries=1)
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = plain.run(endpoint.url, scene)
        assert endpoint.headers[0]["Idempotency-Key"] == "conv_1:m1"
    assert (run.workflow["contactTries"], run.workflow["contacto"]["contactTries"]) == (2, 2)


def test_an_object_variable_that_throws_when_touched(plain: Card) -> None:
    """The request is sent, whatever reading `contacto` does."""
    thrower = "new Proxy({}, { get () { throw new Error('no') }, ownKeys () { throw new Error('no') } })"
    bad = Card(mode="cloud", text=f"workflow.contacto = {thrower}\n{plain.text}", folder=plain.folder, axios="built-in")
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = bad.run(endpoint.url)
    assert (well_ended(run), run.workflow["ticketOk"]) == (True, True)


def test_what_was_captured_last_comes_first(plain: Card) -> None:
    """Capture Information writes a variable of its own; a field of that name in `contacto` is older or alone."""
    old = {"user_email": "old@example.com", "category": "apuestas"}
    scene = conversation(contacto=old, user_email="new@example.com", category="")
    with ScriptedFunction(reply(201, created())) as endpoint:
        plain.run(endpoint.url, scene)
    assert (endpoint.handoffs[0]["user_email"], endpoint.handoffs[0]["category"]) == ("new@example.com", "apuestas")


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, ["CONTACT_URL", "CONTACT_TOKEN"]),
        (None, ["CONTACT_URL", "CONTACT_TOKEN"]),
        ({"CONTACT_URL": "https://x.example/"}, ["CONTACT_TOKEN"]),
        ({"CONTACT_TOKEN": "t"}, ["CONTACT_URL"]),
        ({"CONTACT_URL": "", "CONTACT_TOKEN": ""}, ["CONTACT_URL", "CONTACT_TOKEN"]),
        ({"CONTACT_URL": "x.example", "CONTACT_TOKEN": "t"}, ["CONTACT_URL"]),
        ({"CONTACT_URL": "http://x.example/", "CONTACT_TOKEN": "t"}, ["CONTACT_URL"]),
        ({"CONTACT_URL": "http://localhost.evil.example/", "CONTACT_TOKEN": "t"}, ["CONTACT_URL"]),
        ({"CONTACT_URL": "file:///etc/hosts", "CONTACT_TOKEN": "t"}, ["CONTACT_URL"]),
        ({"CONTACT_URL": "http://127.0.0.1:1/", "CONTACT_TOKEN": "hunter2\r\nX: y"}, ["CONTACT_TOKEN"]),
        ({"CONTACT_URL": "http://127.0.0.1:1/", "CONTACT_TOKEN": "hunter2é"}, ["CONTACT_TOKEN"]),
    ],
)
def test_a_broken_configuration_makes_no_call(env: Any, named: list[str], plain: Card) -> None:
    """Without a safe URL and a usable token nothing is sent, and the log names the setting, not its value."""
    run = plain.run(None, conversation() | {"env": env})
    assert (run.workflow["ticketError"], run.calls) == ("configuration", [])
    assert well_ended(run)
    (line,) = [line for line in run.logs if line.startswith("error:")]
    assert [name for name in ("CONTACT_URL", "CONTACT_TOKEN") if name in line] == named
    assert "hunter2" not in line
    assert "example" not in line


@pytest.mark.parametrize(("mode", "prefix"), [("cloud", ""), ("v12", "EXPOSED_")])
def test_a_missing_bot_is_only_a_warning(mode: str, prefix: str, tmp_path: Any) -> None:
    """The request goes to the default bot, and the log names the setting; v12's have names of their own."""
    card = Card(mode=mode, text=CARDS[mode].read_text(encoding="utf-8"), folder=tmp_path, axios="built-in")
    scene = (v12_conversation() if mode == "v12" else conversation()) | {"env": {f"{prefix}CONTACT_TOKEN": "t"}}
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = card.run(endpoint.url, scene)
        assert "bot" not in endpoint.handoffs[0]
    assert run.logs[0] == f"warn: contacto: missing / falta: {prefix}CONTACT_BOT"
    missing = card.run(None, {**scene, "env": {}})
    assert f"missing / falta: {prefix}CONTACT_URL, {prefix}CONTACT_TOKEN" in missing.logs[-1]


def test_an_earlier_outcome_is_erased(plain: Card) -> None:
    """If a run fails, the variables have nothing of an earlier run."""
    old = {"ticketOk": True, "ticketId": "1", "ticketReference": "BF-OLD", "ticketField": "user_email"}
    run = plain.run(None, conversation(**old) | {"env": {}})
    assert (run.workflow["ticketOk"], run.workflow["ticketId"]) == (False, "")
    assert (run.workflow["ticketReference"], run.workflow["ticketField"]) == ("", "")


def test_a_run_that_is_cut_short_leaves_no_earlier_outcome(card: Card) -> None:
    """If the platform stops the card half-way, the variables show no success, and there is a sentence."""
    old = {"ticketOk": True, "ticketId": "1", "ticketMessage": "Listo."}
    scene = v12_conversation(**old) if card.mode == "v12" else conversation(**old)
    with ScriptedFunction(slow(30, reply(201, created()))) as endpoint:
        run = card.run(endpoint.url, scene, turn_s=0.5)
    assert "longer than 0.5 s" in str(run.error)
    assert (run.workflow["ticketOk"], run.workflow["ticketId"]) == (False, "")
    assert run.workflow["ticketMessage"] == "No pude confirmar el registro de tu pedido."


def test_without_lodash_the_card_still_works(plain: Card) -> None:
    """Without timers only axios' own time-out is left, and the second call comes at once."""
    bare = plain.edited({"_.debounce(ring, ms)": "noLodash.debounce(ring, ms)"})
    with ScriptedFunction(reply(502, b"x"), reply(201, created())) as endpoint:
        run = bare.run(endpoint.url)
    assert (run.workflow["ticketOk"], run.statuses) == (True, [502, 201])


def test_the_worst_case_fits_into_the_time_limit() -> None:
    """Two failed calls and the longest pause take less than Botpress' 60 s, with time left for the rest."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    timeout, budget, longest = (
        int(re.findall(rf"const {name} = (\d+)", text)[0]) for name in ("TIMEOUT_MS", "BUDGET_MS", "LONGEST_PAUSE_MS")
    )
    assert timeout > 12_000, "the function may take 12 s"
    assert budget + 500 <= 46_000
    assert timeout + longest < budget


def test_the_second_call_has_the_remaining_time(plain: Card) -> None:
    """Its time-out is reduced by the first call and the pause."""
    short = plain.edited({"TIMEOUT_MS = 1500": "TIMEOUT_MS = 2000", "BUDGET_MS = 9000": "BUDGET_MS = 3300"})
    with ScriptedFunction(slow(30, reply(201, created()))) as endpoint:
        run = short.run(endpoint.url)
    assert (len(run.calls), run.ms < 3_900) == (2, True)


def test_on_an_action_server_one_call_takes_less_than_five_seconds(tmp_path: Any) -> None:
    """With the time-out for v12's Action Server there is one call, and it ends before the hard limit."""
    card = Card(mode="v12", text=CARDS["v12"].read_text(encoding="utf-8"), folder=tmp_path, axios="built-in")
    scene = v12_conversation()
    scene["env"]["EXPOSED_CONTACT_TIMEOUT_MS"] = "4000"
    with ScriptedFunction(slow(30, reply(201, created()))) as endpoint:
        run = card.run(endpoint.url, scene, turn_s=5)
    assert (run.error, run.workflow["ticketError"], len(run.calls)) == (None, "timeout", 1)


def test_both_cards_have_the_same_shared_part() -> None:
    """It is identical, character for character."""
    parts = [SHARED.findall(path.read_text(encoding="utf-8")) for path in CARDS.values()]
    assert parts[0] == parts[1]
    assert len(parts[0]) == 1


def test_the_v12_card_runs_on_node_12() -> None:
    """v12 has Node 12, without optional chaining, `??` or replaceAll."""
    text = CARDS["v12"].read_text(encoding="utf-8")
    assert not re.findall(r"\?\.[a-z\[(]|\?\?|replaceAll|Object\.hasOwn|\.at\(", text)


def probe(source: str, tmp_path: Any, **order: Any) -> Run:
    """Run a few lines as a card."""
    path = tmp_path / "probe.js"
    path.write_text(source, encoding="utf-8")
    return studio(json.dumps({"card": str(path), "globals": {"workflow": {"ticketOk": False}}, **order}))


@pytest.mark.parametrize(
    "name", ["fetch", "process", "Buffer", "require", "setTimeout", "URL", "crypto", "btoa", "TextEncoder"]
)
def test_the_harness_hides_globals_that_studio_does_not_promise(name: str, tmp_path: Any) -> None:
    """A card that uses one of Node's own globals fails here as it might in Studio."""
    assert f"{name} is not defined" in str(probe(f"{name}", tmp_path).error)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("workflow.ticketOk = 'yes'", "holds a boolean"),
        ("workflow.ticketId = 7", "holds a string"),
        ("workflow.unknown = 1", "not declared"),
        ("workflow.unknown", "not declared"),
        ("loose = 1", "not defined"),
        ("await new Promise(() => {})", "longer than 0.3 s"),
        ("return workflow.ticketOk", None),
    ],
)
def test_the_harness_is_as_strict_as_studio(line: str, complaint: str | None, tmp_path: Any) -> None:
    """Wrong types, unknown names, undeclared variables and endless loops are errors; a top-level return is not."""
    error = probe(line, tmp_path, turn_s=0.3).error
    assert (error is None) if complaint is None else (complaint in str(error))


def test_the_harness_returns_what_its_callers_expect(plain: Card) -> None:
    """The chat page reads workflow, logs, error, calls with status and body, and the version of axios."""
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = plain.run(endpoint.url)
    assert run.calls[0]["status"] == 201
    assert run.calls[0]["body"] == created()
    assert (run.axios, run.error, run.logs) == ("built-in", None, ["log: contacto: kept  BF-7K3QX2AB"])
