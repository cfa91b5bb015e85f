"""The pages of the stand-in: inbox, ticket, chat, weather. Server-rendered; they work without scripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from flask import Flask, abort, render_template, request
from markupsafe import Markup, escape

from dev.local_freshdesk.checks import epoch
from dev.local_freshdesk.html_text import as_inert, without_direction_tricks
from dev.local_freshdesk.pages import words
from dev.local_freshdesk.pages.chat import Chats
from dev.local_freshdesk.pages.inbox import Inbox
from dev.local_freshdesk.pages.weather_panel import WEATHERS, WeatherPanel

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

    from dev.local_freshdesk.bot import Bots
    from dev.local_freshdesk.desk import HelpDesk

_CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_REFERENCE: Final = re.compile(r"(\[BF-[A-Z0-9]+\])")
_UNBROKEN: Final = Markup('<span class="ref">{}</span>')
_HEADERS: Final = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def make_pages(desk: HelpDesk, bots: Bots | None) -> Flask:
    """The pages of a desk as a Flask application; without `bots` the chat says that it has no function."""
    app = Flask("dev.local_freshdesk", template_folder="templates", static_folder="static")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(_FILTERS)
    app.jinja_env.globals.update(words=words, weathers=WEATHERS, link=_link)
    app.before_request(_refuse_other_sites)
    app.after_request(_secure)
    app.context_processor(lambda: _shared(desk))
    for page in (Inbox(desk), WeatherPanel(desk), Chats(desk, bots)):
        page.add_to(app)
    app.register_error_handler(404, _not_found)
    return app


def _plain(text: Any) -> str:
    return "" if text is None else without_direction_tricks(str(text))


def _subject(text: Any) -> Markup:
    """A subject whose reference never breaks over two lines."""
    parts = _REFERENCE.split(_plain(text))
    kept = (
        Markup('<span class="ref">{}</span>').format(part) if n % 2 else escape(part) for n, part in enumerate(parts)
    )
    return Markup("").join(kept)


def _warning(warning: Any) -> str:
    """One of the answer's warnings: a text, or an object that explains itself."""
    if isinstance(warning, dict):
        return " · ".join(str(value) for value in warning.values() if value)
    return str(warning)


def _link(page: int) -> str:
    """This address, at another page."""
    return f"/?{urlencode({**request.args, 'page': page})}"


_FILTERS: Final = {
    "inert": as_inert,
    "plain": _plain,
    "subject": _subject,
    "initials": words.initials,
    "told": _warning,
    "iso": words.iso,
    "local": words.local,
    "moment": lambda text: words.local(epoch(text)),
}


def _shared(desk: HelpDesk) -> dict[str, Any]:
    return {"now": desk.clock(), "sky": desk.sky.now(), "account": desk.account}


def _refuse_other_sites() -> None:
    """A form of another site may change nothing here: browsers name the origin of every POST."""
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


def _not_found(_error: Exception) -> ResponseReturnValue:
    return render_template("not_found.html"), 404
