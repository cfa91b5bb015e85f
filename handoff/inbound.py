"""Pure: the JSON Botpress sends, checked against the schema and made into a `Handoff`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from handoff.sanitize import Keep, clean, cut, is_email, mask_cards
from handoff.strict_json import JSONObject

SCHEMA_FILE: Final = Path(__file__).parent.parent / "schemas" / "handoff.schema.json"
OTHER_FIELDS_SHOWN: Final = 100
OTHER_TEXT_KEPT: Final = 20_000
OTHER_NAME_KEPT: Final = 80
RAW_TEXT_KEPT: Final = 60_000
KEY_LIFETIME_S: Final = 30 * 86_400.0
BODY_KEY_LIFETIME_S: Final = 86_400.0
# Cards are typed into free text. Ids and telephones are left alone: one in ten long numbers passes the Luhn check.
_FREE_TEXT: Final = frozenset({"conversation_summary", "conversation_transcript", "reason", "user_name"})
_NO_WORDS: Final = frozenset({"conversation_id", "message_id", "user_id", "bot_id", "key", "lifetime_s"})


class Fault(NamedTuple):
    """One thing wrong with a handoff: the field, and `required`, `type`, `invalid` or `too-long`."""

    field: str
    code: str


class InvalidHandoff(Exception):
    """The schema refuses the handoff; `faults` say where, `salvaged` holds what there is of it."""

    def __init__(self, faults: tuple[Fault, ...], salvaged: Handoff) -> None:
        super().__init__(", ".join(f"{fault.field}: {fault.code}" for fault in faults))
        self.faults = faults
        self.salvaged = salvaged


_REFERENCE: Final = re.compile(r"BF-[A-Z2-7]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """A checked request for a person. Every text is clean and cut; "" means not given."""

    key: str
    conversation_summary: str = ""
    category: str = ""
    user_email: str = ""
    user_phone: str = ""
    user_name: str = ""
    reason: str = ""
    bot: str = ""
    channel: str = ""
    language: str = ""
    conversation_transcript: str = ""
    conversation_id: str = ""
    message_id: str = ""
    user_id: str = ""
    bot_id: str = ""
    conversation_url: str = ""
    other: tuple[tuple[str, str], ...] = field(default=())
    lifetime_s: float = KEY_LIFETIME_S

    @property
    def reference(self) -> str:
        """The short name a person can read out: `BF-` and eight characters of the key."""
        return reference_of(self.key)

    @property
    def fingerprint(self) -> str:
        """Tell one wording of the same handoff from another; ids do not count."""
        words = {name: getattr(self, name) for name in _NAMES if name not in _NO_WORDS}
        return _digest("words", json.dumps(words, sort_keys=True))[:16]

    @property
    def person(self) -> str:
        """A hash that stands for the person's address where the address itself must not be kept."""
        return person_of(self.user_email or self.user_phone)

    @property
    def conversation(self) -> str:
        """A hash that stands for the conversation, or for the Botpress user where there is no conversation id."""
        told = self.conversation_id or self.user_id
        return _digest("conversation", told)[:26] if told else ""

    def without_address(self, which: str) -> Handoff:
        """Return the handoff with its `email` or `phone` moved to the other data, where the agent can read it."""
        name = f"user_{which}"
        moved = (f"{name} (?)", getattr(self, name))
        emptied: dict[str, Any] = {name: ""}
        return replace(self, other=(*self.other, moved), **emptied)

    def to_json(self) -> str:
        """Return the handoff as JSON for the ledger: only what was given."""
        given = {name: value for name in _NAMES if (value := getattr(self, name))}
        return json.dumps(given, ensure_ascii=False)  # escapes would make it six times as long: DynamoDB has a bound

    @staticmethod
    def from_json(text: str) -> Handoff:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        other = tuple((str(name), str(value)) for name, value in values.pop("other", ()))
        return Handoff(other=other, **values)


_NAMES: Final = tuple(f.name for f in fields(Handoff))


class _Property(NamedTuple):
    cut_at: int | None
    keep: Keep


