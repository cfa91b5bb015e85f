"""The pages: what they show, what they change, and what they never do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
import requests

from local_freshdesk import LocalFreshdesk
from local_freshdesk.bot import Bots
from tests.local_freshdesk.factories import PAGOS, RETIROS, Api, Clock
from tests.local_freshdesk.function import BAD_EMAIL, CREATED, QUEUED, Answer, ScriptedFunction

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(1)">\u202egnp.exe 👩‍👩‍👧'
INERT = "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&#34;alert(1)&#34;&gt;gnp.exe 👩‍👩‍👧"


class Browser(requests.Session):
    """A browser without scripts: paths only, HTML wanted."""

    def __init__(self, desk: LocalFreshdesk) -> None:
        super().__init__()
        self.trust_env = False
        self._desk = desk
        self.headers.update({"Accept": "text/html"})

    def see(self, path: str, status: int = 200) -> str:
        """The page at a path."""
        told = self.get(self._desk.url + path, timeout=10)
        assert told.status_code == status, told.text
        return told.text

    def submit(self, path: str, expected: int = 200, /, **fields: str) -> requests.Response:
        """Send a form and follow where it leads."""
        told = self.post(self._desk.url + path, data=fields, timeout=10)
        assert told.status_code == expected, told.text
        return told


@pytest.fixture
def browser(desk: LocalFreshdesk) -> Iterator[Browser]:
    """Give a browser on the desk's pages."""
    with Browser(desk) as session:
        yield session


def shown(page: str) -> list[int]:
    """The ids of the tickets an inbox lists."""
    return [int(number) for number in re.findall(r'class="subject" href="/inbox/tickets/(\d+)"', page)]


def test_empty_inbox_says_what_to_do(browser: Browser) -> None:
    """A newcomer is shown to the chat."""
    page = browser.see("/")
    assert "Todavía no hay tickets" in page
    assert '<html lang="es">' in page


def test_inbox_shows_the_ticket_as_an_agent_wants_it(browser: Browser, api: Api, clock: Clock) -> None:
    """Subject, person, group, priority, status and age."""
    api.create(priority=4)
    clock.move(200)
    page = browser.see("/")
    for text in ("Retiros: no llega", "Ana Núñez", "ana@example.com", "Retiros", "Urgente", "Abierto", "hace 3 min"):
        assert text in page
    assert "1 ticket<" in page


def test_inbox_filters(browser: Browser, api: Api) -> None:
    """By each of the selects, and by all at once."""
    api.create(group_id=PAGOS, priority=1, tags=["bot:institucional"])
    api.create(group_id=RETIROS, priority=4, tags=["bot:betsur"])
    assert shown(browser.see("/")) == [2, 1]
    for query in (f"group={PAGOS}", "priority=1", "bot=institucional", f"status=2&priority=1&group={PAGOS}"):
        assert shown(browser.see(f"/?{query}")) == [1]
    page = browser.see("/?status=5")
    assert "Nada con este filtro" in page


@pytest.mark.parametrize("text", ["BF-7K3QX2AB", "bf-7k3qx2ab", "ANA@example", "Núñez", "qué tal", "#1", "1"])
def test_inbox_search(browser: Browser, api: Api, text: str) -> None:
    """By reference, person, words or number."""
    api.create()
    api.create(subject="Otro", description="x", email="b@example.com", name="B", tags=[])
    assert shown(browser.see(f"/?q={quote(text)}")) == [1]


@pytest.mark.parametrize("text", ["%", "_", "\\", "100%"])
def test_search_signs_are_text(browser: Browser, api: Api, text: str) -> None:
    """What SQL's LIKE would take as a pattern is only text."""
    api.create()
    assert shown(browser.see(f"/?q={quote(text)}")) == []


@pytest.mark.parametrize(
    "query", ["group=x", "status=%27", "page=0", "page=abc", "box=nada", "priority=99999999999999999999"]
)
def test_nonsense_in_the_address_is_no_filter(browser: Browser, api: Api, query: str) -> None:
    """The inbox shows everything."""
    api.create()
    assert shown(browser.see(f"/?{query}")) == [1]


def test_inbox_has_pages(browser: Browser, api: Api) -> None:
    """Fifty on each, and links between them that keep the filter."""
    for _ in range(51):
        api.create()
    first, second = browser.see("/?bot=betsur"), browser.see("/?bot=betsur&page=2")
    assert (len(shown(first)), len(shown(second))) == (50, 1)
    assert 'href="/?bot=betsur&amp;page=2"' in first
    assert 'href="/?bot=betsur&amp;page=1"' in second


def test_agent_changes_a_ticket(browser: Browser, api: Api, desk: LocalFreshdesk) -> None:
    """Status, priority, group and agent, by a plain form."""
    api.create()
    fields = {"status": "3", "priority": "4", "group_id": str(PAGOS), "responder_id": "1070000000402"}
    page = browser.submit("/inbox/tickets/1", **fields).text
    told = desk.tickets()[0]
    assert (told["status"], told["priority"], told["group_id"]) == (3, 4, PAGOS)
    assert '<option value="1070000000402" selected>' in page


