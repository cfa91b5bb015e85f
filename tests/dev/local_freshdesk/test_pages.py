"""The pages: what they show, what they change, and what they never do."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
import requests

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.faults import Fault
from tests.dev.local_freshdesk.support import HOSTILE, INERT, PAGOS, Api, Browser
from tests.ledger_factories import VirtualClock


def shown(page: str) -> list[int]:
    """Return the ids of the tickets an inbox lists."""
    return [int(number) for number in re.findall(r'class="subject" href="/inbox/tickets/(\d+)"', page)]


def test_an_empty_inbox_leads_to_the_chat(browser: Browser) -> None:
    """In Spanish, with its style, script and icon."""
    page = browser.see("/")
    assert "Todavía no hay tickets" in page
    assert '<html lang="es">' in page
    for path in re.findall(r'"(/static/[^"]+)"', page):
        assert browser.see(path)


def test_the_inbox_shows_what_an_agent_needs(browser: Browser, api: Api, clock: VirtualClock) -> None:
    """Subject, person, group, priority, status and age."""
    api.create(priority=4)
    clock.sleep(200)
    page = browser.see("/")
    for text in ("Retiros: no llega", "Ana Núñez", "ana@example.com", "Retiros", "Urgente", "Abierto", "hace 3 min"):
        assert text in page
    assert "1 ticket<" in page


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [2, 1]),
        *(
            (query, [1])
            for query in (f"group_id={PAGOS}", "priority=1", "bot=institucional", f"status=2&group_id={PAGOS}")
        ),
        *((f"q={quote(text)}", [1]) for text in ("bf-9", "CARO@example", "Núñez", "qué pasa", "#1", "1")),
        *((f"q={quote(text)}", []) for text in ("%", "_", "\\", "100%")),
        ("status=5", []),
        *(
            (query, [2, 1])
            for query in ("group_id=x", "status=%27", "page=0", "page=abc", "box=nada", f"priority={10**20}")
        ),
    ],
)
def test_the_inbox_filters_and_searches(browser: Browser, api: Api, query: str, ids: list[int]) -> None:
    """By reference, person, words or number; SQL's signs are text, and nonsense is no filter."""
    words = {"subject": "x [BF-9]", "description": "qué pasa", "email": "caro@example.com", "name": "Caro Núñez"}
    api.create(**words, group_id=PAGOS, priority=1, tags=["bot:institucional"])
    api.create(name="Ana")
    page = browser.see(f"/?{query}")
    assert shown(page) == ids
    assert ("Nada con este filtro" in page) == (not ids)


def test_the_inbox_has_pages(browser: Browser, api: Api) -> None:
    """Fifty on each, and links between them that keep the filter."""
    for _ in range(51):
        api.create()
    first, second = browser.see("/?bot=betsur"), browser.see("/?bot=betsur&page=2")
    assert (len(shown(first)), len(shown(second))) == (50, 1)
    assert 'href="/?bot=betsur&amp;page=2"' in first
    assert 'href="/?bot=betsur&amp;page=1"' in second


def test_an_agent_changes_a_ticket(browser: Browser, api: Api, freshdesk: LocalFreshdesk) -> None:
    """Status, priority, group and agent; the agent can be taken away again, a value must exist."""
    api.create()
    fields = {"status": "3", "priority": "4", "group_id": str(PAGOS), "responder_id": "1070000000402"}
    page = browser.submit("/inbox/tickets/1", **fields).text
    ticket = freshdesk.tickets()[0]
    assert {name: ticket[name] for name in fields} == {name: int(value) for name, value in fields.items()}
    assert '<option value="1070000000402" selected>' in page
    browser.submit("/inbox/tickets/1", responder_id="")
    assert freshdesk.tickets()[0]["responder_id"] is None
    for status in ("99", ""):
        assert "Ese cambio no es posible" in browser.submit("/inbox/tickets/1", 400, status=status).text
    assert freshdesk.tickets()[0]["status"] == 3


