"""How the pages show texts and times: HTML without anything active, Spanish words, ages, initials."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import nh3
from markupsafe import Markup, escape

STATUSES: Final = {
    2: "Abierto",
    3: "Pendiente",
    4: "Resuelto",
    5: "Cerrado",
    6: "Esperando al cliente",
    7: "Esperando a un tercero",
}
PRIORITIES: Final = {4: "Urgente", 3: "Alta", 2: "Media", 1: "Baja"}
PRIORITY_WORDS: Final = {"urgent": "Urgente", "high": "Alta", "medium": "Media", "low": "Baja"}
OUTCOMES: Final = {"created": "creado", "duplicate": "ya estaba", "queued": "en camino", "failed": "falló"}
SOURCES: Final = {1: "Correo", 2: "Portal", 3: "Teléfono", 9: "Formulario", 15: "Chat web"}
BOXES: Final = {"": "Todos", "spam": "Spam", "deleted": "Eliminados"}

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_REFERENCE: Final = re.compile(r"(\[BF-[A-Z0-9]+\])")
# A character that turns the direction of what follows can make text read as something else.
_BIDI_CONTROLS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# nh3's own list of tags without those that load a file or turn the direction.
_SHOWN_TAGS: Final = nh3.ALLOWED_TAGS - {"area", "bdo", "img", "map"}


def inert(markup: str) -> str:
    """Return HTML that is safe to show: an allow-list of tags; no scripts, pictures, styles or direction controls."""
    return nh3.clean(_BIDI_CONTROLS.sub("", markup), tags=_SHOWN_TAGS, url_schemes={"https", "http", "mailto"})


def plain(text: Any) -> str:
    """Return a text without direction controls; "" for None."""
    return "" if text is None else _BIDI_CONTROLS.sub("", str(text))


def subject(text: Any) -> Markup:
    """Return a subject whose reference never breaks over two lines."""
    span = Markup('<span class="ref">{}</span>')
    parts = enumerate(_REFERENCE.split(plain(text)))
    return Markup("").join(span.format(part) if number % 2 else escape(part) for number, part in parts)


def warning(found: Any) -> str:
    """Return one of the answer's warnings as a text; it may be an object that explains itself."""
    return " · ".join(str(value) for value in found.values() if value) if isinstance(found, dict) else str(found)


def age(seconds: float) -> str:
    """Return how long ago, for a person.

    >>> age(5), age(200), age(7300), age(90000), age(500000)
    ('recién', 'hace 3 min', 'hace 2 h', 'hace 1 día', 'hace 5 días')
    """
    if seconds < _HOUR:
        return f"hace {int(seconds // 60)} min" if seconds >= 60 else "recién"  # noqa: PLR2004 - a minute
    if seconds < _DAY:
        return f"hace {int(seconds // _HOUR)} h"
    days = int(seconds // _DAY)
    return f"hace {days} día" if days == 1 else f"hace {days} días"


def iso(epoch_s: float) -> str:
    """Return a moment for a machine.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(int(epoch_s), UTC).isoformat()


def local(epoch_s: float) -> str:
    """Return a moment for a person, in this machine's time zone."""
    return datetime.fromtimestamp(int(epoch_s), UTC).astimezone().strftime("%d/%m/%Y %H:%M:%S")


def initials(name: str | None) -> str:
    """Return one or two letters to show in place of a picture.

    >>> initials("Ana Núñez"), initials(""), initials(None)
    ('AN', '·', '·')
    """
    words = [word for word in (name or "").split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "·"
