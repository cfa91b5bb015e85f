"""Text of a person, made safe to keep: no control characters, no card numbers, limited length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, chain, zip_longest
from typing import Final, Literal

Keep = Literal["head", "tail"]

# C0 and C1 controls but tab and newline; bidi embeddings, overrides and isolates; byte-order mark; noncharacters.
# Zero-width joiners stay, because an emoji family needs them.
_UNWANTED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_LINE_ENDS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE: Final = (
    "\x00-\x20\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    "\ufe00-\ufe0f\ufeff\ufff9-\uffff"
)
VISIBLE: Final = re.compile(f"[^{_INVISIBLE}]")
_NO_PART_OF_AN_ADDRESS: Final = re.compile(f"(?![ \t\n])[{_INVISIBLE}]")

# What an unfilled template leaves: the empty values of JavaScript, Python and the template itself.
_PLACEHOLDER: Final = re.compile(r"undefined|null|None|NaN|\[object Object\]|\{\{[^{}]{0,200}\}\}|\$\{[^{}]{0,200}\}")
_BETWEEN_PLACEHOLDERS: Final = " \t\n,.;:/|_-\"'"

# Letters and digits. Mc: vowels that some scripts write beside a letter; accents are Mn.
_SPELLED: Final = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mc", "Nd", "Nl", "No"})
_DASHES: Final = re.compile("[\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d]")
_NO_PART_OF_A_PHONE: Final = re.compile("[\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")

# Addresses that email-validator certainly accepts: nearly all. None can exceed its limits here.
_ORDINARY_EMAIL: Final = re.compile(
    r"[a-z0-9]{1,20}(?:[._+-][a-z0-9]{1,20}){0,2}@[a-z0-9]{1,30}(?:[.-][a-z0-9]{1,30}){0,2}\.(?:ar|br|cl|com|es|net|org|uy)",
    re.IGNORECASE | re.ASCII,
)
_DIGITS: Final = re.compile(r"\d+")
# Between two groups of a card number: blanks, line ends (also as JSON writes them), marks. Characters of no width do
# not count, neither there nor inside a group.
_NO_WIDTH: Final = re.compile("[\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+")
_SEPARATORS: Final = re.compile(r"""(?:[\s,.;/|_\-"'\u00b7\u2010-\u2015\u2212\uff0c-\uff0f]|\\[nrt]){1,4}""")
_GAP_MAX: Final = 24  # characters that are worth remembering
_WITHIN, _BETWEEN, _APART = range(3)
_LEAST_GROUP: Final = 3
_CARD_DIGITS: Final = range(13, 20)
_CARD_STARTS: Final = range(2, 7)
_CARD_TAIL: Final = 4


def clean(text: str) -> str:
    r"""Return text without control and bidi-override characters, trimmed; "" when nothing visible is left.

    >>> clean(" pago\u202e rechazado\r\n\x07ayer ")
    'pago rechazado\nayer'
    >>> clean("\u200b \n")
    ''
    """
    if text.isascii() and text.isprintable():  # nearly every field: only the trim could change it
        return text.strip()
    cleaned = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text)).strip()
    return cleaned if VISIBLE.search(cleaned) else ""


def cut(text: str, limit: int, keep: Keep = "head") -> str:
    """Return at most limit characters of text from the important end, with a visible mark at the cut.

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
    r"""Return True if address has the form of an e-mail address; whether it exists is not checked.

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


def plain(name: str) -> str:
    """Return the letters and digits of name without case and accents, so that two spellings compare equal.

    >>> plain("🛑 Cuenta y  Verificación!") == plain("cuenta_y-verificacion")
    True
    """
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if unicodedata.category(letter) in _SPELLED).casefold()


def one_line(text: str) -> str:
    """Return text with every run of white space as one space."""
    return " ".join(text.split())


def plain_email(text: str) -> str:
    r"""Return text without the invisible characters of a pasted address.

    >>> plain_email("ana\u200b@example.com\u00a0"), plain_email("ana paz@example.com")
    ('ana@example.com', 'ana paz@example.com')
    """
    return _NO_PART_OF_AN_ADDRESS.sub("", text)


