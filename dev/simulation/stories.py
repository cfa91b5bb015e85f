"""One story is one request for help, however often and however badly it is sent; its mark is in all its texts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_MARK: Final = re.compile(r"s([0-9]{6})")
_CATEGORIES: Final = ("retiros", "Depósitos", "apuestas", "juego_responsable", "cuenta", "algo que no existe")


@dataclass(frozen=True, slots=True)
class Sending:
    """One version of the request: when the sender first sends it, and what. `words` must reach the agent."""

    at_s: float
    body: bytes
    idempotency_key: str = ""
    words: str = ""
    copies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """One person's request. At `forgotten_at_s` the operator erases the person, where that is asked."""

    number: int
    kind: str
    sendings: tuple[Sending, ...]
    forgotten_at_s: float | None = None

    @property
    def mark(self) -> str:
        """What stands in this story's texts and in no other's."""
        return mark_of(self.number)


def mark_of(number: int) -> str:
    """Return the mark of a story."""
    return f"s{number:06d}"


def number_in(subject: str) -> int | None:
    """Return whose ticket has this subject."""
    found = _MARK.search(subject)
    return int(found[1]) if found else None


def numbers_in(texts: Sequence[str]) -> set[int]:
    """Return whose marks are in these texts."""
    return {int(number) for text in texts for number in _MARK.findall(text)}


def body_of(number: int, **changes: Any) -> dict[str, Any]:
    """Return what the bot sends of a story; None takes a field away."""
    body = {
        "reason": f"{mark_of(number)} no me llega el retiro",
        "user_email": f"persona{number // 2}@example.com",  # two stories each, so that a list holds others' too
        "user_name": "Ana Pérez",
        "conversation_summary": "Pidió un retiro hace tres días.\nYa mandó el comprobante.",
        "category": _CATEGORIES[number % len(_CATEGORIES)],
        "bot": "betsur",
        "conversation_id": f"conv-{number}",
        "message_id": "msg-1",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def json_of(body: dict[str, Any]) -> bytes:
    """Return the bytes the bot sends."""
    return json.dumps(body, ensure_ascii=False).encode()


def every_word(stories: Sequence[Story]) -> list[tuple[int, str]]:
    """Return (story, words) for all words that must be found in a story's ticket or its notes."""
    return [(story.number, sending.words) for story in stories for sending in story.sendings if sending.words]
