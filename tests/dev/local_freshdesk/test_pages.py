"""The pages: what they show, what they change, and what they never do."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
import requests

from dev.local_freshdesk import LocalFreshdesk
from tests.dev.local_freshdesk.browsing import HOSTILE, INERT, Browser
from tests.dev.local_freshdesk.factories import PAGOS, RETIROS, Api, Clock


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
    ("fields", "times", "only"),
    [
        ({"weather": "answer-lost"}, None, "create"),
        ({"weather": "answer-lost", "only": "all"}, None, "all"),
        ({"weather": "rate-limited"}, 1, "all"),
        ({"weather": "rate-limited", "times": "always"}, None, "all"),
        ({"weather": "rate-limited", "times": "3"}, 3, "all"),
        ({"weather": "down"}, None, "all"),
    ],
)
def test_a_card_alone_does_what_it_says(
    browser: Browser, desk: LocalFreshdesk, fields: dict[str, str], times: int | None, only: str
) -> None:
    """The panel as it opens gives each weather the times and the requests of its text; what is chosen there wins."""
    browser.submit("/weather", **{"times": "", "only": "", "seconds": "", **fields})
    weather = desk.desk.sky.now()
    assert (weather.name, weather.times, weather.only) == (fields["weather"], times, only)


@pytest.mark.parametrize(
    "fields", [{"weather": "hail"}, {"weather": "slow", "seconds": "x"}, {"weather": "slow", "times": "x"}]
)
def test_panel_tells_what_it_cannot_do(browser: Browser, desk: LocalFreshdesk, fields: dict[str, str]) -> None:
    """400, with a sentence."""
    assert "Ese clima no existe" in browser.submit("/weather", 400, **fields).text
    assert desk.desk.sky.now().name == "healthy"


def test_static_files_are_served(browser: Browser) -> None:
    """Style, script and sign."""
    for name in ("style.css", "pages.js", "favicon.svg"):
        assert browser.see(f"/static/{name}")


def test_head_has_no_body(desk: LocalFreshdesk) -> None:
    """HEAD tells the length and sends nothing."""
    told = requests.head(desk.url, timeout=5)
    assert (told.status_code, told.content) == (200, b"")
    assert int(told.headers["Content-Length"]) > 0
