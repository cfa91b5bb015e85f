"""The hostile corpora of `tests/data/corpus/`, and what an agent's browser would make of a description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parent / "data" / "corpus"
XSS: Final = tuple((CORPUS / "xss.txt").read_text(encoding="utf-8").splitlines())
TEXTS: Final[dict[str, str]] = json.loads((CORPUS / "texts.json").read_text(encoding="utf-8"))


def _json_bodies() -> Iterator[tuple[str, bytes]]:
    """Yield each body's name and bytes: in the file a character is a byte, and [text, times] is text repeated."""
    for line in (CORPUS / "json.jsonl").read_text(encoding="ascii").splitlines():
        case = json.loads(line)
        parts = (part if isinstance(part, str) else part[0] * part[1] for part in case["latin-1"])
        yield case["name"], "".join(parts).encode("latin-1")


JSON_BODIES: Final = dict(_json_bodies())


class Page(HTMLParser):
    """Reads HTML as a browser does: `tags` with their attributes, `<br>` aside, and `text` with its line breaks."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        if tag == "br":
            self.text += "\n"
        else:
            self.tags.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data