def plain_phone(value: object) -> object:
    r"""Return a telephone number (text or number) with ordinary digits, blanks and dashes, and nothing invisible.

    >>> plain_phone("+54\u00a09\u00a011 5555\u20110000"), plain_phone(5491155550000)
    ('+54 9 11 5555-0000', '5491155550000')
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or value.isascii():
        return value
    shown = _DASHES.sub("-", _NO_PART_OF_A_PHONE.sub("", value))
    return clean(unicodedata.normalize("NFKC", shown))


def is_placeholder(text: str) -> bool:
    """Return True if text is only an unfilled template.

    >>> is_placeholder("undefined"), is_placeholder("{{event.id}}:null"), is_placeholder("conv_1:null")
    (True, True, False)
    """
    left, found = _PLACEHOLDER.subn("", text)
    return found > 0 and not left.strip(_BETWEEN_PLACEHOLDERS)


def mask_cards(text: str) -> str:
    """Return text with payment card numbers (13-19 digits that pass the Luhn check) masked but for the last four.

    A number may be typed in one piece, in groups of three or more digits, in pairs or in single digits, in any
    script's digits, with up to four blanks, line ends, commas, dots, slashes or dashes between the groups; a group
    before or after it does not hide it. Takes time in proportion to the text's length.

    >>> mask_cards("pagué 500 con 4111 1111 1111 1111 ayer")
    'pagué 500 con **** **** **** 1111 ayer'
    """
    if sum(map(str.isdecimal, text)) < _CARD_DIGITS.start:
        return text
    parts: list[str] = []
    done = 0
    for run in _runs(text):
        for first, last in _cards([text[start:end] for start, end in run]):
            start, end = run[first][0], run[last][1]
            parts += text[done:start], _masked(text[start:end])
            done = end
    return "".join((*parts, text[done:]))


def _runs(text: str) -> Iterator[list[tuple[int, int]]]:
    """Yield the positions of digit groups, in lists with only separators of a card number between them."""
    run: list[tuple[int, int]] = []
    for found in _DIGITS.finditer(text):
        start, end = found.span()
        gap = text[run[-1][1] : start] if run else "-"
        between = _between(gap if len(gap) <= _GAP_MAX else _NO_WIDTH.sub("", gap)[:_GAP_MAX])
        if between == _WITHIN:
            start = run.pop()[0]
        elif between == _APART:
            yield run
            run = []
        run.append((start, end))
    yield run


@lru_cache(maxsize=1024)
def _between(gap: str) -> int:
    """Return the kind of gap between two digits: _WITHIN a group, between two groups of one number, or _APART."""
    shown = _NO_WIDTH.sub("", gap)
    if not shown:
        return _WITHIN
    return _BETWEEN if _SEPARATORS.fullmatch(shown) else _APART


def _cards(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and last group of every card number in a run of groups."""
    groups = [_NO_WIDTH.sub("", text) for text in texts]
    digits = [*map(int, "".join(groups))]
    if len(digits) < _CARD_DIGITS.start:
        return
    ends = [*accumulate(map(len, groups))]
    # Sums of all digits up to each place, for the Luhn check, with every second digit doubled, from either start.
    doubled = [_DOUBLED[digit] for digit in digits]
    sums = (
        [0, *accumulate(chain.from_iterable(zip_longest(digits[::2], doubled[1::2], fillvalue=0)))],
        [0, *accumulate(chain.from_iterable(zip_longest(doubled[::2], digits[1::2], fillvalue=0)))],
    )
    first = 0
    while first < len(groups):
        begin = ends[first] - len(groups[first])
        last = _card_end(first, begin, ends, sums) if digits[begin] in _CARD_STARTS else None
        if last is None:
            first += 1
        else:
            yield first, last
            first = last + 1


def _card_end(first: int, begin: int, ends: list[int], sums: tuple[list[int], list[int]]) -> int | None:
    """Return the index of the last group of a card number that begins at group first, or None.

    All groups have three digits or more, or they are pairs or single digits, of which only the last may be smaller.
    """
    size, before = ends[first] - begin, begin
    for index in range(first, len(ends)):
        end = ends[index]
        here, length = end - before, end - begin
        if length >= _CARD_DIGITS.stop or (here < _LEAST_GROUP if size >= _LEAST_GROUP else here > size):
            return None
        checked = sums[(end + 1) % 2]  # the number's last digit is not doubled, the one before it is
        if length >= _CARD_DIGITS.start and (checked[end] - checked[begin]) % 10 == 0:
            return index
        if here < min(size, _LEAST_GROUP):
            return None
        before = end
    return None


_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def _masked(number: str) -> str:
    shown = sum(map(str.isdecimal, number)) - _CARD_TAIL
    out = []
    for character in number:
        hidden = character.isdecimal() and shown > 0
        shown -= character.isdecimal()
        out.append("*" if hidden else character)
    return "".join(out)
