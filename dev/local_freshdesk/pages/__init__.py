"""The pages of the stand-in: inbox, ticket, chat, weather. Server-rendered; they work without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from flask import Flask, abort, render_template, request

from dev.local_freshdesk.pages import texts
from dev.local_freshdesk.pages.chat import Chats
from dev.local_freshdesk.pages.inbox import Inbox
from dev.local_freshdesk.pages.weather import WEATHERS, WeatherPage

if TYPE_CHECKING:
    from flask import Response

    from dev.local_freshdesk.bot import Bots
    from dev.local_freshdesk.helpdesk import HelpDesk

_CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FILTERS: Final = (texts.inert, texts.plain, texts.subject, texts.warning, texts.initials, texts.iso, texts.local)


def make_pages(helpdesk: HelpDesk, bots: Bots | None) -> Flask:
    """Return the pages of a help desk as a Flask application; without `bots` the chat says that it has no function."""
    app = Flask("dev.local_freshdesk", template_folder="templates", static_folder="static")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update({show.__name__: show for show in _FILTERS})
    app.jinja_env.globals.update(words=texts, weathers=WEATHERS, link=_link, account=helpdesk.account)
    app.before_request(_refuse_other_sites)
    app.after_request(_secure)
    app.context_processor(lambda: {"now": helpdesk.clock(), "weather": helpdesk.faults.now})
    for page in (Inbox(helpdesk), WeatherPage(helpdesk), Chats(bots)):
        page.add_to(app)
    app.register_error_handler(404, lambda _error: (render_template("not_found.html"), 404))
    return app


def _link(page: int) -> str:
    """Return this address, at another page."""
    return f"/?{urlencode({**request.args, 'page': page})}"


def _refuse_other_sites() -> None:
    """Answer 403 to a form of another site: browsers name the origin of every POST."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    origin = request.headers.get("Origin")
    other_origin = origin is not None and urlsplit(origin).netloc != request.host
    other_site = request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}
    if other_origin or other_site:
        abort(403)


def _secure(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response
