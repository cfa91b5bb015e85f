"""A newcomer's first minutes, in headless Chromium, with the real function and the real card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.bot import Bots
from dev.local_freshdesk.faults import Fault
from tests.factories import API_KEY, SECRET
from tests.serving import free_port, serve

pytestmark = pytest.mark.browser

HOSTILE = '<script>document.title="PWNED"</script> <img src=x onerror="document.title=1"> \u202egnp.exe 👩‍👩‍👧 fin'
SHOWN = '<script>document.title="PWNED"</script> <img src=x onerror="document.title=1"> gnp.exe 👩‍👩‍👧 fin'
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data] }
  const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const ground = (node) => { const over = []
    for (let at = node; at; at = at.parentElement) { const c = rgba(getComputedStyle(at).backgroundColor)
      if (c[3] === 255) { over.push(c); break } if (c[3]) over.push(c) }
    return over.reverse().reduce((b, c) => b.map((v, i) => v + (c[i] - v) * c[3] / 255), [255, 255, 255]) }
  const poor = []
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) { const node = walk.currentNode.parentElement
    if (!walk.currentNode.textContent.trim() || !node.checkVisibility() || node.closest('.vh, .skip, option')) continue
    const [a, b] = [light(rgba(getComputedStyle(node).color)), light(ground(node))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (ratio < 4.5) poor.push(`${walk.currentNode.textContent.trim()}: ${ratio.toFixed(2)}`) }
  return poor
}"""


@pytest.fixture(scope="module")
def freshdesk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFreshdesk]:
    """Return a stand-in whose chat talks to the real function, which talks to the stand-in."""
    port = free_port()
    with (
        serve(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("function")) as served,
        LocalFreshdesk(port, api_key=API_KEY, bots=Bots.found_here(f"{served.url}/", SECRET)) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return the machine's Chromium."""
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    assert path, "Chromium is needed for tests marked browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, freshdesk: LocalFreshdesk) -> Iterator[Page]:
    """Return a page on the stand-in, which must not run, ask or complain of anything but its own."""
    context = chromium.new_context(base_url=freshdesk.url, viewport={"width": 1200, "height": 800}, locale="es-AR")
    faults: list[str] = []
    asked: list[str] = []
    page = context.new_page()

    def dismiss(dialog: Dialog) -> None:
        faults.append("dialog")
        dialog.dismiss()

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda entry: faults.extend([entry.text] if entry.type == "error" else []))
    page.on("dialog", dismiss)
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert faults == []
    assert [url for url in asked if not url.startswith(freshdesk.url)] == []


def send(page: Page, **fields: str) -> None:
    """Fill the Contacto node and send it."""
    page.goto("/chat?bot=betsur")
    page.select_option("#category", fields.pop("category", "retiros"))
    typed = {"user_name": "Ana Núñez", "user_email": "ana@example.com", "reason": "No llega", **fields}
    for name, value in typed.items():
        page.fill(f"#{name}", value)
    page.get_by_role("button", name="Pasar al equipo").click()
    page.wait_for_selector(".trace", timeout=60_000)


def test_hostile_words_arrive_as_text(page: Page) -> None:
    """Sent in the chat, found in the inbox, opened: every character is there to read, and nothing ran."""
    send(page, user_email="evil@example.com", conversation_summary=HOSTILE, reason="<b>urgente</b>")
    assert page.inner_text(".trace .code") == "201"
    page.goto("/?q=evil@example.com")
    row = page.locator(".tickets tbody tr")
    assert "<b>urgente</b>" in row.inner_text()
    assert "Retiros" in row.locator(".group").inner_text()
    row.get_by_role("link").click()
    page.wait_for_url("**/inbox/tickets/*")
    assert SHOWN in page.inner_text("#descripcion")
    assert page.locator("#descripcion script, #descripcion img, #descripcion [onerror]").count() == 0
    assert "PWNED" not in page.title()


def test_sending_the_same_again_stays_one_ticket(page: Page, freshdesk: LocalFreshdesk) -> None:
    """The button answers with the same ticket."""
    send(page, user_email="again@example.com", conversation_summary="Dos veces")
    page.get_by_role("button", name="Reenviar lo mismo").click()
    page.wait_for_selector(".bubble-note")
    assert page.locator(".trace .code").all_inner_texts() == ["201", "200"]
    links = page.locator(".trace a").all_inner_texts()
    assert links[0] == links[1]
    assert len([made for made in freshdesk.tickets() if "Dos veces" in made["description_text"]]) == 1


