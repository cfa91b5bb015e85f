"""The interface's words, in Spanish, and how it tells times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

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
SOURCES: Final = {1: "Correo", 2: "Portal", 3: "Teléfono", 7: "Chat", 9: "Formulario", 15: "Chat web"}
BOXES: Final = {"": "Todos", "spam": "Spam", "deleted": "Eliminados"}
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400


def age(seconds: float) -> str:
    """How long ago, for a person.

    >>> age(5), age(200), age(7300), age(90000), age(500000)
    ('recién', 'hace 3 min', 'hace 2 h', 'hace 1 día', 'hace 5 días')
    """
    if seconds < _MINUTE:
        return "recién"
    if seconds < _HOUR:
        return f"hace {int(seconds // _MINUTE)} min"
    if seconds < _DAY:
        return f"hace {int(seconds // _HOUR)} h"
    days = int(seconds // _DAY)
    return f"hace {days} día" if days == 1 else f"hace {days} días"


def iso(epoch_s: float) -> str:
    """A moment for a machine.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(int(epoch_s), UTC).isoformat()


def local(epoch_s: float) -> str:
    """A moment for a person, in this machine's time zone."""
    return datetime.fromtimestamp(int(epoch_s), UTC).astimezone().strftime("%d/%m/%Y %H:%M:%S")


def initials(name: str | None) -> str:
    """One or two letters for a face without a picture.

    >>> initials("Ana Núñez"), initials(""), initials(None)
    ('AN', '·', '·')
    """
    words = [word for word in (name or "").split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "·"
