"""What a person typed, made safe to keep: no control characters, no card numbers, no endless text."""

from __future__ import annotations

import re
from typing import Final, Literal

Keep = Literal["head", "tail"]

# C0 and C1 controls but tab and newline; bidi embeddings, overrides and isolates; byte-order mark; noncharacters.
# Zero-width joiners stay: without them an emoji family falls apart.
_UNWANTED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_LINE_ENDS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
VISIBLE: Final = re.compile(
    "[^\x00-\x20\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufe00-\ufe0f\ufeff\ufff9-\uffff]",
)

# Addresses that email-validator certainly takes: nearly all. No length can pass its bounds here.
_ORDINARY_EMAIL: Final = re.compile(
    r"[a-z0-9]{1,20}(?:[._+-][a-z0-9]{1,20}){0,2}@[a-z0-9]{1,30}(?:[.-][a-z0-9]{1,30}){0,2}\.(?:ar|br|cl|com|es|net|org|uy)",
    re.IGNORECASE | re.ASCII,
)
_DIGIT_GROUPS: Final = re.compile(r"[0-9]{3,}(?:[ \t./\-\u00a0\u202f\u2010-\u2015]{1,3}[0-9]{3,})*")
_DIGITS: Final = re.compile(r"[0-9]+")
_CARD_DIGITS: Final = range(13, 20)
_CARD_STARTS: Final = frozenset("23456")
_CARD_TAIL: Final = 4


def clean(text: str) -> str:
    r"""Return text without control and bidi-override characters, trimmed; "" when nothing visible is left.

    >>> clean(" pago\u202e rechazado\r\n\x07ayer ")
    'pago rechazado\nayer'
    >>> clean("\u200b \n")
    ''
    """
    if text.isascii() and text.isprintable():  # nearly every field: nothing below could change it but the trim
        return text.strip()
    cleaned = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text)).strip()
    return cleaned if VISIBLE.search(cleaned) else ""


def cut(text: str, limit: int, keep: Keep = "head") -> str:
    """Return at most limit characters of text from the end that counts, with a visible mark where it was cut.

    >>> cut("abcdef", 4)
    'abcd… [+2]'
    >>> cut("abcdef", 4, keep="tail")
    '[+2] …cdef'
    """
    missing = len(text) - limit
    if missing <= 0:
        return text
    return f"{text[:limit]}… [+{missing}]" if keep == "head" else f"[+{missing}] …{text[missing:]}"


def is_email(address: str) -> bool:
    r"""Tell whether address has the form of an e-mail address; whether it exists is not asked.

    >>> is_email("ana@example.com"), is_email("ana@example"), is_email("ana@example.com\nbcc: x@example.com")
    (True, False, False)
    """
    if _ORDINARY_EMAIL.fullmatch(address):
        return True
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 -- 30 ms of a cold start

    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def one_line(text: str) -> str:
    """Return text with every run of white space as one space."""
    return " ".join(text.split())


def mask_cards(text: str) -> str:
    """Return text with payment card numbers (13-19 digits that pass the Luhn check) masked but for the last four.

    A number may be typed in groups of three or more digits, with up to three blanks, dots, slashes or dashes between
    them; a group before or after it does not hide it.

    >>> mask_cards("pagué 500 con 4111 1111 1111 1111 ayer")
    'pagué 500 con **** **** **** 1111 ayer'
    """
    return _DIGIT_GROUPS.sub(lambda run: _mask_run(run.group()), text)


def _mask_run(run: str) -> str:
    groups = list(_DIGITS.finditer(run))
    parts: list[str] = []
    first = told = 0  # told: how much of run is in parts
    while first < len(groups):
        last = _card_end(groups, first)
        if last is None:
            first += 1
            continue
        start, end = groups[first].start(), groups[last].end()
        parts += run[told:start], _masked(run[start:end])
        first, told = last + 1, end
    return "".join((*parts, run[told:]))


def _card_end(groups: list[re.Match[str]], first: int) -> int | None:
    """Return the index of the group that ends a card number begun at group first, or None."""
    digits = ""
    if groups[first].group()[0] not in _CARD_STARTS:
        return None
    for index in range(first, len(groups)):
        digits += groups[index].group()
        if len(digits) >= _CARD_DIGITS.stop:
            return None
        if len(digits) in _CARD_DIGITS and _luhn(digits):
            return index
    return None


def _masked(number: str) -> str:
    shown = sum(character.isdigit() for character in number) - _CARD_TAIL
    out = []
    for character in number:
        hidden = character.isdigit() and shown > 0
        shown -= character.isdigit()
        out.append("*" if hidden else character)
    return "".join(out)


def _luhn(digits: str) -> bool:
    """Tell whether digits pass the check of ISO/IEC 7812-1."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
