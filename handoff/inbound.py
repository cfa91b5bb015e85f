"""Pure: the JSON that Botpress sends, checked against the schema and turned into a `Handoff`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from handoff.broken_json import understand
from handoff.identity import Identity, digest, hash_of, letters, mailbox_of, person_of, user_hash
from handoff.parts import Attachment, Value, read_parts
from handoff.sanitize import Keep, clean, cut, is_email, is_placeholder, mask_cards, plain_email, plain_phone
from handoff.strict_json import JSONObject, decode

SCHEMA_FILE: Final = Path(__file__).parent.parent / "schemas" / "handoff.schema.json"
OTHER_FIELDS_SHOWN: Final = 100
OTHER_TEXT_KEPT: Final = 20_000
OTHER_NAME_KEPT: Final = 80
RAW_TEXT_KEPT: Final = 60_000
KEPT_BYTES_MAX: Final = 200_000  # of a handoff as JSON; a DynamoDB item may have 400 kB, including the other fields
REST_NAME: Final = "sin leer (?)"
KEY_LIFETIME_S: Final = 30 * 86_400.0
BODY_KEY_LIFETIME_S: Final = 86_400.0
# People type card numbers into free text. Ids and phones are not masked: one in ten long numbers passes the Luhn check.
_FREE_TEXT: Final = frozenset({"conversation_summary", "conversation_transcript", "reason", "user_name"})
_GIVES_WAY: Final = ("conversation_transcript", "conversation_summary")
_NO_TEXT_SHARE: Final = 20  # with more than one in so many characters that no text has, the bytes are not text
_NO_TEXT: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
_PHONE: Final = re.compile(r"[+(]?[0-9][0-9 ()./+-]{3,61}[0-9()./+-]")
_NEW_NAMES: Final = frozenset({"attachments", "fields", "tags"})  # 1.0.0 hashed words without them
_NO_WORDS: Final = frozenset({"conversation_id", "message_id", "user_id", "bot_id", "key", "lifetime_s"})


class Fault(NamedTuple):
    """One fault of a handoff: the field, and `required`, `type`, `invalid` or `too-long`."""

    field: str
    code: str


class InvalidHandoff(Exception):
    """The schema refuses the handoff; `faults` names the fields, `salvaged` holds the readable parts."""

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
    attachments: tuple[Attachment, ...] = ()
    fields: tuple[tuple[str, Value], ...] = ()
    tags: tuple[str, ...] = ()
    other: tuple[tuple[str, str], ...] = field(default=())
    lifetime_s: float = KEY_LIFETIME_S

    @property
    def reference(self) -> str:
        """The short name a person can read out: `BF-` and eight characters of the key."""
        return reference_of(self.key)

    @property
    def fingerprint(self) -> str:
        """A hash of the content without the ids. It differs if a repeated handoff has new words."""
        words = {name: getattr(self, name) for name in _NAMES if name not in _NO_WORDS}
        words |= {"attachments": [one.digest for one in self.attachments]}
        words = {name: value for name, value in words.items() if value or name not in _NEW_NAMES}
        return digest("words", json.dumps(words, sort_keys=True))[:16]

    @property
    def person(self) -> str:
        """A hash of the person's address, for use where the address itself must not be kept."""
        return person_of(self.user_email or self.user_phone)

    @property
    def mailbox(self) -> str:
        """A hash for the hourly bound: of the mailbox behind the address (`+tag` does not count), else of the user."""
        return mailbox_of(self.user_email or self.user_phone) or self.identity.user

    @property
    def conversation(self) -> str:
        """A hash of the conversation, or of the Botpress user if there is no conversation id."""
        known = self.conversation_id or self.user_id
        return digest("conversation", known)[:26] if known else ""

    @property
    def identity(self) -> Identity:
        """The parts that `is_other_handoff` compares."""
        return Identity(
            bot=hash_of("bot", letters(self.bot)),
            conversation=hash_of("conversation", self.conversation_id),
            user=user_hash(self.user_id),
            email=person_of(self.user_email),
            phone=person_of(self.user_phone),
        )

    @property
    def matter(self) -> str:
        """A hash of summary, reason and category; "" without a summary.

        A good handoff settles a refused one with the same matter, see design of the request's key.
        """
        said = [self.conversation_summary, self.reason, self.category]
        return hash_of("matter", json.dumps(said)) if self.conversation_summary else ""

    @property
    def named(self) -> str:
        """A hash of the conversation and the person's name; "" where one is missing."""
        name = letters(self.user_name)
        return hash_of("named", json.dumps([self.conversation, name])) if self.conversation and name else ""

    @property
    def words(self) -> str:
        """A hash that two handoffs share if they have the same matter, bot, person and conversation.

        "" where there is no summary, or neither a person nor a conversation: then nobody can say whose words they are.
        """
        if not self.matter or not (self.person or self.conversation):
            return ""
        whose = [letters(self.bot), self.person, self.conversation, self.user_id]
        return hash_of("same", json.dumps([self.matter, *whose]))

    def key_for_other(self) -> str:
        """Return the key of this handoff if another one has taken its own key (`is_other_handoff`).

        The address is part of it only where there is neither a conversation nor a user: corrected, it is the same key.
        """
        address = "" if self.conversation_id or self.user_id else self.person
        return digest("other", self.key, json.dumps([letters(self.bot), self.conversation_id, self.user_id, address]))

    def without_address(self, which: str) -> Handoff:
        """Return the handoff with its `email` or `phone` moved to the other data, where the agent can read it."""
        name = f"user_{which}"
        moved = (f"{name} (?)", getattr(self, name))
        emptied: dict[str, Any] = {name: ""}
        return replace(self, other=(*self.other, moved), **emptied)

    def to_json(self) -> str:
        """Return the handoff as JSON for the ledger, without absent fields."""
        given = {name: value for name in _NAMES if (value := getattr(self, name))}
        return json.dumps(given, ensure_ascii=False)  # escapes would make it six times as long

    @staticmethod
    def from_json(text: str) -> Handoff:
        """Read what `to_json` wrote; fields of a newer version are ignored."""
        values = {name: value for name, value in json.loads(text).items() if name in _NAMES}
        other = tuple((str(name), str(value)) for name, value in values.pop("other", ()))
        attachments = tuple(Attachment(*one) for one in values.pop("attachments", ()))
        named = tuple((str(name), value) for name, value in values.pop("fields", ()))
        tags = tuple(values.pop("tags", ()))
        return Handoff(other=other, attachments=attachments, fields=named, tags=tags, **values)


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


