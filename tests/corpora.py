"""The hostile corpora of `tests/data/corpus/`, and what an agent's browser would make of a description."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parent / "data" / "corpus"
XSS: Final = tuple((CORPUS / "xss.txt").read_text(encoding="utf-8").splitlines())
TEXTS: Final[dict[str, str]] = json.loads((CORPUS / "texts.json").read_text(encoding="utf-8"))
JSON_FILES: Final = tuple(sorted((CORPUS / "json").iterdir()))


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