def test_change_that_is_impossible_is_told(browser: Browser, api: Api, desk: LocalFreshdesk) -> None:
    """A status the account has not."""
    api.create()
    assert "Ese cambio no es posible" in browser.submit("/inbox/tickets/1", 400, status="99").text
    assert desk.tickets()[0]["status"] == 2


def test_agent_writes_a_note_and_a_reply(browser: Browser, api: Api, desk: LocalFreshdesk) -> None:
    """Plain text stays text; line breaks stay."""
    api.create()
    browser.submit("/inbox/tickets/1/notes", kind="note", body="<b>uno</b>\r\ndos")
    page = browser.submit("/inbox/tickets/1/notes", kind="reply", body="hola").text
    assert desk.notes(1)[0]["body_text"] == "<b>uno</b>\ndos"
    assert "Nota privada" in page
    assert "Respuesta" in page
    assert "&lt;b&gt;uno&lt;/b&gt;<br>dos" in page


def test_note_wants_words(browser: Browser, api: Api, desk: LocalFreshdesk) -> None:
    """An empty note is not kept."""
    api.create()
    assert "Escribí algo" in browser.submit("/inbox/tickets/1/notes", 400, kind="note", body=" ").text
    assert desk.notes(1) == []


def test_ticket_moves_between_boxes(browser: Browser, api: Api) -> None:
    """Into spam, into the bin, and back."""
    api.create()
    assert "está en Spam" in browser.submit("/inbox/tickets/1/box", box="spam").text
    assert shown(browser.see("/?box=spam")) == [1]
    assert "está en Eliminados" in browser.submit("/inbox/tickets/1/box", box="deleted").text
    assert shown(browser.see("/?box=deleted")) == [1]
    browser.submit("/inbox/tickets/1/box", box="")
    assert shown(browser.see("/")) == [1]
    assert "Esta carpeta está vacía" in browser.see("/?box=spam")


def test_agents_address_leads_to_the_ticket(browser: Browser, api: Api) -> None:
    """/a/tickets/1 is how Freshdesk's own addresses look."""
    api.create()
    assert "Propiedades" in browser.see("/a/tickets/1")


@pytest.mark.parametrize("path", ["/inbox/tickets/99", "/inbox/tickets/99999999999999999999", "/nada", "/chat/none"])
def test_what_is_not_there_is_told_kindly(browser: Browser, path: str) -> None:
    """A page, not a bare error."""
    assert "Volver a la bandeja" in browser.see(path, 404)


def test_everything_a_person_typed_is_text(browser: Browser, api: Api) -> None:
    """Subject, name, tags and custom fields: markup shows as text, a direction override is taken out."""
    fields = {"cf_referencia": HOSTILE}
    api.create(subject=HOSTILE, name=HOSTILE, tags=["<b>x</b>", "bot:<i>"], custom_fields=fields, type="Consulta")
    for path in ("/", "/inbox/tickets/1", "/?q=script"):
        page = browser.see(path)
        assert INERT in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "\u202e" not in page
        assert "<b>x</b>" not in page


@pytest.mark.parametrize(
    ("markup", "gone"),
    [
        ("<script>alert(1)</script>", "alert"),
        ("<img src=x onerror=alert(1)>", "<img"),
        ("<a href='javascript:alert(1)'>x</a>", "javascript"),
        ("<p style='position:fixed'>x</p>", "position:fixed"),
        ("<form action='/inbox/tickets/1/box'><button>x</button></form>", "action='/inbox"),
        ("<iframe srcdoc='x'></iframe>", "<iframe"),
        ("<svg onload=alert(1)></svg>", "onload"),
        ("<div id='contenido' class='banner'>x</div>", "class='banner'"),
        ("abc\u202edef", "\u202e"),
    ],
)
def test_description_loses_its_teeth(browser: Browser, api: Api, markup: str, gone: str) -> None:
    """The API keeps the description as it came; the page shows an allow-list of it."""
    api.create(description=markup)
    body = browser.see("/inbox/tickets/1").partition('id="descripcion"')[2].partition("</article>")[0]
    assert gone not in body
    assert markup in api.get("tickets/1").json()["description"]


def test_description_keeps_its_shape(browser: Browser, api: Api) -> None:
    """Headings, tables and breaks stay."""
    api.create(description="<h3>Resumen</h3><p>uno<br>dos</p><table><tr><th>Bot</th><td>betsur</td></tr></table>")
    page = browser.see("/inbox/tickets/1")
    assert "<h3>Resumen</h3><p>uno<br>dos</p>" in page
    assert "<th>Bot</th><td>betsur</td>" in page


def test_pages_may_run_only_their_own_script(desk: LocalFreshdesk) -> None:
    """A strict policy, no framing, no sniffing; nothing is fetched from elsewhere."""
    told = requests.get(desk.url, timeout=5)
    policy = told.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    assert re.findall(r'(?:src|href)="(?:https?:)?//', told.text) == []
    assert not re.search(r"<script(?! src=)|\son\w+=|style=", told.text)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/weather", "/chat", "/inbox/tickets/1", "/inbox/tickets/1/box"])
