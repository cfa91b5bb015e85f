"""A newcomer's first minutes, in headless Chromium, with the real function and the real card."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import requests
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, sync_playwright

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.bot import ROOT, Bots
from dev.local_freshdesk.children import Child, end_all
from tests.serving import free_port

pytestmark = pytest.mark.browser

HOSTILE = '<script>document.title="PWNED"</script> <img src=x onerror="document.title=1"> \u202egnp.exe 👩‍👩‍👧 fin'
SHOWN = '<script>document.title="PWNED"</script> <img src=x onerror="document.title=1"> gnp.exe 👩‍👩‍👧 fin'
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFreshdesk]:
    """Give a desk whose chat talks to the real function, which talks to the desk."""
    folder = tmp_path_factory.mktemp("function")
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with LocalFreshdesk(bots=Bots.found_here(url, "local-secret")) as running:
        endpoint = started(running, port, folder)
        try:
            yield running
        finally:
            end_all([endpoint])


def started(desk: LocalFreshdesk, port: int, folder: Path) -> Child:
    """The function under functions-framework, answering."""
    env = {
        **os.environ,
        "FRESHDESK_URL": desk.url,
        "FRESHDESK_API_KEY": "local-freshdesk-key",
        "WEBHOOK_SECRET": "local-secret",
        "LEDGER_URL": f"sqlite:///{folder / 'handoffs.db'}",
        "THREADS": "8",
    }
    command = [sys.executable, "-m", "functions_framework", "--source", "main.py", "--target", "create_ticket"]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    child = Child.start("function", [*command, *address], cwd=ROOT, env=env, logs=folder)
    until = time.monotonic() + 40
    while True:
        child.must_live()
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
        except requests.ConnectionError:
            assert time.monotonic() < until, child.log.read_text()
            time.sleep(0.05)
        else:
            return child


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Give the machine's Chromium."""
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    assert path, "Chromium is needed for tests marked browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, desk: LocalFreshdesk) -> Iterator[Page]:
    """Give a page on the desk, which must not run, ask or complain of anything but its own."""
    context = chromium.new_context(base_url=desk.url, viewport={"width": 1200, "height": 800}, locale="es-AR")
    faults: list[str] = []
    asked: list[str] = []
    page = context.new_page()

    def heard(message: ConsoleMessage) -> None:
        faults.extend([message.text] if message.type == "error" else [])

    def asked_by_script(dialog: Dialog) -> None:
        faults.append("dialog")
        dialog.dismiss()

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", heard)
    page.on("dialog", asked_by_script)
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert faults == []
    assert [url for url in asked if not url.startswith(desk.url)] == []


def send(page: Page, **fields: str) -> None:
    """Fill the Contacto node and send it."""
    page.goto("/chat?bot=betsur")
    page.select_option("#category", fields.pop("category", "retiros"))
    typed = {"user_name": "Ana Núñez", "user_email": "ana@example.com", "reason": "No llega", **fields}
    for name, value in typed.items():
        page.fill(f"#{name}", value)
    page.get_by_role("button", name="Pasar al equipo").click()
    page.wait_for_selector(".trace", timeout=60_000)


def test_hostile_words_arrive_as_text(page: Page, desk: LocalFreshdesk) -> None:
    """Sent in the chat, found in the inbox, opened: every sign is there to read, and nothing ran."""
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
    assert len(desk.tickets()) >= 1


def test_sending_the_same_again_stays_one_ticket(page: Page, desk: LocalFreshdesk) -> None:
    """The button answers with the same ticket."""
    send(page, user_email="again@example.com", conversation_summary="Dos veces")
    page.get_by_role("button", name="Reenviar lo mismo").click()
    page.wait_for_selector(".bubble-note")
    assert page.locator(".trace .code").all_inner_texts() == ["201", "200"]
    links = page.locator(".trace a").all_inner_texts()
    assert links[0] == links[1]
    assert len([made for made in desk.tickets() if "Dos veces" in made["description_text"]]) == 1