def test_a_wrong_address_is_asked_again(page: Page) -> None:
    """The field is marked, and the correction goes through."""
    send(page, user_email="nope", conversation_summary="Corrige su correo")
    assert page.get_attribute("#user_email", "aria-invalid") == "true"
    page.fill("#user_email", "ok@example.com")
    page.get_by_role("button", name="Pasar al equipo").click()
    page.wait_for_function("document.querySelectorAll('.trace').length === 2")
    assert page.locator(".trace .code").all_inner_texts() == ["422", "201"]


def test_a_lost_answer_is_found_again(page: Page, freshdesk: LocalFreshdesk) -> None:
    """Where answers get lost the person gets the number all the same, of the one ticket."""
    page.goto("/weather")
    page.get_by_role("button", name="Respuesta perdida").click()
    page.wait_for_selector("#sky.tricky")
    send(page, user_email="lost@example.com", conversation_summary="Se pierde la respuesta")
    assert page.inner_text(".trace").startswith("201")
    assert len([made for made in freshdesk.tickets() if "Se pierde la respuesta" in made["description_text"]]) == 1
    freshdesk.weather("healthy")


def test_a_limit_that_passes_costs_a_wait(page: Page, freshdesk: LocalFreshdesk) -> None:
    """Where the limit is reached, as its card sets it, the person waits and gets the number."""
    page.goto("/weather")
    page.fill("#seconds", "1")
    page.get_by_role("button", name="Límite alcanzado").click()
    page.wait_for_selector("#sky.uneasy")
    send(page, user_email="limite@example.com", conversation_summary="Espera el límite")
    assert page.inner_text(".trace").startswith("201")
    assert freshdesk.helpdesk.faults.now == Fault()


def test_the_inbox_refreshes_by_itself(page: Page) -> None:
    """A ticket that arrives while the inbox is open appears in it."""
    page.goto("/?q=refresca@example.com")
    assert page.locator(".tickets").count() == 0
    with page.context.new_page() as other:
        send(other, user_email="refresca@example.com", conversation_summary="Aparece solo")
    page.wait_for_selector(".tickets tbody tr", timeout=15_000)


def test_the_keyboard_reaches_everything(page: Page) -> None:
    """The first tab stop skips to the content; a ticket opens with Enter."""
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "contenido"
    send(page, user_email="teclado@example.com", conversation_summary="Con el teclado")
    page.goto("/?q=teclado@example.com")
    page.focus(".subject")
    page.keyboard.press("Enter")
    page.wait_for_url("**/inbox/tickets/*")


@pytest.mark.parametrize("path", ["/", "/chat?example=0", "/weather", "/inbox/tickets/1"])
def test_every_page_fits_its_window_and_can_be_read(chromium: Browser, freshdesk: LocalFreshdesk, path: str) -> None:
    """Nothing is scrolled sideways, and every visible text has a contrast of at least 4.5:1, in light and dark."""
    with chromium.new_context(base_url=freshdesk.url) as context:
        page = context.new_page()
        if not freshdesk.tickets():
            send(page, conversation_summary="palabra" * 60)
        page.goto(path)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(CONTRAST) == []
        for width in (360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pages_work_without_scripts(chromium: Browser, freshdesk: LocalFreshdesk) -> None:
    """Chat, inbox and ticket, with JavaScript off."""
    with chromium.new_context(base_url=freshdesk.url, java_script_enabled=False) as context:
        page = context.new_page()
        send(page, user_email="sin@example.com", conversation_summary="Sin scripts")
        page.get_by_role("link", name="Ver el ticket").click()
        assert "Sin scripts" in page.inner_text("#descripcion")


def test_the_page_says_where_the_card_ran(page: Page) -> None:
    """Before it is sent and after."""
    page.goto("/chat")
    has_node = shutil.which("node")
    assert ("corre en Node" if has_node else "desde Python") in page.inner_text("main")
    send(page, user_email="node@example.com", conversation_summary="Dónde corre")
    assert ("La tarjeta corrió en Node" if has_node else "Salió desde Python") in page.inner_text(".trace")
