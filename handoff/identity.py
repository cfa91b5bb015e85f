"""Pure: hashes that stand for a person, a conversation, a bot, where the data itself must not be kept."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from typing import Literal, NamedTuple

from handoff.sanitize import plain_email, plain_phone


class Identity(NamedTuple):
    """Hashes of who a handoff is from and where, "" for an absent value. The ledger keeps it longer than the data."""

    bot: str = ""
    conversation: str = ""
    user: str = ""
    email: str = ""
    phone: str = ""

    def to_text(self) -> str:
        """Return it as one text for the ledger."""
        return ".".join(self)

    @staticmethod
    def from_text(text: str) -> Identity:
        """Read what `to_text` wrote; "" is an identity of which nothing is known."""
        return Identity(*text.split(".")) if text else Identity()

    def without_addresses(self) -> Identity:
        """Return it without the person's addresses."""
        return self._replace(email="", phone="")


def is_other_handoff(first: Identity, second: Identity) -> bool:
    """Return True if two handoffs under one key are different ones. An absent value never differs.

    They are two where both give a bot, a conversation or a user and these differ. The address decides only where
    neither has a conversation or a user: a corrected address comes under the same key. There, one address that is
    the same makes them one.
    """
    if any(_differ(first[at], second[at]) for at in range(3)):
        return True
    if first.conversation or second.conversation or first.user or second.user:
        return False
    addresses = [(first.email, second.email), (first.phone, second.phone)]
    same = any(one and one == other for one, other in addresses)
    return not same and any(_differ(one, other) for one, other in addresses)


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def person_of(address: str) -> str:
    """Return the hash of an e-mail address in any spelling, or of a phone's digits; "" for none.

    Case does not count, nor how an accent is composed, nor whether the domain is written in Unicode or in ASCII.
    """
    return hash_of("person", _canonical(address))


def user_hash(user_id: str) -> str:
    """Return the hash of a Botpress user; "" for none."""
    return hash_of("user", user_id)


def persons_of(address: str) -> tuple[str, ...]:
    """Return every hash under which rows of this address may be stored, `person_of` first.

    Version 1.0.0 hashed the spelling that the person used.
    """
    local, _, domain = address.rpartition("@")
    if not local:
        return (person_of(address),) if address else ()
    spellings = [f"{local}@{name}" for name in (domain, _domain(domain, "encode"), _domain(domain, "decode"))]
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    old = [unicodedata.normalize(form, one) for one in spellings for form in forms]
    return tuple(dict.fromkeys([person_of(address), *(hash_of("person", one.casefold()) for one in (address, *old))]))


def mailbox_of(address: str) -> str:
    """Return the hash of the mailbox of an address: `ana+1@…` and `ana@…` are one; "" for no address."""
    local, at, domain = _canonical(address).rpartition("@")
    return hash_of("mailbox", f"{local.partition('+')[0] or local}{at}{domain}")


def _canonical(address: str) -> str:
    if "@" not in address:
        return "".join(filter(str.isdigit, str(plain_phone(address)))) or address.casefold()
    local, _, domain = plain_email(unicodedata.normalize("NFC", address)).casefold().rpartition("@")
    return f"{local}@{_domain(domain, 'encode')}"


def _domain(domain: str, way: Literal["encode", "decode"]) -> str:
    """Return domain in ASCII ("encode") or in Unicode; as it is where that cannot be done."""
    if domain.isascii() and (way == "encode" or "xn--" not in domain):
        return domain
    import idna  # noqa: PLC0415 -- few domains need it

    try:
        return idna.encode(domain, uts46=True).decode() if way == "encode" else idna.decode(domain)
    except idna.IDNAError:
        return domain


def letters(text: str) -> str:
    """Return the letters and digits of text, lower-case."""
    return "".join(filter(str.isalnum, text.casefold()))


def hash_of(kind: str, text: str) -> str:
    """Return a hash of text with 26 characters, "" for none."""
    return digest(kind, text)[:26] if text else ""


def digest(*parts: str) -> str:
    """Return a hash of parts with 52 characters of base32 (A-Z, 2-7)."""
    hashed = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(hashed).decode().rstrip("=")