def read_handoff(body: JSONObject, idempotency_key: str = "", messengers: Collection[str] = ()) -> Handoff:
    """Check body against the schema and make it a Handoff.

    Args:
        body: the request.
        idempotency_key: the header's value.
        messengers: channels, in lower-case letters and digits, on which a person can be reached by `user_id` alone.

    Raises:
        InvalidHandoff: with every fault, and with what could be saved of the handoff.
    """
    sent = _cleaned(body)
    key, lifetime_s = _key(sent, idempotency_key)
    given = _given(sent)
    known = isinstance(given.get("user_id"), str) and letters(str(given.get("channel", ""))) in messengers
    reachable = _is_address(given.get("user_email")) or (known and "user_email" not in given)
    if reachable and "user_phone" in given and not _is_phone(given["user_phone"]):
        given = _moved_aside(given, {"user_phone"})
    faults = _faults(given, needs_address=not known)
    if len(body) > schema()["maxProperties"] and not any(fault.field == "*" for fault in faults):
        faults = (*faults, Fault("*", "too-many"))  # the contract counts empty fields, too
    if faults:
        raise InvalidHandoff(faults, _salvage(given, key))
    return _handoff(given, key=key, lifetime_s=lifetime_s)


def salvage_text(raw: bytes, idempotency_key: str = "", charset: str = "") -> Handoff:
    """Turn the readable parts of an unreadable body into a refused handoff. Never raises.

    The fields that can be read in it stand where they belong; what is left over is among the other data. Where no
    field can be read, the text is the summary.
    """
    text = decode(raw, charset)
    fields, rest = understand(text, schema()["properties"])
    sent = _cleaned(fields)
    whole = {} if sent and not rest else {"raw": hashlib.sha256(raw).hexdigest()}
    key, _ = _key({**sent, **whole}, idempotency_key)
    if sent:
        return _salvage(_given({**sent, REST_NAME: clean(rest)}), key)
    if len(_NO_TEXT.findall(text)) * _NO_TEXT_SHARE > len(text):
        text = f"[{len(raw)} bytes que no son texto]"
    shown = {"conversation_summary": mask_cards(clean(text))}
    return _handoff(shown, key=key, lifetime_s=KEY_LIFETIME_S, cuts={"conversation_summary": RAW_TEXT_KEPT})


def marker_of(matter: str) -> str:
    """Return the key under which a refused handoff without a conversation is found again by its matter."""
    return digest("refused", matter)


def reference_of(key: str) -> str:
    """Return the reference of the handoff with this key.

    >>> reference_of("7K3QX2AB" + "A" * 44)
    'BF-7K3QX2AB'
    """
    return f"BF-{key[:8]}"


def is_reference(text: str) -> bool:
    """Return True if text has the form of a reference."""
    return _REFERENCE.fullmatch(text) is not None


