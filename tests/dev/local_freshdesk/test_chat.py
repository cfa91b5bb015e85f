"""The chat page: what it shows, what it sends, what it repeats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.bot import Bots
from tests.dev.local_freshdesk.scripted import BAD_EMAIL, CREATED, QUEUED, Answer, ScriptedFunction
from tests.dev.local_freshdesk.support import HOSTILE, INERT, Browser

FILLED = {
    "bot": "betsur",
    "category": "retiros",
    "user_email": "ana@example.com",
    "user_name": "Ana",
    "reason": "No llega",
    "conversation_summary": "Espera su retiro.",
}


@contextmanager
def talking(*answers: Answer, became: Any = None) -> Iterator[tuple[ScriptedFunction, Browser]]:
    """Run a stand-in whose chat talks, from Python, to a function that answers this; give a browser on it."""
    with ScriptedFunction(*answers, became=became) as function:
        bots = Bots(function.url, "s", pause_s=0)
        with LocalFreshdesk(bots=bots) as freshdesk, Browser(freshdesk) as browser:
            yield function, browser


def test_the_chat_shows_what_the_bot_answers() -> None:
    """The message, the status, the reference, and a link to the ticket."""
    with talking(CREATED) as (_, browser):
        page = browser.submit("/chat", **FILLED).text
    for text in ("Listo, Ana. Tu ticket es el 1.", 'href="/inbox/tickets/1"', "201", "BF-7K3QX2AB", "Retiros", "Alta"):
        assert text in page
    assert "desde Python" in page


def test_what_is_sent_again_is_the_same_handoff() -> None:
    """The button repeats conversation and message, as Botpress does when it replays."""
    duplicate = (200, {**CREATED[1], "status": "duplicate", "message": "Ya lo teníamos."})
    with talking(CREATED, duplicate) as (function, browser):
        path = urlsplit(browser.submit("/chat", **FILLED).url).path
        page = browser.submit(f"{path}/again").text
    first, again = function.asked
    assert first[2] == again[2]
    assert "Ya lo teníamos." in page
    assert "repitió el mismo mensaje" in page


def test_a_correction_keeps_its_key_and_a_further_message_does_not() -> None:
    """A 422 asks for the e-mail again in Spanish; after a ticket, more words are a request of their own."""
    with talking(BAD_EMAIL, CREATED) as (function, browser):
        first = browser.submit("/chat", **{**FILLED, "user_email": "nope"})
        assert re.search(r'name="user_email"[^>]*aria-invalid="true"', first.text)
        assert "El correo no parece válido. ¿Me lo escribís de nuevo?" in first.text
        assert "<code>user_email: invalid</code>" in first.text
        assert "is not an e-mail address" not in first.text
        for _ in range(2):
            browser.submit(urlsplit(first.url).path, **FILLED)
    conversations, messages = zip(
        *((body["conversation_id"], body["message_id"]) for _, _, body in function.asked), strict=True
    )
    assert len(set(conversations)) == 1
    assert messages[0] == messages[1] != messages[2]


def test_a_reference_is_followed_until_its_ticket_appears() -> None:
    """A 202 gets a line that asks the function, for the page and for its script."""
    with talking(QUEUED, became={"status": "queued"}) as (function, browser):
        first = browser.submit("/chat", **FILLED)
        path = urlsplit(first.url).path
        assert "el ticket está en camino" in first.text
        assert browser.see(f"{path}/outcome").strip() == '{"waiting":1}'
        function.became = {"status": "failed"}
        assert "lo tiene que mirar una persona" in browser.see(path)
        function.became = {"status": "created", "ticket_id": 7}
        assert browser.see(f"{path}/outcome").strip() == '{"waiting":0}'
        assert 'Ya es el <a href="/inbox/tickets/7">ticket #7</a>' in browser.see(path)


def test_answers_and_typed_words_are_text() -> None:
    """Whatever the person typed or the function answered; a ticket number that is none makes no link."""
    body = {**CREATED[1], "message": HOSTILE, "warnings": [HOSTILE, {"field": HOSTILE}], "group": HOSTILE}
    typed = {name: HOSTILE for name in FILLED if name != "bot"}
    senseless = {"ticket_id": "../x", "message": ["m"], "status": ["x"], "priority": {"a": 1}, "warnings": "abc"}
    with talking((201, body), (201, senseless)) as (_, browser):
        page = browser.submit("/chat", **{**typed, "bot": "betsur"}).text
        assert "../x" not in browser.submit("/chat", **FILLED).text
    assert page.count(INERT) >= 6
    assert not re.search("<script>alert|<img src=x", page)


def test_samples_fill_the_form(browser: Browser) -> None:
    """A number that does not exist wraps around, nonsense fills nothing."""
    assert "Depósito que no llega" in browser.see("/chat")
    assert "martin.rios@example.com" in browser.see("/chat?bot=betsur&example=1")
    assert "cvega@diario.example" in browser.see("/chat?bot=institucional&example=2")
    assert 'value=""' in browser.see("/chat?bot=nada&example=x")


def test_a_chat_without_a_function_says_so(browser: Browser) -> None:
    """The stand-in on its own has nobody to hand over to."""
    assert "corre sin función" in browser.see("/chat")
    browser.submit("/chat", 503, **FILLED)
