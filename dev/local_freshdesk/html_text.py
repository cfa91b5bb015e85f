"""HTML as Freshdesk treats it: wrapped in a div, told again as text, and shown to an agent without its teeth."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

import nh3

_LINE_ENDS: Final = frozenset({"p", "div", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "pre"})
_SILENT: Final = frozenset({"script", "style"})
_SHOWN_TAGS: Final = {
    *("a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p"),
    *(
        "pre",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "u",
        "ul",
    ),
}
_SHOWN_ATTRIBUTES: Final = {
    "a": {"href"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
# A character that turns the direction of what follows can make text read as something else.
_BIDI_CONTROLS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class _TextOf(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base's shape
        self._silent += tag in _SILENT
        if tag == "br":
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)
        if tag in _LINE_ENDS:
            self.parts.append("\n")
        if tag in {"td", "th"}:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def as_stored(markup: str) -> str:
    """The description as Freshdesk keeps it: inside one div.

    >>> as_stored("hola")
    '<div>hola</div>'
    """
    return markup if markup.startswith("<div") else f"<div>{markup}</div>"


def as_text(markup: str) -> str:
    r"""The text of some HTML, `<br>` told as a newline.

    >>> as_text("<div>uno<br>dos &amp; tres</div>")
    'uno\ndos & tres'
    """
    parser = _TextOf()
    parser.feed(markup)
    parser.close()
    lines = (line.rstrip() for line in "".join(parser.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def as_inert(markup: str) -> str:
    """HTML for an agent's eyes: an allow-list of tags, no scripts, pictures, styles or direction tricks."""
    shown = nh3.clean(
        _BIDI_CONTROLS.sub("", markup),
        tags=_SHOWN_TAGS,
        attributes=_SHOWN_ATTRIBUTES,
        url_schemes={"https", "http", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return str(shown)


def without_direction_tricks(text: str) -> str:
    """Plain text without the characters that turn its direction."""
    return _BIDI_CONTROLS.sub("", text)
