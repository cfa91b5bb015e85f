"""What people and the bot do: one story is one request for help, however often and however badly it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from dev.simulation.desk_model import REFUSED_DOMAIN

_MARK: Final = re.compile(r"s([0-9]{6})")
_CATEGORIES: Final = ("retiros", "Depósitos", "apuestas", "juego_responsable", "cuenta", "algo que no existe")
_UNKNOWN_GROUP: Final = "proveedores"  # its group is the one the simulated Freshdesk has not
_SHARES: Final = (
    ("plain", 0.88),
    ("no-ids", 0.03),
    ("phone-only", 0.02),
    ("group-refused", 0.02),
    ("other-words", 0.01),
    ("corrected", 0.01),
    ("corrected-as-new", 0.01),
    ("never-corrected", 0.005),
    ("unreadable", 0.005),
    ("address-refused", 0.005),
    ("address-refused-as-new", 0.005),
)


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
    """One person's request. Its mark stands in every subject that belongs to it."""

    number: int
    kind: str
    sendings: tuple[Sending, ...]

    @property
    def mark(self) -> str:
        """What tells this story's tickets from all others."""
        return mark_of(self.number)


def mark_of(number: int) -> str:
    """Return the mark of a story."""
    return f"s{number:06d}"


def number_in(subject: str) -> int | None:
    """Return whose ticket has this subject."""
    found = _MARK.search(subject)
    return int(found[1]) if found else None


def numbers_in(texts: Sequence[str]) -> set[int]:
    """Return which stories these texts tell of."""
    return {int(number) for text in texts for number in _MARK.findall(text)}


def make_stories(random: Random, *, count: int, rate: float, copies: float) -> list[Story]:
    """Return that many stories; rate is how many begin in a second, copies the share that arrives two more times."""
    names, shares = zip(*_SHARES, strict=True)
    at_s, stories = 0.0, []
    for number, kind in enumerate(random.choices(names, shares, k=count)):
        at_s += random.expovariate(rate)
        stories.append(Story(number, kind, _sendings(random, number, kind, at_s=at_s, copies=copies)))
    return stories


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


def _sendings(random: Random, number: int, kind: str, *, at_s: float, copies: float) -> tuple[Sending, ...]:
    again = _copies(random, copies)
    later = at_s + random.uniform(15.0, 240.0)
    good, new = body_of(number), {"message_id": "msg-2"}
    if kind == "other-words":
        second = _other_words(random, number, at_s)
        return (Sending(at_s, json_of(good), words="tres días", copies=again), second)
    if kind == "unreadable":
        return (Sending(at_s, json_of(good)[:-9], f"key-{number}"), Sending(later, json_of(good), f"key-{number}"))
    bad = {
        "corrected": {"user_email": f"persona{number}@@example"},
        "corrected-as-new": {"user_email": f"persona{number}@@example"},
        "never-corrected": {"user_email": "no tengo"},
        "address-refused": {"user_email": f"persona{number}{REFUSED_DOMAIN}"},
        "address-refused-as-new": {"user_email": f"persona{number}{REFUSED_DOMAIN}"},
    }.get(kind)
    if bad is None:
        return (Sending(at_s, json_of(_variant(number, kind)), copies=again),)
    first = Sending(at_s, json_of(body_of(number, **bad)), copies=again)
    if kind == "never-corrected":
        return (first,)
    return (first, Sending(later, json_of(good | new if kind.endswith("as-new") else good), copies=again))


def _variant(number: int, kind: str) -> dict[str, Any]:
    return {
        "plain": lambda: body_of(number),
        "no-ids": lambda: body_of(number, conversation_id=None, message_id=None),
        "phone-only": lambda: body_of(number, user_email=None, user_phone=f"+54 9 11 5{number:07d}"),
        "group-refused": lambda: body_of(number, bot="institucional", category=_UNKNOWN_GROUP),
    }[kind]()


def _other_words(random: Random, number: int, at_s: float) -> Sending:
    words = f"Otras palabras {number}."
    return Sending(
        at_s + random.choice((random.uniform(0.0, 2.0), random.uniform(0.0, 600.0))),
        json_of(body_of(number, conversation_summary=words)),
        words=words,
    )


def _copies(random: Random, share: float) -> tuple[float, ...]:
    return (random.uniform(0.0, 2.0), random.uniform(0.0, 2.0)) if random.random() < share else ()


def json_of(body: dict[str, Any]) -> bytes:
    """Return the bytes the bot sends."""
    return json.dumps(body, ensure_ascii=False).encode()


def every_word(stories: Sequence[Story]) -> list[tuple[int, str]]:
    """Return (story, words) for all words that must be found in a story's ticket or its notes."""
    return [(story.number, sending.words) for story in stories for sending in story.sendings if sending.words]
