"""A browser without scripts, and words that mean harm."""

from __future__ import annotations

import requests

from dev.local_freshdesk import LocalFreshdesk

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(1)">\u202egnp.exe 👩‍👩‍👧'
INERT = "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&#34;alert(1)&#34;&gt;gnp.exe 👩‍👩‍👧"


class Browser(requests.Session):
    """A browser without scripts: paths only, HTML wanted."""

    def __init__(self, desk: LocalFreshdesk) -> None:
        super().__init__()
        self.trust_env = False
        self._desk = desk
        self.headers.update({"Accept": "text/html"})

    def see(self, path: str, status: int = 200) -> str:
        """The page at a path."""
        told = self.get(self._desk.url + path, timeout=10)
        assert told.status_code == status, told.text
        return told.text

    def submit(self, path: str, expected: int = 200, /, **fields: str) -> requests.Response:
        """Send a form and follow where it leads."""
        told = self.post(self._desk.url + path, data=fields, timeout=10)
        assert told.status_code == expected, told.text
        return told
