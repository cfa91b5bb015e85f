"""The chat: what it shows, what it sends, what it repeats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.bot import Bots
from tests.dev.local_freshdesk.browsing import HOSTILE, INERT, Browser
from tests.dev.local_freshdesk.function import BAD_EMAIL, CREATED, QUEUED, Answer, ScriptedFunction

FILLED = {
    "bot": "betsur",
    "category": "retiros",
    "user_email": "ana@example.com",
    "user_name": "Ana",
    "reason": "No llega",
    "conversation_summary": "Espera su retiro.",
}


@contextmanager
def talking(*answers: Answer, became: Any = None) -> Iterator[tuple[ScriptedFunction, LocalFreshdesk, Browser]]:
    """A desk whose chat talks to a function that answers this, from Python; and a browser on it."""
    with ScriptedFunction(*answers, became=became) as endpoint:
        bots = Bots(endpoint.url, "s", pause_s=0)
        with LocalFreshdesk(bots=bots) as desk, Browser(desk) as browser:
            yield endpoint, desk, browser


def test_chat_shows_what_the_bot_says() -> None:
    """The message, the status, the reference, and a link to the ticket."""
    with talking(CREATED) as (_, _, browser):
        page = browser.submit("/chat", **FILLED).text
    assert "Listo, Ana. Tu ticket es el 1." in page
    assert 'href="/inbox/tickets/1"' in page
    for text in ("201", "BF-7K3QX2AB", "Retiros", "Alta", "desde Python"):
        assert text in page


def test_sending_the_same_again_is_the_same_handoff() -> None:
    """The button repeats conversation and message, as Botpress does when it replays."""
    duplicate = (200, {**CREATED[1], "status": "duplicate", "message": "Ya lo teníamos."})
    with talking(CREATED, duplicate) as (endpoint, desk, browser):
        first = browser.submit("/chat", **FILLED)
        page = browser.submit(first.url.removeprefix(desk.url).partition("#")[0] + "/again").text
    bodies = [body for _, _, _, body in endpoint.asked]
    assert bodies[0] == bodies[1]
    assert "Ya lo teníamos." in page
    assert "repitió el mismo mensaje" in page


def test_bad_field_is_marked_and_corrected_under_the_same_key() -> None:
    """A 422 asks for the e-mail again; the correction is the same request."""
    with talking(BAD_EMAIL, CREATED) as (endpoint, desk, browser):
        first = browser.submit("/chat", **{**FILLED, "user_email": "nope"})
        assert re.search(r'name="user_email"[^>]*aria-invalid="true"', first.text)
        assert "El correo no parece válido. ¿Me lo escribís de nuevo?" in first.text
        assert "<code>user_email: invalid</code>" in first.text
        assert "is not an e-mail address" not in first.text  # the page speaks Spanish
        browser.submit(first.url.removeprefix(desk.url).partition("#")[0], **FILLED)
    keys = [headers["idempotency-key"] for _, _, headers, _ in endpoint.asked]
    assert keys[0] == keys[1]


def test_further_message_is_a_new_request_in_the_same_conversation() -> None:
    """After a ticket, more words have a message of their own."""
    with talking(CREATED) as (endpoint, desk, browser):
        first = browser.submit("/chat", **FILLED)
        browser.submit(first.url.removeprefix(desk.url).partition("#")[0], **FILLED)
    ids = [(body["conversation_id"], body["message_id"]) for _, _, _, body in endpoint.asked]
    assert ids[0][0] == ids[1][0]
    assert ids[0][1] != ids[1][1]


def test_reference_is_followed_until_its_ticket_appears() -> None:
    """A 202 gets a line that asks the function, for the page and for its script."""
    with talking(QUEUED, became={"status": "queued"}) as (endpoint, desk, browser):
        first = browser.submit("/chat", **FILLED)
        path = first.url.removeprefix(desk.url).partition("#")[0]
        assert "el ticket está en camino" in first.text
        assert browser.get(f"{desk.url}{path}/outcome", timeout=5).json() == {"waiting": 1}
        endpoint.became = {"status": "created", "ticket_id": 7}
        assert browser.get(f"{desk.url}{path}/outcome", timeout=5).json() == {"waiting": 0}
        page = browser.see(path)
    assert 'Ya es el <a href="/inbox/tickets/7">ticket #7</a>' in page


def test_failed_reference_says_that_a_person_must_look() -> None:
    """After 72 hours."""
    with talking(QUEUED, became={"status": "failed"}) as (_, _, browser):
        assert "lo tiene que mirar una persona" in browser.submit("/chat", **FILLED).text


def test_answers_are_text_in_the_chat() -> None:
    """Whatever the person typed or the function answered."""
    body = {**CREATED[1], "message": HOSTILE, "warnings": [HOSTILE, {"field": HOSTILE}], "group": HOSTILE}
    typed = {name: HOSTILE for name in FILLED if name != "bot"}
    with talking((201, body)) as (_, _, browser):
        page = browser.submit("/chat", bot="betsur", **typed).text
    assert page.count(INERT) >= 6
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_answer_without_sense_is_shown_without_harm() -> None:
    """A ticket number that is none makes no link."""
    body = {"ticket_id": "../x", "message": ["m"], "status": ["x"], "priority": {"a": 1}, "warnings": "abc"}
    with talking((201, body)) as (_, _, browser):
        assert "../x" not in browser.submit("/chat", **FILLED).text


def test_samples_fill_the_form(browser: Browser) -> None:
    """On demand; a number that does not exist wraps around, nonsense fills nothing."""
    assert "Depósito que no llega" in browser.see("/chat")
    assert "martin.rios@example.com" in browser.see("/chat?bot=betsur&example=1")
    assert "cvega@diario.example" in browser.see("/chat?bot=institucional&example=2")
    assert 'value=""' in browser.see("/chat?bot=nada&example=x")


def test_chat_without_a_function_says_so(browser: Browser) -> None:
    """The stand-in on its own has nobody to talk to."""
    assert "corre sin función" in browser.see("/chat")
    browser.submit("/chat", 503, **FILLED)


def test_old_conversations_are_forgotten() -> None:
    """The last 200 are remembered."""
    with talking(CREATED) as (_, desk, browser):
        first = browser.submit("/chat", **FILLED).url.removeprefix(desk.url).partition("#")[0]
        for _ in range(200):
            browser.post(f"{desk.url}/chat", data=FILLED, timeout=10, allow_redirects=False)
        browser.see(first, 404)