def test_an_agent_writes_a_note_and_a_reply(browser: Browser, api: Api, freshdesk: LocalFreshdesk) -> None:
    """Plain text stays text and line breaks stay; an empty note is not kept. A note's files are named."""
    api.create()
    assert "Escribí algo" in browser.submit("/inbox/tickets/1/notes", 400, kind="note", body=" ").text
    browser.submit("/inbox/tickets/1/notes", kind="note", body="<b>uno</b>\r\ndos")
    api.post("tickets/1/notes", data={"body": "x"}, files=[("attachments[]", ("<i>.txt", b"abc", "text/plain"))])
    page = browser.submit("/inbox/tickets/1/notes", kind="reply", body="hola").text
    for text in ("Nota privada", "Respuesta", "&lt;b&gt;uno&lt;/b&gt;<br>dos", "&lt;i&gt;.txt"):
        assert text in page
    assert [note["body_text"] for note in freshdesk.notes(1)] == ["<b>uno</b>\ndos", "x"]
    assert [entry["source"] for entry in api.get("tickets/1/conversations").json()] == [2, 2, 0]


def test_pictures_are_shown_and_other_files_are_saved(browser: Browser, api: Api, freshdesk: LocalFreshdesk) -> None:
    """A page or an SVG of a person would run with the rights of the stand-in's own pages."""
    api.create()
    kinds = {"a.png": "image/png", "b.svg": "image/svg+xml", "c.html": "text/html", "d.pdf": "application/pdf"}
    files = [("attachments[]", (name, b"<script>", kind)) for name, kind in kinds.items()]
    first, *others = api.post("tickets/1/notes", data={"body": "x"}, files=files).json()["attachments"]
    page = browser.see("/inbox/tickets/1")
    assert page.count("<img src=") == 1
    assert f'<img src="/attachments/{first["id"]}" alt="" loading="lazy">' in page
    shown = browser.get(first["attachment_url"], timeout=5)
    assert (shown.headers["Content-Type"], shown.content) == ("image/png", b"<script>")
    assert "attachment" not in shown.headers.get("Content-Disposition", "")
    for one in others:
        assert f'<a href="/attachments/{one["id"]}">' in page
        saved = browser.get(one["attachment_url"], timeout=5)
        assert (saved.headers["Content-Type"], saved.headers["X-Content-Type-Options"]) == (
            *("application/octet-stream", "nosniff"),
        )
        assert saved.headers["Content-Disposition"].startswith("attachment")
    for unknown in ("1", str(2**63)):
        assert browser.get(f"{freshdesk.url}/attachments/{unknown}", timeout=5).status_code == 404


def test_a_ticket_moves_between_boxes(browser: Browser, api: Api) -> None:
    """Into spam, into the bin, and back."""
    api.create()
    assert "está en Spam" in browser.submit("/inbox/tickets/1/box", box="spam").text
    assert shown(browser.see("/?box=spam")) == [1]
    assert "está en Eliminados" in browser.submit("/inbox/tickets/1/box", box="deleted").text
    assert shown(browser.see("/?box=deleted")) == [1]
    browser.submit("/inbox/tickets/1/box", box="")
    assert shown(browser.see("/")) == [1]
    assert "Esta carpeta está vacía" in browser.see("/?box=spam")


def test_freshdesks_own_address_leads_to_the_ticket(browser: Browser, api: Api) -> None:
    """/a/tickets/1 is what the function answers as `ticket_url`."""
    api.create()
    assert "Propiedades" in browser.see("/a/tickets/1")


@pytest.mark.parametrize("path", ["/inbox/tickets/99", f"/inbox/tickets/{10**20}", "/nada", "/chat/none"])
def test_an_unknown_address_gets_a_page(browser: Browser, path: str) -> None:
    """With a way back."""
    assert "Volver a la bandeja" in browser.see(path, 404)


