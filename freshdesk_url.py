"""Pure: which addresses may be Freshdesk's. A secret is sent to no other (OWASP API7)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.freshdesk\.com")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def is_freshdesk_url(url: str) -> bool:
    """Tell whether url is the address of a Freshdesk account, or of a stand-in on loopback.

    Only `https://<name>.freshdesk.com` answers API calls; a name that merely contains it is somebody else.

    >>> is_freshdesk_url("https://betsur.freshdesk.com"), is_freshdesk_url("https://freshdesk.com.example.org")
    (True, False)
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        return False
    if host in _LOOPBACK:
        return parts.scheme in {"http", "https"}
    return parts.scheme == "https" and port is None and _HOST.fullmatch(host) is not None


def is_loopback(url: str) -> bool:
    """Tell whether url points to this machine."""
    return urlsplit(url).hostname in _LOOPBACK
