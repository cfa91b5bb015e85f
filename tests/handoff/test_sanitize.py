"""Text of a person, made safe to keep."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff import sanitize
from handoff.inbound import schema
from handoff.sanitize import (
    VISIBLE,
    clean,
    cut,
    is_email,
    is_placeholder,
    mask_cards,
    one_line,
    plain_email,
    plain_phone,
)
from tests.steps import steps_of

EVERY_CHARACTER = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
ARABIC = {ord("0") + digit: 0x0660 + digit for digit in range(10)}
FAMILY = "👨‍👩‍👧‍👦"
CARDS = ("4111 1111 1111 1111", "5500-0000-0000-0004", "3782 822463 10005", "4222222222222", "6304000000000000000")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("hola", "hola"),
        ("  hola \n", "hola"),
        ("uno\r\ndos\rtres\u2028cuatro\u2029cinco\x0bseis\x0cseven\x85", "uno\ndos\ntres\ncuatro\ncinco\nseis\nseven"),
        ("a\tb", "a\tb"),
        ("no\x00\x07\x1b\x7f\x9f sé", "no sé"),
        ("\u202eoiraidem\u202c \u2066x\u2069", "oiraidem x"),
        ("\ufeffhola\uffff", "hola"),
        (FAMILY, FAMILY),
        ("\u200b\u2060\n\u00a0", ""),
        ("", ""),
    ],
)
def test_clean_keeps_what_can_be_read(typed: str, kept: str) -> None:
    """Controls and bidi overrides are removed, line ends become newlines, letters and emoji families stay."""
    assert clean(typed) == kept


def test_cleaning_keeps_every_character_except_the_unwanted() -> None:
    """Of all of Unicode only controls, bidi overrides, the byte-order mark and two noncharacters are removed."""
    gone = set(EVERY_CHARACTER) - set(clean(f"x{'x'.join(EVERY_CHARACTER)}x"))
    bidi = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    controls = {one for one in EVERY_CHARACTER if unicodedata.category(one) == "Cc"} - {"\t", "\n"}
    assert gone == controls | bidi | set("\ufeff\ufffe\uffff\u2028\u2029")


@pytest.mark.parametrize("name", ["conversation_summary", "category"])
def test_schema_and_code_agree_on_visible_characters(name: str) -> None:
    """The schema's pattern and the code agree for every code point."""
    pattern = re.compile(schema()["properties"][name]["pattern"])
    assert pattern.findall(EVERY_CHARACTER) == VISIBLE.findall(EVERY_CHARACTER)


def test_a_single_character_is_kept_if_visible() -> None:
    """A text of one character is "" after cleaning exactly if the character is invisible."""
    assert all((clean(one) == one) is bool(VISIBLE.match(one)) for one in EVERY_CHARACTER)


@given(TEXTS)
def test_cleaning_a_text_twice_changes_nothing(text: str) -> None:
    """The first `clean` is complete, and leaves no text of invisible characters."""
    once = clean(text)
    assert clean(once) == once
    assert once == "" or VISIBLE.search(once)


@pytest.mark.parametrize(
    ("text", "limit", "head", "tail"),
    [
        ("abcdef", 4, "abcd… [+2]", "[+2] …cdef"),
        ("abcd", 3, "abc… [+1]", "[+1] …bcd"),
        ("abc", 3, "abc", "abc"),
        ("ab", 0, "… [+2]", "[+2] …"),
    ],
)
def test_a_cut_text_shows_where_and_how_much(text: str, limit: int, head: str, tail: str) -> None:
    """A cut text says how many characters are missing, at the end that was cut."""
    assert cut(text, limit) == head
    assert cut(text, limit, "tail") == tail


@pytest.mark.parametrize("address", ["ana@example.com", "ana+bot@mail.example.com.ar", "ñandú@example.com"])
def test_valid_addresses_are_accepted(address: str) -> None:
    """Ordinary addresses, with tags and accents."""
    assert is_email(address)