def test_other_sites_can_change_nothing(
    desk: LocalFreshdesk, api: Api, browser: Browser, path: str, headers: dict[str, str]
) -> None:
    """A form of another site is refused, and the ticket and the weather stay."""
    api.create()
    fields = {"weather": "down", "box": "deleted", "status": "5"}
    assert browser.post(desk.url + path, data=fields, headers=headers, timeout=5).status_code == 403
    assert (desk.desk.sky.now().name, desk.tickets()[0]["status"]) == ("healthy", 2)


def test_own_forms_work(desk: LocalFreshdesk, browser: Browser) -> None:
    """What a browser sends with a form of this site."""
    headers = {"Origin": desk.url, "Sec-Fetch-Site": "same-origin"}
    told = browser.post(f"{desk.url}/weather", data={"weather": "down"}, headers=headers, timeout=5)
    assert (told.status_code, desk.desk.sky.now().name) == (200, "down")


def test_weather_panel_marks_the_weather(browser: Browser, desk: LocalFreshdesk) -> None:
    """The choice that holds is pressed, and the head of every page tells it with its times."""
    page = browser.submit("/weather", weather="slow", seconds="1,5", times="2", only="create", body="empty").text
    weather = desk.desk.sky.now()
    assert (weather.seconds, weather.times, weather.only, weather.body) == (1.5, 2, "create", "empty")
    assert re.search(r'value="slow"\s+aria-pressed="true"', page)
    assert "Lento · 2 veces" in browser.see("/")


@pytest.mark.parametrize(
    "fields", [{"weather": "hail"}, {"weather": "slow", "seconds": "x"}, {"weather": "slow", "times": "x"}]
)
def test_panel_tells_what_it_cannot_do(browser: Browser, desk: LocalFreshdesk, fields: dict[str, str]) -> None:
    """400, with a sentence."""
    assert "Ese clima no existe" in browser.submit("/weather", 400, **fields).text
    assert desk.desk.sky.now().name == "healthy"


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
    with ScriptedFunction(*answers, became=became) as function:
        bots = Bots(function.url, "s", pause_s=0)
        with LocalFreshdesk(bots=bots) as desk, Browser(desk) as browser:
            yield function, desk, browser


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
    with talking(CREATED, duplicate) as (function, desk, browser):
        first = browser.submit("/chat", **FILLED)
        page = browser.submit(first.url.removeprefix(desk.url).partition("#")[0] + "/again").text
    bodies = [body for _, _, _, body in function.asked]
    assert bodies[0] == bodies[1]
    assert "Ya lo teníamos." in page
    assert "repitió el mismo mensaje" in page


def test_bad_field_is_marked_and_corrected_under_the_same_key() -> None:
    """A 422 asks for the e-mail again; the correction is the same request."""
    with talking(BAD_EMAIL, CREATED) as (function, desk, browser):
        first = browser.submit("/chat", **{**FILLED, "user_email": "nope"})
        assert re.search(r'name="user_email"[^>]*aria-invalid="true"', first.text)
        assert "No es un correo." in first.text
        browser.submit(first.url.removeprefix(desk.url).partition("#")[0], **FILLED)
    keys = [headers["idempotency-key"] for _, _, headers, _ in function.asked]
    assert keys[0] == keys[1]


def test_further_message_is_a_new_request_in_the_same_conversation() -> None:
    """After a ticket, more words have a message of their own."""
    with talking(CREATED) as (function, desk, browser):
        first = browser.submit("/chat", **FILLED)
        browser.submit(first.url.removeprefix(desk.url).partition("#")[0], **FILLED)
    ids = [(body["conversation_id"], body["message_id"]) for _, _, _, body in function.asked]
    assert ids[0][0] == ids[1][0]
    assert ids[0][1] != ids[1][1]


def test_reference_is_followed_until_its_ticket_appears() -> None:
    """A 202 gets a line that asks the function, for the page and for its script."""
    with talking(QUEUED, became={"status": "queued"}) as (function, desk, browser):
        first = browser.submit("/chat", **FILLED)
        path = first.url.removeprefix(desk.url).partition("#")[0]
        assert "el ticket está en camino" in first.text
        assert browser.get(f"{desk.url}{path}/outcome", timeout=5).json() == {"waiting": 1}
        function.became = {"status": "created", "ticket_id": 7}
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
    with talking((201, {"ticket_id": "../x", "message": "m"})) as (_, _, browser):
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


def test_static_files_are_served(browser: Browser) -> None:
    """Style, script and sign."""
    for name in ("style.css", "pages.js", "favicon.svg"):
        assert browser.see(f"/static/{name}")


def test_head_has_no_body(desk: LocalFreshdesk) -> None:
    """HEAD tells the length and sends nothing."""
    told = requests.head(desk.url, timeout=5)
    assert (told.status_code, told.content) == (200, b"")
    assert int(told.headers["Content-Length"]) > 0