@cache
def schema() -> JSONObject:
    """Return the handoff schema (JSON Schema 2020-12)."""
    return cast("JSONObject", json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


@cache
def _properties() -> dict[str, _Property]:
    return {
        name: _Property(rule.get("x-cut-at"), rule.get("x-keep", "head"))
        for name, rule in schema()["properties"].items()
    }


def read_handoff(body: JSONObject, idempotency_key: str = "") -> Handoff:
    """Check body against the schema and make it a Handoff.

    Raises:
        InvalidHandoff: with every fault, and with what could be saved of the handoff.
    """
    given = {name: kept for name, value in body.items() if (kept := _cleaned(name, value)) not in (None, "")}
    faults = _faults(given)
    key, lifetime_s = _key(given, idempotency_key)
    if faults:
        raise InvalidHandoff(faults, _salvage(given, key))
    return _handoff(given, key=key, lifetime_s=lifetime_s)


def salvage_text(raw: bytes, idempotency_key: str = "") -> Handoff:
    """Make what there is of an unreadable body a handoff for quarantine: its text is the summary. Never raises."""
    text = mask_cards(clean(raw.decode("utf-8", errors="replace")))
    key, _ = _key({"raw": hashlib.sha256(raw).hexdigest()}, idempotency_key)
    return Handoff(key=key, conversation_summary=cut(text, RAW_TEXT_KEPT))


def reference_of(key: str) -> str:
    """Return the reference of the handoff with this key.

    >>> reference_of("7K3QX2AB" + "A" * 44)
    'BF-7K3QX2AB'
    """
    return f"BF-{key[:8]}"


def is_reference(told: str) -> bool:
    """Tell whether told has the form of a reference."""
    return _REFERENCE.fullmatch(told) is not None


def person_of(address: str) -> str:
    """Return the hash that stands for an e-mail address (whatever its case) or a telephone's digits; "" for none."""
    digits = "" if "@" in address else "".join(filter(str.isdigit, address))
    return _digest("person", digits or address.casefold())[:26] if address else ""


def _cleaned(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    tidy = clean(value)
    return mask_cards(tidy) if name in _FREE_TEXT else tidy


def _faults(given: JSONObject) -> tuple[Fault, ...]:
    errors = _validator().iter_errors(given)
    found = dict.fromkeys(fault for error in errors for fault in _read_error(error))
    address = given.get("user_email")
    if isinstance(address, str) and not is_email(address):  # the schema's format is a hint; this is the check
        found[Fault("user_email", "invalid")] = None
    return tuple(found)


def _read_error(error: ValidationError) -> list[Fault]:
    if error.path:
        return [Fault(str(error.path[0]), _CODES.get(str(error.validator), "invalid"))]
    given: Any = error.instance
    if error.validator == "required":
        names: Any = error.validator_value
        return [Fault(name, "required") for name in names if name not in given]
    if error.validator == "maxProperties":
        return [Fault("*", "too-many")]
    # what is left is the rule that one address must be there; a faulty one is told by its own field
    return [] if {"user_email", "user_phone"} & given.keys() else [Fault("user_email", "required")]


_CODES: Final = {"type": "type", "maxLength": "too-long"}


def _handoff(given: JSONObject, *, key: str, lifetime_s: float) -> Handoff:
    named: dict[str, Any] = {}
    for name, rule in _properties().items():
        if name in given:
            named[name] = cut(given[name], rule.cut_at, rule.keep) if rule.cut_at else given[name]
    return Handoff(key=key, lifetime_s=lifetime_s, other=_other(given), **named)


def _other(given: JSONObject) -> tuple[tuple[str, str], ...]:
    """Return the fields the schema does not name, as texts, within bounds that are visible where they bite."""
    unknown = [(name, value) for name, value in given.items() if name not in _properties()]
    shown: list[tuple[str, str]] = []
    room = OTHER_TEXT_KEPT
    for name, value in unknown[:OTHER_FIELDS_SHOWN]:
        text = cut(mask_cards(_as_text(value)), max(room, 0))
        room -= len(text)
        shown.append((cut(clean(name), OTHER_NAME_KEPT) or "?", text))
    if len(unknown) > OTHER_FIELDS_SHOWN:
        shown.append(("…", f"[+{len(unknown) - OTHER_FIELDS_SHOWN}]"))
    return tuple(shown)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else clean(json.dumps(value, ensure_ascii=False))


def _salvage(given: JSONObject, key: str) -> Handoff:
    """Return what there is of a refused handoff: what cannot stand in its field moves to the other data."""
    sound = {name: value for name, value in given.items() if name in _properties() and isinstance(value, str)}
    if not is_email(sound.get("user_email", "")):
        sound.pop("user_email", None)
    for fault in _faults(given):
        if fault.field in {"user_phone", "category"}:
            sound.pop(fault.field, None)
    rest = {name: value for name, value in given.items() if name not in sound}
    renamed = {f"{name} (?)" if name in _properties() else name: value for name, value in rest.items()}
    return _handoff({**sound, **renamed}, key=key, lifetime_s=KEY_LIFETIME_S)


def _key(given: JSONObject, idempotency_key: str) -> tuple[str, float]:
    """Return the handoff's key and how long it holds, in seconds (RFC draft Idempotency-Key allows quotes)."""
    told = idempotency_key.strip().strip('"')
    if told:
        return _digest("key", told), KEY_LIFETIME_S
    ids = [given.get(name) for name in ("conversation_id", "message_id")]
    if all(isinstance(value, str) for value in ids):
        return _digest("message", json.dumps(ids)), KEY_LIFETIME_S
    return _digest("body", json.dumps(given, sort_keys=True)), BODY_KEY_LIFETIME_S


def _digest(*parts: str) -> str:
    """Return 52 characters of base32 (A-Z, 2-7) that stand for parts."""
    hashed = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(hashed).decode().rstrip("=")
