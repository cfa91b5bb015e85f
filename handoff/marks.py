"""Pure: the reference as a ticket carries it: at the end of the subject, and as the last line of the description.

What cuts the one usually leaves the other. A mark anywhere else is somebody's text.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final
from unicodedata import category, normalize

from freshdesk_client import Listed

_REFERENCE: Final = r"BF-[A-Z0-9]{8}"
_TYPED: Final = re.compile(rf"\[\s*({_REFERENCE})\s*\]", re.IGNORECASE)
_DASHES: Final = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
# Rules append words in brackets or a number ("[Ticket #7]", "(VIP)", "#7"); a person wrote plain words after a mark.
_APPENDED: Final = r"(?:\[(?!BF-)[^\[\]]{1,40}\]|\([^()\[\]]{1,40}\)|#[0-9]{1,12}|[.\"'»”>)])"
_SUBJECT_END: Final = re.compile(rf"\[({_REFERENCE})\]{_APPENDED}{{0,3}}\Z")
_LAST_LINE: Final = re.compile(rf"(?:REFERENCIA:)?\[({_REFERENCE})\]")
_ESCAPES: Final = 3  # how often a text may have been escaped again
_END_MAX: Final = 600  # of a subject: escapes may make it longer than it was


def mark(reference: str) -> str:
    """Return the reference as a ticket shows it.

    >>> mark("BF-7K3QX2AB")
    '[BF-7K3QX2AB]'
    """
    return f"[{reference}]"


def without_marks(text: str) -> str:
    """Return text with round brackets around every reference that a person typed like a mark.

    >>> without_marks("por [BF-7K3QX2AB], otra vez")
    'por (BF-7K3QX2AB), otra vez'
    """
    return _TYPED.sub(r"(\1)", text)


def with_mark(html: str, reference: str) -> str:
    """Return a description with the reference as its last line."""
    return f"{html.rstrip()}\n<p>{mark(reference)}</p>\n"


def reference_of(row: Listed) -> str:
    """Return the reference in one of its two places in a ticket, or "".

    The subject's end comes first: in a ticket of ours no person's text stands there as a mark, because of
    `without_marks`. Case, escapes, spaces, dashes and what rules append to a subject do not matter.

    >>> reference_of(Listed(7, "retiros: no llegó &#91;bf-7k3qx2ab&#93; (VIP)", 0.0, 2))
    'BF-7K3QX2AB'
    >>> reference_of(Listed(7, "Mi caso [BF-7K3QX2AB] sigue igual", 0.0, 2))
    ''
    """
    found = _SUBJECT_END.search(_plain(row.subject[-_END_MAX:])) or _LAST_LINE.fullmatch(_plain(row.last_line))
    return found[1] if found else ""


def _plain(text: str) -> str:
    """Return text without escapes, spaces, invisible characters and differences of case and form."""
    for _ in range(_ESCAPES):
        text = unescape(text)
    visible = (letter for letter in normalize("NFKC", text) if not letter.isspace() and category(letter) != "Cf")
    return "".join(visible).replace("\\", "").translate(_DASHES).upper()