def test_wrong_address_is_asked_again(page: Page) -> None:
    """The field is marked, and the correction goes through."""
    send(page, user_email="nope", conversation_summary="Corrige su correo")
    assert page.get_attribute("#user_email", "aria-invalid") == "true"
    page.fill("#user_email", "ok@example.com")
    page.get_by_role("button", name="Pasar al equipo").click()
    page.wait_for_function("document.querySelectorAll('.trace').length === 2")
    assert page.locator(".trace .code").all_inner_texts() == ["422", "201"]


def test_lost_answer_is_found_again(page: Page, desk: LocalFreshdesk) -> None:
    """In the weather that loses answers the person gets the number all the same, of the one ticket."""
    page.goto("/weather")
    page.get_by_role("button", name="Respuesta perdida").click()
    page.wait_for_selector("#sky.tricky")
    send(page, user_email="lost@example.com", conversation_summary="Se pierde la respuesta")
    assert page.inner_text(".trace").startswith("201")
    assert len([made for made in desk.tickets() if "Se pierde la respuesta" in made["description_text"]]) == 1
    desk.weather("healthy")


def test_a_limit_that_passes_costs_a_wait(page: Page, desk: LocalFreshdesk) -> None:
    """In the weather of the limit, as its card gives it, the person waits and gets the number."""
    page.goto("/weather")
    page.fill("#seconds", "1")
    page.get_by_role("button", name="Límite alcanzado").click()
    page.wait_for_selector("#sky.uneasy")
    send(page, user_email="limite@example.com", conversation_summary="Espera el límite")
    assert page.inner_text(".trace").startswith("201")
    assert desk.desk.sky.now().name == "healthy"


def test_inbox_refreshes_by_itself(page: Page) -> None:
    """A ticket that arrives while the inbox is open appears in it."""
    page.goto("/?q=refresca@example.com")
    assert page.locator(".tickets").count() == 0
    with page.context.new_page() as other:
        send(other, user_email="refresca@example.com", conversation_summary="Aparece solo")
    page.wait_for_selector(".tickets tbody tr", timeout=15_000)


def test_keyboard_reaches_everything(page: Page) -> None:
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


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("path", ["/", "/chat", "/weather", "/inbox/tickets/1"])
def test_no_page_is_wider_than_its_window(page: Page, desk: LocalFreshdesk, path: str, width: int) -> None:
    """Nothing has to be scrolled sideways, on a phone or a desk."""
    if not desk.tickets():
        send(page, conversation_summary="palabra" * 60)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/chat?example=0", "/weather", "/inbox/tickets/1"])
def test_text_can_be_read_on_its_ground(
    chromium: Browser, desk: LocalFreshdesk, path: str, scheme: Literal["light", "dark"]
) -> None:
    """Every visible text has a contrast of at least 4.5:1, in light and dark."""
    context = chromium.new_context(base_url=desk.url, color_scheme=scheme)
    page = context.new_page()
    if not desk.tickets():
        send(page, conversation_summary="Contraste")
    page.goto(path)
    assert page.evaluate(CONTRAST) == []
    context.close()


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


def test_pages_work_without_scripts(chromium: Browser, desk: LocalFreshdesk) -> None:
    """Chat, inbox and ticket, with JavaScript off."""
    context = chromium.new_context(base_url=desk.url, java_script_enabled=False)
    page = context.new_page()
    send(page, user_email="sin@example.com", conversation_summary="Sin scripts")
    page.get_by_role("link", name="Ver el ticket").click()
    assert "Sin scripts" in page.inner_text("#descripcion")
    context.close()


def test_page_says_where_the_card_ran(page: Page) -> None:
    """Before it is sent and after."""
    page.goto("/chat")
    has_node = shutil.which("node")
    assert ("corre en Node" if has_node else "desde Python") in page.inner_text("main")
    send(page, user_email="node@example.com", conversation_summary="Dónde corre")
    assert ("La tarjeta corrió en Node" if has_node else "Salió desde Python") in page.inner_text(".trace")
