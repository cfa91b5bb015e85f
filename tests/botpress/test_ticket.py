"""From the conversation to the ticket: the card, the running function and the stand-in, with every fault."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dev.local_freshdesk import LocalFreshdesk
from tests.botpress.cards import (
    CARDS,
    PATIENT,
    TOKEN,
    Card,
    Run,
    ScriptedFunction,
    conversation,
    message,
    swallowed,
    v12_conversation,
    well_ended,
)
from tests.factories import API_KEY
from tests.serving import free_port, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.node


@dataclass(frozen=True, kw_only=True)
class System:
    """The running function with its stand-in Freshdesk."""

    url: str
    freshdesk: LocalFreshdesk

    def tickets_of(self, run: Run) -> list[dict[str, Any]]:
        """Return the tickets with the reference of the card's last answer."""
        reference = run.workflow["ticketReference"]
        assert reference.startswith("BF-")
        return [ticket for ticket in self.freshdesk.tickets() if reference in ticket["subject"]]

    def tickets_about(self, there: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the tickets of the person in this conversation."""
        return [
            ticket for ticket in self.freshdesk.tickets() if there["workflow"]["user_email"] in ticket["description"]
        ]


@contextmanager
def open_system(folder: Path) -> Iterator[System]:
    """Start the stand-in, and the function in front of it."""
    settings = {"WEBHOOK_SECRET": TOKEN, "DEADLINE_S": "4"}
    with LocalFreshdesk(api_key=API_KEY) as freshdesk, serve(freshdesk.url, folder, **settings) as served:
        freshdesk.limit(create_per_minute=100_000, total_per_minute=100_000)
        yield System(url=f"{served.url}/", freshdesk=freshdesk)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Give one system for all tests of this file that cause no fault of Freshdesk."""
    with open_system(tmp_path_factory.mktemp("calm")) as system:
        yield system


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """Give a separate system, because the function calls Freshdesk less after a fault."""
    with open_system(tmp_path) as system:
        yield system


@pytest.fixture
def cloud_card(tmp_path: Path, axios: str) -> Card:
    """Give the Cloud card with shorter time-outs, under each axios."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    return Card(mode="cloud", text=text, folder=tmp_path, axios=axios).edited(PATIENT)


def scene(mode: str = "cloud", **variables: Any) -> dict[str, Any]:
    """Return a new conversation of a person with a new address; keywords set variables."""
    variables = {"user_email": f"{uuid.uuid4().hex}@example.com", **variables}
    made = v12_conversation(**variables) if mode == "v12" else conversation(**variables)
    made["event"]["conversationId"] = made["event"]["threadId"] = f"conv_{uuid.uuid4().hex}"
    return made


def later(before: dict[str, Any], run: Run, message: str, **variables: Any) -> dict[str, Any]:
    """Return the same conversation at a later message, with the workflow's variables as the card left them."""
    event = {**before["event"], "id": message, "messageId": message}
    return {**before, "event": event, "workflow": {**run.workflow, **variables}}


def test_created(calm: System, real: Card) -> None:
    """Without faults the person gets a sentence with the number of the only ticket."""
    run = real.run(calm.url, scene(real.mode))
    assert well_ended(run)
    assert run.statuses == [201]
    assert run.axios == {"axios": "1.21.1", "axios-old": "0.21.4"}[str(real.axios)]
    (ticket,) = calm.tickets_of(run)
    assert str(ticket["id"]) == run.workflow["ticketId"]
    assert run.workflow["ticketId"] in run.workflow["ticketMessage"]
    assert ticket["tags"] == ["botpress", "bot:betsur"]


def test_accents_and_emoji_arrive(calm: System, real: Card) -> None:
    """The ticket contains the person's text, character for character."""
    words = "¿Dónde está mi depósito de ñandú? 👨‍👩‍👧 🇦🇷 漢字"
    run = real.run(calm.url, scene(real.mode, reason=words, conversation_summary=words))
    (ticket,) = calm.tickets_of(run)
    assert words in ticket["description"]


def test_a_replay_gets_the_same_number(calm: System, real: Card) -> None:
    """A message that runs twice makes one ticket; the second answer is no error."""
    there = scene(real.mode)
    first, second = real.run(calm.url, there), real.run(calm.url, there)
    assert (first.statuses, second.statuses) == ([201], [200])
    assert second.workflow["ticketId"] == first.workflow["ticketId"]
    assert well_ended(second)
    assert len(calm.tickets_of(second)) == 1


@pytest.mark.parametrize("weather", ["down", "broken", "html-502", "answer-lost", "slow", "rate-limited"])
def test_a_request_is_kept_during_every_fault(weather: str, system: System, cloud_card: Card) -> None:
    """Whatever Freshdesk does, the request is kept, the person gets a sentence, and there is at most one ticket."""
    system.freshdesk.weather(weather, seconds=8)
    run = cloud_card.run(system.url, scene())
    assert well_ended(run), run
    assert run.workflow["ticketOk"]
    assert run.statuses[-1] in {201, 202}
    assert run.workflow["ticketReference"] in run.workflow["ticketMessage"] or run.workflow["ticketId"]
    assert len(system.tickets_of(run)) <= 1


def test_an_answer_lost_once_is_one_ticket(system: System, real: Card) -> None:
    """Freshdesk creates the ticket and its answer is lost: the person still gets the number."""
    system.freshdesk.weather("answer-lost", times=1, only="create")
    run = real.run(system.url, scene(real.mode))
    (ticket,) = system.tickets_of(run)
    assert (run.workflow["ticketOk"], run.workflow["ticketId"]) == (True, str(ticket["id"]))


def test_a_late_answer_is_one_ticket(system: System, cloud_card: Card) -> None:
    """The card gives up before the function answers, and calls again: there is one ticket."""
    system.freshdesk.weather("slow", seconds=1.5, times=1, only="create")
    hasty = cloud_card.edited({"TIMEOUT_MS = 9000": "TIMEOUT_MS = 700", "PAUSE_MS = 40": "PAUSE_MS = 2500"})
    run = hasty.edited({"call(axios, target, Math.min(TIMEOUT_MS, left))": "call(axios, target, 9000)"}).run(
        system.url, scene()
    )
    assert well_ended(run)
    assert run.statuses == [None, 200]
    assert len(system.tickets_of(run)) == 1


def test_lost_answers_and_a_retry_by_the_person_are_one_ticket(calm: System, cloud_card: Card) -> None:
    """Both calls arrive and both answers are lost; the person tries again in other words: there is one ticket."""
    there = scene()
    with ScriptedFunction(swallowed(calm.url)) as between:
        first = cloud_card.run(between.url, there)
    assert (first.workflow["ticketError"], first.statuses, well_ended(first)) == ("network", [None, None], True)
    second = cloud_card.run(calm.url, later(there, first, "msg_2", reason="Sigo sin poder retirar."))
    assert second.statuses == [200]
    assert len(calm.tickets_about(there)) == 1


def test_control_without_the_key_two_tickets_are_made(calm: System, cloud_card: Card) -> None:
    """With the same lost answers and no key in the card, the retry in other words makes a second ticket."""
    keyless = cloud_card.edited({"headers['Idempotency-Key'] = target.key": "target.key = ''"})
    there = scene()
    with ScriptedFunction(swallowed(calm.url)) as between:
        first = keyless.run(between.url, there)
    second = keyless.run(calm.url, later(there, first, "msg_2", reason="Sigo sin poder retirar."))
    assert second.statuses == [201]
    assert len(calm.tickets_about(there)) == 2


def test_an_invalid_address_is_asked_for_and_corrected(calm: System, real: Card) -> None:
    """The answer names the field and asks in words; the correction has the same key, and becomes the ticket."""
    there = scene(real.mode, user_email="ana@@example")
    run = real.run(calm.url, there)
    assert well_ended(run)
    assert (run.workflow["ticketError"], run.workflow["ticketField"]) == ("invalid-handoff", "user_email")
    assert run.workflow["ticketMessage"] == "El correo no parece válido. ¿Me lo escribís de nuevo?"
    place = "temp" if real.mode == "v12" else "workflow"
    kept = {"session": run.session} if real.mode == "v12" else {}
    mended = {**there, **kept, place: {**run.workflow, "user_email": f"{uuid.uuid4().hex}@example.com"}}
    again = real.run(calm.url, mended)
    assert (again.statuses, again.workflow["ticketField"]) == ([201], "")
    assert again.calls[0]["key"] == run.calls[0]["key"]
    assert len(calm.tickets_of(again)) == 1


def test_a_missing_address_is_asked_for(calm: System, cloud_card: Card) -> None:
    """If the capture was cancelled, the function asks, and the flow knows for which field."""
    run = cloud_card.run(calm.url, scene(user_email=""))
    assert (run.workflow["ticketField"], well_ended(run)) == ("user_email", True)


def test_a_wrong_secret_is_an_error(calm: System, real: Card) -> None:
    """The request makes no ticket and is not repeated, and the person still gets a sentence."""
    there = scene(real.mode)
    there["env"] |= {"CONTACT_TOKEN": "wrong", "EXPOSED_CONTACT_TOKEN": "wrong"}
    before = len(calm.freshdesk.tickets())
    run = real.run(calm.url, there)
    assert (run.workflow["ticketError"], run.statuses, well_ended(run)) == ("unauthorized", [401], True)
    assert len(calm.freshdesk.tickets()) == before


def test_the_function_is_not_running(real: Card) -> None:
    """The person gets a sentence, and the flow an error to check."""
    run = real.run(f"http://127.0.0.1:{free_port()}/", scene(real.mode))
    assert (run.workflow["ticketError"], len(run.calls), well_ended(run)) == ("network", 2, True)


def test_the_whole_conversation_and_its_files_are_in_the_ticket(calm: System, cloud_card: Card) -> None:
    """Both sides, the picture with its link, values and tags arrive; nothing of them is foreign to the function."""
    url = f"https://files.example/2026/{uuid.uuid4().hex}.jpg"  # a host that the function never calls
    there = scene(fields={"numero_de_apuesta": 7_345_112}, tags=["vip"])
    ids = {"conversationId": there["event"]["conversationId"]}
    told = [
        message(type="image", payload={"imageUrl": url, "filename": "comprobante.jpg"}, **ids),
        message("¿Qué pasó?", direction="outgoing", **ids),
        message("No me llega el retiro 👨‍👩‍👧", **ids),
    ]
    run = cloud_card.run(calm.url, there, client={"messages": told})
    assert (run.statuses, well_ended(run)) == ([201], True)
    (ticket,) = calm.tickets_of(run)
    text = ticket["description"]
    for words in ("Persona: No me llega el retiro 👨‍👩‍👧", "Bot: ¿Qué pasó?", "comprobante.jpg", url, "7345112"):
        assert words in text
    assert "vip" in ticket["tags"]
    assert "Otros datos" not in text
    assert run.calls[0]["body"].get("warnings") in (None, [])


def test_a_person_on_whatsapp_needs_no_address(calm: System, cloud_card: Card) -> None:
    """WhatsApp may hide the telephone: the Botpress user and the channel are enough for a ticket."""
    there = scene(user_email="")
    there["event"] |= {"integration": "whatsapp", "userId": f"user_{uuid.uuid4().hex}"}
    run = cloud_card.run(calm.url, there)
    assert (run.statuses, well_ended(run), run.workflow["ticketField"]) == ([201], True, "")
    assert len(calm.tickets_of(run)) == 1


def test_both_bots_use_their_own_groups(calm: System, cloud_card: Card) -> None:
    """The same card with another CONTACT_BOT uses that bot's routes."""
    press = scene(category="prensa")
    press["env"]["CONTACT_BOT"] = "institucional"
    found = [calm.tickets_of(cloud_card.run(calm.url, there))[0]["group_id"] for there in (scene(), press)]
    assert found == [1070000000102, 1070000000110]


def test_without_npm_packages(calm: System, plain: Card) -> None:
    """The harness's own axios makes the complete call: the demo needs no npm."""
    run = plain.run(calm.url, scene())
    assert (run.axios, run.statuses) == ("built-in", [201])
