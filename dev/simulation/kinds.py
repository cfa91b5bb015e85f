"""The kinds of stories: what people and bots send, and how often each kind comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Any, Final

from dev.simulation.quirks import CONTENTS, REFUSED_DOMAIN
from dev.simulation.stories import Sending, Story, body_of, json_of, mark_of

UNKNOWN_GROUP_CATEGORY: Final = "proveedores"  # its group is the one the simulated Freshdesk has not
SAME_REFERENCE: Final = (  # pairs of Idempotency-Keys whose references are the same
    ("clave-792108", "clave-802089"),
    ("clave-536986", "clave-2059219"),
    ("clave-951887", "clave-2460181"),
    ("clave-1442716", "clave-2674714"),
    ("clave-157338", "clave-3848506"),
    ("clave-3039664", "clave-4596258"),
    ("clave-1250414", "clave-4749226"),
    ("clave-2807003", "clave-4755642"),
    ("clave-2411155", "clave-4859915"),
    ("clave-1264761", "clave-5262419"),
)
# Only the ledger knows which of these are one request: their keys differ, or are another's.
NEEDS_LEDGER: Final = frozenset({"two message ids", "corrected without ids", "shared key"})

# The second sending of these is the first that can become a ticket.
CORRECTIONS: Final = frozenset(
    {"corrected", "corrected as new", "unreadable", "address refused", "address refused as new"}
)


@dataclass(frozen=True, slots=True)
class Draw:
    """What a kind makes its sendings of."""

    random: Random
    number: int
    at_s: float
    copies: float
    keys: Iterator[str]

    def send(
        self, key: str = "", *, words: str = "", later_s: tuple[float, float] = (0.0, 0.0), **changes: Any
    ) -> Sending:
        """Return a sending of the story's body with changes, so much later, some of them with two more copies."""
        doubled = self.random.random() < self.copies
        copies = (self.random.uniform(0.0, 2.0), self.random.uniform(0.0, 2.0)) if doubled else ()
        at_s = self.at_s + self.random.uniform(*later_s)
        return Sending(at_s, json_of(body_of(self.number, **changes)), key, words, copies)

    def other_person(self) -> dict[str, Any]:
        """Return the fields of a person who has no other story."""
        return {"user_email": f"otra{self.number}@example.com", "user_name": f"Otra Persona {self.number}"}


Sendings = tuple[Sending, ...]
_NO_IDS: Final[dict[str, Any]] = {"conversation_id": None, "message_id": None}
_TEMPLATES: Final[dict[str, Any]] = {"conversation_id": "{{event.conversationId}}", "message_id": "{{event.messageId}}"}
_CORRECTION_S: Final = (15.0, 240.0)


def _plain(draw: Draw) -> Sendings:
    return (draw.send(),)


def _no_ids(draw: Draw) -> Sendings:
    return (draw.send(**draw.random.choice((_NO_IDS, _TEMPLATES))),)


def _phone_only(draw: Draw) -> Sendings:
    return (draw.send(user_email=None, user_phone=f"+54 9 11 5{draw.number:07d}"),)


def _group_refused(draw: Draw) -> Sendings:
    return (draw.send(bot="institucional", category=UNKNOWN_GROUP_CATEGORY),)


def _other_words(draw: Draw) -> Sendings:
    words = f"Otras palabras {draw.number}."
    later_s = draw.random.choice(((0.0, 2.0), (0.0, 600.0)))
    return draw.send(words="tres días"), draw.send(words=words, later_s=later_s, conversation_summary=words)


def _two_message_ids(draw: Draw) -> Sendings:
    """The same words twice, as two events."""
    later_s = draw.random.choice(((0.0, 2.0), (0.0, 600.0)))
    return draw.send(), draw.send(message_id="msg-2", later_s=later_s)


def _unreadable(draw: Draw) -> Sendings:
    """A body that was cut off, then the whole one, half of the time under a key."""
    key = draw.random.choice((f"key-{draw.number}", ""))
    first = draw.send(key)
    return Sending(first.at_s, first.body[:-9], key), draw.send(key, later_s=_CORRECTION_S)


def _never_corrected(draw: Draw) -> Sendings:
    return (draw.send(user_email="no tengo"),)