BAD_ADDRESSES = (
    *("", "ana", "ana@", "@example.com", "ana@example", "a b@example.com", "ana@example.com,b@example.com"),
    *("ana@example.com\nbcc: x@example.com", "Ana <ana@example.com>", "ana@exa mple.com", "ana@example..com"),
    *("ana@localhost", "ana@127.0.0.1", "a\u202e@example.com", "a\u200b@example.com", ".ana@example.com"),
)


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_invalid_addresses_are_refused(address: str) -> None:
    """Lists, headers, names, blanks, hidden characters and reserved hosts."""
    assert not is_email(address)


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\u00a0", "\ufeff", "\u202e", "\u2066", "\u200e", "\u2060"])
def test_invisible_characters_are_removed_from_an_address(hidden: str) -> None:
    """Wherever they are; the rest is checked as usual."""
    assert plain_email(f"{hidden}ana{hidden}@exam{hidden}ple.com{hidden}") == "ana@example.com"
    assert plain_email("ana paz@example.com\nx") == "ana paz@example.com\nx"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("+54\u00a09\u00a011\u202f5555\u20110000", "+54 9 11 5555-0000"),
        ("011\u20144555\u22120000", "011-4555-0000"),
        ("\u202a+54 9 11 5555-0000\u202c", "+54 9 11 5555-0000"),
        ("+54 11 5555".translate(FULL_WIDTH), "+54 11 5555"),
        ("\u200e+54 9 11\u200b 5555-0000", "+54 9 11 5555-0000"),
        ("+54 9 11 5555-0000", "+54 9 11 5555-0000"),
        (5491155550000, "5491155550000"),
        (5491155550000.0, "5491155550000"),
        (1.5, 1.5),
        (True, True),
        ([], []),
    ],
)
def test_a_phone_is_normalised(written: object, plain: object) -> None:
    """To ordinary digits, blanks and dashes; a number becomes its digits; any other value is unchanged."""
    assert plain_phone(written) == plain
    assert type(plain_phone(written)) is type(plain)


NOTHING = (
    *("undefined", "null", "None", "NaN", "[object Object]", "{{event.messageId}}", "{{ user.name }}", "${workflow.x}"),
    *("undefined:undefined", "null-null", "{{a}}:{{b}}", "undefined undefined", '"null"'),
)


@pytest.mark.parametrize("text", NOTHING)
def test_an_unfilled_template_is_a_placeholder(text: str) -> None:
    """One alone, or several of them."""
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text", ["", "-", "Null", "nullo", "conv_1:undefined", "{{a}} y b", "nonet", "[object]", "Nano"]
)
def test_other_text_is_no_placeholder(text: str) -> None:
    """A name, a word with a similar beginning, a key with a part filled in."""
    assert not is_placeholder(text)


def test_one_line_has_single_spaces() -> None:
    """Every run of white space becomes one space."""
    assert one_line(" a\n\n b\t\u00a0c ") == "a b c"


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("around", ["{}", "pagué 500 con {} ayer", "CBU 0070 {} 1234", "({})", "tarjeta:{}."])
def test_a_card_number_is_masked_anywhere_in_a_text(card: str, around: str) -> None:
    """All but the last four digits become stars."""
    masked = mask_cards(around.format(card))
    assert masked == around.format(re.sub(r"\d", "*", card[:-4]) + card[-4:])


BETWEEN = (
    *(
        " ",
        "-",
        ".",
        "/",
        "\u00a0",
        "\t",
        "  ",
        " - ",
        "\u2013",
        "\n",
        "\r\n",
        ",",
        ", ",
        "\u2011",
        "_",
        "\uff0c",
        "\u3000",
    ),
    *("\u200b", " \u200b", "\u2060-\u2060", "\u200b" * 30, '", "', "\\n", "\n\n", " \n "),
)