def test_everything_a_person_typed_is_text(browser: Browser, api: Api) -> None:
    """Subject, name, tags and custom fields: markup shows as text, a direction override is taken out."""
    fields = {"cf_referencia": HOSTILE}
    api.create(subject=HOSTILE, name=HOSTILE, tags=["<b>x</b>", "bot:<i>"], custom_fields=fields, type="Consulta")
    for path in ("/", "/inbox/tickets/1", "/?q=script"):
        page = browser.see(path)
        assert INERT in page
        assert not re.search("<script>alert|<img src=x|\u202e|<b>x</b>", page)


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
        ("<div id='contenido' class='banner'>x</div>", "banner"),
        ("<bdo dir=rtl>abc</bdo>", "<bdo"),
        ("abc\u202edef", "\u202e"),
    ],
)
def test_a_description_is_shown_without_anything_active(browser: Browser, api: Api, markup: str, gone: str) -> None:
    """The API keeps it as it came; the page shows an allow-list of it, headings and tables among it."""
    api.create(
        description=f"{markup}<h3>Resumen</h3><p>uno<br>dos</p><table><tbody><tr><th>Bot</th></tr></tbody></table>"
    )
    body = browser.see("/inbox/tickets/1").partition('id="descripcion"')[2].partition("</article>")[0]
    assert gone not in body
    assert "<h3>Resumen</h3><p>uno<br>dos</p><table><tbody><tr><th>Bot</th></tr></tbody></table>" in body
    assert markup in api.get("tickets/1").json()["description"]


def test_pages_may_run_only_their_own_script(freshdesk: LocalFreshdesk) -> None:
    """A strict policy, no sniffing, no copy kept; nothing comes from elsewhere."""
    answer = requests.get(freshdesk.url, timeout=5)
    policy = answer.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"]) == ("nosniff", "no-store")
    assert not re.search(r'(?:src|href)="(?:https?:)?//|<script(?! src=)|\son\w+=|style=', answer.text)


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}]
)
@pytest.mark.parametrize("path", ["/weather", "/chat", "/inbox/tickets/1", "/inbox/tickets/1/box"])
def test_another_site_can_change_nothing(api: Api, browser: Browser, path: str, headers: dict[str, str]) -> None:
    """Its form is refused; the same form of this site works."""
    api.create()
    url, fields = api.freshdesk.url, {"weather": "down", "box": "deleted", "status": "5"}
    assert browser.post(url + path, data=fields, headers=headers, timeout=5).status_code == 403
    assert (api.freshdesk.helpdesk.faults.now, api.freshdesk.tickets()[0]["status"]) == (Fault(), 2)
    own = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    assert browser.post(f"{url}/weather", data={"weather": "down"}, headers=own, timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"weather": "slow", "seconds": "1,5", "times": "2"}, Fault(name="slow", seconds=1.5, times=2)),
        ({"weather": "answer-lost"}, Fault(name="answer-lost", only="create")),
        ({"weather": "answer-lost", "only": "all"}, Fault(name="answer-lost")),
        ({"weather": "rate-limited"}, Fault(name="rate-limited", seconds=5.0, times=1)),
        ({"weather": "rate-limited", "times": "always"}, Fault(name="rate-limited", seconds=5.0)),
        ({"weather": "down"}, Fault(name="down")),
    ],
)
def test_a_weather_card_does_what_it_says(
    browser: Browser, freshdesk: LocalFreshdesk, fields: dict[str, str], fault: Fault
) -> None:
    """A card alone sets the times and the requests of its text; what is chosen beside it wins. Every page shows it."""
    page = browser.submit("/weather", **{"times": "", "only": "", "seconds": "", **fields}).text
    assert freshdesk.helpdesk.faults.now == fault
    assert re.search(rf'value="{fault.name}"\s+aria-pressed="true"', page)
    times = {1: " · 1 vez<", 2: " · 2 veces<"}.get(fault.times or 0, "<")
    assert re.search(f'id="sky".*?{times}', browser.see("/"), re.DOTALL)


@pytest.mark.parametrize(
    "fields", [{"weather": "hail"}, {"weather": "slow", "seconds": "x"}, {"weather": "slow", "times": "x"}]
)
def test_a_weather_that_does_not_exist_is_named(
    browser: Browser, freshdesk: LocalFreshdesk, fields: dict[str, str]
) -> None:
    """400 with a sentence; nothing changes."""
    assert "Ese clima no existe" in browser.submit("/weather", 400, **fields).text
    assert freshdesk.helpdesk.faults.now == Fault()
