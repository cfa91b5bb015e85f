"""Pure: the HTML of a ticket as plain text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

_STARTS: Final = {"br": "\n", "p": "\n", "table": "\n", "tr": "\n", "td": "\t"}
_BLANK_LINES: Final = re.compile(r"\n{3,}")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 -- the parser's signature
        self.parts.append(_STARTS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self.parts.append("\n" if tag in {"p", "table"} else "")

    def handle_data(self, data: str) -> None:
        self.parts.append(data.strip("\n"))


def plain_text(html: str) -> str:
    r"""Return the text of html: one line for each break and table row, with cells in columns.

    >>> plain_text("<p>uno<br>dos &lt;3</p><table><tr><td><b>Bot</b></td><td>Betsur</td></tr></table>")
    'uno\ndos <3\n\nBot: Betsur'
    """
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (line.strip("\t ").replace("\t", ": ") for line in "".join(parser.parts).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()