def _cleaned(body: JSONObject) -> JSONObject:
    """Return the fields of body: clean text, masked card numbers in free text, and no empty fields."""
    sent: JSONObject = {}
    for name, value in body.items():
        tidy = plain_phone(value) if name == "user_phone" else value
        if isinstance(tidy, str):
            tidy = clean(plain_email(tidy) if name == "user_email" else tidy)
            tidy = mask_cards(tidy) if name in _FREE_TEXT else tidy
        if tidy is not None and tidy != "":
            sent[name] = tidy
    return sent


def _given(sent: JSONObject) -> JSONObject:
    """Return sent without optional fields that contain only an unfilled template."""
    required = schema()["required"]
    return {
        name: value
        for name, value in sent.items()
        if value != "" and (name in required or not isinstance(value, str) or not is_placeholder(value))
    }


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and is_email(value)


def _is_phone(value: Any) -> bool:
    return isinstance(value, str) and _PHONE.fullmatch(value) is not None


def _moved_aside(given: JSONObject, names: Collection[str]) -> JSONObject:
    """Return given with these fields renamed, so that the ticket shows them among the other data."""
    return {f"{name} (?)" if name in names else name: value for name, value in given.items()}


def _faults(given: JSONObject, *, needs_address: bool) -> tuple[Fault, ...]:
    errors = _validator().iter_errors(given)
    found = dict.fromkeys(fault for error in errors for fault in _read_error(error))
    if needs_address and not {"user_email", "user_phone"} & given.keys():
        found[Fault("user_email", "required")] = None
    if "user_email" in given and not _is_address(
        given["user_email"]
    ):  # the schema's format is a hint; this is the check
        found[Fault("user_email", "invalid")] = None
    if "user_phone" in given and not _is_phone(given["user_phone"]):
        found[Fault("user_phone", "invalid")] = None
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
    return []  # the rule that one address must be there: `_faults` knows when it holds


_CODES: Final = {"type": "type", "maxLength": "too-long"}


def _handoff(given: JSONObject, *, key: str, lifetime_s: float, cuts: dict[str, int] | None = None) -> Handoff:
    """Return the handoff with each text cut to its limit, and the longest cut again if the total is too long."""
    limits = {name: rule.cut_at for name, rule in _properties().items() if rule.cut_at} | (cuts or {})
    named: dict[str, Any] = {
        name: cut(given[name], limits[name], rule.keep) if name in limits else given[name]
        for name, rule in _properties().items()
        if name in given and name not in _NEW_NAMES
    }
    parts = read_parts(given)
    named |= {"attachments": parts.attachments, "fields": parts.fields, "tags": parts.tags}
    other = _other({**{name: one for name, one in given.items() if name not in _properties()}, **dict(parts.unusable)})
    handoff = Handoff(key=key, lifetime_s=lifetime_s, other=other, **named)
    for name in _GIVES_WAY:
        excess = _json_bytes(handoff.to_json()) - KEPT_BYTES_MAX
        if excess <= 0:
            break
        room = max(_json_bytes(json.dumps(named.get(name, ""), ensure_ascii=False)) - excess, 0)
        shorter: dict[str, Any] = {name: _fitted(given.get(name, ""), limits[name], _properties()[name].keep, room)}
        handoff = replace(handoff, **shorter)
    return handoff


def _fitted(text: str, limit: int, keep: Keep, room: int) -> str:
    """Return text cut to the largest limit at which its JSON has at most room bytes; "" if there is none."""
    low, high = 0, min(limit, len(text))
    while low < high:
        middle = (low + high + 1) // 2
        fits = _json_bytes(json.dumps(cut(text, middle, keep), ensure_ascii=False)) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return cut(text, low, keep) if low else ""


def _json_bytes(text: str) -> int:
    return len(text.encode())


def _other(given: JSONObject) -> tuple[tuple[str, str], ...]:
    """Return what has no place of its own as texts, within bounds that are visible where they bite."""
    unknown = list(given.items())
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
    texts = _properties().keys() - _NEW_NAMES
    unfit = {name for name in given if name in texts and not isinstance(given[name], str)}
    unfit |= {"user_phone"} if not _is_phone(given.get("user_phone")) else set()
    unfit |= {"user_email"} if not _is_address(given.get("user_email")) else set()
    return _handoff(_moved_aside(given, unfit), key=key, lifetime_s=KEY_LIFETIME_S)


def _key(sent: JSONObject, idempotency_key: str) -> tuple[str, float]:
    """Return the handoff's key and its lifetime in seconds (RFC draft Idempotency-Key allows quotes)."""
    header = idempotency_key.strip().strip('"')
    if header and not is_placeholder(header):
        return digest("key", header), KEY_LIFETIME_S
    ids = [sent.get(name) for name in ("conversation_id", "message_id")]
    if all(isinstance(value, str) and not is_placeholder(value) for value in ids):
        return digest("message", json.dumps(ids)), KEY_LIFETIME_S
    return digest("body", json.dumps(sent, sort_keys=True)), BODY_KEY_LIFETIME_S
