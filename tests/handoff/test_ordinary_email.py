"""The fast check of ordinary addresses agrees with email-validator, which checks all others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from handoff import sanitize

ROOT = Path(__file__).parents[2]
LONG = ["a" * 20, "a" * 21, "a" * 30, "a" * 31]
WORDS = st.one_of(st.sampled_from([*LONG, "xn", "", "-", "ana", "Ana", "7", "ñ", "ſ", "K", "com", "test"]))  # noqa: RUF001 -- letters that re.IGNORECASE takes for s and k
MARKS = st.sampled_from([".", "-", "+", "_", "@", "--", "..", "\n"])
ADDRESSES = st.lists(st.tuples(WORDS, MARKS), min_size=2, max_size=7).map(
    lambda parts: "".join(word + mark for word, mark in parts)
)
ENDS = st.sampled_from(["com", "ar", "com.ar", "test", "local", "COM", "com\n", "invalid.com", "c\u043em"])


def accepted(address: str) -> bool:
    """Return True if email-validator accepts address."""
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


@given(ADDRESSES, ENDS)
@settings(max_examples=max(500, settings().max_examples), deadline=None)
def test_both_checks_agree(beginning: str, end: str) -> None:
    """The result is always that of email-validator."""
    assert sanitize.is_email(beginning + end) == accepted(beginning + end)


@pytest.mark.parametrize("address", ["ana@example.com", "ana.peña@example.com", "a+b@x-y.com.ar", "ana@example.test"])
def test_both_checks_agree_on_each_kind(address: str) -> None:
    """Ordinary, accented, tagged and reserved addresses."""
    assert sanitize.is_email(address) == accepted(address)


def test_the_longest_ordinary_address_is_within_the_limits() -> None:
    """The pattern limits every part, so that no accepted address is too long."""
    longest = f"{'.'.join(['a' * 20] * 3)}@{'.'.join(['a' * 30] * 3)}.com"
    assert sanitize._ORDINARY_EMAIL.fullmatch(longest)  # noqa: SLF001 -- the test is about the fast check
    assert accepted(longest)


def test_an_ordinary_address_does_not_load_the_validator() -> None:
    """It would take 30 ms of a cold start."""
    asks = (
        "import sys; from handoff import sanitize; sanitize.is_email('ana.paz@example.com.ar');"
        "sys.exit('email_validator' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", asks], cwd=ROOT, check=False).returncode == 0