def _corrected(draw: Draw) -> Sendings:
    return _with_a_bad_address(draw, f"persona{draw.number}@@example", {})


def _corrected_as_new(draw: Draw) -> Sendings:
    return _with_a_bad_address(draw, f"persona{draw.number}@@example", {"message_id": "msg-2"})


def _corrected_without_ids(draw: Draw) -> Sendings:
    bad = draw.send(user_email=f"persona{draw.number}@@example", **_NO_IDS)
    return bad, draw.send(later_s=_CORRECTION_S, **_NO_IDS)


def _address_refused(draw: Draw) -> Sendings:
    return _with_a_bad_address(draw, f"persona{draw.number}{REFUSED_DOMAIN}", {})


def _address_refused_as_new(draw: Draw) -> Sendings:
    return _with_a_bad_address(draw, f"persona{draw.number}{REFUSED_DOMAIN}", {"message_id": "msg-2"})


def _with_a_bad_address(draw: Draw, address: str, new: Mapping[str, str]) -> Sendings:
    return draw.send(user_email=address), draw.send(later_s=_CORRECTION_S, **new)


def _shared_conversation(draw: Draw) -> Sendings:
    """Another person in the conversation of the story before."""
    return (draw.send(conversation_id=f"conv-{draw.number - 1}", message_id="msg-9", **draw.other_person()),)


def _shared_key(draw: Draw) -> Sendings:
    """Another person under an Idempotency-Key that the card's author wrote down once for all."""
    key, ids = draw.random.choice((("pedido", {}), ("pedido-sin-ids", _NO_IDS)))
    return (draw.send(key, **ids, **draw.other_person()),)


def _same_reference(draw: Draw) -> Sendings:
    """A key whose first forty bits another story's key has, too."""
    return (draw.send(next(draw.keys, "")),)


def _content(draw: Draw) -> Sendings:
    """Words that the account refuses for good, or answers 500, until the ticket is plainer."""
    word = draw.random.choice(CONTENTS).word
    phone = f"+54 9 11 5{draw.number:07d}"
    return (draw.send(words="Ya mandó", reason=f"{mark_of(draw.number)} {word}", user_phone=phone),)


def _forgotten(draw: Draw) -> Sendings:
    """The operator erases the person, and the bot sends the same once more."""
    return draw.send(), draw.send(later_s=(300.0, 1800.0))


KINDS: Final[Mapping[str, tuple[float, Callable[[Draw], Sendings]]]] = {  # share (0-1), and what is sent
    "plain": (0.81, _plain),
    "no ids": (0.03, _no_ids),
    "phone only": (0.02, _phone_only),
    "group refused": (0.02, _group_refused),
    "other words": (0.01, _other_words),
    "two message ids": (0.01, _two_message_ids),
    "corrected": (0.01, _corrected),
    "corrected as new": (0.01, _corrected_as_new),
    "corrected without ids": (0.01, _corrected_without_ids),
    "never corrected": (0.005, _never_corrected),
    "unreadable": (0.005, _unreadable),
    "address refused": (0.005, _address_refused),
    "address refused as new": (0.005, _address_refused_as_new),
    "shared conversation": (0.01, _shared_conversation),
    "shared key": (0.01, _shared_key),
    "same reference": (0.005, _same_reference),
    "content": (0.01, _content),
    "forgotten": (0.015, _forgotten),
}


def make_stories(random: Random, *, count: int, rate: float, copies: float, kinds: Sequence[str] = ()) -> list[Story]:
    """Return that many stories.

    Args:
        random: of the seed.
        count: how many.
        rate: how many begin in a second.
        copies: the share (0-1) that arrives two more times.
        kinds: only these, equally often; else all of them, each by its share.
    """
    names = list(kinds or KINDS)
    shares = [1.0 if kinds else KINDS[name][0] for name in names]
    keys = chain.from_iterable(SAME_REFERENCE)
    at_s, stories = 0.0, []
    for number, kind in enumerate(random.choices(names, shares, k=count)):
        at_s += random.expovariate(rate)
        sendings = KINDS[kind][1](Draw(random, number, at_s, copies, keys))
        forgotten_at_s = at_s + random.uniform(2.0, 290.0) if kind == "forgotten" else None
        stories.append(Story(number, kind, sendings, forgotten_at_s))
    return stories
