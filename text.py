"""What a person typed, made safe to keep: no control characters, no card numbers, no endless text."""

from __future__ import annotations

import re
from typing import Final, Literal

Keep = Literal["head", "tail"]

# C0 and C1 controls but tab and newline; bidi embeddings, overrides and isolates; byte-order mark; noncharacters.
# Zero-width joiners stay: without them an emoji family falls apart.
_UNWANTED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_LINE_ENDS: Final = re.compile("\r\n?|\u2028|\u2029|\x85")
VISIBLE: Final = re.compile(
    "[^\x00-\x20\x7f-\xa0\xad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufe00-\ufe0f\ufeff\ufff9-\uffff]",
)

_DIGIT_GROUPS: Final = re.compile(r"[0-9]{3,}(?:[ .\-\u00a0][0-9]{3,})*")
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


def one_line(text: str) -> str:
    """Return text with every run of white space as one space."""
    return " ".join(text.split())


def mask_cards(text: str) -> str:
    """Return text with payment card numbers (13-19 digits that pass the Luhn check) masked but for the last four.

    A number may be typed in groups of three or more digits; a group before or after it does not hide it.

    >>> mask_cards("pagué 500 con 4111 1111 1111 1111 ayer")
    'pagué 500 con **** **** **** 1111 ayer'
    """
    return _DIGIT_GROUPS.sub(lambda run: _mask_run(run.group()), text)


def _mask_run(run: str) -> str:
    groups = list(_DIGITS.finditer(run))
    first = 0
    while first < len(groups):
        last = _card_end(groups, first)
        if last is None:
            first += 1
            continue
        start, end = groups[first].start(), groups[last].end()
        run = run[:start] + _masked(run[start:end]) + run[end:]
        first = last + 1
    return run


def _card_end(groups: list[re.Match[str]], first: int) -> int | None:
    """Return the index of the group that ends a card number begun at group first, or None."""
    digits = ""
    for index in range(first, len(groups)):
        digits += groups[index].group()
        if len(digits) >= _CARD_DIGITS.stop:
            return None
        if len(digits) in _CARD_DIGITS and digits[0] in _CARD_STARTS and _luhn(digits):
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