@pytest.mark.parametrize("between", BETWEEN)
def test_a_card_number_is_masked_with_any_separators(between: str) -> None:
    """Blanks, line ends, commas, dots, slashes and dashes between its groups."""
    assert mask_cards(between.join(["4111", "1111", "1111", "1111"])) == between.join(["****", "****", "****", "1111"])


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("41 11 11 11 11 11 11 11", "** ** ** ** ** ** 11 11"),
        ("37 82 82 24 63 10 00 5", "** ** ** ** ** *0 00 5"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "* * * * * * * * * * * * 1 1 1 1"),
        ("4111 1111 1111 1111".translate(FULL_WIDTH), "**** **** **** " + "1111".translate(FULL_WIDTH)),
        ("4111111111111111".translate(ARABIC), "*" * 12 + "1111".translate(ARABIC)),
        ("4\u200b1\u200b1\u200b1 1111\u00ad1111 1111", "*\u200b*\u200b*\u200b* ****\u00ad**** 1111"),
        ("41\n11,11-11/11.11 11_11", "**\n**,**-**/**.** 11_11"),
    ],
)
def test_a_card_number_is_masked_in_any_digits_and_groups(written: str, masked: str) -> None:
    """Pairs, single digits, other scripts' digits, and characters of no width inside a group."""
    assert mask_cards(written) == masked


GROUPS = ("333-", "4111 ", "41 ", "4 ", "4", "4\u200b", "4111\n", "5500,", "22\u200b ", "3333\u200b" * 9 + " ")


@pytest.mark.parametrize("piece", GROUPS)
def test_masking_takes_steps_in_proportion_to_the_text(piece: str) -> None:
    """Twice the groups take twice the steps."""
    half, whole = (steps_of(sanitize, mask_cards, piece * count) for count in (400, 800))
    assert whole < 2.1 * half


def test_every_card_of_many_is_masked() -> None:
    """Several numbers in a row, and digits after them, do not hide each other."""
    assert mask_cards("4111 1111 1111 1111 5500 0000 0000 0004 777") == "**** **** **** 1111 **** **** **** 0004 777"


def test_the_end_of_a_card_is_not_the_beginning_of_another() -> None:
    """4008 0000 0000 2000 has a valid check digit, but its first group is the last of the first card."""
    assert mask_cards("4111 1111 1111 4008 0000 0000 2000") == "**** **** **** 4008 0000 0000 2000"


@pytest.mark.parametrize(
    "number",
    [
        *(
            "4111 1111 1111 1112",
            "1111111111111117",
            "41111111",
            "411111111111111111111",
            "+54 9 11 5555-7391",
            "30-71",
        ),
        *("422222222222", "41111111111111111115"),  # these have a valid check digit
        *(
            "54 911 5555 7391 26",
            "4111 1111 1111 1 111",
            "41 11 1 11 11 11 11 11 1",
            "41 11 11 11 11 11 1111",
            "4111 1111 x 1111 1111",
        ),
        "4111" + " " * 5 + "1111 1111 1111",
    ],
)
def test_other_numbers_are_not_masked(number: str) -> None:
    """A number with a wrong check digit, beginning or length is no card."""
    assert mask_cards(number) == number


@given(TEXTS)
def test_masking_changes_digits_only(text: str) -> None:
    """It keeps the length and everything that is not a digit."""
    masked = mask_cards(text)
    assert len(masked) == len(text)
    assert all(new == old or (new == "*" and old.isdigit()) for new, old in zip(masked, text, strict=True))


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18), st.sampled_from("23456"))
def test_any_number_with_a_valid_check_digit_is_masked(digits: list[int], first: str) -> None:
    """The test computes the check digit in another way: from the right, with a table."""
    number = first + "".join(map(str, digits))[:-1]
    doubled = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    total = sum(doubled[int(d)] if place % 2 == 0 else int(d) for place, d in enumerate(reversed(number)))
    card = number + str(-total % 10)
    assert mask_cards(card) == "*" * (len(card) - 4) + card[-4:] if len(card) >= 13 else mask_cards(card) == card
